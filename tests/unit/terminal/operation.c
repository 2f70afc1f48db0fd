/* One operation against a recorded card and a host that is a table of answers. */
#include "terminal/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reader/fault.h"
#include "reader/replay.h"
#include "wire/json.h"

#define ID "00112233445566778899aabbccddeeff"
#define MESSAGES "/v1/requests/" ID "/messages"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A card without SIM files and card data, and with the ICCID only. */
#define REPORT                                                                                               \
    {"00A40804022FE200", "9000"}, {"00B000000A", "986810203040506070809000"},                                \
        {"00A40804047F206F0700", "6A82"}, {"00A4040407A000000087100200", "6A82"},                            \
        {"00A40804047F106F4000", "6A82"}, {"00A4040407A000000087100200", "6A82"}, {"00A4040000", "9000"},    \
        {"80CA9F7F00", "6A88"}, {"80CA006600", "6A88"}, {"80CA00E000", "6A88"},                              \
    {                                                                                                        \
        "80CA00CF00", "6A88"                                                                                 \
    }
#define REPORT_COUNT 11

/* What the host gets (compact JSON, NULL: not compared) and gives: an answer, or a failure. */
typedef struct host_step {
    const char *path;
    const char *body;
    const char *answer; /* NULL: `failure` */
    kf_code failure;
} host_step;

typedef struct test_host {
    const host_step *steps;
    size_t count;
    size_t next;
    unsigned pauses;
    unsigned paused; /* milliseconds */
} test_host;

static kf_code host_post(void *context, const char *path, const json_t *body, json_t **ret_answer,
                         kf_error *error)
{
    test_host *host = context;
    assert_true(host->next < host->count);
    const host_step *step = &host->steps[host->next++];
    assert_string_equal(path, step->path);
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_json_write(body, &text), KF_OK);
    if (step->body != NULL) assert_string_equal(kf_buffer_text(&text), step->body);
    if (step->answer == NULL) return kf_fail(error, step->failure, "as the table says");
    return kf_json_parse(kf_view_of_text(step->answer), ret_answer, error);
}

static void host_pause(void *context, unsigned milliseconds)
{
    test_host *host = context;
    host->pauses++;
    host->paused += milliseconds;
}

typedef struct test_run {
    const kf_replay_exchange *exchanges;
    size_t exchange_count;
    const host_step *steps;
    size_t step_count;
    const char *request;
    const kf_fault *fault; /* NULL: none */
    kf_error error;
    unsigned pauses;
    unsigned paused;
} test_run;

static kf_code run(test_run *test, json_t **ret_result)
{
    size_t played = 0;
    const kf_replay replay = {
        .atr = "3B00", .exchanges = test->exchanges, .count = test->exchange_count, .played = &played};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = NULL;
    assert_int_equal(kf_reader_open_replay(&replay, &reader), KF_OK);
    if (test->fault != NULL) assert_int_equal(kf_reader_open_fault(&reader, *test->fault, &reader), KF_OK);
    test_host host = {.steps = test->steps, .count = test->step_count};
    const kf_host_link link = {.context = &host, .post = host_post, .pause = host_pause};
    const kf_operation_means operation = {
        .reader = reader, .host = &link, .id = ID, .card_wait = 0, .command_timeout = 50};
    KF_CLEANUP(kf_json_free) json_t *request = NULL;
    const char *text = test->request != NULL ? test->request : "{\"operation\":\"refill\"}";
    assert_int_equal(kf_json_parse(kf_view_of_text(text), &request, NULL), KF_OK);
    test->error = (kf_error){KF_OK, ""};
    kf_code code = kf_operation_run(&operation, request, ret_result, &test->error);
    test->pauses = host.pauses;
    test->paused = host.paused;
    assert_int_equal(host.next, test->step_count);
    assert_int_equal(played, test->exchange_count);
    return code;
}

#define CARD "{\"atr\":\"3B00\",\"iccid\":\"89860102030405060708\"}"
#define BEGIN_BODY "{\"operation\":\"refill\",\"id\":\"" ID "\",\"card\":" CARD "}"
#define SCRIPT_1                                                                                             \
    "{\"id\":\"" ID "\",\"state\":\"continue\",\"step\":1,\"attempt\":1,\"token\":\"dG9rZW4\",\"script\":["  \
    "{\"command\":\"00A4040000\",\"label\":\"SELECT domain\",\"accept\":[{\"sw\":\"9000\"},"                 \
    "{\"sw\":\"6A82\",\"goto\":2}]},"                                                                        \
    "{\"command\":\"8050000008000102030405060700\",\"label\":\"INITIALIZE "                                  \
    "UPDATE\",\"accept\":[{\"sw\":\"9000\"}]},"                                                              \
    "{\"command\":\"80F28002024F0000\",\"label\":\"GET STATUS\",\"accept\":[{\"sw\":\"9000\"}]}]}"
