/* A signed head: the vault's statement of how far a unit's audit log reaches and which row is its newest.
 * Whoever keeps one can show later that the log was cut, replaced or altered before it (docs/audit.md). */
#ifndef KEYFILL_AUDIT_SIGNED_HEAD_H
#define KEYFILL_AUDIT_SIGNED_HEAD_H

#include "crypto/digest.h"
#include "crypto/ed25519.h"

#define KF_SIGNED_HEAD_SIZE 168 /* bytes, with the signature */

typedef struct kf_signed_head {
    uint8_t vault[KF_DIGEST_SIZE]; /* SHA-256 of its box public key */
    int64_t seq;                   /* of the newest row; 0: there is none */
    uint8_t hash[KF_DIGEST_SIZE];  /* that row's */
    uint64_t revision;             /* of the key store */
    uint64_t receipts;             /* number of the newest receipt that the vault has given */
    uint64_t written;              /* each receipt up to this number is in rows 1 to `seq` */
    uint64_t time_ms;              /* since 1970, the vault's clock */
    uint8_t signature[KF_ED25519_SIGNATURE_SIZE];
} kf_signed_head;

/* Signs "keyfill-audit-head-1" and the fields in their order, numbers big-endian in 8 bytes. */
kf_code kf_signed_head_sign(const kf_secret *seed, kf_signed_head *head) KF_MUST_USE;
/* KF_ERR_AUTHENTICATION where it is not signed by the owner of `public_key`. */
kf_code kf_signed_head_verify(const kf_signed_head *head,
                              const uint8_t public_key[KF_ED25519_PUBLIC_SIZE]) KF_MUST_USE;
/* The fields and the signature, without the words before them: KF_SIGNED_HEAD_SIZE bytes. */
void kf_signed_head_put(kf_buffer *bytes, const kf_signed_head *head);
kf_code kf_signed_head_take(kf_cursor *bytes, kf_signed_head *ret_head) KF_MUST_USE;

#endif
