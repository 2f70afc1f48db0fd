/* Base keys between units of which both, one or neither has a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "key_fixture.h"
#include "vault/key_envelope.h"

static const char pair[] = "bkmu-kmu1";
static const char component_a[] = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
static const char component_b[] = "F0E1D2C3B4A5968778695A4B3C2D1E0FF0E1D2C3B4A5968778695A4B3C2D1E00";

static const kf_field items[] = {{"number", "8613800000001"}, {"generation", "3"}};
static const kf_fields fields = {items, 2};

static void make_vault(test_vault *vault, kf_vault_unit unit, bool token, bool key_blocks)
{
    kf_error error = {KF_OK, ""};
    kf_key_act_answer answer;
    kf_key_entry transport = transport_entry(pair);
    transport.policy.key_blocks = key_blocks;
    assert_int_equal(setenv("KEYFILL_TEST_CUSTODY", token ? "token" : "memory", 1), 0);
    test_vault_make(vault, unit);
    if (test_import(vault, &transport, component_a, component_b, &answer, &error) != KF_OK)
        fail_msg("%s", kf_error_text(&error));
}

static kf_key_entry generate(test_vault *vault, const kf_key_entry *entry)
{
    const kf_key_entry *made = NULL;
    kf_error error = {KF_OK, ""};
    if (kf_key_store_add(vault->vault->keys, entry, NULL, TEST_NOW_SECONDS, &made, &error) != KF_OK)
        fail_msg("%s", kf_error_text(&error));
    return *made;
}

static kf_code export_all(test_vault *bkmu, kf_buffer *answer, kf_key_export_answer *ret_export,
                          kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_key_export_request request = {.actor = {"kmu:one", ""}, .limit = 64};
    strcpy(request.pair, pair);
    kf_key_export_request_put(&bytes, &request);
    KF_TRY(test_ask(bkmu, KF_VAULT_KEY_BLOCK_EXPORT, &bytes, answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(answer));
    return kf_key_export_answer_take(&cursor, ret_export);
}

static kf_code import_one(test_vault *kmu, const kf_key_message *message, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_key_import_request request = {{"bkmu:central", ""}, *message};
    kf_key_import_request_put(&bytes, &request);
    return test_ask(kmu, KF_VAULT_KEY_BLOCK_IMPORT, &bytes, NULL, error);
}

/* Both units make the same card keys. */
static void compare_card_keys(test_vault *bkmu, test_vault *kmu, const char *category)
{
    kf_secret *keys[2][3] = {{NULL}, {NULL}};
    kf_error error = {KF_OK, ""};
    test_vault *const vaults[2] = {bkmu, kmu};
    for (size_t i = 0; i < 2; i++) {
        kf_key_store *store = vaults[i]->vault->keys;
        const kf_key_entry *entry =
            kf_key_store_find(store, KF_PURPOSE_PAYMENT, category, 1, TEST_NOW_SECONDS);
        assert_non_null(entry);
        if (kf_key_store_derive_set(store, entry, fields, keys[i], &error) != KF_OK)
            fail_msg("%s", kf_error_text(&error));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(kf_secret_equal(keys[0][i], keys[1][i]));
        kf_secret_free(&keys[0][i]);
        kf_secret_free(&keys[1][i]);
    }
}

static void carry(bool bkmu_token, bool kmu_token, bool key_blocks)
{
    test_vault bkmu;
    test_vault kmu;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    make_vault(&bkmu, KF_VAULT_BKMU, bkmu_token, key_blocks);
    make_vault(&kmu, KF_VAULT_KMU, kmu_token, key_blocks);
    kf_key_entry wanted = payment_entry("aes");
    generate(&bkmu, &wanted);
    wanted = payment_entry("tdes");
    wanted.algorithm = KF_TDES;
    strcpy(wanted.policy.diversification, "an10922-2tdea(role,number/bcd/8/left-0,generation/binary/2)");
    generate(&bkmu, &wanted);
    if (export_all(&bkmu, &answer, batch, &error) != KF_OK) fail_msg("%s", kf_error_text(&error));
    assert_int_equal(batch->count, 2);
    for (size_t i = 0; i < batch->count; i++) {
        assert_int_equal(kf_key_is_envelope(batch->messages[i].block), bkmu_token && !key_blocks);
        if (import_one(&kmu, &batch->messages[i], &error) != KF_OK) fail_msg("%s", kf_error_text(&error));
    }
    compare_card_keys(&bkmu, &kmu, "aes");
    compare_card_keys(&bkmu, &kmu, "tdes");
    test_vault_remove(&kmu);
    test_vault_remove(&bkmu);
}

