#include "kmu/request_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/json.h"

#define CARD "\"card\":{\"atr\":\"3B00\"}"
#define FILL "\"operation\":\"fill\",\"number\":\"8613800000001\""

static kf_code read_text(const char *text, kf_request_form *ret_form, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    assert_int_equal(kf_json_parse(kf_view_of_text(text), &json, error), KF_OK);
    return kf_request_form_read(json, ret_form, error);
}

static void a_whole_request_is_read(void **state)
{
    (void)state;
    kf_request_form form;
    kf_error error = {KF_OK, ""};
    assert_int_equal(
        read_text(
            "{\"id\":\"x\"," FILL ",\"number_source\":\"allocate\",\"write_number\":true,"
            "\"category\":\"cn-north\",\"order\":\"o 1\",\"terminal\":\"till-1\",\"personalise\":\"always\","
            "\"personalisation\":{\"plan\":\"5G\",\"customer\":\"\u00e9\"},"
            "\"card\":{\"atr\":\"3B00\",\"iccid\":\"8986A0\",\"imsi\":\"460\",\"number\":\"86138\",\"cplc\":"
            "\"9F7F\","
            "\"recognition_data\":\"66\",\"key_information\":\"E0\","
            "\"diversification_data\":\"CF0A00112233445566778899\"}}",
            &form, &error),
        KF_OK);
    assert_int_equal(form.request.operation, KF_OPERATION_FILL);
    assert_string_equal(form.request.number, "8613800000001");
    assert_true(form.request.write_number);
    assert_string_equal(form.request.category, "cn-north");
    assert_string_equal(form.request.terminal, "till-1");
    assert_int_equal(form.request.personalise, KF_PERSONALISE_ALWAYS);
    assert_string_equal(kf_named_values_get(&form.request.personalisation, "plan"), "5G");
    assert_string_equal(form.request.iccid, "8986A0");
    assert_string_equal(form.request.imsi, "460");
    assert_string_equal(form.identity, "kdd:00112233445566778899");
}

static void diversification_data_that_is_none_names_no_card(void **state)
{
    (void)state;
    static const char *const data[] = {"00", "CF0900112233445566778899", "CF0B0011223344556677889900"};
    for (size_t i = 0; i < 3; i++) {
        kf_request_form form;
        kf_error error = {KF_OK, ""};
        char text[256];
        (void)snprintf(text, sizeof text,
                       "{\"operation\":\"clear\",\"card\":{\"diversification_data\":\"%s\"}}", data[i]);
        assert_int_equal(read_text(text, &form, &error), KF_OK);
        assert_string_equal(form.identity, "");
        assert_int_equal(form.request.personalise, KF_PERSONALISE_IF_ABSENT);
    }
}

typedef struct refusal {
    const char *text;
    kf_code code;
    const char *because;
} refusal;

static void assert_refused(const refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kf_request_form form;
        kf_error error = {KF_OK, ""};
        memset(&form, 0x5A, sizeof form);
        kf_code code = read_text(cases[i].text, &form, &error);
        if (code != cases[i].code || strstr(error.message, cases[i].because) == NULL)
            fail_msg("%s: %s: %s", cases[i].text, kf_code_name(code), kf_error_text(&error));
        assert_int_equal(((const unsigned char *)&form)[0], 0x5A);
    }
}
#define ASSERT_REFUSED(cases) assert_refused(cases, sizeof(cases) / sizeof(cases)[0])

static void malformed_members_are_named(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {"{}", KF_ERR_FIELD, "operation"},
        {"{\"operation\":\"format\"," CARD "}", KF_ERR_OPERATION, "format"},
        {"{\"operation\":3," CARD "}", KF_ERR_FIELD, "operation"},
        {"{\"operation\":\"\"," CARD "}", KF_ERR_FIELD, "operation"},
        {"{" FILL "}", KF_ERR_FIELD, "card"},
        {"{" FILL "," CARD ",\"pin1\":\"1234\"}", KF_ERR_FIELD, "pin1"},
        {"{\"operation\":\"fill\"," CARD "}", KF_ERR_FIELD, "number: a fill needs"},
        {"{\"operation\":\"fill\",\"number\":\"86138a\"," CARD "}", KF_ERR_NUMBER, "number"},
        {"{\"operation\":\"fill\",\"number\":8613800000001," CARD "}", KF_ERR_FIELD, "number"},
        {"{\"operation\":\"fill\",\"number\":\"861380000000186138000\"," CARD "}", KF_ERR_FIELD, "number"},
        {"{\"operation\":\"refill\",\"number\":\"86138\"," CARD "}", KF_ERR_FIELD, "refill takes none"},
        {"{\"operation\":\"clear\",\"write_number\":true," CARD "}", KF_ERR_FIELD, "clear takes none"},
        {"{\"operation\":\"clear\",\"number_source\":\"card\"," CARD "}", KF_ERR_FIELD, "clear takes none"},
        {"{" FILL ",\"number_source\":\"guess\"," CARD "}", KF_ERR_FIELD, "guess"},
        {"{" FILL ",\"write_number\":\"yes\"," CARD "}", KF_ERR_FIELD, "write_number"},
        {"{" FILL ",\"category\":\"a b\"," CARD "}", KF_ERR_FIELD, "category"},
        {"{" FILL ",\"category\":\"\"," CARD "}", KF_ERR_FIELD, "category"},
        {"{" FILL ",\"terminal\":\"../x\"," CARD "}", KF_ERR_FIELD, "terminal"},
        {"{" FILL ",\"terminal\":null," CARD "}", KF_ERR_FIELD, "terminal"},
        {"{" FILL ",\"order\":\"a\\nb\"," CARD "}", KF_ERR_FIELD, "order"},
        {"{" FILL ",\"module\":\"m\"," CARD "}", KF_ERR_FIELD, "fill takes none"},
        {"{\"operation\":\"app-load\"," CARD "}", KF_ERR_MODULE, "app-load needs"},
        {"{\"operation\":\"app-delete\",\"module\":\"a/b\"," CARD "}", KF_ERR_FIELD, "module"},
    };
    ASSERT_REFUSED(cases);
}

