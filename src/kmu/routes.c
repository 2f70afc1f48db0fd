#include <stdio.h>

#include "audit/route.h"
#include "base/log.h"
#include "kmu/bounds.h"
#include "kmu/card_uses.h"
#include "kmu/cards.h"
#include "kmu/categories.h"
#include "kmu/profiles.h"
#include "kmu/requests.h"
#include "kmu/rollback.h"
#include "vault/audit_head_routes.h"
#include "vault/key_routes.h"
#include "vault/proposal_routes.h"
#include "wire/health.h"
#include "wire/json.h"

#define KF_SMALL_BODY_MAX ((size_t)64 * 1024)
#define KF_MESSAGE_BODY_MAX ((size_t)2 * 1024 * 1024) /* the answers of a whole script */
#define KF_MODULE_BODY_MAX ((size_t)3 * 1024 * 1024)  /* a CAP file in base64url */

static kf_code handle_readiness(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error)
{
    kf_kmu *kmu = context;
    KF_TRY(kf_front_check_ready(&kmu->front, error));
    KF_TRY(kf_rollback_check(kmu, error));
    KF_TRY(kf_front_check_held(&kmu->front, error));
    KF_TRY(kf_health_answer(context, request, response, error));
    return kf_fail_plain(error, kf_json_set_boolean(response->json, "development", kmu->development));
}

