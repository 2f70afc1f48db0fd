/* Where the bytes of base keys are: behind a table of functions, so that the key store holds entries and
 * asks. One custody keeps keys in locked memory; a token keeps them itself and gives handles. A material is
 * one key, of the custody's own type. */
#ifndef KEYFILL_VAULT_KEY_CUSTODY_H
#define KEYFILL_VAULT_KEY_CUSTODY_H

#include <keyfill/diversify.h>

typedef struct kf_key_custody kf_key_custody;

/* What a derivation takes. */
typedef struct kf_key_derivation {
    const kf_diversification *diversification;
    kf_algorithm algorithm;
    kf_fields fields;
    kf_key_role role;
} kf_key_derivation;

struct kf_key_custody {
    const char *name;
    void *context;
    kf_code (*generate)(void *context, kf_algorithm algorithm, size_t size, void **ret_material);
    kf_code (*import)(void *context, const kf_secret *key, void **ret_material);
    kf_code (*derive)(void *context, void *material, const kf_key_derivation *derivation, kf_secret **ret_key,
                      kf_error *error);
    /* KF_ERR_UNSUPPORTED where keys do not leave the custody. */
    kf_code (*expose)(void *context, const void *material, kf_secret **ret_key);
    /* A key for the vault's own use in place (group keys), owned by the material; NULL where that cannot be.
     */
    const kf_secret *(*borrow)(void *context, const void *material);
    /* What the sealed state holds of the material: its bytes, or what finds it again. */
    void (*encode)(void *context, const void *material, kf_buffer *bytes);
    kf_code (*decode)(void *context, kf_view bytes, void **ret_material);
    /* Gives the memory back; a token's object stays. */
    void (*release)(void *context, void *material);
    /* Destroys the key itself, and releases. */
    void (*destroy)(void *context, void *material);
};

/* Keys in this process's locked memory. */
extern const kf_key_custody kf_key_custody_memory;

#endif
