#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <keyfill/hex.h>

#include "officers.h"

/* Two components and what they make: the whole is AES-128 key 2B7E…3C of FIPS 197 appendix A.1. */
static const char first_component[] = "000102030405060708090A0B0C0D0E0F";
static const char whole_key[] = "2B7E151628AED2A6ABF7158809CF4F3C";

static int make_vault(void **state)
{
    test_vault *vault = calloc(1, sizeof *vault);
    assert_non_null(vault);
    test_vault_make(vault, KF_VAULT_BKMU);
    *state = vault;
    return 0;
}

static int remove_vault(void **state)
{
    test_vault_remove(*state);
    free(*state);
    return 0;
}

static kf_kcv kcv_of(const char *digits)
{
    kf_kcv kcv;
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    assert_int_equal(kf_hex_decode_secret(digits, &key), KF_OK);
    assert_int_equal(kf_key_entry_kcv(KF_AES, key, &kcv), KF_OK);
    return kcv;
}

static void make_second(char *ret_digits)
{
    uint8_t first[16];
    uint8_t whole[16];
    assert_int_equal(kf_hex_decode(first_component, first, sizeof first), KF_OK);
    assert_int_equal(kf_hex_decode(whole_key, whole, sizeof whole), KF_OK);
    for (size_t i = 0; i < sizeof whole; i++)
        whole[i] ^= first[i];
    assert_int_equal(kf_hex_encode(KF_VIEW(whole), ret_digits, 33), KF_OK);
}

static kf_code ask_act(test_vault *vault, const kf_key_act_request *request, kf_key_act_answer *ret_answer,
                       kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_key_act_request_put(&bytes, request);
    KF_TRY(test_ask(vault, KF_VAULT_KEY_ACT, &bytes, &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    return kf_key_act_answer_take(&cursor, ret_answer);
}

/* `sealed` owns the bytes of the request. */
static kf_key_act_request component_request(const test_vault *vault, uint8_t number, const char *digits,
                                            kf_buffer *sealed)
{
    kf_key_act_request request = {.actor = {"officer:alice", ""},
                                  .act = KF_KEY_IMPORT,
                                  .entry = payment_entry("cn-north"),
                                  .import_id = {9, 9},
                                  .component_count = 2,
                                  .component = number};
    KF_CLEANUP(kf_secret_free) kf_secret *component = NULL;
    assert_int_equal(kf_hex_decode_secret(digits, &component), KF_OK);
    kf_buffer_truncate(sealed, 0);
    assert_int_equal(kf_key_component_seal(kf_key_store_box_public(vault->vault->keys), request.import_id,
                                           number, component, sealed),
                     KF_OK);
    request.sealed = kf_buffer_view(sealed);
    return request;
}

static void components_give_their_check_values_and_that_of_the_whole(void **state)
{
    test_vault *vault = *state;
    kf_error error = {KF_OK, ""};
    char second[33];
    make_second(second);
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    kf_key_act_answer answer;
    kf_key_act_request request = component_request(vault, 2, second, &sealed);
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_OK);
    assert_false(answer.complete);
    assert_int_equal(answer.present, 2);
    assert_memory_equal(answer.component_kcv.bytes, kcv_of(second).bytes, KF_KCV_SIZE);
    /* The same again changes nothing. */
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_OK);
    assert_false(answer.complete);
    request = component_request(vault, 1, first_component, &sealed);
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_OK);
    assert_true(answer.complete);
    assert_memory_equal(answer.component_kcv.bytes, kcv_of(first_component).bytes, KF_KCV_SIZE);
    assert_memory_equal(answer.entry.kcv.bytes, kcv_of(whole_key).bytes, KF_KCV_SIZE);
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *expected = NULL;
    const kf_key_entry *entry =
        kf_key_store_find(vault->vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 0, TEST_NOW_SECONDS);
    kf_code exposed = kf_key_store_expose_key(vault->vault->keys, entry, &key, &error);
    assert_int_equal(exposed, test_uses_token() ? KF_ERR_UNSUPPORTED : KF_OK);
    if (exposed != KF_OK) return;
    assert_int_equal(kf_hex_decode_secret(whole_key, &expected), KF_OK);
    assert_true(kf_secret_equal(key, expected));
}