static void malformed_card_reports_are_named(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {"{" FILL ",\"card\":[]}", KF_ERR_FIELD, "card"},
        {"{" FILL ",\"card\":{\"colour\":\"red\"}}", KF_ERR_FIELD, "colour"},
        {"{" FILL ",\"card\":{\"iccid\":\"8986g\"}}", KF_ERR_FIELD, "iccid"},
        {"{" FILL ",\"card\":{\"iccid\":\"898600000000000000001\"}}", KF_ERR_FIELD, "iccid"},
        {"{" FILL ",\"card\":{\"imsi\":\"46A\"}}", KF_ERR_FIELD, "imsi"},
        {"{" FILL ",\"card\":{\"imsi\":\"4600012345678901\"}}", KF_ERR_FIELD, "imsi"},
        {"{" FILL ",\"card\":{\"number\":86138}}", KF_ERR_FIELD, "number"},
        {"{" FILL ",\"card\":{\"atr\":\"3B0\"}}", KF_ERR_FIELD, "atr"},
        {"{" FILL ",\"card\":{\"cplc\":\"zz\"}}", KF_ERR_FIELD, "cplc"},
        {"{" FILL ",\"card\":{\"recognition_data\":7}}", KF_ERR_FIELD, "recognition_data"},
        {"{" FILL ",\"card\":{\"key_information\":\"\"}}", KF_ERR_FIELD, "key_information"},
        {"{" FILL ",\"card\":{\"diversification_data\":\"CF 0A\"}}", KF_ERR_FIELD, "diversification_data"},
    };
    ASSERT_REFUSED(cases);
}

static void malformed_personalisation_is_named(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {"{" FILL "," CARD ",\"personalisation\":[]}", KF_ERR_FIELD, "personalisation"},
        {"{" FILL "," CARD ",\"personalisation\":{\"Plan\":\"x\"}}", KF_ERR_FIELD, "Plan"},
        {"{" FILL "," CARD ",\"personalisation\":{\"\":\"x\"}}", KF_ERR_FIELD, "field name"},
        {"{" FILL "," CARD ",\"personalisation\":{\"plan\":\"\"}}", KF_ERR_FIELD, "plan"},
        {"{" FILL "," CARD ",\"personalisation\":{\"plan\":5}}", KF_ERR_FIELD, "plan"},
        {"{" FILL "," CARD ",\"personalisation\":{\"plan\":\"a\\tb\"}}", KF_ERR_FIELD, "plan"},
        {"{" FILL "," CARD ",\"personalise\":\"perhaps\"}", KF_ERR_FIELD, "perhaps"},
        {"{" FILL "," CARD ",\"personalise\":true}", KF_ERR_FIELD, "personalise"},
    };
    ASSERT_REFUSED(cases);
}

static void too_many_and_too_long_fields_are_refused(void **state)
{
    (void)state;
    kf_request_form form;
    for (unsigned excess = 0; excess < 2; excess++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer many = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer large = KF_BUFFER_INIT;
        kf_error error = {KF_OK, ""};
        kf_buffer_append_text(&many, "{" FILL "," CARD ",\"personalisation\":{");
        for (unsigned i = 0; i < KF_NAMED_VALUES_MAX + excess; i++)
            kf_buffer_format(&many, "%s\"f%u\":\"x\"", i == 0 ? "" : ",", i);
        kf_buffer_append_text(&many, "}}");
        kf_code wanted = excess == 0 ? KF_OK : KF_ERR_FIELD;
        assert_int_equal(read_text(kf_buffer_text(&many), &form, &error), wanted);
        kf_buffer_append_text(&large, "{" FILL "," CARD ",\"personalisation\":{\"plan\":\"");
        kf_buffer_append_fill(&large, 'x', KF_VALUE_TEXT_SIZE - 1 + excess);
        kf_buffer_append_text(&large, "\"}}");
        assert_int_equal(read_text(kf_buffer_text(&large), &form, &error), wanted);
    }
}

static void no_body_is_a_missing_member(void **state)
{
    (void)state;
    kf_request_form form;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_request_form_read(NULL, &form, &error), KF_ERR_FIELD);
    assert_int_equal(kf_request_form_read_card(NULL, &form, &error), KF_ERR_FIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_request_is_read),
        cmocka_unit_test(diversification_data_that_is_none_names_no_card),
        cmocka_unit_test(malformed_members_are_named),
        cmocka_unit_test(malformed_card_reports_are_named),
        cmocka_unit_test(malformed_personalisation_is_named),
        cmocka_unit_test(too_many_and_too_long_fields_are_refused),
        cmocka_unit_test(no_body_is_a_missing_member),
    };
    return cmocka_run_group_tests_name("kmu/request_form", tests, NULL, NULL);
}
