#include "terminal/card_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reader/replay.h"
#include "wire/json.h"

/* Commands in the order of the report (ETSI TS 102 221 §11.1.1, §11.1.3, §11.1.5, §11.1.9; GP §11.3, §11.9).
 */
#define SELECT_ICCID "00A40804022FE200"
#define READ_ICCID "00B000000A"
#define SELECT_IMSI "00A40804047F206F0700"
#define READ_IMSI "00B0000009"
#define SELECT_NUMBER "00A40804047F106F4000"
#define READ_NUMBER_26 "00B201041A"
#define READ_NUMBER_14 "00B201040E"
#define SELECT_USIM "00A4040407A000000087100200"
#define SELECT_USIM_IMSI "00A40804047FFF6F0700"
#define SELECT_DOMAIN "00A4040000"
#define GET_CPLC "80CA9F7F00"
#define GET_66 "80CA006600"
#define GET_E0 "80CA00E000"
#define GET_CF "80CA00CF00"
#define TRIES "00200001"
#define VERIFY_1234 "002000010831323334FFFFFFFF"

/* TS 102 221 §13.2: nibbles swapped. */
#define ICCID_CONTENT "98681020304050607080"
#define ICCID "89860102030405060708"
#define IMSI_CONTENT "084906000000000010"
#define IMSI "460000000000001"
/* FCP of a linear fixed file with records of 26 bytes (TS 102 221 §11.1.1.4.3). */
#define NUMBER_FCP                                                                                           \
    "621282054221001A0183026F408A01058002001A"                                                               \
    "9000"
#define NUMBER_RECORD                                                                                        \
    "FFFFFFFFFFFFFFFFFFFFFFFF"                                                                               \
    "08"                                                                                                     \
    "91"                                                                                                     \
    "683108000000"                                                                                           \
    "F1"                                                                                                     \
    "FFFFFF"                                                                                                 \
    "FFFF"

#define FILES_READABLE                                                                                       \
    {SELECT_ICCID, "9000"}, {READ_ICCID, ICCID_CONTENT "9000"}, {SELECT_IMSI, "9000"},                       \
        {READ_IMSI, IMSI_CONTENT "9000"}, {SELECT_NUMBER, NUMBER_FCP},                                       \
    {                                                                                                        \
        READ_NUMBER_26, NUMBER_RECORD "9000"                                                                 \
    }
#define DOMAIN_EMPTY                                                                                         \
    {SELECT_DOMAIN, "9000"}, {GET_CPLC, "6A88"}, {GET_66, "6A88"}, {GET_E0, "6A88"},                         \
    {                                                                                                        \
        GET_CF, "6A88"                                                                                       \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static kf_code report_with(const kf_replay_exchange *exchanges, size_t count, const char *pin1,
                           kf_card_report *ret_report, kf_error *error)
{
    size_t played = 0;
    const kf_replay replay = {.atr = "3B00", .exchanges = exchanges, .count = count, .played = &played};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *secret = NULL;
    kf_answer_to_reset atr;
    if (pin1 != NULL) assert_int_equal(kf_secret_new(kf_view_of_text(pin1), &secret), KF_OK);
    assert_int_equal(kf_reader_open_replay(&replay, &reader), KF_OK);
    assert_int_equal(kf_reader_connect(reader, 100, &atr, NULL), KF_OK);
    const kf_card_report_options options = {.pin1 = secret, .timeout = 100};
    kf_code code = kf_card_report_read(reader, &atr, &options, ret_report, error);
    assert_int_equal(played, count);
    return code;
}

static void sim_files_are_read_before_the_security_domain_is_selected(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {FILES_READABLE,
                                                   {SELECT_DOMAIN, "6F009000"},
                                                   {GET_CPLC, "9F7F02ABCD9000"},
                                                   {GET_66, "66009000"},
                                                   {GET_E0, "E0009000"},
                                                   {GET_CF, "CF0101"
                                                            "9000"}};
    kf_card_report report;
    assert_int_equal(report_with(exchanges, COUNT(exchanges), NULL, &report, NULL), KF_OK);
    KF_CLEANUP(kf_json_free) json_t *card = NULL;
    KF_CLEANUP(kf_json_free) json_t *readable = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_card_report_to_json(&report, &card), KF_OK);
    assert_int_equal(kf_card_report_reasons_to_json(&report, &readable), KF_OK);
    assert_int_equal(kf_json_write(card, &text), KF_OK);
    assert_string_equal(kf_buffer_text(&text),
                        "{\"atr\":\"3B00\",\"iccid\":\"" ICCID "\",\"imsi\":\"" IMSI
                        "\",\"number\":\"8613800000001\","
                        "\"cplc\":\"9F7F02ABCD\",\"recognition_data\":\"6600\",\"key_information\":\"E000\","
                        "\"diversification_data\":\"CF0101\"}");
    assert_int_equal(json_object_size(readable), 0);
}

