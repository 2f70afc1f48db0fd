#include "key_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault/audit_head.h"
#include "vault/client.h"

/* A vault on a folder that outlives it, and the log that its front would have. */
typedef struct bench {
    key_folder folder;
    test_vault vault;
    kf_buffer log; /* receipts that were written: u16 length and bytes */
    uint64_t written;
    int64_t seq;
    uint8_t hash[KF_DIGEST_SIZE];
} bench;

static uint64_t bench_clock(void)
{
    return TEST_NOW_SECONDS * 1000 + 5;
}

static void start_vault(bench *made)
{
    kf_error error = {KF_OK, ""};
    kf_key_store *store = NULL;
    kf_receipt_journal *journal = NULL;
    assert_int_equal(open_store(&made->folder, "a passphrase", &store, &error), KF_OK);
    assert_int_equal(kf_receipt_journal_open(made->folder.path, &journal, &error), KF_OK);
    assert_int_equal(kf_vault_new(KF_VAULT_KMU, store, true, bench_clock, &made->vault.vault, &error), KF_OK);
    kf_vault_keep_receipts(made->vault.vault, journal);
}

static kf_view newest_receipt(const bench *made)
{
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&made->log));
    kf_view newest = {NULL, 0};
    while (!kf_cursor_at_end(&cursor))
        assert_int_equal(kf_vault_answer_next_receipt(&cursor, &newest), KF_OK);
    return newest;
}

