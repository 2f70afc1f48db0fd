#include "issuing_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/json.h"

#define NUMBERS_MAX 1000
#define REQUEST_MAX 127

typedef struct issued_number {
    char number[24];
    const char *state;
    char request[REQUEST_MAX + 1];
    char iccid[24];
} issued_number;

struct issuing_server {
    kf_http_server *http;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    issuing_mode mode;
    issued_number numbers[NUMBERS_MAX];
    size_t count;
};

static kf_code check_mode(issuing_server *server, kf_error *error)
{
    switch (server->mode) {
    case ISSUING_GOOD: return KF_OK;
    case ISSUING_UNAVAILABLE:
        return kf_fail(error, KF_ERR_BUSY, "the issuing server was told to be unavailable");
    case ISSUING_REFUSING: return kf_fail(error, KF_ERR_CONFLICT, "the issuing server was told to refuse");
    }
    return KF_ERR_INTERNAL;
}

static issued_number *find_number(issuing_server *server, const char *number)
{
    for (size_t i = 0; i < server->count; i++)
        if (strcmp(server->numbers[i].number, number) == 0) return &server->numbers[i];
    return NULL;
}

static issued_number *find_request(issuing_server *server, const char *request)
{
    for (size_t i = 0; i < server->count; i++)
        if (strcmp(server->numbers[i].request, request) == 0) return &server->numbers[i];
    return NULL;
}

static issued_number *find_free(issuing_server *server)
{
    for (size_t i = 0; i < server->count; i++)
        if (strcmp(server->numbers[i].state, "free") == 0) return &server->numbers[i];
    return NULL;
}

typedef struct hook_body {
    const char *request;
    const char *number;
    const char *category;
    const char *iccid;
} hook_body;

static kf_code read_body(const kf_http_request *request, hook_body *ret_body, kf_error *error)
{
    static const char *const members[] = {"request", "number", "category", "iccid", NULL};
    hook_body body = {NULL, NULL, NULL, NULL};
    if (request->json == NULL) return kf_fail(error, KF_ERR_FIELD, "a body is needed");
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_text(request->json, "request", REQUEST_MAX, &body.request, error));
    KF_TRY(kf_json_text_optional(request->json, "number", 20, &body.number, error));
    KF_TRY(kf_json_text_optional(request->json, "category", 64, &body.category, error));
    KF_TRY(kf_json_text_optional(request->json, "iccid", 20, &body.iccid, error));
    *ret_body = body;
    return KF_OK;
}

static kf_code reserve_number(issuing_server *server, const hook_body *body, json_t **ret_json,
                              kf_error *error)
{
    issued_number *number = find_request(server, body->request);
    if (number == NULL) number = find_free(server);
    if (number == NULL) return kf_fail(error, KF_ERR_NOT_FOUND, "no number is left");
    number->state = "reserved";
    (void)snprintf(number->request, sizeof number->request, "%s", body->request);
    *ret_json = json_pack("{s:s}", "number", number->number);
    return KF_OK;
}

static kf_code bind_number(issuing_server *server, const hook_body *body, json_t **ret_json, kf_error *error)
{
    issued_number *number = body->number != NULL ? find_number(server, body->number) : NULL;
    if (number == NULL || strcmp(number->request, body->request) != 0)
        return kf_fail(error, KF_ERR_CONFLICT, "this number is not reserved for this request");
    number->state = "bound";
    (void)snprintf(number->iccid, sizeof number->iccid, "%s", body->iccid != NULL ? body->iccid : "");
    *ret_json = json_object();
    return KF_OK;
}

static kf_code release_number(issuing_server *server, const hook_body *body, json_t **ret_json,
                              kf_error *error)
{
    (void)error;
    issued_number *number =
        body->number != NULL ? find_number(server, body->number) : find_request(server, body->request);
    if (number != NULL && strcmp(number->request, body->request) == 0) {
        /* A number that was on a card rests. */
        number->state = strcmp(number->state, "bound") == 0 ? "released" : "free";
        number->request[0] = '\0';
    }
    *ret_json = json_object();
    return KF_OK;
}

static kf_code run_hook(void *context, const kf_http_request *request, kf_http_response *response,
                        kf_error *error)
{
    issuing_server *server = context;
    hook_body body = {NULL, NULL, NULL, NULL};
    KF_TRY(read_body(request, &body, error));
    (void)pthread_mutex_lock(&server->mutex);
    kf_code code = check_mode(server, error);
    if (code == KF_OK) {
        if (strcmp(request->path, "/hook/reserve") == 0)
            code = reserve_number(server, &body, &response->json, error);
        else if (strcmp(request->path, "/hook/bind") == 0)
            code = bind_number(server, &body, &response->json, error);
        else
            code = release_number(server, &body, &response->json, error);
    }
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->mutex);
    return code;
}