static void what_the_card_does_not_have_is_absent_and_explained(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {{SELECT_ICCID, "6A82"}, {SELECT_IMSI, "6A82"},
                                                   {SELECT_USIM, "6A82"},  {SELECT_NUMBER, "6E00"},
                                                   {SELECT_USIM, "6A82"},  DOMAIN_EMPTY};
    kf_card_report report;
    assert_int_equal(report_with(exchanges, COUNT(exchanges), NULL, &report, NULL), KF_OK);
    KF_CLEANUP(kf_json_free) json_t *card = NULL;
    assert_int_equal(kf_card_report_to_json(&report, &card), KF_OK);
    assert_int_equal(json_object_size(card), 1);
    assert_non_null(strstr(report.iccid.unreadable, "6A82"));
    assert_non_null(strstr(report.number.unreadable, "6E00"));
}

static void without_df_gsm_the_usim_is_asked(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {{SELECT_ICCID, "6A82"},
                                                   {SELECT_IMSI, "6A82"},
                                                   {SELECT_USIM, "9000"},
                                                   {SELECT_USIM_IMSI, "9000"},
                                                   {READ_IMSI, IMSI_CONTENT "9000"},
                                                   {SELECT_NUMBER, "9000"},
                                                   {READ_NUMBER_14, "6982"},
                                                   {TRIES, "63C3"},
                                                   DOMAIN_EMPTY};
    kf_card_report report;
    assert_int_equal(report_with(exchanges, COUNT(exchanges), NULL, &report, NULL), KF_OK);
    assert_string_equal(report.imsi.value, IMSI);
    assert_string_equal(report.number.value, "");
    assert_string_equal(report.number.unreadable, "not readable: PIN1 needed (tries left: 3)");
    assert_int_equal(report.pin1_tries, 3);
}

static void nonsense_in_a_file_is_shown_not_taken(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {{SELECT_ICCID, "9000"},
                                                   {READ_ICCID, "FFFFFFFFFFFFFFFFFFFF9000"},
                                                   {SELECT_IMSI, "9000"},
                                                   {READ_IMSI, "1234569000"},
                                                   {SELECT_NUMBER, "9000"},
                                                   {READ_NUMBER_14, "FFFFFFFFFFFFFFFFFFFFFFFFFFFF9000"},
                                                   DOMAIN_EMPTY};
    kf_card_report report;
    assert_int_equal(report_with(exchanges, COUNT(exchanges), NULL, &report, NULL), KF_OK);
    assert_non_null(strstr(report.iccid.unreadable, "FFFFFFFFFFFFFFFFFFFF, which is malformed"));
    assert_non_null(strstr(report.imsi.unreadable, "123456, which is malformed"));
    assert_string_equal(report.number.unreadable, "no number is on the card");
}

