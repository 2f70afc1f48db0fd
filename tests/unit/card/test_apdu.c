#include "hex_bytes.h"

#include <keyfill/apdu.h>

static void assert_refused(const char *digits)
{
    BYTES(bytes, digits);
    kf_command command = {.cla = 0x55};
    assert_int_equal(kf_command_parse(kf_buffer_view(&bytes), &command), KF_ERR_APDU);
    assert_int_equal(command.cla, 0x55);
}

static void each_form_of_a_command_survives_parsing_and_encoding(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "00A40400",
        "00A4040000",
        "80F2400105",
        "00D600000101",
        "00D60000010100",
        "00B0000000FFFF",
        "00B00000000000",
        "00D60000000002AABB",
        "00D60000000001AA0000",
        "00D60000000001AA0100",
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        BYTES(bytes, forms[i]);
        EMPTY(again);
        kf_command command;
        assert_int_equal(kf_command_parse(kf_buffer_view(&bytes), &command), KF_OK);
        assert_int_equal(kf_command_encode(&command, &again), KF_OK);
        assert_bytes(kf_buffer_view(&again), forms[i]);
    }
}

static void an_absent_le_and_a_zero_le_are_told_apart(void **state)
{
    (void)state;
    kf_command command;
    BYTES(without, "80F2400002AABB");
    assert_int_equal(kf_command_parse(kf_buffer_view(&without), &command), KF_OK);
    assert_false(command.has_le);
    BYTES(with, "80F2400002AABB00");
    assert_int_equal(kf_command_parse(kf_buffer_view(&with), &command), KF_OK);
    assert_true(command.has_le);
    assert_int_equal(command.le, 256);
}

static void malformed_commands_are_refused(void **state)
{
    (void)state;
    assert_refused("");
    assert_refused("00A404");
    assert_refused("00A4040002AA");       /* Lc says more than there is */
    assert_refused("00A4040001AA0000");   /* bytes behind Le */
    assert_refused("00A404000000");       /* extended, cut off */
    assert_refused("00A40400000002AA");   /* extended Lc says more */
    assert_refused("00A40400000001AA00"); /* extended Le of one byte */
    assert_refused("00A4040000000000");   /* extended Lc 0 with more behind */
}

static void lengths_that_do_not_fit_the_form_are_not_encoded(void **state)
{
    (void)state;
    static const uint8_t data[KF_COMMAND_EXTENDED_MAX + 1];
    EMPTY(bytes);
    kf_command too_long = {.data = {data, 256}};
    assert_int_equal(kf_command_encode(&too_long, &bytes), KF_ERR_APDU);
    kf_command le_too_large = {.has_le = true, .le = 257};
    assert_int_equal(kf_command_encode(&le_too_large, &bytes), KF_ERR_APDU);
    kf_command le_zero = {.has_le = true, .le = 0};
    assert_int_equal(kf_command_encode(&le_zero, &bytes), KF_ERR_APDU);
    kf_command extended_too_long = {.data = {data, sizeof(data)}, .extended = true};
    assert_int_equal(kf_command_encode(&extended_too_long, &bytes), KF_ERR_APDU);
    kf_command extended_empty = {.extended = true};
    assert_int_equal(kf_command_encode(&extended_empty, &bytes), KF_ERR_APDU);
    assert_int_equal(bytes.size, 0);
}

static void a_response_needs_a_status_word(void **state)
{
    (void)state;
    kf_response response;
    static const char *const wrong[] = {"", "90", "AABB", "0000", "6000", "8000"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BYTES(bytes, wrong[i]);
        assert_int_equal(kf_response_parse(kf_buffer_view(&bytes), &response), KF_ERR_APDU);
    }
    BYTES(good, "0102036A82");
    assert_int_equal(kf_response_parse(kf_buffer_view(&good), &response), KF_OK);
    assert_int_equal(response.status_word, 0x6A82);
    assert_bytes(response.data, "010203");
}

static void every_status_word_has_an_explanation(void **state)
{
    (void)state;
    for (unsigned sw = 0; sw <= 0xFFFF; sw++) {
        assert_true(strlen(kf_status_word_explain((uint16_t)sw)) > 3);
        kf_status_word_text text = kf_status_word_show((uint16_t)sw);
        assert_non_null(memchr(text.text, 0, sizeof(text.text)));
    }
    assert_non_null(strstr(kf_status_word_show(0x63C2).text, "2 tries left"));
    assert_non_null(strstr(kf_status_word_show(0x6982).text, "6982: security status not satisfied"));
    kf_error error = {0};
    assert_int_equal(kf_fail_status_word(&error, "DELETE", 0x6A88), KF_ERR_STATUS_WORD);
    assert_non_null(strstr(kf_error_text(&error), "DELETE: the card answers 6A88"));
}

static void logical_channels_go_into_the_class_byte_and_out_again(void **state)
{
    (void)state;
    assert_int_equal(kf_class_with_channel(0x84, 3), 0x87);
    assert_int_equal(kf_class_with_channel(0x84, 4), 0xE0);
    assert_int_equal(kf_class_with_channel(0x00, 19), 0x4F);
    assert_int_equal(kf_class_with_channel(0x80, 20), 0x80);
    static const uint8_t classes[] = {0x00, 0x80, 0x04, 0x84};
    for (size_t i = 0; i < sizeof(classes); i++)
        for (unsigned channel = 0; channel < 20; channel++) {
            uint8_t cla = kf_class_with_channel(classes[i], channel);
            assert_int_equal(kf_class_channel(cla), channel);
            assert_int_equal(kf_class_is_secure(cla), kf_class_is_secure(classes[i]));
            assert_int_equal(kf_class_with_channel(cla, 0), classes[i]);
        }
}

