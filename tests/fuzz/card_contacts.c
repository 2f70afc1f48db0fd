/* Bytes from a reader to the simulated card, in the framing of vpcd: commands of any kind, power and resets
 * among them. The first byte chooses the card. */
#include "memory_card.h"
#include "softcard/vpicc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    memory_card card;
    FUZZ_BUFFER(received);
    FUZZ_BUFFER(output);
    memory_card_open(&card, data[0]);
    /* In two parts, as sockets give them. */
    kf_view rest = kf_view_of(data + 1, size - 1);
    size_t first = rest.size / 2;
    kf_code code = softcard_vpicc_feed(card.card, &received, kf_view_part(rest, 0, first), &output);
    if (code == KF_OK)
        code = softcard_vpicc_feed(card.card, &received, kf_view_part(rest, first, rest.size), &output);
    FUZZ_WANT(code == KF_OK || code == KF_ERR_CARD_REMOVED || code == KF_ERR_TOO_LONG);
    /* Whole messages go out. */
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&output));
    while (!kf_cursor_at_end(&cursor)) {
        uint16_t length;
        FUZZ_WANT(kf_cursor_u16(&cursor, &length) == KF_OK && kf_cursor_skip(&cursor, length) == KF_OK);
    }
    memory_card_close(&card);
    return 0;
}
