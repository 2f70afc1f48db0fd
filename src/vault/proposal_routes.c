#include "vault/proposal_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "vault/proposal_do.h"
#include "wire/json.h"

#define ATTACHMENT_MAX (KF_VAULT_PAYLOAD_MAX - 2 * KF_PROPOSAL_SIZE_MAX)

/* ---- as JSON ---- */

static kf_code signatures_to_json(const kf_proposal_row *row, json_t *json)
{
    json_t *list = json_array();
    KF_TRY(kf_json_set(json, "signatures", list));
    for (size_t i = 0; i < row->signatures.count; i++) {
        json_t *item = json_object();
        const kf_officer_signature *signature = &row->signatures.items[i];
        KF_TRY(kf_json_append(list, item));
        KF_TRY(kf_json_set_text(item, "officer", signature->officer));
        KF_TRY(kf_json_set_hex(item, "signature", KF_VIEW(signature->bytes)));
    }
    return KF_OK;
}

static kf_code row_to_json(const kf_proposal_row *row, json_t *json)
{
    KF_TRY(kf_json_set_text(json, "id", row->id));
    KF_TRY(kf_json_set_text(json, "act", row->act));
    KF_TRY(kf_json_set_text(json, "subject", row->subject));
    KF_TRY(kf_json_set_text(json, "proposer", row->proposer));
    KF_TRY(kf_json_set_text(json, "state", row->state));
    KF_TRY(kf_json_set_integer(json, "expires", (int64_t)row->expires));
    if (row->message[0] != '\0') KF_TRY(kf_json_set_text(json, "message", row->message));
    KF_TRY(kf_json_set_base64url(json, "proposal", kf_buffer_view(&row->bytes)));
    return signatures_to_json(row, json);
}

static kf_code set_result(const kf_proposal_row *row, json_t *json, kf_error *error)
{
    json_t *result = NULL;
    if (row->result.size == 0) return KF_OK;
    KF_TRY(kf_json_parse(kf_buffer_view(&row->result), &result, error));
    return kf_fail_plain(error, kf_json_set(json, "result", result));
}

/* The answer of every route about one proposal: as it is on record now. */
static kf_code answer_row(const kf_front *front, const char *id, kf_http_response *response, kf_error *error)
{
    KF_CLEANUP(kf_proposal_row_clear) kf_proposal_row row = {.bytes = KF_BUFFER_INIT};
    KF_TRY(kf_proposals_find(front->database, id, &row, error));
    response->json = json_object();
    KF_TRY(kf_fail_plain(error, row_to_json(&row, response->json)));
    return set_result(&row, response->json, error);
}

/* ---- what comes in ---- */

static kf_code read_row(const kf_http_request *request, kf_proposal_row *row, kf_proposal *ret_proposal,
                        kf_proposal_act *ret_act, kf_error *error)
{
    static const char *const members[] = {"proposal", "signature", "attachment", NULL};
    kf_officer_signature *signature = &row->signatures.items[0];
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_base64url(request->json, "proposal", KF_PROPOSAL_SIZE_MAX, &row->bytes, error));
    KF_TRY(kf_json_base64url_optional(request->json, "attachment", ATTACHMENT_MAX, &row->attachment, error));
    KF_TRY(kf_json_hex_exactly(request->json, "signature", sizeof signature->bytes, signature->bytes, error));
    if (kf_proposal_take(kf_buffer_view(&row->bytes), ret_proposal) != KF_OK ||
        kf_proposal_act_take(ret_proposal, ret_act) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD, "proposal: these bytes are none");
    row->signatures.count = 1;
    (void)snprintf(signature->officer, sizeof signature->officer, "%s", ret_proposal->proposer);
    KF_TRY(kf_fail_plain(error, kf_hex_encode(KF_VIEW(ret_proposal->id), row->id, sizeof row->id)));
    (void)snprintf(row->act, sizeof row->act, "%s", kf_proposal_act_name(ret_act));
    (void)snprintf(row->subject, sizeof row->subject, "%s", kf_proposal_subject_of(ret_act).text);
    (void)snprintf(row->proposer, sizeof row->proposer, "%s", ret_proposal->proposer);
    return KF_OK;
}

