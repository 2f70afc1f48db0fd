#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/chain.h"
#include "audit/heads.h"
#include "audit/outside.h"
#include "audit/verifier.h"
#include "base/file.h"
#include "wire/json.h"

typedef struct bench {
    char folder[64];
    kf_database *database;
    kf_secret *seed;
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
    kf_error error;
} bench;

static int set_up(void **state)
{
    bench *made = calloc(1, sizeof *made);
    char url[128];
    assert_non_null(made);
    strcpy(made->folder, "/tmp/keyfill-heads-XXXXXX");
    assert_non_null(mkdtemp(made->folder));
    (void)snprintf(url, sizeof url, "sqlite:%s/a.db", made->folder);
    assert_int_equal(kf_database_open(url, &made->database, &made->error), KF_OK);
    assert_int_equal(kf_database_migrate(made->database, &kf_audit_migrations, &made->error), KF_OK);
    assert_int_equal(kf_secret_new(kf_view_of("a seed that is of thirty-two byte", 32), &made->seed), KF_OK);
    assert_int_equal(kf_ed25519_public(made->seed, made->public_key), KF_OK);
    *state = made;
    return 0;
}

static int tear_down(void **state)
{
    bench *made = *state;
    static const char *const files[] = {"a.db", "a.db-wal", "a.db-shm", "heads"};
    kf_database_free(&made->database);
    kf_secret_free(&made->seed);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", made->folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(made->folder), 0);
    free(made);
    return 0;
}

static kf_signed_head head_of(bench *made, int64_t seq, uint64_t revision)
{
    kf_signed_head head = {.seq = seq,
                           .revision = revision,
                           .receipts = (uint64_t)seq,
                           .written = (uint64_t)seq,
                           .time_ms = 1700000000000};
    memset(head.vault, 7, sizeof head.vault);
    memset(head.hash, (int)seq, sizeof head.hash);
    assert_int_equal(kf_signed_head_sign(made->seed, &head), KF_OK);
    return head;
}

typedef struct shown_work {
    kf_shown_head shown;
    kf_audit_peer peer;
    bool is_new;
} shown_work;

static kf_code show_work(kf_database *database, void *context, kf_error *error)
{
    shown_work *work = context;
    return kf_audit_peer_show(database, &work->shown, &work->peer, &work->is_new, error);
}

/* What is found, "" for nothing. */
static const char *show(bench *made, const kf_signed_head *head, shown_work *work)
{
    *work = (shown_work){.shown = {"kmu:north", head, made->public_key, 5}};
    assert_int_equal(kf_database_write(made->database, show_work, work, &made->error), KF_OK);
    return work->peer.finding;
}

static void a_head_survives_its_bytes_and_its_json_and_no_shortened_ones(void **state)
{
    bench *made = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    kf_signed_head head = head_of(made, 9, 4);
    kf_signed_head again;
    kf_signed_head_put(&bytes, &head);
    assert_int_equal(bytes.size, KF_SIGNED_HEAD_SIZE);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_signed_head_take(&cursor, &again), KF_OK);
    assert_int_equal(kf_signed_head_verify(&again, made->public_key), KF_OK);
    for (size_t size = 0; size < bytes.size; size++) {
        cursor = kf_cursor_of(kf_view_part(kf_buffer_view(&bytes), 0, size));
        assert_int_equal(kf_signed_head_take(&cursor, &again), KF_ERR_TRUNCATED);
    }
    assert_int_equal(kf_signed_head_to_json(&head, &json), KF_OK);
    assert_int_equal(kf_signed_head_from_json(json, &again, &made->error), KF_OK);
    assert_int_equal(kf_signed_head_verify(&again, made->public_key), KF_OK);
    assert_int_equal(kf_signed_head_from_json(NULL, &again, &made->error), KF_ERR_FIELD);
    static const char *const members[] = {"vault",    "seq",     "hash",    "revision",
                                          "receipts", "written", "time_ms", "signature"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        KF_CLEANUP(kf_json_free) json_t *less = json_deep_copy(json);
        assert_int_equal(json_object_del(less, members[i]), 0);
        assert_int_equal(kf_signed_head_from_json(less, &again, &made->error), KF_ERR_FIELD);
    }
}

