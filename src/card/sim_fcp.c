/* File control parameters (ETSI TS 102 221 11.1.1.3, 11.1.1.4). */
#include <keyfill/sim.h>

#include <keyfill/tlv.h>

static size_t number_of(kf_view bytes)
{
    size_t value = 0;
    for (size_t i = 0; i < bytes.size && i < sizeof(value); i++)
        value = (value << 8) | bytes.data[i];
    return value;
}

/* 11.1.1.4.3: descriptor byte, data coding byte, and for record files the record's length and their number.
 */
static kf_code parse_descriptor(kf_view descriptor, kf_sim_file *file)
{
    if (descriptor.size != 2 && descriptor.size != 5) return KF_ERR_CARD_DATA;
    unsigned type = descriptor.data[0];
    file->shareable = (type & 0x40u) != 0;
    if ((type & 0x38u) == 0x38u) {
        file->structure = KF_SIM_DIRECTORY;
        return KF_OK;
    }
    file->internal = (type & 0x38u) == 0x08u;
    switch (type & 0x07u) {
    case 1: file->structure = KF_SIM_TRANSPARENT; return KF_OK;
    case 2: file->structure = KF_SIM_LINEAR_FIXED; break;
    case 6: file->structure = KF_SIM_CYCLIC; break;
    default: file->structure = KF_SIM_OTHER; return KF_OK;
    }
    if (descriptor.size != 5) return KF_ERR_CARD_DATA;
    file->record_size = number_of(kf_view_part(descriptor, 2, 2));
    file->record_count = descriptor.data[4];
    if (file->record_size == 0 || file->record_size > 255 || file->record_count == 0) return KF_ERR_CARD_DATA;
    return KF_OK;
}

/* 11.1.1.4.8: without the tag the last five bits of the identifier; an empty one says there is none. */
static kf_code parse_short_identifier(kf_view fields, kf_sim_file *file)
{
    kf_view field;
    if (!kf_tlv_find(fields, 0x88, &field)) {
        file->short_identifier = file->identifier & 0x1Fu;
    } else {
        if (field.size > 1) return KF_ERR_CARD_DATA;
        file->short_identifier = field.size == 1 ? field.data[0] >> 3 : 0;
    }
    file->has_short_identifier =
        file->structure != KF_SIM_DIRECTORY && file->short_identifier >= 1 && file->short_identifier <= 30;
    if (!file->has_short_identifier) file->short_identifier = 0;
    return KF_OK;
}

static kf_code parse_size(kf_view fields, uint32_t tag, size_t *ret_size)
{
    kf_view field;
    if (!kf_tlv_find(fields, tag, &field)) return KF_OK;
    if (field.size == 0 || field.size > 4) return KF_ERR_CARD_DATA;
    *ret_size = number_of(field);
    return KF_OK;
}

/* 9.5.2 and 11.1.1.4.10: 90 has a bit for each key reference that follows in 83, the first one's leftmost; 95
 * before a reference tells its usage. */
static kf_code parse_pin_status(kf_view template, kf_sim_file *file)
{
    kf_view enabled;
    if (!kf_tlv_find(template, 0x90, &enabled)) return KF_ERR_CARD_DATA;
    kf_cursor cursor = kf_cursor_of(template);
    uint8_t usage = 0;
    while (!kf_cursor_at_end(&cursor)) {
        kf_tlv object;
        KF_TRY(kf_tlv_read(&cursor, &object));
        if (object.tag == 0x95 && object.value.size == 1) usage = object.value.data[0];
        if (object.tag != 0x83) continue;
        size_t number = file->pin_count;
        if (object.value.size != 1 || number == KF_SIM_PINS_MAX || number / 8 >= enabled.size)
            return KF_ERR_CARD_DATA;
        bool on = (enabled.data[number / 8] & (0x80u >> number % 8)) != 0;
        file->pins[file->pin_count++] = (kf_sim_pin_status){object.value.data[0], on, usage};
        usage = 0;
    }
    return KF_OK;
}

static kf_code parse_proprietary(kf_sim_file *file)
{
    kf_view field;
    file->has_power_consumption = kf_tlv_find(file->proprietary, 0x81, &field) && field.size == 3;
    return parse_size(file->proprietary, 0x83, &file->free_memory);
}

static kf_code parse_identifiers(kf_view fields, kf_sim_file *file)
{
    kf_view field;
    if (kf_tlv_find(fields, 0x83, &field)) {
        if (field.size != 2) return KF_ERR_CARD_DATA;
        file->has_identifier = true;
        file->identifier = (uint16_t)number_of(field);
    }
    if (kf_tlv_find(fields, 0x84, &field)) file->aid = field;
    if (kf_tlv_find(fields, 0x8A, &field)) {
        if (field.size != 1) return KF_ERR_CARD_DATA;
        file->life_cycle = field.data[0];
    }
    return parse_short_identifier(fields, file);
}

static kf_code parse_attributes(kf_view fields, kf_sim_file *file)
{
    kf_view field;
    (void)kf_tlv_find(fields, 0x8B, &file->security_reference);
    (void)kf_tlv_find(fields, 0x8C, &file->security_compact);
    (void)kf_tlv_find(fields, 0xAB, &file->security_expanded);
    if (kf_tlv_find(fields, 0xC6, &field)) KF_TRY(parse_pin_status(field, file));
    if (kf_tlv_find(fields, 0xA5, &file->proprietary)) KF_TRY(parse_proprietary(file));
    return KF_OK;
}

kf_code kf_sim_file_parse(kf_view fcp, kf_sim_file *ret_file)
{
    kf_cursor cursor = kf_cursor_of(fcp);
    kf_tlv template;
    if (kf_tlv_read(&cursor, &template) != KF_OK || template.tag != 0x62 || !kf_cursor_at_end(&cursor))
        return KF_ERR_CARD_DATA;
    if (kf_tlv_check(template.value) != KF_OK) return KF_ERR_CARD_DATA;
    static const uint8_t single[] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x88, 0x8A, 0xA5, 0xC6};
    for (size_t i = 0; i < sizeof(single); i++)
        if (kf_tlv_count(template.value, single[i]) > 1) return KF_ERR_CARD_DATA;
    kf_sim_file file = {0};
    kf_view descriptor;
    if (!kf_tlv_find(template.value, 0x82, &descriptor)) return KF_ERR_CARD_DATA;
    KF_TRY(parse_descriptor(descriptor, &file));
    KF_TRY(parse_identifiers(template.value, &file));
    KF_TRY(parse_size(template.value, 0x80, &file.size));
    KF_TRY(parse_size(template.value, 0x81, &file.total_size));
    if (parse_attributes(template.value, &file) != KF_OK) return KF_ERR_CARD_DATA;
    if (file.record_size > 0 && file.size > 0 && file.size != file.record_size * file.record_count)
        return KF_ERR_CARD_DATA;
    *ret_file = file;
    return KF_OK;
}