static kf_audit_state state_of(bench *made)
{
    kf_error error = {KF_OK, ""};
    kf_audit_state state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer_append_u8(&request, KF_MESSAGE_VERSION);
    assert_int_equal(test_ask(&made->vault, KF_VAULT_AUDIT_STATE, &request, &answer, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    assert_int_equal(kf_audit_state_take(&cursor, &state), KF_OK);
    return state;
}

/* Resumes as a front does whose log is `made`; the receipts that the vault hands over go to `lost`. */
static unsigned resume(bench *made, kf_buffer *lost)
{
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_vault_resume wanted = {.receipt = newest_receipt(made), .written = made->written, .seq = made->seq};
    memcpy(wanted.hash, made->hash, sizeof wanted.hash);
    kf_vault_resume_put(&request, &wanted);
    assert_int_equal(test_ask(&made->vault, KF_VAULT_RESUME, &request, &answer, &error), KF_OK);
    kf_vault_resumed resumed;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    assert_int_equal(kf_vault_resumed_take(&cursor, &resumed), KF_OK);
    kf_buffer_truncate(lost, 0);
    kf_buffer_append(lost, resumed.lost);
    assert_int_equal(kf_buffer_status(lost), KF_OK);
    return resumed.holds;
}

static void restart(bench *made)
{
    kf_vault_free(&made->vault.vault);
    start_vault(made);
}

/* One act whose receipt is given; `written`: and gets into the log. */
static kf_code act(bench *made, bool written)
{
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answers = KF_BUFFER_INIT;
    kf_key_act_request request = {
        .actor = {"officer:alice", ""}, .act = KF_KEY_GENERATE, .entry = payment_entry("cn-north")};
    kf_key_act_request_put(&bytes, &request);
    kf_vault_frame frame = {KF_VAULT_KEY_ACT, 7, kf_buffer_view(&bytes)};
    kf_vault_answer_parts parts;
    assert_int_equal(kf_vault_answer_frame(made->vault.vault, &frame, &answers, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answers));
    assert_int_equal(kf_vault_frame_take(&cursor, &frame), KF_OK);
    assert_int_equal(kf_vault_answer_take(frame.payload, &parts), KF_OK);
    if (!written || parts.code != KF_OK) return parts.code;
    kf_buffer_append(&made->log, parts.receipts);
    made->written++;
    made->seq++;
    memset(made->hash, (int)made->seq, sizeof made->hash);
    return parts.code;
}

static kf_code sign(bench *made, kf_signed_head *ret_head)
{
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_sign_head_request wanted = {.seq = made->seq, .written = made->written};
    memcpy(wanted.hash, made->hash, sizeof wanted.hash);
    kf_sign_head_request_put(&request, &wanted);
    KF_TRY(test_ask(&made->vault, KF_VAULT_SIGN_HEAD, &request, &answer, &error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    assert_int_equal(kf_signed_head_answer_take(&cursor, ret_head), KF_OK);
    return KF_OK;
}

static int set_up(void **state)
{
    bench *made = calloc(1, sizeof *made);
    assert_non_null(made);
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    key_folder_make(&made->folder);
    start_vault(made);
    assert_int_equal(resume(made, &lost), 0);
    assert_int_equal(lost.size, 0);
    *state = made;
    return 0;
}

static int tear_down(void **state)
{
    bench *made = *state;
    kf_vault_free(&made->vault.vault);
    kf_buffer_clear(&made->log);
    key_folder_remove(&made->folder);
    free(made);
    return 0;
}

static void a_head_is_signed_by_the_key_that_the_vault_shows(void **state)
{
    bench *made = *state;
    kf_signed_head head;
    assert_int_equal(act(made, true), KF_OK);
    assert_int_equal(sign(made, &head), KF_OK);
    kf_audit_state shown = state_of(made);
    assert_int_equal(kf_signed_head_verify(&head, shown.public_key), KF_OK);
    assert_memory_equal(head.vault, shown.vault, sizeof head.vault);
    assert_int_equal(head.seq, 1);
    assert_int_equal(head.receipts, 1);
    assert_int_equal(head.written, 1);
    assert_int_equal(head.time_ms, bench_clock());
    assert_int_equal(head.revision, kf_key_store_revision(made->vault.vault->keys));
    assert_int_equal(shown.note.seq, 1);
    head.revision++;
    assert_int_equal(kf_signed_head_verify(&head, shown.public_key), KF_ERR_AUTHENTICATION);
}

static void a_log_that_goes_back_or_is_another_is_not_signed(void **state)
{
    bench *made = *state;
    kf_signed_head head;
    assert_int_equal(act(made, true), KF_OK);
    assert_int_equal(act(made, true), KF_OK);
    assert_int_equal(sign(made, &head), KF_OK);
    made->hash[3] ^= 1;
    assert_int_equal(sign(made, &head), KF_ERR_AUDIT);
    made->hash[3] ^= 1;
    made->seq = 1;
    assert_int_equal(sign(made, &head), KF_ERR_AUDIT);
    made->seq = 3;
    made->written = 1;
    assert_int_equal(sign(made, &head), KF_ERR_AUDIT);
    made->written = 3;
    assert_int_equal(sign(made, &head), KF_ERR_AUDIT); /* there is no third receipt */
    made->written = 2;
    assert_int_equal(sign(made, &head), KF_OK);
}

static void receipts_that_front_and_vault_both_ended_before_writing_come_back(void **state)
{
    bench *made = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    assert_int_equal(act(made, true), KF_OK);
    assert_int_equal(act(made, false), KF_OK);
    assert_int_equal(act(made, false), KF_OK);
    restart(made);
    assert_int_equal(resume(made, &lost), 0);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&lost));
    for (uint64_t number = 2; number <= 3; number++) {
        kf_view bytes;
        kf_receipt receipt;
        assert_int_equal(kf_vault_answer_next_receipt(&cursor, &bytes), KF_OK);
        assert_int_equal(kf_receipt_verify(made->vault.vault->receipt_key, bytes, &receipt), KF_OK);
        assert_int_equal(receipt.number, number);
    }
    assert_true(kf_cursor_at_end(&cursor));
    /* Numbers never repeat, whatever the front says it has. */
    assert_int_equal(act(made, true), KF_OK);
    assert_int_equal(made->vault.vault->last_receipt, 4);
}

static void more_receipts_than_are_kept_come_back_as_far_as_they_are(void **state)
{
    bench *made = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    static const kf_vault_actor actor = {"officer:alice", ""};
    for (size_t i = 0; i < KF_RECEIPTS_KEPT + 10; i++) {
        kf_vault_act done = {&actor, "key.suspend", "payment/cn-north/1", NULL, KF_OK};
        assert_int_equal(kf_vault_receipt(made->vault.vault, &done, NULL), KF_OK);
        made->vault.vault->receipt_count = 0;
        kf_buffer_truncate(&made->vault.vault->receipts, 0);
    }
    restart(made);
    assert_int_equal(resume(made, &lost), 0);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&lost));
    size_t count = 0;
    kf_receipt receipt = {.number = 0};
    while (!kf_cursor_at_end(&cursor)) {
        kf_view bytes;
        uint64_t before = receipt.number;
        assert_int_equal(kf_vault_answer_next_receipt(&cursor, &bytes), KF_OK);
        assert_int_equal(kf_receipt_decode(bytes, &receipt), KF_OK);
        if (count > 0) assert_int_equal(receipt.number, before + 1);
        count++;
    }
    assert_int_equal(count, KF_RECEIPTS_KEPT);
    assert_int_equal(receipt.number, KF_RECEIPTS_KEPT + 10);
}

