/* keyfill-terminald: the issuing terminal (32). */
#include <argp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "terminal/host_over_http.h"
#include "terminal/service.h"

#define PROGRAM "keyfill-terminald"
#define DEFAULT_CONFIG "/etc/keyfill/terminal.yaml"

static const struct argp_option program_options[] = {
    {"config", 'c', "FILE", 0, "configuration (default: " DEFAULT_CONFIG ")", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    const char **config_path = state->input;
    switch (key) {
    case 'c': *config_path = argument; return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%s': no arguments are taken", argument); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code start_log(const kf_terminal_config *config)
{
    kf_log_level level;
    KF_TRY(kf_log_level_from_name(config->log_level, &level));
    kf_log_start(PROGRAM, level);
    return KF_OK;
}

/* Serves until SIGTERM or SIGINT, which are blocked in all threads and taken here. */
static kf_code serve(const kf_terminal_config *config, const sigset_t *ends, kf_error *error)
{
    kf_peer self;
    kf_host_link host;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = NULL;
    KF_TRY(kf_peer_of_file(config->certificate, &self, error));
    if (self.role != KF_PEER_TERMINAL)
        return kf_fail(error, KF_ERR_CERTIFICATE, "%s is the certificate of a %s; a terminal's is wanted",
                       config->certificate, kf_peer_role_name(self.role));
    KF_TRY(kf_host_over_http(config, &client, &host, error));
    const kf_terminal_service_options options = {
        .reader_uri = config->reader,
        .socket_path = config->socket,
        .socket_mode = config->socket_group_access ? 0660 : 0600,
        .name = self.name,
        .host_url = config->host,
        .host = &host,
        .card_wait = config->card_wait_milliseconds,
        .command_timeout = config->command_timeout_milliseconds,
    };
    kf_terminal_service *service = NULL;
    KF_TRY(kf_terminal_service_start(&options, &service, error));
    kf_log(KF_LOG_INFO, "terminal %s: reader %s, host %s, listening on %s", self.name, config->reader,
           config->host, config->socket);
    int taken = 0;
    while (sigwait(ends, &taken) != 0) {
    }
    kf_log(KF_LOG_INFO, "ending on signal %d", taken);
    kf_terminal_service_stop(&service);
    return KF_OK;
}

static kf_code run(const char *config_path, const sigset_t *ends, kf_error *error)
{
    KF_CLEANUP(kf_terminal_config_free) kf_terminal_config *config = NULL;
    KF_TRY(kf_terminal_config_load(config_path, &config, error));
    KF_TRY(start_log(config));
    return serve(config, ends, error);
}

int main(int argc, char **argv)
{
    argp_program_version = PROGRAM " " KEYFILL_VERSION;
    argp_err_exit_status = KF_EXIT_USAGE;
    const char *config_path = DEFAULT_CONFIG;
    const struct argp argp = {program_options,
                              parse_option,
                              NULL,
                              "The issuing terminal of keyfill: between the reader and the host.",
                              NULL,
                              NULL,
                              NULL};
    if (argp_parse(&argp, argc, argv, 0, NULL, &config_path) != 0) return KF_EXIT_USAGE;
    kf_log_start(PROGRAM, KF_LOG_INFO);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    kf_error error = {KF_OK, ""};
    kf_code code = run(config_path, &ends, &error);
    if (code == KF_OK) return KF_EXIT_OK;
    (void)kf_fail_plain(&error, code);
    kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    return kf_code_exit_status(code);
}
