/* The token's custody against a real PKCS#11 module: SoftHSM2. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/random.h"
#include "key_fixture.h"
#include "token_fixture.h"

static int make_token(void **state)
{
    test_token *token = calloc(1, sizeof *token);
    assert_non_null(token);
    test_token_make(token, true);
    *state = token;
    return 0;
}

static int remove_token(void **state)
{
    test_token_remove(*state);
    free(*state);
    return 0;
}

static kf_key_entry entry_of(const char *line, kf_algorithm algorithm, size_t size)
{
    kf_key_entry entry = payment_entry("cn-north");
    strcpy(entry.policy.diversification, line);
    entry.algorithm = algorithm;
    entry.size = size;
    return entry;
}

static const kf_field items[] = {{"number", "8613800000001"},
                                 {"generation", "3"},
                                 {"kdd", "00112233445566778899"},
                                 {"pan", "6217000012345678901"}};
static const kf_fields fields = {items, sizeof items / sizeof items[0]};

static kf_key_derivation derivation_of(const kf_key_entry *entry, kf_diversification *line)
{
    return (kf_key_derivation){.diversification = line,
                               .algorithm = entry->algorithm,
                               .size = entry->size,
                               .fields = fields,
                               .role_count = 3,
                               .roles = {KF_ROLE_ENC, KF_ROLE_MAC, KF_ROLE_DEK}};
}

static kf_code derive(test_token *token, const void *material, const kf_key_entry *entry,
                      kf_secret *ret_keys[3], kf_error *error)
{
    kf_diversification *line = NULL;
    assert_int_equal(kf_diversification_parse(entry->policy.diversification, &line, error), KF_OK);
    kf_key_derivation derivation = derivation_of(entry, line);
    kf_code code = token->custody.derive(token->custody.context, material, &derivation, ret_keys, error);
    kf_diversification_free(&line);
    return code;
}

static void free_keys(kf_secret *keys[3])
{
    for (size_t i = 0; i < 3; i++)
        kf_secret_free(&keys[i]);
}

/* The same key in the token and in memory gives the same card keys and the same check value. */
static void compare_custodies(test_token *token, const char *line, kf_algorithm algorithm, size_t size)
{
    kf_error error = {KF_OK, ""};
    kf_key_entry entry = entry_of(line, algorithm, size);
    kf_secret *key = NULL;
    void *inside = NULL;
    void *outside = NULL;
    kf_secret *from_token[3] = {NULL};
    kf_secret *from_memory[3] = {NULL};
    kf_kcv kcv[2];
    const kf_key_custody *custody = &token->custody;
    assert_int_equal(kf_random_secret(size, &key), KF_OK);
    if (custody->import(custody->context, &entry, key, &inside, &error) != KF_OK)
        fail_msg("%s: %s", line, kf_error_text(&error));
    assert_int_equal(kf_key_custody_memory.import(NULL, &entry, key, &outside, &error), KF_OK);
    assert_int_equal(custody->check_value(custody->context, inside, &entry, &kcv[0], &error), KF_OK);
    assert_int_equal(kf_key_custody_memory.check_value(NULL, outside, &entry, &kcv[1], &error), KF_OK);
    assert_memory_equal(&kcv[0], &kcv[1], sizeof kcv[0]);
    if (derive(token, inside, &entry, from_token, &error) != KF_OK)
        fail_msg("%s: %s", line, kf_error_text(&error));
    kf_diversification *parsed = NULL;
    assert_int_equal(kf_diversification_parse(line, &parsed, &error), KF_OK);
    kf_key_derivation derivation = derivation_of(&entry, parsed);
    assert_int_equal(kf_key_custody_memory.derive(NULL, outside, &derivation, from_memory, &error), KF_OK);
    for (size_t i = 0; i < 3; i++)
        if (!kf_secret_equal(from_token[i], from_memory[i])) fail_msg("%s: role %zu differs", line, i);
    kf_diversification_free(&parsed);
    free_keys(from_token);
    free_keys(from_memory);
    custody->destroy(custody->context, inside);
    kf_key_custody_memory.destroy(NULL, outside);
    kf_secret_free(&key);
}

