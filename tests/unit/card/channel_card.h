/* The card's side of one SCP03 session, for tests: written apart from the library's host side. */
#ifndef KEYFILL_TESTS_UNIT_CARD_CHANNEL_CARD_H
#define KEYFILL_TESTS_UNIT_CARD_CHANNEL_CARD_H

#include <keyfill/secure_channel.h>

typedef struct channel_card {
    const kf_secret *enc;
    const kf_secret *mac;
    uint8_t options; /* i; bit 1: S16 mode */
    kf_view host_challenge;
    kf_view card_challenge;
} channel_card;

/* Appends the whole answer to INITIALIZE UPDATE. */
void channel_card_answer(const channel_card *card, kf_buffer *response);
/* Checks the C-MAC of a wrapped command that came as number `counter` (1: the first after EXTERNAL
 * AUTHENTICATE; 0: that one) under that level, and appends its plain data. `chain`: the MAC chaining value,
 * zeros at first. */
void channel_card_take(const channel_card *card, uint8_t level, uint8_t counter, kf_view wrapped,
                       uint8_t chain[16], kf_buffer *data);
/* Appends the protected response to the command of `exchange`. */
void channel_card_respond(const channel_card *card, const kf_exchange *exchange, kf_view data,
                          uint16_t status_word, kf_buffer *response);

#endif
