/* The answer to reset: ISO/IEC 7816-3 §8.2. */
#include <keyfill/card_data.h>

#include <stdio.h>

static kf_code read_interface(kf_cursor *cursor, char letter, unsigned level, kf_atr *atr, uint8_t *ret_value)
{
    if (atr->interface_count == KF_ATR_INTERFACES_MAX) return KF_ERR_CARD_DATA;
    kf_atr_interface *interface = &atr->interfaces[atr->interface_count];
    if (kf_cursor_u8(cursor, &interface->value) != KF_OK) return KF_ERR_CARD_DATA;
    interface->name[0] = 'T';
    interface->name[1] = letter;
    interface->name[2] = (char)('0' + level);
    interface->name[3] = 0;
    *ret_value = interface->value;
    atr->interface_count++;
    return KF_OK;
}

/* `indicator`: T0 or a TD; its upper half says which bytes follow. */
static kf_code read_interfaces(kf_cursor *cursor, unsigned indicator, kf_atr *atr)
{
    unsigned level = 1;
    while ((indicator & 0xF0u) != 0) {
        if (level > KF_ATR_PROTOCOLS_MAX) return KF_ERR_CARD_DATA;
        uint8_t value = 0;
        for (unsigned i = 0; i < 4; i++)
            if (indicator & (0x10u << i)) KF_TRY(read_interface(cursor, "ABCD"[i], level, atr, &value));
        if ((indicator & 0x80u) == 0) break;
        if (atr->protocol_count == KF_ATR_PROTOCOLS_MAX) return KF_ERR_CARD_DATA;
        atr->protocols[atr->protocol_count++] = value & 0x0Fu;
        if ((value & 0x0Fu) != 0) atr->check_required = true;
        indicator = value;
        level++;
    }
    /* 8.2.3: without TD1 only T = 0 is offered. */
    if (atr->protocol_count == 0) atr->protocol_count = 1;
    return KF_OK;
}

kf_code kf_atr_parse(kf_view bytes, kf_atr *ret_atr)
{
    if (bytes.size > KF_ATR_MAX) return KF_ERR_CARD_DATA;
    kf_cursor cursor = kf_cursor_of(bytes);
    kf_atr atr = {0};
    uint8_t initial, format;
    if (kf_cursor_u8(&cursor, &initial) != KF_OK || kf_cursor_u8(&cursor, &format) != KF_OK)
        return KF_ERR_CARD_DATA;
    if (initial != 0x3B && initial != 0x3F) return KF_ERR_CARD_DATA;
    atr.inverse = initial == 0x3F;
    KF_TRY(read_interfaces(&cursor, format, &atr));
    if (kf_cursor_take(&cursor, format & 0x0Fu, &atr.historical) != KF_OK) return KF_ERR_CARD_DATA;
    if (atr.check_required) {
        uint8_t check;
        if (kf_cursor_u8(&cursor, &check) != KF_OK) return KF_ERR_CARD_DATA;
        uint8_t sum = 0;
        for (size_t i = 1; i < bytes.size - cursor.rest.size; i++)
            sum ^= bytes.data[i];
        atr.check_ok = sum == 0;
    }
    if (!kf_cursor_at_end(&cursor)) return KF_ERR_CARD_DATA;
    *ret_atr = atr;
    return KF_OK;
}
