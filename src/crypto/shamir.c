#include "crypto/shamir.h"

#include "crypto/random.h"

/* a * b modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2), without branches or tables on either. */
static uint8_t multiply(uint8_t a, uint8_t b)
{
    unsigned left = a;
    unsigned product = 0;
    for (unsigned bit = 0; bit < 8; bit++) {
        product ^= left & (0U - ((unsigned)b >> bit & 1U));
        left = (left << 1) ^ (0x11BU & (0U - (left >> 7 & 1U)));
    }
    return (uint8_t)product;
}

/* a^254, which is 1 / a (FIPS 197, 4.2); 0 for 0. */
static uint8_t invert(uint8_t a)
{
    uint8_t power = a;
    uint8_t inverse = 1;
    for (unsigned bit = 1; bit < 8; bit++) {
        power = multiply(power, power);
        inverse = multiply(inverse, power);
    }
    return inverse;
}

static void free_shares(kf_secret **shares, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kf_secret_free(&shares[i]);
}

/* share = share * point + coefficient, byte by byte: a step of Horner's rule. */
static void step(kf_secret *share, uint8_t point, const kf_secret *coefficient)
{
    uint8_t *bytes = kf_secret_expose_writable(share);
    kf_view added = kf_secret_expose(coefficient);
    for (size_t i = 0; i < added.size; i++)
        bytes[i] = (uint8_t)(multiply(bytes[i], point) ^ added.data[i]);
}

static kf_code evaluate(kf_secret **coefficients, size_t threshold, uint8_t point, kf_secret **ret_share)
{
    KF_CLEANUP(kf_secret_free) kf_secret *share = NULL;
    KF_TRY(kf_secret_copy(coefficients[threshold - 1], &share));
    for (size_t i = threshold - 1; i-- > 0;)
        step(share, point, coefficients[i]);
    *ret_share = share;
    share = NULL; /* the caller owns it now */
    return KF_OK;
}

kf_code kf_shamir_split(const kf_secret *secret, kf_shamir_plan plan,
                        kf_secret *ret_shares[KF_SHAMIR_SHARES_MAX])
{
    if (plan.shares < KF_SHAMIR_SHARES_MIN || plan.shares > KF_SHAMIR_SHARES_MAX || plan.threshold < 2 ||
        plan.threshold > plan.shares)
        return KF_ERR_ARGUMENT;
    kf_secret *coefficients[KF_SHAMIR_SHARES_MAX] = {NULL};
    kf_secret *shares[KF_SHAMIR_SHARES_MAX] = {NULL};
    kf_code code = kf_secret_copy(secret, &coefficients[0]);
    for (size_t i = 1; code == KF_OK && i < plan.threshold; i++)
        code = kf_random_secret(kf_secret_size(secret), &coefficients[i]);
    for (size_t i = 0; code == KF_OK && i < plan.shares; i++)
        code = evaluate(coefficients, plan.threshold, (uint8_t)(i + 1), &shares[i]);
    free_shares(coefficients, KF_SHAMIR_SHARES_MAX);
    if (code != KF_OK) {
        free_shares(shares, KF_SHAMIR_SHARES_MAX);
        return code;
    }
    for (size_t i = 0; i < plan.shares; i++)
        ret_shares[i] = shares[i];
    return KF_OK;
}

static kf_code check_shares(const kf_shamir_share *shares, size_t count)
{
    if (count < 2 || count > KF_SHAMIR_SHARES_MAX) return KF_ERR_ARGUMENT;
    for (size_t i = 0; i < count; i++) {
        if (shares[i].point == 0 || kf_secret_size(shares[i].value) != kf_secret_size(shares[0].value))
            return KF_ERR_ARGUMENT;
        for (size_t j = 0; j < i; j++)
            if (shares[i].point == shares[j].point) return KF_ERR_ARGUMENT;
    }
    return KF_OK;
}

/* Lagrange's basis polynomial of share `index` at 0; subtraction is exclusive or. */
static uint8_t weight_of(const kf_shamir_share *shares, size_t count, size_t index)
{
    uint8_t above = 1;
    uint8_t below = 1;
    for (size_t i = 0; i < count; i++) {
        if (i == index) continue;
        above = multiply(above, shares[i].point);
        below = multiply(below, (uint8_t)(shares[i].point ^ shares[index].point));
    }
    return multiply(above, invert(below));
}

kf_code kf_shamir_combine(const kf_shamir_share *shares, size_t count, kf_secret **ret_secret)
{
    KF_TRY(check_shares(shares, count));
    KF_CLEANUP(kf_secret_free) kf_secret *secret = NULL;
    KF_TRY(kf_secret_new_zero(kf_secret_size(shares[0].value), &secret));
    uint8_t *bytes = kf_secret_expose_writable(secret);
    for (size_t i = 0; i < count; i++) {
        uint8_t weight = weight_of(shares, count, i);
        kf_view value = kf_secret_expose(shares[i].value);
        for (size_t j = 0; j < value.size; j++)
            bytes[j] ^= multiply(value.data[j], weight);
    }
    *ret_secret = secret;
    secret = NULL; /* the caller owns it now */
    return KF_OK;
}
