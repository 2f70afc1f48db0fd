/* Shamir's secret sharing (Communications of the ACM 22/11, 1979), byte by byte over GF(2^8) with the
 * polynomial x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2): any `threshold` shares give the secret back, fewer tell
 * nothing about it. Constant time in secret and shares. */
#ifndef KEYFILL_CRYPTO_SHAMIR_H
#define KEYFILL_CRYPTO_SHAMIR_H

#include <keyfill/secret.h>

#define KF_SHAMIR_SHARES_MIN 2
#define KF_SHAMIR_SHARES_MAX 16

typedef struct kf_shamir_plan {
    size_t shares;    /* KF_SHAMIR_SHARES_MIN to KF_SHAMIR_SHARES_MAX */
    size_t threshold; /* 2 to `shares` */
} kf_shamir_plan;

/* Share i (from 0) is the polynomial's value at i + 1, as long as the secret. The caller frees each share.
 * KF_ERR_ARGUMENT for a plan out of range. */
kf_code kf_shamir_split(const kf_secret *secret, kf_shamir_plan plan,
                        kf_secret *ret_shares[KF_SHAMIR_SHARES_MAX]) KF_MUST_USE;

typedef struct kf_shamir_share {
    uint8_t point; /* 1 to 255 */
    const kf_secret *value;
} kf_shamir_share;

/* The polynomial's value at 0. With too few shares, or wrong ones, it is another secret: whoever uses it has
 * to be able to tell. KF_ERR_ARGUMENT where a point is 0 or stands twice, or sizes differ. */
kf_code kf_shamir_combine(const kf_shamir_share *shares, size_t count, kf_secret **ret_secret) KF_MUST_USE;

#endif
