#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static json_t *parsed(const char *text)
{
    json_t *json = NULL;
    kf_error error;
    if (kf_json_parse(kf_view_of_text(text), &json, &error) != KF_OK) fail_msg("%s", error.message);
    return json;
}

static void assert_message(const kf_error *error, const char *expected)
{
    assert_int_equal(error->code, KF_ERR_FIELD);
    assert_string_equal(error->message, expected);
}

static void malformed_text_is_refused_with_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"", "line 1, column 0"},
        {"{", "line 1"},
        {"{\"a\":1,\n\"b\":}", "line 2, column 5"},
        {"{\"a\":1,\"a\":2}", "duplicate object key"},
        {"[]", "not an object"},
        {"7", "line 1"},
        {"{}{}", "end of file expected"},
        {"{\"a\":\"\xff\"}", "unable to decode byte 0xff"},
        {"{\"a\":\"\\u0000\"}", "line 1"},
        {"{\"a\":99999999999999999999}", "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = NULL;
        kf_error error = {KF_OK, ""};
        assert_int_equal(kf_json_parse(kf_view_of_text(cases[i].text), &json, &error), KF_ERR_JSON);
        if (strstr(error.message, cases[i].part) == NULL) fail_msg("%s: %s", cases[i].text, error.message);
        assert_null(json);
    }
}

static void what_stood_in_malformed_text_is_not_quoted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"pin1\":\"73915028\" 1}",
        "{\"pin1\":73915028x}",
        "{\"pin1\":\"73915028",
        "{\"pin1\":73915028 73915028}",
        "{\"73915028\":1,\"73915028\":2}",
        "{\"pin1\": 73915028",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *json = NULL;
        kf_error error = {KF_OK, ""};
        assert_int_equal(kf_json_parse(kf_view_of_text(texts[i]), &json, &error), KF_ERR_JSON);
        if (strstr(error.message, "73915") != NULL) fail_msg("%s: %s", texts[i], error.message);
    }
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    json_t *json = NULL;
    kf_error error;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    for (size_t i = 0; i < 100000; i++)
        kf_buffer_append_text(&text, "{\"a\":");
    assert_int_equal(kf_json_parse(kf_buffer_view(&text), &json, &error), KF_ERR_JSON);
}

