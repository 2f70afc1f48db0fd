/* The system calls of a unit that serves a network: files and sockets that the rest of the sandbox lets it
 * have, threads, time, memory that is not code. */
#ifndef KEYFILL_WIRE_SYSTEM_CALLS_H
#define KEYFILL_WIRE_SYSTEM_CALLS_H

#include <keyfill/error.h>

/* Sanitizers reserve terabytes of shadow memory and use system calls of their own. */
#if defined(__SANITIZE_ADDRESS__)
#define KF_UNDER_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KF_UNDER_SANITIZER true
#endif
#endif
#ifndef KF_UNDER_SANITIZER
#define KF_UNDER_SANITIZER false
#endif

/* From here on, in all threads: what only an intruder calls (starting a program, tracing, mounting, loading
 * modules) ends the process; any other call that is not in the list is answered as by a kernel that lacks it.
 * The process can have no new privileges. */
kf_code kf_system_calls_of_a_unit(kf_error *error) KF_MUST_USE;

#endif
