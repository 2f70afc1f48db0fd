#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <keyfill/hex.h>

#include "audit/chain.h"

enum { ROWS = 5 };

typedef struct audit_fixture {
    char folder[64];
    kf_database *database;
    kf_error error;
} audit_fixture;

typedef struct appended {
    const kf_audit_event *event;
    int64_t seq;
} appended;

static kf_code append_work(kf_database *database, void *context, kf_error *error)
{
    appended *row = context;
    return kf_audit_append(database, row->event, &row->seq, error);
}

static kf_code append(audit_fixture *fixture, const kf_audit_event *event, int64_t *ret_seq)
{
    appended row = {event, 0};
    KF_TRY(kf_database_write(fixture->database, append_work, &row, &fixture->error));
    *ret_seq = row.seq;
    return KF_OK;
}

static const uint8_t receipt_bytes[] = {0xAA, 0x00, 0xBB};

static int set_up(void **state)
{
    audit_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->folder, "/tmp/keyfill-audit-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    char url[128];
    (void)snprintf(url, sizeof url, "sqlite:%s/a.db", fixture->folder);
    assert_int_equal(kf_database_open(url, &fixture->database, &fixture->error), KF_OK);
    assert_int_equal(kf_database_migrate(fixture->database, &kf_audit_migrations, &fixture->error), KF_OK);
    for (int64_t i = 1; i <= ROWS; i++) {
        const kf_audit_event event = {.time_ms = 1700000000000 + i,
                                      .actor = "host:north",
                                      .action = "request.fill",
                                      .subject = "kdd:00",
                                      .outcome = "ok",
                                      .detail = i % 2 == 0 ? "filled" : NULL,
                                      .receipt = i % 2 == 0 ? KF_VIEW(receipt_bytes) : (kf_view){NULL, 0}};
        int64_t seq = 0;
        assert_int_equal(append(fixture, &event, &seq), KF_OK);
        assert_int_equal(seq, i);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    audit_fixture *fixture = *state;
    kf_database_free(&fixture->database);
    static const char *const files[] = {"a.db", "a.db-wal", "a.db-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", fixture->folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

static kf_audit_report verified(audit_fixture *fixture)
{
    kf_audit_report report;
    memset(&report, 0xEE, sizeof report);
    assert_int_equal(kf_audit_verify(fixture->database, &report, &fixture->error), KF_OK);
    return report;
}

/* What somebody with the database file does to it. */
static void tamper(audit_fixture *fixture, const char *sql)
{
    assert_int_equal(kf_database_execute_script(fixture->database, sql, &fixture->error), KF_OK);
}

static void assert_broken_at(audit_fixture *fixture, int64_t seq, const char *why)
{
    kf_audit_report report = verified(fixture);
    assert_false(report.intact);
    assert_int_equal(report.first_bad, seq);
    assert_non_null(strstr(report.why, why));
}

static void an_untouched_chain_verifies(void **state)
{
    audit_fixture *fixture = *state;
    kf_audit_report report = verified(fixture);
    assert_true(report.intact);
    assert_int_equal(report.rows, ROWS);
    assert_int_equal(report.first_bad, 0);
    assert_string_equal(report.why, "");
    kf_audit_head head;
    assert_int_equal(kf_audit_read_head(fixture->database, &head, &fixture->error), KF_OK);
    assert_int_equal(head.seq, ROWS);
    assert_memory_equal(head.hash, report.head.hash, KF_DIGEST_SIZE);
    uint8_t hash[KF_DIGEST_SIZE];
    assert_int_equal(kf_audit_hash_at(fixture->database, ROWS, hash, &fixture->error), KF_OK);
    assert_memory_equal(hash, head.hash, KF_DIGEST_SIZE);
    assert_int_equal(kf_audit_hash_at(fixture->database, ROWS + 1, hash, &fixture->error), KF_ERR_NOT_FOUND);
}

static void a_changed_row_is_found_whatever_its_column(void **state)
{
    audit_fixture *fixture = *state;
    static const char *const columns[][2] = {
        {"actor", "'x'"},          {"action", "'x'"},
        {"subject", "'x'"},        {"outcome", "'x'"},
        {"detail", "'x'"},         {"time_ms", "time_ms + 1"},
        {"receipt", "x'AA00BC'"},  {"detail", "'request.fill'"},
        {"subject", "'ok'"},       {"receipt", "x''"},
        {"hash", "previous_hash"}, {"previous_hash", "hash"},
        {"hash", "x'00'"},         {"actor", "NULL"},
        {"actor", "x'00'"},
    };
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        char sql[256];
        tamper(fixture, "CREATE TEMP TABLE kept AS SELECT * FROM audit WHERE seq = 2");
        (void)snprintf(sql, sizeof sql, "UPDATE audit SET %s = %s WHERE seq = 2", columns[i][0],
                       columns[i][1]);
        if (kf_database_execute_script(fixture->database, sql, &fixture->error) == KF_OK) {
            kf_audit_report report = verified(fixture);
            assert_false(report.intact);
            assert_int_equal(report.first_bad, 2);
        } else {
            assert_string_equal(columns[i][1], "NULL");
        }
        tamper(fixture,
               "DELETE FROM audit WHERE seq = 2; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept");
        assert_true(verified(fixture).intact);
    }
}

static void a_byte_moved_to_the_next_column_is_found(void **state)
{
    audit_fixture *fixture = *state;
    tamper(fixture, "UPDATE audit SET actor = 'host:nort', action = 'hrequest.fill' WHERE seq = 3");
    assert_broken_at(fixture, 3, "changed");
}

static void a_removed_row_is_found(void **state)
{
    audit_fixture *fixture = *state;
    tamper(fixture, "DELETE FROM audit WHERE seq = 3");
    assert_broken_at(fixture, 3, "removed");
}

static void a_removed_row_is_found_after_renumbering(void **state)
{
    audit_fixture *fixture = *state;
    tamper(fixture, "DELETE FROM audit WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4;"
                    "UPDATE audit SET seq = 4 WHERE seq = 5; UPDATE audit_head SET seq = 4");
    assert_broken_at(fixture, 3, "changed");
}

static void a_first_row_removed_is_found(void **state)
{
    audit_fixture *fixture = *state;
    tamper(fixture, "DELETE FROM audit WHERE seq = 1");
    assert_broken_at(fixture, 1, "removed");
}

static void rows_cut_off_at_the_end_are_found(void **state)
{
    audit_fixture *fixture = *state;
    tamper(fixture, "DELETE FROM audit WHERE seq >= 4");
    assert_broken_at(fixture, 4, "cut off");
    tamper(fixture, "DELETE FROM audit");
    assert_broken_at(fixture, 1, "cut off");
}

static void an_inserted_row_is_found(void **state)
{
    audit_fixture *fixture = *state;
    tamper(fixture, "INSERT INTO audit SELECT 0, time_ms, actor, action, subject, outcome, detail, receipt,"
                    " previous_hash, hash FROM audit WHERE seq = 1");
    assert_broken_at(fixture, 0, "before the first");
    tamper(fixture, "UPDATE audit SET seq = 6 WHERE seq = 0");
    assert_broken_at(fixture, 6, "changed");
}

/* A row with a right hash of its own, made by somebody who knows the rule but cannot rewrite all that
 * follows. */
static void insert_forged(audit_fixture *fixture, int64_t seq, int64_t after, const char *detail)
{
    kf_audit_row row = {
        .seq = seq,
        .event = {
            .time_ms = 1, .actor = "a", .action = "b", .subject = "c", .outcome = "d", .detail = detail}};
    assert_int_equal(kf_audit_hash_at(fixture->database, after, row.previous, &fixture->error), KF_OK);
    assert_int_equal(kf_audit_row_hash(&row, row.hash), KF_OK);
    assert_int_equal(
        kf_database_execute(fixture->database,
                            "INSERT INTO audit VALUES ($1, 1, 'a', 'b', 'c', 'd', $2, x'', $3, $4)",
                            KF_VALUES(kf_value_integer(seq), kf_value_text(detail),
                                      kf_value_blob(KF_VIEW(row.previous)), kf_value_blob(KF_VIEW(row.hash))),
                            NULL, &fixture->error),
        KF_OK);
}

static void a_forged_row_with_a_right_hash_breaks_the_row_behind_it(void **state)
{
    audit_fixture *fixture = *state;
    tamper(fixture, "DELETE FROM audit WHERE seq = 3");
    insert_forged(fixture, 3, 2, "forged");
    assert_broken_at(fixture, 4, "does not follow");
}

static void a_forged_row_at_the_end_is_found_by_the_note(void **state)
{
    audit_fixture *fixture = *state;
    insert_forged(fixture, ROWS + 1, ROWS, "appended");
    assert_broken_at(fixture, ROWS + 1, "past the log's own note");
    tamper(fixture, "DELETE FROM audit WHERE seq >= 5");
    insert_forged(fixture, ROWS, ROWS - 1, "exchanged");
    assert_broken_at(fixture, ROWS, "replaced");
}

static void exchanged_rows_are_found(void **state)
{
    audit_fixture *fixture = *state;
    tamper(fixture, "UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3;"
                    "UPDATE audit SET seq = 3 WHERE seq = 99");
    assert_broken_at(fixture, 2, "changed");
}

static void appending_needs_a_transaction(void **state)
{
    audit_fixture *fixture = *state;
    const kf_audit_event event = {.actor = "a"};
    assert_int_equal(kf_audit_append(fixture->database, &event, NULL, &fixture->error), KF_ERR_ARGUMENT);
    assert_int_equal(verified(fixture).rows, ROWS);
}

static void a_row_rolled_back_with_its_transaction_leaves_no_gap(void **state)
{
    audit_fixture *fixture = *state;
    const kf_audit_event event = {.actor = "a"};
    int64_t seq = 0;
    {
        KF_CLEANUP(kf_transaction_end) kf_transaction transaction = KF_NO_TRANSACTION;
        assert_int_equal(kf_transaction_begin(fixture->database, &transaction, &fixture->error), KF_OK);
        assert_int_equal(kf_audit_append(fixture->database, &event, &seq, &fixture->error), KF_OK);
        assert_int_equal(seq, ROWS + 1);
    }
    assert_int_equal(append(fixture, &event, &seq), KF_OK);
    assert_int_equal(seq, ROWS + 1);
    assert_true(verified(fixture).intact);
}

static void texts_and_receipts_past_their_caps_are_refused_and_details_cut(void **state)
{
    audit_fixture *fixture = *state;
    char name[KF_AUDIT_NAME_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const kf_audit_event long_names[] = {
        {.actor = name}, {.action = name}, {.subject = name}, {.outcome = name}};
    int64_t seq = 0;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(append(fixture, &long_names[i], &seq), KF_ERR_TOO_LONG);
    static const uint8_t long_receipt[KF_AUDIT_RECEIPT_MAX + 1];
    const kf_audit_event receipt = {.receipt = KF_VIEW(long_receipt)};
    assert_int_equal(append(fixture, &receipt, &seq), KF_ERR_TOO_LONG);
    static char detail[KF_AUDIT_DETAIL_MAX + 3];
    memset(detail, 'd', sizeof detail - 1);
    memcpy(detail + KF_AUDIT_DETAIL_MAX - 1, "\xC3\xA9", 2); /* a letter of two bytes across the limit */
    const kf_audit_event cut = {.actor = name + 1, .detail = detail};
    assert_int_equal(append(fixture, &cut, &seq), KF_OK);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(kf_database_query(fixture->database, "SELECT detail FROM audit WHERE seq = $1",
                                       KF_VALUES(kf_value_integer(seq)), &rows, &fixture->error),
                     KF_OK);
    assert_int_equal(kf_rows_need(rows, "row", &fixture->error), KF_OK);
    assert_int_equal(strlen(kf_rows_text(rows, 0)), KF_AUDIT_DETAIL_MAX - 1);
    kf_rows_free(&rows);
    assert_true(verified(fixture).intact);
}

typedef struct listed {
    int64_t seqs[ROWS + 1];
    size_t count;
    bool receipt_seen;
} listed;

static kf_code take_row(const kf_audit_row *row, void *context)
{
    listed *taken = context;
    if (taken->count == ROWS + 1) return KF_ERR_TOO_LONG;
    taken->seqs[taken->count++] = row->seq;
    if (kf_view_equal(row->event.receipt, KF_VIEW(receipt_bytes)) && strcmp(row->event.detail, "filled") == 0)
        taken->receipt_seen = true;
    return KF_OK;
}

static void a_listing_gives_rows_behind_a_number_up_to_a_limit(void **state)
{
    audit_fixture *fixture = *state;
    listed taken = {0};
    assert_int_equal(
        kf_audit_list(fixture->database, (kf_audit_range){1, 3}, take_row, &taken, &fixture->error), KF_OK);
    assert_int_equal(taken.count, 3);
    assert_int_equal(taken.seqs[0], 2);
    assert_int_equal(taken.seqs[2], 4);
    assert_true(taken.receipt_seen);
    assert_int_equal(
        kf_audit_list(fixture->database, (kf_audit_range){0, 0}, take_row, &taken, &fixture->error),
        KF_ERR_FIELD);
    assert_int_equal(kf_audit_list(fixture->database, (kf_audit_range){0, KF_AUDIT_LIST_MAX + 1}, take_row,
                                   &taken, &fixture->error),
                     KF_ERR_FIELD);
}

/* Computed with Python's hashlib from the comment in chain.h. */
static void the_hash_is_over_the_encoding_that_the_header_states(void **state)
{
    (void)state;
    kf_audit_row row = {.seq = 1,
                        .event = {.time_ms = 1700000000000,
                                  .actor = "host:north",
                                  .action = "request.fill",
                                  .subject = "kdd:00",
                                  .outcome = "ok",
                                  .detail = "filled",
                                  .receipt = KF_VIEW(receipt_bytes)}};
    uint8_t hash[KF_DIGEST_SIZE];
    uint8_t expected[KF_DIGEST_SIZE];
    assert_int_equal(kf_hex_decode("e659e7bf651e3d330d750146b2a7963f9530ec8de22447025e481d9b71e80655",
                                   expected, sizeof expected),
                     KF_OK);
    assert_int_equal(kf_audit_row_hash(&row, hash), KF_OK);
    assert_memory_equal(hash, expected, sizeof hash);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_untouched_chain_verifies),
        TEST(a_changed_row_is_found_whatever_its_column),
        TEST(a_byte_moved_to_the_next_column_is_found),
        TEST(a_removed_row_is_found),
        TEST(a_removed_row_is_found_after_renumbering),
        TEST(a_first_row_removed_is_found),
        TEST(rows_cut_off_at_the_end_are_found),
        TEST(an_inserted_row_is_found),
        TEST(a_forged_row_with_a_right_hash_breaks_the_row_behind_it),
        TEST(a_forged_row_at_the_end_is_found_by_the_note),
        TEST(exchanged_rows_are_found),
        TEST(appending_needs_a_transaction),
        TEST(a_row_rolled_back_with_its_transaction_leaves_no_gap),
        TEST(texts_and_receipts_past_their_caps_are_refused_and_details_cut),
        TEST(a_listing_gives_rows_behind_a_number_up_to_a_limit),
        cmocka_unit_test(the_hash_is_over_the_encoding_that_the_header_states),
    };
    return cmocka_run_group_tests_name("audit/chain", tests, NULL, NULL);
}