#define ANSWERS_1                                                                                            \
    "{\"step\":1,\"attempt\":1,\"token\":\"dG9rZW4\",\"answers\":[{\"entry\":0,\"response\":\"9000\"},"      \
    "{\"entry\":1,\"response\":\"AABB9000\"},{\"entry\":2,\"response\":\"9000\"}]}"
#define SCRIPT_WITHOUT_LABEL                                                                                 \
    "{\"state\":\"continue\",\"step\":1,\"attempt\":1,\"token\":\"dG9rZW4\",\"script\":[{\"command\":"       \
    "\"00\"}]}"
#define ANSWERS_JUMPED                                                                                       \
    "{\"step\":1,\"attempt\":1,\"token\":\"dG9rZW4\",\"answers\":[{\"entry\":0,\"response\":\"6A82\"},"      \
    "{\"entry\":2,\"response\":\"6D00\"}]}"
#define ANSWERS_STOPPED                                                                                      \
    "{\"step\":1,\"attempt\":1,\"token\":\"dG9rZW4\",\"answers\":[{\"entry\":0,\"response\":\"9000\"},"      \
    "{\"entry\":1,\"response\":\"6A88\"}]}"
#define RUN_1                                                                                                \
    {"00A4040000", "9000"}, {"8050000008000102030405060700", "AABB9000"},                                    \
    {                                                                                                        \
        "80F28002024F0000", "9000"                                                                           \
    }
#define DONE                                                                                                 \
    "{\"id\":\"" ID                                                                                          \
    "\",\"state\":\"done\",\"result\":{\"operation\":\"refill\",\"kcv\":\"A1B2C3\",\"text\":\"refilled\"}}"

static void a_request_goes_to_the_card_and_back_until_it_is_done(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {REPORT, RUN_1};
    static const host_step steps[] = {{"/v1/requests", BEGIN_BODY, SCRIPT_1, 0},
                                      {MESSAGES, ANSWERS_1, DONE, 0}};
    test_run test = {
        .exchanges = exchanges, .exchange_count = COUNT(exchanges), .steps = steps, .step_count = 2};
    KF_CLEANUP(kf_json_free) json_t *result = NULL;
    assert_int_equal(run(&test, &result), KF_OK);
    assert_string_equal(json_string_value(json_object_get(result, "kcv")), "A1B2C3");
    assert_string_equal(json_string_value(json_object_get(result, "id")), ID);
    assert_true(json_is_integer(json_object_get(result, "milliseconds")));
    const json_t *trace = json_object_get(result, "trace");
    assert_int_equal(json_array_size(trace), 3);
    const json_t *line = json_array_get(trace, 1);
    assert_string_equal(json_string_value(json_object_get(line, "label")), "INITIALIZE UPDATE");
    assert_string_equal(json_string_value(json_object_get(line, "status_word")), "9000");
    assert_int_equal(json_integer_value(json_object_get(line, "round_trip")), 1);
    assert_int_equal(test.pauses, 0);
}

static void a_status_word_leads_where_the_script_says(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {
        REPORT, {"00A4040000", "6A82"}, {"80F28002024F0000", "6D00"}};
    static const host_step steps[] = {{"/v1/requests", NULL, SCRIPT_1, 0},
                                      {MESSAGES, ANSWERS_JUMPED, NULL, KF_ERR_CARD_UNSUITABLE}};
    test_run test = {
        .exchanges = exchanges, .exchange_count = COUNT(exchanges), .steps = steps, .step_count = 2};
    json_t *result = NULL;
    assert_int_equal(run(&test, &result), KF_ERR_CARD_UNSUITABLE);
    assert_null(result);
}

static void an_unacceptable_status_word_stops_the_script(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {REPORT, {"00A4040000", "9000"}, {NULL, "6A88"}};
    static const host_step steps[] = {{"/v1/requests", NULL, SCRIPT_1, 0},
                                      {MESSAGES, ANSWERS_STOPPED, DONE, 0}};
    test_run test = {
        .exchanges = exchanges, .exchange_count = COUNT(exchanges), .steps = steps, .step_count = 2};
    KF_CLEANUP(kf_json_free) json_t *result = NULL;
    assert_int_equal(run(&test, &result), KF_OK);
}

