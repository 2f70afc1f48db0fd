/* What hosts and terminals may ask for: categories, numbers, quotas, nothing. */
#include "kmu/bounds.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmu_fixture.h"
#include "wire/json.h"

#define DAY_MS ((uint64_t)24 * 3600 * 1000)

static reply call(world *made, kf_http_handler handler, const char *host, const char *terminal,
                  const char *body)
{
    kf_peer caller = peer_of(KF_PEER_ADMINISTRATOR, "bob");
    kf_http_request request = {.caller = &caller,
                               .method = "PUT",
                               .path = "/",
                               .path_parameters = {{"name", host}, {"terminal", terminal}},
                               .path_parameter_count = terminal != NULL ? 2 : 1};
    kf_http_response response = {0};
    reply answer = {.code = KF_OK};
    if (body != NULL)
        assert_int_equal(kf_json_parse(kf_view_of_text(body), &request.json, &answer.error), KF_OK);
    answer.code = handler(&made->kmu, &request, &response, &answer.error);
    if (answer.code == KF_OK) answer.text = json_dumps(response.json, JSON_COMPACT);
    kf_json_free(&response.json);
    kf_json_free(&request.json);
    return answer;
}

static void put(world *made, const char *terminal, const char *body)
{
    reply answer = call(made, kf_handle_host_put, HOST, terminal, body);
    assert_reply(&answer, KF_OK, "");
    reply_clear(&answer);
}

static void set_enabled(world *made, const char *terminal, bool enabled)
{
    reply answer = call(made, kf_handle_host_patch, HOST, terminal,
                        enabled ? "{\"enabled\":true}" : "{\"enabled\":false}");
    assert_reply(&answer, KF_OK, "");
    reply_clear(&answer);
}

/* A fill of NUMBER under a new id, begun and no further. */
static reply begin_new(world *made, unsigned id)
{
    char text[33];
    (void)snprintf(text, sizeof text, "%032x", id);
    char *body = fill_body(text);
    reply answer = begin(made, body);
    free(body);
    return answer;
}

static void assert_begin(world *made, unsigned id, kf_code code, const char *because)
{
    reply answer = begin_new(made, id);
    assert_reply(&answer, code, because);
    reply_clear(&answer);
}

static int64_t used(world *made, const char *terminal)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT COALESCE(MAX(used), -1) FROM host_use WHERE terminal = '%s'",
                   terminal);
    return number_of(made, sql);
}

static void only_registered_hosts_are_heard_unless_all_are(void **state)
{
    world *made = *state;
    kf_error error = {KF_OK, ""};
    kf_peer host = peer_of(KF_PEER_HOST, HOST);
    kf_peer officer = peer_of(KF_PEER_OFFICER, HOST);
    assert_int_equal(kf_bounds_check_caller(&made->kmu, &host, &error), KF_OK);
    made->kmu.hosts_open = false;
    assert_int_equal(kf_bounds_check_caller(&made->kmu, &host, &error), KF_ERR_FORBIDDEN);
    assert_non_null(strstr(error.message, "host " HOST " is not registered"));
    assert_int_equal(kf_bounds_check_caller(&made->kmu, &officer, &error), KF_OK);
    assert_begin(made, 1, KF_ERR_FORBIDDEN, "not registered");
    put(made, NULL, "{}");
    assert_int_equal(kf_bounds_check_caller(&made->kmu, &host, &error), KF_OK);
    assert_begin(made, 1, KF_OK, "");
}

