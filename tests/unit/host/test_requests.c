#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/issuing_server.h"
#include "host/numbers.h"
#include "host/orders.h"
#include "host/requests.h"
#include "host_fixture.h"
#include "wire/json.h"

#define ID "6f1c0000000000000000000000000001"
#define OTHER_ID "6f1c0000000000000000000000000002"
#define ICCID "8986001234567890123F"
#define CARD "\"card\":{\"atr\":\"3B800181\",\"iccid\":\"" ICCID "\"}"
#define ALLOCATE "{\"id\":\"" ID "\",\"operation\":\"fill\"," CARD ",\"number_source\":\"allocate\"}"
#define ALLOCATE_AGAIN                                                                                       \
    "{\"id\":\"" OTHER_ID "\",\"operation\":\"fill\"," CARD ",\"number_source\":\"allocate\"}"
#define CONTINUE                                                                                             \
    "{\"id\":\"" ID "\",\"state\":\"continue\",\"step\":1,\"attempt\":1,\"token\":\"AAAA\",\"script\":[]}"
#define DONE                                                                                                 \
    "{\"id\":\"" ID                                                                                          \
    "\",\"state\":\"done\",\"result\":{\"operation\":\"fill\",\"card\":\"kdd:01\",\"iccid\":\"" ICCID        \
    "\",\"number\":\"8613800000001\",\"text\":\"filled\"}}"
#define MESSAGE                                                                                              \
    "{\"step\":1,\"attempt\":1,\"token\":\"AAAA\",\"answers\":[{\"entry\":0,\"response\":\"9000\"}]}"

#define BEGIN "/v1/requests"
#define MESSAGES "/messages"
#define LOOKUP "/v1/cards/lookup"

static kf_code begin_from(host_fixture *fixture, const char *terminal, const char *body, json_t **ret_answer)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_of(body);
    const kf_request_call call = {.terminal = terminal, .json = json, .body = kf_view_of_text(body)};
    return kf_requests_begin(&fixture->host, &call, ret_answer, &fixture->error);
}

static kf_code begin(host_fixture *fixture, const char *body)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    return begin_from(fixture, "t1", body, &answer);
}

static kf_code message_from(host_fixture *fixture, const char *terminal, const char *body)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_of(body);
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    const kf_request_call call = {
        .terminal = terminal, .id = ID, .json = json, .body = kf_view_of_text(body)};
    return kf_requests_message(&fixture->host, &call, &answer, &fixture->error);
}

static kf_code message(host_fixture *fixture)
{
    return message_from(fixture, "t1", MESSAGE);
}

static void add_numbers(host_fixture *fixture)
{
    assert_int_equal(kf_numbers_add(fixture->database, "8613800000001", "", &fixture->error), KF_OK);
    assert_int_equal(kf_numbers_add(fixture->database, "8613800000002", "", &fixture->error), KF_OK);
}

static void put_order(host_fixture *fixture, const char *name, const char *body)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_of(body);
    assert_int_equal(kf_orders_put(&fixture->host, name, json, "administrator:anna", &fixture->error), KF_OK);
}

static const char *first_number_state(host_fixture *fixture)
{
    return read_text(fixture, "SELECT state FROM number WHERE number = '8613800000001'");
}

static const char *sent_text(const host_fixture *fixture, const char *member)
{
    const char *text = json_string_value(json_object_get(fake_last_body(&fixture->kmu, BEGIN), member));
    return text != NULL ? text : "";
}

static bool sent_write_number(const host_fixture *fixture)
{
    return json_is_true(json_object_get(fake_last_body(&fixture->kmu, BEGIN), "write_number"));
}

/* A request with an allocated number whose first script is on its way. */
static void begin_allocated(host_fixture *fixture)
{
    add_numbers(fixture);
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, ALLOCATE), KF_OK);
}

