#include "fixture.h"

#include <string.h>

#include "softcard/control.h"
#include "softcard/vpicc.h"

static void feed(test_card *test, kf_buffer *input, const char *bytes, kf_code code, const char *expected)
{
    kf_buffer given = KF_BUFFER_INIT;
    kf_buffer output = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(bytes, &given), KF_OK);
    assert_int_equal(softcard_vpicc_feed(test->card, input, kf_buffer_view(&given), &output), code);
    kf_buffer_append_hex(&text, kf_buffer_view(&output));
    assert_string_equal(kf_buffer_text(&text), expected);
    kf_buffer_clear(&given);
    kf_buffer_clear(&output);
    kf_buffer_clear(&text);
}

static void messages_are_answered_however_they_are_cut(void **state)
{
    (void)state;
    test_card test;
    kf_buffer input = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    softcard_power_off(test.card);
    feed(&test, &input, "000104", KF_OK, "00113BF71300008131FE454B455946494C4CB7");
    feed(&test, &input, "00", KF_OK, "");
    feed(&test, &input, "0101", KF_OK, "");
    feed(&test, &input, "000700A4000C02", KF_OK, "");
    feed(&test, &input, "2FE2", KF_OK, "00029000");
    feed(&test, &input,
         "000500B0000001"
         "000500B0000001"
         "0000"
         "0001",
         KF_OK,
         "0003989000"
         "0003989000");
    feed(&test, &input,
         "02"
         "000500B0000001",
         KF_OK, "00026986");
    assert_int_equal(input.size, 0);
    feed(&test, &input, "2001", KF_ERR_TOO_LONG, "");
    kf_buffer_clear(&input);
    test_card_clear(&test);
}

static void a_card_without_power_ends_the_connection(void **state)
{
    (void)state;
    test_card test;
    kf_buffer input = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    feed(&test, &input,
         "000100"
         "000500B0000001",
         KF_ERR_CARD_REMOVED, "");
    kf_buffer_clear(&input);
    test_card_clear(&test);
}

static softcard_wish obey(test_card *test, const char *line, const char *expected)
{
    kf_buffer answer = KF_BUFFER_INIT;
    softcard_wish wish = softcard_control_line(test->card, line, &answer);
    assert_string_equal(kf_buffer_text(&answer), expected);
    kf_buffer_clear(&answer);
    return wish;
}

static void control_lines_say_what_is_to_happen(void **state)
{
    (void)state;
    test_card test;
    kf_buffer answer = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    assert_int_equal(obey(&test, "remove", "ok\n"), SOFTCARD_WISH_REMOVE);
    assert_int_equal(obey(&test, "insert", "ok\n"), SOFTCARD_WISH_INSERT);
    assert_int_equal(obey(&test, "quit", "ok\n"), SOFTCARD_WISH_QUIT);
    assert_int_equal(obey(&test, "tear 1 before", "ok\n"), SOFTCARD_WISH_NONE);
    static const uint8_t command[] = {0, 0xB0, 0, 0, 1};
    assert_int_equal(softcard_transmit(test.card, KF_VIEW(command), &answer), KF_ERR_CARD_REMOVED);
    obey(&test, "tear 0 before",
         "error: tear: \"0 before\" is not a command's number from 1 and before or after\n");
    obey(&test, "tear -1 after",
         "error: tear: \"-1 after\" is not a command's number from 1 and before or after\n");
    obey(&test, "tear 2 never",
         "error: tear: \"2 never\" is not a command's number from 1 and before or after\n");
    obey(&test, "dance", "error: \"dance\" is none of tear N before|after, remove, insert, show, quit\n");
    test_card_clear(&test);
}

static void what_is_shown_holds_no_key(void **state)
{
    (void)state;
    test_card test;
    kf_buffer text = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    assert_int_equal(softcard_show(test.card, &text), KF_OK);
    assert_non_null(strstr(kf_buffer_text(&text), "iccid: 8988211000000430010\n"));
    assert_non_null(strstr(kf_buffer_text(&text), "msisdn: 4916012345678\n"));
    assert_non_null(strstr(kf_buffer_text(&text), "imsi: 262011106487504\n"));
    assert_non_null(strstr(kf_buffer_text(&text), "KCV 1:504A77 2:504A77 3:504A77\n"));
    assert_null(strstr(kf_buffer_text(&text), TEST_KEY));
    assert_null(strstr(kf_buffer_text(&text), "3838"));
    kf_buffer_clear(&text);
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_answered_however_they_are_cut),
        cmocka_unit_test(a_card_without_power_ends_the_connection),
        cmocka_unit_test(control_lines_say_what_is_to_happen),
        cmocka_unit_test(what_is_shown_holds_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
