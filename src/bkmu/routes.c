#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/route.h"
#include "base/log.h"
#include "bkmu/bkmu.h"
#include "vault/audit_head_routes.h"
#include "vault/key_routes.h"
#include "vault/proposal_routes.h"
#include "wire/health.h"
#include "wire/json.h"

static void wake(const kf_bkmu *bkmu)
{
    kf_error error = {KF_OK, ""};
    if (kf_pusher_wake(bkmu->pusher, &error) != KF_OK)
        kf_log(KF_LOG_ERROR, "keys are not pushed: %s", kf_error_text(&error));
}

static kf_code get_ready(void *context, const kf_http_request *request, kf_http_response *response,
                         kf_error *error)
{
    const kf_bkmu *bkmu = context;
    KF_TRY(kf_front_check_ready(&bkmu->front, error));
    KF_TRY(kf_front_check_held(&bkmu->front, error));
    return kf_health_answer(context, request, response, error);
}

static kf_code get_vault(void *context, const kf_http_request *request, kf_http_response *response,
                         kf_error *error)
{
    const kf_bkmu *bkmu = context;
    return kf_key_route_vault(&bkmu->front, request, response, error);
}

static kf_code get_keys(void *context, const kf_http_request *request, kf_http_response *response,
                        kf_error *error)
{
    const kf_bkmu *bkmu = context;
    return kf_key_route_list(&bkmu->front, request, response, error);
}

static kf_code post_keys(void *context, const kf_http_request *request, kf_http_response *response,
                         kf_error *error)
{
    const kf_bkmu *bkmu = context;
    bool changed = false;
    KF_TRY(kf_key_route_act(&bkmu->front, request, response, &changed, error));
    if (changed) wake(bkmu);
    return KF_OK;
}

static kf_code act_on_proposal(void *context, kf_proposal_route route, const kf_http_request *request,
                               kf_http_response *response, kf_error *error)
{
    const kf_bkmu *bkmu = context;
    bool changed = false;
    kf_code code = route(&bkmu->front, request, response, &changed, error);
    if (changed) wake(bkmu);
    return code;
}

static kf_code post_proposal(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    return act_on_proposal(context, kf_proposal_route_add, request, response, error);
}

static kf_code post_approval(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    return act_on_proposal(context, kf_proposal_route_approve, request, response, error);
}

static kf_code delete_proposal(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    return kf_proposal_route_withdraw(&((kf_bkmu *)context)->front, request, response, error);
}

static kf_code get_proposals(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    return kf_proposal_route_list(&((kf_bkmu *)context)->front, request, response, error);
}

static kf_code get_proposal(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    return kf_proposal_route_show(&((kf_bkmu *)context)->front, request, response, error);
}

static kf_code get_roster(void *context, const kf_http_request *request, kf_http_response *response,
                          kf_error *error)
{
    return kf_proposal_route_roster(&((kf_bkmu *)context)->front, request, response, error);
}

static kf_code get_audit(void *context, const kf_http_request *request, kf_http_response *response,
                         kf_error *error)
{
    const kf_bkmu *bkmu = context;
    return kf_audit_route_list(bkmu->front.database, request, response, error);
}

static kf_code row_to_json(const kf_kmu_row *row, uint64_t head, json_t *json)
{
    KF_TRY(kf_json_set_text(json, "name", row->name));
    KF_TRY(kf_json_set_text(json, "url", row->url));
    KF_TRY(kf_json_set_text(json, "pair", row->pair));
    KF_TRY(kf_json_set_boolean(json, "enabled", row->enabled));
    KF_TRY(kf_json_set_integer(json, "acknowledged", (int64_t)row->acknowledged));
    KF_TRY(kf_json_set_boolean(json, "up_to_date", row->acknowledged == head));
    KF_TRY(kf_json_set_integer(json, "contact_ms", (int64_t)row->contact_ms));
    return kf_json_set_text(json, "last_error", row->last_error);
}

static kf_code get_kmus(void *context, const kf_http_request *request, kf_http_response *response,
                        kf_error *error)
{
    (void)request;
    const kf_bkmu *bkmu = context;
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {.entries = NULL};
    KF_CLEANUP(kf_free_pointer) kf_kmu_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_key_exchange_list(&bkmu->front, &list, error));
    KF_TRY(kf_kmus_list(bkmu->front.database, rows, error));
    json_t *items = json_array();
    response->json = json_object();
    KF_TRY(kf_fail_plain(error,
                         kf_json_set_integer(response->json, "revision", (int64_t)kf_bkmu_head(&list, ""))));
    KF_TRY(kf_fail_plain(error, kf_json_set(response->json, "kmus", items)));
    for (size_t i = 0; i < rows->count; i++) {
        json_t *item = json_object();
        KF_TRY(kf_fail_plain(error, kf_json_append(items, item)));
        uint64_t head = kf_bkmu_head(&list, rows->items[i].pair);
        KF_TRY(kf_fail_plain(error, row_to_json(&rows->items[i], head, item)));
    }
    return KF_OK;
}