static void the_token_derives_what_the_key_file_derives(void **state)
{
    test_token *token = *state;
    compare_custodies(token, TEST_TEMPLATE, KF_AES, 16);
    compare_custodies(token, TEST_TEMPLATE, KF_AES, 24);
    compare_custodies(token, TEST_TEMPLATE, KF_AES, 32);
    compare_custodies(token, "an10922-aes128(role,number/bcd/8/left-0,generation/binary/2)", KF_AES, 16);
    compare_custodies(token, "an10922-aes192(role,number/bcd/8/left-0,generation/binary/2)", KF_AES, 24);
    compare_custodies(token, "an10922-aes256(role,kdd/hex/10,number/bcd/8/left-0)", KF_AES, 32);
    compare_custodies(token, "an10922-2tdea(role,number/bcd/8/left-0)", KF_TDES, 16);
    compare_custodies(token, "an10922-3tdea(role,generation/binary/2)", KF_TDES, 24);
    compare_custodies(token, "emv-option-a(pan/bcd/left-0,generation/binary/1)", KF_TDES, 16);
    compare_custodies(token, "emv-option-b(pan/bcd/left-0,generation/binary/1)", KF_TDES, 16);
    compare_custodies(token, "emv-option-c(role,number/bcd/8/left-0)", KF_AES, 24);
    compare_custodies(token, "pboc-3des(number/bcd/8/left-0)", KF_TDES, 16);
    compare_custodies(token, "visa2(kdd/hex/10,role)", KF_TDES, 16);
    compare_custodies(token, "emv-cps(kdd/hex/10,role)", KF_TDES, 16);
    compare_custodies(token, "kdf3(kdd/hex/10,role)", KF_AES, 24);
    /* Country, province, card. */
    compare_custodies(token,
                      "pboc-3des('0000000000000086') > pboc-3des('0000000000000010') > "
                      "pboc-3des(number/bcd/8/left-0)",
                      KF_TDES, 16);
    compare_custodies(token, "emv-option-c('86') > emv-option-c(role,'10') > an10922-aes192(number)", KF_AES,
                      24);
}

static void expect_refusal(test_token *token, const kf_key_entry *entry, const char *words)
{
    kf_error error = {KF_OK, ""};
    kf_diversification *line = NULL;
    assert_int_equal(kf_diversification_parse(entry->policy.diversification, &line, &error), KF_OK);
    assert_int_equal(token->custody.check(token->custody.context, entry, line, &error), KF_ERR_UNSUPPORTED);
    if (strstr(error.message, words) == NULL) fail_msg("no \"%s\" in: %s", words, error.message);
    kf_diversification_free(&line);
}

static void what_the_token_cannot_do_is_refused_before_there_is_a_key(void **state)
{
    test_token *token = *state;
    kf_key_entry entry = entry_of("pboc-sm4(number/bcd/8/left-0)", KF_SM4, 16);
    expect_refusal(token, &entry, "no SM4");
    entry = entry_of("none()", KF_AES, 16);
    expect_refusal(token, &entry, "base key itself");
    entry = entry_of("sp800-108-aes('01') > sp800-108-aes(role,number)", KF_AES, 16);
    expect_refusal(token, &entry, "level 1");
}

static void a_base_key_does_not_come_out(void **state)
{
    test_token *token = *state;
    kf_error error = {KF_OK, ""};
    const kf_key_custody *custody = &token->custody;
    kf_key_entry entry = payment_entry("cn-north");
    void *material = NULL;
    kf_secret *key = NULL;
    assert_int_equal(custody->generate(custody->context, &entry, &material, &error), KF_OK);
    assert_int_equal(custody->expose(custody->context, material, &key, &error), KF_ERR_UNSUPPORTED);
    assert_null(custody->borrow(custody->context, material));
    custody->destroy(custody->context, material);
}