static void a_fill_takes_a_number_goes_on_and_binds_it_when_done(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    assert_string_equal(sent_text(fixture, "number"), "8613800000001");
    assert_string_equal(sent_text(fixture, "number_source"), "allocate");
    assert_string_equal(sent_text(fixture, "terminal"), "t1");
    assert_true(sent_write_number(fixture));
    assert_string_equal(first_number_state(fixture), "reserved");
    fake_will_answer(&fixture->kmu, MESSAGES, DONE);
    assert_int_equal(message(fixture), KF_OK);
    assert_string_equal(first_number_state(fixture), "bound");
    assert_string_equal(read_text(fixture, "SELECT proven_card FROM number WHERE state = 'bound'"), "kdd:01");
    assert_string_equal(read_text(fixture, "SELECT state FROM request"), "done");
    assert_int_equal(audit_rows(fixture), 1);
    assert_string_equal(read_text(fixture, "SELECT actor FROM audit"), "terminal:t1");
    assert_string_equal(read_text(fixture, "SELECT action FROM audit"), "request.fill");
}

static void the_reservation_is_durable_before_the_request_goes_on(void **state)
{
    host_fixture *fixture = *state;
    add_numbers(fixture);
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_UNREACHABLE);
    assert_int_equal(fake_calls(&fixture->kmu, BEGIN), KF_LINK_TRIES);
    assert_string_equal(first_number_state(fixture), "reserved");
    assert_string_equal(read_text(fixture, "SELECT state FROM request"), "open");
}

static void the_same_request_again_is_the_same_even_if_the_order_has_changed(void **state)
{
    host_fixture *fixture = *state;
    add_numbers(fixture);
    put_order(fixture, "o1", "{\"personalisation\":{\"plan\":\"5G-59\"}}");
    const char *body =
        "{\"id\":\"" ID "\",\"operation\":\"fill\"," CARD ",\"number_source\":\"allocate\",\"order\":\"o1\"}";
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, body), KF_OK);
    put_order(fixture, "o1", "{\"personalisation\":{\"plan\":\"other\"}}");
    assert_int_equal(begin(fixture, body), KF_OK);
    assert_int_equal(fixture->kmu.call_count, 2);
    assert_true(json_equal(fixture->kmu.bodies[0], fixture->kmu.bodies[1]));
    const json_t *fields = json_object_get(fixture->kmu.bodies[1], "personalisation");
    assert_string_equal(json_string_value(json_object_get(fields, "plan")), "5G-59");
}

static void the_same_id_with_another_body_conflicts(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    assert_int_equal(begin(fixture, "{\"id\":\"" ID "\",\"operation\":\"clear\"," CARD "}"), KF_ERR_CONFLICT);
    assert_non_null(strstr(fixture->error.message, ID));
    assert_int_equal(fake_calls(&fixture->kmu, BEGIN), 1);
}

static void the_same_id_of_another_terminal_is_another_request(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    assert_int_equal(message_from(fixture, "t2", MESSAGE), KF_ERR_NOT_FOUND);
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    fake_will_fail(&fixture->kmu, BEGIN, KF_ERR_CONFLICT, "used by another");
    assert_int_equal(
        begin_from(fixture, "t2", "{\"id\":\"" ID "\",\"operation\":\"clear\"," CARD "}", &answer),
        KF_ERR_CONFLICT);
    assert_string_equal(read_text(fixture, "SELECT state FROM request WHERE key LIKE 't1/%'"), "open");
    assert_string_equal(read_text(fixture, "SELECT state FROM request WHERE key LIKE 't2/%'"), "failed");
}

static void a_refusal_returns_the_number_and_is_said_again(void **state)
{
    host_fixture *fixture = *state;
    add_numbers(fixture);
    fake_will_fail(&fixture->kmu, BEGIN, KF_ERR_STATE, "card kdd:01: it is filled");
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_STATE);
    assert_string_equal(first_number_state(fixture), "free");
    fixture->error.message[0] = '\0';
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_STATE);
    assert_string_equal(fixture->error.message, "card kdd:01: it is filled");
    assert_int_equal(fake_calls(&fixture->kmu, BEGIN), 1);
    assert_string_equal(read_text(fixture, "SELECT outcome FROM audit"), "KF_ERR_STATE");
}

