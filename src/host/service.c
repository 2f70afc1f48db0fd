#include "host/service.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "host/issuing_server.h"
#include "host/requests.h"
#include "host/routes.h"

struct kf_host_service {
    kf_host host;
    bool host_started;
    kf_http_client *kmu_client;
    kf_http_client *issuing_client;
    kf_http_server *server;
    kf_route_context context;
    pthread_t housekeeper;
    bool housekeeper_started;
    pthread_mutex_t mutex; /* over the two below */
    pthread_cond_t changed;
    bool woken;
    bool ending;
};

static int64_t system_now_ms(void *context)
{
    (void)context;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake(void *context)
{
    kf_host_service *service = context;
    (void)pthread_mutex_lock(&service->mutex);
    service->woken = true;
    (void)pthread_cond_signal(&service->changed);
    (void)pthread_mutex_unlock(&service->mutex);
}

/* Waits to be woken, or for the next round; false at the end. */
static bool wait_for_work(kf_host_service *service)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += KF_HOST_HOUSEKEEPING_SECONDS;
    (void)pthread_mutex_lock(&service->mutex);
    int waited = 0;
    while (!service->ending && !service->woken && waited == 0)
        waited = pthread_cond_timedwait(&service->changed, &service->mutex, &until);
    service->woken = false;
    bool go_on = !service->ending;
    (void)pthread_mutex_unlock(&service->mutex);
    return go_on;
}

static void log_failure(const char *what, kf_code code, const kf_error *error)
{
    if (code != KF_OK) kf_log(KF_LOG_WARNING, "%s, tried again later: %s", what, kf_error_text(error));
}

static void *keep_house(void *context)
{
    kf_host_service *service = context;
    do {
        kf_error error = {KF_OK, ""};
        int64_t next_ms = 0;
        log_failure("requests that broke off", kf_requests_settle(&service->host, &error), &error);
        log_failure("calls to the issuing server",
                    kf_issuing_server_deliver(&service->host, &next_ms, &error), &error);
    } while (wait_for_work(service));
    return NULL;
}

static kf_code connect_kmu(const kf_host_config *config, kf_host_service *service, kf_error *error)
{
    const kf_http_client_options options = {.base_url = config->kmu,
                                            .ca_file = config->ca,
                                            .certificate_file = config->certificate,
                                            .key_file = config->private_key,
                                            .expected_role = KF_PEER_KMU,
                                            .expected_name = config->kmu_name};
    KF_TRY(kf_http_client_new(&options, &service->kmu_client, error));
    service->host.kmu = kf_link_of_client(service->kmu_client);
    return KF_OK;
}

static kf_code connect_issuing_server(const kf_host_config *config, kf_host_service *service, kf_error *error)
{
    if (config->issuing_server == NULL) return KF_OK;
    const kf_http_client_options options = {.base_url = config->issuing_server,
                                            .ca_file = config->issuing_server_ca,
                                            .certificate_file = config->certificate,
                                            .key_file = config->private_key};
    KF_TRY(kf_http_client_new(&options, &service->issuing_client, error));
    service->host.issuing_server = kf_link_of_client(service->issuing_client);
    return KF_OK;
}

static kf_code open_host(const kf_host_config *config, kf_host_service *service, kf_error *error)
{
    kf_host *host = &service->host;
    host->now_ms = system_now_ms;
    host->settings = (kf_host_settings){
        .reservation_ms = (int64_t)config->reservation_minutes * 60000,
        .enrolment_ms = (int64_t)config->enrolment_minutes * 60000,
        .certificate_days = config->terminal_certificate_days,
        .numbers_from_issuing_server = strcmp(config->number_source, "issuing-server") == 0,
    };
    KF_TRY(kf_pki_pair_load(config->terminal_authority_certificate, config->terminal_authority_key,
                            &host->terminal_authority, error));
    KF_TRY(connect_kmu(config, service, error));
    KF_TRY(connect_issuing_server(config, service, error));
    KF_TRY(kf_database_open(config->database, &host->database, error));
    KF_TRY(kf_host_start(host, error));
    service->host_started = true;
    return KF_OK;
}

static kf_code start_housekeeper(kf_host_service *service, kf_error *error)
{
    if (pthread_create(&service->housekeeper, NULL, keep_house, service) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "a thread cannot be started");
    service->housekeeper_started = true;
    return KF_OK;
}

static kf_code start_server(const kf_host_config *config, kf_host_service *service, kf_error *error)
{
    service->context = (kf_route_context){.host = &service->host, .wake = wake, .wake_context = service};
    const kf_http_server_options options = {.address = config->address,
                                            .port = config->port,
                                            .ca_file = config->ca,
                                            .certificate_file = config->certificate,
                                            .key_file = config->private_key,
                                            .worker_threads = config->worker_threads,
                                            .routes = kf_host_routes,
                                            .route_count = kf_host_route_count,
                                            .context = &service->context,
                                            .refused = kf_host_refused,
                                            .answered = kf_host_answered};
    return kf_http_server_start(&options, &service->server, error);
}

static kf_code make_waiting(kf_host_service *service)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return KF_ERR_SYSTEM;
    kf_code code = KF_ERR_SYSTEM;
    if (pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
        pthread_mutex_init(&service->mutex, NULL) == 0) {
        code = pthread_cond_init(&service->changed, &attributes) == 0 ? KF_OK : KF_ERR_SYSTEM;
        if (code != KF_OK) pthread_mutex_destroy(&service->mutex);
    }
    pthread_condattr_destroy(&attributes);
    return code;
}

kf_code kf_host_service_start(const kf_host_config *config, kf_host_service **ret_service, kf_error *error)
{
    kf_host_service *made = calloc(1, sizeof *made);
    if (made == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_code code = make_waiting(made);
    if (code != KF_OK) {
        free(made);
        return kf_fail_plain(error, code);
    }
    KF_CLEANUP(kf_host_service_stop) kf_host_service *service = made;
    KF_TRY(open_host(config, service, error));
    KF_TRY(start_housekeeper(service, error));
    KF_TRY(start_server(config, service, error));
    *ret_service = service;
    service = NULL; /* the caller owns it now */
    return KF_OK;
}

uint16_t kf_host_service_port(const kf_host_service *service)
{
    return kf_http_server_port(service->server);
}

static void end_housekeeper(kf_host_service *service)
{
    if (!service->housekeeper_started) return;
    (void)pthread_mutex_lock(&service->mutex);
    service->ending = true;
    (void)pthread_cond_signal(&service->changed);
    (void)pthread_mutex_unlock(&service->mutex);
    (void)pthread_join(service->housekeeper, NULL);
}

void kf_host_service_stop(kf_host_service **service)
{
    kf_host_service *stopping = *service;
    if (stopping == NULL) return;
    kf_http_server_stop(&stopping->server);
    end_housekeeper(stopping);
    kf_http_client_free(&stopping->kmu_client);
    kf_http_client_free(&stopping->issuing_client);
    if (stopping->host_started)
        kf_host_end(&stopping->host);
    else
        kf_pki_pair_clear(&stopping->host.terminal_authority);
    kf_database_free(&stopping->host.database);
    pthread_cond_destroy(&stopping->changed);
    pthread_mutex_destroy(&stopping->mutex);
    free(stopping);
    *service = NULL;
}
