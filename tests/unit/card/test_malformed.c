/* Every parser of this folder meets every truncation and every flipped bit of every published value, whatever
 * it was published for, in memory of exactly its size; and values made to lie. A parser takes it or refuses
 * it, and what it refuses leaves its output as it was. */
#include "hex_bytes.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <keyfill/card_data.h>
#include <keyfill/delegated_management.h>
#include <keyfill/ota.h>
#include <keyfill/sim.h>
#include <keyfill/tlv.h>

#define VALUE_MAX 300 /* bytes of a published value; longer ones repeat what shorter ones hold */
#define OUTPUT_FILL 0xA5
#define DEEP 1000

static const char *vectors;

typedef kf_code (*parser)(kf_view data, void *ret_output);

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
    assert_in_range(capability.channels_max, 1, 8);
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
    EMPTY(text);
    kf_code code = kf_alpha_decode(data, &text);
    if (code != KF_OK) assert_int_equal(text.size, 0);
    return code;
}

/* Without keys: what is checked or ciphered is refused at the keys. */
static kf_code parse_command_packet(kf_view data, void *ret_output)
{
    const kf_ota_keys keys = {NULL, NULL, KF_OTA_AES, 0};
    EMPTY(out);
    kf_code code = kf_ota_command_decode(data, &keys, ret_output, &out);
    if (code != KF_OK) assert_int_equal(out.size, 0);
    return code;
}

static kf_code parse_response_packet(kf_view data, void *ret_output)
{
    const kf_ota_keys keys = {NULL, NULL, KF_OTA_AES, 0};
    const kf_ota_header header = {.kid = KF_OTA_CRC32};
    EMPTY(out);
    kf_code code = kf_ota_response_decode(data, &header, &keys, ret_output, &out);
    if (code != KF_OK) assert_int_equal(out.size, 0);
    return code;
}

static const struct {
    const char *name;
    parser parse;
    size_t output_size;
} parsers[] = {{"command", parse_command, sizeof(kf_command)},
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
               {"response packet", parse_response_packet, sizeof(kf_ota_response)}};
#define PARSERS (sizeof(parsers) / sizeof(parsers[0]))
#define OUTPUT_MAX 16384

static unsigned long taken[PARSERS];

static void feed_one(size_t index, kf_view data)
{
    static uint8_t output[OUTPUT_MAX] __attribute__((aligned(16)));
    static uint8_t untouched[OUTPUT_MAX];
    size_t size = parsers[index].output_size;
    assert_in_range(size, 0, OUTPUT_MAX);
    memset(output, OUTPUT_FILL, size);
    memset(untouched, OUTPUT_FILL, size);
    kf_code code = parsers[index].parse(data, output);
    if (code == KF_OK) {
        taken[index]++;
        return;
    }
    /* A malformed value is the card's fault, never ours. */
    if (code < 0 && code != KF_ERR_ARGUMENT) fail_msg("%s: %s", parsers[index].name, kf_code_name(code));
    if (memcmp(output, untouched, size) != 0)
        fail_msg("%s: a refused value left something", parsers[index].name);
}

/* In memory of its own size, so that a read past its end is seen. */
static void feed(kf_view data)
{
    uint8_t *exact = malloc(data.size == 0 ? 1 : data.size);
    assert_non_null(exact);
    if (data.size > 0) memcpy(exact, data.data, data.size);
    for (size_t i = 0; i < PARSERS; i++)
        feed_one(i, kf_view_of(exact, data.size));
    free(exact);
}

