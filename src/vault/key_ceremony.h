/* Keys that arrive as components from several people, one request each: what has come so far, in locked
 * memory, until the key is whole or the vault ends. */
#ifndef KEYFILL_VAULT_KEY_CEREMONY_H
#define KEYFILL_VAULT_KEY_CEREMONY_H

#include "vault/key_messages.h"

#define KF_KEY_CEREMONIES_MAX 16 /* at a time; the one that rested longest makes room */

typedef struct kf_key_ceremony kf_key_ceremony;

kf_code kf_key_ceremony_new(kf_key_ceremony **ret_ceremony) KF_MUST_USE;
void kf_key_ceremony_free(kf_key_ceremony **ceremony);

typedef struct kf_key_ceremony_progress {
    kf_kcv component_kcv;
    uint16_t present;
    kf_secret *whole; /* the key, once all are there: the caller's; NULL before */
} kf_key_ceremony_progress;

/* Takes one opened component. The same again gives the same answer; KF_ERR_CONFLICT for another one in its
 * place, or another description of the key; KF_ERR_KEY_SIZE, KF_ERR_FIELD for counts out of range;
 * KF_ERR_CHECK_VALUE where the components cancel out to zeros. Once whole it is forgotten here. */
kf_code kf_key_ceremony_take(kf_key_ceremony *ceremony, const kf_key_act_request *request,
                             const kf_secret *component, kf_key_ceremony_progress *ret_progress,
                             kf_error *error) KF_MUST_USE;

#endif
