/* What a unit that serves a network gives up before it takes the first connection: files but its own
 * (Landlock), system calls that it does not make (seccomp), new privileges, dumps, the start of programs.
 * Whoever takes it over is held in the same place.
 *
 * In builds with a sanitizer nothing is given up but new privileges: its runtime needs files of /proc, starts
 * programs and traces its own process. */
#ifndef KEYFILL_WIRE_SANDBOX_H
#define KEYFILL_WIRE_SANDBOX_H

#include "wire/landlock.h"
#include "wire/unit_config.h"

typedef struct kf_sandbox {
    kf_landlock_rules rules;
} kf_sandbox;

#define KF_SANDBOX_INIT                                                                                      \
    {                                                                                                        \
        .rules = KF_LANDLOCK_RULES_NONE                                                                      \
    }

/* Starts with what every unit reads: names of machines, time zones, libraries that load on demand. `ports`:
 * bits of kf_landlock_port for what is refused where no call below allows it. */
kf_code kf_sandbox_begin(unsigned ports, kf_sandbox *ret_sandbox, kf_error *error) KF_MUST_USE;
/* A folder with all beneath it. NULL: nothing. */
kf_code kf_sandbox_allow_folder(kf_sandbox *sandbox, const char *path, kf_landlock_access access,
                                kf_error *error) KF_MUST_USE;
/* The folder that holds the file: one that is put in its place has another inode. NULL: nothing. */
kf_code kf_sandbox_allow_file(kf_sandbox *sandbox, const char *path, kf_landlock_access access,
                              kf_error *error) KF_MUST_USE;
kf_code kf_sandbox_allow_bind(kf_sandbox *sandbox, uint16_t port, kf_error *error) KF_MUST_USE;
/* The port of an https:// URL, and that of name servers. NULL: nothing. */
kf_code kf_sandbox_allow_connect(kf_sandbox *sandbox, const char *url, kf_error *error) KF_MUST_USE;
/* What kf_unit_config names: certificates and key, the database's folder, the port to listen on. */
kf_code kf_sandbox_allow_unit(kf_sandbox *sandbox, const kf_unit_config *unit, kf_error *error) KF_MUST_USE;

/* For good. The process has one thread. Says in the log what is enforced and what this kernel lacks. */
kf_code kf_sandbox_enter(kf_sandbox *sandbox, kf_error *error) KF_MUST_USE;
/* Fits KF_CLEANUP. */
void kf_sandbox_end(kf_sandbox *sandbox);

#endif
