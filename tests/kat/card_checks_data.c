/* Checkers of TLV and of what cards tell of themselves. */
#include "card_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/tlv.h>

static void compare_tag(kat_report *report, const char *wanted, uint32_t tag)
{
    char actual[9];
    (void)snprintf(actual, sizeof(actual), "%02X", (unsigned)tag);
    /* 9F02 needs no leading zeros, 0x05 does: tags never begin with a zero byte here. */
    kat_compared(report);
    if (wanted == NULL || strcmp(wanted, actual) != 0)
        kat_fault(report, "tag: expected %s, got %s", wanted != NULL ? wanted : "(none)", actual);
}

static void compare_text_bytes(kat_report *report, const char *what, const json_t *wanted, kf_view actual)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    if (!json_is_string(wanted) || kf_hex_decode_append(json_string_value(wanted), &bytes) != KF_OK) {
        kat_fault(report, "%s: the expected value is not hexadecimal", what);
        return;
    }
    kat_compare(report, what, kf_buffer_view(&bytes), actual);
}

void kat_compare_tree(kat_report *report, const json_t *tree, kf_view data)
{
    kf_cursor cursor = kf_cursor_of(data);
    for (size_t i = 0; i < json_array_size(tree); i++) {
        const json_t *node = json_array_get(tree, i);
        kf_tlv tlv;
        if (!kat_ok(report, kf_tlv_read(&cursor, &tlv), "kf_tlv_read")) return;
        compare_tag(report, json_string_value(json_array_get(node, 0)), tlv.tag);
        const json_t *value = json_array_get(node, 1);
        if (json_is_array(value))
            kat_compare_tree(report, value, tlv.value);
        else
            compare_text_bytes(report, "value", value, tlv.value);
    }
    kat_compared(report);
    if (!kf_cursor_at_end(&cursor)) kat_fault(report, "%zu bytes more than expected", cursor.rest.size);
}

static void write_tree(const json_t *tree, kf_buffer *bytes)
{
    for (size_t i = 0; i < json_array_size(tree); i++) {
        const json_t *node = json_array_get(tree, i);
        const json_t *value = json_array_get(node, 1);
        size_t mark =
            kf_tlv_begin(bytes, (uint32_t)strtoul(json_string_value(json_array_get(node, 0)), NULL, 16));
        if (json_is_array(value))
            write_tree(value, bytes);
        else if (kf_hex_decode_append(json_string_value(value), bytes) != KF_OK)
            bytes->status = KF_ERR_HEX;
        kf_tlv_end(bytes, mark);
    }
}

void kat_check_ber_tlv(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    if (!kat_need_hex(report, entry, "input", &input)) return;
    if (kat_expect_error(report, entry, kf_tlv_check(kf_buffer_view(&input)))) return;
    const json_t *tree = kat_expected(report, entry, "tree");
    if (tree == NULL) return;
    kat_ok(report, kf_tlv_check(kf_buffer_view(&input)), "kf_tlv_check");
    kat_compare_tree(report, tree, kf_buffer_view(&input));
    if (kat_flag_or(entry, "non_minimal", false)) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer written = KF_BUFFER_INIT;
    write_tree(tree, &written);
    if (kat_ok(report, kf_buffer_status(&written), "writing"))
        kat_compare(report, "written", kf_buffer_view(&input), kf_buffer_view(&written));
}

static void compare_protocols(kat_report *report, const json_t *entry, const kf_card_recognition *recognition)
{
    const json_t *list = kat_expected(report, entry, "scp");
    if (list == NULL) return;
    kat_compared(report);
    if (json_array_size(list) != recognition->protocol_count) {
        kat_fault(report, "%zu protocols instead of %zu", recognition->protocol_count, json_array_size(list));
        return;
    }
    for (size_t i = 0; i < recognition->protocol_count; i++) {
        const json_t *pair = json_array_get(list, i);
        const kf_card_protocol *protocol = &recognition->protocols[i];
        compare_text_bytes(report, "scp", json_array_get(pair, 0), kf_view_of(&protocol->protocol, 1));
        compare_text_bytes(report, "i", json_array_get(pair, 1),
                           kf_view_of(protocol->options, protocol->options_size));
    }
}

void kat_check_recognition(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_card_recognition recognition;
    if (!kat_need_hex(report, entry, "data", &data)) return;
    kf_code code = kf_card_recognition_parse(kf_buffer_view(&data), &recognition);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "parse")) return;
    compare_protocols(report, entry, &recognition);
    kat_expect_text(report, entry, "gp_oid", recognition.globalplatform.text);
    kat_expect_text(report, entry, "gp_version", recognition.version);
    kat_expect_text(report, entry, "ident_oid", recognition.identification.text);
    kat_expect_text(report, entry, "card_config_oid", recognition.configuration.text);
    kat_expect_text(report, entry, "chip_oid", recognition.chip.text);
}

