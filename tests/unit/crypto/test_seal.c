#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/random.h"
#include "crypto/seal.h"

static kf_secret *random_key(size_t size)
{
    kf_secret *key = NULL;
    assert_int_equal(kf_random_secret(size, &key), KF_OK);
    return key;
}

static void a_seal_opens_and_every_flipped_bit_closes_it(void **state)
{
    (void)state;
    kf_secret *key = random_key(KF_SEAL_KEY_SIZE);
    kf_view context = kf_view_of_text("context");
    kf_view plain = kf_view_of_text("plain");
    kf_buffer sealed = KF_BUFFER_INIT;
    kf_buffer opened = KF_BUFFER_INIT;
    kf_buffer_append_text(&opened, "before ");
    assert_int_equal(kf_seal(key, context, plain, &sealed), KF_OK);
    assert_int_equal(sealed.size, plain.size + KF_SEAL_OVERHEAD);
    for (size_t bit = 0; bit < 8 * sealed.size; bit++) {
        sealed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(kf_unseal(key, context, kf_buffer_view(&sealed), &opened), KF_ERR_AUTHENTICATION);
        sealed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_int_equal(kf_unseal(key, context, kf_buffer_view(&sealed), &opened), KF_OK);
    assert_string_equal(kf_buffer_text(&opened), "before plain");
    kf_buffer_clear(&sealed);
    kf_buffer_clear(&opened);
    kf_secret_free(&key);
}

static void another_context_key_or_size_does_not_open(void **state)
{
    (void)state;
    kf_secret *key = random_key(KF_SEAL_KEY_SIZE);
    kf_secret *other = random_key(KF_SEAL_KEY_SIZE);
    kf_secret *short_key = random_key(16);
    kf_view context = kf_view_of_text("context");
    kf_buffer sealed = KF_BUFFER_INIT;
    kf_buffer opened = KF_BUFFER_INIT;
    assert_int_equal(kf_seal(key, context, kf_view_of(NULL, 0), &sealed), KF_OK);
    kf_view whole = kf_buffer_view(&sealed);
    assert_int_equal(kf_unseal(key, kf_view_of_text("contexT"), whole, &opened), KF_ERR_AUTHENTICATION);
    assert_int_equal(kf_unseal(other, context, whole, &opened), KF_ERR_AUTHENTICATION);
    assert_int_equal(kf_unseal(short_key, context, whole, &opened), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_seal(short_key, context, whole, &opened), KF_ERR_KEY_SIZE);
    for (size_t size = 0; size < whole.size; size++)
        assert_int_equal(kf_unseal(key, context, kf_view_part(whole, 0, size), &opened),
                         KF_ERR_AUTHENTICATION);
    assert_int_equal(opened.size, 0);
    assert_int_equal(kf_unseal(key, context, whole, &opened), KF_OK);
    kf_buffer_clear(&sealed);
    kf_buffer_clear(&opened);
    kf_secret_free(&key);
    kf_secret_free(&other);
    kf_secret_free(&short_key);
}

static void two_seals_of_the_same_differ(void **state)
{
    (void)state;
    kf_secret *key = random_key(KF_SEAL_KEY_SIZE);
    kf_buffer left = KF_BUFFER_INIT;
    kf_buffer right = KF_BUFFER_INIT;
    assert_int_equal(kf_seal(key, kf_view_of(NULL, 0), kf_view_of_text("x"), &left), KF_OK);
    assert_int_equal(kf_seal(key, kf_view_of(NULL, 0), kf_view_of_text("x"), &right), KF_OK);
    assert_false(kf_view_equal(kf_buffer_view(&left), kf_buffer_view(&right)));
    kf_buffer_clear(&left);
    kf_buffer_clear(&right);
    kf_secret_free(&key);
}

static void a_buffer_that_is_full_takes_no_seal(void **state)
{
    (void)state;
    kf_secret *key = random_key(KF_SEAL_KEY_SIZE);
    kf_buffer sealed = kf_buffer_with_limit(KF_SEAL_OVERHEAD);
    assert_int_equal(kf_seal(key, kf_view_of(NULL, 0), kf_view_of_text("x"), &sealed), KF_ERR_TOO_LONG);
    kf_buffer_clear(&sealed);
    kf_secret_free(&key);
}

static kf_secret *passphrase_key(const char *passphrase, uint8_t salt_byte, kf_passphrase_cost cost)
{
    kf_secret *words = NULL;
    kf_secret *key = NULL;
    uint8_t salt[KF_PASSPHRASE_SALT_SIZE];
    memset(salt, salt_byte, sizeof salt);
    assert_int_equal(kf_secret_new(kf_view_of_text(passphrase), &words), KF_OK);
    assert_int_equal(kf_passphrase_key(words, salt, cost, &key), KF_OK);
    kf_secret_free(&words);
    return key;
}

static void a_passphrase_gives_one_key_a_salt_and_cost(void **state)
{
    (void)state;
    const kf_passphrase_cost cheap = {1, 8192};
    kf_secret *keys[] = {passphrase_key("correct horse", 1, cheap), passphrase_key("correct horse", 1, cheap),
                         passphrase_key("correct Horse", 1, cheap), passphrase_key("correct horse", 2, cheap),
                         passphrase_key("correct horse", 1, (kf_passphrase_cost){2, 8192})};
    assert_int_equal(kf_secret_size(keys[0]), KF_SEAL_KEY_SIZE);
    assert_true(kf_secret_equal(keys[0], keys[1]));
    for (size_t i = 2; i < 5; i++)
        assert_false(kf_secret_equal(keys[0], keys[i]));
    for (size_t i = 0; i < 5; i++)
        kf_secret_free(&keys[i]);
}

static void a_cost_out_of_range_is_refused(void **state)
{
    (void)state;
    kf_secret *words = random_key(8);
    kf_secret *key = NULL;
    const uint8_t salt[KF_PASSPHRASE_SALT_SIZE] = {0};
    const kf_passphrase_cost costs[] = {{0, 8192},
                                        {KF_PASSPHRASE_COST_MAX_OPERATIONS + 1, 8192},
                                        {1, 8191},
                                        {1, KF_PASSPHRASE_COST_MAX_MEMORY + 1}};
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++)
        assert_int_equal(kf_passphrase_key(words, salt, costs[i], &key), KF_ERR_ARGUMENT);
    assert_null(key);
    kf_secret_free(&words);
}

