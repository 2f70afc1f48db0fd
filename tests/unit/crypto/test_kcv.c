#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <keyfill/kcv.h>

static kf_kcv kcv_of(kf_algorithm algorithm, kf_view key, kf_kcv_form form)
{
    kf_secret *secret = NULL;
    kf_kcv kcv = {{0}};
    assert_int_equal(kf_secret_new(key, &secret), KF_OK);
    assert_int_equal(kf_kcv_compute(algorithm, secret, form, &kcv), KF_OK);
    kf_secret_free(&secret);
    return kcv;
}

static void the_three_forms_differ_for_aes(void **state)
{
    (void)state;
    const uint8_t key[16] = {1};
    kf_kcv card = kcv_of(KF_AES, KF_VIEW(key), KF_KCV_GLOBALPLATFORM);
    kf_kcv zeros = kcv_of(KF_AES, KF_VIEW(key), KF_KCV_ZEROS);
    kf_kcv cmac = kcv_of(KF_AES, KF_VIEW(key), KF_KCV_CMAC);
    assert_memory_not_equal(card.bytes, zeros.bytes, KF_KCV_SIZE);
    assert_memory_not_equal(card.bytes, cmac.bytes, KF_KCV_SIZE);
    assert_memory_not_equal(zeros.bytes, cmac.bytes, KF_KCV_SIZE);
}

static void globalplatform_encrypts_zeros_with_3des_and_sm4(void **state)
{
    (void)state;
    const uint8_t key[16] = {1, 2, 3};
    const kf_algorithm algorithms[] = {KF_TDES, KF_SM4};
    for (size_t i = 0; i < 2; i++) {
        kf_kcv card = kcv_of(algorithms[i], KF_VIEW(key), KF_KCV_GLOBALPLATFORM);
        kf_kcv zeros = kcv_of(algorithms[i], KF_VIEW(key), KF_KCV_ZEROS);
        assert_memory_equal(card.bytes, zeros.bytes, KF_KCV_SIZE);
    }
}

static void a_kcv_is_shown_as_six_upper_case_digits(void **state)
{
    (void)state;
    kf_kcv kcv = {{0x0A, 0xB1, 0xFF}};
    assert_string_equal(kf_kcv_show(kcv).text, "0AB1FF");
}

static void each_form_has_a_name(void **state)
{
    (void)state;
    static const char *const names[] = {"globalplatform", "zeros", "cmac"};
    for (size_t i = 0; i < 3; i++) {
        kf_kcv_form form = KF_KCV_GLOBALPLATFORM;
        assert_int_equal(kf_kcv_form_parse(names[i], &form), KF_OK);
        assert_int_equal(form, i);
        assert_string_equal(kf_kcv_form_name(form), names[i]);
    }
    kf_kcv_form form = KF_KCV_CMAC;
    assert_int_equal(kf_kcv_form_parse("CMAC", &form), KF_ERR_ARGUMENT);
    assert_int_equal(kf_kcv_form_parse("", &form), KF_ERR_ARGUMENT);
    assert_int_equal(form, KF_KCV_CMAC);
}

static void a_key_that_does_not_fit_has_none(void **state)
{
    (void)state;
    const uint8_t key[15] = {1};
    kf_secret *secret = NULL;
    kf_kcv kcv = {{1, 2, 3}};
    assert_int_equal(kf_secret_new(KF_VIEW(key), &secret), KF_OK);
    assert_int_equal(kf_kcv_compute(KF_AES, secret, KF_KCV_CMAC, &kcv), KF_ERR_KEY_SIZE);
    assert_string_equal(kf_kcv_show(kcv).text, "010203");
    kf_secret_free(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_forms_differ_for_aes),
        cmocka_unit_test(globalplatform_encrypts_zeros_with_3des_and_sm4),
        cmocka_unit_test(a_kcv_is_shown_as_six_upper_case_digits),
        cmocka_unit_test(each_form_has_a_name),
        cmocka_unit_test(a_key_that_does_not_fit_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