/* What the token says of the object itself, through the module. */
static void expect_attribute(kf_hsm_session *session, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type,
                             bool expected)
{
    CK_BBOOL value = 7;
    CK_ATTRIBUTE attribute = {type, &value, sizeof value};
    assert_int_equal(session->module->C_GetAttributeValue(session->handle, handle, &attribute, 1), CKR_OK);
    if (value != (expected ? CK_TRUE : CK_FALSE)) fail_msg("attribute 0x%lX is %u", type, value);
}

static void find_label(kf_hsm_session *session, const char *label, CK_OBJECT_HANDLE *ret_handle)
{
    CK_ATTRIBUTE template = {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)};
    CK_ULONG count = 0;
    assert_int_equal(session->module->C_FindObjectsInit(session->handle, &template, 1), CKR_OK);
    assert_int_equal(session->module->C_FindObjects(session->handle, ret_handle, 1, &count), CKR_OK);
    assert_int_equal(session->module->C_FindObjectsFinal(session->handle), CKR_OK);
    assert_int_equal(count, 1);
}

static void attributes_are_those_that_the_policy_asks_for(void **state)
{
    test_token *token = *state;
    kf_error error = {KF_OK, ""};
    const kf_key_custody *custody = &token->custody;
    kf_key_entry staying = payment_entry("staying");
    kf_key_entry leaving = payment_entry("leaving");
    staying.version = 1;
    leaving.version = 1;
    staying.policy.exportable = false;
    void *materials[2] = {NULL};
    assert_int_equal(custody->generate(custody->context, &staying, &materials[0], &error), KF_OK);
    assert_int_equal(custody->generate(custody->context, &leaving, &materials[1], &error), KF_OK);
    static const char *const labels[2] = {"keyfill payment/staying/1", "keyfill payment/leaving/1"};
    kf_hsm_session session = {.token = token->token};
    assert_int_equal(kf_hsm_enter(&session, &error), KF_OK);
    for (size_t i = 0; i < 2; i++) {
        CK_OBJECT_HANDLE handle;
        uint8_t value[64];
        CK_ATTRIBUTE bytes = {CKA_VALUE, value, sizeof value};
        find_label(&session, labels[i], &handle);
        expect_attribute(&session, handle, CKA_PRIVATE, true);
        expect_attribute(&session, handle, CKA_SENSITIVE, true);
        expect_attribute(&session, handle, CKA_EXTRACTABLE, i == 1);
        expect_attribute(&session, handle, CKA_DECRYPT, false);
        expect_attribute(&session, handle, CKA_WRAP, false);
        expect_attribute(&session, handle, CKA_UNWRAP, false);
        expect_attribute(&session, handle, CKA_DERIVE, false);
        if (i == 1) expect_attribute(&session, handle, CKA_WRAP_WITH_TRUSTED, true);
        assert_int_equal(session.module->C_GetAttributeValue(session.handle, handle, &bytes, 1),
                         CKR_ATTRIBUTE_SENSITIVE);
    }
    kf_hsm_leave(&session);
    for (size_t i = 0; i < 2; i++)
        custody->destroy(custody->context, materials[i]);
}