static void components_that_do_not_belong_are_refused(void **state)
{
    test_vault *vault = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    kf_key_act_answer answer;
    kf_key_act_request request = component_request(vault, 1, first_component, &sealed);
    request.component = 2;
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_AUTHENTICATION);
    request = component_request(vault, 1, first_component, &sealed);
    request.import_id[0] ^= 1;
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_AUTHENTICATION);
    request = component_request(vault, 1, first_component, &sealed);
    sealed.data[40] ^= 1;
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_AUTHENTICATION);
    request = component_request(vault, 1, "0001020304050607", &sealed);
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_KEY_SIZE);
    request = component_request(vault, 1, first_component, &sealed);
    request.component_count = 1;
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_FIELD);
    request.component_count = 10;
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_FIELD);
    request = component_request(vault, 1, first_component, &sealed);
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_OK);
    request = component_request(vault, 1, whole_key, &sealed);
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_CONFLICT);
    request = component_request(vault, 2, first_component, &sealed);
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_CHECK_VALUE);
    assert_null(kf_key_store_find(vault->vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 1, 0));
}

static void rotating_keeps_the_policy_and_deactivates_the_version_before(void **state)
{
    test_vault *vault = *state;
    kf_error error = {KF_OK, ""};
    kf_key_act_answer answer;
    kf_key_act_request request = {
        .actor = {"officer:alice", ""}, .act = KF_KEY_ROTATE, .entry = payment_entry("cn-north")};
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_NO_KEY);
    request.act = KF_KEY_GENERATE;
    request.entry.policy.least_level = 0x33;
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_OK);
    request.act = KF_KEY_ROTATE;
    request.entry.policy.least_level = 0;
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_OK);
    assert_int_equal(answer.entry.version, 2);
    assert_int_equal(answer.entry.policy.least_level, 0x33);
    assert_int_equal(kf_key_store_find(vault->vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 1, 0)->state,
                     KF_KEY_DEACTIVATED);
    assert_int_equal(
        kf_key_store_find(vault->vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 0, TEST_NOW_SECONDS)->version,
        2);
}

static void a_payment_key_of_method_none_is_for_development(void **state)
{
    test_vault *vault = *state;
    kf_error error = {KF_OK, ""};
    kf_key_act_answer answer;
    kf_key_act_request request = {
        .actor = {"officer:alice", ""}, .act = KF_KEY_GENERATE, .entry = payment_entry("x")};
    strcpy(request.entry.policy.diversification, "none()");
    request.entry.policy.refill_new_version_only = true;
    assert_int_equal(ask_act(vault, &request, &answer, &error),
                     test_uses_token() ? KF_ERR_UNSUPPORTED : KF_OK);
    test_officers officers;
    test_officers_make(&officers);
    test_officers_found(&officers, vault);
    vault->vault->development = false;
    kf_proposal_act act = {.kind = KF_PROPOSAL_KEY_ACT, .key = request};
    assert_int_equal(test_agree(vault, &officers, &act, NULL, &error), KF_ERR_KEY_POLICY);
    test_officers_free(&officers);
}

/* The receipts of one request, as the front would get them. */
static void ask_for_receipts(test_vault *vault, const kf_key_act_request *request, kf_buffer *receipts)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answers = KF_BUFFER_INIT;
    kf_error error = {KF_OK, ""};
    kf_key_act_request_put(&bytes, request);
    kf_vault_frame frame = {KF_VAULT_KEY_ACT, 1, kf_buffer_view(&bytes)};
    assert_int_equal(kf_vault_answer_frame(vault->vault, &frame, &answers, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answers));
    kf_vault_answer_parts parts;
    assert_int_equal(kf_vault_frame_take(&cursor, &frame), KF_OK);
    assert_int_equal(kf_vault_answer_take(frame.payload, &parts), KF_OK);
    assert_int_equal(parts.receipt_count, 1);
    kf_buffer_truncate(receipts, 0);
    kf_buffer_append(receipts, kf_view_part(parts.receipts, 2, parts.receipts.size));
}