typedef struct add_work {
    const kf_front *front;
    const char *caller;
    const kf_proposal_row *row;
    const kf_officer_signature *signature; /* the one that is added */
    const char *action;
} add_work;

static kf_code append_audit(kf_database *database, const add_work *work, kf_error *error)
{
    char detail[512];
    (void)snprintf(detail, sizeof detail, "signed by officer %s: %s %s", work->signature->officer,
                   work->row->act, work->row->subject);
    const kf_audit_event event = {.time_ms = (int64_t)work->front->clock(),
                                  .actor = work->caller,
                                  .action = work->action,
                                  .subject = work->row->id,
                                  .outcome = "ok",
                                  .detail = detail};
    return kf_audit_append(database, &event, NULL, error);
}

static kf_code write_proposal(kf_database *database, void *context, kf_error *error)
{
    const add_work *work = context;
    KF_TRY(kf_proposals_expire(database, work->front->clock() / 1000, error));
    KF_TRY(kf_proposals_add(database, work->row, error));
    KF_TRY(kf_proposals_sign(database, work->row->id, work->signature, 0, error));
    return append_audit(database, work, error);
}

static kf_code write_approval(kf_database *database, void *context, kf_error *error)
{
    const add_work *work = context;
    KF_TRY(
        kf_proposals_sign(database, work->row->id, work->signature, work->row->signatures.count - 1, error));
    return append_audit(database, work, error);
}

/* Signatures that the vault would refuse are refused before they are kept: a wrong one would spoil the rest.
 * Sets whether there are enough. */
static kf_code check_signatures(const kf_front *front, const kf_proposal_row *row, bool *ret_enough,
                                kf_error *error)
{
    KF_CLEANUP(kf_dual_control_clear) kf_dual_control control = {.permits = NULL};
    kf_proposal proposal;
    kf_proposal_act act;
    KF_TRY(kf_fail_plain(error, kf_proposal_take(kf_buffer_view(&row->bytes), &proposal)));
    KF_TRY(kf_fail_plain(error, kf_proposal_act_take(&proposal, &act)));
    KF_TRY(kf_proposal_ask_roster(front, &control, error));
    if (!control.present)
        return kf_fail(
            error, KF_ERR_OFFICERS,
            "this vault has no roster: without one it takes no proposals; see vault: roster: in the "
            "monitor's configuration");
    KF_TRY(kf_proposal_check_signatures(&control.roster, kf_buffer_view(&row->bytes), &proposal,
                                        &row->signatures, error));
    KF_TRY(kf_proposal_check_target(front, &proposal, error));
    *ret_enough = row->signatures.count >= kf_proposal_quorum(&control.roster, &act);
    return KF_OK;
}

kf_code kf_proposal_route_add(const kf_front *front, const kf_http_request *request,
                              kf_http_response *response, bool *ret_changed, kf_error *error)
{
    KF_CLEANUP(kf_proposal_row_clear) kf_proposal_row row = {.bytes = KF_BUFFER_INIT};
    kf_proposal proposal;
    kf_proposal_act act;
    kf_vault_actor caller;
    bool enough = false;
    *ret_changed = false;
    KF_TRY(read_row(request, &row, &proposal, &act, error));
    KF_TRY(check_signatures(front, &row, &enough, error));
    kf_front_actor(request->caller, row.id, &caller);
    add_work work = {front, caller.who, &row, &row.signatures.items[0], "proposal.add"};
    if (kf_database_write(front->database, write_proposal, &work, error) != KF_OK)
        return kf_error_prefix(error, "proposal %s", row.id);
    if (enough) KF_TRY(kf_proposal_do(front, &caller, &row, ret_changed, error));
    response->status = 201;
    return answer_row(front, row.id, response, error);
}

