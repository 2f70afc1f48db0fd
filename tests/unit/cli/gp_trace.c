/* What --trace of `keyfill gp` shows, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <keyfill/hex.h>

#include "cli/gp.h"

static void assert_shown(const char *command_digits, const char *instead, const char *wanted)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer command = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(command_digits, &command), KF_OK);
    kf_gp_trace_command(kf_buffer_view(&command), instead, &text);
    assert_string_equal(kf_buffer_text(&text), wanted);
}

static void a_command_without_secrets_is_shown_whole(void **state)
{
    (void)state;
    assert_shown("80F28002024F0000", NULL, "80F28002 Lc=02 4F00 Le=00");
    assert_shown("80CA9F7F00", NULL, "80CA9F7F Le=00");
    assert_shown("00A40000", NULL, "00A40000");
}

static void codes_keys_and_personalisation_are_shown_by_their_length(void **state)
{
    static const char *const instructions[] = {"20", "24", "26", "28", "2C", "D8", "DA", "E2", "D6",
                                               "DC", "D0", "D2", "21", "D7", "DD", "DB", "E3", "C2"};
    (void)state;
    for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++) {
        char command[32] = "00";
        char wanted[64] = "00";
        strcat(strcat(command, instructions[i]), "000A0431323334");
        strcat(strcat(wanted, instructions[i]), "000A Lc=04 *** (4 bytes)");
        assert_shown(command, NULL, wanted);
    }
}

static void other_words_may_stand_in_place_of_the_data(void **state)
{
    (void)state;
    assert_shown("80D80081043132333400", "check value 112233", "80D80081 Lc=04 check value 112233 Le=00");
}

static void install_shows_what_it_is_about_and_not_its_parameters(void **state)
{
    (void)state;
    assert_shown(
        "80E60C002307D276000085010108D27600008501010108D2760000850101010100"
        "05C903C0FFEE0000",
        NULL,
        "80E60C00 Lc=23 D2760000850101 D276000085010101 D276000085010101 00 parameters *** (5 bytes) "
        "Le=00");
    assert_shown("80E602000C07D27600008501010000000000", NULL, "80E60200 Lc=0C D2760000850101 - -  Le=00");
    /* What is not whole, or protected by the user, is not looked into. */
    assert_shown("80E68C0003C0FFEE", NULL, "80E68C00 Lc=03 *** (3 bytes)");
    assert_shown("84E60C0003C0FFEE", NULL, "84E60C00 Lc=03 *** (3 bytes)");
    assert_shown("80E60C0003C0FFEE", NULL, "80E60C00 Lc=03 *** (3 bytes)");
}

static void answers_are_shown_but_for_session_keys(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"80CA004200", "4203010203", "4203010203 9000: done"},
        {"0088008100", "DB08A1A2A3A4A5A6A7A8", "*** (10 bytes) 9000: done"},
        {"0088008100", "", "9000: done"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer command = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
        assert_int_equal(kf_hex_decode_append(rows[i][0], &command), KF_OK);
        if (rows[i][1][0] != '\0') assert_int_equal(kf_hex_decode_append(rows[i][1], &data), KF_OK);
        kf_gp_trace_answer(kf_buffer_view(&command), kf_buffer_view(&data), 0x9000, &text);
        assert_string_equal(kf_buffer_text(&text), rows[i][2]);
    }
}

static void what_is_no_command_is_not_shown(void **state)
{
    (void)state;
    assert_shown("0020000A0531323334", NULL, "*** (9 bytes that are no command)");
    assert_shown("0020", NULL, "*** (2 bytes that are no command)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_without_secrets_is_shown_whole),
        cmocka_unit_test(codes_keys_and_personalisation_are_shown_by_their_length),
        cmocka_unit_test(other_words_may_stand_in_place_of_the_data),
        cmocka_unit_test(install_shows_what_it_is_about_and_not_its_parameters),
        cmocka_unit_test(answers_are_shown_but_for_session_keys),
        cmocka_unit_test(what_is_no_command_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
