/* Handlers of the routes about proposals and the roster, which both kinds of unit have (docs/messages.md,
 * Dual control). A unit's own handler passes its kf_front. */
#ifndef KEYFILL_VAULT_PROPOSAL_ROUTES_H
#define KEYFILL_VAULT_PROPOSAL_ROUTES_H

#include "vault/front.h"
#include "wire/http_server.h"

#define KF_PROPOSAL_BODY_MAX ((size_t)8 * 1024 * 1024) /* bytes: a backup in base64url */
#define KF_APPROVAL_BODY_MAX ((size_t)4096)

/* A route that may do an act: `*ret_changed` says whether base keys changed. */
typedef kf_code (*kf_proposal_route)(const kf_front *front, const kf_http_request *request,
                                     kf_http_response *response, bool *ret_changed, kf_error *error);

/* POST /v1/proposals {"proposal": base64url, "signature": hex, "attachment"?: base64url} → 201 proposal */
kf_code kf_proposal_route_add(const kf_front *front, const kf_http_request *request,
                              kf_http_response *response, bool *ret_changed, kf_error *error) KF_MUST_USE;
/* POST /v1/proposals/{id}/approvals {"officer", "signature"} → proposal */
kf_code kf_proposal_route_approve(const kf_front *front, const kf_http_request *request,
                                  kf_http_response *response, bool *ret_changed, kf_error *error) KF_MUST_USE;
/* DELETE /v1/proposals/{id}: the proposer's */
kf_code kf_proposal_route_withdraw(const kf_front *front, const kf_http_request *request,
                                   kf_http_response *response, kf_error *error) KF_MUST_USE;
/* GET /v1/proposals (?state=) → {"proposals": [proposal]}, GET /v1/proposals/{id} → proposal */
kf_code kf_proposal_route_list(const kf_front *front, const kf_http_request *request,
                               kf_http_response *response, kf_error *error) KF_MUST_USE;
kf_code kf_proposal_route_show(const kf_front *front, const kf_http_request *request,
                               kf_http_response *response, kf_error *error) KF_MUST_USE;
/* GET /v1/roster */
kf_code kf_proposal_route_roster(const kf_front *front, const kf_http_request *request,
                                 kf_http_response *response, kf_error *error) KF_MUST_USE;

#endif
