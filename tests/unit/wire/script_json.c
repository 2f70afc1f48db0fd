#include "wire/script_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *parsed(const char *text)
{
    json_t *json = NULL;
    kf_error error;
    if (kf_json_parse(kf_view_of_text(text), &json, &error) != KF_OK) fail_msg("%s", error.message);
    return json;
}

static void a_script_survives_the_way_there_and_back(void **state)
{
    (void)state;
    static const uint8_t select[] = {0x00, 0xA4, 0x04, 0x00};
    static const uint8_t verify[] = {0x00, 0x20, 0x00, 0x0A, 0x01, 0x31};
    kf_script script = {NULL, 0, 0};
    kf_script back = {NULL, 0, 0};
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *object = json_object();
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_script_entry *entry = kf_script_append(&script, "SELECT", KF_VIEW(select));
    assert_int_equal(kf_script_accept_also(entry, 0x6A82, 0xFFFF, 1), KF_OK);
    assert_int_equal(kf_script_accept_also(entry, 0x6100, 0xFF00, KF_SCRIPT_END), KF_OK);
    entry = kf_script_append(&script, "VERIFY ADM1", KF_VIEW(verify));
    entry->secret = true;
    assert_int_equal(kf_script_to_json(&script, object), KF_OK);
    assert_int_equal(kf_json_write(object, &text), KF_OK);
    assert_string_equal(
        kf_buffer_text(&text),
        "{\"script\":[{\"command\":\"00A40400\",\"label\":\"SELECT\",\"accept\":[{\"sw\":\"9000\"},"
        "{\"sw\":\"6A82\",\"goto\":1},{\"sw\":\"6100\",\"mask\":\"FF00\",\"goto\":\"end\"}]},"
        "{\"command\":\"0020000A0131\",\"label\":\"VERIFY "
        "ADM1\",\"secret\":true,\"accept\":[{\"sw\":\"9000\"}]}]}");
    assert_int_equal(kf_script_from_json(object, &back, &error), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer before = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer after = KF_BUFFER_INIT;
    kf_script_encode(&script, &before);
    kf_script_encode(&back, &after);
    assert_true(before.size > 0);
    assert_true(kf_view_equal(kf_buffer_view(&before), kf_buffer_view(&after)));
    kf_script_clear(&script);
    kf_script_clear(&back);
}

static void bad_scripts_are_refused_with_entry_and_member(void **state)
{
    (void)state;
    static const struct {
        const char *entries;
        const char *part;
    } cases[] = {
        {"7", "script, entry 0: it is not an object"},
        {"{}", "entry 0: member \"command\" is missing"},
        {"{\"command\":\"00A404\",\"label\":\"x\",\"accept\":[]}", "member \"command\" has 3 bytes"},
        {"{\"command\":\"00A4040G\",\"label\":\"x\",\"accept\":[]}", "member \"command\""},
        {"{\"command\":\"00A40400\",\"accept\":[]}", "member \"label\" is missing"},
        {"{\"command\":\"00A40400\",\"label\":\"x\"}", "member \"accept\" is missing"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[1]}",
         "an item of \"accept\" is not an object"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{}]}", "member \"sw\" is missing"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"900\"}]}", "member \"sw\""},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\",\"go\":1}]}",
         "member \"go\" is not known"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\",\"goto\":\"stop\"}]}",
         "\"stop\"; expected"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\",\"goto\":0}]}",
         "script entry 0"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\",\"goto\":-1}]}",
         "member \"goto\" is -1"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\",\"goto\":2048}]}",
         "is 2048; expected 0 to 2047"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\"}],\"secret\":1}",
         "member \"secret\""},
        {"{\"command\":\"00A40400\",\"label\":\"0123456789012345678901234567890123456789abcdefgh\","
         "\"accept\":[]}",
         "member \"label\" has 48 bytes"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\"},{\"sw\":\"9001\"},{\"sw\":"
         "\"9002\"},"
         "{\"sw\":\"9003\"},{\"sw\":\"9004\"},{\"sw\":\"9005\"},{\"sw\":\"9006\"}]}",
         "has 7 items; at most 6"},
        {"{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\"}]},"
         "{\"command\":\"00A40400\",\"label\":\"x\",\"accept\":[{\"sw\":\"9000\",\"goto\":0}]}",
         "script entry 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        kf_script script = {NULL, 0, 0};
        kf_error error = {KF_OK, ""};
        (void)snprintf(text, sizeof text, "{\"script\":[%s]}", cases[i].entries);
        KF_CLEANUP(kf_json_free) json_t *object = parsed(text);
        assert_int_equal(kf_script_from_json(object, &script, &error), KF_ERR_FIELD);
        if (strstr(error.message, cases[i].part) == NULL) fail_msg("%s: %s", text, error.message);
        assert_null(script.entries);
    }
}

