/* GET STATUS (GlobalPlatform 11.4), in the TLV form and the one before it. */
#ifndef KEYFILL_SOFTCARD_GET_STATUS_H
#define KEYFILL_SOFTCARD_GET_STATUS_H

#include "softcard/apdu.h"

struct softcard_request;

softcard_status softcard_get_status(struct softcard_request *request);

#endif
