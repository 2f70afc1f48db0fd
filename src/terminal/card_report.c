#include "terminal/card_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <keyfill/globalplatform.h>
#include <keyfill/hex.h>
#include <keyfill/tlv.h>

#include "base/log.h"
#include "wire/json.h"

#define STATUS_SECURITY 0x6982 /* security status not satisfied */
#define STATUS_BLOCKED 0x6983  /* authentication method blocked */
#define STATUS_OK 0x9000
#define IDENTIFIER_MAX ((size_t)64) /* bytes of CPLC and key diversification data that the units take */
#define TRIES_LEFT_MIN 2            /* the last try is the card holder's own */

/* The USIM's registered identifier and application code (ETSI TS 101 220 annex E): a partial AID selects it.
 */
static const uint8_t usim_aid[] = {0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02};

typedef struct report_reading {
    kf_reader *reader;
    const kf_card_report_options *options;
    bool pin1_verified;
    kf_card_report report;
} report_reading;

static void say_unreadable(kf_reported_text *text, const char *format, ...) KF_PRINTF(2, 3);
static void say_unreadable(kf_reported_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text->unreadable, sizeof text->unreadable, format, arguments);
    va_end(arguments);
    if (written < 0) text->unreadable[0] = '\0';
    text->value[0] = '\0';
}

/* Sends what a builder appended; `built` is the builder's result. */
static kf_code send_built(report_reading *reading, kf_code built, kf_buffer *apdu,
                          kf_card_response *ret_response, kf_error *error)
{
    kf_code code = built == KF_OK ? kf_buffer_status(apdu) : built;
    if (code != KF_OK) return kf_fail_plain(error, code);
    code = kf_reader_transmit(reading->reader, kf_buffer_view(apdu), reading->options->timeout, ret_response,
                              error);
    kf_buffer_clear(apdu);
    return code;
}

static kf_code ask_tries(report_reading *reading, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_card_response response;
    kf_code built = kf_sim_verify_tries(KF_SIM_PIN1, &apdu);
    KF_TRY(send_built(reading, built, &apdu, &response, error));
    uint16_t status_word = kf_card_response_status_word(&response);
    if ((status_word & 0xFFF0) == 0x63C0) reading->report.pin1_tries = status_word & 0x0F;
    if (status_word == STATUS_BLOCKED) reading->report.pin1_tries = 0;
    return KF_OK;
}

static kf_code verify_pin1(report_reading *reading, kf_error *error)
{
    KF_TRY(ask_tries(reading, error));
    int tries = reading->report.pin1_tries;
    if (tries == 0)
        return kf_fail(error, KF_ERR_CARD_UNSUITABLE,
                       "PIN1 of the card is blocked; it must be unblocked with the PUK, or leave PIN1 out");
    if (tries < TRIES_LEFT_MIN)
        return kf_fail(error, KF_ERR_CARD_UNSUITABLE,
                       "PIN1 was not sent: %s; leave it out, or let the card holder enter it elsewhere",
                       tries < 0 ? "the card does not tell how many tries are left" : "one try is left");
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_card_response response;
    kf_code built = kf_sim_verify(KF_SIM_PIN1, kf_secret_expose(reading->options->pin1), &apdu);
    KF_TRY(send_built(reading, built, &apdu, &response, error));
    uint16_t status_word = kf_card_response_status_word(&response);
    if ((status_word & 0xFFF0) == 0x63C0)
        return kf_fail(error, KF_ERR_STATUS_WORD, "PIN1 is wrong; tries left: %d", status_word & 0x0F);
    if (status_word != STATUS_OK) return kf_fail_status_word(error, "VERIFY PIN1", status_word);
    reading->pin1_verified = true;
    return KF_OK;
}

/* Where a file stands, and how it is read. */
typedef struct file_place {
    uint16_t path[2];
    size_t path_size;
    size_t record_size; /* 0: READ BINARY of `size`; else record 1, its size as the FCP tells, or this */
    size_t size;
} file_place;

/* The record size comes from the FCP: an alpha identifier of any length stands before the number. */
static size_t record_size_of(const kf_card_response *fcp, size_t otherwise)
{
    kf_sim_file file;
    if (kf_sim_file_parse(kf_card_response_data(fcp), &file) != KF_OK) return otherwise;
    return file.record_size >= KF_MSISDN_TRAILER_SIZE && file.record_size <= 255 ? file.record_size
                                                                                 : otherwise;
}

/* SELECT, then READ. `*ret_response` is the response that decides: the READ's, or the SELECT's where that
 * failed. */
static kf_code select_and_read(report_reading *reading, const file_place *place, bool *ret_selected,
                               kf_card_response *ret_response, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_card_response response;
    kf_code built = kf_sim_select_path(place->path, place->path_size, &apdu);
    KF_TRY(send_built(reading, built, &apdu, &response, error));
    bool selected = kf_card_response_status_word(&response) == STATUS_OK;
    if (selected) {
        built = place->record_size > 0
                    ? kf_sim_read_record(1, record_size_of(&response, place->record_size), &apdu)
                    : kf_sim_read_binary(0, place->size, &apdu);
        KF_TRY(send_built(reading, built, &apdu, &response, error));
    }
    *ret_selected = selected;
    *ret_response = response;
    return KF_OK;
}

