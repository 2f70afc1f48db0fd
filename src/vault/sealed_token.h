/* The sealed token: a request's state between two messages, so that any unit of the group can take the next.
 * XChaCha20-Poly1305 under the group key; the request's id and caller are authenticated with it. It holds no
 * key. */
#ifndef KEYFILL_VAULT_SEALED_TOKEN_H
#define KEYFILL_VAULT_SEALED_TOKEN_H

#include "vault/key_store.h"
#include "vault/procedure_state.h"

/* Appends u32 version of the group key and the sealed state. */
kf_code kf_token_seal(const kf_key_store *keys, const kf_procedure_state *state,
                      kf_buffer *token) KF_MUST_USE;
/* KF_ERR_TOKEN: not ours, of another request or caller, or expired at `now` (milliseconds). The caller clears
 * the state, in success only. */
kf_code kf_token_open(const kf_key_store *keys, const kf_vault_actor *actor, kf_view token, uint64_t now,
                      kf_procedure_state *ret_state, kf_error *error) KF_MUST_USE;

#endif