static void a_disabled_host_or_terminal_is_refused_from_its_next_message_on(void **state)
{
    world *made = *state;
    kf_error error = {KF_OK, ""};
    kf_peer host = peer_of(KF_PEER_HOST, HOST);
    put(made, NULL, "{}");
    put(made, TERMINAL, "{}");
    reply first = begin_new(made, 1);
    assert_reply(&first, KF_OK, "");
    char *message = message_for(made, first.text);
    set_enabled(made, TERMINAL, false);
    reply refused = tell(made, "00000000000000000000000000000001", message);
    assert_reply(&refused, KF_ERR_DISABLED, "terminal " TERMINAL " of host " HOST " is disabled");
    assert_begin(made, 2, KF_ERR_DISABLED, "terminal " TERMINAL);
    assert_int_equal(kf_bounds_check_caller(&made->kmu, &host, &error), KF_OK);
    set_enabled(made, TERMINAL, true);
    assert_begin(made, 2, KF_OK, "");
    set_enabled(made, NULL, false);
    assert_int_equal(kf_bounds_check_caller(&made->kmu, &host, &error), KF_ERR_DISABLED);
    assert_begin(made, 3, KF_ERR_DISABLED, "host " HOST " is disabled");
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM audit WHERE action = 'request.refused'"), 2);
    free(message);
    reply_clear(&first);
}

static void categories_and_ranges_bind_host_and_terminal(void **state)
{
    world *made = *state;
    put(made, NULL, "{\"categories\":[\"other\"]}");
    assert_begin(made, 1, KF_ERR_FORBIDDEN,
                 "host " HOST " is not registered for cards of category " CATEGORY);
    put(made, NULL, "{\"categories\":[\"other\",\"" CATEGORY "\"]}");
    assert_begin(made, 1, KF_OK, "");
    /* A name that is a part of another. */
    put(made, NULL, "{\"categories\":[\"" CATEGORY "-x\",\"x-" CATEGORY "\"]}");
    assert_begin(made, 2, KF_ERR_FORBIDDEN, "category");
    static const struct {
        const char *ranges;
        kf_code code;
    } cases[] = {
        {"[{\"from\":\"8613800000001\",\"to\":\"8613800000001\"}]", KF_OK},
        {"[{\"from\":\"8613800000000\",\"to\":\"8613800000001\"}]", KF_OK},
        {"[{\"from\":\"8613800000002\",\"to\":\"8613899999999\"}]", KF_ERR_FORBIDDEN},
        {"[{\"from\":\"8613700000000\",\"to\":\"8613800000000\"}]", KF_ERR_FORBIDDEN},
        {"[{\"from\":\"86138000000010\",\"to\":\"86138000000019\"}]", KF_ERR_FORBIDDEN},
        {"[{\"from\":\"0\",\"to\":\"9\"},{\"from\":\"8613800000001\",\"to\":\"8613800000009\"}]", KF_OK},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[256];
        (void)snprintf(body, sizeof body, "{\"numbers\":%s}", cases[i].ranges);
        put(made, NULL, body);
        assert_begin(made, 10 + i, cases[i].code, "lies in none of its ranges");
        put(made, NULL, "{}");
        put(made, TERMINAL, body);
        assert_begin(made, 20 + i, cases[i].code, "terminal " TERMINAL);
        reply gone = call(made, kf_handle_host_delete, HOST, TERMINAL, NULL);
        assert_reply(&gone, KF_OK, "");
        reply_clear(&gone);
    }
}

