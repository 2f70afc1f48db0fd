#include "vault/audit_head_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/route.h"
#include "audit/row_json.h"
#include "vault/receipt.h"
#include "wire/json.h"

static kf_code set_head(json_t *json, const char *member, const kf_signed_head *head)
{
    json_t *item = NULL;
    KF_TRY(kf_signed_head_to_json(head, &item));
    return kf_json_set(json, member, item);
}

static kf_code set_state(const kf_audit_state *state, json_t *json)
{
    char text[KF_HOLD_TEXT_SIZE];
    kf_audit_hold_text(state->note.holds, text);
    KF_TRY(kf_json_set_hex(json, "vault", KF_VIEW(state->vault)));
    KF_TRY(kf_json_set_hex(json, "public_key", KF_VIEW(state->public_key)));
    KF_TRY(kf_json_set_integer(json, "receipts", (int64_t)state->receipts));
    KF_TRY(kf_json_set_integer(json, "revision", (int64_t)state->revision));
    KF_TRY(kf_json_set_text(json, "found", kf_audit_hold_names(state->note.holds).text));
    return kf_json_set_text(json, "text", text);
}

static kf_code put_peer(const kf_audit_peer_row *peer, void *context)
{
    json_t *item = json_object();
    KF_TRY(kf_json_append(context, item));
    KF_TRY(kf_json_set_text(item, "unit", peer->unit));
    KF_TRY(kf_json_set_hex(item, "public_key", KF_VIEW(peer->peer.public_key)));
    KF_TRY(set_head(item, "head", &peer->peer.newest));
    KF_TRY(kf_json_set_integer(item, "seen_ms", peer->peer.seen_ms));
    return kf_json_set_text(item, "finding", peer->peer.finding);
}

kf_code kf_audit_route_state(const kf_front *front, const kf_http_request *request,
                             kf_http_response *response, kf_error *error)
{
    (void)request;
    kf_audit_state state;
    kf_audit_head newest;
    kf_signed_head head;
    bool found = false;
    KF_TRY(kf_front_audit_state(front, &state, error));
    KF_TRY(kf_audit_read_head(front->database, &newest, error));
    KF_TRY(kf_audit_heads_newest(front->database, KF_AUDIT_OWN, &found, &head, error));
    response->json = json_object();
    json_t *peers = json_array();
    KF_TRY(kf_fail_plain(error, set_state(&state, response->json)));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(response->json, "rows", newest.seq)));
    if (found) KF_TRY(kf_fail_plain(error, set_head(response->json, "head", &head)));
    KF_TRY(kf_fail_plain(error, kf_json_set(response->json, "peers", peers)));
    return kf_audit_peers_list(front->database, put_peer, peers, error);
}

kf_code kf_audit_route_sign(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    static const char *const no_members[] = {NULL};
    kf_signed_head head;
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    KF_TRY(kf_json_only(request->json, no_members, error));
    KF_TRY(kf_front_sign_head(front, &head, error));
    response->json = json_object();
    return kf_fail_plain(error, set_head(response->json, "head", &head));
}

kf_code kf_audit_route_heads(const kf_front *front, const kf_http_request *request,
                             kf_http_response *response, kf_error *error)
{
    int64_t after = 0;
    int64_t limit = 0;
    size_t count = 0;
    const char *unit = kf_http_query_parameter(request, "unit");
    KF_TRY(kf_audit_query_number(request, "after", 0, &after, error));
    KF_TRY(kf_audit_query_number(request, "limit", KF_HEADS_LIST_MAX, &limit, error));
    if (limit < 1 || limit > KF_HEADS_LIST_MAX)
        return kf_fail(error, KF_ERR_FIELD, "limit: 1 to %d heads are given at a time", KF_HEADS_LIST_MAX);
    KF_CLEANUP(kf_free_pointer) kf_kept_head *heads = calloc((size_t)limit, sizeof *heads);
    if (heads == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    const kf_heads_range range = {unit != NULL ? unit : KF_AUDIT_OWN, after, (size_t)limit};
    KF_TRY(kf_audit_heads_list(front->database, &range, heads, &count, error));
    json_t *items = json_array();
    response->json = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_set(response->json, "heads", items)));
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_object();
        KF_TRY(kf_fail_plain(error, kf_json_append(items, item)));
        KF_TRY(kf_fail_plain(error, kf_json_set_integer(item, "number", heads[i].number)));
        KF_TRY(kf_fail_plain(error, set_head(item, "head", &heads[i].head)));
    }
    return KF_OK;
}

/* The receipts of rows, one after another. */
typedef struct receipt_rows {
    kf_buffer receipts;
    int64_t last;
} receipt_rows;