static void a_pool_number_that_another_card_has_leaves_the_pool(void **state)
{
    host_fixture *fixture = *state;
    add_numbers(fixture);
    fake_will_fail(&fixture->kmu, BEGIN, KF_ERR_NUMBER_TAKEN, "number 8613800000001 is another card's");
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_NUMBER_TAKEN);
    assert_string_equal(first_number_state(fixture), "released");
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, ALLOCATE_AGAIN), KF_OK);
    assert_string_equal(sent_text(fixture, "number"), "8613800000002");
}

static void a_fill_broken_off_before_the_number_was_noted_returns_it(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    fake_will_fail(&fixture->kmu, MESSAGES, KF_ERR_CRYPTOGRAM, "the card cryptogram does not verify");
    fake_will_answer(&fixture->kmu, LOOKUP, "{\"known\":false}");
    assert_int_equal(message(fixture), KF_ERR_CRYPTOGRAM);
    assert_string_equal(first_number_state(fixture), "free");
    assert_string_equal(read_text(fixture, "SELECT state FROM request"), "failed");
    const json_t *card = json_object_get(fake_last_body(&fixture->kmu, LOOKUP), "card");
    assert_string_equal(json_string_value(json_object_get(card, "iccid")), ICCID);
}

static void a_fill_broken_off_after_the_number_was_noted_keeps_it_for_the_card(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    fake_will_fail(&fixture->kmu, MESSAGES, KF_ERR_CARD_REMOVED, "the card was removed");
    fake_will_answer(
        &fixture->kmu, LOOKUP,
        "{\"known\":true,\"card\":\"kdd:01\",\"state\":\"unknown\",\"number\":\"8613800000001\"}");
    assert_int_equal(message(fixture), KF_ERR_CARD_REMOVED);
    assert_string_equal(first_number_state(fixture), "kept");
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, ALLOCATE_AGAIN), KF_OK);
    assert_string_equal(sent_text(fixture, "number"), "8613800000001");
}

static void a_failure_that_cannot_be_settled_now_is_settled_later(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    fake_will_fail(&fixture->kmu, MESSAGES, KF_ERR_CRYPTOGRAM, "no");
    assert_int_equal(message(fixture), KF_ERR_CRYPTOGRAM);
    assert_string_equal(first_number_state(fixture), "reserved");
    assert_string_equal(read_text(fixture, "SELECT state FROM request"), "failing");
    assert_int_equal(kf_requests_settle(&fixture->host, &fixture->error), KF_ERR_UNREACHABLE);
    fake_will_answer(&fixture->kmu, LOOKUP, "{\"known\":false}");
    assert_int_equal(kf_requests_settle(&fixture->host, &fixture->error), KF_OK);
    assert_string_equal(first_number_state(fixture), "free");
    assert_string_equal(read_text(fixture, "SELECT state FROM request"), "failed");
}

static void passing_failures_and_single_wrong_messages_do_not_end_a_request(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    static const kf_code codes[] = {KF_ERR_TOKEN, KF_ERR_FIELD, KF_ERR_IN_PROGRESS, KF_ERR_TIMEOUT,
                                    KF_ERR_PEER,  KF_ERR_STORE, KF_ERR_TLS};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        fake_will_fail(&fixture->kmu, MESSAGES, codes[i], "not now");
        assert_int_equal(message(fixture), codes[i]);
        assert_string_equal(read_text(fixture, "SELECT state FROM request"), "open");
        assert_string_equal(first_number_state(fixture), "reserved");
    }
    fake_will_fail(&fixture->kmu, MESSAGES, KF_ERR_UNREACHABLE, "restarting");
    fake_will_fail(&fixture->kmu, MESSAGES, KF_ERR_BUSY, "restarting");
    fake_will_answer(&fixture->kmu, MESSAGES, DONE);
    assert_int_equal(message(fixture), KF_OK);
    assert_string_equal(first_number_state(fixture), "bound");
}

static void done_said_twice_is_noted_once(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    fake_will_answer(&fixture->kmu, MESSAGES, DONE);
    fake_will_answer(&fixture->kmu, MESSAGES, DONE);
    assert_int_equal(message(fixture), KF_OK);
    assert_int_equal(message(fixture), KF_OK);
    assert_int_equal(audit_rows(fixture), 1);
}

