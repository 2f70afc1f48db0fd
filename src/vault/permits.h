/* The digests of profiles and modules that officers approved, sealed with the keys (KF_SECTION_PERMITTED). */
#ifndef KEYFILL_VAULT_PERMITS_H
#define KEYFILL_VAULT_PERMITS_H

#include "vault/key_store.h"
#include "vault/proposal.h"

kf_code kf_permit_find(const kf_key_store *keys, kf_permit_kind kind, const uint8_t digest[KF_DIGEST_SIZE],
                       bool *ret_found, kf_error *error) KF_MUST_USE;
/* Adds it, or takes the one of that digest out. KF_ERR_NOT_FOUND where there is none to take out,
 * KF_ERR_KEY_STORE where KF_PERMITS_MAX are there. */
kf_code kf_permit_write(kf_key_store *keys, const kf_permit *permit, kf_error *error) KF_MUST_USE;

#endif
