#include "fixture.h"

#include <string.h>

#include "softcard/apdu.h"
#include "softcard/tlv.h"

static kf_code parse(const char *text, softcard_command *command)
{
    static uint8_t bytes[600];
    kf_buffer buffer = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(text, &buffer), KF_OK);
    memcpy(bytes, buffer.data, buffer.size);
    kf_code code = softcard_command_parse(kf_view_of(bytes, buffer.size), command);
    kf_buffer_clear(&buffer);
    return code;
}

static void the_four_short_cases_are_understood(void **state)
{
    (void)state;
    softcard_command command;
    assert_int_equal(parse("00A40004", &command), KF_OK);
    assert_false(command.has_le);
    assert_int_equal(parse("00B0000000", &command), KF_OK);
    assert_int_equal(command.le, 256);
    assert_int_equal(parse("00A40004023F00", &command), KF_OK);
    assert_int_equal(command.data.size, 2);
    assert_false(command.has_le);
    assert_int_equal(parse("00A40004023F0010", &command), KF_OK);
    assert_int_equal(command.le, 16);
}

static void the_extended_cases_are_understood(void **state)
{
    (void)state;
    softcard_command command;
    assert_int_equal(parse("00B00000000000", &command), KF_OK);
    assert_true(command.extended && command.has_le);
    assert_int_equal(command.le, 65536);
    assert_int_equal(parse("00B00000000123", &command), KF_OK);
    assert_int_equal(command.le, 0x123);
    assert_int_equal(parse("00A400040000023F00", &command), KF_OK);
    assert_int_equal(command.data.size, 2);
    assert_false(command.has_le);
    assert_int_equal(parse("00A400040000023F000010", &command), KF_OK);
    assert_int_equal(command.le, 16);
}

static void class_bytes_carry_twenty_channels(void **state)
{
    (void)state;
    assert_int_equal(softcard_class_channel(0x83), 3);
    assert_int_equal(softcard_class_channel(0x40), 4);
    assert_int_equal(softcard_class_channel(0xEF), 19);
    assert_true(softcard_class_is_secured(0x84) && softcard_class_is_secured(0xE0));
    assert_false(softcard_class_is_secured(0x80) || softcard_class_is_secured(0xC4));
    assert_int_equal(softcard_class_for_mac(0xE3), 0x84);
    assert_int_equal(softcard_class_for_mac(0x87), 0x84);
    assert_false(softcard_class_is_known(0x90) || softcard_class_is_known(0xA0) ||
                 softcard_class_is_known(0x50));
}

static void lengths_that_do_not_agree_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "00A400",           "00A40004023F",    "00A40004023F000000", "00A40004000000013F0000",
        "00A4000400000000", "00A400040000023F"};
    softcard_command command;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(parse(wrong[i], &command), KF_ERR_APDU);
    static const uint8_t long_command[SOFTCARD_COMMAND_MAX + 1] = {0, 0xA4, 0, 0, 0, 0x10, 0x02};
    assert_int_equal(softcard_command_parse(KF_VIEW(long_command), &command), KF_ERR_APDU);
}

static void hostile_bytes_get_a_status_word_and_change_nothing(void **state)
{
    (void)state;
    test_card test;
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "00A400", "6700");
    test_exchange(&test, "00", "6700");
    test_exchange(&test, "08A40004023F00", "6E00");
    test_exchange(&test, "FFA40004023F00", "6E00");
    test_exchange(&test, "01A40004023F00", "6881");
    test_exchange(&test, "00FF000000", "6D00");
    test_exchange(&test, "80FF000000", "6D00");
    test_exchange(&test, "04A40004023F00", "6882");
    uint8_t bytes[300];
    uint32_t seed = 1;
    for (unsigned round = 0; round < 20000; round++) {
        kf_buffer answer = KF_BUFFER_INIT;
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(seed >> 24);
        }
        bytes[0] &= 0xE7;
        if (round % 2 == 0) bytes[4] = (uint8_t)(seed % 40);
        size_t size = round % 2 == 0 ? 5U + bytes[4] : seed % sizeof bytes;
        assert_int_equal(softcard_transmit(test.card, kf_view_of(bytes, size), &answer), KF_OK);
        assert_in_range(answer.size, 2, SOFTCARD_RESPONSE_MAX);
        kf_buffer_clear(&answer);
    }
    test_card_clear(&test);
}

static void objects_are_read_and_broken_ones_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x4F, 0x02, 0xA0, 0x00, 0x9F, 0x70, 0x81, 0x01, 0x07};
    static const uint8_t cut[] = {0x4F, 0x02, 0xA0};
    static const uint8_t indefinite[] = {0x4F, 0x80, 0x00, 0x00};
    static const uint8_t long_tag[] = {0x9F, 0x81, 0x01, 0x00};
    kf_view value;
    assert_int_equal(softcard_tlv_find(KF_VIEW(bytes), 0x9F70, &value), KF_OK);
    assert_int_equal(value.data[0], 0x07);
    assert_int_equal(softcard_tlv_find(KF_VIEW(bytes), 0x5C, &value), KF_ERR_NOT_FOUND);
    assert_int_equal(softcard_tlv_find(KF_VIEW(cut), 0x5C, &value), KF_ERR_TLV);
    assert_int_equal(softcard_tlv_find(KF_VIEW(indefinite), 0x5C, &value), KF_ERR_TLV);
    assert_int_equal(softcard_tlv_find(KF_VIEW(long_tag), 0x5C, &value), KF_ERR_TLV);
}

static void long_lengths_are_written_in_their_shortest_form(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 0x7F, 0x80, 0xFF, 0x100};
    static const size_t heads[] = {2, 2, 3, 3, 4};
    static const uint8_t zeros[0x100];
    for (size_t i = 0; i < 5; i++) {
        kf_buffer buffer = KF_BUFFER_INIT;
        kf_view value;
        softcard_tlv_append(&buffer, 0xE0, kf_view_of(zeros, sizes[i]));
        assert_int_equal(buffer.size, heads[i] + sizes[i]);
        assert_int_equal(softcard_tlv_find(kf_buffer_view(&buffer), 0xE0, &value), KF_OK);
        assert_int_equal(value.size, sizes[i]);
        kf_buffer_clear(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_four_short_cases_are_understood),
        cmocka_unit_test(the_extended_cases_are_understood),
        cmocka_unit_test(class_bytes_carry_twenty_channels),
        cmocka_unit_test(lengths_that_do_not_agree_are_refused),
        cmocka_unit_test(hostile_bytes_get_a_status_word_and_change_nothing),
        cmocka_unit_test(objects_are_read_and_broken_ones_refused),
        cmocka_unit_test(long_lengths_are_written_in_their_shortest_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
