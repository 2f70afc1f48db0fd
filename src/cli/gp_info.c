/* `keyfill gp info`. */
#include <stdio.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "cli/client.h"
#include "cli/gp.h"
#include "wire/json.h"

#define TAG_CPLC 0x9F7F
#define TAG_RECOGNITION 0x66
#define TAG_CAPABILITIES 0x67
#define TAG_KEY_INFORMATION 0xE0
#define TAG_ISSUER_NUMBER 0x42
#define TAG_CARD_IMAGE 0x45
#define TAG_DIVERSIFICATION_DATA 0xCF

static kf_code describe_atr(const kf_gp_session *session, json_t *report)
{
    kf_view bytes = kf_view_of(session->atr.bytes, session->atr.size);
    kf_atr atr;
    KF_TRY(kf_json_set_hex(report, "atr", bytes));
    if (kf_atr_parse(bytes, &atr) != KF_OK) return KF_OK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer protocols = KF_BUFFER_INIT;
    for (size_t i = 0; i < atr.protocol_count; i++)
        kf_buffer_format(&protocols, "%sT=%u", i > 0 ? ", " : "", (unsigned)atr.protocols[i]);
    kf_transport_capability transport = kf_transport_capability_of(atr.historical);
    KF_TRY(kf_json_set_text(report, "transmission", kf_buffer_text(&protocols)));
    KF_TRY(kf_json_set_hex(report, "historical_bytes", atr.historical));
    KF_TRY(kf_json_set_boolean(report, "extended_length", transport.extended_length));
    return kf_json_set_integer(report, "logical_channels", transport.channels_max);
}

static kf_code describe_cplc(kf_view data, json_t *report)
{
    kf_cplc cplc;
    KF_TRY(kf_cplc_parse(data, &cplc));
    json_t *fields = json_object();
    KF_TRY(kf_json_set(report, "cplc", fields));
    for (size_t i = 0; i < KF_CPLC_FIELDS; i++) {
        const char *name = NULL;
        kf_view value = kf_cplc_field(&cplc, i, &name);
        KF_TRY(kf_json_set_hex(fields, name, value));
    }
    return KF_OK;
}

static kf_code add_protocol(json_t *protocols, uint8_t protocol, kf_view options)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_format(&text, "SCP%02X", (unsigned)protocol);
    for (size_t i = 0; i < options.size; i++)
        kf_buffer_format(&text, "%s%02X", i == 0 ? " i=" : ",", (unsigned)options.data[i]);
    const char *shown = kf_buffer_text(&text);
    return kf_json_append(protocols, shown == NULL ? NULL : json_string(shown));
}

static kf_code describe_recognition(kf_view data, json_t *report)
{
    kf_card_recognition recognition;
    KF_TRY(kf_card_recognition_parse(data, &recognition));
    json_t *object = json_object();
    KF_TRY(kf_json_set(report, "recognition", object));
    KF_TRY(kf_json_set_text(object, "globalplatform", recognition.version));
    if (recognition.configuration.text[0] != '\0')
        KF_TRY(kf_json_set_text(object, "configuration", recognition.configuration.text));
    if (recognition.chip.text[0] != '\0') KF_TRY(kf_json_set_text(object, "chip", recognition.chip.text));
    json_t *protocols = json_array();
    KF_TRY(kf_json_set(object, "protocols", protocols));
    for (size_t i = 0; i < recognition.protocol_count; i++) {
        const kf_card_protocol *offered = &recognition.protocols[i];
        KF_TRY(
            add_protocol(protocols, offered->protocol, kf_view_of(offered->options, offered->options_size)));
    }
    return KF_OK;
}

static kf_code describe_capabilities(kf_view data, json_t *report)
{
    kf_card_capability capability;
    KF_TRY(kf_card_capability_parse(data, &capability));
    json_t *object = json_object();
    KF_TRY(kf_json_set(report, "capabilities", object));
    json_t *protocols = json_array();
    KF_TRY(kf_json_set(object, "protocols", protocols));
    for (size_t i = 0; i < capability.protocol_count; i++)
        KF_TRY(add_protocol(protocols, capability.protocols[i].protocol, capability.protocols[i].options));
    KF_TRY(kf_json_set_hex(object, "security_domain_privileges", capability.security_domain_privileges));
    KF_TRY(kf_json_set_hex(object, "application_privileges", capability.application_privileges));
    return kf_json_set_hex(object, "hash_algorithms", capability.hash_algorithms);
}

static const char *type_text(uint16_t type)
{
    if (type >= 0x80 && type <= 0x84) return "3DES";
    if (type == 0x88) return "AES";
    if (type >= 0xA0 && type <= 0xA9) return "RSA";
    if (type >= 0xB0 && type <= 0xB9) return "EC";
    return "other";
}

