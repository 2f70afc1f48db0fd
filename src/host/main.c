/* keyfill-hostd: the issuing host (31). */
#include <stdio.h>

#include "host/routes.h"
#include "host/service.h"
#include "wire/daemon.h"

typedef struct host_program {
    kf_host_config *config;
    kf_peer self;
    kf_host_service *service;
} host_program;

static kf_code load(void *context, const char *config_path, const char **ret_log_level, kf_error *error)
{
    host_program *program = context;
    KF_TRY(kf_host_config_load(config_path, &program->config, error));
    *ret_log_level = program->config->unit.log_level;
    return kf_unit_identify(&program->config->unit, KF_PEER_HOST, &program->self, error);
}

static kf_code limit(void *context, kf_sandbox *sandbox, kf_error *error)
{
    const kf_host_config *config = ((host_program *)context)->config;
    const char *files[] = {config->terminal_authority_certificate, config->terminal_authority_key,
                           config->issuing_server_ca};
    KF_TRY(kf_sandbox_allow_unit(sandbox, &config->unit, error));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        KF_TRY(kf_sandbox_allow_file(sandbox, files[i], KF_LANDLOCK_READ, error));
    KF_TRY(kf_sandbox_allow_connect(sandbox, config->kmu, error));
    return kf_sandbox_allow_connect(sandbox, config->issuing_server, error);
}

static kf_code start(void *context, char ret_ready[KF_DAEMON_READY_SIZE], kf_error *error)
{
    host_program *program = context;
    const kf_host_config *config = program->config;
    KF_TRY(kf_host_service_start(config, &program->service, error));
    (void)snprintf(ret_ready, KF_DAEMON_READY_SIZE, "host %s: listening on %s:%u, key management unit %s",
                   program->self.name, config->unit.address, (unsigned)kf_host_service_port(program->service),
                   config->kmu);
    return KF_OK;
}

static kf_code reload(void *context, kf_error *error)
{
    host_program *program = context;
    return kf_host_service_reload(program->service, error);
}

static void end(void *context)
{
    host_program *program = context;
    kf_host_service_stop(&program->service);
    kf_host_config_free(&program->config);
}

int main(int argc, char **argv)
{
    host_program program = {.config = NULL};
    const kf_daemon daemon = {.program = "keyfill-hostd",
                              .about = "The issuing host of keyfill: numbers, orders and terminals, between "
                                       "these and the key management unit.",
                              .default_config = "/etc/keyfill/host.yaml",
                              .service = &program,
                              .routes = kf_host_routes,
                              .route_count = kf_host_route_count,
                              .load = load,
                              .limit = limit,
                              .limited_ports = KF_LANDLOCK_BIND | KF_LANDLOCK_CONNECT,
                              .start = start,
                              .reload = reload,
                              .end = end};
    return kf_daemon_run(&daemon, argc, argv);
}