static kf_code read_approval(const kf_http_request *request, kf_proposal_row *row, kf_error *error)
{
    static const char *const members[] = {"officer", "signature", NULL};
    const char *officer = NULL;
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_text(request->json, "officer", KF_OFFICER_NAME_SIZE - 1, &officer, error));
    if (strcmp(row->state, "pending") != 0)
        return kf_fail(error, KF_ERR_STATE, "proposal %s is %s", row->id, row->state);
    if (row->signatures.count == KF_PROPOSAL_SIGNATURES_MAX)
        return kf_fail(error, KF_ERR_STATE, "proposal %s has %d signatures: no more are possible", row->id,
                       KF_PROPOSAL_SIGNATURES_MAX);
    kf_officer_signature *signature = &row->signatures.items[row->signatures.count];
    KF_TRY(kf_json_hex_exactly(request->json, "signature", sizeof signature->bytes, signature->bytes, error));
    (void)snprintf(signature->officer, sizeof signature->officer, "%s", officer);
    row->signatures.count++;
    return KF_OK;
}

typedef struct expiry_work {
    uint64_t now_seconds;
} expiry_work;

static kf_code write_expiry(kf_database *database, void *context, kf_error *error)
{
    const expiry_work *work = context;
    return kf_proposals_expire(database, work->now_seconds, error);
}

static kf_code expire(const kf_front *front, kf_error *error)
{
    expiry_work work = {front->clock() / 1000};
    return kf_database_write(front->database, write_expiry, &work, error);
}

kf_code kf_proposal_route_approve(const kf_front *front, const kf_http_request *request,
                                  kf_http_response *response, bool *ret_changed, kf_error *error)
{
    KF_CLEANUP(kf_proposal_row_clear) kf_proposal_row row = {.bytes = KF_BUFFER_INIT};
    kf_vault_actor caller;
    bool enough = false;
    *ret_changed = false;
    KF_TRY(expire(front, error));
    KF_TRY(kf_proposals_find(front->database, kf_http_path_parameter(request, "id"), &row, error));
    KF_TRY(read_approval(request, &row, error));
    KF_TRY(check_signatures(front, &row, &enough, error));
    kf_front_actor(request->caller, row.id, &caller);
    add_work work = {front, caller.who, &row, &row.signatures.items[row.signatures.count - 1],
                     "proposal.approve"};
    KF_TRY(kf_database_write(front->database, write_approval, &work, error));
    if (enough) KF_TRY(kf_proposal_do(front, &caller, &row, ret_changed, error));
    return answer_row(front, row.id, response, error);
}

typedef struct withdraw_work {
    const kf_front *front;
    const char *caller;
    const kf_proposal_row *row;
} withdraw_work;

static kf_code write_withdrawal(kf_database *database, void *context, kf_error *error)
{
    const withdraw_work *work = context;
    const kf_proposal_outcome outcome = {
        .state = "withdrawn", .result = kf_view_of("", 0), .message = work->caller};
    KF_TRY(kf_proposals_end(database, work->row->id, &outcome, error));
    const kf_audit_event event = {.time_ms = (int64_t)work->front->clock(),
                                  .actor = work->caller,
                                  .action = "proposal.withdraw",
                                  .subject = work->row->id,
                                  .outcome = "ok",
                                  .detail = work->row->act};
    return kf_audit_append(database, &event, NULL, error);
}

kf_code kf_proposal_route_withdraw(const kf_front *front, const kf_http_request *request,
                                   kf_http_response *response, kf_error *error)
{
    KF_CLEANUP(kf_proposal_row_clear) kf_proposal_row row = {.bytes = KF_BUFFER_INIT};
    kf_vault_actor caller;
    KF_TRY(expire(front, error));
    KF_TRY(kf_proposals_find(front->database, kf_http_path_parameter(request, "id"), &row, error));
    if (strcmp(row.proposer, request->caller->name) != 0)
        return kf_fail(error, KF_ERR_FORBIDDEN,
                       "proposal %s is officer %s's: others only leave it unapproved", row.id, row.proposer);
    if (strcmp(row.state, "pending") != 0)
        return kf_fail(error, KF_ERR_STATE, "proposal %s is %s", row.id, row.state);
    kf_front_actor(request->caller, row.id, &caller);
    withdraw_work work = {front, caller.who, &row};
    KF_TRY(kf_database_write(front->database, write_withdrawal, &work, error));
    return answer_row(front, row.id, response, error);
}