static void answers_that_are_not_understood_change_nothing(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    static const char *const wrong[] = {
        "{}",
        "{\"state\":7}",
        "{\"state\":\"done\"}",
        "{\"state\":\"done\",\"result\":{\"number\":\"8613800000001\"}}",
        "{\"state\":\"done\",\"result\":{\"card\":\"kdd:01\",\"number\":17}}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fake_will_answer(&fixture->kmu, MESSAGES, wrong[i]);
        assert_int_equal(message(fixture), KF_ERR_PEER);
        assert_string_equal(first_number_state(fixture), "reserved");
    }
}

static void a_clear_releases_the_number_of_the_card(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    fake_will_answer(&fixture->kmu, MESSAGES, DONE);
    assert_int_equal(message(fixture), KF_OK);
    fake_will_answer(&fixture->kmu, BEGIN,
                     "{\"state\":\"done\",\"result\":{\"operation\":\"clear\",\"card\":\"kdd:01\"}}");
    assert_int_equal(begin(fixture, "{\"id\":\"" OTHER_ID "\",\"operation\":\"clear\"," CARD "}"), KF_OK);
    assert_string_equal(first_number_state(fixture), "released");
    assert_string_equal(sent_text(fixture, "number"), "");
}

static void an_expired_request_is_settled_and_refused_from_then_on(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    fixture->now_ms += fixture->host.settings.reservation_ms - 1;
    assert_int_equal(kf_requests_settle(&fixture->host, &fixture->error), KF_OK);
    assert_string_equal(first_number_state(fixture), "reserved");
    fixture->now_ms += 1;
    fake_will_answer(&fixture->kmu, LOOKUP, "{\"known\":false}");
    assert_int_equal(kf_requests_settle(&fixture->host, &fixture->error), KF_OK);
    assert_string_equal(first_number_state(fixture), "free");
    assert_int_equal(message(fixture), KF_ERR_STATE);
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_STATE);
    assert_int_equal(fake_calls(&fixture->kmu, MESSAGES), 0);
}

static void an_expired_request_whose_card_was_filled_binds_the_number(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    fixture->now_ms += fixture->host.settings.reservation_ms;
    fake_will_answer(
        &fixture->kmu, LOOKUP,
        "{\"known\":true,\"card\":\"kdd:01\",\"state\":\"filled\",\"number\":\"8613800000001\"}");
    assert_int_equal(kf_requests_settle(&fixture->host, &fixture->error), KF_OK);
    assert_string_equal(first_number_state(fixture), "bound");
    assert_string_equal(read_text(fixture, "SELECT state FROM request"), "done");
}

static void a_request_that_speaks_does_not_expire(void **state)
{
    host_fixture *fixture = *state;
    begin_allocated(fixture);
    fixture->now_ms += fixture->host.settings.reservation_ms - 1;
    fake_will_answer(&fixture->kmu, MESSAGES, CONTINUE);
    assert_int_equal(message(fixture), KF_OK);
    fixture->now_ms += fixture->host.settings.reservation_ms - 1;
    assert_int_equal(kf_requests_settle(&fixture->host, &fixture->error), KF_OK);
    assert_string_equal(read_text(fixture, "SELECT state FROM request"), "open");
}

static void scripts_are_kept_nowhere(void **state)
{
    host_fixture *fixture = *state;
    add_numbers(fixture);
    fake_will_answer(&fixture->kmu, BEGIN,
                     "{\"state\":\"continue\",\"step\":1,\"attempt\":1,\"token\":\"T0KENT0KEN\",\"script\":"
                     "[{\"command\":\"84D8DEADBEEF\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\"}]}]}");
    assert_int_equal(begin(fixture, ALLOCATE), KF_OK);
    assert_int_equal(
        kf_database_execute_script(fixture->database, "PRAGMA wal_checkpoint(TRUNCATE)", &fixture->error),
        KF_OK);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/host.db", fixture->folder);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static char content[1 << 20];
    size_t size = fread(content, 1, sizeof content, file);
    (void)fclose(file);
    assert_null(memmem(content, size, "DEADBEEF", 8));
    assert_null(memmem(content, size, "T0KENT0KEN", 10));
    assert_non_null(memmem(content, size, ICCID, strlen(ICCID))); /* the search finds what is there */
}

