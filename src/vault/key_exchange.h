/* Key messages between the fronts, as JSON (docs/messages.md, Key blocks). */
#ifndef KEYFILL_VAULT_KEY_EXCHANGE_H
#define KEYFILL_VAULT_KEY_EXCHANGE_H

#include "vault/audit_head_exchange.h"
#include "vault/front.h"
#include "vault/key_messages.h"
#include "vault/key_peers.h"
#include "wire/http_client.h"
#include "wire/http_server.h"

#define KF_KEY_EXCHANGE_BODY_MAX ((size_t)2 * 1024 * 1024) /* bytes of a body on either route */

kf_code kf_key_message_to_json(const kf_key_message *message, json_t **ret_json) KF_MUST_USE;
/* The block points into `json`. KF_ERR_FIELD. */
kf_code kf_key_message_from_json(const json_t *json, kf_key_message *ret_message,
                                 kf_error *error) KF_MUST_USE;

/* The key list of the own vault; kf_key_list_clear. */
kf_code kf_key_exchange_list(const kf_front *front, kf_key_list *ret_list, kf_error *error) KF_MUST_USE;
/* {"revision", "holds", "audit"}: what this unit has over `pair`, for an answer or a request. The caller
 * frees. */
kf_code kf_key_exchange_state(const kf_front *front, const char *pair, json_t **ret_state,
                              kf_error *error) KF_MUST_USE;

/* The key management unit's `POST /v1/key-blocks`: {"pair", "message", "holds"} → {"revision", "holds"}.
 * Without a message it only says what is here. A revision that is here already is acknowledged again, with
 * nothing changed. */
kf_code kf_key_exchange_receive(const kf_front *front, const kf_http_request *request,
                                kf_http_response *response, kf_error *error) KF_MUST_USE;

/* Where a key management unit pulls from. */
typedef struct kf_key_source {
    kf_http_client *client;
    const char *name;          /* the base key management unit's, "bkmu:central" */
    const char *pair;          /* whose transport key */
    kf_audit_verdict *verdict; /* what the other unit says of this one's key store and log; may be NULL */
} kf_key_source;

/* Pulls until nothing is missing. `actor` asked for it ("kmu:start", or an officer). */
kf_code kf_key_exchange_pull(const kf_front *front, const kf_key_source *source, const kf_vault_actor *actor,
                             size_t *ret_count, kf_error *error) KF_MUST_USE;

#endif
