/* Landlock (landlock(7)): a process gives up the files and TCP ports that it does not name, for good, for
 * itself and the threads that it makes afterwards. What is held open already stays open. */
#ifndef KEYFILL_WIRE_LANDLOCK_H
#define KEYFILL_WIRE_LANDLOCK_H

#include <stdint.h>

#include <keyfill/error.h>

typedef enum kf_landlock_access {
    KF_LANDLOCK_READ,  /* files and folders */
    KF_LANDLOCK_WRITE, /* and write, cut, make and remove files, folders and sockets */
} kf_landlock_access;

typedef enum kf_landlock_port { KF_LANDLOCK_BIND = 1, KF_LANDLOCK_CONNECT = 2 } kf_landlock_port;

typedef struct kf_landlock_rules {
    int descriptor;   /* -1: the kernel has no Landlock, or it is switched off */
    unsigned version; /* of the kernel's interface; ports from 4, signals from 6 */
    uint64_t files;   /* what is refused where no rule allows it */
    uint64_t ports;
} kf_landlock_rules;

#define KF_LANDLOCK_RULES_NONE                                                                               \
    {                                                                                                        \
        .descriptor = -1                                                                                     \
    }

/* Rules that allow nothing: no file, and none of those uses of TCP ports (bits of kf_landlock_port), as far
 * as the kernel knows them; no signal to a process outside. Where it has no Landlock at all: KF_OK and a
 * descriptor of -1; the calls below then do nothing. */
kf_code kf_landlock_begin(unsigned ports, kf_landlock_rules *ret_rules, kf_error *error) KF_MUST_USE;
/* Allows a file, or a folder with all beneath it. A path that is not there allows nothing. */
kf_code kf_landlock_allow(const kf_landlock_rules *rules, const char *path, kf_landlock_access access,
                          kf_error *error) KF_MUST_USE;
/* Port 0 for binding: any that the kernel chooses. */
kf_code kf_landlock_allow_port(const kf_landlock_rules *rules, kf_landlock_port use, uint16_t port,
                               kf_error *error) KF_MUST_USE;
/* From here on. The process can have no new privileges (PR_SET_NO_NEW_PRIVS). */
kf_code kf_landlock_enter(const kf_landlock_rules *rules, kf_error *error) KF_MUST_USE;
/* Fits KF_CLEANUP. */
void kf_landlock_end(kf_landlock_rules *rules);

#endif
