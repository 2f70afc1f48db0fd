#include "softcard/transmission.h"

#include <string.h>

#include "softcard/card.h"

enum { INS_GET_RESPONSE = 0xC0, SHORT_MAX = 256 };

bool softcard_offers_t0_first(kf_view atr)
{
    if (atr.size < 2) return true;
    uint8_t format = atr.data[1];
    if ((format & 0x80U) == 0) return true;
    size_t place = 2;
    for (uint8_t bit = 0x10; bit < 0x80; bit = (uint8_t)(bit << 1))
        if ((format & bit) != 0) place++;
    return place >= atr.size || (atr.data[place] & 0x0FU) == 0;
}

static void drop_front(kf_buffer *buffer, size_t size)
{
    memmove(buffer->data, buffer->data + size, buffer->size - size);
    kf_buffer_truncate(buffer, buffer->size - size);
}

static softcard_status announce(size_t waiting)
{
    return (softcard_status)(SW_RESPONSE_WAITS | (waiting >= SHORT_MAX ? 0 : waiting));
}

/* Behind the answer that waits stands its status word. */
bool softcard_fetch_waiting(softcard *card, kf_view command, kf_buffer *response)
{
    bool expected = card->answers_by_get_response || card->waiting.size > 0;
    if (!expected || command.size < 5 || command.data[1] != INS_GET_RESPONSE) return false;
    if (card->waiting.size < 2) {
        /* Hosts that ask after every command take this one as "there is nothing", others as an error. */
        kf_buffer_append_u16(response, SW_INSTRUCTION);
        return true;
    }
    size_t there = card->waiting.size - 2;
    size_t next = there < SHORT_MAX ? there : SHORT_MAX;
    size_t wanted = command.data[4] == 0 ? SHORT_MAX : command.data[4];
    if (wanted != SHORT_MAX && wanted != next) {
        kf_buffer_append_u16(response, (uint16_t)(SW_WRONG_LE | (next & 0xFFU)));
        return true;
    }
    if (next < there) {
        kf_buffer_append_bytes(response, card->waiting.data, next);
        drop_front(&card->waiting, next);
        kf_buffer_append_u16(response, announce(there - next));
        return true;
    }
    kf_buffer_append(response, kf_buffer_view(&card->waiting));
    kf_buffer_truncate(&card->waiting, 0);
    return true;
}

typedef enum delivery { AT_ONCE, HELD, WRONG_LENGTH } delivery;

/* With T=0 the answer to a command with data waits, unless the whole command came with its Le, as some
 * readers pass it on. A length that is too short for the answer is corrected (commands without data, which
 * can be sent again), or the answer waits. */
static delivery choose(const softcard *card, kf_view command, size_t size)
{
    softcard_command parsed;
    if (size == 0 || softcard_command_parse(command, &parsed) != KF_OK) return AT_ONCE;
    bool has_data = parsed.data.size > 0;
    if (parsed.has_le && parsed.le < size) return has_data || size > SHORT_MAX ? HELD : WRONG_LENGTH;
    if (!parsed.has_le && (size > SHORT_MAX || (card->answers_by_get_response && has_data))) return HELD;
    return AT_ONCE;
}

void softcard_deliver(softcard *card, kf_view command, kf_buffer *answer, softcard_status status,
                      kf_buffer *response)
{
    kf_buffer_truncate(&card->waiting, 0);
    switch (choose(card, command, answer->size)) {
    case HELD:
        kf_buffer_append(&card->waiting, kf_buffer_view(answer));
        kf_buffer_append_u16(&card->waiting, status);
        kf_buffer_append_u16(response, announce(answer->size));
        return;
    case WRONG_LENGTH:
        kf_buffer_append_u16(response, (uint16_t)(SW_WRONG_LE | (answer->size & 0xFFU)));
        return;
    case AT_ONCE: break;
    }
    kf_buffer_append(response, kf_buffer_view(answer));
    kf_buffer_append_u16(response, status);
}
