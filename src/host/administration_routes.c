#include "host/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "audit/route.h"
#include "host/numbers.h"
#include "host/orders.h"
#include "host/terminals.h"
#include "wire/json.h"

static kf_host *host_of(void *context)
{
    return ((kf_route_context *)context)->host;
}

static kf_code need_body(const kf_http_request *request, kf_error *error)
{
    if (request->json != NULL) return KF_OK;
    return kf_fail(error, KF_ERR_JSON, "the body is missing; %s %s takes a JSON object", request->method,
                   request->path);
}

/* A whole number of the query; `standard` where it is absent. */
static kf_code query_number(const kf_http_request *request, const char *name, int64_t standard,
                            int64_t *ret_number, kf_error *error)
{
    const char *text = kf_http_query_parameter(request, name);
    if (text == NULL) {
        *ret_number = standard;
        return KF_OK;
    }
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0)
        return kf_fail(error, KF_ERR_FIELD, "%s '%s': a whole number is needed", name, text);
    *ret_number = number;
    return KF_OK;
}

/* An answer of one member. */
static kf_code answer_integer(kf_http_response *response, const char *member, int64_t value, kf_error *error)
{
    response->json = json_object();
    kf_code code =
        response->json != NULL ? kf_json_set_integer(response->json, member, value) : KF_ERR_MEMORY;
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

kf_code kf_host_get_terminals(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    (void)request;
    return kf_terminals_list(host_of(context), &response->json, error);
}

kf_code kf_host_post_terminal(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    static const char *const members[] = {"name", NULL};
    const char *name = NULL;
    KF_TRY(need_body(request, error));
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_text(request->json, "name", KF_PEER_NAME_MAX, &name, error));
    kf_enrolment_code made;
    const kf_actor actor = kf_actor_of(request);
    KF_TRY(kf_terminals_invite(host_of(context), name, actor.text, &made, error));
    response->status = 201;
    response->json = json_object();
    kf_code code = response->json != NULL ? KF_OK : KF_ERR_MEMORY;
    if (code == KF_OK) code = kf_json_set_text(response->json, "name", name);
    if (code == KF_OK) code = kf_json_set_text(response->json, "code", made.text);
    if (code == KF_OK) code = kf_json_set_integer(response->json, "expires_ms", made.expires_ms);
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

kf_code kf_host_patch_terminal(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    static const char *const members[] = {"enabled", NULL};
    bool enabled = false;
    KF_TRY(need_body(request, error));
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_boolean(request->json, "enabled", &enabled, error));
    const char *name = kf_http_path_parameter(request, "name");
    const kf_actor actor = kf_actor_of(request);
    KF_TRY(kf_terminals_set_enabled(host_of(context), name, enabled, actor.text, error));
    response->json = json_object();
    kf_code code = response->json != NULL ? KF_OK : KF_ERR_MEMORY;
    if (code == KF_OK) code = kf_json_set_text(response->json, "name", name);
    if (code == KF_OK) code = kf_json_set_boolean(response->json, "enabled", enabled);
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

kf_code kf_host_get_numbers(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    const char *after = kf_http_query_parameter(request, "after");
    kf_number_query query = {.state = kf_http_query_parameter(request, "state"),
                             .after = after != NULL ? after : ""};
    KF_TRY(query_number(request, "limit", KF_NUMBERS_LIST_MAX, &query.limit, error));
    return kf_numbers_list(host_of(context)->database, &query, &response->json, error);
}

/* One import: a list, or a range. */
typedef struct import {
    kf_host *host;
    const char *actor;
    const char *category;
    const json_t *list; /* NULL: the range */
    kf_number_range range;
    int64_t added;
} import;

static kf_code import_work(kf_database *database, void *context, kf_error *error)
{
    import *importing = context;
    importing->added = 0;
    for (size_t i = 0; i < json_array_size(importing->list); i++) {
        const char *number = json_string_value(json_array_get(importing->list, i));
        if (number == NULL)
            return kf_fail(error, KF_ERR_FIELD, "numbers[%zu]: a number is written as text", i);
        KF_TRY(kf_numbers_add(database, number, importing->category, error));
        importing->added++;
    }
    if (importing->list == NULL)
        KF_TRY(kf_numbers_add_range(database, &importing->range, &importing->added, error));
    const kf_audit_event event = {
        .actor = importing->actor, .action = "numbers.add", .subject = importing->category, .outcome = "ok"};
    return kf_host_audit(importing->host, &event, error);
}

kf_code kf_host_post_numbers(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    static const char *const members[] = {"category", "numbers", "first", "last", NULL};
    const kf_actor actor = kf_actor_of(request);
import importing = {.host = host_of(context), .actor = actor.text, .category = "" };
    json_t *list = NULL;
    KF_TRY(need_body(request, error));
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_text_optional(request->json, "category", KF_CATEGORY_MAX, &importing.category, error));
    KF_TRY(kf_json_array_optional(request->json, "numbers", KF_NUMBERS_IMPORT_MAX, &list, error));
    KF_TRY(kf_json_text_optional(request->json, "first", KF_NUMBER_MAX, &importing.range.first, error));
    KF_TRY(kf_json_text_optional(request->json, "last", KF_NUMBER_MAX, &importing.range.last, error));
    const bool range = importing.range.first != NULL && importing.range.last != NULL;
    const bool part = importing.range.first != NULL || importing.range.last != NULL;
    if (list != NULL ? part || json_array_size(list) == 0 : !range)
        return kf_fail(error, KF_ERR_FIELD, "give either numbers, a list of at least one, or first and last");
    importing.list = list;
    importing.range.category = importing.category;
    KF_TRY(kf_database_write(importing.host->database, import_work, &importing, error));
    return answer_integer(response, "added", importing.added, error);
}

kf_code kf_host_get_orders(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    (void)request;
    return kf_orders_list(host_of(context), &response->json, error);
}

kf_code kf_host_put_order(void *context, const kf_http_request *request, kf_http_response *response,
                          kf_error *error)
{
    KF_TRY(need_body(request, error));
    const kf_actor actor = kf_actor_of(request);
    const char *name = kf_http_path_parameter(request, "name");
    KF_TRY(kf_orders_put(host_of(context), name, request->json, actor.text, error));
    response->json = json_deep_copy(request->json);
    kf_code code = response->json != NULL ? kf_json_set_text(response->json, "name", name) : KF_ERR_MEMORY;
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

kf_code kf_host_get_audit(void *context, const kf_http_request *request, kf_http_response *response,
                          kf_error *error)
{
    return kf_audit_route_list(host_of(context)->database, request, response, error);
}