static kf_code describe_keys(kf_view data, json_t *report)
{
    kf_key_information information;
    KF_TRY(kf_key_information_parse(data, &information));
    json_t *keys = json_array();
    KF_TRY(kf_json_set(report, "keys", keys));
    for (size_t i = 0; i < information.count; i++) {
        const kf_key_information_entry *entry = &information.entries[i];
        json_t *key = json_object();
        KF_TRY(kf_json_append(keys, key));
        KF_TRY(kf_json_set_hex(key, "version", kf_view_of(&entry->key_version, 1)));
        KF_TRY(kf_json_set_integer(key, "identifier", entry->key_identifier));
        if (entry->component_count == 0) continue;
        KF_TRY(kf_json_set_text(key, "type", type_text(entry->components[0].type)));
        KF_TRY(kf_json_set_integer(key, "bytes", entry->components[0].size));
    }
    return KF_OK;
}

static kf_code describe_hex(const char *member, uint16_t tag, kf_view data, json_t *report)
{
    kf_view value = data;
    size_t header = 2;
    if (data.size > header && data.data[0] == (tag & 0xFFu)) value = kf_view_part(data, header, data.size);
    return kf_json_set_hex(report, member, value);
}

static kf_code describe_counter(kf_view data, json_t *report)
{
    uint32_t counter = 0;
    KF_TRY(kf_gp_counter_parse(data, KF_GP_SEQUENCE_COUNTER, &counter));
    return kf_json_set_integer(report, "sequence_counter", counter);
}

typedef struct data_object {
    uint16_t tag;
    const char *member;
    kf_code (*describe)(kf_view data, json_t *report); /* NULL: in hexadecimal */
} data_object;

static const data_object objects[] = {
    {TAG_CPLC, "cplc", describe_cplc},
    {TAG_RECOGNITION, "recognition", describe_recognition},
    {TAG_CAPABILITIES, "capabilities", describe_capabilities},
    {TAG_KEY_INFORMATION, "keys", describe_keys},
    {KF_GP_SEQUENCE_COUNTER, "sequence_counter", describe_counter},
    {TAG_ISSUER_NUMBER, "issuer_identification_number", NULL},
    {TAG_CARD_IMAGE, "card_image_number", NULL},
    {TAG_DIVERSIFICATION_DATA, "diversification_data", NULL},
};

/* What a card does not have, or garbles, is left out or said; the rest is shown all the same. */
static kf_code read_object(kf_gp_session *session, const data_object *object, json_t *report, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    uint16_t status_word = 0;
    char label[64];
    (void)snprintf(label, sizeof label, "GET DATA %s", object->member);
    KF_TRY(kf_fail_plain(error, kf_gp_get_data(object->tag, &apdu)));
    const kf_gp_message message = {.label = label, .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send(session, &message, &data, &status_word, error));
    if (status_word != 0x9000) return KF_OK;
    kf_code code = object->describe == NULL
                       ? describe_hex(object->member, object->tag, kf_buffer_view(&data), report)
                       : object->describe(kf_buffer_view(&data), report);
    if (code == KF_ERR_CARD_DATA || code == KF_ERR_TLV) {
        char member[64];
        (void)snprintf(member, sizeof member, "%s_malformed", object->member);
        code = kf_json_set_hex(report, member, kf_buffer_view(&data));
    }
    return kf_fail_plain(error, code);
}

static void print_value(const char *name, json_t *value)
{
    size_t index;
    const char *member;
    json_t *item;
    json_t *inner;
    if (json_is_object(value)) {
        json_object_foreach(value, member, inner)
        {
            char whole[96];
            (void)snprintf(whole, sizeof whole, "%.45s.%.45s", name, member);
            print_value(whole, inner);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, index, item) print_value(name, item);
    } else if (json_is_string(value)) {
        printf("%-44s %s\n", name, json_string_value(value));
    } else if (json_is_integer(value)) {
        printf("%-44s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
    } else {
        printf("%-44s %s\n", name, json_is_true(value) ? "yes" : "no");
    }
}

static void print_report(json_t *report)
{
    static const char *const key_columns[] = {"version", "identifier", "type", "bytes", NULL};
    const char *member;
    json_t *value;
    json_object_foreach(report, member, value)
    {
        if (strcmp(member, "keys") != 0) print_value(member, value);
    }
    const json_t *keys = json_object_get(report, "keys");
    if (json_array_size(keys) == 0) return;
    printf("\n");
    kf_cli_print_table(keys, key_columns);
}

kf_code kf_gp_run_info(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS,
        .about = "Shows what the card tells of itself. Keys are not needed, on most cards."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_json_free) json_t *report = json_object();
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_session_open(&options, KF_GP_SELECT, &session, error));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(report, "reader", kf_reader_name(session.reader))));
    KF_TRY(kf_fail_plain(error, describe_atr(&session, report)));
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        KF_TRY(read_object(&session, &objects[i], report, error));
    if (cli->json) return kf_cli_print_json(report, error);
    print_report(report);
    return KF_OK;
}