static kf_code list_numbers(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    issuing_server *server = context;
    (void)request;
    json_t *list = json_array();
    response->json = json_object();
    if (kf_json_set(response->json, "numbers", list) != KF_OK) return kf_fail_plain(error, KF_ERR_MEMORY);
    (void)pthread_mutex_lock(&server->mutex);
    for (size_t i = 0; i < server->count; i++) {
        const issued_number *number = &server->numbers[i];
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "number", number->number, "state",
                                                    number->state, "request", number->request, "iccid",
                                                    number->iccid));
    }
    (void)pthread_mutex_unlock(&server->mutex);
    return KF_OK;
}

static kf_code set_mode(void *context, const kf_http_request *request, kf_http_response *response,
                        kf_error *error)
{
    static const char *const names[] = {"good", "unavailable", "refusing"};
    const char *name = NULL;
    if (request->json == NULL) return kf_fail(error, KF_ERR_FIELD, "a body is needed");
    KF_TRY(kf_json_text(request->json, "mode", 32, &name, error));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        issuing_server_set_mode(context, (issuing_mode)i);
        response->json = json_object();
        return KF_OK;
    }
    return kf_fail(error, KF_ERR_FIELD, "mode '%s': good, unavailable or refusing", name);
}

static const kf_http_route routes[] = {
    {"POST", "/hook/reserve", KF_PEER_BIT(KF_PEER_HOST), 4096, run_hook},
    {"POST", "/hook/bind", KF_PEER_BIT(KF_PEER_HOST), 4096, run_hook},
    {"POST", "/hook/release", KF_PEER_BIT(KF_PEER_HOST), 4096, run_hook},
    {"GET", "/hook/numbers", KF_PEER_ANYONE, 0, list_numbers},
    {"POST", "/hook/mode", KF_PEER_ANYONE, 4096, set_mode},
};

kf_code issuing_server_start(const issuing_server_options *options, issuing_server **ret_server,
                             kf_error *error)
{
    if (options->number_count > NUMBERS_MAX) return kf_fail_plain(error, KF_ERR_TOO_LONG);
    issuing_server *server = calloc(1, sizeof *server);
    if (server == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    (void)pthread_mutex_init(&server->mutex, NULL);
    (void)pthread_cond_init(&server->changed, NULL);
    for (size_t i = 0; i < options->number_count; i++) {
        issued_number *number = &server->numbers[server->count++];
        (void)snprintf(number->number, sizeof number->number, "%s", options->numbers[i]);
        number->state = "free";
    }
    const kf_http_server_options http = {.port = options->port,
                                         .ca_file = options->ca_file,
                                         .certificate_file = options->certificate_file,
                                         .key_file = options->key_file,
                                         .routes = routes,
                                         .route_count = sizeof routes / sizeof routes[0],
                                         .context = server};
    kf_code code = kf_http_server_start(&http, &server->http, error);
    if (code != KF_OK) {
        issuing_server_stop(&server);
        return code;
    }
    *ret_server = server;
    return KF_OK;
}

uint16_t issuing_server_port(const issuing_server *server)
{
    return kf_http_server_port(server->http);
}

void issuing_server_set_mode(issuing_server *server, issuing_mode mode)
{
    (void)pthread_mutex_lock(&server->mutex);
    server->mode = mode;
    (void)pthread_mutex_unlock(&server->mutex);
}

const char *issuing_server_state_of(issuing_server *server, const char *number)
{
    (void)pthread_mutex_lock(&server->mutex);
    const issued_number *found = find_number(server, number);
    const char *state = found != NULL ? found->state : "unknown";
    (void)pthread_mutex_unlock(&server->mutex);
    return state;
}

bool issuing_server_wait_for(issuing_server *server, const char *number, const char *state,
                             unsigned milliseconds)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += milliseconds / 1000 + 1;
    int waited = 0;
    (void)pthread_mutex_lock(&server->mutex);
    const issued_number *found = find_number(server, number);
    while (found != NULL && strcmp(found->state, state) != 0 && waited == 0)
        waited = pthread_cond_timedwait(&server->changed, &server->mutex, &until);
    bool reached = found != NULL && strcmp(found->state, state) == 0;
    (void)pthread_mutex_unlock(&server->mutex);
    return reached;
}

void issuing_server_stop(issuing_server **server)
{
    if (*server == NULL) return;
    kf_http_server_stop(&(*server)->http);
    pthread_cond_destroy(&(*server)->changed);
    pthread_mutex_destroy(&(*server)->mutex);
    free(*server);
    *server = NULL;
}
