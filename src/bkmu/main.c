/* keyfill-bkm-front: the front of the base key management unit, started by keyfill-bkmd. */
#include <stdio.h>

#include "base/clock.h"
#include "bkmu/bkmu.h"
#include "bkmu/bkmu_config.h"
#include "wire/daemon.h"

typedef struct bkmu_program {
    kf_front_options options;
    kf_bkmu_config *config;
    kf_bkmu bkmu;
    kf_http_server *server;
    kf_audit_keeper *keeper;
} bkmu_program;

static kf_code load(void *context, const char *config_path, const char **ret_log_level, kf_error *error)
{
    bkmu_program *program = context;
    kf_peer self;
    KF_TRY(kf_bkmu_config_load(config_path, &program->config, error));
    *ret_log_level = program->config->unit.log_level;
    return kf_unit_identify(&program->config->unit, KF_PEER_BKMU, &self, error);
}

/* Key management units are registered while it runs, with any port. */
static kf_code limit(void *context, kf_sandbox *sandbox, kf_error *error)
{
    const kf_bkmu_config *config = ((bkmu_program *)context)->config;
    KF_TRY(kf_sandbox_allow_unit(sandbox, &config->unit, error));
    return kf_audit_config_limit(config->audit, sandbox, error);
}

static kf_code start(void *context, char ret_ready[KF_DAEMON_READY_SIZE], kf_error *error)
{
    bkmu_program *program = context;
    const kf_unit_config *unit = &program->config->unit;
    kf_bkmu *bkmu = &program->bkmu;
    const kf_http_server_options options = {.routes = kf_bkmu_routes,
                                            .route_count = kf_bkmu_route_count,
                                            .context = bkmu,
                                            .check_caller = kf_bkmu_check_caller,
                                            .refused = kf_bkmu_refused};
    bkmu->front.clock = kf_clock_now_ms;
    bkmu->identity = (kf_bkmu_identity){unit->ca, unit->certificate, unit->private_key};
    KF_TRY(kf_front_meet_vault(&program->options, &bkmu->front, error));
    KF_TRY(kf_owed_receipts_new(&bkmu->front.owed, error));
    KF_TRY(kf_front_open_records(&bkmu->front, unit->database, &kf_bkmu_migrations, error));
    const kf_audit_keeper_options keeper = {&bkmu->front, program->config->audit, unit, "keyfill-bkm-front"};
    KF_TRY(kf_audit_keeper_start(&keeper, &program->keeper, error));
    KF_TRY(kf_pusher_new(bkmu, &bkmu->pusher, error));
    KF_TRY(kf_unit_serve(unit, &options, &program->server, error));
    (void)snprintf(ret_ready, KF_DAEMON_READY_SIZE, "listening on %s:%u", unit->address,
                   (unsigned)kf_http_server_port(program->server));
    return KF_OK;
}

static int vault_of(void *context)
{
    return kf_vault_client_descriptor(((bkmu_program *)context)->bkmu.front.vault);
}

static kf_code reload(void *context, kf_error *error)
{
    bkmu_program *program = context;
    return kf_http_server_reload(program->server, error);
}

static void end(void *context)
{
    bkmu_program *program = context;
    kf_http_server_stop(&program->server);
    kf_pusher_free(&program->bkmu.pusher);
    kf_audit_keeper_end(&program->keeper);
    kf_database_free(&program->bkmu.front.database);
    kf_owed_receipts_free(&program->bkmu.front.owed);
    kf_front_log_free(&program->bkmu.front.log);
    kf_vault_client_free(&program->bkmu.front.vault);
    kf_bkmu_config_free(&program->config);
}

int main(int argc, char **argv)
{
    bkmu_program program = {.options = KF_FRONT_OPTIONS_INIT};
    const kf_daemon daemon = {.program = "keyfill-bkm-front",
                              .about = "The front of the base key management unit; its monitor keyfill-bkmd "
                                       "starts it.",
                              .options = &kf_front_argp,
                              .options_input = &program.options,
                              .service = &program,
                              .routes = kf_bkmu_routes,
                              .route_count = kf_bkmu_route_count,
                              .load = load,
                              .limit = limit,
                              .limited_ports = KF_LANDLOCK_BIND,
                              .start = start,
                              .reload = reload,
                              .watched = vault_of,
                              .end = end};
    return kf_daemon_run(&daemon, argc, argv);
}