/* One file, with PIN1 where it is needed and given. False where the card has no such file. */
static kf_code read_file(report_reading *reading, const file_place *place, kf_card_response *ret_response,
                         bool *ret_exists, kf_error *error)
{
    kf_card_response response;
    bool selected = false;
    KF_TRY(select_and_read(reading, place, &selected, &response, error));
    bool refused = kf_card_response_status_word(&response) == STATUS_SECURITY;
    if (refused && reading->options->pin1 != NULL && !reading->pin1_verified) {
        KF_TRY(verify_pin1(reading, error));
        KF_TRY(select_and_read(reading, place, &selected, &response, error));
    }
    *ret_response = response;
    *ret_exists = selected;
    return KF_OK;
}

static kf_code select_usim(report_reading *reading, bool *ret_selected, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_card_response response;
    kf_code built = kf_sim_select_application(KF_VIEW(usim_aid), &apdu);
    KF_TRY(send_built(reading, built, &apdu, &response, error));
    *ret_selected = kf_card_response_status_word(&response) == STATUS_OK;
    return KF_OK;
}

/* At its place under the MF, else in the USIM application: newer cards have no DF GSM. */
static kf_code read_file_or_usim(report_reading *reading, const file_place *place,
                                 kf_card_response *ret_response, bool *ret_exists, kf_error *error)
{
    KF_TRY(read_file(reading, place, ret_response, ret_exists, error));
    if (*ret_exists || place->path_size < 2) return KF_OK;
    bool selected = false;
    KF_TRY(select_usim(reading, &selected, error));
    if (!selected) return KF_OK;
    file_place in_usim = *place;
    in_usim.path[0] = KF_FILE_ADF;
    return read_file(reading, &in_usim, ret_response, ret_exists, error);
}

/* Decodes file content into `value`; false where it is malformed. */
typedef bool (*content_decoder)(kf_view content, kf_reported_text *ret_text);

static bool decode_iccid(kf_view content, kf_reported_text *ret_text)
{
    char iccid[KF_ICCID_TEXT_SIZE];
    if (kf_iccid_decode(content, iccid) != KF_OK) return false;
    memcpy(ret_text->value, iccid, sizeof iccid);
    return true;
}

static bool decode_imsi(kf_view content, kf_reported_text *ret_text)
{
    char imsi[KF_IMSI_TEXT_SIZE];
    if (kf_imsi_decode(content, imsi) != KF_OK) return false;
    memcpy(ret_text->value, imsi, sizeof imsi);
    return true;
}

static bool decode_number(kf_view content, kf_reported_text *ret_text)
{
    kf_msisdn msisdn;
    if (kf_msisdn_decode(content, &msisdn) != KF_OK) return false;
    const char *digits = msisdn.number[0] == '+' ? msisdn.number + 1 : msisdn.number;
    if (digits[0] == '\0')
        say_unreadable(ret_text, "no number is on the card");
    else
        memcpy(ret_text->value, digits, strlen(digits) + 1);
    return true;
}

/* With the tries left, so that the clerk knows before asking for PIN1. */
static kf_code say_pin1_needed(report_reading *reading, kf_reported_text *ret_text, kf_error *error)
{
    if (reading->report.pin1_tries < 0) KF_TRY(ask_tries(reading, error));
    if (reading->report.pin1_tries < 0)
        say_unreadable(ret_text, "not readable: PIN1 needed");
    else
        say_unreadable(ret_text, "not readable: PIN1 needed (tries left: %d)", reading->report.pin1_tries);
    return KF_OK;
}

static kf_code report_file(report_reading *reading, const file_place *place, content_decoder decode,
                           kf_reported_text *ret_text, kf_error *error)
{
    kf_card_response response;
    bool exists = false;
    KF_TRY(read_file_or_usim(reading, place, &response, &exists, error));
    uint16_t status_word = kf_card_response_status_word(&response);
    if (status_word == STATUS_SECURITY && exists && !reading->pin1_verified)
        return say_pin1_needed(reading, ret_text, error);
    if (status_word != STATUS_OK)
        say_unreadable(ret_text, "not readable: %.120s", kf_status_word_show(status_word).text);
    else if (!decode(kf_card_response_data(&response), ret_text))
        say_unreadable(ret_text, "not readable: the file holds %.80s, which is malformed",
                       kf_hex_show(kf_card_response_data(&response)).text);
    return KF_OK;
}