static kf_code take_row(const kf_audit_row *row, void *context)
{
    receipt_rows *rows = context;
    kf_view receipt = row->event.receipt;
    rows->last = row->seq;
    if (receipt.size == 0) return KF_OK;
    kf_buffer_append_u16(&rows->receipts, (uint16_t)receipt.size);
    kf_buffer_append(&rows->receipts, receipt);
    return kf_buffer_status(&rows->receipts);
}

static kf_code set_verdict(const kf_receipt_verdict *verdict, json_t *json)
{
    KF_TRY(kf_json_set_hex(json, "digest", KF_VIEW(verdict->digest)));
    KF_TRY(kf_json_set_integer(json, "count", verdict->count));
    KF_TRY(kf_json_set_integer(json, "bad", verdict->bad));
    KF_TRY(kf_json_set_integer(json, "first_bad", (int64_t)(verdict->first_bad & INT64_MAX)));
    return kf_json_set_hex(json, "signature", KF_VIEW(verdict->signature));
}

kf_code kf_audit_route_receipts(const kf_front *front, const kf_http_request *request,
                                kf_http_response *response, kf_error *error)
{
    kf_audit_range range;
    kf_receipt_verdict verdict;
    KF_TRY(kf_audit_query_number(request, "after", 0, &range.after, error));
    KF_TRY(kf_audit_query_number(request, "limit", KF_VERIFY_RECEIPTS_MAX, &range.limit, error));
    if (range.limit > KF_VERIFY_RECEIPTS_MAX)
        return kf_fail(error, KF_ERR_FIELD, "limit: 1 to %d rows are judged at a time",
                       KF_VERIFY_RECEIPTS_MAX);
    KF_CLEANUP(kf_buffer_clear) kf_buffer receipts = kf_buffer_with_limit(KF_VERIFY_RECEIPTS_SIZE);
    receipt_rows rows = {receipts, range.after};
    kf_code code = kf_audit_list(front->database, range, take_row, &rows, error);
    receipts = rows.receipts;
    KF_TRY(code);
    KF_TRY(kf_front_verify_receipts(front, kf_buffer_view(&receipts), &verdict, error));
    response->json = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(response->json, "last", rows.last)));
    return kf_fail_plain(error, set_verdict(&verdict, response->json));
}

typedef struct forgetting {
    const char *unit;
    const char *who;
    const char *reason;
    int64_t now_ms;
} forgetting;

static kf_code forget(kf_database *database, void *context, kf_error *error)
{
    const forgetting *work = context;
    kf_audit_peer peer;
    KF_TRY(kf_audit_peer_find(database, work->unit, &peer, error));
    if (!peer.found) return kf_fail(error, KF_ERR_NOT_FOUND, "no unit %s has shown a head here", work->unit);
    KF_TRY(kf_audit_peer_forget(database, work->unit, error));
    const kf_audit_event event = {.time_ms = work->now_ms,
                                  .actor = work->who,
                                  .action = "audit.accept-unit",
                                  .subject = work->unit,
                                  .outcome = "ok",
                                  .detail = work->reason};
    return kf_audit_append(database, &event, NULL, error);
}

static kf_code accept_own(const kf_front *front, const kf_vault_actor *actor, const char *found,
                          const char *reason, kf_error *error)
{
    kf_accept_log_request wanted = {.actor = *actor};
    if (kf_audit_holds_from_names(found, &wanted.holds) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD, "found: \"%s\" is not what GET /v1/audit/state says", found);
    (void)snprintf(wanted.reason, sizeof wanted.reason, "%s", reason);
    return kf_front_accept_log(front, &wanted, error);
}

kf_code kf_audit_route_accept(const kf_front *front, const kf_http_request *request,
                              kf_http_response *response, kf_error *error)
{
    static const char *const members[] = {"found", "unit", "reason", NULL};
    const char *found = NULL;
    const char *unit = NULL;
    const char *reason = NULL;
    kf_vault_actor actor;
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_text_optional(request->json, "found", 64, &found, error));
    KF_TRY(kf_json_text_optional(request->json, "unit", KF_AUDIT_UNIT_MAX, &unit, error));
    KF_TRY(kf_json_text(request->json, "reason", KF_ACCEPT_REASON_SIZE - 1, &reason, error));
    if ((found == NULL) == (unit == NULL))
        return kf_fail(error, KF_ERR_FIELD, "one of found and unit is wanted: what is accepted");
    kf_front_actor(request->caller, NULL, &actor);
    if (found != NULL) KF_TRY(accept_own(front, &actor, found, reason, error));
    forgetting work = {unit, actor.who, reason, (int64_t)front->clock()};
    if (unit != NULL) KF_TRY(kf_database_write(front->database, forget, &work, error));
    return kf_audit_route_state(front, request, response, error);
}
