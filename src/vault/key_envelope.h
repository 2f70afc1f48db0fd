/* A base key from token to token: wrapped by the sender's token (RFC 5649), in an envelope whose every byte
 * is authenticated under the pair's second transport key. It takes the place of the X9.143 block in the
 * messages between units. Text: "KFE1", then in hexadecimal
 *
 *     entry as kf_key_entry_put writes it, its origin being the pair
 *     u64 the revision before it on this way
 *     u32 version and 3 bytes check value of the transport key
 *     blob the wrapped key; empty for a destroyed one
 *     16 bytes MAC: CMAC over SHA-256 of "keyfill-envelope-1" 00 and all that is above */
#ifndef KEYFILL_VAULT_KEY_ENVELOPE_H
#define KEYFILL_VAULT_KEY_ENVELOPE_H

#include "vault/key_transfer.h"

/* Whether the text is an envelope; otherwise it is a key block. */
bool kf_key_is_envelope(kf_view text);

typedef struct kf_key_envelope_plan {
    const kf_key_entry *entry;     /* exportable */
    const kf_key_entry *transport; /* of the pair, in force */
    uint64_t after;
} kf_key_envelope_plan;

kf_code kf_key_envelope_wrap(const kf_key_store *store, const kf_key_envelope_plan *plan, kf_buffer *text,
                             kf_error *error) KF_MUST_USE;
/* Authenticates under any of the pair's transport keys that is active or deactivated. KF_ERR_NO_KEY without
 * one, KF_ERR_AUTHENTICATION, KF_ERR_KEY_BLOCK where it is malformed, KF_ERR_UNSUPPORTED where this unit has
 * no token. The arrival's key is still wrapped. */
kf_code kf_key_envelope_open(const kf_key_store *store, const char *pair, kf_view text,
                             kf_key_arrival *ret_arrival, kf_error *error) KF_MUST_USE;

#endif
