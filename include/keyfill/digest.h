/* Hashes. */
#ifndef KEYFILL_DIGEST_H
#define KEYFILL_DIGEST_H

#include <keyfill/bytes.h>

#define KF_DIGEST_SIZE 32 /* bytes, of both */

/* SHA-256 (FIPS 180-4) of a message of any size; 32 bytes come out. */
kf_code kf_sha256(kf_view message, uint8_t ret_digest[KF_DIGEST_SIZE]) KF_MUST_USE;
/* SHA-256 of several parts laid end to end. */
kf_code kf_sha256_parts(const kf_view *parts, size_t part_count,
                        uint8_t ret_digest[KF_DIGEST_SIZE]) KF_MUST_USE;
/* SM3 (GB/T 32905) of a message of any size; 32 bytes come out. */
kf_code kf_sm3(kf_view message, uint8_t ret_digest[KF_DIGEST_SIZE]) KF_MUST_USE;

#endif
