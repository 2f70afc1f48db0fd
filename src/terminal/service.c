#include "terminal/service.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wire/health.h"
#include "wire/http_server.h"
#include "wire/json.h"

#define OPERATION_BODY_MAX ((size_t)16 * 1024) /* bytes */
#define LOCAL KF_PEER_BIT(KF_PEER_LOCAL)
#define READER_URI_SIZE 512

struct kf_terminal_service {
    char reader_uri[READER_URI_SIZE];
    char name[KF_PEER_NAME_MAX + 1];
    char *host_url;
    const kf_host_link *host;
    unsigned card_wait;
    unsigned command_timeout;
    pthread_mutex_t card; /* held by whoever works with the reader */
    kf_http_server *server;
};

static void release_card(pthread_mutex_t **card)
{
    if (*card != NULL) pthread_mutex_unlock(*card);
}

/* One at a time: a second caller is told at once instead of being kept waiting behind a whole operation. */
static kf_code take_card(kf_terminal_service *service, pthread_mutex_t **ret_held, kf_error *error)
{
    if (pthread_mutex_trylock(&service->card) != 0)
        return kf_fail(error, KF_ERR_BUSY, "the terminal is working on a card; wait until it is done");
    *ret_held = &service->card;
    return KF_OK;
}

/* Opened for each use: after a call that hung only a new reader is of use, and readers come and go. */
static kf_code open_reader(const kf_terminal_service *service, kf_operation_means *operation, kf_error *error)
{
    operation->host = service->host;
    operation->card_wait = service->card_wait;
    operation->command_timeout = service->command_timeout;
    return kf_reader_open(service->reader_uri, &operation->reader, error);
}

static void close_reader(kf_operation_means *operation)
{
    kf_reader_close(&operation->reader);
}

