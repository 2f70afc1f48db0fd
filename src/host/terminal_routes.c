#include "host/routes.h"

#include <stdio.h>
#include <string.h>

#include "host/request_form.h"
#include "host/requests.h"
#include "host/terminals.h"
#include "wire/json.h"
#include "wire/request_json.h"

static kf_code need_body(const kf_http_request *request, kf_error *error)
{
    if (request->json != NULL) return KF_OK;
    return kf_fail(error, KF_ERR_JSON, "the body is missing; %s %s takes a JSON object", request->method,
                   request->path);
}

static kf_code enter(const kf_route_context *context, const kf_http_request *request, kf_error *error)
{
    return kf_terminals_admit(context->host, request->caller, request->remote, error);
}

kf_code kf_host_post_request(void *opaque, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    const kf_route_context *context = opaque;
    KF_TRY(enter(context, request, error));
    KF_TRY(need_body(request, error));
    const char *id = json_string_value(json_object_get(request->json, "id"));
    if (id != NULL && kf_request_id_check(id, NULL) == KF_OK)
        (void)snprintf(response->request_id, sizeof response->request_id, "%s", id);
    const kf_request_call call = {
        .terminal = request->caller->name, .json = request->json, .body = request->body};
    kf_code code = kf_requests_begin(context->host, &call, &response->json, error);
    context->wake(context->wake_context);
    return code;
}

kf_code kf_host_post_message(void *opaque, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    const kf_route_context *context = opaque;
    KF_TRY(enter(context, request, error));
    KF_TRY(need_body(request, error));
    const char *id = kf_http_path_parameter(request, "id");
    KF_TRY(kf_request_id_check(id, error));
    (void)snprintf(response->request_id, sizeof response->request_id, "%s", id);
    const kf_request_call call = {
        .terminal = request->caller->name, .id = id, .json = request->json, .body = request->body};
    kf_code code = kf_requests_message(context->host, &call, &response->json, error);
    context->wake(context->wake_context);
    return code;
}

kf_code kf_host_post_lookup(void *opaque, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    static const char *const members[] = {"card", NULL};
    const kf_route_context *context = opaque;
    KF_TRY(enter(context, request, error));
    KF_TRY(need_body(request, error));
    json_t *card = NULL;
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_object(request->json, "card", &card, error));
    KF_TRY(kf_card_report_check(card, error));
    const kf_http_call call = {.method = "POST", .path = "/v1/cards/lookup", .body = request->json};
    return kf_link_call(&context->host->kmu, &call, &response->json, error);
}

kf_code kf_host_get_modules(void *opaque, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    const kf_route_context *context = opaque;
    KF_TRY(enter(context, request, error));
    const kf_http_call call = {.method = "GET", .path = "/v1/modules"};
    return kf_link_call(&context->host->kmu, &call, &response->json, error);
}

/* A text with line ends, which kf_json_text refuses. */
static kf_code read_pem(const json_t *object, const char *member, kf_view *ret_pem, kf_error *error)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value) || json_string_length(value) > KF_PKI_REQUEST_MAX)
        return kf_fail(error, KF_ERR_FIELD, "%s: a certificate request (PEM) of at most %zu bytes is needed",
                       member, KF_PKI_REQUEST_MAX);
    *ret_pem = kf_view_of(json_string_value(value), json_string_length(value));
    return KF_OK;
}

kf_code kf_host_post_enrolment(void *opaque, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    static const char *const members[] = {"code", "request", NULL};
    const kf_route_context *context = opaque;
    KF_TRY(need_body(request, error));
    kf_enrolment enrolment = {.address = request->remote};
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_text(request->json, "code", KF_ENROLMENT_CODE_SIZE - 1, &enrolment.code, error));
    KF_TRY(read_pem(request->json, "request", &enrolment.request, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer certificate = KF_BUFFER_INIT;
    char name[KF_PEER_NAME_MAX + 1];
    KF_TRY(kf_terminals_enrol(context->host, &enrolment, &certificate, name, error));
    const char *text = kf_buffer_text(&certificate);
    json_t *answer = json_object();
    response->json = answer;
    response->status = 201;
    kf_code code = text != NULL && answer != NULL ? KF_OK : KF_ERR_MEMORY;
    if (code == KF_OK) code = kf_json_set_text(answer, "name", name);
    if (code == KF_OK) code = kf_json_set_text(answer, "certificate", text);
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}
