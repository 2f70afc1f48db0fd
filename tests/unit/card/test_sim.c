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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