/* The host is told the word; the clerk what the reader said. */
static void expect_stopped(kf_fault fault, size_t exchange_count, const char *word, kf_code told)
{
    static const kf_replay_exchange exchanges[] = {REPORT, RUN_1};
    KF_CLEANUP(kf_buffer_clear) kf_buffer body = KF_BUFFER_INIT;
    kf_buffer_format(
        &body,
        "{\"step\":1,\"attempt\":1,\"token\":\"dG9rZW4\",\"answers\":[{\"entry\":0,\"response\":\"9000\"}],"
        "\"stopped\":\"%s\"}",
        word);
    const host_step steps[] = {{"/v1/requests", NULL, SCRIPT_1, 0},
                               {MESSAGES, kf_buffer_text(&body), NULL, KF_ERR_CARD_REMOVED}};
    test_run test = {.exchanges = exchanges,
                     .exchange_count = exchange_count,
                     .steps = steps,
                     .step_count = 2,
                     .fault = &fault};
    json_t *result = NULL;
    assert_int_equal(run(&test, &result), told);
}

static void a_card_pulled_out_is_told_with_the_answers_so_far(void **unused)
{
    (void)unused;
    size_t at = REPORT_COUNT + 1;
    expect_stopped((kf_fault){.kind = KF_FAULT_TEAR_BEFORE, .at = at}, at, "card-removed",
                   KF_ERR_CARD_REMOVED);
    expect_stopped((kf_fault){.kind = KF_FAULT_TEAR_AFTER, .at = at}, at + 1, "card-removed",
                   KF_ERR_CARD_REMOVED);
    expect_stopped((kf_fault){.kind = KF_FAULT_FAIL, .at = at}, at, "reader", KF_ERR_READER);
    expect_stopped((kf_fault){.kind = KF_FAULT_DELAY, .at = at, .milliseconds = 100}, at, "timeout",
                   KF_ERR_READER_TIMEOUT);
}

static void a_host_that_goes_on_without_a_card_is_not_followed_for_ever(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {REPORT, {"00A4040000", NULL}};
    static const host_step steps[] = {
        {"/v1/requests", NULL, SCRIPT_1, 0}, {MESSAGES, NULL, SCRIPT_1, 0}, {MESSAGES, NULL, SCRIPT_1, 0}};
    test_run test = {
        .exchanges = exchanges, .exchange_count = COUNT(exchanges), .steps = steps, .step_count = 3};
    json_t *result = NULL;
    assert_int_equal(run(&test, &result), KF_ERR_CARD_REMOVED);
}

static void a_message_whose_answer_was_lost_is_sent_again(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {REPORT, RUN_1};
    static const host_step steps[] = {{"/v1/requests", BEGIN_BODY, NULL, KF_ERR_UNREACHABLE},
                                      {"/v1/requests", BEGIN_BODY, SCRIPT_1, 0},
                                      {MESSAGES, ANSWERS_1, NULL, KF_ERR_TIMEOUT},
                                      {MESSAGES, ANSWERS_1, NULL, KF_ERR_BUSY},
                                      {MESSAGES, ANSWERS_1, NULL, KF_ERR_VAULT},
                                      {MESSAGES, ANSWERS_1, DONE, 0}};
    test_run test = {
        .exchanges = exchanges, .exchange_count = COUNT(exchanges), .steps = steps, .step_count = 6};
    KF_CLEANUP(kf_json_free) json_t *result = NULL;
    assert_int_equal(run(&test, &result), KF_OK);
    assert_int_equal(test.pauses, 4);
    assert_int_equal(test.paused, 200 + 200 + 400 + 800);
}

static void an_unreachable_host_is_given_up(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {REPORT};
    static const host_step steps[] = {{"/v1/requests", BEGIN_BODY, NULL, KF_ERR_UNREACHABLE},
                                      {"/v1/requests", BEGIN_BODY, NULL, KF_ERR_UNREACHABLE},
                                      {"/v1/requests", BEGIN_BODY, NULL, KF_ERR_UNREACHABLE},
                                      {"/v1/requests", BEGIN_BODY, NULL, KF_ERR_UNREACHABLE}};
    test_run test = {
        .exchanges = exchanges, .exchange_count = COUNT(exchanges), .steps = steps, .step_count = 4};
    json_t *result = NULL;
    assert_int_equal(run(&test, &result), KF_ERR_UNREACHABLE);
}