static kf_code handle_vault(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    return kf_key_route_vault(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_key_list(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    kf_kmu *kmu = context;
    bool with_cards = false;
    KF_TRY(kf_card_uses_wanted(request, &with_cards, error));
    KF_TRY(kf_key_route_list(&kmu->front, request, response, error));
    if (!with_cards) return KF_OK;
    return kf_card_uses_annotate(kmu->front.database, json_object_get(response->json, "keys"), error);
}

/* The act is done whatever becomes of the copy: whoever is told otherwise does it again. */
static void mirror(kf_kmu *kmu)
{
    kf_error reason = {KF_OK, ""};
    if (kf_kmu_mirror_keys(kmu, &reason) != KF_OK)
        kf_log(KF_LOG_WARNING, "the table of base keys is older than the vault's: %s",
               kf_error_text(&reason));
}

static kf_code handle_key_act(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    kf_kmu *kmu = context;
    bool changed = false;
    KF_TRY(kf_key_route_act(&kmu->front, request, response, &changed, error));
    if (changed) mirror(kmu);
    return KF_OK;
}

static kf_code act_on_proposal(void *context, kf_proposal_route route, const kf_http_request *request,
                               kf_http_response *response, kf_error *error)
{
    kf_kmu *kmu = context;
    bool changed = false;
    kf_code code = route(&kmu->front, request, response, &changed, error);
    if (changed) mirror(kmu);
    return code;
}

static kf_code handle_proposal_add(void *context, const kf_http_request *request, kf_http_response *response,
                                   kf_error *error)
{
    return act_on_proposal(context, kf_proposal_route_add, request, response, error);
}

static kf_code handle_proposal_approve(void *context, const kf_http_request *request,
                                       kf_http_response *response, kf_error *error)
{
    return act_on_proposal(context, kf_proposal_route_approve, request, response, error);
}

static kf_code handle_proposal_withdraw(void *context, const kf_http_request *request,
                                        kf_http_response *response, kf_error *error)
{
    return kf_proposal_route_withdraw(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_proposal_list(void *context, const kf_http_request *request, kf_http_response *response,
                                    kf_error *error)
{
    return kf_proposal_route_list(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_proposal_show(void *context, const kf_http_request *request, kf_http_response *response,
                                    kf_error *error)
{
    return kf_proposal_route_show(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_roster(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    return kf_proposal_route_roster(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_key_block(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error)
{
    kf_kmu *kmu = context;
    KF_TRY(kf_key_exchange_receive(&kmu->front, request, response, error));
    return kf_kmu_mirror_keys(kmu, error);
}

static kf_code handle_key_pull(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    static const char *const no_members[] = {NULL};
    size_t count = 0;
    KF_TRY(kf_json_only(request->json, no_members, error));
    KF_TRY(kf_kmu_pull(context, kf_caller_show(request->caller).text, &count, error));
    response->json = json_object();
    return kf_fail_plain(error, kf_json_set_integer(response->json, "received", (int64_t)count));
}

static kf_code handle_audit(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    return kf_audit_route_list(((kf_kmu *)context)->front.database, request, response, error);
}

static kf_code handle_audit_state(void *context, const kf_http_request *request, kf_http_response *response,
                                  kf_error *error)
{
    return kf_audit_route_state(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_audit_sign(void *context, const kf_http_request *request, kf_http_response *response,
                                 kf_error *error)
{
    return kf_audit_route_sign(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_audit_heads(void *context, const kf_http_request *request, kf_http_response *response,
                                  kf_error *error)
{
    return kf_audit_route_heads(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_audit_receipts(void *context, const kf_http_request *request,
                                     kf_http_response *response, kf_error *error)
{
    return kf_audit_route_receipts(&((kf_kmu *)context)->front, request, response, error);
}

static kf_code handle_audit_accept(void *context, const kf_http_request *request, kf_http_response *response,
                                   kf_error *error)
{
    return kf_audit_route_accept(&((kf_kmu *)context)->front, request, response, error);
}

#define BKMU KF_PEER_BIT(KF_PEER_BKMU)
#define HOST KF_PEER_BIT(KF_PEER_HOST)
#define OFFICER KF_PEER_BIT(KF_PEER_OFFICER)
#define AUDITOR KF_PEER_BIT(KF_PEER_AUDITOR)
#define ADMINISTRATOR KF_PEER_BIT(KF_PEER_ADMINISTRATOR)

const kf_http_route kf_kmu_routes[] = {
    {"GET", "/healthz", KF_PEER_ANYONE, 0, kf_health_answer},
    {"GET", "/readyz", KF_PEER_ANYONE, 0, handle_readiness},
    {"POST", "/v1/requests", HOST, KF_REQUEST_BODY_MAX, kf_handle_request_begin},
    {"POST", "/v1/requests/{id}/messages", HOST, KF_MESSAGE_BODY_MAX, kf_handle_request_message},
    {"GET", "/v1/requests/{id}", HOST | ADMINISTRATOR, 0, kf_handle_request_show},
    {"POST", "/v1/cards/lookup", HOST | ADMINISTRATOR, KF_SMALL_BODY_MAX, kf_handle_card_lookup},
    {"GET", "/v1/hosts", ADMINISTRATOR, 0, kf_handle_host_list},
    {"PUT", "/v1/hosts/{name}", ADMINISTRATOR, KF_SMALL_BODY_MAX, kf_handle_host_put},
    {"PATCH", "/v1/hosts/{name}", ADMINISTRATOR, KF_SMALL_BODY_MAX, kf_handle_host_patch},
    {"DELETE", "/v1/hosts/{name}", ADMINISTRATOR, 0, kf_handle_host_delete},
    {"PUT", "/v1/hosts/{name}/terminals/{terminal}", ADMINISTRATOR, KF_SMALL_BODY_MAX, kf_handle_host_put},
    {"PATCH", "/v1/hosts/{name}/terminals/{terminal}", ADMINISTRATOR, KF_SMALL_BODY_MAX,
     kf_handle_host_patch},
    {"DELETE", "/v1/hosts/{name}/terminals/{terminal}", ADMINISTRATOR, 0, kf_handle_host_delete},
    {"GET", "/v1/cards", OFFICER | ADMINISTRATOR, 0, kf_handle_card_list},
    {"GET", "/v1/categories", HOST | OFFICER | ADMINISTRATOR, 0, kf_handle_category_list},
    {"PUT", "/v1/categories/{name}", ADMINISTRATOR, KF_SMALL_BODY_MAX, kf_handle_category_put},
    {"GET", "/v1/profiles", HOST | OFFICER | ADMINISTRATOR, 0, kf_handle_profile_list},
    {"PUT", "/v1/profiles/{name}", ADMINISTRATOR, KF_SMALL_BODY_MAX, kf_handle_profile_put},
    {"GET", "/v1/modules", HOST | ADMINISTRATOR, 0, kf_handle_module_list},
    {"PUT", "/v1/modules/{name}", ADMINISTRATOR, KF_MODULE_BODY_MAX, kf_handle_module_put},
    {"DELETE", "/v1/modules/{name}", ADMINISTRATOR, 0, kf_handle_module_delete},
    {"GET", "/v1/vault", OFFICER | AUDITOR, 0, handle_vault},
    {"GET", "/v1/keys", OFFICER, 0, handle_key_list},
    {"POST", "/v1/keys", OFFICER, KF_KEY_ACT_BODY_MAX, handle_key_act},
    {"GET", "/v1/roster", OFFICER | AUDITOR, 0, handle_roster},
    {"GET", "/v1/proposals", OFFICER | AUDITOR, 0, handle_proposal_list},
    {"POST", "/v1/proposals", OFFICER, KF_PROPOSAL_BODY_MAX, handle_proposal_add},
    {"GET", "/v1/proposals/{id}", OFFICER, 0, handle_proposal_show},
    {"DELETE", "/v1/proposals/{id}", OFFICER, 0, handle_proposal_withdraw},
    {"POST", "/v1/proposals/{id}/approvals", OFFICER, KF_APPROVAL_BODY_MAX, handle_proposal_approve},
    {"POST", "/v1/key-blocks", BKMU, KF_KEY_EXCHANGE_BODY_MAX, handle_key_block},
    {"POST", "/v1/key-pull", OFFICER, KF_SMALL_BODY_MAX, handle_key_pull},
    {"GET", "/v1/audit", AUDITOR, 0, handle_audit},
    {"GET", "/v1/audit/state", OFFICER | AUDITOR, 0, handle_audit_state},
    {"GET", "/v1/audit/heads", AUDITOR, 0, handle_audit_heads},
    {"POST", "/v1/audit/heads", AUDITOR, KF_ACCEPT_BODY_MAX, handle_audit_sign},
    {"GET", "/v1/audit/receipts", AUDITOR, 0, handle_audit_receipts},
    {"POST", "/v1/audit/accept", OFFICER, KF_ACCEPT_BODY_MAX, handle_audit_accept},
};
const size_t kf_kmu_route_count = sizeof kf_kmu_routes / sizeof kf_kmu_routes[0];
