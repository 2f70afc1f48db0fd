#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/migrations.h"

typedef struct store_fixture {
    char folder[64];
    char path[96];
    char url[128];
    kf_database *database;
    kf_error error;
} store_fixture;

static int set_up(void **state)
{
    store_fixture *made = calloc(1, sizeof *made);
    assert_non_null(made);
    strcpy(made->folder, "/tmp/keyfill-store-XXXXXX");
    assert_non_null(mkdtemp(made->folder));
    (void)snprintf(made->path, sizeof made->path, "%s/records.db", made->folder);
    (void)snprintf(made->url, sizeof made->url, "sqlite:%s", made->path);
    assert_int_equal(kf_database_open(made->url, &made->database, &made->error), KF_OK);
    assert_int_equal(kf_database_execute_script(made->database,
                                                "CREATE TABLE card (name TEXT PRIMARY KEY, number BIGINT,"
                                                " key BYTEA, note TEXT)",
                                                &made->error),
                     KF_OK);
    *state = made;
    return 0;
}

static int tear_down(void **state)
{
    store_fixture *made = *state;
    kf_database_free(&made->database);
    char path[128];
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s%s", made->path, endings[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(made->folder), 0);
    free(made);
    return 0;
}

static kf_code insert(kf_database *database, const char *name, int64_t number, kf_error *error)
{
    return kf_database_execute(database, "INSERT INTO card (name, number) VALUES ($1, $2)",
                               KF_VALUES(kf_value_text(name), kf_value_integer(number)), NULL, error);
}

static int64_t count_cards(store_fixture *fixture)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(kf_database_query(fixture->database, "SELECT count(*) FROM card", KF_NO_VALUES, &rows,
                                       &fixture->error),
                     KF_OK);
    assert_int_equal(kf_rows_need(rows, "cards", &fixture->error), KF_OK);
    return kf_rows_integer(rows, 0);
}

static void values_of_every_type_come_back_as_they_went(void **state)
{
    store_fixture *fixture = *state;
    const uint8_t key[] = {0, 1, 2, 0, 255};
    uint64_t changed = 0;
    /* $4 stands before $1 in the text: the number counts, not the place. */
    assert_int_equal(kf_database_execute(fixture->database,
                                         "INSERT INTO card (note, name, number, key) VALUES ($4, $1, $2, $3)",
                                         KF_VALUES(kf_value_text("a"), kf_value_integer(INT64_MIN),
                                                   kf_value_blob(KF_VIEW(key)), kf_value_text("")),
                                         &changed, &fixture->error),
                     KF_OK);
    assert_int_equal(changed, 1);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(kf_database_query(fixture->database,
                                       "SELECT name, number, key, note, NULL FROM card WHERE name = $1",
                                       KF_VALUES(kf_value_text("a")), &rows, &fixture->error),
                     KF_OK);
    bool row = false;
    assert_int_equal(kf_rows_next(rows, &row, &fixture->error), KF_OK);
    assert_true(row);
    assert_string_equal(kf_rows_text(rows, 0), "a");
    assert_int_equal(kf_rows_integer(rows, 1), INT64_MIN);
    assert_true(kf_view_equal(kf_rows_blob(rows, 2), KF_VIEW(key)));
    assert_string_equal(kf_rows_text(rows, 3), "");
    assert_false(kf_rows_is_null(rows, 3));
    assert_true(kf_rows_is_null(rows, 4));
    assert_string_equal(kf_rows_text(rows, 4), "");
    assert_true(kf_rows_is_null(rows, 99));
    assert_int_equal(kf_rows_next(rows, &row, &fixture->error), KF_OK);
    assert_false(row);
    assert_int_equal(kf_rows_integer(rows, 1), 0);
}

static void an_empty_blob_is_not_null(void **state)
{
    store_fixture *fixture = *state;
    assert_int_equal(kf_database_execute(fixture->database,
                                         "INSERT INTO card (name, key, note) VALUES ($1, $2, $3)",
                                         KF_VALUES(kf_value_text("a"), kf_value_blob((kf_view){NULL, 0}),
                                                   kf_value_text(NULL)),
                                         NULL, &fixture->error),
                     KF_OK);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(kf_database_query(fixture->database, "SELECT key, note FROM card", KF_NO_VALUES, &rows,
                                       &fixture->error),
                     KF_OK);
    assert_int_equal(kf_rows_need(rows, "card", &fixture->error), KF_OK);
    assert_false(kf_rows_is_null(rows, 0));
    assert_int_equal(kf_rows_blob(rows, 0).size, 0);
    assert_true(kf_rows_is_null(rows, 1));
}

