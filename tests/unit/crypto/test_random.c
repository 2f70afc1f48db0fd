#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/random.h"

static void two_random_secrets_differ(void **state)
{
    (void)state;
    kf_secret *left = NULL;
    kf_secret *right = NULL;
    assert_int_equal(kf_random_secret(32, &left), KF_OK);
    assert_int_equal(kf_random_secret(32, &right), KF_OK);
    assert_int_equal(kf_secret_size(left), 32);
    assert_false(kf_secret_equal(left, right));
    kf_secret_free(&left);
    kf_secret_free(&right);
}

static void random_bytes_reach_the_last_one(void **state)
{
    (void)state;
    uint8_t bytes[33];
    unsigned changed = 0;
    /* One of 16 tries leaves the last byte zero with a chance of 2^-128. */
    for (unsigned i = 0; i < 16; i++) {
        memset(bytes, 0, sizeof bytes);
        assert_int_equal(kf_random_bytes(bytes, sizeof bytes), KF_OK);
        changed |= bytes[sizeof bytes - 1];
    }
    assert_int_not_equal(changed, 0);
}

static void an_impossible_size_is_refused(void **state)
{
    (void)state;
    kf_secret *secret = NULL;
    assert_int_equal(kf_random_secret(0, &secret), KF_ERR_ARGUMENT);
    assert_int_equal(kf_random_secret(KF_SECRET_MAX_SIZE + 1, &secret), KF_ERR_ARGUMENT);
    assert_null(secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_random_secrets_differ),
        cmocka_unit_test(random_bytes_reach_the_last_one),
        cmocka_unit_test(an_impossible_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