static kf_code answer_with(kf_http_response *response, json_t *json, kf_error *error)
{
    if (json == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    response->json = json;
    return KF_OK;
}

static kf_code handle_status(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    kf_terminal_service *service = context;
    (void)request;
    KF_CLEANUP(release_card) pthread_mutex_t *held = NULL;
    KF_CLEANUP(kf_reader_close) kf_reader *reader = NULL;
    kf_error reason = {KF_OK, ""};
    bool busy = take_card(service, &held, NULL) != KF_OK;
    bool present = busy;
    if (!busy) {
        kf_code code = kf_reader_open(service->reader_uri, &reader, &reason);
        if (code == KF_OK) code = kf_reader_wait_present(reader, 0, &reason);
        present = code == KF_OK;
    }
    json_t *status = json_pack(
        "{s:s, s:s, s:s, s:b, s:b}", "terminal", service->name, "host", service->host_url, "reader",
        reader != NULL ? kf_reader_name(reader) : service->reader_uri, "card", present, "busy", busy);
    KF_TRY(answer_with(response, status, error));
    if (!present) KF_TRY(kf_json_set_text(status, "detail", kf_error_text(&reason)));
    return KF_OK;
}

/* What the key management unit knows of the card, or why it is not known: no failure of reading the card. */
static kf_code look_up(const kf_terminal_service *service, const json_t *card, json_t **ret_record)
{
    KF_CLEANUP(kf_json_free) json_t *question = json_object();
    if (question == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_json_set(question, "card", json_deep_copy(card)));
    kf_error error = {KF_OK, ""};
    json_t *record = NULL;
    kf_code code = service->host->post(service->host->context, "/v1/cards/lookup", question, &record, &error);
    if (code == KF_OK && record != NULL) {
        *ret_record = record;
        return KF_OK;
    }
    record =
        json_pack("{s:s}", "error", code == KF_OK ? "the host gave an empty answer" : kf_error_text(&error));
    if (record == NULL) return KF_ERR_MEMORY;
    *ret_record = record;
    return KF_OK;
}

static kf_code describe_card(const kf_terminal_service *service, const kf_operation_means *operation,
                             const kf_card_report *report, json_t *answer)
{
    json_t *card = NULL;
    json_t *readable = NULL;
    json_t *record = NULL;
    KF_TRY(kf_json_set_text(answer, "reader", kf_reader_name(operation->reader)));
    KF_TRY(kf_card_report_to_json(report, &card));
    KF_TRY(kf_json_set(answer, "card", card));
    KF_TRY(kf_card_report_reasons_to_json(report, &readable));
    KF_TRY(kf_json_set(answer, "readable", readable));
    KF_TRY(look_up(service, card, &record));
    return kf_json_set(answer, "record", record);
}

static kf_code handle_card(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    kf_terminal_service *service = context;
    (void)request;
    KF_CLEANUP(release_card) pthread_mutex_t *held = NULL;
    KF_CLEANUP(close_reader) kf_operation_means operation = {.id = ""};
    kf_card_report report;
    KF_TRY(take_card(service, &held, error));
    KF_TRY(open_reader(service, &operation, error));
    KF_TRY(kf_operation_read_card(&operation, NULL, &report, error));
    KF_TRY(answer_with(response, json_object(), error));
    return kf_fail_plain(error, describe_card(service, &operation, &report, response->json));
}

static void log_operation(const char *id, const json_t *request, const json_t *result, const kf_error *error)
{
    const char *asked = json_string_value(json_object_get(request, "operation"));
    const char *text = json_string_value(json_object_get(result, "text"));
    if (result != NULL)
        kf_log(KF_LOG_INFO, "request %s: %.40s: %s", id, asked != NULL ? asked : "?",
               text != NULL ? text : "done");
    else
        kf_log(KF_LOG_WARNING, "request %s: %.40s: %s", id, asked != NULL ? asked : "?",
               kf_error_text(error));
}

static kf_code handle_operation(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error)
{
    kf_terminal_service *service = context;
    if (request->json == NULL)
        return kf_fail(error, KF_ERR_JSON, "the operation is missing: a JSON object is wanted");
    KF_CLEANUP(release_card) pthread_mutex_t *held = NULL;
    char id[KF_REQUEST_ID_SIZE];
    KF_CLEANUP(close_reader) kf_operation_means operation = {.id = id};
    KF_TRY(take_card(service, &held, error));
    kf_code code = kf_request_id_new(id);
    if (code != KF_OK) return kf_fail_plain(error, code);
    KF_TRY(open_reader(service, &operation, error));
    memcpy(response->request_id, id, sizeof id);
    json_t *result = NULL;
    code = kf_operation_run(&operation, request->json, &result, error);
    log_operation(id, request->json, result, error);
    if (code == KF_OK) response->json = result;
    return code;
}

const kf_http_route kf_terminal_routes[] = {
    {"GET", "/healthz", KF_PEER_ANYONE, 0, kf_health_answer},
    {"GET", "/readyz", KF_PEER_ANYONE, 0, kf_health_answer},
    {"GET", "/v1/status", LOCAL, 0, handle_status},
    {"GET", "/v1/card", LOCAL, 0, handle_card},
    {"POST", "/v1/operations", LOCAL, OPERATION_BODY_MAX, handle_operation},
};
const size_t kf_terminal_route_count = sizeof kf_terminal_routes / sizeof kf_terminal_routes[0];

static void free_service(kf_terminal_service *service)
{
    pthread_mutex_destroy(&service->card);
    free(service->host_url);
    free(service);
}

static kf_code listen_on(const kf_terminal_service_options *options, kf_terminal_service *service,
                         kf_error *error)
{
    const kf_http_server_options server_options = {.unix_path = options->socket_path,
                                                   .unix_mode = options->socket_mode,
                                                   .routes = kf_terminal_routes,
                                                   .route_count = kf_terminal_route_count,
                                                   .context = service};
    return kf_http_server_start(&server_options, &service->server, error);
}

kf_code kf_terminal_service_start(const kf_terminal_service_options *options,
                                  kf_terminal_service **ret_service, kf_error *error)
{
    if (strlen(options->reader_uri) >= READER_URI_SIZE)
        return kf_fail(error, KF_ERR_CONFIGURATION, "reader '%.80s…': too long", options->reader_uri);
    kf_terminal_service *service = calloc(1, sizeof *service);
    if (service == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    pthread_mutex_init(&service->card, NULL);
    memcpy(service->reader_uri, options->reader_uri, strlen(options->reader_uri) + 1);
    memcpy(service->name, options->name, strnlen(options->name, KF_PEER_NAME_MAX));
    service->host_url = strdup(options->host_url);
    service->host = options->host;
    service->card_wait = options->card_wait;
    service->command_timeout = options->command_timeout;
    kf_code code =
        service->host_url != NULL ? listen_on(options, service, error) : kf_fail_plain(error, KF_ERR_MEMORY);
    if (code != KF_OK) {
        free_service(service);
        return code;
    }
    *ret_service = service;
    return KF_OK;
}

void kf_terminal_service_stop(kf_terminal_service **service)
{
    if (*service == NULL) return;
    kf_http_server_stop(&(*service)->server);
    free_service(*service);
    *service = NULL;
}