static void every_act_has_a_numbered_receipt_also_a_refused_one(void **state)
{
    test_vault *vault = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_receipt receipt;
    kf_key_act_request request = {
        .actor = {"officer:alice", "r-1"}, .act = KF_KEY_GENERATE, .entry = payment_entry("cn-north")};
    uint64_t before = vault->vault->last_receipt;
    ask_for_receipts(vault, &request, &bytes);
    assert_int_equal(kf_receipt_verify(vault->vault->receipt_key, kf_buffer_view(&bytes), &receipt), KF_OK);
    assert_int_equal(receipt.number, before + 1);
    assert_string_equal(receipt.actor.who, "officer:alice");
    assert_string_equal(receipt.actor.request, "r-1");
    assert_string_equal(receipt.act, "key.generate");
    assert_string_equal(receipt.subject, "payment/cn-north/1");
    assert_int_equal(receipt.outcome, KF_OK);
    assert_int_equal(strlen(receipt.kcv), 2 * KF_KCV_SIZE);
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 0x10;
        assert_int_not_equal(kf_receipt_verify(vault->vault->receipt_key, kf_buffer_view(&bytes), &receipt),
                             KF_OK);
        bytes.data[i] ^= 0x10;
    }
    request.act = KF_KEY_DESTROY;
    request.entry.version = 7;
    ask_for_receipts(vault, &request, &bytes);
    assert_int_equal(kf_receipt_verify(vault->vault->receipt_key, kf_buffer_view(&bytes), &receipt), KF_OK);
    assert_int_equal(receipt.number, before + 2);
    assert_int_equal(receipt.outcome, KF_ERR_NO_KEY);
    assert_string_equal(receipt.subject, "payment/cn-north/7");
}

static void receipts_go_on_from_the_last_one_and_no_act_is_done_before(void **state)
{
    test_vault *vault = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer last = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_key_act_answer answer;
    kf_key_act_request request = {
        .actor = {"officer:alice", ""}, .act = KF_KEY_GENERATE, .entry = payment_entry("cn-north")};
    ask_for_receipts(vault, &request, &last);
    uint64_t number = vault->vault->last_receipt;
    vault->vault->resumed = false;
    vault->vault->last_receipt = 0;
    size_t count = kf_key_store_count(vault->vault->keys);
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_ERR_STATE);
    assert_int_equal(kf_key_store_count(vault->vault->keys), count);
    last.data[last.size - 1] ^= 1;
    kf_vault_resume_put(&bytes, &(kf_vault_resume){.receipt = kf_buffer_view(&last)});
    assert_int_equal(test_ask(vault, KF_VAULT_RESUME, &bytes, NULL, &error), KF_ERR_AUTHENTICATION);
    last.data[last.size - 1] ^= 1;
    kf_buffer_truncate(&bytes, 0);
    kf_vault_resume_put(&bytes, &(kf_vault_resume){.receipt = kf_buffer_view(&last)});
    assert_int_equal(test_ask(vault, KF_VAULT_RESUME, &bytes, NULL, &error), KF_OK);
    assert_int_equal(vault->vault->last_receipt, number);
    assert_int_equal(test_ask(vault, KF_VAULT_RESUME, &bytes, NULL, &error), KF_ERR_STATE);
    assert_int_equal(ask_act(vault, &request, &answer, &error), KF_OK);
    assert_int_equal(vault->vault->last_receipt, number + 1);
}

