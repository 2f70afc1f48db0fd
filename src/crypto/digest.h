/* The hashes of the library, and one that callers outside have no use for. */
#ifndef KEYFILL_CRYPTO_DIGEST_H
#define KEYFILL_CRYPTO_DIGEST_H

#include <keyfill/digest.h>

#define KF_SHA1_SIZE 20

/* For the one standard that prescribes it (EMV Book 2 A1.4.2), where collisions do no harm. */
kf_code kf_sha1_of_emv_option_b(kf_view message, uint8_t ret_digest[KF_SHA1_SIZE]) KF_MUST_USE;

#endif
