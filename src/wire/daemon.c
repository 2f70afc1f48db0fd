#include "wire/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "wire/json.h"

/* Above those of any program's own options. */
enum { OPTION_CHECK = 0x10000, OPTION_ROUTES };

typedef struct daemon_options {
    const kf_daemon *daemon;
    const char *config_path;
    bool check_only;
} daemon_options;

/* "PUT /v1/categories/{name} administrator", a line a route. */
static void list_routes(const kf_daemon *daemon)
{
    for (size_t i = 0; i < daemon->route_count; i++) {
        const kf_http_route *route = &daemon->routes[i];
        (void)printf("%s %s ", route->method, route->path);
        const char *separator = "";
        if ((route->roles & KF_PEER_ANYONE) != 0) (void)printf("anyone");
        for (int role = KF_PEER_BKMU; role <= (int)KF_PEER_LOCAL && (route->roles & KF_PEER_ANYONE) == 0;
             role++) {
            if ((route->roles & KF_PEER_BIT(role)) == 0) continue;
            (void)printf("%s%s", separator, kf_peer_role_name((kf_peer_role)role));
            separator = ",";
        }
        (void)printf("\n");
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    daemon_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = options->daemon->options_input; return 0;
    case 'c': options->config_path = argument; return 0;
    case OPTION_CHECK: options->check_only = true; return 0;
    case OPTION_ROUTES: list_routes(options->daemon); exit(KF_EXIT_OK);
    case ARGP_KEY_ARG: argp_error(state, "'%s': no arguments are taken", argument); return EINVAL;
    case ARGP_KEY_END:
        if (options->config_path == NULL) argp_error(state, "--config is needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void parse(const kf_daemon *daemon, int argc, char **argv, daemon_options *options)
{
    static const struct argp no_options = {0};
    static char version[64];
    char config[160];
    (void)snprintf(version, sizeof version, "%s " KEYFILL_VERSION, daemon->program);
    (void)snprintf(config, sizeof config, "configuration (default: %s)",
                   daemon->default_config != NULL ? daemon->default_config : "none; it is needed");
    const struct argp_option table[] = {
        {"config", 'c', "FILE", 0, config, 0},
        {"check-config", OPTION_CHECK, NULL, 0, "read and check the configuration, say so, and end", 0},
        {"routes", OPTION_ROUTES, NULL, 0, "list the routes with the roles that may call each, and end", 0},
        {0},
    };
    const struct argp_child children[] = {
        {daemon->options != NULL ? daemon->options : &no_options, 0, NULL, 0}, {0}};
    const struct argp argp = {table, parse_option, NULL, daemon->about, children, NULL, NULL};
    argp_program_version = version;
    argp_err_exit_status = KF_EXIT_USAGE;
    options->config_path = daemon->default_config;
    (void)argp_parse(&argp, argc, argv, 0, NULL, options); /* exits where they are wrong */
}

static kf_code hold_signals(sigset_t *held, kf_error *error)
{
    sigemptyset(held);
    sigaddset(held, SIGTERM);
    sigaddset(held, SIGINT);
    sigaddset(held, SIGHUP);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, held, NULL) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "signals cannot be held back: %s", strerror(errno));
    return KF_OK;
}

static void tell_ready(const char *ready)
{
    char state[KF_DAEMON_READY_SIZE + 32];
    (void)snprintf(state, sizeof state, "READY=1\nSTATUS=%s", ready);
    kf_daemon_notify(state);
}

static void reload(const kf_daemon *daemon, const char *ready)
{
    if (daemon->reload == NULL) {
        kf_log(KF_LOG_INFO, "SIGHUP: there is nothing that is read again");
        return;
    }
    struct timespec now;
    char state[64];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    kf_daemon_notify(state);
    kf_error reason = {KF_OK, ""};
    if (daemon->reload(daemon->service, &reason) == KF_OK)
        kf_log(KF_LOG_INFO, "SIGHUP: read again");
    else
        kf_log(KF_LOG_ERROR, "SIGHUP: all stays as it was: %s", kf_error_text(&reason));
    tell_ready(ready);
}

/* Whether to go on waiting. */
static bool take_signal(const kf_daemon *daemon, int signals, const char *ready)
{
    struct signalfd_siginfo taken;
    if (read(signals, &taken, sizeof taken) != (ssize_t)sizeof taken) return true;
    if (taken.ssi_signo == SIGHUP) {
        reload(daemon, ready);
        return true;
    }
    kf_log(KF_LOG_INFO, "ending on signal %u", (unsigned)taken.ssi_signo);
    return false;
}

static kf_code wait_for_end(const kf_daemon *daemon, const sigset_t *held, const char *ready, kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close) int signals = signalfd(-1, held, SFD_CLOEXEC);
    if (signals < 0) return kf_fail(error, KF_ERR_SYSTEM, "no signalfd: %s", strerror(errno));
    /* poll(2) leaves out negative descriptors. */
    struct pollfd waits[2] = {
        {.fd = signals, .events = POLLIN},
        {.fd = daemon->watched != NULL ? daemon->watched(daemon->service) : -1, .events = POLLRDHUP}};
    for (;;) {
        int count = poll(waits, 2, -1);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return kf_fail(error, KF_ERR_SYSTEM, "poll: %s", strerror(errno));
        if (waits[0].revents != 0 && !take_signal(daemon, signals, ready)) return KF_OK;
        if (waits[1].revents != 0)
            return kf_fail(error, KF_ERR_VAULT,
                           "the vault has ended; this program ends too, to be started again with it");
    }
}

