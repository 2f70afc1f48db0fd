/* Handlers of the routes about keys that both kinds of unit have. A unit's own handler passes its kf_front.
 */
#ifndef KEYFILL_VAULT_KEY_ROUTES_H
#define KEYFILL_VAULT_KEY_ROUTES_H

#include "vault/key_exchange.h"

#define KF_KEY_ACT_BODY_MAX ((size_t)8 * 1024 * 1024) /* bytes: a backup in base64url */

/* GET /v1/vault → {"unit", "public_key" (hex), "revision", "keys", "development", "last_receipt",
 * "audit_public_key" (hex)} */
kf_code kf_key_route_vault(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                           kf_error *error) KF_MUST_USE;
/* GET /v1/keys → {"revision", "keys": [{…, "peers": […]}], "pairs": [{"pair", "revision"}]} */
kf_code kf_key_route_list(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                          kf_error *error) KF_MUST_USE;
/* POST /v1/keys: one act (docs/messages.md, Key acts). `*ret_changed`: whether a base key changed, so that it
 * is to be pushed. */
kf_code kf_key_route_act(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                         bool *ret_changed, kf_error *error) KF_MUST_USE;

#endif