static void a_refusal_is_not_repeated(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {REPORT};
    static const host_step steps[] = {{"/v1/requests", BEGIN_BODY, NULL, KF_ERR_STATE}};
    test_run test = {
        .exchanges = exchanges, .exchange_count = COUNT(exchanges), .steps = steps, .step_count = 1};
    json_t *result = NULL;
    assert_int_equal(run(&test, &result), KF_ERR_STATE);
    assert_string_equal(test.error.message, "as the table says");
    assert_int_equal(test.pauses, 0);
}

static void an_answer_that_makes_no_sense_is_the_hosts_fault(void **unused)
{
    (void)unused;
    static const char *const answers[] = {
        "{}",
        "{\"state\":\"later\"}",
        "{\"state\":\"done\"}",
        "{\"state\":\"continue\"}",
        SCRIPT_WITHOUT_LABEL,
        "{\"state\":\"continue\",\"attempt\":1,\"token\":\"dG9rZW4\",\"script\":[]}",
    };
    static const kf_replay_exchange exchanges[] = {REPORT};
    for (size_t i = 0; i < COUNT(answers); i++) {
        const host_step steps[] = {{"/v1/requests", BEGIN_BODY, answers[i], 0}};
        test_run test = {
            .exchanges = exchanges, .exchange_count = COUNT(exchanges), .steps = steps, .step_count = 1};
        json_t *result = NULL;
        assert_int_equal(run(&test, &result), KF_ERR_PEER);
        assert_non_null(strstr(test.error.message, "the host's answer is not understood"));
    }
}

static void pin1_stays_at_the_terminal(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {REPORT};
    static const host_step steps[] = {{"/v1/requests", BEGIN_BODY, NULL, KF_ERR_STATE}};
    test_run test = {.exchanges = exchanges,
                     .exchange_count = COUNT(exchanges),
                     .steps = steps,
                     .step_count = 1,
                     .request = "{\"operation\":\"refill\",\"pin1\":\"1234\"}"};
    json_t *result = NULL;
    assert_int_equal(run(&test, &result), KF_ERR_STATE);
}

static void malformed_requests_touch_neither_card_nor_host(void **unused)
{
    (void)unused;
    static const char *const requests[] = {
        "{\"operation\":\"refill\",\"id\":\"" ID "\"}", "{\"operation\":\"refill\",\"card\":{}}",
        "{\"operation\":\"refill\",\"speed\":1}",       "{\"operation\":\"refill\",\"pin1\":\"12a4\"}",
        "{\"operation\":\"refill\",\"pin1\":\"123\"}",  "{\"operation\":\"refill\",\"pin1\":\"123456789\"}",
        "{\"operation\":\"refill\",\"pin1\":1234}",
    };
    for (size_t i = 0; i < COUNT(requests); i++) {
        test_run test = {.request = requests[i]};
        json_t *result = NULL;
        assert_int_equal(run(&test, &result), KF_ERR_FIELD);
    }
}

static void new_ids_are_32_lower_case_digits_and_differ(void **unused)
{
    (void)unused;
    char first[KF_REQUEST_ID_SIZE];
    char second[KF_REQUEST_ID_SIZE];
    assert_int_equal(kf_request_id_new(first), KF_OK);
    assert_int_equal(kf_request_id_new(second), KF_OK);
    assert_int_equal(strspn(first, "0123456789abcdef"), 32);
    assert_string_not_equal(first, second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_to_the_card_and_back_until_it_is_done),
        cmocka_unit_test(a_status_word_leads_where_the_script_says),
        cmocka_unit_test(an_unacceptable_status_word_stops_the_script),
        cmocka_unit_test(a_card_pulled_out_is_told_with_the_answers_so_far),
        cmocka_unit_test(a_host_that_goes_on_without_a_card_is_not_followed_for_ever),
        cmocka_unit_test(a_message_whose_answer_was_lost_is_sent_again),
        cmocka_unit_test(an_unreachable_host_is_given_up),
        cmocka_unit_test(a_refusal_is_not_repeated),
        cmocka_unit_test(an_answer_that_makes_no_sense_is_the_hosts_fault),
        cmocka_unit_test(pin1_stays_at_the_terminal),
        cmocka_unit_test(malformed_requests_touch_neither_card_nor_host),
        cmocka_unit_test(new_ids_are_32_lower_case_digits_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
