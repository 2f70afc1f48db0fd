/* CPLC, card recognition data, capabilities, key information. */
#include <keyfill/card_data.h>

#include <stdio.h>
#include <string.h>

#include <keyfill/tlv.h>

static const struct {
    const char *name;
    size_t offset;
    size_t size;
} cplc_fields[KF_CPLC_FIELDS] = {
    {"ic_fabricator", 0, 2},
    {"ic_type", 2, 2},
    {"os_id", 4, 2},
    {"os_release_date", 6, 2},
    {"os_release_level", 8, 2},
    {"ic_fabrication_date", 10, 2},
    {"ic_serial", 12, 4},
    {"ic_batch", 16, 2},
    {"ic_module_fabricator", 18, 2},
    {"ic_module_packaging_date", 20, 2},
    {"icc_manufacturer", 22, 2},
    {"ic_embedding_date", 24, 2},
    {"prepersonalizer", 26, 2},
    {"prepersonalization_date", 28, 2},
    {"prepersonalization_equipment", 30, 4},
    {"personalizer", 34, 2},
    {"personalization_date", 36, 2},
    {"personalization_equipment", 38, 4},
};

/* The value of the one object `tag` that `data` is; `data` itself where it begins otherwise. */
static kf_code strip_tag(kf_view data, uint32_t tag, kf_view *ret_value)
{
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv tlv;
    if (kf_tlv_read(&cursor, &tlv) != KF_OK || tlv.tag != tag) {
        *ret_value = data;
        return KF_OK;
    }
    if (!kf_cursor_at_end(&cursor)) return KF_ERR_CARD_DATA;
    *ret_value = tlv.value;
    return KF_OK;
}

kf_code kf_cplc_parse(kf_view data, kf_cplc *ret_cplc)
{
    kf_view value = data;
    if (data.size != KF_CPLC_SIZE) KF_TRY(strip_tag(data, 0x9F7F, &value));
    if (value.size != KF_CPLC_SIZE) return KF_ERR_CARD_DATA;
    memcpy(ret_cplc->bytes, value.data, KF_CPLC_SIZE);
    return KF_OK;
}

kf_view kf_cplc_field(const kf_cplc *cplc, size_t index, const char **ret_name)
{
    if (index >= KF_CPLC_FIELDS) return kf_view_of(NULL, 0);
    if (ret_name != NULL) *ret_name = cplc_fields[index].name;
    return kf_view_part(KF_VIEW(cplc->bytes), cplc_fields[index].offset, cplc_fields[index].size);
}

kf_view kf_cplc_named(const kf_cplc *cplc, const char *name)
{
    for (size_t i = 0; i < KF_CPLC_FIELDS; i++)
        if (strcmp(cplc_fields[i].name, name) == 0) return kf_cplc_field(cplc, i, NULL);
    return kf_view_of(NULL, 0);
}

void kf_cplc_identity(const kf_cplc *cplc, uint8_t ret_identity[KF_CPLC_IDENTITY_SIZE])
{
    static const char *const names[] = {"ic_fabricator", "ic_type", "ic_batch", "ic_serial"};
    size_t size = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        kf_view field = kf_cplc_named(cplc, names[i]);
        memcpy(ret_identity + size, field.data, field.size);
        size += field.size;
    }
}

static kf_code append_arc(kf_oid_text *oid, size_t *size, uint64_t arc)
{
    const char *separator = *size == 0 ? "" : ".";
    int written =
        snprintf(oid->text + *size, sizeof(oid->text) - *size, "%s%llu", separator, (unsigned long long)arc);
    if (written < 0 || (size_t)written >= sizeof(oid->text) - *size) return KF_ERR_CARD_DATA;
    *size += (size_t)written;
    return KF_OK;
}

/* X.690 8.19. */
kf_code kf_oid_show(kf_view oid, kf_oid_text *ret_text)
{
    if (oid.size == 0 || (oid.data[oid.size - 1] & 0x80u)) return KF_ERR_CARD_DATA;
    kf_oid_text text = {{0}};
    size_t size = 0;
    uint64_t arc = 0;
    bool first = true;
    for (size_t i = 0; i < oid.size; i++) {
        if (arc > UINT64_MAX >> 7) return KF_ERR_CARD_DATA;
        arc = (arc << 7) | (oid.data[i] & 0x7Fu);
        if (oid.data[i] & 0x80u) continue;
        if (first) {
            uint64_t root = arc < 80 ? arc / 40 : 2;
            KF_TRY(append_arc(&text, &size, root));
            arc -= root * 40;
            first = false;
        }
        KF_TRY(append_arc(&text, &size, arc));
        arc = 0;
    }
    *ret_text = text;
    return KF_OK;
}

