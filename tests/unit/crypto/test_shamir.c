#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <keyfill/hex.h>

#include "crypto/random.h"
#include "crypto/shamir.h"

static kf_secret *secret_of(const char *digits)
{
    kf_secret *secret = NULL;
    assert_int_equal(kf_hex_decode_secret(digits, &secret), KF_OK);
    return secret;
}

/* draft-mcgrew-tss-03, 9: the secret "test", ended by a zero, of which both shares are needed. */
static void published_shares_give_the_published_secret(void **state)
{
    (void)state;
    KF_CLEANUP(kf_secret_free) kf_secret *first = secret_of("B9FA07E185");
    KF_CLEANUP(kf_secret_free) kf_secret *second = secret_of("F5409B4511");
    KF_CLEANUP(kf_secret_free) kf_secret *wanted = secret_of("7465737400");
    KF_CLEANUP(kf_secret_free) kf_secret *got = NULL;
    const kf_shamir_share shares[] = {{2, second}, {1, first}};
    assert_int_equal(kf_shamir_combine(shares, 2, &got), KF_OK);
    assert_true(kf_secret_equal(got, wanted));
}

/* Every choice of `threshold` of the shares gives the secret, and no choice of fewer does. */
static void check_choice(const kf_secret *secret, kf_secret *const *parts, kf_shamir_plan plan,
                         unsigned choice)
{
    kf_shamir_share shares[KF_SHAMIR_SHARES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < plan.shares; i++)
        if ((choice >> i & 1U) != 0) shares[count++] = (kf_shamir_share){(uint8_t)(i + 1), parts[i]};
    if (count < 2) return;
    KF_CLEANUP(kf_secret_free) kf_secret *got = NULL;
    assert_int_equal(kf_shamir_combine(shares, count, &got), KF_OK);
    assert_int_equal(kf_secret_equal(got, secret), count >= plan.threshold);
}

static void any_threshold_of_shares_gives_the_secret_and_fewer_do_not(void **state)
{
    (void)state;
    static const kf_shamir_plan plans[] = {{2, 2}, {5, 3}, {5, 5}, {7, 4}, {KF_SHAMIR_SHARES_MAX, 2}};
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        KF_CLEANUP(kf_secret_free) kf_secret *secret = NULL;
        kf_secret *parts[KF_SHAMIR_SHARES_MAX] = {NULL};
        assert_int_equal(kf_random_secret(32, &secret), KF_OK);
        assert_int_equal(kf_shamir_split(secret, plans[i], parts), KF_OK);
        unsigned choices = 1U << (plans[i].shares < 8 ? plans[i].shares : 8);
        for (unsigned choice = 0; choice < choices; choice++)
            check_choice(secret, parts, plans[i], choice);
        for (size_t j = 0; j < KF_SHAMIR_SHARES_MAX; j++)
            kf_secret_free(&parts[j]);
    }
}

static void plans_and_shares_out_of_range_are_refused(void **state)
{
    (void)state;
    static const kf_shamir_plan wrong[] = {{1, 1}, {2, 1}, {3, 4}, {KF_SHAMIR_SHARES_MAX + 1, 2}, {0, 0}};
    KF_CLEANUP(kf_secret_free) kf_secret *secret = secret_of("0001020304");
    KF_CLEANUP(kf_secret_free) kf_secret *shorter = secret_of("00010203");
    kf_secret *parts[KF_SHAMIR_SHARES_MAX] = {NULL};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(kf_shamir_split(secret, wrong[i], parts), KF_ERR_ARGUMENT);
    kf_secret *got = NULL;
    assert_int_equal(kf_shamir_combine((kf_shamir_share[]){{1, secret}, {1, secret}}, 2, &got),
                     KF_ERR_ARGUMENT);
    assert_int_equal(kf_shamir_combine((kf_shamir_share[]){{0, secret}, {1, secret}}, 2, &got),
                     KF_ERR_ARGUMENT);
    assert_int_equal(kf_shamir_combine((kf_shamir_share[]){{1, secret}, {2, shorter}}, 2, &got),
                     KF_ERR_ARGUMENT);
    assert_int_equal(kf_shamir_combine((kf_shamir_share[]){{1, secret}}, 1, &got), KF_ERR_ARGUMENT);
    assert_null(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_shares_give_the_published_secret),
        cmocka_unit_test(any_threshold_of_shares_gives_the_secret_and_fewer_do_not),
        cmocka_unit_test(plans_and_shares_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
