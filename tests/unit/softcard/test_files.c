#include "fixture.h"

#include <stdlib.h>

static void iccid_imsi_and_number_stand_in_their_files(void **state)
{
    (void)state;
    test_card test;
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "00A4000C022FE2", "9000");
    test_exchange(&test, "00B000000A", "988812010000400310F09000");
    test_exchange(&test, "00A4080C047F206F07", "9000");
    test_exchange(&test, "00B0000000", "0829261011608457409000");
    test_exchange(&test, "00A4080C047F106F40", "9000");
    test_exchange(&test, "00B201041C", "FFFFFFFFFFFFFFFFFFFFFFFFFFFF0891946110325476F8FFFFFFFFFF9000");
    test_exchange(&test, "00B203041C", "6A83");
    test_exchange(&test, "00A4040C07A0000000871002", "9000");
    test_exchange(&test, "00B0870000", "0829261011608457409000");
    test_card_clear(&test);
}

static void files_are_found_by_identifier_and_path_and_described(void **state)
{
    (void)state;
    test_card test;
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "00A40004027F1000",
                  "621E8202782183027F10A5038001718A01058C0100C6099001C083010183010A9000");
    test_exchange(&test, "00A40004026F4000", "621982054221001C0283026F408A01058C030312008002003888009000");
    test_exchange(&test, "00A4000C022FE2", "6A82");
    test_exchange(&test, "00A4000C023F00", "9000");
    test_exchange(&test, "00A4000C026F40", "6A82");
    test_exchange(&test, "00A4090C047F106FE1", "9000");
    test_exchange(&test, "00A4030C", "9000");
    test_exchange(&test, "80F2000000",
                  "621E8202782183023F00A5038001718A01058C0100C6099001C083010183010A9000");
    test_exchange(&test, "00A4080C037F106F", "6700");
    test_exchange(&test, "00A4070C023F00", "6A86");
    test_exchange(&test, "00A40001023F00", "6A86");
    test_exchange(&test, "00B0000001", "6986");
    test_exchange(&test, "00A4080C047F106F40", "9000");
    test_exchange(&test, "00B0000001", "6981");
    test_card_clear(&test);
}

static void updates_need_the_administrative_code(void **state)
{
    (void)state;
    test_card test;
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "00A4080C047F106FE1", "9000");
    test_exchange(&test, "00D6000002AABB", "6982");
    test_exchange(&test, "0020000A083838383838383838", "9000");
    test_exchange(&test, "00D6000002AABB", "9000");
    test_exchange(&test, "00D6003F02AABB", "6A84");
    test_exchange(&test, "00D6004001AA", "6B00");
    test_exchange(&test, "00B0000003", "AABBFF9000");
    test_exchange(&test, "00A4080C047F106F40", "9000");
    test_exchange(&test, "00DC010402AABB", "6700");
    test_exchange(&test, "00A4080C022FE2", "9000");
    test_exchange(&test, "00D6000001AA", "6982");
    test_card_revive(&test);
    test_exchange(&test, "00A4080C047F106FE1", "9000");
    test_exchange(&test, "00B0000002", "AABB9000");
    test_exchange(&test, "00D6000001AA", "6982");
    test_card_clear(&test);
}

static void a_code_that_is_wrong_too_often_is_blocked_for_good(void **state)
{
    (void)state;
    test_card test;
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "00200001", "63C3");
    test_exchange(&test, "002000010831323335FFFFFFFF", "63C2");
    test_exchange(&test, "002000010831323334FFFFFFFF", "9000");
    test_exchange(&test, "00200001", "63C3");
    test_exchange(&test, "002000010831323335FFFFFFFF", "63C2");
    test_exchange(&test, "002000010831323335FFFFFFFF", "63C1");
    test_card_revive(&test);
    test_exchange(&test, "002000010831323335FFFFFFFF", "63C0");
    test_exchange(&test, "002000010831323334FFFFFFFF", "6983");
    test_exchange(&test, "0020000104FFFFFFFF", "6983");
    test_exchange(&test, "0020000200", "6A88");
    test_exchange(&test, "0020000A0131", "6700");
    test_card_clear(&test);
}

static void a_number_may_need_the_holders_code(void **state)
{
    (void)state;
    test_card test;
    softcard_blueprint *blueprint = test_blueprint();
    blueprint->msisdn_needs_pin = true;
    blueprint->imsi_needs_pin = true;
    test_card_make(&test, blueprint);
    test_exchange(&test, "00A4080C047F106F40", "9000");
    test_exchange(&test, "00B201041C", "6982");
    test_exchange(&test, "00A4080C047F206F07", "9000");
    test_exchange(&test, "00B0000009", "6982");
    test_exchange(&test, "002000010831323334FFFFFFFF", "9000");
    test_exchange(&test, "00B0000009", "0829261011608457409000");
    test_exchange(&test, "00A4080C022FE2", "9000");
    test_exchange(&test, "00B0000001", "989000");
    softcard_power_on(test.card);
    test_exchange(&test, "00A4080C047F106F40", "9000");
    test_exchange(&test, "00B201041C", "6982");
    test_card_clear(&test);
}

static void channels_have_selections_of_their_own(void **state)
{
    (void)state;
    test_card test;
    softcard_blueprint *blueprint = test_blueprint();
    blueprint->logical_channels = 4;
    test_card_make(&test, blueprint);
    test_exchange(&test, "0070000001", "019000");
    test_exchange(&test, "0070000001", "029000");
    test_exchange(&test, "0070000300", "9000");
    test_exchange(&test, "0070000300", "6881");
    test_exchange(&test, "0070000001", "6A81");
    test_exchange(&test, "01A4080C022FE2", "9000");
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    test_exchange(&test, "01B0000001", "989000");
    test_exchange(&test, "00B0000001", "6D00");
    test_exchange(&test, "00708001", "9000");
    test_exchange(&test, "01B0000001", "6881");
    test_exchange(&test, "00708001", "6881");
    test_exchange(&test, "00708000", "6A86");
    test_exchange(&test, "00700004", "6A86");
    test_exchange(&test, "00A4000C022FE2", "9000");
    test_exchange(&test, "00B0000001", "989000");
    test_card_clear(&test);
}

static void a_t0_card_keeps_its_answer_for_get_response(void **state)
{
    (void)state;
    test_card test;
    softcard_blueprint *blueprint = test_blueprint();
    assert_int_equal(softcard_blueprint_set(&blueprint->atr, "3B00"), KF_OK);
    test_card_make(&test, blueprint);
    test_exchange(&test, "00A40004026F40", "6A82");
    test_exchange(&test, "00C0000020", "6D00");
    test_exchange(&test, "00A40004023F00", "6120");
    test_exchange(&test, "00C0000021", "6C20");
    test_exchange(&test, "00C0000020",
                  "621E8202782183023F00A5038001718A01058C0100C6099001C083010183010A9000");
    test_exchange(&test, "00C0000020", "6D00");
    test_exchange(&test, "00A4000C022FE2", "9000");
    test_exchange(&test, "00B0000002", "98889000");
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iccid_imsi_and_number_stand_in_their_files),
        cmocka_unit_test(files_are_found_by_identifier_and_path_and_described),
        cmocka_unit_test(updates_need_the_administrative_code),
        cmocka_unit_test(a_code_that_is_wrong_too_often_is_blocked_for_good),
        cmocka_unit_test(a_number_may_need_the_holders_code),
        cmocka_unit_test(channels_have_selections_of_their_own),
        cmocka_unit_test(a_t0_card_keeps_its_answer_for_get_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
