/* keyfill-kmu-front: the front of the key management unit, started by its monitor. */
#include <stdio.h>
#include <string.h>

#include "audit/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "kmu/bounds.h"
#include "kmu/card_uses.h"
#include "kmu/categories.h"
#include "kmu/kmu.h"
#include "kmu/kmu_config.h"
#include "kmu/records.h"
#include "kmu/request_retention.h"
#include "kmu/rollback.h"
#include "wire/daemon.h"
#include "wire/housekeeper.h"

#define PULL_RETRY_FIRST_SECONDS 1
#define PULL_RETRY_MOST_SECONDS 60

typedef struct kmu_program {
    kf_front_options options;
    kf_kmu_config *config;
    kf_kmu kmu;
    bool kmu_made;
    kf_http_server *server;
    kf_housekeeper *puller;
    unsigned pull_retry_seconds;
    unsigned first_pull_wait; /* seconds until the second pull; 0 once that was waited for */
    bool pulled;
    kf_audit_keeper *keeper;
    kf_housekeeper *pruner;
} kmu_program;

static kf_code load(void *context, const char *config_path, const char **ret_log_level, kf_error *error)
{
    kmu_program *program = context;
    kf_peer self;
    KF_TRY(kf_kmu_config_load(config_path, &program->config, error));
    *ret_log_level = program->config->unit.log_level;
    return kf_unit_identify(&program->config->unit, KF_PEER_KMU, &self, error);
}

/* Asks the base key management unit for what is missing, and shows it how far key store and audit log have
 * come. In how many seconds to ask again. */
static unsigned pull_round(void *context)
{
    kmu_program *program = context;
    kf_kmu *kmu = &program->kmu;
    kf_error error = {KF_OK, ""};
    size_t count = 0;
    if (kf_kmu_pull(kmu, program->pulled ? "kmu:poll" : "kmu:start", &count, &error) == KF_OK) {
        if (count > 0 || !program->pulled)
            kf_log(KF_LOG_INFO, "%zu key blocks received from %s", count, kmu->bkmu.name);
        program->pulled = true;
        program->pull_retry_seconds = PULL_RETRY_FIRST_SECONDS;
        return program->config->bkmu_poll_seconds;
    }
    unsigned seconds = program->pull_retry_seconds;
    kf_log(KF_LOG_WARNING, "no keys from %s, tried again in %u s: %s", kmu->bkmu.name, seconds,
           kf_error_text(&error));
    if (kf_rollback_missed(kmu, &error) != KF_OK)
        kf_log(KF_LOG_ERROR, "when %s was reached last is not known: %s", kmu->bkmu.name,
               kf_error_text(&error));
    program->pull_retry_seconds =
        seconds * 2 < PULL_RETRY_MOST_SECONDS ? seconds * 2 : PULL_RETRY_MOST_SECONDS;
    return seconds;
}

/* The first answer, or that there is none, is waited for before anything is served. */
static unsigned later_pull_round(void *context)
{
    kmu_program *program = context;
    unsigned seconds = program->first_pull_wait;
    program->first_pull_wait = 0;
    return seconds != 0 ? seconds : pull_round(program);
}

static unsigned prune_round(void *context)
{
    kmu_program *program = context;
    kf_requests_prune_and_log(&program->kmu, program->config->request_retention_days);
    return KF_REQUESTS_PRUNE_SECONDS;
}

static void refused(void *context, const kf_http_request *request, const kf_error *error)
{
    kf_kmu *kmu = context;
    kf_audit_route_refused(kmu->front.database, kf_kmu_now(kmu), request, error);
}

static kf_code open_records(const kf_kmu_config *config, kf_kmu *kmu, kf_error *error)
{
    KF_TRY(kf_front_open_records(&kmu->front, config->unit.database, &kf_kmu_migrations, error));
    KF_TRY(kf_card_uses_complete(kmu->front.database, error));
    KF_TRY(kf_kmu_mirror_keys(kmu, error));
    return kf_categories_load(kmu->front.database, &kmu->categories, error);
}

static kf_code connect_bkmu(const kf_kmu_config *config, kf_kmu *kmu, kf_error *error)
{
    if (config->bkmu == NULL) return KF_OK;
    const kf_http_client_options options =
        kf_unit_client(&config->unit, config->bkmu, KF_PEER_BKMU, config->bkmu_name);
    KF_TRY(kf_http_client_new(&options, &kmu->bkmu.client, error));
    kmu->bkmu.name = config->bkmu_name != NULL ? config->bkmu_name : config->bkmu;
    kmu->bkmu.pair = config->pair;
    return KF_OK;
}