static void a_log_that_ends_before_its_signed_head_is_held_until_it_is_accepted(void **state)
{
    bench *made = *state;
    kf_error error = {KF_OK, ""};
    kf_signed_head head;
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    assert_int_equal(act(made, true), KF_OK);
    size_t short_log = made->log.size;
    assert_int_equal(act(made, true), KF_OK);
    assert_int_equal(sign(made, &head), KF_OK);
    /* The database of before the second act is put back. */
    kf_buffer_truncate(&made->log, short_log);
    made->written = 1;
    made->seq = 1;
    memset(made->hash, 0, sizeof made->hash);
    restart(made);
    assert_int_equal(resume(made, &lost), KF_HOLD_LOG_OLDER);
    assert_int_equal(act(made, true), KF_ERR_HELD);
    assert_int_equal(sign(made, &head), KF_OK); /* as it is, for whoever keeps heads */
    /* Neither a restart nor a longer log makes it forget. */
    made->seq = 9;
    restart(made);
    assert_int_equal(resume(made, &lost) & KF_HOLD_LOG_OLDER, KF_HOLD_LOG_OLDER);
    unsigned holds = made->vault.vault->note.holds;
    kf_accept_log_request accepted = {
        .actor = {"officer:alice", ""}, .holds = holds ^ KF_HOLD_KEYS_OLDER, .reason = "disk replaced"};
    kf_accept_log_request_put(&request, &accepted);
    assert_int_equal(test_ask(&made->vault, KF_VAULT_ACCEPT_LOG, &request, NULL, &error), KF_ERR_CONFLICT);
    accepted.holds = holds;
    kf_buffer_truncate(&request, 0);
    kf_accept_log_request_put(&request, &accepted);
    assert_int_equal(test_ask(&made->vault, KF_VAULT_ACCEPT_LOG, &request, NULL, &error), KF_OK);
    assert_int_equal(act(made, true), KF_OK);
    assert_int_equal(test_ask(&made->vault, KF_VAULT_ACCEPT_LOG, &request, NULL, &error), KF_ERR_STATE);
    restart(made);
    assert_int_equal(resume(made, &lost), 0);
}

static void another_log_is_noticed(void **state)
{
    bench *made = *state;
    kf_signed_head head;
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    assert_int_equal(act(made, true), KF_OK);
    assert_int_equal(sign(made, &head), KF_OK);
    made->hash[0] ^= 1;
    restart(made);
    assert_int_equal(resume(made, &lost), KF_HOLD_LOG_DIFFERS);
    assert_int_equal(act(made, true), KF_ERR_HELD);
}

/* The sealed state as it is on the disk now. */
static void copy_slots(const bench *made, kf_buffer slots[2])
{
    for (size_t i = 0; i < 2; i++) {
        char path[96];
        uint8_t part[4096];
        key_folder_slot(&made->folder, i, path);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t got;
        while ((got = fread(part, 1, sizeof part, file)) > 0)
            kf_buffer_append_bytes(&slots[i], part, got);
        assert_int_equal(fclose(file), 0);
    }
}

static void put_slots_back(const bench *made, kf_buffer slots[2])
{
    for (size_t i = 0; i < 2; i++) {
        char path[96];
        key_folder_slot(&made->folder, i, path);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(slots[i].data, 1, slots[i].size, file), slots[i].size);
        assert_int_equal(fclose(file), 0);
        kf_buffer_clear(&slots[i]);
    }
}

static void old_key_files_are_noticed(void **state)
{
    bench *made = *state;
    kf_buffer slots[2] = {KF_BUFFER_INIT, KF_BUFFER_INIT};
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    assert_int_equal(act(made, true), KF_OK);
    copy_slots(made, slots);
    assert_int_equal(act(made, true), KF_OK);
    kf_vault_free(&made->vault.vault);
    put_slots_back(made, slots);
    start_vault(made);
    assert_int_equal(resume(made, &lost), KF_HOLD_KEYS_OLDER);
    assert_int_equal(act(made, true), KF_ERR_HELD);
}

static void a_change_of_the_key_store_without_a_receipt_gets_one(void **state)
{
    bench *made = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer more = KF_BUFFER_INIT;
    assert_int_equal(act(made, true), KF_OK);
    /* What a vault leaves that is killed between the change and the receipt. */
    const kf_key_entry *added;
    kf_key_entry entry = payment_entry("cn-south");
    assert_int_equal(kf_key_store_add(made->vault.vault->keys, &entry, NULL, 5, &added, &error), KF_OK);
    restart(made);
    assert_int_equal(resume(made, &lost), 0);
    assert_int_equal(made->vault.vault->last_receipt, 2);
    assert_int_equal(
        kf_receipt_journal_list(made->vault.vault->journal, made->vault.vault->receipt_key, 1, &more), KF_OK);
    kf_receipt receipt;
    assert_int_equal(kf_receipt_decode(kf_view_part(kf_buffer_view(&more), 2, more.size - 2), &receipt),
                     KF_OK);
    assert_string_equal(receipt.act, "key.unwitnessed");
    assert_int_equal(receipt.outcome, KF_ERR_AUDIT);
    restart(made);
    assert_int_equal(resume(made, &lost), 0);
    assert_int_equal(made->vault.vault->last_receipt, 2);
}