/* One protocol, "02" with its list of i, or a list of protocols with a list of such lists. */
static void compare_capability_protocols(kat_report *report, const json_t *entry,
                                         const kf_card_capability *capability)
{
    const json_t *names = kat_expected(report, entry, "scp");
    const json_t *lists = kat_expected(report, entry, "options");
    size_t count = json_is_array(names) ? json_array_size(names) : names != NULL || lists != NULL;
    if (count > capability->protocol_count) {
        kat_fault(report, "%zu protocols were found", capability->protocol_count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const kf_capability_protocol *protocol = &capability->protocols[i];
        const json_t *name = json_is_array(names) ? json_array_get(names, i) : names;
        if (name != NULL) compare_text_bytes(report, "scp", name, kf_view_of(&protocol->protocol, 1));
        const json_t *options = json_is_array(json_array_get(lists, i)) ? json_array_get(lists, i) : lists;
        if (options == NULL) continue;
        kat_compared(report);
        if (json_array_size(options) != protocol->options.size)
            kat_fault(report, "%zu values of i", protocol->options.size);
        for (size_t j = 0; j < json_array_size(options) && j < protocol->options.size; j++)
            compare_text_bytes(report, "options", json_array_get(options, j),
                               kf_view_part(protocol->options, j, 1));
    }
}

void kat_check_capability(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_card_capability capability;
    if (!kat_need_hex(report, entry, "data", &data)) return;
    kf_code code = kf_card_capability_parse(kf_buffer_view(&data), &capability);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "parse")) return;
    const json_t *tree = kat_expected(report, entry, "tree");
    if (tree != NULL) kat_compare_tree(report, tree, kf_buffer_view(&data));
    kat_expect_hex(report, entry, "ssd_privileges", capability.security_domain_privileges);
    kat_expect_hex(report, entry, "app_privileges", capability.application_privileges);
    kat_expect_hex(report, entry, "hash_algorithms", capability.hash_algorithms);
    kat_expect_hex(report, entry, "cipher_suites", capability.cipher_suites);
    compare_capability_protocols(report, entry, &capability);
}

static void compare_key_entry(kat_report *report, const json_t *wanted, const kf_key_information_entry *entry)
{
    kat_compared(report);
    if (json_integer_value(json_object_get(wanted, "id")) != entry->key_identifier)
        kat_fault(report, "key identifier %u", (unsigned)entry->key_identifier);
    compare_text_bytes(report, "kvn", json_object_get(wanted, "kvn"), kf_view_of(&entry->key_version, 1));
    if (kat_flag_or(wanted, "extended", false) != entry->extended)
        kat_fault(report, "the form was taken wrongly");
    if (kat_has(wanted, "tail"))
        compare_text_bytes(report, "tail", json_object_get(wanted, "tail"), entry->tail);
    const json_t *components = json_object_get(wanted, "components");
    if (json_array_size(components) != entry->component_count) {
        kat_fault(report, "%zu components", entry->component_count);
        return;
    }
    for (size_t i = 0; i < entry->component_count; i++) {
        const json_t *pair = json_array_get(components, i);
        char type[8];
        (void)snprintf(type, sizeof(type), "%02X", (unsigned)entry->components[i].type);
        const char *wanted_type = json_string_value(json_array_get(pair, 0));
        if (wanted_type == NULL || strcmp(wanted_type, type) != 0) kat_fault(report, "key type %s", type);
        if (json_integer_value(json_array_get(pair, 1)) != entry->components[i].size)
            kat_fault(report, "key size %u", (unsigned)entry->components[i].size);
    }
}

void kat_check_key_information(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_key_information information;
    if (!kat_need_hex(report, entry, "data", &data)) return;
    kf_code code = kf_key_information_parse(kf_buffer_view(&data), &information);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "parse")) return;
    kat_expect_number(report, entry, "count", (long long)information.count);
    const json_t *keys = kat_expected(report, entry, "keys");
    if (keys != NULL && json_array_size(keys) != information.count) {
        kat_fault(report, "%zu keys", information.count);
        return;
    }
    for (size_t i = 0; i < json_array_size(keys); i++)
        compare_key_entry(report, json_array_get(keys, i), &information.entries[i]);
}

