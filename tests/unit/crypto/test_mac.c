#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <keyfill/mac.h>

static void padded_is(kf_mac_padding padding, size_t block_size, kf_view message, kf_view wanted)
{
    kf_buffer padded = KF_BUFFER_INIT;
    assert_int_equal(kf_mac_pad(padding, block_size, message, &padded), KF_OK);
    assert_int_equal(padded.size, wanted.size);
    assert_memory_equal(padded.data, wanted.data, wanted.size);
    kf_buffer_clear(&padded);
}

static void each_padding_is_as_the_standard_says(void **state)
{
    (void)state;
    const uint8_t zeros[8] = {0};
    const uint8_t eight[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const uint8_t three_padded1[8] = {1, 2, 3};
    const uint8_t three_padded2[8] = {1, 2, 3, 0x80};
    const uint8_t none_padded2[8] = {0x80};
    const uint8_t eight_padded2[16] = {1, 2, 3, 4, 5, 6, 7, 8, 0x80};
    const uint8_t three_padded3[16] = {0, 0, 0, 0, 0, 0, 0, 24, 1, 2, 3};
    const uint8_t three_padded3_wide[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 1, 2, 3};
    kf_view nothing = kf_view_of(NULL, 0);
    kf_view three = kf_view_of(eight, 3);
    padded_is(KF_PADDING_1, 8, nothing, KF_VIEW(zeros));
    padded_is(KF_PADDING_1, 8, three, KF_VIEW(three_padded1));
    padded_is(KF_PADDING_1, 8, KF_VIEW(eight), KF_VIEW(eight));
    padded_is(KF_PADDING_2, 8, nothing, KF_VIEW(none_padded2));
    padded_is(KF_PADDING_2, 8, three, KF_VIEW(three_padded2));
    padded_is(KF_PADDING_2, 8, KF_VIEW(eight), KF_VIEW(eight_padded2));
    padded_is(KF_PADDING_3, 8, nothing, KF_VIEW(zeros));
    padded_is(KF_PADDING_3, 8, three, KF_VIEW(three_padded3));
    padded_is(KF_PADDING_3, 16, three, KF_VIEW(three_padded3_wide));
    kf_buffer padded = KF_BUFFER_INIT;
    assert_int_equal(kf_mac_pad((kf_mac_padding)4, 8, three, &padded), KF_ERR_ARGUMENT);
    kf_buffer_clear(&padded);
}

static void padding_2_comes_off_again_and_anything_else_does_not(void **state)
{
    (void)state;
    const uint8_t message[] = {1, 0, 0x80};
    kf_buffer padded = KF_BUFFER_INIT;
    kf_view back = {NULL, 0};
    assert_int_equal(kf_mac_pad(KF_PADDING_2, 8, KF_VIEW(message), &padded), KF_OK);
    assert_int_equal(kf_mac_unpad2(kf_buffer_view(&padded), &back), KF_OK);
    assert_true(kf_view_equal(back, KF_VIEW(message)));
    kf_buffer_clear(&padded);
    const uint8_t zeros[8] = {0};
    const uint8_t other[8] = {1, 2, 3, 0x40};
    assert_int_equal(kf_mac_unpad2(KF_VIEW(zeros), &back), KF_ERR_MALFORMED);
    assert_int_equal(kf_mac_unpad2(KF_VIEW(other), &back), KF_ERR_MALFORMED);
    assert_int_equal(kf_mac_unpad2(kf_view_of(NULL, 0), &back), KF_ERR_MALFORMED);
}

static void a_retail_mac_with_equal_halves_is_a_cbc_mac(void **state)
{
    (void)state;
    const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    kf_mac_pair pair = {NULL, NULL};
    uint8_t retail[8];
    uint8_t plain[8];
    kf_view message = kf_view_of_text("a message of more than one block");
    assert_int_equal(kf_mac_retail_pair(KF_VIEW(key), &pair), KF_OK);
    assert_int_equal(kf_mac_retail(pair, KF_PADDING_2, NULL, message, retail), KF_OK);
    assert_int_equal(kf_mac_cbc(pair.chain, KF_PADDING_2, NULL, message, plain), KF_OK);
    assert_memory_equal(retail, plain, 8);
    const uint8_t vector[8] = {1};
    assert_int_equal(kf_mac_retail(pair, KF_PADDING_2, vector, message, retail), KF_OK);
    assert_memory_not_equal(retail, plain, 8);
    kf_mac_pair_free(&pair);
    assert_null(pair.chain);
}

static void what_does_not_fit_together_is_refused(void **state)
{
    (void)state;
    const uint8_t key[16] = {0};
    kf_mac_pair pair = {NULL, NULL};
    uint8_t mac[16];
    assert_int_equal(kf_mac_retail_pair(kf_view_of(key, 8), &pair), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_cipher_new(KF_AES, KF_VIEW(key), &pair.chain), KF_OK);
    assert_int_equal(kf_cipher_new(KF_TDES, KF_VIEW(key), &pair.last), KF_OK);
    kf_view message = kf_view_of_text("x");
    assert_int_equal(kf_mac_retail(pair, KF_PADDING_1, NULL, message, mac), KF_ERR_ARGUMENT);
    assert_int_equal(kf_mac_encrypted_cbc(pair.chain, pair.last, KF_PADDING_1, message, mac),
                     KF_ERR_ARGUMENT);
    assert_int_equal(kf_mac_cbc(pair.chain, (kf_mac_padding)0, NULL, message, mac), KF_ERR_ARGUMENT);
    kf_mac_pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_padding_is_as_the_standard_says),
        cmocka_unit_test(padding_2_comes_off_again_and_anything_else_does_not),
        cmocka_unit_test(a_retail_mac_with_equal_halves_is_a_cbc_mac),
        cmocka_unit_test(what_does_not_fit_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
