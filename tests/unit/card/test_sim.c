#include "hex_bytes.h"

#include <stdio.h>

#include <keyfill/sim.h>

#define ASSERT_BUILDS(call, digits)                                                                          \
    do {                                                                                                     \
        EMPTY(apdu);                                                                                         \
        assert_int_equal(call, KF_OK);                                                                       \
        assert_bytes(kf_buffer_view(&apdu), digits);                                                         \
    } while (0)

static void commands_are_encoded_as_the_specification_lays_them_out(void **state)
{
    (void)state;
    static const uint16_t path[] = {KF_FILE_DF_TELECOM, KF_FILE_MSISDN};
    static const uint8_t data[] = {0xAA, 0xBB};
    static const uint8_t pin[] = {'1', '2', '3', '4'};
    ASSERT_BUILDS(kf_sim_select_path(path, 2, &apdu), "00A40804047F106F4000");
    ASSERT_BUILDS(kf_sim_select_path(NULL, 0, &apdu), "00A40004023F0000");
    ASSERT_BUILDS(kf_sim_select_file(KF_FILE_ICCID, &apdu), "00A40004022FE200");
    ASSERT_BUILDS(kf_sim_read_binary(0x0102, 10, &apdu), "00B001020A");
    ASSERT_BUILDS(kf_sim_update_binary(0, KF_VIEW(data), &apdu), "00D6000002AABB");
    ASSERT_BUILDS(kf_sim_read_record(1, 34, &apdu), "00B2010422");
    ASSERT_BUILDS(kf_sim_update_record(2, KF_VIEW(data), &apdu), "00DC020402AABB");
    ASSERT_BUILDS(kf_sim_verify(KF_SIM_PIN1, KF_VIEW(pin), &apdu), "002000010831323334FFFFFFFF");
    ASSERT_BUILDS(kf_sim_verify_tries(KF_SIM_ADM1, &apdu), "0020000A");
    ASSERT_BUILDS(kf_sim_open_channel(&apdu), "0070000001");
    ASSERT_BUILDS(kf_sim_close_channel(2, &apdu), "00708002");
}

static void impossible_arguments_are_refused(void **state)
{
    (void)state;
    EMPTY(apdu);
    static const uint16_t path[KF_SIM_PATH_MAX + 1];
    static const uint8_t data[256];
    assert_int_equal(kf_sim_select_path(path, KF_SIM_PATH_MAX + 1, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_sim_read_binary(0x8000, 1, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_sim_read_binary(0, 257, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_sim_read_record(0, 1, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_sim_update_binary(0, KF_VIEW(data), &apdu), KF_ERR_TOO_LONG);
    assert_int_equal(kf_sim_verify(KF_SIM_ADM1, kf_view_of(data, 9), &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_sim_close_channel(0, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(apdu.size, 0);
}

static void file_control_parameters_are_read_and_checked(void **state)
{
    (void)state;
    kf_sim_file file;
    BYTES(linear, "62168205422100220283026F408A01058002004488008B00");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&linear), &file), KF_OK);
    assert_int_equal(file.structure, KF_SIM_LINEAR_FIXED);
    assert_int_equal(file.identifier, 0x6F40);
    assert_int_equal(file.record_size, 34);
    assert_int_equal(file.record_count, 2);
    assert_int_equal(file.size, 68);
    assert_int_equal(file.life_cycle, 5);
    BYTES(transparent, "620C8202412183022FE28002000A");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&transparent), &file), KF_OK);
    assert_int_equal(file.structure, KF_SIM_TRANSPARENT);
    assert_int_equal(file.size, 10);
    BYTES(directory, "62088202782183023F00");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&directory), &file), KF_OK);
    assert_int_equal(file.structure, KF_SIM_DIRECTORY);
    static const char *const wrong[] = {
        "",
        "6F048202412100",
        "6204830232FE",               /* no descriptor */
        "620482024221",               /* records without their size */
        "620782054221000002",         /* records of no bytes */
        "620B8205422100220280020043", /* size that is not records times their size */
        "620482024121FF",             /* bytes behind it */
        "62098202412183012F8A00",
        "62088202412183042FE2", /* an inner length that lies */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BYTES(bytes, wrong[i]);
        file.size = 4711;
        assert_int_equal(kf_sim_file_parse(kf_buffer_view(&bytes), &file), KF_ERR_CARD_DATA);
        assert_int_equal(file.size, 4711);
    }
}