static void card_and_typed_numbers_go_on_unwritten(void **state)
{
    host_fixture *fixture = *state;
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, "{\"id\":\"" ID
                                    "\",\"operation\":\"fill\",\"card\":{\"number\":\"8613900000001\"},"
                                    "\"number_source\":\"card\"}"),
                     KF_OK);
    assert_string_equal(sent_text(fixture, "number"), "8613900000001");
    assert_false(sent_write_number(fixture));
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, "{\"id\":\"" OTHER_ID "\",\"operation\":\"fill\"," CARD
                                    ",\"number_source\":\"typed\",\"number\":\"8613900000002\"}"),
                     KF_OK);
    assert_string_equal(sent_text(fixture, "number"), "8613900000002");
    assert_string_equal(sent_text(fixture, "number_source"), "typed");
    assert_false(sent_write_number(fixture));
}

static void an_order_gives_category_number_and_personalisation(void **state)
{
    host_fixture *fixture = *state;
    put_order(fixture, "o1",
              "{\"category\":\"north\",\"number\":\"8613700000001\",\"personalisation\":{\"plan\":\"5G-59\"},"
              "\"personalise\":\"always\"}");
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, "{\"id\":\"" ID "\",\"operation\":\"fill\"," CARD
                                    ",\"number_source\":\"allocate\",\"order\":\"o1\","
                                    "\"personalisation\":{\"application_data\":\"x\"}}"),
                     KF_OK);
    assert_string_equal(sent_text(fixture, "category"), "north");
    assert_string_equal(sent_text(fixture, "number"), "8613700000001");
    assert_string_equal(sent_text(fixture, "personalise"), "always");
    assert_string_equal(sent_text(fixture, "order"), "o1");
    assert_true(sent_write_number(fixture));
    const json_t *fields = json_object_get(fake_last_body(&fixture->kmu, BEGIN), "personalisation");
    assert_string_equal(json_string_value(json_object_get(fields, "plan")), "5G-59");
    assert_string_equal(json_string_value(json_object_get(fields, "application_data")), "x");
}

static void a_request_that_contradicts_its_order_is_refused(void **state)
{
    host_fixture *fixture = *state;
    put_order(fixture, "o1",
              "{\"category\":\"north\",\"number\":\"8613700000001\",\"personalisation\":{\"plan\":\"5G-59\"},"
              "\"personalise\":\"always\"}");
    static const char *const wrong[] = {
        "\"category\":\"south\"", "\"number_source\":\"typed\",\"number\":\"123456\"",
        "\"personalisation\":{\"plan\":\"other\"}", "\"personalise\":\"never\""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       "{\"id\":\"%031zu%s\",\"operation\":\"fill\"," CARD ",\"order\":\"o1\",%s}", i, "0",
                       wrong[i]);
        assert_int_equal(begin(fixture, body), KF_ERR_CONFLICT);
        assert_non_null(strstr(fixture->error.message, "o1"));
    }
    assert_int_equal(begin(fixture, "{\"id\":\"" ID "\",\"operation\":\"fill\"," CARD ",\"order\":\"none\"}"),
                     KF_ERR_NOT_FOUND);
    assert_int_equal(fixture->kmu.call_count, 0);
}

static void no_number_is_said_and_the_same_request_works_when_there_is_one(void **state)
{
    host_fixture *fixture = *state;
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_NO_NUMBER);
    assert_int_equal(fixture->kmu.call_count, 0);
    add_numbers(fixture);
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, ALLOCATE), KF_OK);
}

static void a_message_before_the_request_has_begun_is_refused(void **state)
{
    host_fixture *fixture = *state;
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_NO_NUMBER);
    assert_int_equal(message(fixture), KF_ERR_STATE);
    assert_int_equal(fixture->kmu.call_count, 0);
}

