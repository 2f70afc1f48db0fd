#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/diversify_steps.h"
#include "crypto/random.h"

/* A token in this process: it answers the steps with the key that it keeps. */
static void make_intermediate(kf_algorithm algorithm, const kf_derivation_steps *steps, uint8_t key[32])
{
    for (size_t i = 0; i < steps->chain_count; i++) {
        uint8_t encrypted[KF_STEP_CHAIN_SIZE];
        kf_cipher *cipher = NULL;
        assert_int_equal(kf_cipher_new(algorithm, kf_view_of(key, steps->key_size), &cipher), KF_OK);
        assert_int_equal(kf_cipher_encrypt_blocks(
                             cipher, kf_view_of(steps->chain[i].data, steps->chain[i].size), encrypted),
                         KF_OK);
        assert_true(steps->chain[i].size >= steps->key_size);
        memcpy(key, encrypted, steps->key_size);
        kf_cipher_free(&cipher);
    }
}

static kf_secret *derive_in_token(const kf_diversification *line, const kf_derivation_subject *subject,
                                  const kf_secret *base_key)
{
    static kf_derivation_steps steps;
    uint8_t key[32] = {0};
    uint8_t outputs[KF_STEPS_MAX * KF_STEP_OUTPUT_MAX];
    kf_error error = {KF_OK, ""};
    kf_cipher *cipher = NULL;
    assert_int_equal(kf_derivation_steps_make(line, subject, &steps, &error), KF_OK);
    memcpy(key, kf_secret_expose(base_key).data, subject->key_size);
    make_intermediate(subject->algorithm, &steps, key);
    assert_int_equal(kf_cipher_new(subject->algorithm, kf_view_of(key, subject->key_size), &cipher), KF_OK);
    if (steps.needs_zero_block) {
        const uint8_t zeros[KF_BLOCK_MAX] = {0};
        uint8_t encrypted[KF_BLOCK_MAX];
        assert_int_equal(kf_cipher_encrypt_blocks(cipher, kf_view_of(zeros, steps.block_size), encrypted),
                         KF_OK);
        kf_derivation_steps_complete(&steps, encrypted);
    }
    size_t size = 0;
    for (size_t i = 0; i < steps.count; i++) {
        kf_view input = kf_view_of(steps.steps[i].input, steps.steps[i].size);
        assert_int_equal(steps.steps[i].kind == KF_STEP_CMAC
                             ? kf_cmac(cipher, input, outputs + size)
                             : kf_cipher_encrypt_blocks(cipher, input, outputs + size),
                         KF_OK);
        size += kf_derivation_step_output(&steps, i);
    }
    kf_cipher_free(&cipher);
    kf_secret *derived = NULL;
    assert_int_equal(kf_derivation_steps_finish(&steps, kf_view_of(outputs, size), &derived), KF_OK);
    return derived;
}

static void check_line(const char *text, kf_algorithm algorithm, size_t key_size)
{
    const kf_field items[] = {{"number", "8613800000001"},
                              {"kdd", "00112233445566778899"},
                              {"generation", "7"},
                              {"pan", "6217000012345678901"},
                              {"long", "a value of more than sixteen bytes in all"}};
    kf_diversification *line = NULL;
    kf_secret *base_key = NULL;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_diversification_parse(text, &line, &error), KF_OK);
    assert_int_equal(kf_random_secret(key_size, &base_key), KF_OK);
    for (int role = KF_ROLE_SINGLE; role <= KF_ROLE_DEK; role++) {
        kf_derivation_subject subject = {
            algorithm, key_size, {items, sizeof items / sizeof items[0]}, (kf_key_role)role};
        kf_secret *expected = NULL;
        assert_int_equal(
            kf_diversify(line, algorithm, base_key, subject.fields, subject.role, &expected, &error), KF_OK);
        kf_secret *derived = derive_in_token(line, &subject, base_key);
        if (!kf_secret_equal(expected, derived)) fail_msg("%s, role %d: another key", text, role);
        kf_secret_free(&expected);
        kf_secret_free(&derived);
    }
    kf_secret_free(&base_key);
    kf_diversification_free(&line);
}