kf_code kf_proposal_route_list(const kf_front *front, const kf_http_request *request,
                               kf_http_response *response, kf_error *error)
{
    KF_CLEANUP(kf_free_pointer) kf_proposal_ids *ids = calloc(1, sizeof *ids);
    json_t *list = json_array();
    response->json = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_set(response->json, "proposals", list)));
    if (ids == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(expire(front, error));
    KF_TRY(kf_proposals_list(front->database, kf_http_query_parameter(request, "state"), ids, error));
    for (size_t i = 0; i < ids->count; i++) {
        KF_CLEANUP(kf_proposal_row_clear) kf_proposal_row row = {.bytes = KF_BUFFER_INIT};
        json_t *item = json_object();
        KF_TRY(kf_fail_plain(error, kf_json_append(list, item)));
        KF_TRY(kf_proposals_find(front->database, ids->items[i], &row, error));
        KF_TRY(kf_fail_plain(error, row_to_json(&row, item)));
    }
    return KF_OK;
}

kf_code kf_proposal_route_show(const kf_front *front, const kf_http_request *request,
                               kf_http_response *response, kf_error *error)
{
    KF_TRY(expire(front, error));
    return answer_row(front, kf_http_path_parameter(request, "id"), response, error);
}

/* ---- the roster ---- */

static kf_code officers_to_json(const kf_roster *roster, json_t *json)
{
    json_t *list = json_array();
    KF_TRY(kf_json_set_integer(json, "revision", (int64_t)roster->revision));
    KF_TRY(kf_json_set_integer(json, "quorum_keys", roster->quorum_keys));
    KF_TRY(kf_json_set_integer(json, "quorum_roster", roster->quorum_roster));
    KF_TRY(kf_json_set(json, "officers", list));
    for (size_t i = 0; i < roster->count; i++) {
        const kf_officer *officer = &roster->officers[i];
        json_t *item = json_object();
        KF_TRY(kf_json_append(list, item));
        KF_TRY(kf_json_set_text(item, "name", officer->name));
        KF_TRY(kf_json_set_text(item, "fingerprint", kf_officer_fingerprint_of(officer).text));
        KF_TRY(kf_json_set_base64url(item, "key", kf_view_of(officer->key, officer->key_size)));
    }
    return KF_OK;
}

static kf_code permits_to_json(const kf_dual_control *control, json_t *json)
{
    json_t *list = json_array();
    KF_TRY(kf_json_set(json, "permits", list));
    for (size_t i = 0; i < control->permit_count; i++) {
        const kf_permit *permit = &control->permits[i];
        json_t *item = json_object();
        KF_TRY(kf_json_append(list, item));
        KF_TRY(kf_json_set_text(item, "kind", permit->kind == KF_PERMIT_PROFILE ? "profile" : "module"));
        KF_TRY(kf_json_set_text(item, "name", permit->name));
        KF_TRY(kf_json_set_hex(item, "digest", KF_VIEW(permit->digest)));
    }
    return KF_OK;
}

kf_code kf_proposal_route_roster(const kf_front *front, const kf_http_request *request,
                                 kf_http_response *response, kf_error *error)
{
    (void)request;
    KF_CLEANUP(kf_dual_control_clear) kf_dual_control control = {.permits = NULL};
    KF_TRY(kf_proposal_ask_roster(front, &control, error));
    response->json = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_set_boolean(response->json, "present", control.present)));
    if (control.present) KF_TRY(kf_fail_plain(error, officers_to_json(&control.roster, response->json)));
    return kf_fail_plain(error, permits_to_json(&control, response->json));
}