static void a_column_of_another_type_is_remembered(void **state)
{
    store_fixture *fixture = *state;
    assert_int_equal(insert(fixture->database, "a", 1, &fixture->error), KF_OK);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(kf_database_query(fixture->database, "SELECT name, 1.5 FROM card", KF_NO_VALUES, &rows,
                                       &fixture->error),
                     KF_OK);
    assert_int_equal(kf_rows_need(rows, "card", &fixture->error), KF_OK);
    assert_int_equal(kf_rows_status(rows, &fixture->error), KF_OK);
    assert_int_equal(kf_rows_integer(rows, 1), 0);
    assert_int_equal(kf_rows_status(rows, &fixture->error), KF_ERR_STORE);
    bool row = true;
    assert_int_equal(kf_rows_next(rows, &row, &fixture->error), KF_ERR_STORE);
    assert_true(row);
}

static void a_second_row_of_the_same_name_conflicts(void **state)
{
    store_fixture *fixture = *state;
    assert_int_equal(insert(fixture->database, "a", 1, &fixture->error), KF_OK);
    assert_int_equal(insert(fixture->database, "a", 2, &fixture->error), KF_ERR_CONFLICT);
    assert_non_null(strstr(fixture->error.message, "UNIQUE constraint failed: card.name"));
    assert_int_equal(count_cards(fixture), 1);
}

static void wrong_sql_is_a_store_error_that_shows_it(void **state)
{
    store_fixture *fixture = *state;
    assert_int_equal(kf_database_execute(fixture->database, "SELEC 1", KF_NO_VALUES, NULL, &fixture->error),
                     KF_ERR_STORE);
    assert_non_null(strstr(fixture->error.message, "SELEC 1"));
}