/* {iso(1) member-body(2) country-USA(840) GlobalPlatform(114283)} and the arc below it. */
static bool below_globalplatform(kf_view oid, uint8_t arc, kf_view *ret_rest)
{
    const uint8_t prefix[] = {0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, arc};
    if (!kf_view_starts_with(oid, KF_VIEW(prefix))) return false;
    *ret_rest = kf_view_part(oid, sizeof(prefix), oid.size);
    return true;
}

static kf_code show_version(kf_view oid, kf_card_recognition *recognition)
{
    kf_view rest;
    if (!below_globalplatform(oid, 2, &rest)) return KF_ERR_CARD_DATA;
    size_t size = 0;
    for (size_t i = 0; i < rest.size; i++) {
        if (rest.data[i] & 0x80u) return KF_ERR_CARD_DATA;
        int written = snprintf(recognition->version + size, sizeof(recognition->version) - size, "%s%u",
                               i == 0 ? "" : ".", (unsigned)rest.data[i]);
        if (written < 0 || (size_t)written >= sizeof(recognition->version) - size) return KF_ERR_CARD_DATA;
        size += (size_t)written;
    }
    return KF_OK;
}

/* H.2: {globalPlatform 4 scp i}. */
static kf_code add_protocol(kf_view oid, kf_card_recognition *recognition)
{
    kf_view rest;
    if (!below_globalplatform(oid, 4, &rest) || rest.size < 1 || rest.size - 1 > KF_PROTOCOL_OPTIONS_MAX)
        return KF_ERR_CARD_DATA;
    if (recognition->protocol_count == KF_RECOGNITION_PROTOCOLS_MAX) return KF_ERR_CARD_DATA;
    kf_card_protocol *protocol = &recognition->protocols[recognition->protocol_count++];
    protocol->protocol = rest.data[0];
    protocol->options_size = rest.size - 1;
    if (rest.size > 1) memcpy(protocol->options, rest.data + 1, rest.size - 1);
    return KF_OK;
}

static kf_code read_recognition_object(const kf_tlv *object, kf_card_recognition *recognition)
{
    kf_view oid;
    if (object->tag == 0x06) return kf_oid_show(object->value, &recognition->globalplatform);
    if (!kf_tlv_is_constructed(object->tag) || !kf_tlv_find(object->value, 0x06, &oid)) return KF_OK;
    switch (object->tag) {
    case 0x60: return show_version(oid, recognition);
    case 0x63: return kf_oid_show(oid, &recognition->identification);
    case 0x64: return add_protocol(oid, recognition);
    case 0x65: return kf_oid_show(oid, &recognition->configuration);
    case 0x66: return kf_oid_show(oid, &recognition->chip);
    default: return KF_OK; /* H.2: further objects are the issuer's own */
    }
}

kf_code kf_card_recognition_parse(kf_view data, kf_card_recognition *ret_recognition)
{
    kf_view content, list;
    KF_TRY(strip_tag(data, 0x66, &content));
    if (kf_tlv_check(content) != KF_OK || !kf_tlv_find(content, 0x73, &list)) return KF_ERR_CARD_DATA;
    kf_card_recognition recognition = {0};
    kf_cursor cursor = kf_cursor_of(list);
    while (!kf_cursor_at_end(&cursor)) {
        kf_tlv object;
        KF_TRY(kf_tlv_read(&cursor, &object));
        KF_TRY(read_recognition_object(&object, &recognition));
    }
    *ret_recognition = recognition;
    return KF_OK;
}

static kf_code add_capability_protocol(kf_view value, kf_card_capability *capability)
{
    kf_view field;
    if (capability->protocol_count == KF_CAPABILITY_PROTOCOLS_MAX) return KF_ERR_CARD_DATA;
    kf_capability_protocol *protocol = &capability->protocols[capability->protocol_count++];
    if (!kf_tlv_find(value, 0x80, &field) || field.size != 1) return KF_ERR_CARD_DATA;
    protocol->protocol = field.data[0];
    if (kf_tlv_find(value, 0x81, &field)) protocol->options = field;
    if (kf_tlv_find(value, 0x82, &field)) {
        if (field.size != 1) return KF_ERR_CARD_DATA;
        protocol->key_sizes = field.data[0];
    }
    return KF_OK;
}