static void feed_variants(kf_buffer *value)
{
    for (size_t size = 0; size <= value->size; size++)
        feed(kf_view_of(value->data, size));
    for (size_t bit = 0; bit < 8 * value->size; bit++) {
        value->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        feed(kf_buffer_view(value));
        value->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static size_t feed_json(const json_t *value)
{
    size_t count = 0, index;
    const char *member;
    json_t *inner;
    if (json_is_string(value)) {
        EMPTY(bytes);
        const char *text = json_string_value(value);
        if (strlen(text) > 2 * VALUE_MAX || kf_hex_decode_append(text, &bytes) != KF_OK || bytes.size < 2)
            return 0;
        feed_variants(&bytes);
        return 1;
    }
    if (json_is_array(value)) json_array_foreach(value, index, inner) count += feed_json(inner);
    if (json_is_object(value))
        json_object_foreach((json_t *)(uintptr_t)value, member, inner) count += feed_json(inner);
    return count;
}

/* The families whose values a card says, or a host says to one. */
static const char *const families[] = {"apdu_parse",
                                       "atr",
                                       "ber_tlv",
                                       "card_capability",
                                       "card_recognition_data",
                                       "cplc",
                                       "ef_acc",
                                       "ef_iccid",
                                       "ef_imsi",
                                       "ef_msisdn",
                                       "ef_spn",
                                       "get_status",
                                       "key_information_template",
                                       "plmn",
                                       "put_key",
                                       "scp02",
                                       "scp03",
                                       "scp80"};

static void published_values_cut_and_flipped(void **state)
{
    (void)state;
    if (vectors == NULL) skip();
    size_t count = 0;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        EMPTY(path);
        kf_buffer_format(&path, "%s/%s.json", vectors, families[i]);
        json_t *entries = json_load_file(kf_buffer_text(&path), 0, NULL);
        if (entries == NULL) continue;
        size_t found = 0, index;
        json_t *entry;
        /* Sessions repeat one form many times over: a few of them hold it. */
        json_array_foreach(entries, index, entry) if (found < 60) found += feed_json(entry);
        json_decref(entries);
        count += found;
    }
    assert_true(count > 100);
    for (size_t i = 0; i < PARSERS; i++)
        if (taken[i] == 0 && strcmp(parsers[i].name, "confirmation") != 0)
            print_message("%s takes none of the values\n", parsers[i].name);
}

static void own_values_cut_and_flipped(void **state)
{
    (void)state;
    static const char *const values[] = {
        "62398202782183027FF0840CA0000000871002FF86FF03898A01058B032F0601A50C80017183040001BC6887010CC6099001"
        "40830101"
        "83010A",
        "62168205422100220283026F408A01058002004488008B00",
        "08112233445566778802000706420102030405",
        "61094F07A000000151535061094F07A0000001515350",
        "2F000B61094F07A0000001515350",
        "07A00000015153500F9E0208A00000015100000007A0000001515350",
        "AB0D80010223046F21900023026A82",
        "AF802302900023029000230C9888120100004086081490000000",
        "027100000E0AB0001100000000000000016132",
        "000E0AB0001100000000000000016132",
        "00150D00193535B0000000000000000000A40000023F00",
        "804E2D56FDFFFF",
        "81051341D3A5A92E",
        "820505302D82D32D31",
        "80"
        "7300400180"
        "5F0481900082",
        "00B930B71080018881011083010196010197020000B9088201018403504A77",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        BYTES(value, values[i]);
        feed_variants(&value);
    }
    for (size_t i = 0; i < PARSERS; i++)
        if (strcmp(parsers[i].name, "confirmation") == 0) assert_true(taken[i] > 0);
}

static void lengths_that_lie(void **state)
{
    (void)state;
    static const uint8_t tags[] = {0x61, 0x62, 0x66, 0x67, 0x73, 0xE0, 0xE3, 0xAB, 0xC0, 0x4F};
    static const char *const lengths[] = {"7F",       "80",         "81FF",         "82FFFF",
                                          "83FFFFFF", "84FFFFFFFF", "85FFFFFFFFFF", "88FFFFFFFFFFFFFFFF",
                                          "FF",       "8400000000", "8400000001"};
    for (size_t i = 0; i < sizeof(tags); i++)
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            EMPTY(value);
            kf_buffer_append_u8(&value, tags[i]);
            assert_int_equal(kf_hex_decode_append(lengths[k], &value), KF_OK);
            kf_buffer_append_bytes(&value, "\x4F\x05\x01\x02\x03\x04\x05", 7);
            feed(kf_buffer_view(&value));
            kf_tlv tlv;
            kf_cursor cursor = kf_cursor_of(kf_buffer_view(&value));
            /* Only the two of four bytes are true. */
            assert_int_equal(kf_tlv_read(&cursor, &tlv), k < 9 ? KF_ERR_TLV : KF_OK);
        }
}

static void a_thousand_levels_of_nesting(void **state)
{
    (void)state;
    static const uint8_t tags[] = {0x61, 0x62, 0x66, 0x67, 0x73, 0xE0, 0xE3, 0xAB};
    for (size_t i = 0; i < sizeof(tags); i++) {
        EMPTY(value);
        for (size_t depth = 0; depth < DEEP; depth++) {
            EMPTY(outer);
            kf_tlv_append(&outer, tags[i], kf_buffer_view(&value));
            kf_buffer_truncate(&value, 0);
            kf_buffer_append(&value, kf_buffer_view(&outer));
        }
        feed(kf_buffer_view(&value));
        assert_int_equal(kf_tlv_check(kf_buffer_view(&value)), KF_ERR_TLV);
        EMPTY(open);
        kf_buffer_append_fill(&open, tags[i], DEEP);
        feed(kf_buffer_view(&open));
    }
}

static void missing_and_doubled_objects(void **state)
{
    (void)state;
    kf_gp_status_entry entry;
    BYTES(nameless, "E3039F7001"
                    "07");
    nameless.data[1] = 4;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&nameless));
    assert_int_equal(kf_gp_status_next(&cursor, &entry), KF_ERR_CARD_DATA);
    kf_sim_file file;
    BYTES(no_descriptor, "620483026F07");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&no_descriptor), &file), KF_ERR_CARD_DATA);
    kf_card_recognition recognition;
    BYTES(no_list, "66020600");
    assert_int_equal(kf_card_recognition_parse(kf_buffer_view(&no_list), &recognition), KF_ERR_CARD_DATA);
    BYTES(doubled, "620C8202412183026F0783026F08");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&doubled), &file), KF_ERR_CARD_DATA);
    BYTES(doubled_name, "E3124F07A00000015153504F07A0000001515351");
    cursor = kf_cursor_of(kf_buffer_view(&doubled_name));
    assert_int_equal(kf_gp_status_next(&cursor, &entry), KF_ERR_CARD_DATA);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1) vectors = arguments[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_cut_and_flipped),
        cmocka_unit_test(own_values_cut_and_flipped),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(a_thousand_levels_of_nesting),
        cmocka_unit_test(missing_and_doubled_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
