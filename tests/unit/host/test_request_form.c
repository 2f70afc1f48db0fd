#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/orders.h"
#include "host/request_form.h"
#include "host_fixture.h"
#include "wire/json.h"

#define ID "\"id\":\"6f1c0000000000000000000000000001\""
#define CARD "\"card\":{\"iccid\":\"8986001234567890123F\"}"
#define FILL ID ",\"operation\":\"fill\"," CARD

static kf_code read_form(const char *body, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_of(body);
    kf_request_form form;
    return kf_request_form_read(json, &form, error);
}

static void assert_refused(const char *body, kf_code code, const char *said)
{
    kf_error error = {KF_OK, ""};
    kf_code got = read_form(body, &error);
    if (got != code || strstr(error.message, said) == NULL)
        fail_msg("%s gave %s: %s", body, kf_code_name(got), error.message);
}

static void every_operation_is_read(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{" FILL ",\"number_source\":\"allocate\"}",
        "{" FILL ",\"number_source\":\"typed\",\"number\":\"123\",\"category\":\"c\",\"order\":\"o\","
        "\"personalisation\":{\"plan\":\"x\"},\"personalise\":\"never\"}",
        "{" ID
        ",\"operation\":\"fill\",\"card\":{\"number\":\"12345678901234567890\"},\"number_source\":\"card\"}",
        "{" ID ",\"operation\":\"refill\"," CARD "}",
        "{" ID ",\"operation\":\"clear\",\"card\":{}}",
        "{" ID ",\"operation\":\"app-list\"," CARD "}",
        "{" ID ",\"operation\":\"app-load\"," CARD ",\"module\":\"wallet-1.0\"}",
        "{" ID ",\"operation\":\"app-delete\"," CARD ",\"module\":\"wallet-1.0\"}",
    };
    kf_error error = {KF_OK, ""};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_int_equal(read_form(bodies[i], &error), KF_OK);
}

static void the_number_source_follows_from_what_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        kf_number_source source;
    } cases[] = {
        {"{" FILL "}", KF_NUMBER_ALLOCATE},
        {"{" FILL ",\"number\":\"123456\"}", KF_NUMBER_TYPED},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"number\":\"123456\"}}", KF_NUMBER_OF_CARD},
        {"{" ID ",\"operation\":\"refill\"," CARD "}", KF_NUMBER_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kf_error error = {KF_OK, ""};
        KF_CLEANUP(kf_json_free) json_t *json = json_of(cases[i].body);
        kf_request_form form;
        assert_int_equal(kf_request_form_read(json, &form, &error), KF_OK);
        assert_int_equal(form.number_source, cases[i].source);
    }
}

static void the_most_lasting_identifier_is_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *card;
        const char *reference;
    } cases[] = {
        {"{\"iccid\":\"8986001234567890\",\"cplc\":\"9F7F\"}", "iccid:8986001234567890"},
        {"{\"diversification_data\":\"CF0A\",\"cplc\":\"9F7F\"}", "kdd:CF0A"},
        {"{\"cplc\":\"9F7F\"}", "cplc:9F7F"},
        {"{\"atr\":\"3B80\"}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[256];
        (void)snprintf(body, sizeof body, "{" ID ",\"operation\":\"clear\",\"card\":%s}", cases[i].card);
        kf_error error = {KF_OK, ""};
        KF_CLEANUP(kf_json_free) json_t *json = json_of(body);
        kf_request_form form;
        assert_int_equal(kf_request_form_read(json, &form, &error), KF_OK);
        assert_string_equal(form.card_reference, cases[i].reference);
    }
}

static void unknown_operations_have_a_code_of_their_own(void **state)
{
    (void)state;
    assert_refused("{" ID ",\"operation\":\"sell\"," CARD "}", KF_ERR_OPERATION, "sell");
    assert_refused("{" ID ",\"operation\":\"Fill\"," CARD "}", KF_ERR_OPERATION, "Fill");
}

static void typed_numbers_that_are_none_have_a_code_of_their_own(void **state)
{
    (void)state;
    assert_refused("{" FILL ",\"number\":\"12\"}", KF_ERR_NUMBER, "'12'");
    assert_refused("{" FILL ",\"number\":\"123456789012345678901\"}", KF_ERR_NUMBER, "123456789012345678901");
    assert_refused("{" FILL ",\"number\":\"86138a00001\"}", KF_ERR_NUMBER, "86138a00001");
}