static void parameters_without_a_value_and_second_statements_are_refused(void **state)
{
    store_fixture *fixture = *state;
    static const char *const wrong[] = {
        "DELETE FROM card WHERE name = $2",   "DELETE FROM card WHERE name = $0",
        "DELETE FROM card WHERE name = $1x",  "DELETE FROM card WHERE name = ?",
        "DELETE FROM card; DELETE FROM card", "",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(kf_database_execute(fixture->database, wrong[i], KF_VALUES(kf_value_text("a")), NULL,
                                             &fixture->error),
                         KF_ERR_ARGUMENT);
    kf_value many[KF_DATABASE_PARAMETERS_MAX + 1] = {0};
    assert_int_equal(kf_database_execute(fixture->database, "SELECT 1",
                                         (kf_values){many, KF_DATABASE_PARAMETERS_MAX + 1}, NULL,
                                         &fixture->error),
                     KF_ERR_ARGUMENT);
}

static void changed_rows_are_counted_and_only_those(void **state)
{
    store_fixture *fixture = *state;
    uint64_t changed = 77;
    assert_int_equal(insert(fixture->database, "a", 1, &fixture->error), KF_OK);
    assert_int_equal(insert(fixture->database, "b", 1, &fixture->error), KF_OK);
    assert_int_equal(kf_database_execute(fixture->database, "UPDATE card SET number = 2 WHERE number = 1",
                                         KF_NO_VALUES, &changed, &fixture->error),
                     KF_OK);
    assert_int_equal(changed, 2);
    assert_int_equal(kf_database_execute(fixture->database, "UPDATE card SET number = 2 WHERE number = 1",
                                         KF_NO_VALUES, &changed, &fixture->error),
                     KF_OK);
    assert_int_equal(changed, 0);
}

static void a_transaction_left_without_commit_is_rolled_back(void **state)
{
    store_fixture *fixture = *state;
    {
        KF_CLEANUP(kf_transaction_end) kf_transaction transaction = KF_NO_TRANSACTION;
        assert_false(kf_database_in_transaction(fixture->database));
        assert_int_equal(kf_transaction_begin(fixture->database, &transaction, &fixture->error), KF_OK);
        assert_true(kf_database_in_transaction(fixture->database));
        assert_int_equal(insert(fixture->database, "a", 1, &fixture->error), KF_OK);
        assert_int_equal(count_cards(fixture), 1);
    }
    assert_false(kf_database_in_transaction(fixture->database));
    assert_int_equal(count_cards(fixture), 0);
}

static void a_transaction_in_a_transaction_is_refused(void **state)
{
    store_fixture *fixture = *state;
    KF_CLEANUP(kf_transaction_end) kf_transaction outer = KF_NO_TRANSACTION;
    kf_transaction inner = KF_NO_TRANSACTION;
    assert_int_equal(kf_transaction_begin(fixture->database, &outer, &fixture->error), KF_OK);
    assert_int_equal(kf_transaction_begin(fixture->database, &inner, &fixture->error), KF_ERR_ARGUMENT);
    assert_null(inner.database);
    assert_int_equal(kf_transaction_commit(&outer, &fixture->error), KF_OK);
    assert_int_equal(kf_transaction_commit(&outer, &fixture->error), KF_ERR_ARGUMENT);
}

static kf_code insert_twice(kf_database *database, void *context, kf_error *error)
{
    const char *second = context;
    KF_TRY(insert(database, "a", 1, error));
    return insert(database, second, 1, error);
}

static void write_commits_all_or_nothing(void **state)
{
    store_fixture *fixture = *state;
    char same[] = "a";
    char other[] = "b";
    assert_int_equal(kf_database_write(fixture->database, insert_twice, same, &fixture->error),
                     KF_ERR_CONFLICT);
    assert_int_equal(count_cards(fixture), 0);
    assert_int_equal(kf_database_write(fixture->database, insert_twice, other, &fixture->error), KF_OK);
    assert_int_equal(count_cards(fixture), 2);
}

static void what_was_committed_is_there_for_the_next_to_open(void **state)
{
    store_fixture *fixture = *state;
    assert_int_equal(insert(fixture->database, "a", 1, &fixture->error), KF_OK);
    kf_database_free(&fixture->database);
    assert_int_equal(kf_database_open(fixture->url, &fixture->database, &fixture->error), KF_OK);
    assert_int_equal(count_cards(fixture), 1);
}

/* A process of its own that inserts, commits if it shall, and ends without closing anything. */
static void insert_and_die(const store_fixture *fixture, const char *name, bool commit)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        kf_error error = {KF_OK, ""};
        kf_database *database = NULL;
        kf_transaction transaction = KF_NO_TRANSACTION;
        bool good = kf_database_open(fixture->url, &database, &error) == KF_OK &&
                    kf_transaction_begin(database, &transaction, &error) == KF_OK &&
                    insert(database, name, 1, &error) == KF_OK &&
                    (!commit || kf_transaction_commit(&transaction, &error) == KF_OK);
        if (good) (void)kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void a_killed_process_leaves_what_it_committed_and_nothing_else(void **state)
{
    store_fixture *fixture = *state;
    kf_database_free(&fixture->database);
    insert_and_die(fixture, "committed", true);
    insert_and_die(fixture, "begun", false);
    assert_int_equal(kf_database_open(fixture->url, &fixture->database, &fixture->error), KF_OK);
    assert_int_equal(count_cards(fixture), 1);
    assert_int_equal(insert(fixture->database, "begun", 1, &fixture->error), KF_OK);
}

static void settings_make_commits_durable(void **state)
{
    store_fixture *fixture = *state;
    static const struct {
        const char *sql;
        int64_t value;
    } settings[] = {{"PRAGMA synchronous", 2}, {"PRAGMA foreign_keys", 1}};
    for (size_t i = 0; i < 2; i++) {
        KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
        assert_int_equal(
            kf_database_query(fixture->database, settings[i].sql, KF_NO_VALUES, &rows, &fixture->error),
            KF_OK);
        assert_int_equal(kf_rows_need(rows, "setting", &fixture->error), KF_OK);
        assert_int_equal(kf_rows_integer(rows, 0), settings[i].value);
    }
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(
        kf_database_query(fixture->database, "PRAGMA journal_mode", KF_NO_VALUES, &rows, &fixture->error),
        KF_OK);
    assert_int_equal(kf_rows_need(rows, "setting", &fixture->error), KF_OK);
    assert_string_equal(kf_rows_text(rows, 0), "wal");
}

static void the_file_is_its_owners_alone(void **state)
{
    store_fixture *fixture = *state;
    struct stat status;
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void urls_of_other_kinds_and_files_that_are_none_are_refused(void **state)
{
    store_fixture *fixture = *state;
    kf_database *none = NULL;
    assert_int_equal(kf_database_open("oracle:x", &none, &fixture->error), KF_ERR_CONFIGURATION);
    assert_non_null(strstr(fixture->error.message, "oracle:x"));
    assert_int_equal(kf_database_open("sqlite:", &none, &fixture->error), KF_ERR_CONFIGURATION);
    assert_int_equal(kf_database_open("sqlite:/nowhere/at/all.db", &none, &fixture->error), KF_ERR_STORE);
    char url[128];
    (void)snprintf(url, sizeof url, "sqlite:%s/text.db", fixture->folder);
    FILE *text = fopen(url + strlen("sqlite:"), "w");
    assert_non_null(text);
    for (int i = 0; i < 200; i++)
        assert_true(fputs("this is no database\n", text) >= 0);
    assert_int_equal(fclose(text), 0);
    assert_int_equal(kf_database_open(url, &none, &fixture->error), KF_ERR_STORE);
    assert_null(none);
    assert_int_equal(unlink(url + strlen("sqlite:")), 0);
}

static void the_same_query_may_be_read_twice_at_once(void **state)
{
    store_fixture *fixture = *state;
    assert_int_equal(insert(fixture->database, "a", 1, &fixture->error), KF_OK);
    assert_int_equal(insert(fixture->database, "b", 2, &fixture->error), KF_OK);
    KF_CLEANUP(kf_rows_free) kf_rows *outer = NULL;
    KF_CLEANUP(kf_rows_free) kf_rows *inner = NULL;
    const char *sql = "SELECT name FROM card ORDER BY name";
    assert_int_equal(kf_database_query(fixture->database, sql, KF_NO_VALUES, &outer, &fixture->error), KF_OK);
    assert_int_equal(kf_rows_need(outer, "a", &fixture->error), KF_OK);
    assert_int_equal(kf_database_query(fixture->database, sql, KF_NO_VALUES, &inner, &fixture->error), KF_OK);
    assert_int_equal(kf_rows_need(inner, "a", &fixture->error), KF_OK);
    assert_int_equal(kf_rows_need(outer, "b", &fixture->error), KF_OK);
    assert_string_equal(kf_rows_text(outer, 0), "b");
    assert_string_equal(kf_rows_text(inner, 0), "a");
}

static void more_statements_than_the_cache_holds_work(void **state)
{
    store_fixture *fixture = *state;
    for (int round = 0; round < 2; round++)
        for (int64_t i = 0; i < KF_DATABASE_STATEMENTS_CACHED + 20; i++) {
            char sql[64];
            (void)snprintf(sql, sizeof sql, "SELECT %lld + $1", (long long)i);
            KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
            assert_int_equal(kf_database_query(fixture->database, sql, KF_VALUES(kf_value_integer(1000)),
                                               &rows, &fixture->error),
                             KF_OK);
            assert_int_equal(kf_rows_need(rows, "sum", &fixture->error), KF_OK);
            assert_int_equal(kf_rows_integer(rows, 0), i + 1000);
        }
}

static kf_code add_one(kf_database *database, void *context, kf_error *error)
{
    (void)context;
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT number FROM card WHERE name = 'counter'", KF_NO_VALUES, &rows,
                             error));
    KF_TRY(kf_rows_need(rows, "counter", error));
    int64_t number = kf_rows_integer(rows, 0);
    return kf_database_execute(database, "UPDATE card SET number = $1 WHERE name = 'counter'",
                               KF_VALUES(kf_value_integer(number + 1)), NULL, error);
}