static void from_token_to_token_a_key_goes_wrapped(void **state)
{
    (void)state;
    carry(true, true, false);
}

static void key_blocks_serve_where_one_side_has_no_token(void **state)
{
    (void)state;
    carry(false, true, true);
    carry(true, false, true);
    carry(true, true, true);
    carry(false, false, false);
}

static void without_the_right_transport_key_it_is_said_what_to_do(void **state)
{
    (void)state;
    test_vault bkmu;
    test_vault kmu;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    kf_key_entry wanted = payment_entry("aes");
    make_vault(&bkmu, KF_VAULT_BKMU, true, false);
    make_vault(&kmu, KF_VAULT_KMU, false, false);
    generate(&bkmu, &wanted);
    assert_int_equal(export_all(&bkmu, &answer, batch, &error), KF_OK);
    assert_int_equal(import_one(&kmu, &batch->messages[0], &error), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "--key-blocks"));
    test_vault_remove(&kmu);
    test_vault_remove(&bkmu);
    make_vault(&bkmu, KF_VAULT_BKMU, false, false);
    make_vault(&kmu, KF_VAULT_KMU, true, false);
    generate(&bkmu, &wanted);
    assert_int_equal(export_all(&bkmu, &answer, batch, &error), KF_OK);
    assert_int_equal(import_one(&kmu, &batch->messages[0], &error), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "--key-blocks"));
    test_vault_remove(&kmu);
    test_vault_remove(&bkmu);
}

/* The numbered receipts say where a key was in the vault's memory. */
static void the_receipt_says_when_a_key_was_in_memory(void **state)
{
    (void)state;
    for (int key_blocks = 0; key_blocks < 2; key_blocks++) {
        test_vault bkmu;
        KF_CLEANUP(kf_buffer_clear) kf_buffer request_bytes = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer answers = KF_BUFFER_INIT;
        kf_error error = {KF_OK, ""};
        kf_key_entry wanted = payment_entry("aes");
        make_vault(&bkmu, KF_VAULT_BKMU, true, key_blocks == 1);
        generate(&bkmu, &wanted);
        kf_key_export_request request = {.actor = {"kmu:one", ""}, .limit = 1};
        strcpy(request.pair, pair);
        kf_key_export_request_put(&request_bytes, &request);
        kf_vault_frame frame = {KF_VAULT_KEY_BLOCK_EXPORT, 7, kf_buffer_view(&request_bytes)};
        assert_int_equal(kf_vault_answer_frame(bkmu.vault, &frame, &answers, &error), KF_OK);
        bool said = memmem(answers.data, answers.size, "through the vault's memory", 26) != NULL;
        assert_int_equal(said, key_blocks == 1);
        test_vault_remove(&bkmu);
    }
}

static void an_envelope_that_is_cut_is_refused(void **state)
{
    (void)state;
    test_vault bkmu;
    test_vault kmu;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    kf_key_entry wanted = payment_entry("aes");
    make_vault(&bkmu, KF_VAULT_BKMU, true, false);
    make_vault(&kmu, KF_VAULT_KMU, true, false);
    generate(&bkmu, &wanted);
    assert_int_equal(export_all(&bkmu, &answer, batch, &error), KF_OK);
    kf_view whole = batch->messages[0].block;
    for (size_t size = 4; size < whole.size; size++) {
        batch->messages[0].block = kf_view_part(whole, 0, size);
        kf_code code = import_one(&kmu, &batch->messages[0], &error);
        assert_true(code == KF_ERR_KEY_BLOCK || code == KF_ERR_AUTHENTICATION);
    }
    batch->messages[0].block = whole;
    assert_int_equal(import_one(&kmu, &batch->messages[0], &error), KF_OK);
    test_vault_remove(&kmu);
    test_vault_remove(&bkmu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_token_to_token_a_key_goes_wrapped),
        cmocka_unit_test(key_blocks_serve_where_one_side_has_no_token),
        cmocka_unit_test(without_the_right_transport_key_it_is_said_what_to_do),
        cmocka_unit_test(the_receipt_says_when_a_key_was_in_memory),
        cmocka_unit_test(an_envelope_that_is_cut_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, test_custody_stop);
}