static void the_vaults_own_file_of_receipts_gone_or_damaged_is_noticed(void **state)
{
    bench *made = *state;
    char path[96];
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    assert_int_equal(act(made, true), KF_OK);
    kf_vault_free(&made->vault.vault);
    (void)snprintf(path, sizeof path, "%s/%s", made->folder.path, KF_RECEIPT_JOURNAL_NAME);
    assert_int_equal(unlink(path), 0);
    start_vault(made);
    assert_int_equal(resume(made, &lost), KF_HOLD_RECEIPTS_GONE);
    restart(made);
    assert_int_equal(resume(made, &lost), KF_HOLD_RECEIPTS_GONE);
    kf_vault_free(&made->vault.vault);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    uint8_t zeros[1024] = {0};
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, file), sizeof zeros);
    assert_int_equal(fclose(file), 0);
    start_vault(made);
    assert_int_equal(resume(made, &lost), KF_HOLD_RECEIPTS_GONE);
}

static kf_receipt_verdict judge(bench *made, kf_view receipts)
{
    kf_error error = {KF_OK, ""};
    kf_receipt_verdict verdict;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer_append_u8(&request, KF_MESSAGE_VERSION);
    kf_message_put_blob(&request, receipts);
    assert_int_equal(test_ask(&made->vault, KF_VAULT_VERIFY_RECEIPTS, &request, &answer, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    assert_int_equal(kf_receipt_verdict_take(&cursor, &verdict), KF_OK);
    assert_int_equal(kf_receipt_verdict_verify(&verdict, state_of(made).public_key), KF_OK);
    return verdict;
}

static void the_vault_judges_receipts_and_signs_what_it_says(void **state)
{
    bench *made = *state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(act(made, true), KF_OK);
    kf_receipt_verdict verdict = judge(made, kf_buffer_view(&made->log));
    assert_int_equal(verdict.count, 3);
    assert_int_equal(verdict.bad, 0);
    for (size_t i = 2; i < made->log.size; i += 7) {
        /* Lengths left alone: what follows them is one receipt or another. */
        size_t size = (size_t)made->log.data[0] << 8 | made->log.data[1];
        if (i % (size + 2) < 2) continue;
        made->log.data[i] ^= 4;
        assert_int_equal(judge(made, kf_buffer_view(&made->log)).bad, 1);
        made->log.data[i] ^= 4;
    }
    verdict.bad = 1;
    assert_int_equal(kf_receipt_verdict_verify(&verdict, state_of(made).public_key), KF_ERR_AUTHENTICATION);
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    kf_buffer_append_u8(&request, KF_MESSAGE_VERSION);
    kf_message_put_blob(&request, kf_view_part(kf_buffer_view(&made->log), 0, made->log.size - 1));
    assert_int_equal(test_ask(&made->vault, KF_VAULT_VERIFY_RECEIPTS, &request, NULL, &error),
                     KF_ERR_TRUNCATED);
}

static void the_names_of_holds_are_read_back(void **state)
{
    (void)state;
    for (unsigned holds = 1; holds <= KF_HOLDS_ALL; holds++) {
        unsigned again = 0;
        char text[KF_HOLD_TEXT_SIZE];
        assert_int_equal(kf_audit_holds_from_names(kf_audit_hold_names(holds).text, &again), KF_OK);
        assert_int_equal(again, holds);
        kf_audit_hold_text(holds, text);
        assert_true(strlen(text) > 0);
    }
    unsigned none = 0;
    assert_int_equal(kf_audit_holds_from_names("", &none), KF_ERR_FIELD);
    assert_int_equal(kf_audit_holds_from_names("log-older,", &none), KF_ERR_FIELD);
    assert_int_equal(kf_audit_holds_from_names("log", &none), KF_ERR_FIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_head_is_signed_by_the_key_that_the_vault_shows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_goes_back_or_is_another_is_not_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(receipts_that_front_and_vault_both_ended_before_writing_come_back,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_receipts_than_are_kept_come_back_as_far_as_they_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_ends_before_its_signed_head_is_held_until_it_is_accepted,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_log_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_key_files_are_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_of_the_key_store_without_a_receipt_gets_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_vaults_own_file_of_receipts_gone_or_damaged_is_noticed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_vault_judges_receipts_and_signs_what_it_says, set_up, tear_down),
        cmocka_unit_test(the_names_of_holds_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
