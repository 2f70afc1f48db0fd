/* keyfill-hostd: the issuing host (31). */
#include <argp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "host/service.h"
#include "wire/tls_identity.h"

#define PROGRAM "keyfill-hostd"
#define DEFAULT_CONFIG "/etc/keyfill/host.yaml"

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

static kf_code start_log(const kf_host_config *config)
{
    kf_log_level level;
    KF_TRY(kf_log_level_from_name(config->log_level, &level));
    kf_log_start(PROGRAM, level);
    return KF_OK;
}

static kf_code check_own_certificate(const kf_host_config *config, kf_peer *ret_self, kf_error *error)
{
    KF_TRY(kf_peer_of_file(config->certificate, ret_self, error));
    if (ret_self->role == KF_PEER_HOST) return KF_OK;
    return kf_fail(error, KF_ERR_CERTIFICATE, "%s is the certificate of a %s; a host's is wanted",
                   config->certificate, kf_peer_role_name(ret_self->role));
}

/* Serves until SIGTERM or SIGINT, which are blocked in all threads and taken here. */
static kf_code serve(const kf_host_config *config, const sigset_t *ends, kf_error *error)
{
    kf_peer self;
    KF_TRY(check_own_certificate(config, &self, error));
    kf_host_service *service = NULL;
    KF_TRY(kf_host_service_start(config, &service, error));
    kf_log(KF_LOG_INFO, "host %s: listening on %s:%u, key management unit %s", self.name, config->address,
           (unsigned)kf_host_service_port(service), config->kmu);
    int taken = 0;
    while (sigwait(ends, &taken) != 0) {
    }
    kf_log(KF_LOG_INFO, "ending on signal %d", taken);
    kf_host_service_stop(&service);
    return KF_OK;
}

static kf_code run(const char *config_path, const sigset_t *ends, kf_error *error)
{
    KF_CLEANUP(kf_host_config_free) kf_host_config *config = NULL;
    KF_TRY(kf_host_config_load(config_path, &config, error));
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
                              "The issuing host of keyfill: numbers, orders and terminals, between these and "
                              "the key management unit.",
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
