/* keyfill-terminald: the issuing terminal (32). */
#include <stdio.h>

#include "terminal/host_over_http.h"
#include "terminal/service.h"
#include "wire/daemon.h"

typedef struct terminal_program {
    kf_terminal_config *config;
    kf_peer self;
    kf_http_client *client;
    kf_host_link host;
    kf_terminal_service *service;
} terminal_program;

static kf_code load(void *context, const char *config_path, const char **ret_log_level, kf_error *error)
{
    terminal_program *program = context;
    KF_TRY(kf_terminal_config_load(config_path, &program->config, error));
    *ret_log_level = program->config->log_level;
    return kf_peer_of_own_file(program->config->certificate, KF_PEER_TERMINAL, &program->self, error);
}

/* Connecting to a local socket, pcscd's or a simulated card's, is not what Landlock limits. */
static kf_code limit(void *context, kf_sandbox *sandbox, kf_error *error)
{
    const kf_terminal_config *config = ((terminal_program *)context)->config;
    const char *files[] = {config->ca, config->certificate, config->private_key};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        KF_TRY(kf_sandbox_allow_file(sandbox, files[i], KF_LANDLOCK_READ, error));
    KF_TRY(kf_sandbox_allow_file(sandbox, config->socket, KF_LANDLOCK_WRITE, error));
    return kf_sandbox_allow_connect(sandbox, config->host, error);
}

static kf_code start(void *context, char ret_ready[KF_DAEMON_READY_SIZE], kf_error *error)
{
    terminal_program *program = context;
    const kf_terminal_config *config = program->config;
    KF_TRY(kf_host_over_http(config, &program->client, &program->host, error));
    const kf_terminal_service_options options = {
        .reader_uri = config->reader,
        .socket_path = config->socket,
        .socket_mode = config->socket_group_access ? 0660 : 0600,
        .name = program->self.name,
        .host_url = config->host,
        .host = &program->host,
        .card_wait = config->card_wait_milliseconds,
        .command_timeout = config->command_timeout_milliseconds,
    };
    KF_TRY(kf_terminal_service_start(&options, &program->service, error));
    (void)snprintf(ret_ready, KF_DAEMON_READY_SIZE, "terminal %s: reader %s, host %s, listening on %s",
                   program->self.name, config->reader, config->host, config->socket);
    return KF_OK;
}

static void end(void *context)
{
    terminal_program *program = context;
    kf_terminal_service_stop(&program->service);
    kf_http_client_free(&program->client);
    kf_terminal_config_free(&program->config);
}

int main(int argc, char **argv)
{
    terminal_program program = {.config = NULL};
    const kf_daemon daemon = {.program = "keyfill-terminald",
                              .about = "The issuing terminal of keyfill: between the reader and the host.",
                              .default_config = "/etc/keyfill/terminal.yaml",
                              .service = &program,
                              .routes = kf_terminal_routes,
                              .route_count = kf_terminal_route_count,
                              .load = load,
                              .limit = limit,
                              .limited_ports = KF_LANDLOCK_BIND | KF_LANDLOCK_CONNECT,
                              .start = start,
                              .end = end};
    return kf_daemon_run(&daemon, argc, argv);
}
