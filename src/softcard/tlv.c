#include "softcard/tlv.h"

kf_code softcard_length_next(kf_cursor *cursor, size_t *ret_length)
{
    kf_cursor here = *cursor;
    uint8_t first;
    if (kf_cursor_u8(&here, &first) != KF_OK) return KF_ERR_TLV;
    size_t length = first;
    if (first == 0x81) {
        uint8_t value;
        if (kf_cursor_u8(&here, &value) != KF_OK) return KF_ERR_TLV;
        length = value;
    } else if (first == 0x82) {
        uint16_t value;
        if (kf_cursor_u16(&here, &value) != KF_OK) return KF_ERR_TLV;
        length = value;
    } else if (first == 0x83) {
        uint8_t high;
        uint16_t low;
        if (kf_cursor_u8(&here, &high) != KF_OK || kf_cursor_u16(&here, &low) != KF_OK) return KF_ERR_TLV;
        length = (size_t)high << 16 | low;
    } else if (first > 0x7F) {
        return KF_ERR_TLV;
    }
    *cursor = here;
    *ret_length = length;
    return KF_OK;
}

kf_code softcard_tlv_next(kf_cursor *cursor, softcard_tlv *ret_object)
{
    kf_cursor here = *cursor;
    uint8_t byte;
    if (kf_cursor_u8(&here, &byte) != KF_OK) return KF_ERR_TLV;
    softcard_tlv object = {.tag = byte};
    if ((byte & 0x1FU) == 0x1F) {
        if (kf_cursor_u8(&here, &byte) != KF_OK || (byte & 0x80U) != 0) return KF_ERR_TLV;
        object.tag = (uint16_t)(object.tag << 8 | byte);
    }
    size_t length;
    if (softcard_length_next(&here, &length) != KF_OK) return KF_ERR_TLV;
    if (kf_cursor_take(&here, length, &object.value) != KF_OK) return KF_ERR_TLV;
    *cursor = here;
    *ret_object = object;
    return KF_OK;
}

kf_code softcard_tlv_find(kf_view bytes, uint16_t tag, kf_view *ret_value)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    while (!kf_cursor_at_end(&cursor)) {
        softcard_tlv object;
        KF_TRY(softcard_tlv_next(&cursor, &object));
        if (object.tag == tag) {
            *ret_value = object.value;
            return KF_OK;
        }
    }
    return KF_ERR_NOT_FOUND;
}

kf_code softcard_counted_next(kf_cursor *cursor, kf_view *ret_value)
{
    kf_cursor here = *cursor;
    size_t length;
    kf_view value;
    if (softcard_length_next(&here, &length) != KF_OK) return KF_ERR_TLV;
    if (kf_cursor_take(&here, length, &value) != KF_OK) return KF_ERR_TLV;
    *cursor = here;
    *ret_value = value;
    return KF_OK;
}

kf_code softcard_field_next(kf_cursor *cursor, kf_view *ret_value)
{
    kf_cursor here = *cursor;
    uint8_t first;
    size_t length;
    if (kf_cursor_u8(&here, &first) != KF_OK) return KF_ERR_TLV;
    if (first == 0x81 || first == 0x82) {
        here = *cursor;
        if (softcard_length_next(&here, &length) != KF_OK) return KF_ERR_TLV;
    } else {
        length = first;
    }
    if (kf_cursor_take(&here, length, ret_value) != KF_OK) return KF_ERR_TLV;
    *cursor = here;
    return KF_OK;
}

void softcard_tlv_append(kf_buffer *buffer, uint16_t tag, kf_view value)
{
    if (tag > 0xFF)
        kf_buffer_append_u16(buffer, tag);
    else
        kf_buffer_append_u8(buffer, (uint8_t)tag);
    if (value.size > 0xFF) {
        kf_buffer_append_u8(buffer, 0x82);
        kf_buffer_append_u16(buffer, (uint16_t)value.size);
    } else {
        if (value.size > 0x7F) kf_buffer_append_u8(buffer, 0x81);
        kf_buffer_append_u8(buffer, (uint8_t)value.size);
    }
    kf_buffer_append(buffer, value);
}
