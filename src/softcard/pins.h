/* PIN1 and ADM1 (ETSI TS 102 221 9.5, 11.1.9). */
#ifndef KEYFILL_SOFTCARD_PINS_H
#define KEYFILL_SOFTCARD_PINS_H

#include "softcard/apdu.h"

struct softcard_request;

softcard_status softcard_verify_pin(struct softcard_request *request);

#endif