kf_code kf_card_capability_parse(kf_view data, kf_card_capability *ret_capability)
{
    kf_view content, inner;
    KF_TRY(strip_tag(data, 0x67, &content));
    if (kf_tlv_find(content, 0x67, &inner)) content = inner;
    if (kf_tlv_check(content) != KF_OK) return KF_ERR_CARD_DATA;
    kf_card_capability capability = {0};
    kf_cursor cursor = kf_cursor_of(content);
    while (!kf_cursor_at_end(&cursor)) {
        kf_tlv object;
        KF_TRY(kf_tlv_read(&cursor, &object));
        switch (object.tag) {
        case 0xA0: KF_TRY(add_capability_protocol(object.value, &capability)); break;
        case 0x81: capability.security_domain_privileges = object.value; break;
        case 0x82: capability.application_privileges = object.value; break;
        case 0x83: capability.hash_algorithms = object.value; break;
        case 0x84: capability.cipher_suites = object.value; break;
        default: break;
        }
    }
    *ret_capability = capability;
    return KF_OK;
}

/* Tables 11-25 and 11-26. A key type FF in the first component announces the extended form: types and
 * lengths of two bytes, then usage and access each behind its length. */
static kf_code parse_key_entry(kf_view value, kf_key_information_entry *entry)
{
    kf_cursor cursor = kf_cursor_of(value);
    if (kf_cursor_u8(&cursor, &entry->key_identifier) != KF_OK ||
        kf_cursor_u8(&cursor, &entry->key_version) != KF_OK)
        return KF_ERR_CARD_DATA;
    entry->extended = cursor.rest.size > 0 && cursor.rest.data[0] == 0xFF;
    while (!kf_cursor_at_end(&cursor)) {
        if (entry->extended && cursor.rest.data[0] != 0xFF) break;
        if (entry->component_count == KF_KEY_INFORMATION_COMPONENTS_MAX) return KF_ERR_CARD_DATA;
        kf_key_component *component = &entry->components[entry->component_count++];
        if (entry->extended) {
            if (kf_cursor_u16(&cursor, &component->type) != KF_OK ||
                kf_cursor_u16(&cursor, &component->size) != KF_OK)
                return KF_ERR_CARD_DATA;
        } else {
            uint8_t type, size;
            if (kf_cursor_u8(&cursor, &type) != KF_OK || kf_cursor_u8(&cursor, &size) != KF_OK)
                return KF_ERR_CARD_DATA;
            component->type = type;
            /* One byte cannot say 256 (RSA-2048): cards write 00. */
            component->size = size;
        }
    }
    if (entry->component_count == 0) return KF_ERR_CARD_DATA;
    entry->tail = cursor.rest;
    return KF_OK;
}

static kf_code parse_key_entries(kf_view entries, kf_key_information *information)
{
    kf_cursor cursor = kf_cursor_of(entries);
    while (!kf_cursor_at_end(&cursor)) {
        kf_tlv object;
        KF_TRY(kf_tlv_read(&cursor, &object));
        if (object.tag != 0xC0 || information->count == KF_KEY_INFORMATION_MAX) return KF_ERR_CARD_DATA;
        KF_TRY(parse_key_entry(object.value, &information->entries[information->count]));
        information->count++;
    }
    return KF_OK;
}

kf_code kf_key_information_parse(kf_view data, kf_key_information *ret_information)
{
    kf_key_information information = {0};
    if (data.size == 0 || data.data[0] != 0xE0) {
        KF_TRY(parse_key_entries(data, &information));
    } else {
        kf_cursor cursor = kf_cursor_of(data);
        while (!kf_cursor_at_end(&cursor)) {
            kf_tlv template;
            KF_TRY(kf_tlv_read(&cursor, &template));
            if (template.tag != 0xE0) return KF_ERR_CARD_DATA;
            KF_TRY(parse_key_entries(template.value, &information));
        }
    }
    *ret_information = information;
    return KF_OK;
}

const kf_key_information_entry *kf_key_information_version(const kf_key_information *information,
                                                           uint8_t key_version)
{
    for (size_t i = 0; i < information->count; i++)
        if (information->entries[i].key_version == key_version) return &information->entries[i];
    return NULL;
}
