#include "audit/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/row_json.h"
#include "base/log.h"
#include "wire/json.h"

kf_code kf_audit_query_number(const kf_http_request *request, const char *name, int64_t standard,
                              int64_t *ret_number, kf_error *error)
{
    const char *text = kf_http_query_parameter(request, name);
    *ret_number = standard;
    if (text == NULL) return KF_OK;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0)
        return kf_fail(error, KF_ERR_FIELD, "%s: \"%.40s\" is not a number from 0", name, text);
    *ret_number = number;
    return KF_OK;
}

static kf_code append_row(const kf_audit_row *row, void *context)
{
    json_t *item = NULL;
    KF_TRY(kf_audit_row_to_json(row, &item));
    return kf_json_append(context, item);
}

kf_code kf_audit_route_list(kf_database *database, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    kf_audit_range range;
    KF_TRY(kf_audit_query_number(request, "after", 0, &range.after, error));
    KF_TRY(kf_audit_query_number(request, "limit", KF_AUDIT_LIST_MAX, &range.limit, error));
    if (range.limit < 1 || range.limit > KF_AUDIT_LIST_MAX)
        return kf_fail(error, KF_ERR_FIELD, "limit: 1 to %d rows are given at a time", KF_AUDIT_LIST_MAX);
    response->json = json_object();
    json_t *rows = json_array();
    if (kf_json_set(response->json, "rows", rows) != KF_OK) return kf_fail_plain(error, KF_ERR_MEMORY);
    return kf_audit_list(database, range, append_row, rows, error);
}

static kf_code append_event(kf_database *database, void *context, kf_error *error)
{
    return kf_audit_append(database, context, NULL, error);
}

void kf_audit_route_refused(kf_database *database, int64_t now_ms, const kf_http_request *request,
                            const kf_error *refusal)
{
    char actor[KF_AUDIT_NAME_MAX];
    char subject[KF_AUDIT_NAME_MAX];
    char detail[KF_ERROR_MESSAGE_SIZE + sizeof request->remote];
    (void)snprintf(actor, sizeof actor, "%s:%s", kf_peer_role_name(request->caller->role),
                   request->caller->name);
    (void)snprintf(subject, sizeof subject, "%.10s %.200s", request->method, request->path);
    (void)snprintf(detail, sizeof detail, "%s (from %s)", kf_error_text(refusal), request->remote);
    kf_audit_event event = {
        .time_ms = now_ms,
        .actor = actor,
        .action = "route.forbidden",
        .subject = subject,
        .outcome = kf_code_name(refusal->code),
        .detail = detail,
    };
    kf_error error = {KF_OK, ""};
    if (kf_database_write(database, append_event, &event, &error) != KF_OK)
        kf_log(KF_LOG_ERROR, "no audit row for a refused call of %s: %s", actor, kf_error_text(&error));
}
