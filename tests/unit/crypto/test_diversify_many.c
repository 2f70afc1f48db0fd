#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <keyfill/diversify.h>

typedef struct line_row {
    const char *line;
    kf_algorithm algorithm;
    size_t key_size;
} line_row;

static const line_row rows[] = {
    {"none()", KF_AES, 16},
    {"sp800-108-aes(role,number/bcd/8/right-F,generation/binary/2)", KF_AES, 32},
    {"sp800-108-sm4(number)", KF_SM4, 16},
    {"an10922-aes128(number/bcd/left-0)", KF_AES, 16},
    {"an10922-aes192(number/bcd/left-0)", KF_AES, 24},
    {"an10922-aes256(number)", KF_AES, 32},
    {"an10922-aes128(number/31/right-00)", KF_AES, 16},
    {"an10922-2tdea(number)", KF_TDES, 16},
    {"an10922-3tdea(number/bcd/left-0)", KF_TDES, 24},
    {"emv-option-a(number/bcd/left-0,generation/bcd/1/left-0)", KF_TDES, 16},
    {"emv-option-b(number/bcd/12/left-0,generation/bcd/1/left-0)", KF_TDES, 16},
    {"emv-option-c(number/bcd/left-0,generation/bcd/1/left-0)", KF_AES, 32},
    {"pboc-3des(number/bcd/8/left-0)", KF_TDES, 16},
    {"pboc-sm4(number/bcd/8/left-0)", KF_SM4, 16},
    {"visa2(kdd/hex/10,role)", KF_TDES, 16},
    {"emv-cps(kdd/hex/10,role)", KF_TDES, 16},
    {"kdf3(kdd/hex/10,role)", KF_AES, 24},
    {"pboc-sm4('0102030405060708') > pboc-sm4(number/bcd/8/left-0) > sp800-108-sm4(generation/binary/2)",
     KF_SM4, 16},
    {"an10922-aes256(number) > sp800-108-aes(role,generation/binary/2)", KF_AES, 32},
};

enum { CARDS = 100 };

typedef struct cards {
    char numbers[CARDS][16];
    char data[CARDS][24];
    kf_field fields[CARDS][3];
    kf_fields cards[CARDS];
} cards;

static cards *make_cards(void)
{
    cards *made = test_calloc(1, sizeof *made);
    for (size_t i = 0; i < CARDS; i++) {
        snprintf(made->numbers[i], sizeof made->numbers[i], "86138%08zu", i * 7919);
        snprintf(made->data[i], sizeof made->data[i], "%020zu", i * 104729);
        made->fields[i][0] = (kf_field){"number", made->numbers[i]};
        made->fields[i][1] = (kf_field){"kdd", made->data[i]};
        made->fields[i][2] = (kf_field){"generation", i % 2 == 0 ? "1" : "99"};
        made->cards[i] = (kf_fields){made->fields[i], 3};
    }
    return made;
}

static kf_secret *base_key(size_t size)
{
    uint8_t bytes[32];
    kf_secret *key = NULL;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 29 + 3);
    assert_int_equal(kf_secret_new(kf_view_of(bytes, size), &key), KF_OK);
    return key;
}

static kf_diversification *parse(const char *line)
{
    kf_diversification *plan = NULL;
    kf_error error = {0};
    if (kf_diversification_parse(line, &plan, &error) != KF_OK) fail_msg("%s: %s", line, error.message);
    return plan;
}

static void check_row(const line_row *row, const cards *all)
{
    kf_diversification *plan = parse(row->line);
    kf_diversifier *diversifier = NULL;
    kf_secret *base = base_key(row->key_size);
    kf_secret *keys = NULL;
    kf_error error = {0};
    const kf_card_batch batch = {all->cards, CARDS, KF_ROLE_MAC};
    assert_int_equal(kf_secret_new_zero(CARDS * row->key_size, &keys), KF_OK);
    assert_int_equal(kf_diversifier_new(plan, row->algorithm, base, &diversifier, &error), KF_OK);
    for (size_t again = 0; again < 2; again++)
        if (kf_diversify_many(diversifier, &batch, keys, &error) != KF_OK)
            fail_msg("%s: %s", row->line, error.message);
    for (size_t i = 0; i < CARDS; i++) {
        kf_secret *key = NULL;
        assert_int_equal(kf_diversify(plan, row->algorithm, base, all->cards[i], KF_ROLE_MAC, &key, &error),
                         KF_OK);
        if (memcmp(kf_secret_expose(key).data, kf_secret_expose(keys).data + i * row->key_size,
                   row->key_size) != 0)
            fail_msg("%s: card %zu gets another key in bulk", row->line, i);
        kf_secret_free(&key);
    }
    kf_diversifier_free(&diversifier);
    kf_diversification_free(&plan);
    kf_secret_free(&base);
    kf_secret_free(&keys);
}

static void many_keys_are_those_that_come_one_by_one(void **state)
{
    (void)state;
    cards *all = make_cards();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i], all);
    test_free(all);
}

