/* Where the bytes of base keys are: behind a table of functions, so that the key store holds entries and
 * asks. One custody keeps keys in locked memory; the other has a token keep base and transport keys, and
 * knows them by identifiers. A material is one key, of the custody's own type. Functions that only use
 * materials may run in several threads at a time; those that make or destroy them may not. */
#ifndef KEYFILL_VAULT_KEY_CUSTODY_H
#define KEYFILL_VAULT_KEY_CUSTODY_H

#include "vault/key_entry.h"

typedef struct kf_key_custody kf_key_custody;

#define KF_KEY_ROLES_MAX 3

/* What a derivation takes. */
typedef struct kf_key_derivation {
    const kf_diversification *diversification;
    kf_algorithm algorithm; /* of the base key and of what is derived */
    size_t size;            /* bytes of both */
    kf_fields fields;
    size_t role_count; /* 1 to KF_KEY_ROLES_MAX */
    kf_key_role roles[KF_KEY_ROLES_MAX];
} kf_key_derivation;

struct kf_key_custody {
    const char *name;
    void *context;
    /* Whether keys as `entry` describes them can be kept and used; `diversification` NULL: it makes no card
     * keys. KF_ERR_UNSUPPORTED with the reason. */
    kf_code (*check)(void *context, const kf_key_entry *entry, const kf_diversification *diversification,
                     kf_error *error);
    kf_code (*generate)(void *context, const kf_key_entry *entry, void **ret_material, kf_error *error);
    kf_code (*import)(void *context, const kf_key_entry *entry, const kf_secret *key, void **ret_material,
                      kf_error *error);
    /* The check value as kf_key_entry_kcv has it. */
    kf_code (*check_value)(void *context, const void *material, const kf_key_entry *entry, kf_kcv *ret_kcv,
                           kf_error *error);
    /* A key for each role. KF_ERR_UNAVAILABLE where the token does not answer. */
    kf_code (*derive)(void *context, const void *material, const kf_key_derivation *derivation,
                      kf_secret *ret_keys[KF_KEY_ROLES_MAX], kf_error *error);
    /* KF_ERR_UNSUPPORTED where this key does not leave the custody. */
    kf_code (*expose)(void *context, const void *material, kf_secret **ret_key, kf_error *error);
    /* A key for the vault's own use in place (group keys), owned by the material; NULL where that cannot be.
     */
    const kf_secret *(*borrow)(void *context, const void *material);

    /* Under the transport key of a pair of units; `transport` is its material. NULL in a custody that knows
     * key blocks only. */
    /* AES key wrap with padding (RFC 5649), and back; the key is never outside the token. */
    kf_code (*wrap)(void *context, const void *transport, const void *material, kf_buffer *wrapped,
                    kf_error *error);
    kf_code (*unwrap)(void *context, const void *transport, const kf_key_entry *entry, kf_view wrapped,
                      void **ret_material, kf_error *error);
    /* CMAC (16 bytes) under the pair's second key. */
    kf_code (*authenticate)(void *context, const void *transport, kf_view message, uint8_t *ret_mac,
                            kf_error *error);
    /* The bytes of a key for a key block, where the transport key is one for key blocks: they pass through
     * this process's locked memory. */
    kf_code (*translate)(void *context, const void *transport, const void *material, kf_secret **ret_key,
                         kf_error *error);

    /* What the sealed state holds of the material: its bytes, or what finds it again. */
    void (*encode)(void *context, const void *material, kf_buffer *bytes);
    kf_code (*decode)(void *context, kf_view bytes, void **ret_material);
    /* Gives the memory back; a token's object stays. */
    void (*release)(void *context, void *material);
    /* Destroys the key itself, and releases. A token that is away keeps its object, which nothing finds any
     * more: the log says so. */
    void (*destroy)(void *context, void *material);
};

/* Keys in this process's locked memory. */
extern const kf_key_custody kf_key_custody_memory;

#endif
