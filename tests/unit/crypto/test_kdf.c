#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <keyfill/kdf.h>

static const uint8_t key[16] = {7, 7, 7};
static const uint8_t fixed[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

static kf_cipher *prf(void)
{
    kf_cipher *cipher = NULL;
    assert_int_equal(kf_cipher_new(KF_AES, KF_VIEW(key), &cipher), KF_OK);
    return cipher;
}

static void each_block_is_the_cmac_of_its_counter_and_the_fixed_input(void **state)
{
    (void)state;
    kf_cipher *cipher = prf();
    uint8_t output[37];
    const uint8_t second[] = {1, 2, 3, 0, 0, 2, 4, 5, 6, 7, 8, 9, 10};
    uint8_t mac[16];
    kf_kdf_counter form = {KF_COUNTER_MIDDLE_FIXED, 24, 3};
    assert_int_equal(kf_kdf_counter_mode(cipher, form, KF_VIEW(fixed), output, sizeof output), KF_OK);
    assert_int_equal(kf_cmac(cipher, KF_VIEW(second), mac), KF_OK);
    assert_memory_equal(output + 16, mac, 16);
    kf_cipher_free(&cipher);
}

static void a_middle_at_either_end_is_before_or_after(void **state)
{
    (void)state;
    kf_cipher *cipher = prf();
    const kf_kdf_counter pairs[2][2] = {{{KF_COUNTER_MIDDLE_FIXED, 8, 0}, {KF_COUNTER_BEFORE_FIXED, 8, 0}},
                                        {{KF_COUNTER_MIDDLE_FIXED, 8, 10}, {KF_COUNTER_AFTER_FIXED, 8, 0}}};
    for (size_t i = 0; i < 2; i++) {
        uint8_t outputs[2][40];
        for (size_t j = 0; j < 2; j++)
            assert_int_equal(kf_kdf_counter_mode(cipher, pairs[i][j], KF_VIEW(fixed), outputs[j], 40), KF_OK);
        assert_memory_equal(outputs[0], outputs[1], 40);
    }
    kf_cipher_free(&cipher);
}

static void what_cannot_be_counted_is_refused(void **state)
{
    (void)state;
    kf_cipher *cipher = prf();
    static uint8_t output[256 * 16];
    const kf_kdf_counter byte = {KF_COUNTER_BEFORE_FIXED, 8, 0};
    assert_int_equal(kf_kdf_counter_mode(cipher, byte, KF_VIEW(fixed), output, 255 * 16), KF_OK);
    assert_int_equal(kf_kdf_counter_mode(cipher, byte, KF_VIEW(fixed), output, 255 * 16 + 1),
                     KF_ERR_ARGUMENT);
    assert_int_equal(kf_kdf_counter_mode(cipher, byte, KF_VIEW(fixed), output, 0), KF_ERR_ARGUMENT);
    const kf_kdf_counter odd = {KF_COUNTER_BEFORE_FIXED, 12, 0};
    assert_int_equal(kf_kdf_counter_mode(cipher, odd, KF_VIEW(fixed), output, 16), KF_ERR_ARGUMENT);
    const kf_kdf_counter behind = {KF_COUNTER_MIDDLE_FIXED, 8, sizeof fixed + 1};
    assert_int_equal(kf_kdf_counter_mode(cipher, behind, KF_VIEW(fixed), output, 16), KF_ERR_ARGUMENT);
    kf_cipher_free(&cipher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_block_is_the_cmac_of_its_counter_and_the_fixed_input),
        cmocka_unit_test(a_middle_at_either_end_is_before_or_after),
        cmocka_unit_test(what_cannot_be_counted_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
