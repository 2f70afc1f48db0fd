/* The messages between a virtual reader and a card, as vsmartcard's vpcd speaks them: two bytes of length,
 * then the message; one byte is a control code, more are a command. */
#ifndef KEYFILL_SOFTCARD_VPICC_H
#define KEYFILL_SOFTCARD_VPICC_H

#include "softcard/softcard.h"

enum { SOFTCARD_MESSAGE_MAX = 8192 }; /* bytes: what is longer is no APDU of this card */

/* Bytes as they come; whole messages are answered into `output` in order. KF_ERR_CARD_REMOVED where the card
 * lost power, KF_ERR_TOO_LONG for a message that is too long: the connection is to be closed then. */
kf_code softcard_vpicc_feed(softcard *card, kf_buffer *input, kf_view bytes, kf_buffer *output) KF_MUST_USE;

#endif