static void wrong_members_are_named(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{" FILL ",\"terminal\":\"t9\"}", "terminal"},
        {"{" FILL ",\"write_number\":true}", "write_number"},
        {"{\"operation\":\"fill\"," CARD "}", "id"},
        {"{\"id\":\"6F1C0000000000000000000000000001\",\"operation\":\"fill\"," CARD "}", "6F1C"},
        {"{\"id\":\"6f1c\",\"operation\":\"fill\"," CARD "}", "6f1c"},
        {"{" ID "," CARD "}", "operation"},
        {"{" ID ",\"operation\":\"fill\"}", "card"},
        {"{" ID ",\"operation\":\"fill\",\"card\":\"x\"}", "card"},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"eid\":\"1\"}}", "eid"},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"iccid\":\"\"}}", "iccid"},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"iccid\":\"898600123456789012345\"}}", "iccid"},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"iccid\":\"8986001234567890123x\"}}", "iccid"},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"imsi\":\"46000A\"}}", "imsi"},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"number\":\"+86138\"}}", "number"},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"atr\":\"3B8\"}}", "atr"},
        {"{" ID ",\"operation\":\"fill\",\"card\":{\"cplc\":\"XY\"}}", "cplc"},
        {"{" FILL ",\"number_source\":\"guess\"}", "guess"},
        {"{" FILL ",\"number_source\":\"typed\"}", "number"},
        {"{" FILL ",\"number_source\":\"card\"}", "number"},
        {"{" FILL ",\"number_source\":\"allocate\",\"number\":\"123456\"}", "123456"},
        {"{" FILL ",\"number\":123456}", "number"},
        {"{" ID ",\"operation\":\"refill\"," CARD ",\"number\":\"123456\"}", "number"},
        {"{" ID ",\"operation\":\"clear\"," CARD ",\"number_source\":\"card\"}", "number_source"},
        {"{" FILL ",\"category\":\"a/b\"}", "a/b"},
        {"{" FILL ",\"category\":\"\"}", "category"},
        {"{" FILL ",\"personalise\":\"sometimes\"}", "personalise"},
        {"{" FILL ",\"personalisation\":{\"plan\":7}}", "plan"},
        {"{" FILL ",\"personalisation\":{\"a b\":\"x\"}}", "a b"},
        {"{" FILL ",\"personalisation\":{\"a123456789012345678901234567890123\":\"x\"}}", "at most 32"},
        {"{" FILL ",\"personalisation\":[]}", "personalisation"},
        {"{" FILL ",\"module\":\"wallet\"}", "wallet"},
        {"{" ID ",\"operation\":\"app-load\"," CARD "}", "module"},
        {"{" ID ",\"operation\":\"app-delete\"," CARD ",\"module\":\"../x\"}", "../x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(cases[i][0], KF_ERR_FIELD, cases[i][1]);
}

/* `{FILL,"personalisation":{…}}` with `count` fields, or one field of `size` bytes. */
static json_t *with_personalisation(size_t count, size_t size)
{
    json_t *json = json_of("{" FILL "}");
    json_t *fields = json_object();
    for (size_t i = 0; i < count; i++) {
        char name[32];
        static char value[KF_PERSONALISATION_VALUE_MAX + 2];
        (void)snprintf(name, sizeof name, "field%zu", i);
        memset(value, 'v', size);
        value[size] = '\0';
        assert_int_equal(kf_json_set_text(fields, name, value), KF_OK);
    }
    assert_int_equal(kf_json_set(json, "personalisation", fields), KF_OK);
    return json;
}

static void personalisation_has_caps(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        size_t size;
        kf_code code;
    } cases[] = {
        {KF_PERSONALISATION_MAX, 1, KF_OK},
        {KF_PERSONALISATION_MAX + 1, 1, KF_ERR_FIELD},
        {1, KF_PERSONALISATION_VALUE_MAX, KF_OK},
        {1, KF_PERSONALISATION_VALUE_MAX + 1, KF_ERR_FIELD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kf_error error = {KF_OK, ""};
        kf_request_form form;
        KF_CLEANUP(kf_json_free) json_t *json = with_personalisation(cases[i].count, cases[i].size);
        assert_int_equal(kf_request_form_read(json, &form, &error), cases[i].code);
    }
}

#define HEAD "\"step\":1,\"attempt\":1,\"token\":\"AAAA\""

static kf_code check_message(const char *body, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_of(body);
    return kf_request_message_check(json, error);
}