void kat_check_cplc(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_cplc cplc;
    if (!kat_need_hex(report, entry, "data", &data)) return;
    kf_code code = kf_cplc_parse(kf_buffer_view(&data), &cplc);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "kf_cplc_parse")) return;
    for (size_t i = 0; i < KF_CPLC_FIELDS; i++) {
        const char *name;
        kf_view field = kf_cplc_field(&cplc, i, &name);
        kat_expect_hex(report, entry, name, field);
    }
}

/* `values`: the list of all values of that tag in order. */
static void compare_occurrences(kat_report *report, const char *tag, const json_t *values, kf_view data)
{
    uint32_t wanted = (uint32_t)strtoul(tag, NULL, 16);
    kf_cursor cursor = kf_cursor_of(data);
    size_t found = 0;
    kf_tlv tlv;
    while (kf_tlv_read(&cursor, &tlv) == KF_OK) {
        if (tlv.tag != wanted) continue;
        const json_t *value = json_array_get(values, found++);
        if (json_is_array(value))
            kat_compare_tree(report, value, tlv.value);
        else
            compare_text_bytes(report, tag, value, tlv.value);
    }
    kat_compared(report);
    if (found != json_array_size(values)) kat_fault(report, "tag %s stands %zu times", tag, found);
}

static void compare_status_entry(kat_report *report, json_t *wanted, const kf_gp_status_entry *entry)
{
    const char *tag = NULL;
    json_t *values = NULL;
    json_object_foreach(wanted, tag, values) compare_occurrences(report, tag, values, entry->whole);
    const struct {
        const char *tag;
        kf_view actual;
    } fields[] = {{"4F", entry->aid},       {"9F70", entry->state}, {"C5", entry->privileges},
                  {"C4", entry->load_file}, {"CE", entry->version}, {"CC", entry->security_domain}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (kat_has(wanted, fields[i].tag))
            compare_text_bytes(report, fields[i].tag,
                               json_array_get(json_object_get(wanted, fields[i].tag), 0), fields[i].actual);
}

void kat_check_get_status(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    if (!kat_need_hex(report, entry, "data", &data)) return;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&data));
    kf_gp_status_entry status;
    kf_code code = KF_OK;
    while (code == KF_OK && !kf_cursor_at_end(&cursor))
        code = kf_gp_status_next(&cursor, &status);
    if (kat_expect_error(report, entry, code)) return;
    const json_t *wanted = kat_expected(report, entry, "entries");
    cursor = kf_cursor_of(kf_buffer_view(&data));
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        if (!kat_ok(report, kf_gp_status_next(&cursor, &status), "kf_gp_status_next")) return;
        compare_status_entry(report, json_array_get(wanted, i), &status);
    }
    if (!kf_cursor_at_end(&cursor)) kat_fault(report, "more entries than expected");
}

static void compare_interfaces(kat_report *report, const json_t *wanted, const kf_atr *atr)
{
    if (json_array_size(wanted) != atr->interface_count) {
        kat_fault(report, "%zu interface bytes", atr->interface_count);
        return;
    }
    for (size_t i = 0; i < atr->interface_count; i++) {
        const json_t *pair = json_array_get(wanted, i);
        const char *name = json_string_value(json_array_get(pair, 0));
        if (name == NULL || strcmp(name, atr->interfaces[i].name) != 0)
            kat_fault(report, "interface byte %s", atr->interfaces[i].name);
        compare_text_bytes(report, atr->interfaces[i].name, json_array_get(pair, 1),
                           kf_view_of(&atr->interfaces[i].value, 1));
    }
}

void kat_check_atr(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_atr atr;
    if (!kat_need_hex(report, entry, "atr", &bytes)) return;
    kf_code code = kf_atr_parse(kf_buffer_view(&bytes), &atr);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "kf_atr_parse")) return;
    const json_t *interfaces = kat_expected(report, entry, "interface");
    if (interfaces != NULL) compare_interfaces(report, interfaces, &atr);
    kat_expect_hex(report, entry, "historical", atr.historical);
    const json_t *protocols = kat_expected(report, entry, "protocols");
    for (size_t i = 0; i < json_array_size(protocols); i++)
        if (i >= atr.protocol_count || json_integer_value(json_array_get(protocols, i)) != atr.protocols[i])
            kat_fault(report, "protocol %zu differs", i);
    if (protocols != NULL && json_array_size(protocols) != atr.protocol_count)
        kat_fault(report, "%zu protocols", atr.protocol_count);
    kat_expect_flag(report, entry, "tck_required", atr.check_required);
    kat_expect_flag(report, entry, "tck_ok", atr.check_ok);
}