static void an_iccid_may_hold_letters_and_twenty_digits(void **state)
{
    (void)state;
    uint8_t content[KF_ICCID_SIZE];
    char back[KF_ICCID_TEXT_SIZE];
    assert_int_equal(kf_iccid_encode("898600A1234567890123", content), KF_OK);
    assert_bytes(KF_VIEW(content), "9868001A325476981032");
    assert_int_equal(kf_iccid_decode(KF_VIEW(content), back), KF_OK);
    assert_string_equal(back, "898600A1234567890123");
    static const char *const wrong[] = {"", "123456789012345678901", "89860x", "89860a", "8986 0"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(kf_iccid_encode(wrong[i], content), KF_ERR_ARGUMENT);
    memset(content, 0xFF, sizeof(content));
    assert_int_equal(kf_iccid_decode(KF_VIEW(content), back), KF_ERR_CARD_DATA);
    assert_int_equal(kf_iccid_decode(kf_view_of(content, 9), back), KF_ERR_CARD_DATA);
}

static void a_malformed_imsi_file_is_refused(void **state)
{
    (void)state;
    char imsi[KF_IMSI_TEXT_SIZE];
    uint8_t content[KF_IMSI_SIZE];
    static const char *const wrong[] = {
        "FFFFFFFFFFFFFFFFFF",                       /* never written */
        "090910101032547698",                       /* length past the file */
        "000910101032547698", "08091010103254769A", /* a letter */
        "080A10101032547698",                       /* another identity type */
        "080110101032547698",                       /* even, without filler */
        "0809101010325476",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BYTES(bytes, wrong[i]);
        assert_int_equal(kf_imsi_decode(kf_buffer_view(&bytes), imsi), KF_ERR_CARD_DATA);
    }
    assert_int_equal(kf_imsi_encode("12345", content), KF_ERR_ARGUMENT);
    assert_int_equal(kf_imsi_encode("1234567890123456", content), KF_ERR_ARGUMENT);
    assert_int_equal(kf_imsi_encode("46000A", content), KF_ERR_ARGUMENT);
}

static void a_malformed_number_record_is_refused(void **state)
{
    (void)state;
    kf_msisdn msisdn;
    static const char *const wrong[] = {
        "0C9168315512345678FFFFFFFFFF", /* length past the number's room */
        "0891683155123456FCFFFFFFFFFF", /* a letter among the digits */
        "079168F15512345678FFFFFFFFFF", /* filler before a digit */
        "0791683155123456",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BYTES(bytes, wrong[i]);
        assert_int_equal(kf_msisdn_decode(kf_buffer_view(&bytes), &msisdn), KF_ERR_CARD_DATA);
    }
    BYTES(blank, "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF");
    assert_int_equal(kf_msisdn_decode(kf_buffer_view(&blank), &msisdn), KF_OK);
    assert_string_equal(msisdn.number, "");
    EMPTY(record);
    kf_msisdn unwritable = {.number = "12345x", .numbering_plan = 1};
    assert_int_equal(kf_msisdn_encode(&unwritable, 28, &record), KF_ERR_ARGUMENT);
    kf_msisdn long_name = {.number = "12345", .alpha = "fifteen letters", .numbering_plan = 1};
    assert_int_equal(kf_msisdn_encode(&long_name, 28, &record), KF_ERR_ARGUMENT);
    assert_int_equal(kf_msisdn_encode(&long_name, 29, &record), KF_OK);
    assert_int_equal(kf_msisdn_encode(&long_name, 13, &record), KF_ERR_ARGUMENT);
    assert_int_equal(record.size, 29);
    EMPTY(longest);
    kf_buffer_append_fill(&longest, 'A', 255 - KF_MSISDN_TRAILER_SIZE);
    kf_buffer_append_fill(&longest, 0xFF, KF_MSISDN_TRAILER_SIZE);
    assert_int_equal(kf_msisdn_decode(kf_buffer_view(&longest), &msisdn), KF_OK);
    assert_int_equal(strlen(msisdn.alpha), KF_MSISDN_ALPHA_MAX);
}

static void names_use_the_default_alphabet(void **state)
{
    (void)state;
    uint8_t content[KF_SPN_SIZE], display;
    char back[KF_SPN_SIZE];
    assert_int_equal(kf_spn_encode(1, "a@b_c$d", content), KF_OK);
    assert_bytes(KF_VIEW(content), "0161006211630264FFFFFFFFFFFFFFFFFF");
    assert_int_equal(kf_spn_decode(KF_VIEW(content), &display, back), KF_OK);
    assert_string_equal(back, "a@b_c$d");
    assert_int_equal(kf_spn_encode(1, "{", content), KF_ERR_ARGUMENT);
    assert_int_equal(kf_spn_encode(1, "seventeen letters", content), KF_ERR_ARGUMENT);
    assert_int_equal(kf_spn_decode(kf_view_of(content, 16), &display, back), KF_ERR_CARD_DATA);
}

static void wrong_network_codes_are_refused(void **state)
{
    (void)state;
    uint8_t plmn[KF_PLMN_SIZE];
    char mcc[4], mnc[4];
    assert_int_equal(kf_plmn_encode("46", "00", plmn), KF_ERR_ARGUMENT);
    assert_int_equal(kf_plmn_encode("460", "0", plmn), KF_ERR_ARGUMENT);
    assert_int_equal(kf_plmn_encode("460", "00A", plmn), KF_ERR_ARGUMENT);
    assert_int_equal(kf_plmn_encode("46F", "00", plmn), KF_ERR_ARGUMENT);
    BYTES(empty, "FFFFFF");
    assert_int_equal(kf_plmn_decode(kf_buffer_view(&empty), mcc, mnc), KF_ERR_CARD_DATA);
    uint16_t classes;
    assert_int_equal(kf_acc_decode(kf_buffer_view(&empty), &classes), KF_ERR_CARD_DATA);
}

static void parameters_of_files_and_directories_are_read_whole(void **state)
{
    (void)state;
    kf_sim_file file;
    /* An application directory as a USIM answers it: PIN status, proprietary part, security. */
    BYTES(directory, "623A8202782183027FF0840CA0000000871002FF86FF03898A01058B032F0601"
                     "A50C80017183040001BC6887010CC60990014083010183010A81040000FFFF");
    directory.data[1] = (uint8_t)(directory.size - 2);
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&directory), &file), KF_OK);
    assert_int_equal(file.structure, KF_SIM_DIRECTORY);
    assert_true(file.shareable);
    assert_bytes(file.aid, "A0000000871002FF86FF0389");
    assert_bytes(file.security_reference, "2F0601");
    assert_int_equal(file.total_size, 0xFFFF);
    assert_int_equal(file.free_memory, 0x1BC68);
    assert_false(file.has_short_identifier);
    assert_int_equal(file.pin_count, 2);
    assert_int_equal(file.pins[0].reference, 0x01);
    assert_false(file.pins[0].enabled);
    assert_int_equal(file.pins[1].reference, 0x0A);
    assert_true(file.pins[1].enabled);
    BYTES(short_given, "62118202412183026F078A01058002000988013A");
    short_given.data[1] = (uint8_t)(short_given.size - 2);
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&short_given), &file), KF_OK);
    assert_true(file.has_short_identifier);
    assert_int_equal(file.short_identifier, 7);
    BYTES(short_absent, "620A8202412183026F078800");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&short_absent), &file), KF_OK);
    assert_false(file.has_short_identifier);
    BYTES(short_implied, "62088202412183026F07");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&short_implied), &file), KF_OK);
    assert_int_equal(file.short_identifier, 7);
    BYTES(no_status, "620B82027821C60583010183010A");
    no_status.data[1] = (uint8_t)(no_status.size - 2);
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&no_status), &file), KF_ERR_CARD_DATA);
}

