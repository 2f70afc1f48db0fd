#include "host/routes.h"

#include <stdio.h>

#include "audit/route.h"
#include "base/log.h"
#include "wire/health.h"

#define REQUEST_LIMIT ((size_t)64 * 1024)
#define MESSAGE_LIMIT                                                                                        \
    ((size_t)2 * 1024 * 1024) /* KF_SCRIPT_ENTRIES_MAX answers of KF_SCRIPT_RESPONSE_MAX bytes */
#define NUMBERS_LIMIT ((size_t)4 * 1024 * 1024) /* KF_NUMBERS_IMPORT_MAX numbers */
#define SMALL_LIMIT ((size_t)16 * 1024)

kf_actor kf_actor_of(const kf_http_request *request)
{
    kf_actor actor;
    (void)snprintf(actor.text, sizeof actor.text, "%s:%s", kf_peer_role_name(request->caller->role),
                   request->caller->name);
    return actor;
}

void kf_host_refused(void *context, const kf_http_request *request, const kf_error *error)
{
    const kf_host *host = ((kf_route_context *)context)->host;
    kf_audit_route_refused(host->database, kf_host_now(host), request, error);
}

void kf_host_answered(void *context, const kf_http_request *request, int status, unsigned microseconds)
{
    (void)context;
    const kf_actor actor = kf_actor_of(request);
    kf_log(KF_LOG_INFO, "%s %s %.200s: %d, %u us", actor.text, request->method, request->path, status,
           microseconds);
}

static kf_code get_readiness(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    kf_host *host = ((kf_route_context *)context)->host;
    kf_audit_head head;
    KF_TRY(kf_audit_read_head(host->database, &head, error));
    return kf_health_answer(context, request, response, error);
}

#define TERMINAL KF_PEER_BIT(KF_PEER_TERMINAL)
#define ADMINISTRATOR KF_PEER_BIT(KF_PEER_ADMINISTRATOR)
#define AUDITOR KF_PEER_BIT(KF_PEER_AUDITOR)

const kf_http_route kf_host_routes[] = {
    {"GET", "/healthz", KF_PEER_ANYONE, 0, kf_health_answer},
    {"GET", "/readyz", KF_PEER_ANYONE, 0, get_readiness},
    {"POST", "/v1/requests", TERMINAL, REQUEST_LIMIT, kf_host_post_request},
    {"POST", "/v1/requests/{id}/messages", TERMINAL, MESSAGE_LIMIT, kf_host_post_message},
    {"POST", "/v1/cards/lookup", TERMINAL, SMALL_LIMIT, kf_host_post_lookup},
    {"GET", "/v1/modules", TERMINAL, 0, kf_host_get_modules},
    {"POST", "/v1/enrolments", KF_PEER_ANYONE, SMALL_LIMIT, kf_host_post_enrolment},
    {"GET", "/v1/terminals", ADMINISTRATOR, 0, kf_host_get_terminals},
    {"POST", "/v1/terminals", ADMINISTRATOR, SMALL_LIMIT, kf_host_post_terminal},
    {"PATCH", "/v1/terminals/{name}", ADMINISTRATOR, SMALL_LIMIT, kf_host_patch_terminal},
    {"GET", "/v1/numbers", ADMINISTRATOR, 0, kf_host_get_numbers},
    {"POST", "/v1/numbers", ADMINISTRATOR, NUMBERS_LIMIT, kf_host_post_numbers},
    {"GET", "/v1/orders", ADMINISTRATOR, 0, kf_host_get_orders},
    {"PUT", "/v1/orders/{name}", ADMINISTRATOR, REQUEST_LIMIT, kf_host_put_order},
    {"GET", "/v1/audit", AUDITOR, 0, kf_host_get_audit},
};
const size_t kf_host_route_count = sizeof kf_host_routes / sizeof kf_host_routes[0];
