/* Proposals in a front's database: what is kept, what time does to it, and what does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault/proposal_store.h"

#define NOW ((uint64_t)1800000000)

typedef struct store {
    char path[48];
    kf_database *database;
} store;

static int open_store_of_test(void **state)
{
    store *made = calloc(1, sizeof *made);
    kf_error error = {KF_OK, ""};
    char url[64];
    assert_non_null(made);
    strcpy(made->path, "/tmp/keyfill-proposals.XXXXXX");
    int descriptor = mkstemp(made->path);
    assert_true(descriptor >= 0);
    close(descriptor);
    (void)snprintf(url, sizeof url, "sqlite:%s", made->path);
    assert_int_equal(kf_database_open(url, &made->database, &error), KF_OK);
    assert_int_equal(kf_database_migrate(made->database, &kf_proposals_migrations, &error), KF_OK);
    *state = made;
    return 0;
}

static int close_store_of_test(void **state)
{
    store *made = *state;
    static const char *const endings[] = {"", "-wal", "-shm"};
    kf_database_free(&made->database);
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s%s", made->path, endings[i]);
        unlink(path);
    }
    free(made);
    return 0;
}

static void make_row(unsigned number, uint64_t expires, const char *act, kf_proposal_row *row)
{
    memset(row, 0, sizeof *row);
    (void)snprintf(row->id, sizeof row->id, "%032X", number);
    (void)snprintf(row->act, sizeof row->act, "%s", act);
    strcpy(row->subject, "payment/cn-north");
    strcpy(row->proposer, "alice");
    const kf_proposal proposal = {.created = expires - 100,
                                  .expires = expires,
                                  .proposer = "alice",
                                  .kind = KF_PROPOSAL_BACKUP,
                                  .payload = kf_view_of("", 0)};
    kf_proposal_put(&row->bytes, &proposal);
    kf_buffer_append_text(&row->attachment, "a backup");
}

static kf_code add(const store *made, unsigned number, uint64_t expires, const char *act, kf_error *error)
{
    KF_CLEANUP(kf_proposal_row_clear) kf_proposal_row row;
    make_row(number, expires, act, &row);
    return kf_proposals_add(made->database, &row, error);
}

static void assert_state(const store *made, unsigned number, const char *state, const char *result)
{
    kf_error error = {KF_OK, ""};
    char id[KF_PROPOSAL_ID_TEXT_SIZE];
    KF_CLEANUP(kf_proposal_row_clear) kf_proposal_row row = {.bytes = KF_BUFFER_INIT};
    (void)snprintf(id, sizeof id, "%032X", number);
    assert_int_equal(kf_proposals_find(made->database, id, &row, &error), KF_OK);
    assert_string_equal(row.state, state);
    assert_string_equal(kf_buffer_text(&row.result), result);
    if (strcmp(state, "pending") != 0) assert_int_equal(row.attachment.size, 0);
}

static void time_ends_what_is_pending_and_takes_backups_away(void **state)
{
    const store *made = *state;
    kf_error error = {KF_OK, ""};
    const kf_proposal_outcome done = {.state = "done", .result = kf_view_of_text("{}"), .message = ""};
    assert_int_equal(add(made, 1, NOW, "key.generate", &error), KF_OK);
    assert_int_equal(add(made, 2, NOW + 1, "key.generate", &error), KF_OK);
    assert_int_equal(add(made, 3, NOW, "key.backup", &error), KF_OK);
    assert_int_equal(add(made, 4, NOW, "key.export", &error), KF_OK);
    assert_int_equal(kf_proposals_end(made->database, "00000000000000000000000000000003", &done, &error),
                     KF_OK);
    assert_int_equal(kf_proposals_end(made->database, "00000000000000000000000000000004", &done, &error),
                     KF_OK);
    assert_int_equal(kf_proposals_expire(made->database, NOW - 1, &error), KF_OK);
    assert_state(made, 1, "pending", "");
    assert_state(made, 3, "done", "{}");
    assert_int_equal(kf_proposals_expire(made->database, NOW, &error), KF_OK);
    assert_state(made, 1, "expired", "");
    assert_state(made, 2, "pending", "");
    assert_state(made, 3, "done", "");
    assert_state(made, 4, "done", "{}");
    kf_proposal_ids ids;
    assert_int_equal(kf_proposals_list(made->database, "pending", &ids, &error), KF_OK);
    assert_int_equal(ids.count, 1);
    assert_int_equal(kf_proposals_list(made->database, NULL, &ids, &error), KF_OK);
    assert_int_equal(ids.count, 4);
}

static void what_has_ended_does_not_end_again_and_nothing_stands_twice(void **state)
{
    const store *made = *state;
    kf_error error = {KF_OK, ""};
    const char *id = "00000000000000000000000000000001";
    kf_officer_signature signature = {.officer = "carol", .bytes = {1}};
    const kf_proposal_outcome withdrawn = {
        .state = "withdrawn", .result = kf_view_of("", 0), .message = "officer:alice"};
    const kf_proposal_outcome done = {.state = "done", .result = kf_view_of_text("{}"), .message = ""};
    assert_int_equal(add(made, 1, NOW, "key.generate", &error), KF_OK);
    assert_int_equal(add(made, 1, NOW, "key.generate", &error), KF_ERR_CONFLICT);
    assert_int_equal(kf_proposals_sign(made->database, id, &signature, 1, &error), KF_OK);
    assert_int_equal(kf_proposals_sign(made->database, id, &signature, 2, &error), KF_ERR_CONFLICT);
    assert_int_equal(kf_proposals_end(made->database, id, &withdrawn, &error), KF_OK);
    assert_int_equal(kf_proposals_end(made->database, id, &done, &error), KF_OK);
    assert_state(made, 1, "withdrawn", "");
    KF_CLEANUP(kf_proposal_row_clear) kf_proposal_row row = {.bytes = KF_BUFFER_INIT};
    assert_int_equal(kf_proposals_find(made->database, "none", &row, &error), KF_ERR_NOT_FOUND);
}

static void pending_proposals_have_a_cap(void **state)
{
    const store *made = *state;
    kf_error error = {KF_OK, ""};
    for (unsigned i = 0; i < KF_PROPOSALS_PENDING_MAX; i++)
        assert_int_equal(add(made, i, NOW, "key.generate", &error), KF_OK);
    assert_int_equal(add(made, KF_PROPOSALS_PENDING_MAX, NOW, "key.generate", &error), KF_ERR_BUSY);
    assert_int_equal(kf_proposals_expire(made->database, NOW, &error), KF_OK);
    assert_int_equal(add(made, KF_PROPOSALS_PENDING_MAX, NOW, "key.generate", &error), KF_OK);
    kf_proposal_ids ids;
    assert_int_equal(kf_proposals_list(made->database, NULL, &ids, &error), KF_OK);
    assert_int_equal(ids.count, KF_PROPOSALS_LISTED_MAX);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_store_of_test, close_store_of_test)
    const struct CMUnitTest tests[] = {
        WITH_STORE(time_ends_what_is_pending_and_takes_backups_away),
        WITH_STORE(what_has_ended_does_not_end_again_and_nothing_stands_twice),
        WITH_STORE(pending_proposals_have_a_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