static void the_issuing_server_is_asked_told_and_told_again(void **state)
{
    host_fixture *fixture = *state;
    int64_t next_ms = 0;
    host_has_issuing_server(fixture);
    fake_will_answer(&fixture->issuing, "/reserve", "{\"number\":\"8613800000001\"}");
    fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    assert_int_equal(begin(fixture, ALLOCATE), KF_OK);
    const json_t *reserve = fake_last_body(&fixture->issuing, "/reserve");
    assert_string_equal(json_string_value(json_object_get(reserve, "request")), "t1/" ID);
    assert_string_equal(json_string_value(json_object_get(reserve, "iccid")), ICCID);
    fake_will_answer(&fixture->kmu, MESSAGES, DONE);
    assert_int_equal(message(fixture), KF_OK);
    assert_int_equal(fake_calls(&fixture->issuing, "/bind"), 0);

    /* It is down: KF_ERR_UNREACHABLE. */
    assert_int_equal(kf_issuing_server_deliver(&fixture->host, &next_ms, &fixture->error), KF_OK);
    assert_int_equal(next_ms, fixture->now_ms + KF_ISSUING_FIRST_WAIT_MS);
    size_t tries = fake_calls(&fixture->issuing, "/bind");
    assert_int_equal(kf_issuing_server_deliver(&fixture->host, &next_ms, &fixture->error), KF_OK);
    assert_int_equal(fake_calls(&fixture->issuing, "/bind"), tries); /* not before its time */
    fixture->now_ms = next_ms;
    fake_will_answer(&fixture->issuing, "/bind", "{}");
    assert_int_equal(kf_issuing_server_deliver(&fixture->host, &next_ms, &fixture->error), KF_OK);
    assert_int_equal(next_ms, INT64_MAX);
    const json_t *bind = fake_last_body(&fixture->issuing, "/bind");
    assert_string_equal(json_string_value(json_object_get(bind, "number")), "8613800000001");
    assert_string_equal(json_string_value(json_object_get(bind, "iccid")), ICCID);
    assert_string_equal(read_text(fixture, "SELECT state FROM issuing_call"), "taken");
}

static void a_failed_fill_releases_the_issuing_servers_number(void **state)
{
    host_fixture *fixture = *state;
    int64_t next_ms = 0;
    host_has_issuing_server(fixture);
    fake_will_answer(&fixture->issuing, "/reserve", "{\"number\":\"8613800000001\"}");
    fake_will_fail(&fixture->kmu, BEGIN, KF_ERR_CATEGORY, "no category fits");
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_CATEGORY);
    fake_will_fail(&fixture->issuing, "/release", KF_ERR_CONFLICT, "no such reservation");
    assert_int_equal(kf_issuing_server_deliver(&fixture->host, &next_ms, &fixture->error), KF_OK);
    assert_int_equal(next_ms, INT64_MAX);
    assert_string_equal(read_text(fixture, "SELECT state FROM issuing_call"), "refused");
    assert_string_equal(read_text(fixture, "SELECT action FROM audit WHERE seq = 2"),
                        "issuing-server.release");
}

static void a_reservation_whose_answer_was_lost_is_released_when_the_request_expires(void **state)
{
    host_fixture *fixture = *state;
    int64_t next_ms = 0;
    host_has_issuing_server(fixture);
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_UNREACHABLE);
    fixture->now_ms += fixture->host.settings.reservation_ms;
    assert_int_equal(kf_requests_settle(&fixture->host, &fixture->error), KF_OK);
    fake_will_answer(&fixture->issuing, "/release", "{}");
    assert_int_equal(kf_issuing_server_deliver(&fixture->host, &next_ms, &fixture->error), KF_OK);
    const json_t *release = fake_last_body(&fixture->issuing, "/release");
    assert_string_equal(json_string_value(json_object_get(release, "request")), "t1/" ID);
    assert_null(json_object_get(release, "number"));
}