static void a_backup_through_the_vault_restores_onto_another(void **state)
{
    test_vault *vault = *state;
    kf_error error = {KF_OK, ""};
    test_vault other;
    test_vault_make(&other, KF_VAULT_BKMU);
    kf_key_act_answer made;
    kf_key_act_request act = {
        .actor = {"officer:alice", ""}, .act = KF_KEY_GENERATE, .entry = payment_entry("cn-north")};
    assert_int_equal(ask_act(vault, &act, &made, &error), KF_OK);
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = test_secret("of the backup");
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    assert_int_equal(kf_key_passphrase_seal(kf_key_store_box_public(vault->vault->keys), passphrase, &sealed),
                     KF_OK);
    kf_key_backup_request request = {{"officer:alice", ""}, kf_buffer_view(&sealed), kf_view_of("", 0)};
    kf_key_backup_request_put(&bytes, &request);
    /* Sealed to another vault: this one cannot open it. */
    assert_int_equal(test_ask(&other, KF_VAULT_BACKUP, &bytes, &answer, &error), KF_ERR_AUTHENTICATION);
    assert_int_equal(test_ask(vault, KF_VAULT_BACKUP, &bytes, &answer, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    assert_int_equal(kf_message_take_version(&cursor), KF_OK);
    assert_int_equal(kf_message_take_blob(&cursor, KF_VAULT_PAYLOAD_MAX, &request.backup), KF_OK);
    kf_buffer_truncate(&sealed, 0);
    assert_int_equal(kf_key_passphrase_seal(kf_key_store_box_public(other.vault->keys), passphrase, &sealed),
                     KF_OK);
    request.sealed_passphrase = kf_buffer_view(&sealed);
    kf_buffer_truncate(&bytes, 0);
    kf_key_backup_request_put(&bytes, &request);
    assert_int_equal(test_ask(&other, KF_VAULT_RESTORE, &bytes, NULL, &error), KF_OK);
    const kf_key_entry *here = kf_key_store_find(other.vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 1, 0);
    assert_non_null(here);
    assert_memory_equal(here->kcv.bytes, made.entry.kcv.bytes, KF_KCV_SIZE);
    assert_int_equal(test_ask(&other, KF_VAULT_RESTORE, &bytes, NULL, &error), KF_ERR_CONFLICT);
    test_vault_remove(&other);
}

/* Whatever is cut off or changed in a request, the vault answers or refuses; it does not crash and makes no
 * key of it. */
static void requests_that_are_cut_anywhere_are_refused(void **state)
{
    test_vault *vault = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_key_act_request request = {
        .actor = {"officer:alice", ""}, .act = KF_KEY_GENERATE, .entry = payment_entry("cn-north")};
    kf_key_act_request_put(&bytes, &request);
    size_t count = kf_key_store_count(vault->vault->keys);
    for (size_t size = 0; size < bytes.size; size++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer part = KF_BUFFER_INIT;
        kf_buffer_append(&part, kf_view_part(kf_buffer_view(&bytes), 0, size));
        assert_int_not_equal(test_ask(vault, KF_VAULT_KEY_ACT, &part, NULL, &error), KF_OK);
    }
    kf_buffer_append_u8(&bytes, 0);
    assert_int_equal(test_ask(vault, KF_VAULT_KEY_ACT, &bytes, NULL, &error), KF_ERR_MALFORMED);
    assert_int_equal(kf_key_store_count(vault->vault->keys), count);
}

int main(void)
{
#define WITH_VAULT(test) cmocka_unit_test_setup_teardown(test, make_vault, remove_vault)
    const struct CMUnitTest tests[] = {
        WITH_VAULT(components_give_their_check_values_and_that_of_the_whole),
        WITH_VAULT(components_that_do_not_belong_are_refused),
        WITH_VAULT(rotating_keeps_the_policy_and_deactivates_the_version_before),
        WITH_VAULT(a_payment_key_of_method_none_is_for_development),
        WITH_VAULT(every_act_has_a_numbered_receipt_also_a_refused_one),
        WITH_VAULT(receipts_go_on_from_the_last_one_and_no_act_is_done_before),
        WITH_VAULT(a_backup_through_the_vault_restores_onto_another),
        WITH_VAULT(requests_that_are_cut_anywhere_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, test_custody_stop);
}
