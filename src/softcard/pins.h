/* PINs and the administrative code (TS 102 221 9, 11.1.9 to 11.1.13). */
#ifndef KEYFILL_SOFTCARD_PINS_H
#define KEYFILL_SOFTCARD_PINS_H

#include "softcard/apdu.h"

struct softcard_request;

bool softcard_is_pin_instruction(uint8_t instruction);
/* VERIFY, CHANGE, DISABLE, ENABLE, UNBLOCK. */
softcard_status softcard_pin_command(struct softcard_request *request);

#endif