static kf_code limit(void *context, kf_sandbox *sandbox, kf_error *error)
{
    const kf_kmu_config *config = ((kmu_program *)context)->config;
    KF_TRY(kf_sandbox_allow_unit(sandbox, &config->unit, error));
    KF_TRY(kf_audit_config_limit(config->audit, sandbox, error));
    return kf_sandbox_allow_connect(sandbox, config->bkmu, error);
}

static kf_code start(void *context, char ret_ready[KF_DAEMON_READY_SIZE], kf_error *error)
{
    kmu_program *program = context;
    const kf_kmu_config *config = program->config;
    kf_kmu *kmu = &program->kmu;
    const kf_http_server_options options = {.routes = kf_kmu_routes,
                                            .route_count = kf_kmu_route_count,
                                            .context = kmu,
                                            .check_caller = kf_bounds_check_caller,
                                            .refused = refused,
                                            .admit = kf_rollback_admit};
    kmu->front.clock = kf_clock_now_ms;
    kmu->front.count_cards = kf_card_uses_annotate;
    kmu->development = program->options.development;
    kmu->hosts_open = strcmp(config->hosts, "open") == 0;
    KF_TRY(kf_front_meet_vault(&program->options, &kmu->front, error));
    KF_TRY(kf_kmu_init(kmu, error));
    program->kmu_made = true;
    KF_TRY(open_records(config, kmu, error));
    KF_TRY(connect_bkmu(config, kmu, error));
    KF_TRY(kf_rollback_new(config->bkmu_grace_seconds, &kmu->rollback, error));
    if (kmu->bkmu.client != NULL) program->first_pull_wait = pull_round(program);
    const kf_audit_keeper_options keeper = {&kmu->front, config->audit, &config->unit, "keyfill-kmu-front"};
    KF_TRY(kf_audit_keeper_start(&keeper, &program->keeper, error));
    KF_TRY(kf_unit_serve(&config->unit, &options, &program->server, error));
    if (kmu->bkmu.client != NULL)
        KF_TRY(kf_housekeeper_start(later_pull_round, program, &program->puller, error));
    KF_TRY(kf_housekeeper_start(prune_round, program, &program->pruner, error));
    if (kmu->hosts_open)
        kf_log(KF_LOG_WARNING,
               "hosts: open: every host with a certificate may ask for every category and number");
    if (kmu->development)
        kf_log(KF_LOG_WARNING, "DEVELOPMENT: card-manager keys that every card shares are accepted");
    (void)snprintf(ret_ready, KF_DAEMON_READY_SIZE, "listening on %s:%u", config->unit.address,
                   (unsigned)kf_http_server_port(program->server));
    return KF_OK;
}

static int vault_of(void *context)
{
    return kf_vault_client_descriptor(((kmu_program *)context)->kmu.front.vault);
}

static kf_code reload(void *context, kf_error *error)
{
    kmu_program *program = context;
    return kf_http_server_reload(program->server, error);
}

static void end(void *context)
{
    kmu_program *program = context;
    kf_kmu *kmu = &program->kmu;
    kf_http_server_stop(&program->server);
    kf_housekeeper_stop(&program->puller);
    kf_housekeeper_stop(&program->pruner);
    kf_audit_keeper_end(&program->keeper);
    if (program->kmu_made) kf_kmu_end(kmu);
    kf_http_client_free(&kmu->bkmu.client);
    kf_categories_free(&kmu->categories);
    kf_vault_client_free(&kmu->front.vault);
    kf_database_free(&kmu->front.database);
    kf_kmu_config_free(&program->config);
}

int main(int argc, char **argv)
{
    kmu_program program = {.options = KF_FRONT_OPTIONS_INIT, .pull_retry_seconds = PULL_RETRY_FIRST_SECONDS};
    const kf_daemon daemon = {.program = "keyfill-kmu-front",
                              .about = "The front of the key management unit; its monitor keyfill-kmud "
                                       "starts it.",
                              .options = &kf_front_argp,
                              .options_input = &program.options,
                              .service = &program,
                              .routes = kf_kmu_routes,
                              .route_count = kf_kmu_route_count,
                              .load = load,
                              .limit = limit,
                              .limited_ports = KF_LANDLOCK_BIND | KF_LANDLOCK_CONNECT,
                              .start = start,
                              .reload = reload,
                              .watched = vault_of,
                              .end = end};
    return kf_daemon_run(&daemon, argc, argv);
}