static void the_last_try_is_refused_unless_it_is_forced(void **state)
{
    (void)state;
    static const struct {
        uint16_t status_word;
        kf_code unforced;
        kf_code forced;
    } cases[] = {{0x63C3, KF_OK, KF_OK},
                 {0x63C2, KF_OK, KF_OK},
                 {0x63C1, KF_ERR_STATE, KF_OK},
                 {0x63C0, KF_ERR_STATE, KF_ERR_STATE},
                 {0x6983, KF_ERR_STATE, KF_ERR_STATE},
                 {0x9000, KF_OK, KF_OK},
                 {0x6700, KF_ERR_STATE, KF_OK}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kf_error error = {0};
        uint16_t status_word = cases[i].status_word;
        assert_int_equal(kf_sim_verify_permitted("ADM1", status_word, false, &error), cases[i].unforced);
        if (cases[i].unforced != KF_OK) assert_non_null(strstr(kf_error_text(&error), "ADM1"));
        assert_int_equal(kf_sim_verify_permitted("ADM1", status_word, true, NULL), cases[i].forced);
    }
    assert_int_equal(kf_sim_tries_of(0x63C5).left, 5);
    assert_true(kf_sim_tries_of(0x63C5).told);
    assert_true(kf_sim_tries_of(0x9000).verified);
}

