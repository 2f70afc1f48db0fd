#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/key_wrap.h"
#include "crypto/random.h"
#include <keyfill/hex.h>

static kf_cipher *cipher_of(const char *digits)
{
    kf_secret *key = NULL;
    kf_cipher *cipher = NULL;
    assert_int_equal(kf_hex_decode_secret(digits, &key), KF_OK);
    assert_int_equal(kf_cipher_new_secret(KF_AES, key, &cipher), KF_OK);
    kf_secret_free(&key);
    return cipher;
}

/* RFC 5649 6. */
static void the_published_examples_come_out(void **state)
{
    (void)state;
    static const char *const examples[][2] = {
        {"C37B7E6492584340BED12207808941155068F738",
         "138BDEAA9B8FA7FC61F97742E72248EE5AE6AE5360D1AE6A5F54F373FA543B6A"},
        {"466F7250617369", "AFBEB0F07DFBF5419200F2CCB50BB24F"},
    };
    kf_cipher *cipher = cipher_of("5840DF6E29B02AF1AB493B705BF16EA1AE8338F4DCC176A8");
    for (size_t i = 0; i < 2; i++) {
        kf_secret *key = NULL;
        kf_secret *back = NULL;
        KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer digits = KF_BUFFER_INIT;
        assert_int_equal(kf_hex_decode_secret(examples[i][0], &key), KF_OK);
        assert_int_equal(kf_key_wrap(cipher, key, &wrapped), KF_OK);
        kf_buffer_append_hex(&digits, kf_buffer_view(&wrapped));
        assert_string_equal(kf_buffer_text(&digits), examples[i][1]);
        assert_int_equal(kf_key_unwrap(cipher, kf_buffer_view(&wrapped), &back), KF_OK);
        assert_true(kf_secret_equal(key, back));
        kf_secret_free(&key);
        kf_secret_free(&back);
    }
    kf_cipher_free(&cipher);
}

static void keys_of_every_length_come_back_and_any_flipped_bit_is_noticed(void **state)
{
    (void)state;
    kf_cipher *cipher = cipher_of("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
    for (size_t size = 1; size <= KF_KEY_WRAP_MAX; size++) {
        kf_secret *key = NULL;
        kf_secret *back = NULL;
        KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
        assert_int_equal(kf_random_secret(size, &key), KF_OK);
        assert_int_equal(kf_key_wrap(cipher, key, &wrapped), KF_OK);
        assert_int_equal(wrapped.size, 8 + (size + 7) / 8 * 8);
        for (size_t bit = 0; bit < 8 * wrapped.size; bit++) {
            wrapped.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_int_equal(kf_key_unwrap(cipher, kf_buffer_view(&wrapped), &back), KF_ERR_AUTHENTICATION);
            wrapped.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        assert_int_equal(kf_key_unwrap(cipher, kf_buffer_view(&wrapped), &back), KF_OK);
        assert_true(kf_secret_equal(key, back));
        kf_secret_free(&key);
        kf_secret_free(&back);
    }
    kf_cipher_free(&cipher);
}

static void lengths_that_no_wrapped_key_has_are_refused(void **state)
{
    (void)state;
    kf_cipher *cipher = cipher_of("000102030405060708090A0B0C0D0E0F");
    const uint8_t bytes[KF_KEY_WRAP_MAX + 16] = {0};
    kf_secret *key = NULL;
    for (size_t size = 0; size <= sizeof bytes; size++)
        if (size < 16 || size % 8 != 0 || size > KF_KEY_WRAP_MAX + 8)
            assert_int_equal(kf_key_unwrap(cipher, kf_view_of(bytes, size), &key), KF_ERR_MALFORMED);
    kf_secret *too_long = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
    assert_int_equal(kf_random_secret(KF_KEY_WRAP_MAX + 1, &too_long), KF_OK);
    assert_int_equal(kf_key_wrap(cipher, too_long, &wrapped), KF_ERR_ARGUMENT);
    kf_secret_free(&too_long);
    kf_cipher_free(&cipher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples_come_out),
        cmocka_unit_test(keys_of_every_length_come_back_and_any_flipped_bit_is_noticed),
        cmocka_unit_test(lengths_that_no_wrapped_key_has_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