static kf_code enter_sandbox(const daemon_options *options, kf_error *error)
{
    const kf_daemon *daemon = options->daemon;
    if (daemon->limit == NULL) return KF_OK;
    KF_CLEANUP(kf_sandbox_end) kf_sandbox sandbox = KF_SANDBOX_INIT;
    KF_TRY(kf_sandbox_begin(daemon->limited_ports, &sandbox, error));
    KF_TRY(kf_sandbox_allow_file(&sandbox, options->config_path, KF_LANDLOCK_READ, error));
    KF_TRY(daemon->limit(daemon->service, &sandbox, error));
    return kf_sandbox_enter(&sandbox, error);
}

static kf_code serve(const daemon_options *options, const sigset_t *held, kf_error *error)
{
    const kf_daemon *daemon = options->daemon;
    const char *level_name = NULL;
    kf_log_level level = KF_LOG_INFO;
    KF_TRY(daemon->load(daemon->service, options->config_path, &level_name, error));
    if (kf_log_level_from_name(level_name, &level) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "log_level '%s' is not known", level_name);
    kf_log_start(daemon->program, level);
    if (options->check_only) {
        (void)printf("%s: the configuration is in order\n", options->config_path);
        return KF_OK;
    }
    KF_TRY(enter_sandbox(options, error));
    char ready[KF_DAEMON_READY_SIZE] = "";
    KF_TRY(daemon->start(daemon->service, ready, error));
    kf_log(KF_LOG_INFO, "%s", ready);
    tell_ready(ready);
    kf_code code = wait_for_end(daemon, held, ready, error);
    kf_daemon_notify("STOPPING=1");
    return code;
}

int kf_daemon_run(const kf_daemon *daemon, int argc, char **argv)
{
    daemon_options options = {.daemon = daemon};
    parse(daemon, argc, argv, &options);
    kf_log_start(daemon->program, KF_LOG_INFO);
    kf_json_wipe_memory();
    kf_error error = {KF_OK, ""};
    sigset_t held;
    kf_code code = hold_signals(&held, &error);
    if (code == KF_OK) code = serve(&options, &held, &error);
    daemon->end(daemon->service);
    if (code == KF_OK) return KF_EXIT_OK;
    (void)kf_fail_plain(&error, code);
    kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    return kf_code_exit_status(code);
}
