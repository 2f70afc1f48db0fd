#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <keyfill/diversify.h>
#include <keyfill/hex.h>
#include <keyfill/kdf.h>

static const kf_field card[] = {
    {"number", "8613800000001"},
    {"iccid", "8986012345678901234F"},
    {"kdd", "00010203040506070809"},
    {"generation", "258"},
    {"plan", "5G"},
    {"letters", "12A4"},
    {"odd", "123"},
    {"empty", ""},
    {"large", "18446744073709551616"},
};
static const kf_fields card_fields = {card, sizeof card / sizeof card[0]};

static kf_diversification *parse(const char *line)
{
    kf_diversification *plan = NULL;
    kf_error error = {0};
    if (kf_diversification_parse(line, &plan, &error) != KF_OK) fail_msg("%s: %s", line, error.message);
    return plan;
}

static kf_code input_of(const char *line, kf_key_role role, char *ret_digits, size_t size, kf_error *error)
{
    kf_diversification *plan = parse(line);
    kf_buffer input = KF_BUFFER_INIT;
    kf_code code = kf_diversification_input(plan, 0, card_fields, role, &input, error);
    if (code == KF_OK) assert_int_equal(kf_hex_encode(kf_buffer_view(&input), ret_digits, size), KF_OK);
    if (code != KF_OK) assert_int_equal(input.size, 0);
    kf_buffer_clear(&input);
    kf_diversification_free(&plan);
    return code;
}

typedef struct encoding {
    const char *field;
    const char *digits;
} encoding;

