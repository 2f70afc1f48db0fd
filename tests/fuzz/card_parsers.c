#include "card_parsers.h"

#include <keyfill/card_data.h>
#include <keyfill/delegated_management.h>
#include <keyfill/emv.h>
#include <keyfill/ota.h>
#include <keyfill/sim.h>
#include <keyfill/tlv.h>

#include "card/script.h"

#define PARSER(name, type, call)                                                                             \
    static kf_code name(kf_view data, void *ret_output)                                                      \
    {                                                                                                        \
        type *output = ret_output;                                                                           \
        return call;                                                                                         \
    }

PARSER(parse_command, kf_command, kf_command_parse(data, output))
PARSER(parse_response, kf_response, kf_response_parse(data, output))
PARSER(parse_cplc, kf_cplc, kf_cplc_parse(data, output))
PARSER(parse_recognition, kf_card_recognition, kf_card_recognition_parse(data, output))
PARSER(parse_capability, kf_card_capability, kf_card_capability_parse(data, output))
PARSER(parse_key_information, kf_key_information, kf_key_information_parse(data, output))
PARSER(parse_atr, kf_atr, kf_atr_parse(data, output))
PARSER(parse_oid, kf_oid_text, kf_oid_show(data, output))
PARSER(parse_counter, uint32_t, kf_gp_counter_parse(data, KF_GP_SEQUENCE_COUNTER, output))
PARSER(parse_initialize_update, kf_initialize_update, kf_initialize_update_parse(data, output, NULL))
PARSER(parse_put_key_answer, kf_gp_put_key_answer, kf_gp_put_key_answer_parse(data, output))
PARSER(parse_confirmation, kf_gp_confirmation, kf_gp_confirmation_parse(data, output))
PARSER(parse_file, kf_sim_file, kf_sim_file_parse(data, output))
PARSER(parse_msisdn, kf_msisdn, kf_msisdn_decode(data, output))
PARSER(parse_plmns, kf_plmn_list, kf_plmn_list_decode(data, KF_PLMN_SIZE, output))
PARSER(parse_plmns_with_access, kf_plmn_list, kf_plmn_list_decode(data, KF_PLMN_WITH_ACCESS_SIZE, output))
PARSER(parse_compact, kf_ota_compact_response, kf_ota_compact_response_parse(data, output))
PARSER(parse_expanded, kf_ota_expanded_response, kf_ota_expanded_response_parse(data, output))
PARSER(parse_aid, kf_aid, kf_aid_from_view(data, output))

static kf_code parse_tlv(kf_view data, void *ret_output)
{
    (void)ret_output;
    return kf_tlv_check(data);
}

static kf_code parse_groupings(kf_view data, void *ret_output)
{
    (void)ret_output;
    kf_cursor cursor = kf_cursor_of(data);
    while (!kf_cursor_at_end(&cursor)) {
        uint16_t identifier;
        kf_view value;
        KF_TRY(kf_dgi_read(&cursor, &identifier, &value));
    }
    return KF_OK;
}

static kf_code parse_status(kf_view data, void *ret_output)
{
    kf_gp_status_entry entry;
    (void)ret_output;
    kf_cursor cursor = kf_cursor_of(data);
    while (!kf_cursor_at_end(&cursor))
        KF_TRY(kf_gp_status_next(&cursor, &entry));
    return KF_OK;
}

static kf_code parse_older_status(kf_view data, void *ret_output)
{
    kf_gp_status_entry entry;
    (void)ret_output;
    kf_cursor cursor = kf_cursor_of(data);
    while (!kf_cursor_at_end(&cursor))
        KF_TRY(kf_gp_status_next_older(&cursor, KF_GP_LOAD_FILES_AND_MODULES, &entry));
    return KF_OK;
}

static kf_code parse_applications(kf_view data, void *ret_output)
{
    (void)ret_output;
    kf_view templates;
    KF_TRY(kf_applications_of_answer(data, &templates));
    kf_cursor cursor = kf_cursor_of(templates);
    kf_application_template application;
    while (!kf_cursor_at_end(&cursor))
        KF_TRY(kf_application_next(&cursor, &application));
    return KF_OK;
}

static kf_code parse_historical(kf_view data, void *ret_output)
{
    (void)ret_output;
    kf_transport_capability capability = kf_transport_capability_of(data);
    FUZZ_WANT(capability.channels_max >= 1 && capability.channels_max <= 8);
    return KF_OK;
}