enum { ROUNDS = 50, THREADS = 4 };

static void *count_up(void *context)
{
    kf_database *database = context;
    kf_error error = {KF_OK, ""};
    for (int i = 0; i < ROUNDS; i++)
        if (kf_database_write(database, add_one, NULL, &error) != KF_OK) return context;
    return NULL;
}

static void writers_of_many_threads_do_not_mix(void **state)
{
    store_fixture *fixture = *state;
    assert_int_equal(insert(fixture->database, "counter", 0, &fixture->error), KF_OK);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, fixture->database), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(
        kf_database_query(fixture->database, "SELECT number FROM card", KF_NO_VALUES, &rows, &fixture->error),
        KF_OK);
    assert_int_equal(kf_rows_need(rows, "counter", &fixture->error), KF_OK);
    assert_int_equal(kf_rows_integer(rows, 0), ROUNDS * THREADS);
}

static void a_database_held_by_another_connection_is_busy(void **state)
{
    store_fixture *fixture = *state;
    kf_database *other = NULL;
    assert_int_equal(kf_database_open(fixture->url, &other, &fixture->error), KF_OK);
    assert_int_equal(kf_database_execute_script(other, "PRAGMA busy_timeout = 1", &fixture->error), KF_OK);
    kf_transaction mine = KF_NO_TRANSACTION;
    kf_transaction theirs = KF_NO_TRANSACTION;
    assert_int_equal(kf_transaction_begin(fixture->database, &mine, &fixture->error), KF_OK);
    assert_int_equal(kf_transaction_begin(other, &theirs, &fixture->error), KF_ERR_STORE_BUSY);
    kf_transaction_end(&mine);
    assert_int_equal(kf_transaction_begin(other, &theirs, &fixture->error), KF_OK);
    kf_transaction_end(&theirs);
    kf_database_free(&other);
}

