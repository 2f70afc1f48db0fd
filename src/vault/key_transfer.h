/* Base keys on the move, as X9.143 version D blocks under the transport key of a pair of units.
 *
 * Usage and mode: payment E0 X, card-manager E5 X, adm B3 X; transport K1 X, under the one before of its
 * pair. Algorithm A, T, or 4 for SM4 (digits are for use by agreement). Exportability E on the way. Key
 * version: the version's last two digits. KC: check value of the key (01 CMAC, 00 encrypted zeros for 3DES),
 * KP: of the transport key. Optional blocks of our own (digits are for use by agreement, too): 10 category 11
 * purpose   12 version, decimal   13 revision, decimal   14 the revision before it on this way, decimal 15
 * policy, the canonical bytes in hexadecimal, its template left out   16 diversification template 17 state 18
 * created, valid from, valid until: decimal seconds, commas between   19 pair of units A destroyed key is
 * announced by a block of state "destroyed" around random bytes. */
#ifndef KEYFILL_VAULT_KEY_TRANSFER_H
#define KEYFILL_VAULT_KEY_TRANSFER_H

#include "vault/key_messages.h"
#include "vault/key_store.h"

/* Appends the block's text for `entry`, which is exportable, under the newest transport key that the other
 * side has when it has revision `after`; where this unit has a token and the transport
 * key is not one for key blocks, that of an envelope (key_envelope.h). */
kf_code kf_key_transfer_wrap(const kf_key_store *store, const kf_key_entry *entry, const char *pair,
                             uint64_t after, uint64_t now_seconds, kf_buffer *text,
                             kf_error *error) KF_MUST_USE;

typedef struct kf_key_arrival {
    kf_key_entry entry; /* origin: the pair */
    uint64_t after;
    kf_secret *key;                /* NULL for a destroyed one, and one that is wrapped */
    const kf_key_entry *transport; /* wrapped for this unit's token under it */
    kf_buffer wrapped;
} kf_key_arrival;

/* Whether the key passes through this vault's memory, although it comes from a token. */
bool kf_key_transfer_translates(const kf_key_store *store, const char *pair, uint64_t now_seconds);

/* Opens a block or envelope under one of the pair's transport keys and compares what it authenticates with
 * the message around it: KF_ERR_NO_KEY without a transport key, KF_ERR_AUTHENTICATION, KF_ERR_KEY_BLOCK where
 * something is missing or stated otherwise. */
kf_code kf_key_transfer_unwrap(const kf_key_store *store, const kf_key_message *message,
                               kf_key_arrival *ret_arrival, kf_error *error) KF_MUST_USE;
void kf_key_arrival_clear(kf_key_arrival *arrival);

#endif
