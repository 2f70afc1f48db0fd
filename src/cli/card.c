#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "cli/client.h"
#include "wire/json.h"

#define CARD_DATA_MAX ((size_t)256) /* bytes of one data object */

static error_t parse_card(int key, char *argument, struct argp_state *state)
{
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
}

static void print_line(const char *name, const char *value)
{
    (void)printf("%-18s %s\n", name, value);
}

/* The value, or in brackets why there is none. */
static void print_or_reason(const json_t *answer, const char *member, const char *name)
{
    const char *value = kf_cli_text(json_object_get(answer, "card"), member);
    const char *reason = kf_cli_text(json_object_get(answer, "readable"), member);
    if (value[0] != '\0')
        print_line(name, value);
    else
        (void)printf("%-18s (%s)\n", name, reason[0] != '\0' ? reason : "not told");
}

static void print_cplc(kf_view data)
{
    kf_cplc cplc;
    if (kf_cplc_parse(data, &cplc) != KF_OK) {
        print_line("CPLC", "(malformed)");
        return;
    }
    (void)printf("CPLC\n");
    for (size_t i = 0; i < KF_CPLC_FIELDS; i++) {
        const char *name = "";
        kf_view field = kf_cplc_field(&cplc, i, &name);
        (void)printf("  %-34s %s\n", name, kf_hex_show(field).text);
    }
}

static void print_recognition(kf_view data)
{
    kf_card_recognition recognition;
    if (kf_card_recognition_parse(data, &recognition) != KF_OK) {
        print_line("recognition data", "(malformed)");
        return;
    }
    print_line("GlobalPlatform", recognition.version[0] != '\0' ? recognition.version : "(version not told)");
    for (size_t i = 0; i < recognition.protocol_count; i++) {
        const kf_card_protocol *protocol = &recognition.protocols[i];
        (void)printf("%-18s SCP%02X i=%s\n", "secure channel", protocol->protocol,
                     kf_hex_show(kf_view_of(protocol->options, protocol->options_size)).text);
    }
}

static void print_keys(kf_view data)
{
    kf_key_information information;
    if (kf_key_information_parse(data, &information) != KF_OK) {
        print_line("key information", "(malformed)");
        return;
    }
    for (size_t i = 0; i < information.count; i++) {
        const kf_key_information_entry *key = &information.entries[i];
        (void)printf("%-18s version %02X, identifier %02X", i == 0 ? "keys" : "", key->key_version,
                     key->key_identifier);
        for (size_t j = 0; j < key->component_count; j++)
            (void)printf(", type %02X of %u bytes", key->components[j].type, key->components[j].size);
        (void)putchar('\n');
    }
}

static kf_code print_data(const json_t *card, const char *member, void (*print)(kf_view data),
                          kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    KF_TRY(kf_json_hex_optional(card, member, CARD_DATA_MAX, &data, error));
    if (data.size > 0) print(kf_buffer_view(&data));
    return KF_OK;
}

static void print_diversification_data(kf_view data)
{
    print_line("diversification", kf_hex_show(data).text);
}

static void print_record(const json_t *record)
{
    const char *failure = kf_cli_text(record, "error");
    if (failure[0] != '\0') {
        (void)printf("%-18s (not to be had: %s)\n", "record", failure);
        return;
    }
    if (!json_is_true(json_object_get(record, "known"))) {
        print_line("record", "none: the key management unit does not know this card");
        return;
    }
    (void)printf("%-18s %s, %s\n", "record", kf_cli_text(record, "card"), kf_cli_text(record, "state"));
    static const char *const texts[] = {"number", "category"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (kf_cli_text(record, texts[i])[0] != '\0')
            (void)printf("  %-16s %s\n", texts[i], kf_cli_text(record, texts[i]));
    static const char *const numbers[][2] = {{"generation", "key generation"},
                                             {"base_key_version", "base key version"}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const json_t *value = json_object_get(record, numbers[i][0]);
        if (json_is_integer(value))
            (void)printf("  %-16s %" JSON_INTEGER_FORMAT "\n", numbers[i][1], json_integer_value(value));
    }
    const json_t *personalised = json_object_get(record, "personalised");
    if (json_is_boolean(personalised))
        (void)printf("  %-16s %s\n", "personalised", json_is_true(personalised) ? "yes" : "no");
}

static kf_code print_card(const json_t *answer, kf_error *error)
{
    const json_t *card = json_object_get(answer, "card");
    print_line("reader", kf_cli_text(answer, "reader"));
    print_line("ATR", kf_cli_text(card, "atr"));
    print_or_reason(answer, "iccid", "ICCID");
    print_or_reason(answer, "imsi", "IMSI");
    print_or_reason(answer, "number", "number");
    KF_TRY(print_data(card, "recognition_data", print_recognition, error));
    KF_TRY(print_data(card, "key_information", print_keys, error));
    KF_TRY(print_data(card, "diversification_data", print_diversification_data, error));
    KF_TRY(print_data(card, "cplc", print_cplc, error));
    print_record(json_object_get(answer, "record"));
    return KF_OK;
}

kf_code kf_cli_card(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {
        NULL, parse_card, NULL, "Shows the card in the reader, and what the key management unit knows of it.",
        NULL, NULL,       NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, NULL, error));
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_call_terminal(cli, &(kf_cli_call){.method = "GET", .path = "/v1/card"}, &answer, error));
    if (answer == NULL) return kf_fail(error, KF_ERR_PEER, "the terminal gave an empty answer");
    return cli->json ? kf_cli_print_json(answer, error) : print_card(answer, error);
}