static void rows_that_are_needed_and_missing_are_not_found(void **state)
{
    store_fixture *fixture = *state;
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(
        kf_database_query(fixture->database, "SELECT name FROM card", KF_NO_VALUES, &rows, &fixture->error),
        KF_OK);
    assert_int_equal(kf_rows_need(rows, "card x", &fixture->error), KF_ERR_NOT_FOUND);
    assert_non_null(strstr(fixture->error.message, "card x"));
}

static const kf_migration two_steps[] = {
    {1, "CREATE TABLE plan (name TEXT PRIMARY KEY); INSERT INTO plan (name) VALUES ('basic')"},
    {2, "ALTER TABLE plan ADD COLUMN price BIGINT"},
};

static void migrations_are_applied_once_and_in_order(void **state)
{
    store_fixture *fixture = *state;
    const kf_migrations first = {"plans", two_steps, 1};
    const kf_migrations both = {"plans", two_steps, 2};
    assert_int_equal(kf_database_migrate(fixture->database, &first, &fixture->error), KF_OK);
    assert_int_equal(kf_database_migrate(fixture->database, &first, &fixture->error), KF_OK);
    assert_int_equal(kf_database_migrate(fixture->database, &both, &fixture->error), KF_OK);
    assert_int_equal(kf_database_execute(fixture->database, "UPDATE plan SET price = 7", KF_NO_VALUES, NULL,
                                         &fixture->error),
                     KF_OK);
    assert_int_equal(kf_database_migrate(fixture->database, &first, &fixture->error), KF_ERR_STORE_VERSION);
    assert_non_null(strstr(fixture->error.message, "plans have version 2, this program knows 1"));
}

static void a_failed_migration_leaves_nothing(void **state)
{
    store_fixture *fixture = *state;
    static const kf_migration broken[] = {
        {1, "CREATE TABLE half (name TEXT); CREATE TABLE card (name TEXT)"}};
    const kf_migrations migrations = {"broken", broken, 1};
    assert_int_equal(kf_database_migrate(fixture->database, &migrations, &fixture->error), KF_ERR_STORE);
    assert_int_equal(
        kf_database_execute_script(fixture->database, "CREATE TABLE half (name TEXT)", &fixture->error),
        KF_OK);
}

static void migrations_out_of_order_are_refused(void **state)
{
    store_fixture *fixture = *state;
    static const kf_migration gap[] = {{1, "SELECT 1"}, {3, "SELECT 1"}};
    const kf_migrations migrations = {"gap", gap, 2};
    assert_int_equal(kf_database_migrate(fixture->database, &migrations, &fixture->error), KF_ERR_ARGUMENT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_type_come_back_as_they_went),
        TEST(an_empty_blob_is_not_null),
        TEST(a_column_of_another_type_is_remembered),
        TEST(a_second_row_of_the_same_name_conflicts),
        TEST(wrong_sql_is_a_store_error_that_shows_it),
        TEST(parameters_without_a_value_and_second_statements_are_refused),
        TEST(changed_rows_are_counted_and_only_those),
        TEST(a_transaction_left_without_commit_is_rolled_back),
        TEST(a_transaction_in_a_transaction_is_refused),
        TEST(write_commits_all_or_nothing),
        TEST(what_was_committed_is_there_for_the_next_to_open),
        TEST(a_killed_process_leaves_what_it_committed_and_nothing_else),
        TEST(settings_make_commits_durable),
        TEST(the_file_is_its_owners_alone),
        TEST(urls_of_other_kinds_and_files_that_are_none_are_refused),
        TEST(the_same_query_may_be_read_twice_at_once),
        TEST(more_statements_than_the_cache_holds_work),
        TEST(writers_of_many_threads_do_not_mix),
        TEST(a_database_held_by_another_connection_is_busy),
        TEST(rows_that_are_needed_and_missing_are_not_found),
        TEST(migrations_are_applied_once_and_in_order),
        TEST(a_failed_migration_leaves_nothing),
        TEST(migrations_out_of_order_are_refused),
    };
    return cmocka_run_group_tests_name("store/database", tests, NULL, NULL);
}
