#include "softcard/vpicc.h"

#include <string.h>

enum { CONTROL_OFF = 0x00, CONTROL_ON = 0x01, CONTROL_RESET = 0x02, CONTROL_ATR = 0x04 };

static void append_message(kf_buffer *output, kf_view message)
{
    kf_buffer_append_u16(output, (uint16_t)message.size);
    kf_buffer_append(output, message);
}

/* A card that is on and told so again keeps its state: only reset and power forget. */
static void run_control(softcard *card, uint8_t code, kf_buffer *output)
{
    switch (code) {
    case CONTROL_OFF: softcard_power_off(card); break;
    case CONTROL_ON:
        if (!softcard_is_powered(card)) softcard_power_on(card);
        break;
    case CONTROL_RESET: softcard_power_on(card); break;
    case CONTROL_ATR: append_message(output, softcard_atr(card)); break;
    default: break;
    }
}

static kf_code run_message(softcard *card, kf_view message, kf_buffer *output)
{
    if (message.size == 0) return KF_OK;
    if (message.size == 1) {
        run_control(card, message.data[0], output);
        return KF_OK;
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    KF_TRY(softcard_transmit(card, message, &response));
    append_message(output, kf_buffer_view(&response));
    return KF_OK;
}

static void drop_front(kf_buffer *buffer, size_t size)
{
    memmove(buffer->data, buffer->data + size, buffer->size - size);
    kf_buffer_truncate(buffer, buffer->size - size);
}

kf_code softcard_vpicc_feed(softcard *card, kf_buffer *input, kf_view bytes, kf_buffer *output)
{
    kf_buffer_append(input, bytes);
    KF_TRY(kf_buffer_status(input));
    for (;;) {
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(input));
        uint16_t size;
        kf_view message;
        if (kf_cursor_u16(&cursor, &size) != KF_OK) break;
        if (size > SOFTCARD_MESSAGE_MAX) return KF_ERR_TOO_LONG;
        if (kf_cursor_take(&cursor, size, &message) != KF_OK) break;
        KF_TRY(run_message(card, message, output));
        drop_front(input, sizeof size + size);
    }
    return kf_buffer_status(output);
}