static kf_code parse_names(kf_view data, void *ret_output)
{
    (void)ret_output;
    char iccid[KF_ICCID_TEXT_SIZE], imsi[KF_IMSI_TEXT_SIZE], mcc[4], mnc[4], name[KF_SPN_SIZE];
    uint8_t display;
    uint16_t classes;
    kf_code codes[] = {kf_iccid_decode(data, iccid), kf_imsi_decode(data, imsi),
                       kf_plmn_decode(data, mcc, mnc), kf_spn_decode(data, &display, name),
                       kf_acc_decode(data, &classes)};
    kf_code result = KF_ERR_CARD_DATA;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i] == KF_OK) result = KF_OK;
    return result;
}

static kf_code parse_text(kf_view data, void *ret_output)
{
    (void)ret_output;
    FUZZ_BUFFER(text);
    kf_code code = kf_alpha_decode(data, &text);
    if (code != KF_OK) FUZZ_WANT(text.size == 0);
    return code;
}

/* Without keys: what is checked or ciphered is refused at the keys. */
static kf_code parse_command_packet(kf_view data, void *ret_output)
{
    const kf_ota_keys keys = {NULL, NULL, KF_OTA_AES, 0};
    FUZZ_BUFFER(out);
    kf_code code = kf_ota_command_decode(data, &keys, ret_output, &out);
    if (code != KF_OK) FUZZ_WANT(out.size == 0);
    return code;
}

static kf_code parse_response_packet(kf_view data, void *ret_output)
{
    const kf_ota_keys keys = {NULL, NULL, KF_OTA_AES, 0};
    const kf_ota_header header = {.kid = KF_OTA_CRC32};
    FUZZ_BUFFER(out);
    kf_code code = kf_ota_response_decode(data, &header, &keys, ret_output, &out);
    if (code != KF_OK) FUZZ_WANT(out.size == 0);
    return code;
}

static kf_code parse_token_input(kf_view data, void *ret_output)
{
    (void)ret_output;
    FUZZ_BUFFER(input);
    kf_code code = kf_gp_token_input(data, &input);
    if (code != KF_OK) FUZZ_WANT(input.size == 0);
    return code;
}

/* A confirmation whose receipt no key made. */
static kf_code parse_receipt(kf_view data, void *ret_output)
{
    (void)ret_output;
    const kf_view aid = KF_VIEW("\xA0\x00\x00\x01\x51");
    kf_gp_confirmation confirmation;
    KF_TRY(kf_gp_confirmation_parse(data, &confirmation));
    FUZZ_WANT(kf_gp_receipt_verify(KF_AES, fuzz_key(0x10, 16), &confirmation, &aid, 1) != KF_OK);
    FUZZ_WANT(kf_gp_receipt_verify(KF_TDES, fuzz_key(0x10, 16), &confirmation, &aid, 1) != KF_OK);
    return KF_OK;
}

/* A card whose answer was made under no key of ours opens no channel. */
static kf_code parse_channel(kf_view data, void *ret_output)
{
    static const uint8_t challenge[16];
    const kf_secret *key = fuzz_key(0x40, 16);
    const kf_key_set keys = {key, key, key};
    (void)ret_output;
    kf_secure_channel *channel = NULL;
    kf_code code = kf_secure_channel_open(&keys, kf_view_of(challenge, 8), data, &channel, NULL);
    if (code == KF_ERR_ARGUMENT)
        code = kf_secure_channel_open(&keys, kf_view_of(challenge, 16), data, &channel, NULL);
    FUZZ_WANT(code != KF_OK && channel == NULL);
    return code;
}

static kf_code parse_spi(kf_view data, void *ret_output)
{
    if (data.size != 2) return KF_ERR_CARD_DATA;
    return kf_ota_security_decode(data.data, ret_output);
}

static kf_code parse_extended(kf_view data, void *ret_output)
{
    (void)ret_output;
    FUZZ_BUFFER(longer);
    kf_code code = kf_command_extend(data, 0, &longer);
    if (code != KF_OK) FUZZ_WANT(longer.size == 0);
    return code;
}

