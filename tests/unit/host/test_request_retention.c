/* How long finished requests stay, and calls to the issuing server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "host/request_retention.h"
#include "host_fixture.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

static void add_request(host_fixture *fixture, unsigned number, const char *state, int64_t expires_ms)
{
    char sql[256];
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO request (key, digest, operation, state, card, card_reference, "
        "asked_issuing_server, expires_ms) VALUES ('t/%03u', x'00', 'fill', '%s', '{}', '', 0, %lld)",
        number, state, (long long)expires_ms);
    run_sql(fixture, sql);
}

static void add_call(host_fixture *fixture, unsigned seq, const char *state, int64_t time_ms)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO issuing_call (seq, action, request, state, tries, next_try_ms) VALUES (%u, "
                   "'confirm', 't/1', '%s', 0, %lld)",
                   seq, state, (long long)time_ms);
    run_sql(fixture, sql);
}

static void keep(host_fixture *fixture)
{
    assert_int_equal(kf_request_retention_keep(&fixture->host, &fixture->error), KF_OK);
}

static void finished_requests_go_after_their_time_and_others_stay(void **state)
{
    host_fixture *fixture = *state;
    fixture->host.settings.retention_ms = 30 * DAY_MS;
    const int64_t old = START_MS - 30 * DAY_MS - 1;
    static const char *const finished[] = {"done", "failed", "expired"};
    static const char *const unfinished[] = {"new", "open", "failing"};
    for (unsigned i = 0; i < 3; i++) {
        add_request(fixture, i, finished[i], old);
        add_request(fixture, 10 + i, finished[i], old + 1);
        add_request(fixture, 20 + i, unfinished[i], 1);
    }
    keep(fixture);
    assert_int_equal(read_integer(fixture, "SELECT COUNT(*) FROM request"), 6);
    assert_int_equal(read_integer(fixture, "SELECT COUNT(*) FROM request WHERE key < 't/010'"), 0);
    fixture->now_ms += 1;
    keep(fixture);
    assert_int_equal(read_integer(fixture, "SELECT COUNT(*) FROM request"), 3);
    assert_int_equal(read_integer(fixture, "SELECT COUNT(*) FROM request WHERE key >= 't/020'"), 3);
}

static void calls_that_were_answered_go_and_waiting_ones_stay(void **state)
{
    host_fixture *fixture = *state;
    fixture->host.settings.retention_ms = 30 * DAY_MS;
    const int64_t old = START_MS - 30 * DAY_MS - 1;
    add_call(fixture, 1, "waiting", old);
    add_call(fixture, 2, "taken", old);
    add_call(fixture, 3, "refused", old);
    add_call(fixture, 4, "taken", old + 1);
    keep(fixture);
    assert_int_equal(read_integer(fixture, "SELECT COUNT(*) FROM issuing_call"), 2);
    assert_int_equal(read_integer(fixture, "SELECT SUM(seq) FROM issuing_call"), 5);
}

static void more_than_fit_into_one_transaction_go_too(void **state)
{
    host_fixture *fixture = *state;
    run_sql(fixture, "BEGIN");
    for (unsigned i = 0; i < 2 * KF_REQUEST_PRUNE_BATCH; i++)
        add_request(fixture, i, "done", 1);
    run_sql(fixture, "COMMIT");
    keep(fixture);
    assert_int_equal(read_integer(fixture, "SELECT COUNT(*) FROM request"), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, host_set_up, host_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finished_requests_go_after_their_time_and_others_stay),
        TEST(calls_that_were_answered_go_and_waiting_ones_stay),
        TEST(more_than_fit_into_one_transaction_go_too),
    };
    return cmocka_run_group_tests_name("host/request_retention", tests, NULL, NULL);
}
