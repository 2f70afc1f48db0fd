/* Handlers of the routes about signed heads and the vault's view of the log, which both kinds of unit have
 * (docs/messages.md, Audit rows). A unit's own handler passes its kf_front. */
#ifndef KEYFILL_VAULT_AUDIT_HEAD_ROUTES_H
#define KEYFILL_VAULT_AUDIT_HEAD_ROUTES_H

#include "vault/audit_head_front.h"
#include "wire/http_server.h"

#define KF_HEADS_LIST_MAX 500 /* of one listing */
#define KF_ACCEPT_BODY_MAX 1024

/* GET /v1/audit/state → {"vault", "public_key", "rows", "receipts", "revision", "found", "text", "head"?,
 * "peers": [{"unit", "public_key", "head", "seen_ms", "finding"}]} */
kf_code kf_audit_route_state(const kf_front *front, const kf_http_request *request,
                             kf_http_response *response, kf_error *error) KF_MUST_USE;
/* POST /v1/audit/heads {} → {"head"}: the vault signs the newest row now. */
kf_code kf_audit_route_sign(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                            kf_error *error) KF_MUST_USE;
/* GET /v1/audit/heads?unit=&after=&limit= → {"heads": [{"number", "head"}]}, oldest first; without `unit`
 * this unit's own. */
kf_code kf_audit_route_heads(const kf_front *front, const kf_http_request *request,
                             kf_http_response *response, kf_error *error) KF_MUST_USE;
/* GET /v1/audit/receipts?after=SEQ&limit= → {"last", "digest", "count", "bad", "first_bad", "signature"}: the
 * vault's verdict over the receipts of these rows. */
kf_code kf_audit_route_receipts(const kf_front *front, const kf_http_request *request,
                                kf_http_response *response, kf_error *error) KF_MUST_USE;
/* POST /v1/audit/accept {"found" or "unit", "reason"} → as GET /v1/audit/state: what the vault found is
 * accepted, or whatever that other unit shows next. */
kf_code kf_audit_route_accept(const kf_front *front, const kf_http_request *request,
                              kf_http_response *response, kf_error *error) KF_MUST_USE;

#endif