static void a_command_list_is_bounded(void **state)
{
    (void)state;
    KF_CLEANUP(kf_command_list_clear) kf_command_list list = {0};
    for (size_t i = 0; i < KF_COMMAND_LIST_MAX; i++)
        assert_non_null(kf_command_list_append(&list));
    assert_null(kf_command_list_append(&list));
}

static void commands_are_put_on_a_channel_and_extended(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        unsigned channel;
        const char *moved;
    } cases[] = {{"80F28002024F0000", 0, "80F28002024F0000"},
                 {"80F28002024F0000", 3, "83F28002024F0000"},
                 {"00A4040000", 4, "40A4040000"},
                 {"00A4040000", 19, "4FA4040000"},
                 {"84F2800200", 5, "E1F2800200"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        BYTES(apdu, cases[i].command);
        assert_int_equal(kf_command_set_channel(&apdu, cases[i].channel), KF_OK);
        assert_bytes(kf_buffer_view(&apdu), cases[i].moved);
        assert_int_equal(kf_class_channel(apdu.data[0]), cases[i].channel);
        assert_int_equal(kf_command_set_channel(&apdu, 20), KF_ERR_ARGUMENT);
    }
    EMPTY(none);
    assert_int_equal(kf_command_set_channel(&none, 1), KF_ERR_ARGUMENT);
    static const struct {
        const char *command;
        size_t le;
        const char *extended;
    } forms[] = {{"80CA006600", 0, "80CA0066000000"},
                 {"80CA006600", 1000, "80CA00660003E8"},
                 {"80E2800002AABB", 0, "80E28000000002AABB"},
                 {"80E2800002AABB10", 0, "80E28000000002AABB0010"},
                 {"80F20000", 0, "80F20000"},
                 {"80F20000", 65536, "80F20000000000"}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        BYTES(apdu, forms[i].command);
        EMPTY(extended);
        assert_int_equal(kf_command_extend(kf_buffer_view(&apdu), forms[i].le, &extended), KF_OK);
        assert_bytes(kf_buffer_view(&extended), forms[i].extended);
    }
}

static void commands_are_mapped_for_t0(void **state)
{
    (void)state;
    static const char *const forms[][2] = {{"00200001", "0020000100"},
                                           {"80CA006600", "80CA006600"},
                                           {"80E60200020102", "80E60200020102"},
                                           {"80E6020002010200", "80E60200020102"}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        BYTES(apdu, forms[i][0]);
        EMPTY(tpdu);
        assert_int_equal(kf_command_for_t0(kf_buffer_view(&apdu), &tpdu), KF_OK);
        assert_bytes(kf_buffer_view(&tpdu), forms[i][1]);
    }
    BYTES(extended, "80E60200000002010200");
    BYTES(shorter, "80E602");
    EMPTY(tpdu);
    assert_int_equal(kf_command_for_t0(kf_buffer_view(&extended), &tpdu), KF_ERR_APDU);
    assert_int_equal(kf_command_for_t0(kf_buffer_view(&shorter), &tpdu), KF_ERR_APDU);
}

static void an_answer_that_is_not_whole_is_continued(void **state)
{
    (void)state;
    static const struct {
        const char *sent;
        uint16_t status_word;
        const char *next;
    } cases[] = {
        {"80CA006600", 0x9000, ""},
        {"80CA006600", 0x6A88, ""},
        {"80CA006600", 0x611C, "00C000001C"},
        {"84CA006600", 0x6100, "00C0000000"},
        {"82F24002024F00", 0x6105, "02C0000005"},
        {"C3F24002024F00", 0x6105, "43C0000005"},
        {"E3F24002024F00", 0x6105, "43C0000005"},
        {"A0A40000023F00", 0x9F16, ""},
        {"A0A40000023F00", 0x6116, "A0C0000016"},
        {"80CA006600", 0x6C1C, "80CA00661C"},
        {"00B0000005", 0x6C00, "00B0000000"},
        {"80F24002024F0000", 0x6C1C, ""},
        {"80CA0066000100", 0x6C1C, "80CA006600001C"},
        {"00200001", 0x6C08, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        BYTES(sent, cases[i].sent);
        EMPTY(next);
        assert_int_equal(kf_command_continue(kf_buffer_view(&sent), cases[i].status_word, &next), KF_OK);
        assert_bytes(kf_buffer_view(&next), cases[i].next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_put_on_a_channel_and_extended),
        cmocka_unit_test(commands_are_mapped_for_t0),
        cmocka_unit_test(an_answer_that_is_not_whole_is_continued),
        cmocka_unit_test(each_form_of_a_command_survives_parsing_and_encoding),
        cmocka_unit_test(an_absent_le_and_a_zero_le_are_told_apart),
        cmocka_unit_test(malformed_commands_are_refused),
        cmocka_unit_test(lengths_that_do_not_fit_the_form_are_not_encoded),
        cmocka_unit_test(a_response_needs_a_status_word),
        cmocka_unit_test(every_status_word_has_an_explanation),
        cmocka_unit_test(logical_channels_go_into_the_class_byte_and_out_again),
        cmocka_unit_test(a_command_list_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
