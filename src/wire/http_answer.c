#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http_exchange.h"
#include "wire/json.h"

#define PROBLEM_TYPE_PREFIX "urn:keyfill:error:"
#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json"

/* Messages may quote what came from outside; JSON takes UTF-8 only. */
static json_t *text_of(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL) return value;
    char ascii[KF_ERROR_MESSAGE_SIZE];
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < sizeof ascii; i++)
        ascii[i] = text[i] >= ' ' && text[i] < 0x7F ? text[i] : '?';
    ascii[i] = '\0';
    return json_string(ascii);
}

/* `text` was made by malloc; libmicrohttpd frees it. */
static void set_response(kf_http_exchange *exchange, int status, char *text, const char *content_type)
{
    size_t size = text != NULL ? strlen(text) : 0;
    struct MHD_Response *response = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return;
    }
    if (content_type != NULL)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    /* Answers of keys and cards are nobody's to keep. */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (exchange->response != NULL) MHD_destroy_response(exchange->response);
    exchange->response = response;
    exchange->status = (unsigned)status;
}

void kf_http_answer_problem(kf_http_exchange *exchange, const kf_error *error, const char *request_id,
                            unsigned retry_after_seconds)
{
    char type[96];
    int status = kf_code_http_status(error->code);
    (void)snprintf(type, sizeof type, PROBLEM_TYPE_PREFIX "%s", kf_code_name(error->code));
    json_t *problem = json_pack("{s:s, s:s, s:i, s:o}", "type", type, "title", kf_code_meaning(error->code),
                                "status", status, "detail", text_of(kf_error_text(error)));
    if (problem != NULL && request_id[0] != '\0')
        (void)json_object_set_new(problem, "request", text_of(request_id));
    char *text = problem != NULL ? json_dumps(problem, JSON_COMPACT) : NULL;
    json_decref(problem);
    set_response(exchange, status, text, PROBLEM_TYPE);
    if (exchange->response == NULL) return;
    char seconds[16];
    (void)snprintf(seconds, sizeof seconds, "%u", retry_after_seconds);
    if (retry_after_seconds > 0)
        (void)MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    if (error->code == KF_ERR_METHOD)
        (void)MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_ALLOW, exchange->allow);
}

static kf_code check_caller(kf_http_exchange *exchange)
{
    const kf_http_server_options *options = &exchange->server->options;
    const kf_peer *caller = exchange->request.caller;
    if (options->check_caller == NULL || caller->role == KF_PEER_NONE || caller->role == KF_PEER_LOCAL ||
        (exchange->route->roles & KF_PEER_ANYONE) != 0)
        return KF_OK;
    return kf_fail_plain(&exchange->refusal,
                         options->check_caller(options->context, caller, &exchange->refusal));
}

static kf_code take_json(kf_http_exchange *exchange)
{
    kf_http_request *request = &exchange->request;
    request->body = kf_buffer_view(&exchange->body);
    if (request->body.size == 0 && exchange->route->body_limit > 0)
        return kf_fail(&exchange->refusal, KF_ERR_JSON, "the body is missing; %s %s takes a JSON object",
                       request->method, request->path);
    if (request->body.size == 0) return KF_OK;
    return kf_json_parse(request->body, &request->json, &exchange->refusal);
}

static bool is_refusal_of_caller(kf_code code)
{
    return code == KF_ERR_FORBIDDEN || code == KF_ERR_CERTIFICATE || code == KF_ERR_DISABLED;
}

static void clear_response(kf_http_response *response)
{
    json_decref(response->json);
    kf_buffer_clear(&response->body);
}

static kf_code render(kf_http_exchange *exchange, kf_http_response *response)
{
    int status = response->status != 0 ? response->status : MHD_HTTP_OK;
    if (response->json != NULL) {
        char *text = json_dumps(response->json, JSON_COMPACT);
        if (text == NULL) return KF_ERR_MEMORY;
        set_response(exchange, status, text, JSON_TYPE);
        return KF_OK;
    }
    KF_TRY(kf_buffer_status(&response->body));
    struct MHD_Response *made =
        MHD_create_response_from_buffer(response->body.size, response->body.data, MHD_RESPMEM_MUST_COPY);
    if (made == NULL) return KF_ERR_MEMORY;
    if (response->content_type != NULL)
        (void)MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    (void)MHD_add_response_header(made, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    exchange->response = made;
    exchange->status = (unsigned)status;
    return KF_OK;
}

/* KF_OK, or the refusal that stands in the exchange. Nothing of the body is looked at for a caller who may
 * not call. */
static kf_code admit(kf_http_exchange *exchange)
{
    if (exchange->refusal.code == KF_OK && exchange->route != NULL) (void)check_caller(exchange);
    if (exchange->refusal.code == KF_OK) (void)take_json(exchange);
    return exchange->refusal.code;
}

static unsigned microseconds_since(const struct timespec *began)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned)((now.tv_sec - began->tv_sec) * 1000000 + (now.tv_nsec - began->tv_nsec) / 1000);
}

void kf_http_answer(kf_http_exchange *exchange)
{
    const kf_http_server_options *options = &exchange->server->options;
    kf_http_response response = {.body = KF_BUFFER_INIT};
    kf_error error = {KF_OK, ""};
    kf_code code = admit(exchange);
    if (code != KF_OK) {
        error = exchange->refusal;
        if (is_refusal_of_caller(code) && options->refused != NULL)
            options->refused(options->context, &exchange->request, &error);
    } else {
        if (options->admit != NULL) code = options->admit(options->context, &exchange->request, &error);
        if (code == KF_OK)
            code = exchange->route->handler(options->context, &exchange->request, &response, &error);
        if (code == KF_OK) code = render(exchange, &response);
    }
    if (code != KF_OK) {
        (void)kf_fail_plain(&error, code);
        unsigned retry = response.retry_after_seconds;
        if (retry == 0 && (code == KF_ERR_BUSY || code == KF_ERR_UNAVAILABLE || code == KF_ERR_RATE))
            retry = 1;
        kf_http_answer_problem(exchange, &error, response.request_id, retry);
    }
    clear_response(&response);
    if (options->answered != NULL)
        options->answered(options->context, &exchange->request, (int)exchange->status,
                          microseconds_since(&exchange->began));
}