static kf_code report_files(report_reading *reading, kf_error *error)
{
    static const file_place iccid = {.path = {KF_FILE_ICCID}, .path_size = 1, .size = KF_ICCID_SIZE};
    static const file_place imsi = {
        .path = {KF_FILE_DF_GSM, KF_FILE_IMSI}, .path_size = 2, .size = KF_IMSI_SIZE};
    static const file_place number = {
        .path = {KF_FILE_DF_TELECOM, KF_FILE_MSISDN}, .path_size = 2, .record_size = KF_MSISDN_TRAILER_SIZE};
    KF_TRY(report_file(reading, &iccid, decode_iccid, &reading->report.iccid, error));
    KF_TRY(report_file(reading, &imsi, decode_imsi, &reading->report.imsi, error));
    return report_file(reading, &number, decode_number, &reading->report.number, error);
}

/* Whether it begins with a whole data object of that tag. */
static bool is_object(kf_view data, uint16_t tag, size_t limit)
{
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv object;
    return data.size <= limit && kf_tlv_read(&cursor, &object) == KF_OK && object.tag == tag;
}

/* What is no such object is left out of the report, as if the card had none: nothing rests on it. */
static kf_code report_data(report_reading *reading, uint16_t tag, size_t limit, kf_card_response *ret_data,
                           kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_card_response response;
    kf_code built = kf_gp_get_data(tag, &apdu);
    KF_TRY(send_built(reading, built, &apdu, &response, error));
    if (kf_card_response_status_word(&response) != STATUS_OK) return KF_OK;
    if (is_object(kf_card_response_data(&response), tag, limit))
        *ret_data = response;
    else
        kf_log(KF_LOG_WARNING,
               "GET DATA %04X: the card's %zu bytes are no such data object; they are left out", tag,
               kf_card_response_data(&response).size);
    return KF_OK;
}

static kf_code report_security_domain(report_reading *reading, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_card_response response;
    kf_code built = kf_gp_select(kf_view_of(NULL, 0), &apdu);
    KF_TRY(send_built(reading, built, &apdu, &response, error));
    KF_TRY(report_data(reading, 0x9F7F, IDENTIFIER_MAX, &reading->report.cplc, error));
    KF_TRY(report_data(reading, 0x0066, KF_READER_RESPONSE_MAX, &reading->report.recognition_data, error));
    KF_TRY(report_data(reading, 0x00E0, KF_READER_RESPONSE_MAX, &reading->report.key_information, error));
    return report_data(reading, 0x00CF, IDENTIFIER_MAX, &reading->report.diversification_data, error);
}

kf_code kf_card_report_read(kf_reader *reader, const kf_answer_to_reset *atr,
                            const kf_card_report_options *options, kf_card_report *ret_report,
                            kf_error *error)
{
    report_reading reading = {.reader = reader, .options = options};
    reading.report.atr = *atr;
    reading.report.pin1_tries = -1;
    KF_TRY(report_files(&reading, error));
    KF_TRY(report_security_domain(&reading, error));
    *ret_report = reading.report;
    return KF_OK;
}

static kf_code set_data(json_t *card, const char *member, const kf_card_response *data)
{
    kf_view bytes = kf_card_response_data(data);
    return bytes.size > 0 ? kf_json_set_hex(card, member, bytes) : KF_OK;
}

static kf_code set_text(json_t *card, const char *member, const char *text)
{
    return text[0] != '\0' ? kf_json_set_text(card, member, text) : KF_OK;
}

static kf_code fill_card(const kf_card_report *report, json_t *card)
{
    KF_TRY(kf_json_set_hex(card, "atr", kf_view_of(report->atr.bytes, report->atr.size)));
    KF_TRY(set_text(card, "iccid", report->iccid.value));
    KF_TRY(set_text(card, "imsi", report->imsi.value));
    KF_TRY(set_text(card, "number", report->number.value));
    KF_TRY(set_data(card, "cplc", &report->cplc));
    KF_TRY(set_data(card, "recognition_data", &report->recognition_data));
    KF_TRY(set_data(card, "key_information", &report->key_information));
    return set_data(card, "diversification_data", &report->diversification_data);
}

static kf_code fill_reasons(const kf_card_report *report, json_t *readable)
{
    KF_TRY(set_text(readable, "iccid", report->iccid.unreadable));
    KF_TRY(set_text(readable, "imsi", report->imsi.unreadable));
    KF_TRY(set_text(readable, "number", report->number.unreadable));
    return report->pin1_tries >= 0 ? kf_json_set_integer(readable, "pin1_tries", report->pin1_tries) : KF_OK;
}

kf_code kf_card_report_to_json(const kf_card_report *report, json_t **ret_card)
{
    KF_CLEANUP(kf_json_free) json_t *card = json_object();
    if (card == NULL) return KF_ERR_MEMORY;
    KF_TRY(fill_card(report, card));
    *ret_card = json_incref(card);
    return KF_OK;
}

kf_code kf_card_report_reasons_to_json(const kf_card_report *report, json_t **ret_readable)
{
    KF_CLEANUP(kf_json_free) json_t *readable = json_object();
    if (readable == NULL) return KF_ERR_MEMORY;
    KF_TRY(fill_reasons(report, readable));
    *ret_readable = json_incref(readable);
    return KF_OK;
}