/* The number of a recorded card binds, too: no host clears another's. */
static void a_recorded_card_is_only_for_those_whose_number_it_has(void **state)
{
    world *made = *state;
    fill(made, "000000000000000000000000000000aa");
    put(made, NULL, "{\"numbers\":[{\"from\":\"8613900000000\",\"to\":\"8613999999999\"}]}");
    static const char *const operations[] = {"refill", "clear", "app-list"};
    for (size_t i = 0; i < 3; i++) {
        char id[33];
        (void)snprintf(id, sizeof id, "%032zu", 100 + i);
        char *body = request_body(id, operations[i], "");
        reply refused = begin(made, body);
        assert_reply(&refused, KF_ERR_FORBIDDEN, "not registered for number " NUMBER);
        free(body);
    }
    /* Reported as another card: what the answers prove decides, before a script leaves. */
    reply first = begin(made, "{\"id\":\"000000000000000000000000000000bb\",\"operation\":\"clear\","
                              "\"category\":\"" CATEGORY "\",\"terminal\":\"" TERMINAL "\","
                              "\"card\":{\"iccid\":\"89860099999999999999\"}}");
    assert_reply(&first, KF_OK, "");
    char *message = message_for(made, first.text);
    reply refused = tell(made, "000000000000000000000000000000bb", message);
    assert_reply(&refused, KF_ERR_FORBIDDEN, "not registered for number " NUMBER);
    free(message);
    reply_clear(&first);
    refused = ask(made, kf_handle_card_lookup, "", "{\"card\":{\"iccid\":\"" ICCID "\"}}");
    assert_reply(&refused, KF_ERR_FORBIDDEN, "number " NUMBER);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM audit WHERE action = 'card.lookup'"), 1);
    reply seen_by_others = ask_as(made, peer_of(KF_PEER_ADMINISTRATOR, "bob"), kf_handle_card_lookup, "",
                                  "{\"card\":{\"iccid\":\"" ICCID "\"}}");
    assert_reply(&seen_by_others, KF_OK, "");
    reply_clear(&seen_by_others);
}

static void a_quota_counts_requests_and_neither_repetitions_nor_refusals(void **state)
{
    world *made = *state;
    put(made, NULL, "{\"daily\":2}");
    assert_begin(made, 1, KF_OK, "");
    assert_begin(made, 1, KF_OK, "");
    assert_int_equal(used(made, ""), 1);
    reply refused = begin(made, "{\"id\":\"00000000000000000000000000000002\",\"operation\":\"fill\","
                                "\"number\":\"999\",\"card\":{}}");
    assert_true(refused.code != KF_OK);
    assert_int_equal(used(made, ""), 1);
    assert_begin(made, 2, KF_OK, "");
    assert_begin(made, 3, KF_ERR_QUOTA, "host " HOST " has begun the 2 requests");
    assert_begin(made, 2, KF_OK, "");
    assert_int_equal(used(made, ""), 2);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM requests"), 2);
    /* Another day, and never an earlier one again. */
    world_wait(DAY_MS);
    assert_begin(made, 3, KF_OK, "");
    assert_int_equal(used(made, ""), 1);
    execute(made, "UPDATE host_use SET day = day + 1, used = 2");
    assert_begin(made, 4, KF_ERR_QUOTA, "");
    put(made, NULL, "{\"daily\":3}");
    assert_begin(made, 4, KF_OK, "");
    put(made, NULL, "{}");
    assert_begin(made, 5, KF_OK, "");
}

static void a_terminal_has_a_quota_of_its_own_and_counts_for_its_host(void **state)
{
    world *made = *state;
    put(made, NULL, "{\"daily\":3}");
    put(made, TERMINAL, "{\"daily\":1}");
    assert_begin(made, 1, KF_OK, "");
    assert_begin(made, 2, KF_ERR_QUOTA, "terminal " TERMINAL " has begun the 1 requests");
    assert_int_equal(used(made, ""), 1);
    assert_int_equal(used(made, TERMINAL), 1);
    /* Off the register and on again: the day's count is the same. */
    reply gone = call(made, kf_handle_host_delete, HOST, NULL, NULL);
    assert_reply(&gone, KF_OK, "");
    reply_clear(&gone);
    put(made, NULL, "{\"daily\":1}");
    assert_begin(made, 3, KF_ERR_QUOTA, "host " HOST);
}

#define CALLERS 8
#define CALLS 10 /* of each */
#define QUOTA 23

typedef struct crowd {
    world *made;
    unsigned first;
    atomic_uint *begun;
    atomic_uint *refused;
} crowd;

static void *begin_many(void *context)
{
    crowd *one = context;
    for (unsigned i = 0; i < CALLS; i++) {
        reply answer = begin_new(one->made, one->first + i);
        if (answer.code == KF_OK) atomic_fetch_add(one->begun, 1);
        if (answer.code == KF_ERR_QUOTA) atomic_fetch_add(one->refused, 1);
        reply_clear(&answer);
    }
    return NULL;
}

