/* What a program that serves until it is told to end does around its service: options, log, signals, the word
 * to the service manager, exit status.
 *
 * In this order: options; SIGTERM, SIGINT and SIGHUP are held back in this thread and all that it makes,
 * SIGPIPE is ignored, memory of JSON is wiped when it is given back; `load`; with --check-config that is all;
 * `limit`, behind which only what it allowed can be opened; `start`; the ready line is logged and the service
 * manager notified. Then SIGHUP calls `reload`, and SIGTERM, SIGINT or the hang-up of `watched` end it:
 * `end`, which lets requests under way end.
 *
 * The service manager is told as sd_notify(3) has it: READY=1 with a status line, RELOADING=1, STOPPING=1, in
 * datagrams to the socket that NOTIFY_SOCKET names; without that variable nobody is.
 */
#ifndef KEYFILL_WIRE_DAEMON_H
#define KEYFILL_WIRE_DAEMON_H

#include <argp.h>

#include <keyfill/error.h>

#include "wire/http_server.h"
#include "wire/sandbox.h"

#define KF_DAEMON_READY_SIZE 400 /* bytes of a ready line with its zero */

typedef struct kf_daemon {
    const char *program;         /* "keyfill-hostd" */
    const char *about;           /* one sentence for --help */
    const char *default_config;  /* where --config is left out; NULL: it is needed */
    const struct argp *options;  /* this program's own; NULL: none */
    void *options_input;         /* of their parser */
    void *service;               /* given to all of these */
    const kf_http_route *routes; /* what --routes lists: the table that the server is started with */
    size_t route_count;

    /* Reads the configuration and checks all of it that can be checked without starting: --check-config ends
     * behind it. `*ret_log_level` lives as long as the service. */
    kf_code (*load)(void *service, const char *config_path, const char **ret_log_level, kf_error *error);
    /* Names the files and ports that the service uses from `start` to its end, those of `reload` too; the
     * configuration file is among them. NULL: nothing is limited. */
    kf_code (*limit)(void *service, kf_sandbox *sandbox, kf_error *error);
    unsigned limited_ports; /* bits of kf_landlock_port: which uses of ports `limit` names */
    /* KF_OK: it serves. `ret_ready` is one line that says where. */
    kf_code (*start)(void *service, char ret_ready[KF_DAEMON_READY_SIZE], kf_error *error);
    /* SIGHUP. NULL: it is logged that nothing is read again. A failure is logged, and all stays as it is. */
    kf_code (*reload)(void *service, kf_error *error);
    /* A descriptor whose hang-up ends the program with KF_ERR_VAULT; NULL: none. Asked after `start`. */
    int (*watched)(void *service);
    /* Lets requests under way end, frees everything; called once, also after a failure of load or start. */
    void (*end)(void *service);
} kf_daemon;

/* Returns the exit status for main; exits with KF_EXIT_USAGE by itself where options are wrong. */
int kf_daemon_run(const kf_daemon *daemon, int argc, char **argv);

/* Sends `state` ("READY=1\nSTATUS=…") to the service manager. Nothing where there is none; whoever cannot be
 * told is told nothing: the service does not depend on it. */
void kf_daemon_notify(const char *state);

#endif
