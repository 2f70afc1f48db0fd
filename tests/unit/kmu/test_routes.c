/* Every handler of the table without a body, profiles and modules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmu/profiles.h"
#include "kmu_fixture.h"

static void every_route_survives_a_missing_body(void **state)
{
    world *made = *state;
    static const char *const parameters[] = {"", "a", "00000000000000000000000000000001"};
    for (size_t i = 0; i < kf_kmu_route_count; i++) {
        const kf_http_route *route = &kf_kmu_routes[i];
        for (size_t j = 0; j < 3; j++) {
            reply answer = ask(made, route->handler, parameters[j], NULL);
            bool reads = strcmp(route->method, "GET") == 0;
            if (!reads && answer.code == KF_OK) fail_msg("%s %s", route->method, route->path);
            if (!reads)
                assert_true(kf_code_http_status(answer.code) / 100 == 4 || strstr(route->path, "pull"));
            reply_clear(&answer);
        }
    }
}

static void every_route_refuses_a_body_of_strange_members(void **state)
{
    world *made = *state;
    for (size_t i = 0; i < kf_kmu_route_count; i++) {
        const kf_http_route *route = &kf_kmu_routes[i];
        if (route->body_limit == 0) continue;
        reply answer = ask(made, route->handler, "a", "{\"strange\":[1,{\"a\":null}]}");
        assert_int_equal(kf_code_http_status(answer.code) / 100, 4);
    }
}

static void readiness_tells_what_is_missing(void **state)
{
    world *made = *state;
    const kf_http_route *readiness = &kf_kmu_routes[1];
    assert_string_equal(readiness->path, "/readyz");
    reply ready = ask(made, readiness->handler, "", NULL);
    assert_reply(&ready, KF_OK, "");
    assert_string_equal(ready.text, "{\"status\":\"ok\",\"development\":false}");
    reply_clear(&ready);
}

static void a_profile_is_kept_as_it_was_given(void **state)
{
    world *made = *state;
    reply listed = ask(made, kf_handle_profile_list, "", NULL);
    assert_reply(&listed, KF_OK, "");
    assert_non_null(strstr(listed.text, "\"name\":\"test\""));
    reply_clear(&listed);
    reply refused = ask(made, kf_handle_profile_put, "test", "{\"text\":\"name: test\\n\"}");
    assert_true(refused.code != KF_OK);
    refused = ask(made, kf_handle_profile_put, "test", "{\"text\":true}");
    assert_reply(&refused, KF_ERR_FIELD, "text");
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM audit WHERE action = 'profile.put'"), 1);
    char text[32];
    text_of(made, "SELECT outcome FROM audit WHERE action = 'profile.put'", text, sizeof text);
    assert_string_equal(text, "ok");
}

static void what_is_no_module_is_refused(void **state)
{
    world *made = *state;
    reply refused = ask(made, kf_handle_module_put, "m", "{\"content\":\"AAAA\"}");
    assert_reply(&refused, KF_ERR_CAP_FILE, "");
    refused = ask(made, kf_handle_module_put, "a b", "{\"content\":\"AAAA\"}");
    assert_reply(&refused, KF_ERR_FIELD, "a b");
    refused = ask(made, kf_handle_module_put, "m", "{\"content\":\"A A\"}");
    assert_reply(&refused, KF_ERR_FIELD, "content");
    refused = ask(made, kf_handle_module_delete, "m", NULL);
    assert_reply(&refused, KF_ERR_NOT_FOUND, "\"m\"");
}

static void a_pull_needs_somebody_to_pull_from(void **state)
{
    world *made = *state;
    size_t count = 0;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_kmu_pull(&made->kmu, "officer:alice", &count, &error), KF_ERR_CONFIGURATION);
    assert_non_null(strstr(error.message, "runs alone"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(every_route_survives_a_missing_body),
        IN_WORLD(every_route_refuses_a_body_of_strange_members),
        IN_WORLD(readiness_tells_what_is_missing),
        IN_WORLD(a_profile_is_kept_as_it_was_given),
        IN_WORLD(what_is_no_module_is_refused),
        IN_WORLD(a_pull_needs_somebody_to_pull_from),
    };
    return cmocka_run_group_tests_name("kmu/routes", tests, NULL, NULL);
}