static void a_quota_is_exact_whoever_asks_at_once(void **state)
{
    world *made = *state;
    pthread_t threads[CALLERS];
    crowd callers[CALLERS];
    atomic_uint begun = 0;
    atomic_uint refused = 0;
    char body[64];
    (void)snprintf(body, sizeof body, "{\"daily\":%d}", QUOTA);
    put(made, NULL, body);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (crowd){made, 1000 + 100 * i, &begun, &refused};
        assert_int_equal(pthread_create(&threads[i], NULL, begin_many, &callers[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&begun), QUOTA);
    assert_int_equal(atomic_load(&refused), CALLERS * CALLS - QUOTA);
    assert_int_equal(used(made, ""), QUOTA);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM requests"), QUOTA);
}

static void what_is_put_is_listed_with_what_was_used(void **state)
{
    world *made = *state;
    reply refused = call(made, kf_handle_host_put, HOST, TERMINAL, "{}");
    assert_reply(&refused, KF_ERR_NOT_FOUND, "register it before its terminals");
    refused = call(made, kf_handle_host_patch, HOST, NULL, "{\"enabled\":false}");
    assert_reply(&refused, KF_ERR_NOT_FOUND, "host " HOST);
    refused = call(made, kf_handle_host_delete, HOST, TERMINAL, NULL);
    assert_reply(&refused, KF_ERR_NOT_FOUND, TERMINAL " of host " HOST);
    put(made, NULL,
        "{\"categories\":[\"" CATEGORY "\",\"b\"],\"daily\":7,"
        "\"numbers\":[{\"from\":\"86138\",\"to\":\"86139\"},"
        "{\"from\":\"8613800000001\",\"to\":\"8613800000009\"}]}");
    put(made, TERMINAL, "{\"enabled\":false}");
    set_enabled(made, TERMINAL, true);
    assert_begin(made, 1, KF_OK, "");
    reply listed = call(made, kf_handle_host_list, "", NULL, NULL);
    assert_reply(&listed, KF_OK, "");
    assert_string_equal(listed.text,
                        "{\"open\":true,\"hosts\":[{\"name\":\"" HOST
                        "\",\"enabled\":true,\"categories\":[\"" CATEGORY
                        "\",\"b\"],\"numbers\":[{\"from\":\"86138\",\"to\":\"86139\"},"
                        "{\"from\":\"8613800000001\",\"to\":\"8613800000009\"}],\"daily\":7,\"used\":1,"
                        "\"terminals\":[{\"name\":\"" TERMINAL
                        "\",\"enabled\":true,\"categories\":[],\"numbers\":[],\"daily\":0,\"used\":1}]}]}");
    reply_clear(&listed);
    world_wait(DAY_MS);
    listed = call(made, kf_handle_host_list, "", NULL, NULL);
    assert_non_null(strstr(listed.text, "\"daily\":7,\"used\":0"));
    reply_clear(&listed);
    char text[128];
    text_of(made, "SELECT detail FROM audit WHERE action = 'host.put' ORDER BY seq LIMIT 1", text,
            sizeof text);
    assert_string_equal(text, "enabled; categories " CATEGORY ",b; numbers 86138-86139,"
                              "8613800000001-8613800000009; 7 a day");
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM audit WHERE action LIKE 'host.%' AND actor = "
                                     "'administrator:bob'"),
                     3);
}

