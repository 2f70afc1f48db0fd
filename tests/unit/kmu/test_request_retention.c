/* How long finished requests stay. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmu/request_retention.h"
#include "kmu_fixture.h"

#define DAY_MS ((uint64_t)24 * 3600 * 1000)

/* A request with two answers. */
static void add(world *made, unsigned number, const char *state, int64_t updated)
{
    char sql[512];
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO requests (caller, id, body_digest, body, operation, terminal, profile, module, "
        "iccid, card, state, step, attempt, first_answer, code, message, created, updated) VALUES "
        "('host:h', '%032u', x'00', x'00', 'fill', 't', '', '', '', '', '%s', 1, 1, '{}', '', '', "
        "0, %lld)",
        number, state, (long long)updated);
    execute(made, sql);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(
            sql, sizeof sql,
            "INSERT INTO request_answers (caller, id, message_digest, answer) VALUES ('host:h', '%032u', "
            "x'0%d', '{}')",
            number, i);
        execute(made, sql);
    }
}

static void what_ended_long_ago_goes_with_its_answers_and_what_is_open_stays(void **state)
{
    world *made = *state;
    uint64_t count = 0;
    kf_error error = {KF_OK, ""};
    add(made, 1, "done", 999);
    add(made, 2, "failed", 999);
    add(made, 3, "open", 1);
    add(made, 4, "done", 1000);
    assert_int_equal(kf_requests_prune(made->kmu.front.database, 1000, &count, &error), KF_OK);
    assert_int_equal(count, 2);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM requests WHERE id LIKE '%3' OR id LIKE '%4'"), 2);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM requests"), 2);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM request_answers"), 4);
    assert_int_equal(kf_requests_prune(made->kmu.front.database, 1000, &count, &error), KF_OK);
    assert_int_equal(count, 0);
}

static void more_than_fit_into_one_transaction_go_too(void **state)
{
    world *made = *state;
    uint64_t count = 0;
    for (unsigned i = 0; i < 2 * KF_REQUESTS_PRUNE_BATCH + 1; i++)
        add(made, i, i % 2 == 0 ? "done" : "failed", (int64_t)i);
    assert_int_equal(kf_requests_prune(made->kmu.front.database, 1000, &count, NULL), KF_OK);
    assert_int_equal(count, 2 * KF_REQUESTS_PRUNE_BATCH + 1);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM request_answers"), 0);
}

static void a_fill_is_known_until_its_time_is_over_and_the_card_stays_filled(void **state)
{
    world *made = *state;
    char text[64];
    fill(made, FIRST);
    char *body = fill_body(SECOND);
    reply open = begin(made, body);
    assert_reply(&open, KF_OK, "");
    world_wait(29 * DAY_MS);
    kf_requests_prune_and_log(&made->kmu, 30);
    reply shown = ask(made, kf_handle_request_show, FIRST, NULL);
    assert_reply(&shown, KF_OK, "");
    world_wait(2 * DAY_MS);
    kf_requests_prune_and_log(&made->kmu, 30);
    reply gone = ask(made, kf_handle_request_show, FIRST, NULL);
    assert_reply(&gone, KF_ERR_NOT_FOUND, FIRST);
    reply kept = ask(made, kf_handle_request_show, SECOND, NULL);
    assert_reply(&kept, KF_OK, "");
    assert_non_null(strstr(kept.text, "\"state\":\"open\""));
    text_of(made, "SELECT state FROM cards WHERE number = '" NUMBER "'", text, sizeof text);
    assert_string_equal(text, "filled");
    reply_clear(&open);
    reply_clear(&shown);
    reply_clear(&kept);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(what_ended_long_ago_goes_with_its_answers_and_what_is_open_stays),
        IN_WORLD(more_than_fit_into_one_transaction_go_too),
        IN_WORLD(a_fill_is_known_until_its_time_is_over_and_the_card_stays_filled),
    };
    return cmocka_run_group_tests_name("kmu/request_retention", tests, NULL, NULL);
}