static void a_script_or_command_past_its_cap_is_refused(void **state)
{
    (void)state;
    kf_script script = {NULL, 0, 0};
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *object = json_object();
    json_t *array = json_array();
    assert_int_equal(kf_json_set(object, "script", array), KF_OK);
    for (size_t i = 0; i < KF_SCRIPT_ENTRIES_MAX; i++)
        assert_int_equal(kf_json_append(array, json_pack("{s:s,s:s,s:[{s:s}]}", "command", "00A40400",
                                                         "label", "x", "accept", "sw", "9000")),
                         KF_OK);
    assert_int_equal(kf_script_from_json(object, &script, &error), KF_OK);
    assert_int_equal(script.count, KF_SCRIPT_ENTRIES_MAX);
    kf_script_clear(&script);
    assert_int_equal(kf_json_append(array, json_object()), KF_OK);
    assert_int_equal(kf_script_from_json(object, &script, &error), KF_ERR_FIELD);
    uint8_t command[KF_SCRIPT_COMMAND_MAX + 1] = {0};
    KF_CLEANUP(kf_json_free)
    json_t *large = json_pack("{s:[{s:s,s:[{s:s}]}]}", "script", "label", "x", "accept", "sw", "9000");
    assert_int_equal(
        kf_json_set_hex(json_array_get(json_object_get(large, "script"), 0), "command", KF_VIEW(command)),
        KF_OK);
    assert_int_equal(kf_script_from_json(large, &script, &error), KF_ERR_FIELD);
    assert_non_null(strstr(error.message, "1 to 262 bytes"));
}

static void answers_survive_the_way_there_and_back(void **state)
{
    (void)state;
    static const uint8_t first[] = {0x6F, 0x00, 0x90, 0x00};
    static const uint8_t second[] = {0x69, 0x85};
    kf_script_answers answers = {NULL, 0, 0};
    kf_script_answers back = {NULL, 0, 0};
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *object = json_object();
    assert_int_equal(kf_script_answers_append(&answers, 0, KF_VIEW(first)), KF_OK);
    assert_int_equal(kf_script_answers_append(&answers, 4, KF_VIEW(second)), KF_OK);
    assert_int_equal(kf_script_answers_to_json(&answers, object), KF_OK);
    assert_int_equal(kf_script_answers_from_json(object, &back, &error), KF_OK);
    assert_int_equal(back.count, 2);
    assert_int_equal(back.items[1].entry, 4);
    assert_int_equal(back.items[1].response_size, 2);
    assert_memory_equal(back.items[0].response, first, sizeof first);
    kf_script_answers_clear(&answers);
    kf_script_answers_clear(&back);
}

static void bad_answers_are_refused_with_their_item(void **state)
{
    (void)state;
    static const struct {
        const char *items;
        const char *part;
    } cases[] = {
        {"1", "answers, item 0: it is not an object"},
        {"{\"entry\":0}", "member \"response\" is missing"},
        {"{\"response\":\"9000\"}", "member \"entry\" is missing"},
        {"{\"entry\":0,\"response\":\"90\"}", "a status word has two"},
        {"{\"entry\":0,\"response\":\"9000\",\"x\":1}", "member \"x\" is not known"},
        {"{\"entry\":2048,\"response\":\"9000\"}", "expected 0 to 2047"},
        {"{\"entry\":3,\"response\":\"9000\"},{\"entry\":3,\"response\":\"9000\"}",
         "item 1: member \"entry\" is 3; expected 4 to 2047"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        kf_script_answers answers = {NULL, 0, 0};
        kf_error error = {KF_OK, ""};
        (void)snprintf(text, sizeof text, "{\"answers\":[%s]}", cases[i].items);
        KF_CLEANUP(kf_json_free) json_t *object = parsed(text);
        assert_int_equal(kf_script_answers_from_json(object, &answers, &error), KF_ERR_FIELD);
        if (strstr(error.message, cases[i].part) == NULL) fail_msg("%s: %s", text, error.message);
        assert_null(answers.items);
    }
    uint8_t response[KF_SCRIPT_RESPONSE_MAX + 1] = {0};
    kf_script_answers answers = {NULL, 0, 0};
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *large = json_pack("{s:[{s:i}]}", "answers", "entry", 0);
    assert_int_equal(
        kf_json_set_hex(json_array_get(json_object_get(large, "answers"), 0), "response", KF_VIEW(response)),
        KF_OK);
    assert_int_equal(kf_script_answers_from_json(large, &answers, &error), KF_ERR_FIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_survives_the_way_there_and_back),
        cmocka_unit_test(bad_scripts_are_refused_with_entry_and_member),
        cmocka_unit_test(a_script_or_command_past_its_cap_is_refused),
        cmocka_unit_test(answers_survive_the_way_there_and_back),
        cmocka_unit_test(bad_answers_are_refused_with_their_item),
    };
    return cmocka_run_group_tests_name("wire/script_json", tests, NULL, NULL);
}