static void texts_go_both_ways_in_every_coding(void **state)
{
    (void)state;
    static const struct {
        const char *coded;
        const char *text;
    } cases[] = {
        {"414243FFFFFF", "ABC"},
        {"00011B651B3CFF", "@\xC2\xA3\xE2\x82\xAC["},
        {"804E2D56FDFFFF", "\xE4\xB8\xAD\xE5\x9B\xBD"},
        {"804E2D56", "\xE4\xB8\xAD"},
        {"81051341D3A5A92E", "A\xE0\xA7\x93\xE0\xA6\xA5\xE0\xA6\xA9."},
        {"820505302D82D31E", ""},
        {"", ""},
        {"FFFF", ""},
        /* FFFF is no character, wherever it comes from. */
        {"8202FFFF8041", "\xEF\xBF\xBD"
                         "A"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        BYTES(coded, cases[i].coded);
        EMPTY(text);
        kf_code code = kf_alpha_decode(kf_buffer_view(&coded), &text);
        /* The sixth promises five characters and has four. */
        assert_int_equal(code, i == 5 ? KF_ERR_CARD_DATA : KF_OK);
        if (cases[i].text[0] == 0)
            assert_int_equal(text.size, 0);
        else
            assert_string_equal(kf_buffer_text(&text), cases[i].text);
    }
    static const char *const texts[] = {"ABC", "\xC3\xA9t\xC3\xA9 [1]", "\xE4\xB8\xAD\xE5\x9B\xBD",
                                        "~^{}\\|\xE2\x82\xAC"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint8_t content[KF_SPN_SIZE], display;
        EMPTY(name);
        assert_int_equal(kf_spn_encode_text(KF_SPN_SHOW_PLMN, texts[i], content), KF_OK);
        assert_int_equal(kf_spn_decode_text(KF_VIEW(content), &display, &name), KF_OK);
        assert_int_equal(display, KF_SPN_SHOW_PLMN);
        assert_string_equal(kf_buffer_text(&name), texts[i]);
    }
    /* Eight characters of UCS2 need 17 bytes. */
    static const char eight_wide[] = "\xE4\xB8\xAD\xE5\x9B\xBD\xE4\xB8\xAD\xE5\x9B\xBD"
                                     "\xE4\xB8\xAD\xE5\x9B\xBD\xE4\xB8\xAD\xE5\x9B\xBD";
    static const char *const wrong[] = {"seventeen letters", "\xF0\x9F\x98\x80", "\xC3",
                                        "\xC0\x80",          "\xED\xA0\x80",     "\x80",
                                        eight_wide,          "\xEF\xBF\xBF"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EMPTY(field);
        assert_int_equal(kf_alpha_encode(wrong[i], 16, &field), KF_ERR_ARGUMENT);
        assert_int_equal(field.size, 0);
    }
}

static void lists_of_networks_go_both_ways(void **state)
{
    (void)state;
    BYTES(content, "64F0004000"
                   "62F2208080"
                   "FFFFFF0000"
                   "13001080C0");
    kf_plmn_list list;
    assert_int_equal(kf_plmn_list_decode(kf_buffer_view(&content), KF_PLMN_WITH_ACCESS_SIZE, &list), KF_OK);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.entries[0].mcc, "460");
    assert_string_equal(list.entries[0].mnc, "00");
    assert_int_equal(list.entries[0].access, KF_ACCESS_E_UTRAN);
    assert_string_equal(list.entries[2].mcc, "310");
    assert_string_equal(list.entries[2].mnc, "010");
    EMPTY(back);
    assert_int_equal(kf_plmn_list_encode(&list, KF_PLMN_WITH_ACCESS_SIZE, 20, &back), KF_OK);
    assert_bytes(kf_buffer_view(&back), "64F0004000"
                                        "62F2208080"
                                        "13001080C0"
                                        "FFFFFF0000");
    EMPTY(bare);
    assert_int_equal(kf_plmn_list_encode(&list, KF_PLMN_SIZE, 12, &bare), KF_OK);
    assert_bytes(kf_buffer_view(&bare), "64F000"
                                        "62F220"
                                        "130010"
                                        "FFFFFF");
    EMPTY(none);
    assert_int_equal(kf_plmn_list_encode(&list, KF_PLMN_SIZE, 8, &none), KF_ERR_ARGUMENT);
    assert_int_equal(kf_plmn_list_encode(&list, 4, 16, &none), KF_ERR_ARGUMENT);
    assert_int_equal(kf_plmn_list_decode(kf_view_of(content.data, 19), KF_PLMN_WITH_ACCESS_SIZE, &list),
                     KF_ERR_CARD_DATA);
    EMPTY(many);
    for (size_t i = 0; i <= KF_PLMN_LIST_MAX; i++)
        kf_buffer_append_bytes(&many, "\x64\xF0\x00", 3);
    assert_int_equal(kf_plmn_list_decode(kf_buffer_view(&many), KF_PLMN_SIZE, &list), KF_ERR_CARD_DATA);
    assert_int_equal(none.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_encoded_as_the_specification_lays_them_out),
        cmocka_unit_test(impossible_arguments_are_refused),
        cmocka_unit_test(file_control_parameters_are_read_and_checked),
        cmocka_unit_test(an_iccid_may_hold_letters_and_twenty_digits),
        cmocka_unit_test(a_malformed_imsi_file_is_refused),
        cmocka_unit_test(a_malformed_number_record_is_refused),
        cmocka_unit_test(names_use_the_default_alphabet),
        cmocka_unit_test(wrong_network_codes_are_refused),
        cmocka_unit_test(parameters_of_files_and_directories_are_read_whole),
        cmocka_unit_test(the_last_try_is_refused_unless_it_is_forced),
        cmocka_unit_test(texts_go_both_ways_in_every_coding),
        cmocka_unit_test(lists_of_networks_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