static void an_issuing_server_without_numbers_or_sense_is_told_apart(void **state)
{
    host_fixture *fixture = *state;
    host_has_issuing_server(fixture);
    fake_will_fail(&fixture->issuing, "/reserve", KF_ERR_NOT_FOUND, "sold out");
    assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_NO_NUMBER);
    assert_non_null(strstr(fixture->error.message, "sold out"));
    static const char *const wrong[] = {"{}", "{\"number\":\"12\"}", "{\"number\":\"86 138\"}",
                                        "{\"number\":7}", "{\"number\":\"861380000000000000001\"}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fake_will_answer(&fixture->issuing, "/reserve", wrong[i]);
        assert_int_equal(begin(fixture, ALLOCATE), KF_ERR_PEER);
    }
    assert_int_equal(fixture->kmu.call_count, 0);
}

typedef struct sender {
    host_fixture *fixture;
    kf_code code;
} sender;

static void *send_the_same(void *context)
{
    sender *sending = context;
    kf_error error = {KF_OK, ""};
    json_t *json = json_loads(ALLOCATE, 0, NULL);
    json_t *answer = NULL;
    const kf_request_call call = {.terminal = "t1", .json = json, .body = kf_view_of_text(ALLOCATE)};
    sending->code = kf_requests_begin(&sending->fixture->host, &call, &answer, &error);
    json_decref(json);
    json_decref(answer);
    return NULL;
}

static void the_same_request_sent_at_once_takes_one_number(void **state)
{
    enum { SENDERS = 4 };
    host_fixture *fixture = *state;
    add_numbers(fixture);
    pthread_t threads[SENDERS];
    sender senders[SENDERS];
    for (size_t i = 0; i < SENDERS; i++)
        fake_will_answer(&fixture->kmu, BEGIN, CONTINUE);
    for (size_t i = 0; i < SENDERS; i++) {
        senders[i] = (sender){fixture, KF_ERR_INTERNAL};
        assert_int_equal(pthread_create(&threads[i], NULL, send_the_same, &senders[i]), 0);
    }
    for (size_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(senders[i].code, KF_OK);
    }
    assert_int_equal(read_integer(fixture, "SELECT count(*) FROM number WHERE state = 'reserved'"), 1);
    assert_int_equal(read_integer(fixture, "SELECT count(*) FROM request"), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, host_set_up, host_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fill_takes_a_number_goes_on_and_binds_it_when_done),
        TEST(the_reservation_is_durable_before_the_request_goes_on),
        TEST(the_same_request_again_is_the_same_even_if_the_order_has_changed),
        TEST(the_same_id_with_another_body_conflicts),
        TEST(the_same_id_of_another_terminal_is_another_request),
        TEST(a_refusal_returns_the_number_and_is_said_again),
        TEST(a_pool_number_that_another_card_has_leaves_the_pool),
        TEST(a_fill_broken_off_before_the_number_was_noted_returns_it),
        TEST(a_fill_broken_off_after_the_number_was_noted_keeps_it_for_the_card),
        TEST(a_failure_that_cannot_be_settled_now_is_settled_later),
        TEST(passing_failures_and_single_wrong_messages_do_not_end_a_request),
        TEST(done_said_twice_is_noted_once),
        TEST(answers_that_are_not_understood_change_nothing),
        TEST(a_clear_releases_the_number_of_the_card),
        TEST(an_expired_request_is_settled_and_refused_from_then_on),
        TEST(an_expired_request_whose_card_was_filled_binds_the_number),
        TEST(a_request_that_speaks_does_not_expire),
        TEST(scripts_are_kept_nowhere),
        TEST(card_and_typed_numbers_go_on_unwritten),
        TEST(an_order_gives_category_number_and_personalisation),
        TEST(a_request_that_contradicts_its_order_is_refused),
        TEST(no_number_is_said_and_the_same_request_works_when_there_is_one),
        TEST(a_message_before_the_request_has_begun_is_refused),
        TEST(the_issuing_server_is_asked_told_and_told_again),
        TEST(a_failed_fill_releases_the_issuing_servers_number),
        TEST(a_reservation_whose_answer_was_lost_is_released_when_the_request_expires),
        TEST(an_issuing_server_without_numbers_or_sense_is_told_apart),
        TEST(the_same_request_sent_at_once_takes_one_number),
    };
    return cmocka_run_group_tests_name("host/requests", tests, NULL, NULL);
}