static void messages_are_checked_member_by_member(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    assert_int_equal(
        check_message("{" HEAD ",\"answers\":[{\"entry\":0,\"response\":\"6F009000\"}]}", &error), KF_OK);
    assert_int_equal(check_message("{" HEAD ",\"answers\":[],\"stopped\":\"card-removed\"}", &error), KF_OK);
    static const char *const wrong[] = {
        "{" HEAD "}",
        "{" HEAD ",\"answers\":[],\"stopped\":\"bored\"}",
        "{" HEAD ",\"answers\":[],\"extra\":1}",
        "{" HEAD ",\"answers\":[{\"entry\":0,\"response\":\"90\"}]}",
        "{" HEAD ",\"answers\":[{\"entry\":0,\"response\":\"9x00\"}]}",
        "{" HEAD ",\"answers\":[{\"entry\":1,\"response\":\"9000\"},{\"entry\":0,\"response\":\"9000\"}]}",
        "{" HEAD ",\"answers\":[{\"entry\":-1,\"response\":\"9000\"}]}",
        "{\"step\":-1,\"attempt\":1,\"token\":\"AAAA\",\"answers\":[]}",
        "{\"step\":1,\"attempt\":\"1\",\"token\":\"AAAA\",\"answers\":[]}",
        "{\"step\":1,\"attempt\":1,\"answers\":[]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (check_message(wrong[i], &error) != KF_ERR_FIELD) fail_msg("%s was taken", wrong[i]);
}

static kf_code put(host_fixture *fixture, const char *name, const char *body)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_of(body);
    return kf_orders_put(&fixture->host, name, json, "administrator:anna", &fixture->error);
}

static void an_order_is_put_got_listed_and_put_again(void **state)
{
    host_fixture *fixture = *state;
    const char *body = "{\"category\":\"north\",\"number_source\":\"pool\",\"write_number\":false,"
                       "\"personalisation\":{\"plan\":\"5G-59\"},\"personalise\":\"always\"}";
    KF_CLEANUP(kf_json_free) json_t *order = NULL;
    KF_CLEANUP(kf_json_free) json_t *list = NULL;
    assert_int_equal(put(fixture, "b", "{}"), KF_OK);
    assert_int_equal(put(fixture, "a", "{}"), KF_OK);
    assert_int_equal(put(fixture, "a", body), KF_OK);
    assert_int_equal(kf_orders_get(&fixture->host, "a", &order, &fixture->error), KF_OK);
    KF_CLEANUP(kf_json_free) json_t *expected = json_of(body);
    assert_true(json_equal(order, expected));
    assert_int_equal(kf_orders_list(&fixture->host, &list, &fixture->error), KF_OK);
    const json_t *first = json_array_get(json_object_get(list, "orders"), 0);
    assert_int_equal(json_array_size(json_object_get(list, "orders")), 2);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "a");
    assert_string_equal(json_string_value(json_object_get(first, "category")), "north");
    assert_int_equal(audit_rows(fixture), 3);
}

static void orders_that_make_no_sense_are_refused(void **state)
{
    host_fixture *fixture = *state;
    static const char *const wrong[] = {
        "{\"colour\":\"red\"}",
        "{\"number\":12}",
        "{\"number_source\":\"shop\"}",
        "{\"number\":\"123456\",\"number_source\":\"pool\"}",
        "{\"write_number\":\"yes\"}",
        "{\"personalise\":\"perhaps\"}",
        "{\"personalisation\":{\"plan\":null}}",
        "{\"category\":\"a b\"}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (put(fixture, "a", wrong[i]) != KF_ERR_FIELD) fail_msg("%s was taken", wrong[i]);
    assert_int_equal(put(fixture, "a/b", "{}"), KF_ERR_FIELD);
    assert_int_equal(put(fixture, "", "{}"), KF_ERR_FIELD);
    KF_CLEANUP(kf_json_free) json_t *order = NULL;
    assert_int_equal(kf_orders_get(&fixture->host, "a", &order, &fixture->error), KF_ERR_NOT_FOUND);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, host_set_up, host_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_read),
        cmocka_unit_test(the_number_source_follows_from_what_is_given),
        cmocka_unit_test(the_most_lasting_identifier_is_the_reference),
        cmocka_unit_test(unknown_operations_have_a_code_of_their_own),
        cmocka_unit_test(typed_numbers_that_are_none_have_a_code_of_their_own),
        cmocka_unit_test(wrong_members_are_named),
        cmocka_unit_test(personalisation_has_caps),
        cmocka_unit_test(messages_are_checked_member_by_member),
        TEST(an_order_is_put_got_listed_and_put_again),
        TEST(orders_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests_name("host/request_form", tests, NULL, NULL);
}
