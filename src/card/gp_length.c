#include "card/gp_length.h"

#include <keyfill/tlv.h>

kf_code kf_gp_field_append(kf_buffer *data, kf_view value)
{
    if (value.size > UINT16_MAX) return KF_ERR_TOO_LONG;
    kf_tlv_append_length(data, value.size);
    kf_buffer_append(data, value);
    return kf_buffer_status(data);
}

kf_code kf_gp_field_next(kf_cursor *cursor, kf_view *ret_value)
{
    kf_cursor ahead = *cursor;
    uint8_t first;
    if (kf_cursor_u8(&ahead, &first) != KF_OK) return KF_ERR_CARD_DATA;
    size_t length = first;
    if (first == 0x81) {
        uint8_t one;
        if (kf_cursor_u8(&ahead, &one) != KF_OK) return KF_ERR_CARD_DATA;
        length = one;
    } else if (first == 0x82) {
        uint16_t two;
        if (kf_cursor_u16(&ahead, &two) != KF_OK) return KF_ERR_CARD_DATA;
        length = two;
    } else if (first >= 0x80) {
        return KF_ERR_CARD_DATA;
    }
    kf_view value;
    if (kf_cursor_take(&ahead, length, &value) != KF_OK) return KF_ERR_CARD_DATA;
    *cursor = ahead;
    *ret_value = value;
    return KF_OK;
}
