/* keyfill-kmu-front: the front of the key management unit, started by its monitor. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "audit/route.h"
#include "base/log.h"
#include "kmu/categories.h"
#include "kmu/kmu.h"
#include "kmu/kmu_config.h"
#include "kmu/records.h"
#include "vault/key_peers.h"

#define PROGRAM "keyfill-kmu-front"
#define PULL_RETRY_FIRST_SECONDS 1
#define PULL_RETRY_MOST_SECONDS 60

static uint64_t machine_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What was missed while this unit was away is asked for at start, until the base key management unit answers.
 */
typedef struct starting_pull {
    kf_kmu *kmu;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ending;
} starting_pull;

static bool wait_to_retry(starting_pull *pull, unsigned seconds)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    (void)pthread_mutex_lock(&pull->lock);
    int waited = 0;
    while (!pull->ending && waited == 0)
        waited = pthread_cond_timedwait(&pull->changed, &pull->lock, &until);
    bool go_on = !pull->ending;
    (void)pthread_mutex_unlock(&pull->lock);
    return go_on;
}

static void *pull_at_start(void *context)
{
    starting_pull *pull = context;
    unsigned seconds = PULL_RETRY_FIRST_SECONDS;
    for (;;) {
        kf_error error = {KF_OK, ""};
        size_t count = 0;
        kf_code code = kf_kmu_pull(pull->kmu, "kmu:start", &count, &error);
        if (code == KF_OK) {
            kf_log(KF_LOG_INFO, "%zu key blocks received from %s", count, pull->kmu->bkmu.name);
            return NULL;
        }
        kf_log(KF_LOG_WARNING, "no keys from %s yet, tried again in %u s: %s", pull->kmu->bkmu.name, seconds,
               kf_error_text(&error));
        if (!wait_to_retry(pull, seconds)) return NULL;
        seconds = seconds * 2 < PULL_RETRY_MOST_SECONDS ? seconds * 2 : PULL_RETRY_MOST_SECONDS;
    }
}

static kf_code start_pull(kf_kmu *kmu, starting_pull *pull, kf_error *error)
{
    pull->kmu = kmu;
    if (kmu->bkmu.client == NULL) return KF_OK;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pull->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&pull->lock, NULL);
    if (pthread_create(&pull->thread, NULL, pull_at_start, pull) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "no thread for pulling keys can be made");
    pull->started = true;
    return KF_OK;
}

static void stop_pull(starting_pull *pull)
{
    if (!pull->started) return;
    (void)pthread_mutex_lock(&pull->lock);
    pull->ending = true;
    (void)pthread_cond_signal(&pull->changed);
    (void)pthread_mutex_unlock(&pull->lock);
    (void)pthread_join(pull->thread, NULL);
    (void)pthread_cond_destroy(&pull->changed);
    (void)pthread_mutex_destroy(&pull->lock);
}

static void refused(void *context, const kf_http_request *request, const kf_error *error)
{
    kf_kmu *kmu = context;
    kf_audit_route_refused(kmu->front.database, kf_kmu_now(kmu), request, error);
}

static kf_code open_records(const kf_kmu_config *config, kf_kmu *kmu, kf_error *error)
{
    KF_TRY(kf_database_open(config->database, &kmu->front.database, error));
    KF_TRY(kf_database_migrate(kmu->front.database, &kf_audit_migrations, error));
    KF_TRY(kf_database_migrate(kmu->front.database, &kf_key_peers_migrations, error));
    KF_TRY(kf_database_migrate(kmu->front.database, &kf_kmu_migrations, error));
    KF_TRY(kf_front_resume(&kmu->front, error));
    KF_TRY(kf_kmu_mirror_keys(kmu, error));
    return kf_categories_load(kmu->front.database, &kmu->categories, error);
}

static kf_code connect_bkmu(const kf_kmu_config *config, kf_kmu *kmu, kf_error *error)
{
    if (config->bkmu == NULL) return KF_OK;
    const kf_http_client_options options = {
        .base_url = config->bkmu,
        .ca_file = config->ca,
        .certificate_file = config->certificate,
        .key_file = config->private_key,
        .expected_role = KF_PEER_BKMU,
        .expected_name = config->bkmu_name,
    };
    KF_TRY(kf_http_client_new(&options, &kmu->bkmu.client, error));
    kmu->bkmu.name = config->bkmu_name != NULL ? config->bkmu_name : config->bkmu;
    kmu->bkmu.pair = config->pair;
    return KF_OK;
}

static kf_code start_server(const kf_kmu_config *config, kf_kmu *kmu, kf_http_server **ret_server,
                            kf_error *error)
{
    const kf_http_server_options options = {
        .address = config->address,
        .port = config->port,
        .ca_file = config->ca,
        .certificate_file = config->certificate,
        .key_file = config->private_key,
        .worker_threads = config->worker_threads,
        .routes = kf_kmu_routes,
        .route_count = kf_kmu_route_count,
        .context = kmu,
        .refused = refused,
    };
    return kf_http_server_start(&options, ret_server, error);
}

static kf_code serve(const kf_kmu_config *config, kf_kmu *kmu, kf_error *error)
{
    KF_TRY(open_records(config, kmu, error));
    KF_TRY(connect_bkmu(config, kmu, error));
    KF_CLEANUP(kf_http_server_stop) kf_http_server *server = NULL;
    KF_TRY(start_server(config, kmu, &server, error));
    kf_log(KF_LOG_INFO, "listening on %s:%u", config->address, (unsigned)kf_http_server_port(server));
    if (kmu->development)
        kf_log(KF_LOG_WARNING, "DEVELOPMENT: card-manager keys that every card shares are accepted");
    starting_pull pull = {.started = false};
    KF_TRY(start_pull(kmu, &pull, error));
    kf_code code = kf_front_wait(kmu->front.vault, error);
    stop_pull(&pull);
    return code;
}

static kf_code run(const kf_front_options *options, kf_error *error)
{
    KF_CLEANUP(kf_kmu_config_free) kf_kmu_config *config = NULL;
    KF_TRY(kf_kmu_config_load(options->config, &config, error));
    kf_log_level level;
    KF_TRY(kf_log_level_from_name(config->log_level, &level));
    kf_log_start(PROGRAM, level);
    KF_TRY(kf_front_hold_signals(error));
    kf_kmu kmu = {.front = {.clock = machine_clock}, .development = options->development};
    KF_TRY(kf_vault_client_new(options->vault_descriptor, &kmu.front.vault, error));
    kf_code code = kf_kmu_init(&kmu, error);
    if (code == KF_OK) {
        code = serve(config, &kmu, error);
        kf_kmu_end(&kmu);
    }
    kf_http_client_free(&kmu.bkmu.client);
    kf_categories_free(&kmu.categories);
    kf_vault_client_free(&kmu.front.vault);
    kf_database_free(&kmu.front.database);
    return code;
}

int main(int argc, char **argv)
{
    kf_log_start(PROGRAM, KF_LOG_INFO);
    kf_front_options options;
    kf_front_parse(argc, argv, "The front of the key management unit; its monitor keyfill-kmud starts it.",
                   &options);
    kf_error error = {KF_OK, ""};
    kf_code code = run(&options, &error);
    if (code == KF_OK) return KF_EXIT_OK;
    (void)kf_fail_plain(&error, code);
    kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    return kf_code_exit_status(code);
}