static void a_token_gives_the_keys_that_the_library_gives(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        kf_algorithm algorithm;
        size_t key_size;
    } cases[] = {
        {"sp800-108-aes(role,number/bcd/8/right-F,generation/binary/2)", KF_AES, 16},
        {"sp800-108-aes(role,number/bcd/8/right-F,generation/binary/2)", KF_AES, 24},
        {"sp800-108-aes(role,long,generation/binary/2)", KF_AES, 32},
        {"sp800-108-sm4(role,number)", KF_SM4, 16},
        {"an10922-aes128(role,number/bcd/8/left-0)", KF_AES, 16},
        {"an10922-aes128(role,number/ascii/14/left-00)", KF_AES, 16},
        {"an10922-aes128(role,long/15/first)", KF_AES, 16},
        {"an10922-aes128(role,long/29/first)", KF_AES, 16},
        {"an10922-aes128(role,long/30/first)", KF_AES, 16},
        {"an10922-aes192(role,number/bcd/8/left-0)", KF_AES, 24},
        {"an10922-aes192(role,long/20/first)", KF_AES, 24},
        {"an10922-aes256(role,number/bcd/8/left-0)", KF_AES, 32},
        {"an10922-aes256(role,long/30/first)", KF_AES, 32},
        {"an10922-2tdea(role,generation/binary/2)", KF_TDES, 16},
        {"an10922-2tdea(role,number/bcd/8/left-0)", KF_TDES, 16},
        {"an10922-3tdea(role,generation/binary/2)", KF_TDES, 24},
        {"an10922-3tdea(role,long/14/first)", KF_TDES, 24},
        {"emv-option-a(pan/bcd/left-0,generation/binary/1)", KF_TDES, 16},
        {"emv-option-b(pan/bcd/left-0,generation/binary/1)", KF_TDES, 16},
        {"emv-option-b(number/bcd/7/left-0,generation/binary/1)", KF_TDES, 16},
        {"emv-option-c(role,number/bcd/8/left-0)", KF_AES, 16},
        {"emv-option-c(role,number/bcd/8/left-0)", KF_AES, 24},
        {"emv-option-c(role,number/bcd/8/left-0)", KF_AES, 32},
        {"pboc-3des(number/bcd/8/left-0)", KF_TDES, 16},
        {"pboc-sm4(number/bcd/8/left-0)", KF_SM4, 16},
        {"visa2(kdd/hex/10,role)", KF_TDES, 16},
        {"emv-cps(kdd/hex/10,role)", KF_TDES, 16},
        {"kdf3(kdd/hex/10,role)", KF_AES, 16},
        {"kdf3(kdd/hex/10,role)", KF_AES, 24},
        {"kdf3(kdd/hex/10,role)", KF_AES, 32},
        {"pboc-3des('0102030405060708') > pboc-3des(number/bcd/8/left-0)", KF_TDES, 16},
        {"pboc-3des('0102030405060708') > emv-option-a(pan/bcd/left-0) > visa2(kdd/hex/10,role)", KF_TDES,
         16},
        {"emv-option-c('01') > an10922-aes128(role,number/bcd/8/left-0)", KF_AES, 16},
        {"emv-option-c(role,'01') > sp800-108-aes(role,number)", KF_AES, 24},
        {"emv-option-c('01') > emv-option-c(role,number/bcd/8/left-0)", KF_AES, 32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_line(cases[i].line, cases[i].algorithm, cases[i].key_size);
}

static void expect_refusal(const char *text, kf_algorithm algorithm, size_t key_size, kf_code code,
                           const char *word)
{
    kf_diversification *line = NULL;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_diversification_parse(text, &line, &error), KF_OK);
    assert_int_equal(kf_derivation_steps_check(line, algorithm, key_size, &error), code);
    if (strstr(error.message, word) == NULL) fail_msg("no \"%s\" in: %s", word, error.message);
    kf_diversification_free(&line);
}

static void what_would_let_a_key_out_is_refused_with_the_reason(void **state)
{
    (void)state;
    expect_refusal("none()", KF_AES, 16, KF_ERR_UNSUPPORTED, "gives out the base key");
    expect_refusal("sp800-108-aes('01') > sp800-108-aes(role,number)", KF_AES, 16, KF_ERR_UNSUPPORTED,
                   "level 1");
    expect_refusal("emv-option-c('01') > kdf3(kdd/hex/10,role) > sp800-108-aes(role,number)", KF_AES, 16,
                   KF_ERR_UNSUPPORTED, "level 2");
    expect_refusal("visa2(kdd/hex/10,role)", KF_AES, 16, KF_ERR_DIVERSIFICATION, "3DES");
    expect_refusal("an10922-aes256(number)", KF_AES, 16, KF_ERR_DIVERSIFICATION, "32 bytes");
}

static void a_field_that_is_missing_is_named(void **state)
{
    (void)state;
    static kf_derivation_steps steps;
    kf_diversification *line = NULL;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_diversification_parse("sp800-108-aes(role,number)", &line, &error), KF_OK);
    kf_derivation_subject subject = {KF_AES, 16, {NULL, 0}, KF_ROLE_ENC};
    assert_int_equal(kf_derivation_steps_make(line, &subject, &steps, &error), KF_ERR_DIVERSIFICATION);
    assert_non_null(strstr(error.message, "number"));
    kf_diversification_free(&line);
}

static void answers_of_another_length_make_no_key(void **state)
{
    (void)state;
    static kf_derivation_steps steps;
    const uint8_t outputs[48] = {0};
    kf_diversification *line = NULL;
    kf_secret *key = NULL;
    kf_error error = {KF_OK, ""};
    const kf_field number = {"number", "1"};
    assert_int_equal(kf_diversification_parse("sp800-108-aes(role,number)", &line, &error), KF_OK);
    kf_derivation_subject subject = {KF_AES, 32, {&number, 1}, KF_ROLE_ENC};
    assert_int_equal(kf_derivation_steps_make(line, &subject, &steps, &error), KF_OK);
    assert_int_equal(kf_derivation_steps_finish(&steps, kf_view_of(outputs, 31), &key), KF_ERR_ARGUMENT);
    assert_int_equal(kf_derivation_steps_finish(&steps, kf_view_of(outputs, 48), &key), KF_ERR_ARGUMENT);
    assert_null(key);
    kf_diversification_free(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_the_keys_that_the_library_gives),
        cmocka_unit_test(what_would_let_a_key_out_is_refused_with_the_reason),
        cmocka_unit_test(a_field_that_is_missing_is_named),
        cmocka_unit_test(answers_of_another_length_make_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
