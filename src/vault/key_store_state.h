/* Inside of the key store, shared by its files alone. */
#ifndef KEYFILL_VAULT_KEY_STORE_STATE_H
#define KEYFILL_VAULT_KEY_STORE_STATE_H

#include "vault/key_slots.h"
#include "vault/key_table.h"

#define KF_VAULT_KEY_SIZE 32 /* bytes of each of the vault's own keys */

/* The vault's own keys. */
typedef struct kf_vault_keys {
    kf_secret *box_private;
    kf_secret *record;
    kf_secret *receipt;
    kf_secret *audit;
} kf_vault_keys;

struct kf_key_store {
    kf_key_journal journal;
    const kf_key_custody *custody;
    kf_vault_keys own;
    uint8_t box_public[KF_BOX_PUBLIC_SIZE];
    kf_key_table table;
    struct kf_derivation_cap *cap; /* NULL: none */
};

void kf_vault_keys_clear(kf_vault_keys *keys);
/* The plain content of slots and backups. */
kf_code kf_key_state_put(const kf_vault_keys *own, const kf_key_table *table, const kf_key_custody *custody,
                         kf_buffer *plain) KF_MUST_USE;
kf_code kf_key_state_take(kf_view plain, const kf_key_custody *custody, kf_vault_keys *ret_own,
                          kf_key_table *ret_table, kf_error *error) KF_MUST_USE;
/* Makes the draft durable and the store's own. On failure the store is as it was and the draft is dropped. */
kf_code kf_key_store_commit(kf_key_store *store, kf_key_table *draft, kf_error *error) KF_MUST_USE;

#endif
