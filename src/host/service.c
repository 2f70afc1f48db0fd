#include "host/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/issuing_server.h"
#include "host/request_retention.h"
#include "host/requests.h"
#include "host/routes.h"
#include "wire/housekeeper.h"

struct kf_host_service {
    kf_host host;
    bool host_started;
    kf_http_client *kmu_client;
    kf_http_client *issuing_client;
    kf_http_server *server;
    kf_route_context context;
    kf_housekeeper *housekeeper;
    int64_t prune_ms; /* old requests are looked for then; the housekeeper's */
};

static int64_t system_now_ms(void *context)
{
    (void)context;
    return (int64_t)kf_clock_now_ms();
}

static void wake(void *context)
{
    kf_host_service *service = context;
    kf_housekeeper_wake(service->housekeeper);
}

static void log_failure(const char *what, kf_code code, const kf_error *error)
{
    if (code != KF_OK) kf_log(KF_LOG_WARNING, "%s, tried again later: %s", what, kf_error_text(error));
}

static unsigned keep_house(void *context)
{
    kf_host_service *service = context;
    kf_error error = {KF_OK, ""};
    int64_t next_ms = 0;
    log_failure("requests that broke off", kf_requests_settle(&service->host, &error), &error);
    log_failure("calls to the issuing server", kf_issuing_server_deliver(&service->host, &next_ms, &error),
                &error);
    if (kf_host_now(&service->host) >= service->prune_ms) {
        log_failure("old requests", kf_request_retention_keep(&service->host, &error), &error);
        service->prune_ms = kf_host_now(&service->host) + KF_REQUEST_PRUNE_MS;
    }
    return KF_HOST_HOUSEKEEPING_SECONDS;
}

static kf_code connect_kmu(const kf_host_config *config, kf_host_service *service, kf_error *error)
{
    const kf_http_client_options options =
        kf_unit_client(&config->unit, config->kmu, KF_PEER_KMU, config->kmu_name);
    KF_TRY(kf_http_client_new(&options, &service->kmu_client, error));
    service->host.kmu = kf_link_of_client(service->kmu_client);
    return KF_OK;
}

static kf_code connect_issuing_server(const kf_host_config *config, kf_host_service *service, kf_error *error)
{
    if (config->issuing_server == NULL) return KF_OK;
    kf_http_client_options options =
        kf_unit_client(&config->unit, config->issuing_server, KF_PEER_NONE, NULL);
    /* Lists are signed by the authority that issued; another one's say nothing of its certificates. */
    if (strcmp(config->issuing_server_ca, config->unit.ca) != 0) options.crl_file = NULL;
    options.ca_file = config->issuing_server_ca;
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
        .retention_ms = (int64_t)config->request_retention_days * 24 * 3600 * 1000,
        .numbers_from_issuing_server = strcmp(config->number_source, "issuing-server") == 0,
    };
    KF_TRY(kf_pki_pair_load(config->terminal_authority_certificate, config->terminal_authority_key,
                            &host->terminal_authority, error));
    KF_TRY(connect_kmu(config, service, error));
    KF_TRY(connect_issuing_server(config, service, error));
    KF_TRY(kf_database_open(config->unit.database, &host->database, error));
    KF_TRY(kf_host_start(host, error));
    service->host_started = true;
    return KF_OK;
}

static kf_code start_server(const kf_host_config *config, kf_host_service *service, kf_error *error)
{
    service->context = (kf_route_context){.host = &service->host, .wake = wake, .wake_context = service};
    const kf_http_server_options options = {.routes = kf_host_routes,
                                            .route_count = kf_host_route_count,
                                            .context = &service->context,
                                            .refused = kf_host_refused,
                                            .answered = kf_host_answered};
    return kf_unit_serve(&config->unit, &options, &service->server, error);
}

kf_code kf_host_service_start(const kf_host_config *config, kf_host_service **ret_service, kf_error *error)
{
    KF_CLEANUP(kf_host_service_stop) kf_host_service *service = calloc(1, sizeof *service);
    if (service == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(open_host(config, service, error));
    KF_TRY(kf_housekeeper_start(keep_house, service, &service->housekeeper, error));
    KF_TRY(start_server(config, service, error));
    *ret_service = service;
    service = NULL; /* the caller owns it now */
    return KF_OK;
}

uint16_t kf_host_service_port(const kf_host_service *service)
{
    return kf_http_server_port(service->server);
}

kf_code kf_host_service_reload(kf_host_service *service, kf_error *error)
{
    return kf_http_server_reload(service->server, error);
}

void kf_host_service_stop(kf_host_service **service)
{
    kf_host_service *stopping = *service;
    if (stopping == NULL) return;
    kf_http_server_stop(&stopping->server);
    kf_housekeeper_stop(&stopping->housekeeper);
    kf_http_client_free(&stopping->kmu_client);
    kf_http_client_free(&stopping->issuing_client);
    if (stopping->host_started)
        kf_host_end(&stopping->host);
    else
        kf_pki_pair_clear(&stopping->host.terminal_authority);
    kf_database_free(&stopping->host.database);
    free(stopping);
    *service = NULL;
}