static void a_box_opens_with_its_private_key_alone(void **state)
{
    (void)state;
    uint8_t public_key[KF_BOX_PUBLIC_SIZE];
    uint8_t again[KF_BOX_PUBLIC_SIZE];
    kf_secret *private_key = NULL;
    kf_secret *other = random_key(KF_BOX_PRIVATE_SIZE);
    kf_secret *plain = NULL;
    kf_buffer sealed = KF_BUFFER_INIT;
    assert_int_equal(kf_box_new(public_key, &private_key), KF_OK);
    assert_int_equal(kf_box_public(private_key, again), KF_OK);
    assert_memory_equal(public_key, again, sizeof again);
    assert_int_equal(kf_box_seal(public_key, kf_view_of_text("ADM1"), &sealed), KF_OK);
    assert_int_equal(sealed.size, 4 + KF_BOX_OVERHEAD);
    kf_view whole = kf_buffer_view(&sealed);
    assert_int_equal(kf_box_open(other, whole, &plain), KF_ERR_AUTHENTICATION);
    assert_int_equal(kf_box_open(private_key, kf_view_part(whole, 0, KF_BOX_OVERHEAD), &plain),
                     KF_ERR_AUTHENTICATION);
    assert_int_equal(kf_box_open(private_key, kf_view_part(whole, 0, whole.size - 1), &plain),
                     KF_ERR_AUTHENTICATION);
    assert_null(plain);
    assert_int_equal(kf_box_open(private_key, whole, &plain), KF_OK);
    assert_memory_equal(kf_secret_expose(plain).data, "ADM1", 4);
    kf_buffer_clear(&sealed);
    kf_secret_free(&plain);
    kf_secret_free(&other);
    kf_secret_free(&private_key);
}

static void a_box_that_cannot_be_is_refused(void **state)
{
    (void)state;
    const uint8_t small_order[KF_BOX_PUBLIC_SIZE] = {0};
    uint8_t public_key[KF_BOX_PUBLIC_SIZE];
    static uint8_t huge[KF_SECRET_MAX_SIZE + KF_BOX_OVERHEAD + 1];
    kf_secret *private_key = random_key(KF_BOX_PRIVATE_SIZE);
    kf_secret *short_key = random_key(16);
    kf_secret *plain = NULL;
    kf_buffer sealed = KF_BUFFER_INIT;
    assert_int_equal(kf_box_seal(small_order, kf_view_of_text("x"), &sealed), KF_ERR_ARGUMENT);
    assert_int_equal(sealed.size, 0);
    assert_int_equal(kf_box_public(short_key, public_key), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_box_open(short_key, kf_view_of(huge, 60), &plain), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_box_open(private_key, KF_VIEW(huge), &plain), KF_ERR_TOO_LONG);
    assert_null(plain);
    kf_buffer_clear(&sealed);
    kf_secret_free(&private_key);
    kf_secret_free(&short_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seal_opens_and_every_flipped_bit_closes_it),
        cmocka_unit_test(another_context_key_or_size_does_not_open),
        cmocka_unit_test(two_seals_of_the_same_differ),
        cmocka_unit_test(a_buffer_that_is_full_takes_no_seal),
        cmocka_unit_test(a_passphrase_gives_one_key_a_salt_and_cost),
        cmocka_unit_test(a_cost_out_of_range_is_refused),
        cmocka_unit_test(a_box_opens_with_its_private_key_alone),
        cmocka_unit_test(a_box_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