static kf_code parse_transaction(kf_view data, void *ret_output)
{
    (void)ret_output;
    FUZZ_BUFFER(out);
    const kf_emv_transaction transaction = {.issuer_application_data = data};
    kf_code code = kf_emv_transaction_data(KF_EMV_CVN_10, &transaction, &out);
    FUZZ_WANT((code == KF_OK) == (out.size > 0));
    FUZZ_WANT(kf_emv_transaction_data(KF_EMV_CVN_18, &transaction, &out) == code);
    return code;
}

static kf_code parse_arpc(kf_view data, void *ret_output)
{
    const kf_emv_answer answer = {.proprietary_data = data};
    return kf_emv_arpc_2(KF_AES, fuzz_key(0x10, 16), &answer, ret_output);
}

static kf_code parse_script(kf_view data, void *ret_output)
{
    (void)ret_output;
    kf_script script = {0};
    kf_cursor cursor = kf_cursor_of(data);
    kf_code code = kf_script_decode(&cursor, &script);
    if (code != KF_OK) {
        FUZZ_WANT(script.entries == NULL && script.count == 0);
        return code;
    }
    FUZZ_BUFFER(again);
    kf_script_encode(&script, &again);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&again), kf_view_part(data, 0, data.size - cursor.rest.size)));
    kf_script_clear(&script);
    return KF_OK;
}

static kf_code parse_script_answers(kf_view data, void *ret_output)
{
    (void)ret_output;
    kf_script_answers answers = {0};
    kf_cursor cursor = kf_cursor_of(data);
    kf_code code = kf_script_answers_decode(&cursor, &answers);
    if (code != KF_OK) {
        FUZZ_WANT(answers.items == NULL && answers.count == 0);
        return code;
    }
    FUZZ_BUFFER(again);
    kf_script_answers_encode(&answers, &again);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&again), kf_view_part(data, 0, data.size - cursor.rest.size)));
    kf_script_answers_clear(&answers);
    return KF_OK;
}

const card_parser card_parsers[] = {
    {"command", parse_command, sizeof(kf_command)},
    {"response", parse_response, sizeof(kf_response)},
    {"CPLC", parse_cplc, sizeof(kf_cplc)},
    {"recognition", parse_recognition, sizeof(kf_card_recognition)},
    {"capability", parse_capability, sizeof(kf_card_capability)},
    {"key information", parse_key_information, sizeof(kf_key_information)},
    {"ATR", parse_atr, sizeof(kf_atr)},
    {"OID", parse_oid, sizeof(kf_oid_text)},
    {"counter", parse_counter, sizeof(uint32_t)},
    {"INITIALIZE UPDATE", parse_initialize_update, sizeof(kf_initialize_update)},
    {"PUT KEY", parse_put_key_answer, sizeof(kf_gp_put_key_answer)},
    {"confirmation", parse_confirmation, sizeof(kf_gp_confirmation)},
    {"FCP", parse_file, sizeof(kf_sim_file)},
    {"MSISDN", parse_msisdn, sizeof(kf_msisdn)},
    {"PLMNs", parse_plmns, sizeof(kf_plmn_list)},
    {"PLMNs with access", parse_plmns_with_access, sizeof(kf_plmn_list)},
    {"compact response", parse_compact, sizeof(kf_ota_compact_response)},
    {"expanded response", parse_expanded, sizeof(kf_ota_expanded_response)},
    {"AID", parse_aid, sizeof(kf_aid)},
    {"TLV", parse_tlv, 0},
    {"DGI", parse_groupings, 0},
    {"GET STATUS", parse_status, 0},
    {"older GET STATUS", parse_older_status, 0},
    {"applications", parse_applications, 0},
    {"historical bytes", parse_historical, 0},
    {"names", parse_names, 0},
    {"text", parse_text, 0},
    {"command packet", parse_command_packet, sizeof(kf_ota_header)},
    {"response packet", parse_response_packet, sizeof(kf_ota_response)},
    {"token input", parse_token_input, 0},
    {"receipt", parse_receipt, 0},
    {"channel", parse_channel, 0},
    {"SPI", parse_spi, sizeof(kf_ota_security)},
    {"extended command", parse_extended, 0},
    {"application data", parse_transaction, 0},
    {"ARPC", parse_arpc, KF_EMV_ARPC_2_SIZE},
    {"script", parse_script, 0},
    {"script answers", parse_script_answers, 0}};
const size_t card_parser_count = sizeof(card_parsers) / sizeof(card_parsers[0]);
