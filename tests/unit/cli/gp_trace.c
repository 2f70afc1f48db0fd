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
                                               "DC", "D0", "D2", "21", "D7", "DD", "DB", "E3"};
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
        cmocka_unit_test(what_is_no_command_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