static kf_code put_kmu(void *context, const kf_http_request *request, kf_http_response *response,
                       kf_error *error)
{
    static const char *const members[] = {"url", "pair", "enabled", NULL};
    const kf_bkmu *bkmu = context;
    const char *name = kf_http_path_parameter(request, "name");
    const char *url = NULL;
    const char *pair = NULL;
    kf_kmu_row row;
    kf_vault_actor actor;
    memset(&row, 0, sizeof row);
    row.enabled = true;
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    KF_TRY(kf_category_check(name, error));
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_text(request->json, "url", KF_KMU_URL_MAX, &url, error));
    KF_TRY(kf_json_text(request->json, "pair", KF_CATEGORY_SIZE - 1, &pair, error));
    KF_TRY(kf_category_check(pair, error));
    KF_TRY(kf_json_boolean_optional(request->json, "enabled", &row.enabled, error));
    if (strncmp(url, "https://", 8) != 0)
        return kf_fail(error, KF_ERR_FIELD, "url: %s does not begin with https://", url);
    (void)snprintf(row.name, sizeof row.name, "%s", name);
    (void)snprintf(row.url, sizeof row.url, "%s", url);
    (void)snprintf(row.pair, sizeof row.pair, "%s", pair);
    kf_front_actor(request->caller, NULL, &actor);
    KF_TRY(kf_kmus_put(&bkmu->front, actor.who, &row, error));
    wake(bkmu);
    KF_TRY(kf_kmus_find(bkmu->front.database, name, &row, error));
    response->json = json_object();
    return kf_fail_plain(error, row_to_json(&row, row.acknowledged, response->json));
}

/* What a key management unit says in a pull. */
typedef struct pull_form {
    const char *pair;
    uint64_t revision;
    const json_t *holds;
} pull_form;

static kf_code read_pull(const kf_http_request *request, pull_form *ret_form, kf_error *error)
{
    static const char *const members[] = {"pair", "revision", "holds", "audit", NULL};
    int64_t revision = 0;
    json_t *holds = NULL;
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_text(request->json, "pair", KF_CATEGORY_SIZE - 1, &ret_form->pair, error));
    KF_TRY(kf_json_integer(request->json, "revision", (kf_json_range){0, INT64_MAX}, &revision, error));
    KF_TRY(kf_json_array(request->json, "holds", KF_KEY_HOLDS_MAX, &holds, error));
    ret_form->revision = (uint64_t)revision;
    ret_form->holds = holds;
    return KF_OK;
}

static kf_code check_puller(const kf_kmu_row *row, const pull_form *form, kf_error *error)
{
    if (!row->enabled)
        return kf_fail(error, KF_ERR_FORBIDDEN, "the key management unit %s is disabled here", row->name);
    if (strcmp(row->pair, form->pair) != 0)
        return kf_fail(error, KF_ERR_FIELD, "pair: %s is registered here with transport key %s, not %s",
                       row->name, row->pair, form->pair);
    return KF_OK;
}

static kf_code answer_pull(const kf_bkmu *bkmu, const kf_key_export_answer *batch, json_t *json,
                           kf_error *error)
{
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {.entries = NULL};
    json_t *messages = json_array();
    json_t *holds = NULL;
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(json, "head", (int64_t)batch->head)));
    KF_TRY(kf_fail_plain(error, kf_json_set(json, "messages", messages)));
    for (size_t i = 0; i < batch->count; i++) {
        json_t *message = NULL;
        KF_TRY(kf_fail_plain(error, kf_key_message_to_json(&batch->messages[i], &message)));
        KF_TRY(kf_fail_plain(error, kf_json_append(messages, message)));
    }
    KF_TRY(kf_key_exchange_list(&bkmu->front, &list, error));
    KF_TRY(kf_fail_plain(error, kf_key_holds_make(&list, &holds)));
    return kf_fail_plain(error, kf_json_set(json, "holds", holds));
}