static void a_card_with_a_wrong_field_is_named_and_no_key_comes_out(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "an10922-aes128(number/bcd/left-0)",
        "an10922-aes128(kdd/hex) > sp800-108-aes(number/bcd/left-0)",
    };
    cards *all = make_cards();
    all->fields[57][0].value = "12A4";
    for (size_t i = 0; i < 2; i++) {
        kf_diversification *plan = parse(lines[i]);
        kf_diversifier *diversifier = NULL;
        kf_secret *base = base_key(16);
        kf_secret *keys = NULL;
        kf_error error = {0};
        const kf_card_batch batch = {all->cards, CARDS, KF_ROLE_SINGLE};
        static const uint8_t zeros[CARDS * 16];
        assert_int_equal(kf_secret_new_zero(sizeof zeros, &keys), KF_OK);
        assert_int_equal(kf_diversifier_new(plan, KF_AES, base, &diversifier, &error), KF_OK);
        assert_int_equal(kf_diversify_many(diversifier, &batch, keys, &error), KF_ERR_DIVERSIFICATION);
        assert_non_null(strstr(error.message, "card 57: "));
        assert_non_null(strstr(error.message, "\"number\""));
        assert_int_equal(kf_diversify_many(diversifier, &batch, keys, NULL), KF_ERR_DIVERSIFICATION);
        assert_memory_equal(kf_secret_expose(keys).data, zeros, sizeof zeros);
        kf_diversifier_free(&diversifier);
        kf_diversification_free(&plan);
        kf_secret_free(&base);
        kf_secret_free(&keys);
    }
    test_free(all);
}

static void batches_out_of_range_and_keys_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    cards *all = make_cards();
    kf_diversification *plan = parse("an10922-aes128(number)");
    kf_diversifier *diversifier = NULL;
    kf_secret *base = base_key(16);
    kf_secret *long_base = base_key(32);
    kf_secret *keys = NULL;
    kf_error error = {0};
    assert_int_equal(kf_diversifier_new(plan, KF_SM4, base, &diversifier, &error), KF_ERR_DIVERSIFICATION);
    assert_int_equal(kf_diversifier_new(plan, KF_AES, long_base, &diversifier, &error),
                     KF_ERR_DIVERSIFICATION);
    assert_null(diversifier);
    assert_int_equal(kf_diversifier_new(plan, KF_AES, base, &diversifier, &error), KF_OK);
    assert_int_equal(kf_secret_new_zero(10 * 16 - 1, &keys), KF_OK);
    kf_card_batch batch = {all->cards, 10, KF_ROLE_SINGLE};
    assert_int_equal(kf_diversify_many(diversifier, &batch, keys, &error), KF_ERR_ARGUMENT);
    batch.count = 9;
    assert_int_equal(kf_diversify_many(diversifier, &batch, keys, &error), KF_OK);
    batch.count = 0;
    assert_int_equal(kf_diversify_many(diversifier, &batch, keys, &error), KF_ERR_ARGUMENT);
    batch.count = KF_DIVERSIFY_MANY_MAX + 1;
    assert_int_equal(kf_diversify_many(diversifier, &batch, keys, &error), KF_ERR_ARGUMENT);
    kf_diversifier_free(&diversifier);
    kf_diversifier_free(&diversifier);
    kf_diversification_free(&plan);
    kf_secret_free(&base);
    kf_secret_free(&long_base);
    kf_secret_free(&keys);
    test_free(all);
}

/* A changed line is refused or is another line; it never reads past its end. The copy has its exact size, so
 * that a sanitizer sees a byte too many. */
static void try_line(const char *text, size_t size)
{
    char *line = test_malloc(size + 1);
    memcpy(line, text, size);
    line[size] = '\0';
    kf_diversification *plan = NULL;
    kf_error error = {0};
    kf_code code = kf_diversification_parse(line, &plan, &error);
    if (code == KF_OK) {
        (void)kf_diversification_is_none(plan);
        kf_diversification_free(&plan);
    } else {
        assert_int_equal(code, KF_ERR_DIVERSIFICATION);
        assert_true(error.message[0] != '\0');
        assert_null(plan);
    }
    test_free(line);
}

static void every_truncation_and_every_flipped_bit_of_a_line_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[256];
        size_t size = strlen(rows[i].line);
        for (size_t cut = 0; cut < size; cut++)
            try_line(rows[i].line, cut);
        for (size_t bit = 0; bit < size * 8; bit++) {
            memcpy(line, rows[i].line, size);
            line[bit / 8] = (char)(line[bit / 8] ^ 1 << bit % 8);
            try_line(line, size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_keys_are_those_that_come_one_by_one),
        cmocka_unit_test(a_card_with_a_wrong_field_is_named_and_no_key_comes_out),
        cmocka_unit_test(batches_out_of_range_and_keys_that_do_not_fit_are_refused),
        cmocka_unit_test(every_truncation_and_every_flipped_bit_of_a_line_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