static void texts_have_a_cap_and_no_control_characters(void **state)
{
    (void)state;
    KF_CLEANUP(kf_json_free)
    json_t *json =
        parsed("{\"t\":\"12345\",\"e\":\"\",\"n\":5,\"c\":\"a\\nb\",\"z\":null,\"d\":\"a\\u007f\"}");
    const char *text = "untouched";
    kf_error error;
    assert_int_equal(kf_json_text(json, "t", 5, &text, &error), KF_OK);
    assert_string_equal(text, "12345");
    text = "untouched";
    assert_int_equal(kf_json_text(json, "t", 4, &text, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"t\" has 5 bytes; expected 1 to 4");
    assert_int_equal(kf_json_text(json, "e", 4, &text, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_text(json, "n", 4, &text, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"n\" is an integer; expected a string");
    assert_int_equal(kf_json_text(json, "z", 4, &text, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"z\" is null; expected a string");
    assert_int_equal(kf_json_text(json, "c", 4, &text, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"c\" holds a control character at byte 1");
    assert_int_equal(kf_json_text(json, "d", 4, &text, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_text(json, "x", 4, &text, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"x\" is missing; expected a string");
    assert_int_equal(kf_json_text_optional(json, "x", 4, &text, &error), KF_OK);
    assert_string_equal(text, "untouched");
}

static void integers_have_a_range(void **state)
{
    (void)state;
    KF_CLEANUP(kf_json_free) json_t *json = parsed("{\"a\":5,\"r\":5.0,\"s\":\"5\"}");
    int64_t value = -1;
    kf_error error;
    assert_int_equal(kf_json_integer(json, "a", (kf_json_range){5, 5}, &value, &error), KF_OK);
    assert_int_equal(value, 5);
    value = -1;
    assert_int_equal(kf_json_integer(json, "a", (kf_json_range){6, 9}, &value, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"a\" is 5; expected 6 to 9");
    assert_int_equal(kf_json_integer(json, "a", (kf_json_range){0, 4}, &value, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_integer(json, "r", (kf_json_range){0, 9}, &value, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_integer(json, "s", (kf_json_range){0, 9}, &value, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_integer(json, "x", (kf_json_range){0, 9}, &value, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_integer_optional(json, "x", (kf_json_range){0, 9}, &value, &error), KF_OK);
    assert_int_equal(value, -1);
}

static void booleans_objects_and_arrays_are_of_their_kind(void **state)
{
    (void)state;
    KF_CLEANUP(kf_json_free) json_t *json = parsed("{\"b\":true,\"o\":{},\"a\":[1,2,3],\"n\":1}");
    bool flag = false;
    json_t *part = NULL;
    kf_error error;
    assert_int_equal(kf_json_boolean(json, "b", &flag, &error), KF_OK);
    assert_true(flag);
    assert_int_equal(kf_json_boolean(json, "n", &flag, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"n\" is an integer; expected true or false");
    assert_int_equal(kf_json_boolean(json, "x", &flag, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_object(json, "o", &part, &error), KF_OK);
    assert_int_equal(kf_json_object(json, "a", &part, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_object(json, "x", &part, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_array(json, "a", 3, &part, &error), KF_OK);
    assert_int_equal(json_array_size(part), 3);
    assert_int_equal(kf_json_array(json, "a", 2, &part, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"a\" has 3 items; at most 2 are allowed");
    assert_int_equal(kf_json_array(json, "o", 2, &part, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_array(json, "x", 2, &part, &error), KF_ERR_FIELD);
}

static void bytes_are_decoded_within_their_cap(void **state)
{
    (void)state;
    KF_CLEANUP(kf_json_free)
    json_t *json = parsed("{\"h\":\"A1b2\",\"odd\":\"A1b\",\"bad\":\"GG\",\"e\":\"\",\"u\":\"AQID\",\"v\":"
                          "\"AQI\",\"w\":\"A+Q=\"}");
    static const uint8_t expected[] = {0xA1, 0xB2};
    uint8_t exact[2] = {0};
    kf_error error;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    assert_int_equal(kf_json_hex(json, "h", 2, &bytes, &error), KF_OK);
    assert_true(kf_view_equal(kf_buffer_view(&bytes), KF_VIEW(expected)));
    assert_int_equal(kf_json_hex(json, "h", 1, &bytes, &error), KF_ERR_FIELD);
    assert_message(&error,
                   "member \"h\" has 4 characters; expected hexadecimal digits, two a byte, 1 to 1 bytes");
    assert_int_equal(kf_json_hex(json, "odd", 2, &bytes, &error), KF_ERR_FIELD);
    assert_message(&error,
                   "member \"odd\" (3 characters) is not hexadecimal digits, two a byte, 1 to 2 bytes");
    assert_int_equal(kf_json_hex(json, "bad", 2, &bytes, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_hex(json, "e", 2, &bytes, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_hex(json, "x", 2, &bytes, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_hex_optional(json, "x", 2, &bytes, &error), KF_OK);
    assert_int_equal(bytes.size, 2);
    assert_int_equal(kf_json_hex_exactly(json, "h", 2, exact, &error), KF_OK);
    assert_memory_equal(exact, expected, 2);
    assert_int_equal(kf_json_hex_exactly(json, "h", 1, exact, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"h\" (4 characters) is not 2 hexadecimal digits");
    kf_buffer_clear(&bytes);
    assert_int_equal(kf_json_base64url(json, "u", 3, &bytes, &error), KF_OK);
    assert_int_equal(bytes.size, 3);
    assert_int_equal(kf_json_base64url(json, "u", 2, &bytes, &error), KF_ERR_FIELD);
    assert_int_equal(bytes.size, 3);
    assert_int_equal(kf_json_base64url(json, "v", 2, &bytes, &error), KF_OK);
    assert_int_equal(kf_json_base64url(json, "w", 3, &bytes, &error), KF_ERR_FIELD);
    assert_int_equal(kf_json_base64url_optional(json, "x", 3, &bytes, &error), KF_OK);
}

static void unknown_members_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const members[] = {"a", "b", NULL};
    KF_CLEANUP(kf_json_free) json_t *good = parsed("{\"a\":1}");
    KF_CLEANUP(kf_json_free) json_t *bad = parsed("{\"a\":1,\"colour\":2}");
    kf_error error;
    assert_int_equal(kf_json_only(good, members, &error), KF_OK);
    assert_int_equal(kf_json_only(bad, members, &error), KF_ERR_FIELD);
    assert_message(&error, "member \"colour\" is not known here; remove it");
}

static void what_is_set_is_written_in_order(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x01, 0xFE};
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_json_set_text(json, "z", "ü"), KF_OK);
    assert_int_equal(kf_json_set_text(json, "absent", NULL), KF_OK);
    assert_int_equal(kf_json_set_text(json, "bad", "\xff"), KF_ERR_MALFORMED);
    assert_int_equal(kf_json_set_integer(json, "i", -7), KF_OK);
    assert_int_equal(kf_json_set_boolean(json, "b", false), KF_OK);
    assert_int_equal(kf_json_set_hex(json, "h", KF_VIEW(bytes)), KF_OK);
    assert_int_equal(kf_json_set_base64url(json, "u", KF_VIEW(bytes)), KF_OK);
    assert_int_equal(kf_json_set(json, "none", NULL), KF_ERR_MEMORY);
    assert_int_equal(kf_json_write(json, &text), KF_OK);
    assert_string_equal(kf_buffer_text(&text),
                        "{\"z\":\"ü\",\"i\":-7,\"b\":false,\"h\":\"01FE\",\"u\":\"Af4\"}");
    KF_CLEANUP(kf_buffer_clear) kf_buffer little = kf_buffer_with_limit(10);
    assert_int_not_equal(kf_json_write(json, &little), KF_OK);
    assert_int_equal(little.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_text_is_refused_with_line_and_column),
        cmocka_unit_test(what_stood_in_malformed_text_is_not_quoted),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(texts_have_a_cap_and_no_control_characters),
        cmocka_unit_test(integers_have_a_range),
        cmocka_unit_test(booleans_objects_and_arrays_are_of_their_kind),
        cmocka_unit_test(bytes_are_decoded_within_their_cap),
        cmocka_unit_test(unknown_members_are_refused_by_name),
        cmocka_unit_test(what_is_set_is_written_in_order),
    };
    return cmocka_run_group_tests_name("wire/json", tests, NULL, NULL);
}