static void fields_are_encoded_as_their_options_say(void **state)
{
    (void)state;
    static const encoding rows[] = {
        {"plan", "3547"},
        {"plan/ascii", "3547"},
        {"plan/ascii/2", "3547"},
        {"plan/4/right-20", "35472020"},
        {"plan/4/left-00", "00003547"},
        {"plan/1/first", "35"},
        {"plan/1/last", "47"},
        {"number/bcd/right-F", "8613800000001F"},
        {"number/bcd/left-0", "08613800000001"},
        {"number/bcd/8/right-F", "8613800000001FFF"},
        {"number/bcd/8/left-0", "0008613800000001"},
        {"number/bcd/4/last", "00000001"},
        {"number/bcd/4/first", "86138000"},
        {"iccid/hex/10", "8986012345678901234F"},
        {"iccid/hex/12/right-FF", "8986012345678901234FFFFF"},
        {"iccid/hex/12/left-5A", "5A5A8986012345678901234F"},
        {"iccid/hex/4/last", "8901234F"},
        {"letters/hex", "12A4"},
        {"odd/hex/right-F", "123F"},
        {"odd/bcd/2/left-0", "0123"},
        {"generation/binary", "0102"},
        {"generation/binary/2", "0102"},
        {"generation/binary/4", "00000102"},
        {"generation/binary/1/last", "02"},
        {"generation/binary/1/first", "01"},
        {"large/binary", "010000000000000000"},
        {"'00ff7F'", "00FF7F"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[128];
        char digits[256];
        kf_error error = {0};
        snprintf(line, sizeof line, "sp800-108-aes(%s)", rows[i].field);
        assert_int_equal(input_of(line, KF_ROLE_ENC, digits, sizeof digits, &error), KF_OK);
        assert_string_equal(digits, rows[i].digits);
    }
}

static void fields_are_laid_end_to_end_with_the_role(void **state)
{
    (void)state;
    static const struct {
        kf_key_role role;
        const char *digits;
    } rows[] = {{KF_ROLE_SINGLE, "008613800000001FFF0102"},
                {KF_ROLE_ENC, "018613800000001FFF0102"},
                {KF_ROLE_MAC, "028613800000001FFF0102"},
                {KF_ROLE_DEK, "038613800000001FFF0102"}};
    for (size_t i = 0; i < 4; i++) {
        char digits[64];
        assert_int_equal(input_of("sp800-108-aes(role,number/bcd/8/right-F,generation/binary/2)",
                                  rows[i].role, digits, sizeof digits, NULL),
                         KF_OK);
        assert_string_equal(digits, rows[i].digits);
    }
}

static void a_field_that_cannot_be_encoded_is_named(void **state)
{
    (void)state;
    static const encoding rows[] = {
        {"missing", "\"missing\" is not known"},
        {"empty", "\"empty\" is not known"},
        {"letters/bcd", "other characters than 0-9"},
        {"plan/hex", "0-9 A-F"},
        {"plan/binary", "no decimal number"},
        {"odd/bcd", "odd number of digits"},
        {"odd/hex/4/right-FF", "odd number of digits"},
        {"number/bcd/6", "longer than the 6 bytes"},
        {"iccid/hex/9", "longer than the 9 bytes"},
        {"iccid/hex/11", "shorter than the 11 bytes"},
        {"plan/1", "longer than the 1 bytes"},
        {"plan/3", "shorter than the 3 bytes"},
        {"generation/binary/1", "longer than the 1 bytes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[128];
        char digits[256];
        kf_error error = {0};
        snprintf(line, sizeof line, "sp800-108-aes('00',%s)", rows[i].field);
        assert_int_equal(input_of(line, KF_ROLE_ENC, digits, sizeof digits, &error), KF_ERR_DIVERSIFICATION);
        if (strstr(error.message, rows[i].digits) == NULL) fail_msg("%s: %s", line, error.message);
    }
}

static void the_field_that_does_not_fit_the_method_is_named(void **state)
{
    (void)state;
    static const encoding rows[] = {
        {"pboc-3des(number)", "\"number\" is too long"},
        {"pboc-sm4('01',generation)", "\"generation\" is too short"},
        {"an10922-aes128(number/bcd/8/left-0,plan,iccid/hex/24/left-0)", "\"plan\" is too long"},
        {"an10922-2tdea('00112233445566778899AABBCCDDEEFF')", "its fields give 16"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char digits[256];
        kf_error error = {0};
        assert_int_equal(input_of(rows[i].field, KF_ROLE_ENC, digits, sizeof digits, &error),
                         KF_ERR_DIVERSIFICATION);
        if (strstr(error.message, rows[i].digits) == NULL) fail_msg("%s: %s", rows[i].field, error.message);
    }
}

static void a_value_past_the_caps_is_refused(void **state)
{
    (void)state;
    static char value[KF_DIVERSIFICATION_VALUE_MAX + 2];
    memset(value, '9', sizeof value - 1);
    const kf_field field = {"number", value};
    static const char *const lines[] = {"sp800-108-aes(number)", "sp800-108-aes(number/bcd/8/last)"};
    kf_error error = {0};
    kf_buffer input = KF_BUFFER_INIT;
    for (size_t i = 0; i < 2; i++) {
        kf_diversification *plan = parse(lines[i]);
        assert_int_equal(
            kf_diversification_input(plan, 0, (kf_fields){&field, 1}, KF_ROLE_ENC, &input, &error),
            KF_ERR_DIVERSIFICATION);
        assert_int_equal(
            kf_diversification_input(plan, 1, (kf_fields){&field, 1}, KF_ROLE_ENC, &input, &error),
            KF_ERR_ARGUMENT);
        kf_diversification_free(&plan);
    }
    value[78] = '\0';
    kf_diversification *plan = parse("sp800-108-aes(number/binary)");
    assert_int_equal(kf_diversification_input(plan, 0, (kf_fields){&field, 1}, KF_ROLE_ENC, &input, &error),
                     KF_ERR_DIVERSIFICATION);
    value[77] = '\0';
    assert_int_equal(kf_diversification_input(plan, 0, (kf_fields){&field, 1}, KF_ROLE_ENC, &input, &error),
                     KF_OK);
    kf_diversification_free(&plan);
    kf_buffer_clear(&input);
}

static void lines_that_are_wrong_name_the_word(void **state)
{
    (void)state;
    static const encoding rows[] = {
        {"", "no such method"},
        {"aes(number)", "\"aes\""},
        {"sp800-108-aes", "\"(\" is missing"},
        {"sp800-108-aes(", "field is empty"},
        {"sp800-108-aes()", "needs a field"},
        {"sp800-108-aes(number", "\",\" or \")\""},
        {"sp800-108-aes(number,)", "field is empty"},
        {"sp800-108-aes(Number)", "\"Number\""},
        {"sp800-108-aes(num ber)", "\",\" or \")\""},
        {"sp800-108-aes(number/bsd)", "\"bsd\""},
        {"sp800-108-aes(number/0)", "\"0\""},
        {"sp800-108-aes(number/256)", "\"256\""},
        {"sp800-108-aes(number/1000)", "\"1000\""},
        {"sp800-108-aes(number/8/9)", "second size"},
        {"sp800-108-aes(number/bcd/hex)", "second encoding"},
        {"sp800-108-aes(number/bcd/8/left-0/right-F)", "second padding"},
        {"sp800-108-aes(number/bcd/8/last/first)", "second \"last\""},
        {"sp800-108-aes(number/bcd/8/left-)", "\"left-\""},
        {"sp800-108-aes(number/bcd/8/left-G)", "\"left-G\""},
        {"sp800-108-aes(number/8/left-000)", "\"left-000\""},
        {"sp800-108-aes(number/bcd/8/left-00)", "a digit: one"},
        {"sp800-108-aes(number/8/left-0)", "a byte: two digits"},
        {"sp800-108-aes(number/left-00)", "needs a size"},
        {"sp800-108-aes(number/last)", "need a size"},
        {"sp800-108-aes(number/binary/8/left-00)", "takes no padding"},
        {"sp800-108-aes(role/bcd)", "role takes no options"},
        {"sp800-108-aes('0)", "second quote"},
        {"sp800-108-aes('')", "1 to 64 bytes"},
        {"sp800-108-aes('012')", "even number"},
        {"sp800-108-aes('0g')", "even number"},
        {"sp800-108-aes(number,iccid)", "more than one field without a size"},
        {"none(number)", "takes no fields"},
        {"none() > sp800-108-aes(number)", "stands alone"},
        {"sp800-108-aes(number)>sp800-108-aes(number)", "is missing before"},
        {"sp800-108-aes(number) > ", "no such method"},
        {"sp800-108-aes(number) ", "is missing before"},
        {"sp800-108-aes('00') > sp800-108-aes('00') > sp800-108-aes('00') > sp800-108-aes('00') > "
         "sp800-108-aes('00')",
         "more than 4 levels"},
        {"sp800-108-aes('00','00','00','00','00','00','00','00','00','00','00','00','00','00','00','00','00'"
         ")",
         "more than 16 fields"},
        {"sp800-108-aes(abcdefghijklmnopqrstuvwxyzabcdef)", "too long"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kf_diversification *plan = NULL;
        kf_error error = {0};
        assert_int_equal(kf_diversification_parse(rows[i].field, &plan, &error), KF_ERR_DIVERSIFICATION);
        assert_null(plan);
        if (strstr(error.message, rows[i].digits) == NULL) fail_msg("%s: %s", rows[i].field, error.message);
    }
}

static void a_line_past_its_cap_is_refused(void **state)
{
    (void)state;
    char line[KF_DIVERSIFICATION_TEXT_MAX + 2];
    kf_diversification *plan = NULL;
    memset(line, 'a', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    assert_int_equal(kf_diversification_parse(line, &plan, NULL), KF_ERR_DIVERSIFICATION);
    char constant[256] = "sp800-108-aes('";
    memset(constant + strlen(constant), '0', 130);
    strcat(constant, "')");
    assert_int_equal(kf_diversification_parse(constant, &plan, NULL), KF_ERR_DIVERSIFICATION);
    assert_null(plan);
}

static void a_line_tells_what_it_uses(void **state)
{
    (void)state;
    kf_diversification *plan =
        parse("sp800-108-aes('01',number/bcd/8/right-F) > sp800-108-aes(role,generation/binary/2)");
    assert_true(kf_diversification_uses(plan, "number"));
    assert_true(kf_diversification_uses(plan, "generation"));
    assert_true(kf_diversification_uses(plan, "role"));
    assert_false(kf_diversification_uses(plan, "iccid"));
    assert_false(kf_diversification_uses(plan, ""));
    assert_false(kf_diversification_is_none(plan));
    kf_diversification_free(&plan);
    assert_null(plan);
    kf_diversification_free(&plan);
    static const char *const same[] = {"none()", "sp800-108-aes('01')",
                                       "sp800-108-aes(role,generation/binary/2)"};
    for (size_t i = 0; i < 3; i++) {
        plan = parse(same[i]);
        assert_true(kf_diversification_is_none(plan));
        kf_diversification_free(&plan);
    }
}

static kf_secret *base_key_of(size_t size)
{
    uint8_t bytes[32];
    kf_secret *key = NULL;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(0x40 + i);
    assert_int_equal(kf_secret_new(kf_view_of(bytes, size), &key), KF_OK);
    return key;
}

static kf_secret *derive(const char *line, kf_algorithm algorithm, size_t key_size, kf_key_role role)
{
    kf_diversification *plan = parse(line);
    kf_secret *base_key = base_key_of(key_size);
    kf_secret *key = NULL;
    kf_error error = {0};
    if (kf_diversify(plan, algorithm, base_key, card_fields, role, &key, &error) != KF_OK)
        fail_msg("%s: %s", line, error.message);
    assert_int_equal(kf_secret_size(key), key_size);
    kf_secret_free(&base_key);
    kf_diversification_free(&plan);
    return key;
}

static void sp800_108_takes_label_separator_context_and_length(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 24, 32};
    for (size_t i = 0; i < 3; i++) {
        kf_secret *key = derive("sp800-108-aes(role,generation/binary/2)", KF_AES, sizes[i], KF_ROLE_MAC);
        kf_secret *base_key = base_key_of(sizes[i]);
        kf_cipher *prf = NULL;
        uint8_t mac[16];
        uint8_t message[] = "\1keyfill\0\2\1\2\0";
        message[sizeof message - 2] = (uint8_t)(sizes[i] * 8 >> 8);
        message[sizeof message - 1] = (uint8_t)(sizes[i] * 8);
        assert_int_equal(kf_cipher_new_secret(KF_AES, base_key, &prf), KF_OK);
        assert_int_equal(kf_cmac(prf, KF_VIEW(message), mac), KF_OK);
        assert_memory_equal(kf_secret_expose(key).data, mac, 16);
        if (sizes[i] > 16) {
            message[0] = 2;
            assert_int_equal(kf_cmac(prf, KF_VIEW(message), mac), KF_OK);
            assert_memory_equal(kf_secret_expose(key).data + 16, mac, sizes[i] - 16);
        }
        kf_cipher_free(&prf);
        kf_secret_free(&base_key);
        kf_secret_free(&key);
    }
}

static void a_chain_is_one_level_after_the_other(void **state)
{
    (void)state;
    kf_secret *chained =
        derive("pboc-3des('1122334455667788') > pboc-3des('0000000012345678')", KF_TDES, 16, 0);
    kf_secret *first = derive("pboc-3des('1122334455667788')", KF_TDES, 16, 0);
    kf_diversification *second = parse("pboc-3des('0000000012345678')");
    kf_secret *key = NULL;
    assert_int_equal(kf_diversify(second, KF_TDES, first, card_fields, KF_ROLE_SINGLE, &key, NULL), KF_OK);
    assert_true(kf_secret_equal(chained, key));
    assert_false(kf_secret_equal(chained, first));
    kf_diversification_free(&second);
    kf_secret_free(&chained);
    kf_secret_free(&first);
    kf_secret_free(&key);
}

static void none_gives_the_base_key_of_any_algorithm(void **state)
{
    (void)state;
    kf_secret *base_key = base_key_of(16);
    const kf_algorithm algorithms[] = {KF_AES, KF_TDES, KF_SM4};
    for (size_t i = 0; i < 3; i++) {
        kf_secret *key = derive("none()", algorithms[i], 16, KF_ROLE_ENC);
        assert_true(kf_secret_equal(base_key, key));
        kf_secret_free(&key);
    }
    kf_secret_free(&base_key);
}

static void every_method_gives_each_card_its_own_key(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        kf_algorithm algorithm;
        size_t key_size;
    } rows[] = {
        {"sp800-108-aes(data/hex)", KF_AES, 32},
        {"sp800-108-sm4(data/hex)", KF_SM4, 16},
        {"an10922-aes128(data/hex)", KF_AES, 16},
        {"an10922-aes192(data/hex)", KF_AES, 24},
        {"an10922-aes256(data/hex)", KF_AES, 32},
        {"an10922-2tdea(data/hex)", KF_TDES, 16},
        {"an10922-3tdea(data/hex)", KF_TDES, 24},
        {"emv-option-a(data/hex)", KF_TDES, 16},
        {"emv-option-b('0102',data/hex)", KF_TDES, 16},
        {"pboc-3des(data/hex)", KF_TDES, 16},
        {"pboc-sm4(data/hex)", KF_SM4, 16},
        {"visa2('0001',data/hex,role)", KF_TDES, 16},
        {"emv-cps('0001',data/hex,role)", KF_TDES, 16},
        {"kdf3('0001',data/hex,role)", KF_AES, 24},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const char *const values[] = {"0102030405060708", "0102030405160708", "0102030405060708"};
        kf_diversification *plan = parse(rows[i].line);
        kf_secret *base_key = base_key_of(rows[i].key_size);
        kf_secret *keys[3] = {NULL, NULL, NULL};
        for (size_t j = 0; j < 3; j++) {
            kf_field field = {"data", values[j]};
            kf_fields one = {&field, 1};
            assert_int_equal(
                kf_diversify(plan, rows[i].algorithm, base_key, one, KF_ROLE_ENC, &keys[j], NULL), KF_OK);
        }
        assert_false(kf_secret_equal(keys[0], keys[1]));
        assert_false(kf_secret_equal(keys[0], base_key));
        assert_true(kf_secret_equal(keys[0], keys[2]));
        for (size_t j = 0; j < 3; j++)
            kf_secret_free(&keys[j]);
        kf_secret_free(&base_key);
        kf_diversification_free(&plan);
    }
}

static void emv_keys_have_odd_parity_and_options_agree_up_to_16_digits(void **state)
{
    (void)state;
    kf_secret *a = derive("emv-option-a('123456789012345601')", KF_TDES, 16, KF_ROLE_SINGLE);
    kf_secret *b = derive("emv-option-b('123456789012345601')", KF_TDES, 16, KF_ROLE_SINGLE);
    kf_secret *tail = derive("emv-option-a('3456789012345601')", KF_TDES, 16, KF_ROLE_SINGLE);
    kf_secret *longer_a = derive("emv-option-a('00123456789012345601')", KF_TDES, 16, KF_ROLE_SINGLE);
    kf_secret *longer_b = derive("emv-option-b('00123456789012345601')", KF_TDES, 16, KF_ROLE_SINGLE);
    kf_secret *few = derive("emv-option-a('0123')", KF_TDES, 16, KF_ROLE_SINGLE);
    kf_secret *filled = derive("emv-option-a('0000000000000123')", KF_TDES, 16, KF_ROLE_SINGLE);
    assert_true(kf_secret_equal(a, b));
    assert_true(kf_secret_equal(a, tail));
    assert_true(kf_secret_equal(a, longer_a));
    assert_false(kf_secret_equal(longer_a, longer_b));
    assert_true(kf_secret_equal(few, filled));
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(__builtin_popcount(kf_secret_expose(a).data[i]) % 2, 1);
        assert_int_equal(__builtin_popcount(kf_secret_expose(longer_b).data[i]) % 2, 1);
    }
    kf_secret *const all[] = {a, b, tail, longer_a, longer_b, few, filled};
    for (size_t i = 0; i < 7; i++) {
        kf_secret *one = all[i];
        kf_secret_free(&one);
    }
}

static void keys_and_inputs_that_do_not_fit_the_method_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        kf_algorithm algorithm;
        size_t key_size;
    } rows[] = {
        {"sp800-108-aes(number)", KF_SM4, 16},
        {"sp800-108-sm4(number)", KF_AES, 16},
        {"an10922-aes128(number)", KF_AES, 32},
        {"emv-option-a(kdd/hex)", KF_TDES, 24},
        {"emv-option-a(kdd/hex)", KF_AES, 16},
        {"pboc-3des(kdd/hex)", KF_TDES, 16},
        {"visa2(kdd/hex)", KF_TDES, 16},
        {"kdf3(kdd/hex/10,role,role)", KF_AES, 16},
        {"an10922-aes128(number/32/right-00)", KF_AES, 16},
        {"an10922-2tdea(number/16/right-00)", KF_TDES, 16},
        {"sp800-108-aes(number/255/right-00,plan/255/right-00,odd/255/right-00,kdd/255/right-00,iccid/5/"
         "last)",
         KF_AES, 16},
        {"sp800-108-aes(missing)", KF_AES, 16},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kf_diversification *plan = parse(rows[i].line);
        kf_secret *base_key = base_key_of(rows[i].key_size);
        kf_secret *key = NULL;
        kf_error error = {0};
        assert_int_equal(
            kf_diversify(plan, rows[i].algorithm, base_key, card_fields, KF_ROLE_ENC, &key, &error),
            KF_ERR_DIVERSIFICATION);
        assert_null(key);
        assert_string_not_equal(error.message, "");
        kf_secret_free(&base_key);
        kf_diversification_free(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_encoded_as_their_options_say),
        cmocka_unit_test(fields_are_laid_end_to_end_with_the_role),
        cmocka_unit_test(a_field_that_cannot_be_encoded_is_named),
        cmocka_unit_test(the_field_that_does_not_fit_the_method_is_named),
        cmocka_unit_test(a_value_past_the_caps_is_refused),
        cmocka_unit_test(lines_that_are_wrong_name_the_word),
        cmocka_unit_test(a_line_past_its_cap_is_refused),
        cmocka_unit_test(a_line_tells_what_it_uses),
        cmocka_unit_test(sp800_108_takes_label_separator_context_and_length),
        cmocka_unit_test(a_chain_is_one_level_after_the_other),
        cmocka_unit_test(none_gives_the_base_key_of_any_algorithm),
        cmocka_unit_test(every_method_gives_each_card_its_own_key),
        cmocka_unit_test(emv_keys_have_odd_parity_and_options_agree_up_to_16_digits),
        cmocka_unit_test(keys_and_inputs_that_do_not_fit_the_method_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
