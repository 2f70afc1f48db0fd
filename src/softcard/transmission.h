/* How answers go out: at once, or for GET RESPONSE (ISO/IEC 7816-3 12.2, ISO/IEC 7816-4 5.3.4). */
#ifndef KEYFILL_SOFTCARD_TRANSMISSION_H
#define KEYFILL_SOFTCARD_TRANSMISSION_H

#include "softcard/apdu.h"
#include "softcard/softcard.h"

/* Whether the ATR's first protocol is T=0 (ISO/IEC 7816-3 8.2.3). */
bool softcard_offers_t0_first(kf_view atr);
/* Whether `command` is a GET RESPONSE for what waits; it is answered then. */
bool softcard_fetch_waiting(softcard *card, kf_view command, kf_buffer *response);
/* Sends the answer, or keeps it and says how much waits. What waited before is gone. */
void softcard_deliver(softcard *card, kf_view command, kf_buffer *answer, softcard_status status,
                      kf_buffer *response);

#endif