static void a_unit_that_shows_less_than_before_is_found(void **state)
{
    bench *made = *state;
    shown_work work;
    kf_signed_head first = head_of(made, 10, 5);
    assert_string_equal(show(made, &first, &work), "");
    assert_false(work.peer.found);
    kf_signed_head later = head_of(made, 12, 6);
    assert_string_equal(show(made, &later, &work), "");
    assert_int_equal(work.peer.newest.seq, 10);
    kf_signed_head older_keys = head_of(made, 13, 5);
    assert_non_null(strstr(show(made, &older_keys, &work), "old key files"));
    assert_true(work.is_new);
    assert_non_null(strstr(show(made, &older_keys, &work), "old key files"));
    assert_false(work.is_new);
    kf_signed_head older_log = head_of(made, 11, 6);
    assert_non_null(strstr(show(made, &older_log, &work), "old database"));
    kf_signed_head another_row = head_of(made, 12, 6);
    another_row.hash[0] ^= 1;
    assert_int_equal(kf_signed_head_sign(made->seed, &another_row), KF_OK);
    assert_non_null(strstr(show(made, &another_row, &work), "is another than"));
    assert_string_equal(show(made, &later, &work), "");
    assert_true(work.is_new);
    kf_signed_head another_vault = head_of(made, 14, 7);
    another_vault.vault[0] ^= 1;
    assert_int_equal(kf_signed_head_sign(made->seed, &another_vault), KF_OK);
    assert_non_null(strstr(show(made, &another_vault, &work), "another vault"));
}

static void a_head_that_is_not_signed_is_not_noted(void **state)
{
    bench *made = *state;
    kf_signed_head head = head_of(made, 10, 5);
    shown_work work = {.shown = {"kmu:north", &head, made->public_key, 5}};
    kf_audit_peer peer;
    head.seq = 11;
    assert_int_equal(kf_database_write(made->database, show_work, &work, &made->error),
                     KF_ERR_AUTHENTICATION);
    assert_int_equal(kf_audit_peer_find(made->database, "kmu:north", &peer, &made->error), KF_OK);
    assert_false(peer.found);
}

static kf_code forget_work(kf_database *database, void *context, kf_error *error)
{
    return kf_audit_peer_forget(database, context, error);
}

static void what_is_accepted_is_what_later_heads_are_compared_with(void **state)
{
    bench *made = *state;
    shown_work work;
    kf_signed_head newest = head_of(made, 10, 5);
    kf_signed_head old = head_of(made, 4, 2);
    kf_signed_head older = head_of(made, 3, 2);
    char unit[] = "kmu:north";
    (void)show(made, &newest, &work);
    assert_string_not_equal(show(made, &old, &work), "");
    assert_int_equal(kf_database_write(made->database, forget_work, unit, &made->error), KF_OK);
    assert_string_equal(show(made, &old, &work), "");
    assert_string_not_equal(show(made, &older, &work), "");
}

static void heads_that_say_nothing_new_are_not_kept_twice(void **state)
{
    bench *made = *state;
    kf_kept_head heads[8];
    size_t count = 0;
    kf_signed_head first = head_of(made, 1, 1);
    kf_signed_head later = first;
    kf_signed_head second = head_of(made, 2, 1);
    later.time_ms++;
    assert_int_equal(kf_audit_heads_keep(made->database, KF_AUDIT_OWN, &first, &made->error), KF_OK);
    assert_int_equal(kf_audit_heads_keep(made->database, KF_AUDIT_OWN, &later, &made->error), KF_OK);
    assert_int_equal(kf_audit_heads_keep(made->database, "kmu:north", &first, &made->error), KF_OK);
    assert_int_equal(kf_audit_heads_keep(made->database, KF_AUDIT_OWN, &second, &made->error), KF_OK);
    const kf_heads_range all = {KF_AUDIT_OWN, 0, 8};
    assert_int_equal(kf_audit_heads_list(made->database, &all, heads, &count, &made->error), KF_OK);
    assert_int_equal(count, 2);
    assert_int_equal(heads[1].head.seq, 2);
    const kf_heads_range rest = {KF_AUDIT_OWN, heads[0].number, 8};
    assert_int_equal(kf_audit_heads_list(made->database, &rest, heads, &count, &made->error), KF_OK);
    assert_int_equal(count, 1);
}

