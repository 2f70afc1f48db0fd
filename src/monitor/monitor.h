/* The monitor: starts a front and a vault under two users, gives each one end of a socketpair, watches, and
 * starts both again where either ends. With a token it also starts the vault's helper keyfill-hsm under a
 * third user, starts that again by itself, and sends the vault its connections each time. It has neither
 * network nor keys, reads nothing but its configuration, and talks to none of them. */
#ifndef KEYFILL_MONITOR_MONITOR_H
#define KEYFILL_MONITOR_MONITOR_H

#include <sys/types.h>

#include <keyfill/error.h>

#define KF_MONITOR_ARGUMENTS_MAX 20
#define KF_MONITOR_ENVIRONMENT_MAX 16
#define KF_MONITOR_DESCRIPTORS_MAX 64
#define KF_MONITOR_DESCRIPTOR                                                                                \
    3 /* where a process finds its end of the socketpair; the vault the link for                             \
         connections to the helper behind it; the helper all its ends */

/* An argument "credential:NAME" names a file in CREDENTIALS_DIRECTORY, which only the monitor can read: it is
 * opened before the change of user, and the argument becomes "descriptor:N". */
#define KF_MONITOR_CREDENTIAL "credential:"

#define KF_MONITOR_DRAIN_SECONDS 15 /* the front may take so long to end its requests */
#define KF_MONITOR_STOP_SECONDS 5   /* the vault, once the front is gone */
#define KF_MONITOR_BACKOFF_FIRST_MS 100
#define KF_MONITOR_BACKOFF_MOST_MS 10000
#define KF_MONITOR_STEADY_SECONDS 30 /* having run so long, the next restart is at once again */

/* One of the processes. */
typedef struct kf_monitor_program {
    const char *name; /* "vault", "front": for the log */
    const char *path;
    const char *arguments[KF_MONITOR_ARGUMENTS_MAX];         /* ended by NULL, the program's name first */
    const char *environment[KF_MONITOR_ENVIRONMENT_MAX + 1]; /* NAME=VALUE, ended by NULL */
    bool change_user;
    uid_t user;
    gid_t group;
    bool locks_memory; /* it keeps CAP_IPC_LOCK */
    bool tells_ready;  /* it gets NOTIFY_SOCKET, where the monitor has it, and SIGHUP passed on */
} kf_monitor_program;

typedef struct kf_monitor_plan {
    kf_monitor_program vault;
    kf_monitor_program front;
    kf_monitor_program hsm;
    size_t hsm_connections; /* 0: no helper */
} kf_monitor_plan;

/* Runs until SIGTERM or SIGINT: then the front is told to end, the vault ends with it, KF_OK. A process that
 * ends with KF_EXIT_USAGE or KF_EXIT_REFUSED says that its configuration or files are wrong: starting it
 * again would not help, both are stopped, and `*ret_exit_status` is that status. The calling process has one
 * thread. */
kf_code kf_monitor_run(const kf_monitor_plan *plan, int *ret_exit_status, kf_error *error) KF_MUST_USE;

#endif
