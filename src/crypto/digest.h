/* Hashes. */
#ifndef KEYFILL_CRYPTO_DIGEST_H
#define KEYFILL_CRYPTO_DIGEST_H

#include <keyfill/bytes.h>

#define KF_DIGEST_SIZE 32

kf_code kf_sha256(kf_view message, uint8_t ret_digest[KF_DIGEST_SIZE]) KF_MUST_USE;
kf_code kf_sha256_parts(const kf_view *parts, size_t part_count,
                        uint8_t ret_digest[KF_DIGEST_SIZE]) KF_MUST_USE;
/* GM/T 0004-2012. */
kf_code kf_sm3(kf_view message, uint8_t ret_digest[KF_DIGEST_SIZE]) KF_MUST_USE;

#define KF_SHA1_SIZE 20

/* For the one standard that prescribes it (EMV Book 2 A1.4.2), where collisions do no harm. */
kf_code kf_sha1_of_emv_option_b(kf_view message, uint8_t ret_digest[KF_SHA1_SIZE]) KF_MUST_USE;

#endif