static void a_place_that_refuses_gets_everything_later(void **state)
{
    bench *made = *state;
    char file[128];
    char socket_path[128];
    kf_outside *outside = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    (void)snprintf(file, sizeof file, "%s/heads", made->folder);
    (void)snprintf(socket_path, sizeof socket_path, "%s/no-socket", made->folder);
    const kf_outside_options options = {.file = file, .syslog = socket_path, .program = "test"};
    assert_int_equal(kf_outside_new(&options, &outside, &made->error), KF_OK);
    for (int64_t seq = 1; seq <= 3; seq++) {
        kf_signed_head head = head_of(made, seq, 1);
        assert_int_equal(kf_audit_heads_keep(made->database, KF_AUDIT_OWN, &head, &made->error), KF_OK);
        /* The one that works has it, and the other's failure is told. */
        assert_int_equal(kf_outside_send(outside, made->database, &made->error), KF_ERR_UNREACHABLE);
        assert_non_null(strstr(kf_error_text(&made->error), "no-socket"));
    }
    assert_int_equal(kf_file_read(file, 65536, &content, &made->error), KF_OK);
    size_t lines = 0;
    for (size_t i = 0; i < content.size; i++)
        lines += content.data[i] == '\n';
    assert_int_equal(lines, 3);
    kf_outside_free(&outside);
    const kf_outside_options wrong = {.https = "http://auditors.example/", .program = "test"};
    assert_int_equal(kf_outside_new(&wrong, &outside, &made->error), KF_ERR_CONFIGURATION);
}

static kf_audit_row row_of(int64_t seq, const uint8_t *previous)
{
    kf_audit_row row = {.seq = seq,
                        .event = {.time_ms = seq,
                                  .actor = "host:north",
                                  .action = "request.fill",
                                  .subject = "",
                                  .outcome = "ok",
                                  .detail = ""}};
    memcpy(row.previous, previous, sizeof row.previous);
    assert_int_equal(kf_audit_row_hash(&row, row.hash), KF_OK);
    return row;
}

static uint64_t findings_of(const kf_audit_verifier *verifier)
{
    return kf_audit_verifier_result(verifier).finding_count;
}

static void rows_and_heads_in_order_have_no_findings_and_a_kept_head_finds_the_cut(void **state)
{
    bench *made = *state;
    uint8_t zeros[KF_DIGEST_SIZE] = {0};
    kf_audit_row first = row_of(1, zeros);
    kf_audit_row second = row_of(2, first.hash);
    kf_signed_head head = head_of(made, 2, 1);
    memcpy(head.hash, second.hash, sizeof head.hash);
    assert_int_equal(kf_signed_head_sign(made->seed, &head), KF_OK);
    for (int cut = 0; cut < 2; cut++) {
        KF_CLEANUP(kf_audit_verifier_free) kf_audit_verifier *verifier = NULL;
        assert_int_equal(kf_audit_verifier_new(made->public_key, &verifier), KF_OK);
        assert_int_equal(kf_audit_verifier_expect(verifier, &head), KF_OK);
        assert_int_equal(kf_audit_verifier_row(verifier, &first), KF_OK);
        if (cut == 0) {
            assert_int_equal(kf_audit_verifier_row(verifier, &second), KF_OK);
            assert_int_equal(kf_audit_verifier_head(verifier, &head), KF_OK);
        }
        kf_audit_verifier_end(verifier, cut == 0);
        assert_int_equal(findings_of(verifier), cut);
    }
}

static void a_line_that_is_too_long_or_no_json_is_a_finding(void **state)
{
    bench *made = *state;
    KF_CLEANUP(kf_audit_verifier_free) kf_audit_verifier *verifier = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    static const char *const lines[] = {
        "", "{", "[]", "{\"keyfill_audit\":2}", "{\"seq\":1}", "{\"head\":1}"};
    assert_int_equal(kf_audit_verifier_new(made->public_key, &verifier), KF_OK);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        KF_CLEANUP(kf_export_line_clear) kf_export_line line = {.json = NULL, .receipt = KF_BUFFER_INIT};
        assert_int_equal(kf_audit_verifier_line(verifier, kf_view_of_text(lines[i]), &line), KF_OK);
        assert_false(line.is_row);
        assert_int_equal(findings_of(verifier), i + 1);
    }
    kf_buffer_append_fill(&text, ' ', KF_EXPORT_LINE_MAX + 1);
    KF_CLEANUP(kf_export_line_clear) kf_export_line line = {.json = NULL, .receipt = KF_BUFFER_INIT};
    assert_int_equal(kf_audit_verifier_line(verifier, kf_buffer_view(&text), &line), KF_OK);
    assert_int_equal(findings_of(verifier), sizeof lines / sizeof lines[0] + 1);
    for (int i = 0; i < KF_FINDINGS_MAX; i++)
        kf_audit_verifier_find(verifier, 1, "one more");
    assert_true(findings_of(verifier) > KF_FINDINGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_head_survives_its_bytes_and_its_json_and_no_shortened_ones, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_unit_that_shows_less_than_before_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_head_that_is_not_signed_is_not_noted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_accepted_is_what_later_heads_are_compared_with, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(heads_that_say_nothing_new_are_not_kept_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_that_refuses_gets_everything_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rows_and_heads_in_order_have_no_findings_and_a_kept_head_finds_the_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_that_is_too_long_or_no_json_is_a_finding, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
