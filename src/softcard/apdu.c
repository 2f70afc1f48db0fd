#include "softcard/apdu.h"

#include "softcard/softcard.h"

enum { FURTHER_CHANNEL = 0x40, FURTHER_SECURED = 0x20, FIRST_FURTHER_CHANNEL = 4, SECURED = 0x04 };
enum { SHORT_LE_MAX = 256, EXTENDED_LE_MAX = 65536 };

static kf_code parse_short(kf_cursor *cursor, softcard_command *command)
{
    uint8_t length;
    if (cursor->rest.size > 1) {
        KF_TRY(kf_cursor_u8(cursor, &length));
        KF_TRY(kf_cursor_take(cursor, length, &command->data));
    }
    if (kf_cursor_at_end(cursor)) return KF_OK;
    KF_TRY(kf_cursor_u8(cursor, &length));
    command->has_le = true;
    command->le = length == 0 ? SHORT_LE_MAX : length;
    return KF_OK;
}

/* A zero, then Lc in two bytes with data, then Le in two bytes; or Le alone behind the zero. */
static kf_code parse_extended(kf_cursor *cursor, softcard_command *command)
{
    enum { LE_ALONE = 2 };
    uint16_t length;
    command->extended = true;
    KF_TRY(kf_cursor_skip(cursor, 1));
    if (cursor->rest.size > LE_ALONE) {
        KF_TRY(kf_cursor_u16(cursor, &length));
        if (length == 0) return KF_ERR_APDU;
        KF_TRY(kf_cursor_take(cursor, length, &command->data));
    }
    if (kf_cursor_at_end(cursor)) return KF_OK;
    KF_TRY(kf_cursor_u16(cursor, &length));
    command->has_le = true;
    command->le = length == 0 ? EXTENDED_LE_MAX : length;
    return KF_OK;
}

kf_code softcard_command_parse(kf_view bytes, softcard_command *ret_command)
{
    if (bytes.size > SOFTCARD_COMMAND_MAX) return KF_ERR_APDU;
    kf_cursor cursor = kf_cursor_of(bytes);
    softcard_command command = {0};
    if (kf_cursor_u8(&cursor, &command.class_byte) != KF_OK ||
        kf_cursor_u8(&cursor, &command.instruction) != KF_OK || kf_cursor_u8(&cursor, &command.p1) != KF_OK ||
        kf_cursor_u8(&cursor, &command.p2) != KF_OK)
        return KF_ERR_APDU;
    bool extended = cursor.rest.size > 1 && cursor.rest.data[0] == 0;
    kf_code code = extended ? parse_extended(&cursor, &command) : parse_short(&cursor, &command);
    if (code != KF_OK || !kf_cursor_at_end(&cursor)) return KF_ERR_APDU;
    *ret_command = command;
    return KF_OK;
}

unsigned softcard_class_channel(uint8_t class_byte)
{
    if ((class_byte & FURTHER_CHANNEL) != 0) return FIRST_FURTHER_CHANNEL + (class_byte & 0x0FU);
    return class_byte & 0x03U;
}

bool softcard_class_is_secured(uint8_t class_byte)
{
    unsigned bit = (class_byte & FURTHER_CHANNEL) != 0 ? FURTHER_SECURED : SECURED;
    return (class_byte & bit) != 0;
}

bool softcard_class_is_proprietary(uint8_t class_byte)
{
    return (class_byte & 0x80U) != 0;
}

bool softcard_class_is_known(uint8_t class_byte)
{
    if ((class_byte & FURTHER_CHANNEL) != 0) return (class_byte & 0x10U) == 0;
    return (class_byte & 0x78U) == 0;
}

uint8_t softcard_class_for_mac(uint8_t class_byte)
{
    return (uint8_t)((class_byte & 0x80U) | SECURED);
}

uint8_t softcard_class_without_channel(uint8_t class_byte)
{
    return class_byte & 0x80U;
}