static void what_is_malformed_is_refused(void **state)
{
    world *made = *state;
    static const struct {
        const char *body;
        const char *because;
    } cases[] = {
        {"{\"categories\":\"a\"}", "categories"},
        {"{\"categories\":[7]}", "categories[0]"},
        {"{\"categories\":[\"a,b\"]}", "a,b"},
        {"{\"categories\":[\"\"]}", ""},
        {"{\"numbers\":[\"1-2\"]}", "numbers[0]"},
        {"{\"numbers\":[{\"from\":\"1\"}]}", "to"},
        {"{\"numbers\":[{\"from\":\"1\",\"to\":\"2\",\"x\":1}]}", "x"},
        {"{\"numbers\":[{\"from\":\"2\",\"to\":\"1\"}]}", "behind"},
        {"{\"numbers\":[{\"from\":\"1\",\"to\":\"10\"}]}", "as many"},
        {"{\"numbers\":[{\"from\":\"a\",\"to\":\"b\"}]}", "digits"},
        {"{\"numbers\":[{\"from\":\"\",\"to\":\"\"}]}", ""},
        {"{\"numbers\":[{\"from\":\"111111111111111111111\",\"to\":\"111111111111111111111\"}]}", "from"},
        {"{\"daily\":-1}", "daily"},
        {"{\"daily\":1000000001}", "daily"},
        {"{\"enabled\":1}", "enabled"},
        {"{\"strange\":1}", "strange"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reply refused = call(made, kf_handle_host_put, HOST, NULL, cases[i].body);
        assert_reply(&refused, KF_ERR_FIELD, cases[i].because);
    }
    reply refused = call(made, kf_handle_host_put, "no name", NULL, "{}");
    assert_reply(&refused, KF_ERR_FIELD, "no name");
    KF_CLEANUP(kf_buffer_clear) kf_buffer body = KF_BUFFER_INIT;
    kf_buffer_append_text(&body, "{\"numbers\":[");
    for (unsigned i = 0; i <= KF_BOUNDS_RANGES_MAX; i++)
        kf_buffer_format(&body, "%s{\"from\":\"1\",\"to\":\"2\"}", i > 0 ? "," : "");
    kf_buffer_append_text(&body, "]}");
    refused = call(made, kf_handle_host_put, HOST, NULL, kf_buffer_text(&body));
    assert_reply(&refused, KF_ERR_FIELD, "numbers");
    kf_buffer_truncate(&body, 0);
    kf_buffer_append_text(&body, "{\"categories\":[");
    for (unsigned i = 0; i <= KF_BOUNDS_CATEGORIES_MAX; i++)
        kf_buffer_format(&body, "%s\"c%u\"", i > 0 ? "," : "", i);
    kf_buffer_append_text(&body, "]}");
    refused = call(made, kf_handle_host_put, HOST, NULL, kf_buffer_text(&body));
    assert_reply(&refused, KF_ERR_FIELD, "categories");
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM hosts"), 0);
}

static void a_day_ends_at_midnight(void **state)
{
    (void)state;
    assert_int_equal(kf_bounds_seconds_left(0), 86400);
    assert_int_equal(kf_bounds_seconds_left((int64_t)DAY_MS - 1), 1);
    assert_int_equal(kf_bounds_seconds_left((int64_t)DAY_MS - 1000), 1);
    assert_int_equal(kf_bounds_seconds_left((int64_t)DAY_MS - 1001), 2);
    assert_int_equal(kf_bounds_seconds_left((int64_t)DAY_MS), 86400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(only_registered_hosts_are_heard_unless_all_are),
        IN_WORLD(a_disabled_host_or_terminal_is_refused_from_its_next_message_on),
        IN_WORLD(categories_and_ranges_bind_host_and_terminal),
        IN_WORLD(a_recorded_card_is_only_for_those_whose_number_it_has),
        IN_WORLD(a_quota_counts_requests_and_neither_repetitions_nor_refusals),
        IN_WORLD(a_terminal_has_a_quota_of_its_own_and_counts_for_its_host),
        IN_WORLD(a_quota_is_exact_whoever_asks_at_once),
        IN_WORLD(what_is_put_is_listed_with_what_was_used),
        IN_WORLD(what_is_malformed_is_refused),
        cmocka_unit_test(a_day_ends_at_midnight),
    };
    return cmocka_run_group_tests_name("kmu/bounds", tests, NULL, NULL);
}