static void a_destroyed_key_is_gone_from_the_token(void **state)
{
    test_token *token = *state;
    kf_error error = {KF_OK, ""};
    const kf_key_custody *custody = &token->custody;
    kf_key_entry entry = payment_entry("cn-north");
    kf_secret *keys[3] = {NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    void *material = NULL;
    void *again = NULL;
    assert_int_equal(custody->generate(custody->context, &entry, &material, &error), KF_OK);
    assert_int_equal(derive(token, material, &entry, keys, &error), KF_OK);
    free_keys(keys);
    custody->encode(custody->context, material, &bytes);
    assert_int_equal(custody->decode(custody->context, kf_buffer_view(&bytes), &again), KF_OK);
    custody->destroy(custody->context, material);
    assert_int_equal(derive(token, again, &entry, keys, &error), KF_ERR_UNAVAILABLE);
    assert_non_null(strstr(error.message, "CKA_ID"));
    custody->release(custody->context, again);
}

/* Asks until the keys come; there is nothing that tells. */
static void wait_for_healing(test_token *token, const void *material, const kf_key_entry *entry)
{
    kf_secret *keys[3] = {NULL};
    kf_error error = {KF_OK, ""};
    time_t end = time(NULL) + 30;
    kf_code code;
    do {
        code = derive(token, material, entry, keys, &error);
        assert_true(code == KF_OK || code == KF_ERR_UNAVAILABLE);
    } while (code != KF_OK && time(NULL) < end);
    assert_int_equal(code, KF_OK);
    free_keys(keys);
}

static void a_helper_that_ends_is_missed_at_once_and_another_takes_over(void **state)
{
    test_token *token = *state;
    kf_error error = {KF_OK, ""};
    const kf_key_custody *custody = &token->custody;
    kf_key_entry entry = payment_entry("cn-north");
    kf_secret *keys[3] = {NULL};
    void *material = NULL;
    assert_int_equal(custody->generate(custody->context, &entry, &material, &error), KF_OK);
    for (size_t i = 0; i < 3; i++) {
        test_token_stop_helper(token);
        for (size_t j = 0; j < 4; j++)
            assert_int_equal(derive(token, material, &entry, keys, &error), KF_ERR_UNAVAILABLE);
        assert_non_null(strstr(error.message, "helper"));
        test_token_start_helper(token);
        assert_int_equal(derive(token, material, &entry, keys, &error), KF_OK);
        free_keys(keys);
    }
    custody->destroy(custody->context, material);
}

static void a_token_that_was_away_serves_again_by_itself(void **state)
{
    test_token *token = *state;
    kf_error error = {KF_OK, ""};
    const kf_key_custody *custody = &token->custody;
    kf_key_entry entry = payment_entry("cn-north");
    kf_secret *keys[3] = {NULL};
    void *material = NULL;
    assert_int_equal(custody->generate(custody->context, &entry, &material, &error), KF_OK);
    test_token_stop_helper(token);
    test_token_move(token, true);
    test_token_start_helper(token);
    assert_int_equal(derive(token, material, &entry, keys, &error), KF_ERR_UNAVAILABLE);
    assert_int_equal(custody->check(custody->context, &entry, NULL, &error), KF_ERR_UNAVAILABLE);
    test_token_move(token, false);
    wait_for_healing(token, material, &entry);
    custody->destroy(custody->context, material);
}

static void a_wrong_pin_ends_the_helper_and_is_tried_once(void **state)
{
    test_token *token = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_secret_free) kf_secret *pin = test_secret("another PIN");
    const kf_hsm_token_options options = {"pkcs11:token=keyfill-test", TEST_TOKEN_MODULE, pin, NULL};
    test_token_stop_helper(token);
    kf_hsm_token *wrong = NULL;
    assert_int_equal(kf_hsm_token_new(&options, &wrong, &error), KF_OK);
    kf_hsm_session session = {.token = wrong};
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(kf_hsm_enter(&session, &error), KF_ERR_KEY_STORE);
        assert_non_null(strstr(error.message, "PIN"));
    }
    kf_hsm_token_free(&wrong);
    test_token_start_helper(token);
    assert_int_equal(
        kf_hsm_token_new(&(kf_hsm_token_options){"pkcs12:token=x", NULL, pin, NULL}, &wrong, &error),
        KF_ERR_CONFIGURATION);
}

int main(void)
{
#define WITH_TOKEN(test) cmocka_unit_test_setup_teardown(test, make_token, remove_token)
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(the_token_derives_what_the_key_file_derives),
        WITH_TOKEN(what_the_token_cannot_do_is_refused_before_there_is_a_key),
        WITH_TOKEN(a_base_key_does_not_come_out),
        WITH_TOKEN(attributes_are_those_that_the_policy_asks_for),
        WITH_TOKEN(a_destroyed_key_is_gone_from_the_token),
        WITH_TOKEN(a_helper_that_ends_is_missed_at_once_and_another_takes_over),
        WITH_TOKEN(a_token_that_was_away_serves_again_by_itself),
        WITH_TOKEN(a_wrong_pin_ends_the_helper_and_is_tried_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
