#include "softcard/apdu.h"

#include "softcard/softcard.h"

kf_code softcard_command_parse(kf_view bytes, softcard_command *ret_command)
{
    if (bytes.size > SOFTCARD_COMMAND_MAX) return KF_ERR_APDU;
    kf_cursor cursor = kf_cursor_of(bytes);
    softcard_command command = {0};
    if (kf_cursor_u8(&cursor, &command.class_byte) != KF_OK ||
        kf_cursor_u8(&cursor, &command.instruction) != KF_OK || kf_cursor_u8(&cursor, &command.p1) != KF_OK ||
        kf_cursor_u8(&cursor, &command.p2) != KF_OK)
        return KF_ERR_APDU;
    uint8_t length = 0;
    if (cursor.rest.size > 1) {
        if (kf_cursor_u8(&cursor, &length) != KF_OK || length == 0) return KF_ERR_APDU;
        if (kf_cursor_take(&cursor, length, &command.data) != KF_OK) return KF_ERR_APDU;
    }
    if (!kf_cursor_at_end(&cursor)) {
        if (kf_cursor_u8(&cursor, &length) != KF_OK) return KF_ERR_APDU;
        command.has_le = true;
        command.le = length == 0 ? 256 : length;
    }
    if (!kf_cursor_at_end(&cursor)) return KF_ERR_APDU;
    *ret_command = command;
    return KF_OK;
}

unsigned softcard_class_channel(uint8_t class_byte)
{
    return class_byte & 0x03U;
}

bool softcard_class_is_secured(uint8_t class_byte)
{
    return (class_byte & 0x04U) != 0;
}

bool softcard_class_is_proprietary(uint8_t class_byte)
{
    return (class_byte & 0x80U) != 0;
}

bool softcard_class_is_known(uint8_t class_byte)
{
    return (class_byte & 0x78U) == 0;
}