static void pin1_is_verified_once_where_a_file_needs_it(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {{SELECT_ICCID, "9000"},
                                                   {READ_ICCID, ICCID_CONTENT "9000"},
                                                   {SELECT_IMSI, "9000"},
                                                   {READ_IMSI, "6982"},
                                                   {TRIES, "63C3"},
                                                   {VERIFY_1234, "9000"},
                                                   {SELECT_IMSI, "9000"},
                                                   {READ_IMSI, IMSI_CONTENT "9000"},
                                                   {SELECT_NUMBER, "9000"},
                                                   {READ_NUMBER_14, "6982"},
                                                   DOMAIN_EMPTY};
    kf_card_report report;
    assert_int_equal(report_with(exchanges, COUNT(exchanges), "1234", &report, NULL), KF_OK);
    assert_string_equal(report.imsi.value, IMSI);
    assert_int_equal(report.pin1_tries, 3);
    assert_non_null(strstr(report.number.unreadable, "6982"));
}

static void a_card_that_does_not_tell_its_tries_is_reported_without(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {
        {SELECT_ICCID, "9000"}, {READ_ICCID, "6982"},    {TRIES, "6D00"},       {SELECT_IMSI, "6A82"},
        {SELECT_USIM, "6A82"},  {SELECT_NUMBER, "6A82"}, {SELECT_USIM, "6A82"}, DOMAIN_EMPTY};
    kf_card_report report;
    assert_int_equal(report_with(exchanges, COUNT(exchanges), NULL, &report, NULL), KF_OK);
    assert_string_equal(report.iccid.unreadable, "not readable: PIN1 needed");
    assert_int_equal(report.pin1_tries, -1);
}

static void pin1_is_not_sent_where_no_file_needs_it(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {FILES_READABLE, DOMAIN_EMPTY};
    kf_card_report report;
    assert_int_equal(report_with(exchanges, COUNT(exchanges), "1234", &report, NULL), KF_OK);
}

static void expect_pin1_refused(const char *tries_answer, const char *verify_answer, kf_code code,
                                const char *text)
{
    const kf_replay_exchange exchanges[] = {
        {SELECT_ICCID, "6982"}, {TRIES, tries_answer}, {VERIFY_1234, verify_answer}};
    kf_card_report report;
    kf_error error = {KF_OK, ""};
    assert_int_equal(report_with(exchanges, verify_answer != NULL ? 3 : 2, "1234", &report, &error), code);
    assert_non_null(strstr(error.message, text));
}

static void the_last_try_of_pin1_is_never_used(void **unused)
{
    (void)unused;
    expect_pin1_refused("63C1", NULL, KF_ERR_CARD_UNSUITABLE, "one try is left");
    expect_pin1_refused("63C0", NULL, KF_ERR_CARD_UNSUITABLE, "blocked");
    expect_pin1_refused("6983", NULL, KF_ERR_CARD_UNSUITABLE, "blocked");
    expect_pin1_refused("6D00", NULL, KF_ERR_CARD_UNSUITABLE, "does not tell");
}

static void a_wrong_pin1_tells_the_tries_left(void **unused)
{
    (void)unused;
    expect_pin1_refused("63C3", "63C2", KF_ERR_STATUS_WORD, "tries left: 2");
    expect_pin1_refused("63C3", "6984", KF_ERR_STATUS_WORD, "6984");
}

static void a_card_pulled_out_ends_the_report(void **unused)
{
    (void)unused;
    static const kf_replay_exchange exchanges[] = {{SELECT_ICCID, "9000"}, {READ_ICCID, NULL}};
    kf_card_report report;
    assert_int_equal(report_with(exchanges, COUNT(exchanges), NULL, &report, NULL), KF_ERR_CARD_REMOVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sim_files_are_read_before_the_security_domain_is_selected),
        cmocka_unit_test(what_the_card_does_not_have_is_absent_and_explained),
        cmocka_unit_test(without_df_gsm_the_usim_is_asked),
        cmocka_unit_test(nonsense_in_a_file_is_shown_not_taken),
        cmocka_unit_test(pin1_is_verified_once_where_a_file_needs_it),
        cmocka_unit_test(a_card_that_does_not_tell_its_tries_is_reported_without),
        cmocka_unit_test(pin1_is_not_sent_where_no_file_needs_it),
        cmocka_unit_test(the_last_try_of_pin1_is_never_used),
        cmocka_unit_test(a_wrong_pin1_tells_the_tries_left),
        cmocka_unit_test(a_card_pulled_out_ends_the_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