static kf_code post_missing(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    const kf_bkmu *bkmu = context;
    kf_kmu_row row;
    pull_form form = {.pair = ""};
    KF_TRY(read_pull(request, &form, error));
    KF_TRY(kf_kmus_find(bkmu->front.database, request->caller->name, &row, error));
    KF_TRY(check_puller(&row, &form, error));
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    if (batch == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_key_export_request wanted = {.after = form.revision, .limit = KF_KEY_BLOCK_BATCH_MAX};
    memcpy(wanted.pair, row.pair, sizeof wanted.pair);
    kf_front_actor(request->caller, NULL, &wanted.actor);
    KF_TRY(kf_bkmu_export(bkmu, &wanted, &answer, batch, error));
    if (form.revision > batch->head)
        return kf_fail(error, KF_ERR_REVISION,
                       "%s has revision %" PRIu64 ", this unit's newest is %" PRIu64
                       ": this key store is older than what was sent; was an old backup restored?",
                       row.name, form.revision, batch->head);
    KF_TRY(
        kf_key_peers_record(bkmu->front.database, wanted.actor.who, form.holds, bkmu->front.clock(), error));
    KF_TRY(kf_kmus_note(&bkmu->front, row.name, form.revision, NULL, error));
    kf_audit_peer before;
    KF_TRY(kf_audit_exchange_take(&bkmu->front, wanted.actor.who, request->json, &before, error));
    response->json = json_object();
    KF_TRY(answer_pull(bkmu, batch, response->json, error));
    KF_TRY(kf_audit_exchange_show(&bkmu->front, response->json, error));
    return kf_fail_plain(error, kf_audit_exchange_tell(&before, response->json));
}

static kf_code get_audit_state(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    return kf_audit_route_state(&((kf_bkmu *)context)->front, request, response, error);
}

static kf_code post_audit_head(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    return kf_audit_route_sign(&((kf_bkmu *)context)->front, request, response, error);
}

static kf_code get_audit_heads(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    return kf_audit_route_heads(&((kf_bkmu *)context)->front, request, response, error);
}

static kf_code get_audit_receipts(void *context, const kf_http_request *request, kf_http_response *response,
                                  kf_error *error)
{
    return kf_audit_route_receipts(&((kf_bkmu *)context)->front, request, response, error);
}

static kf_code post_audit_accept(void *context, const kf_http_request *request, kf_http_response *response,
                                 kf_error *error)
{
    return kf_audit_route_accept(&((kf_bkmu *)context)->front, request, response, error);
}

kf_code kf_bkmu_check_caller(void *context, const kf_peer *caller, kf_error *error)
{
    const kf_bkmu *bkmu = context;
    kf_kmu_row row;
    if (caller->role != KF_PEER_KMU) return KF_OK;
    kf_error reason = {KF_OK, ""};
    kf_code code = kf_kmus_find(bkmu->front.database, caller->name, &row, &reason);
    if (code == KF_ERR_NOT_FOUND) return KF_OK; /* the route says so */
    if (code != KF_OK) return kf_fail(error, code, "%s", kf_error_text(&reason));
    if (row.enabled) return KF_OK;
    return kf_fail(error, KF_ERR_DISABLED, "the key management unit %s is disabled here", caller->name);
}

void kf_bkmu_refused(void *context, const kf_http_request *request, const kf_error *refusal)
{
    const kf_bkmu *bkmu = context;
    kf_audit_route_refused(bkmu->front.database, (int64_t)bkmu->front.clock(), request, refusal);
}

#define OFFICER KF_PEER_BIT(KF_PEER_OFFICER)
#define AUDITOR KF_PEER_BIT(KF_PEER_AUDITOR)
#define ADMINISTRATOR KF_PEER_BIT(KF_PEER_ADMINISTRATOR)

const kf_http_route kf_bkmu_routes[] = {
    {"GET", "/healthz", KF_PEER_ANYONE, 0, kf_health_answer},
    {"GET", "/readyz", KF_PEER_ANYONE, 0, get_ready},
    {"GET", "/v1/vault", OFFICER | AUDITOR, 0, get_vault},
    {"GET", "/v1/keys", OFFICER, 0, get_keys},
    {"POST", "/v1/keys", OFFICER, KF_KEY_ACT_BODY_MAX, post_keys},
    {"GET", "/v1/roster", OFFICER | AUDITOR, 0, get_roster},
    {"GET", "/v1/proposals", OFFICER | AUDITOR, 0, get_proposals},
    {"POST", "/v1/proposals", OFFICER, KF_PROPOSAL_BODY_MAX, post_proposal},
    {"GET", "/v1/proposals/{id}", OFFICER, 0, get_proposal},
    {"DELETE", "/v1/proposals/{id}", OFFICER, 0, delete_proposal},
    {"POST", "/v1/proposals/{id}/approvals", OFFICER, KF_APPROVAL_BODY_MAX, post_approval},
    {"GET", "/v1/kmus", OFFICER, 0, get_kmus},
    {"PUT", "/v1/kmus/{name}", OFFICER, 4096, put_kmu},
    {"POST", "/v1/key-blocks/missing", KF_PEER_BIT(KF_PEER_KMU), KF_KEY_EXCHANGE_BODY_MAX, post_missing},
    {"GET", "/v1/audit", AUDITOR, 0, get_audit},
    {"GET", "/v1/audit/state", OFFICER | AUDITOR, 0, get_audit_state},
    {"GET", "/v1/audit/heads", AUDITOR, 0, get_audit_heads},
    {"POST", "/v1/audit/heads", AUDITOR, KF_ACCEPT_BODY_MAX, post_audit_head},
    {"GET", "/v1/audit/receipts", AUDITOR, 0, get_audit_receipts},
    {"POST", "/v1/audit/accept", OFFICER, KF_ACCEPT_BODY_MAX, post_audit_accept},
};
const size_t kf_bkmu_route_count = sizeof kf_bkmu_routes / sizeof kf_bkmu_routes[0];
