/* keyfill-bkm-front: the front of the base key management unit, started by keyfill-bkmd. */
#include <time.h>

#include "base/log.h"
#include "bkmu/bkmu.h"
#include "bkmu/bkmu_config.h"

#define PROGRAM "keyfill-bkm-front"

static uint64_t machine_clock(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static kf_code start_log(const char *path, const kf_bkmu_config *config, kf_error *error)
{
    kf_log_level level = KF_LOG_INFO;
    if (config->log_level != NULL && kf_log_level_from_name(config->log_level, &level) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%s: log_level: %s is none of error, warning, info, debug", path, config->log_level);
    kf_log_start(PROGRAM, level);
    return KF_OK;
}

static kf_code check_own_certificate(const kf_bkmu_config *config, kf_error *error)
{
    kf_peer self;
    KF_TRY(kf_peer_of_file(config->certificate, &self, error));
    if (self.role == KF_PEER_BKMU) return KF_OK;
    return kf_fail(error, KF_ERR_CERTIFICATE, "%s is the certificate of a %s; a bkmu's is wanted",
                   config->certificate, kf_peer_role_name(self.role));
}

static kf_code open_records(const kf_bkmu_config *config, kf_bkmu *bkmu, kf_error *error)
{
    KF_TRY(kf_database_open(config->database, &bkmu->front.database, error));
    KF_TRY(kf_database_migrate(bkmu->front.database, &kf_audit_migrations, error));
    KF_TRY(kf_database_migrate(bkmu->front.database, &kf_key_peers_migrations, error));
    return kf_database_migrate(bkmu->front.database, &kf_bkmu_migrations, error);
}

static kf_code serve(const kf_bkmu_config *config, kf_bkmu *bkmu, kf_error *error)
{
    const kf_http_server_options options = {.address = config->address,
                                            .port = config->port,
                                            .ca_file = config->ca,
                                            .certificate_file = config->certificate,
                                            .key_file = config->private_key,
                                            .worker_threads = config->worker_threads,
                                            .routes = kf_bkmu_routes,
                                            .route_count = kf_bkmu_route_count,
                                            .context = bkmu,
                                            .refused = kf_bkmu_refused};
    KF_CLEANUP(kf_pusher_free) kf_pusher *pusher = NULL;
    KF_TRY(kf_pusher_new(bkmu, &pusher, error));
    bkmu->pusher = pusher;
    KF_CLEANUP(kf_http_server_stop) kf_http_server *server = NULL;
    KF_TRY(kf_http_server_start(&options, &server, error));
    kf_log(KF_LOG_INFO, "listening on %s:%u", config->address != NULL ? config->address : "127.0.0.1",
           (unsigned)kf_http_server_port(server));
    return kf_front_wait(bkmu->front.vault, error);
}

static kf_code run(const kf_front_options *options, kf_error *error)
{
    KF_CLEANUP(kf_bkmu_config_free) kf_bkmu_config *config = NULL;
    KF_CLEANUP(kf_vault_client_free) kf_vault_client *vault = NULL;
    KF_TRY(kf_front_hold_signals(error));
    KF_TRY(kf_vault_client_new(options->vault_descriptor, &vault, error));
    KF_TRY(kf_bkmu_config_load(options->config, &config, error));
    KF_TRY(start_log(options->config, config, error));
    KF_TRY(check_own_certificate(config, error));
    kf_bkmu bkmu = {.front = {.vault = vault, .database = NULL, .clock = machine_clock},
                    .identity = {config->ca, config->certificate, config->private_key}};
    kf_code code = kf_owed_receipts_new(&bkmu.front.owed, error);
    if (code == KF_OK) code = open_records(config, &bkmu, error);
    if (code == KF_OK) code = kf_front_resume(&bkmu.front, error);
    if (code == KF_OK) code = serve(config, &bkmu, error);
    kf_database_free(&bkmu.front.database);
    kf_owed_receipts_free(&bkmu.front.owed);
    return code;
}

int main(int argc, char **argv)
{
    kf_front_options options;
    kf_log_start(PROGRAM, KF_LOG_INFO);
    kf_front_parse(argc, argv, "The front of the base key management unit.", &options);
    kf_error error = {KF_OK, ""};
    kf_code code = run(&options, &error);
    if (code == KF_OK) return KF_EXIT_OK;
    (void)kf_fail_plain(&error, code);
    kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    return kf_code_exit_status(code);
}
