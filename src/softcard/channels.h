/* Logical channels and what is selected on each (ISO/IEC 7816-4 11.1.1, 11.1.2; GlobalPlatform 11.7, 11.9).
 */
#ifndef KEYFILL_SOFTCARD_CHANNELS_H
#define KEYFILL_SOFTCARD_CHANNELS_H

#include "softcard/apdu.h"

struct softcard_request;

softcard_status softcard_manage_channel(struct softcard_request *request);
/* SELECT, by AID, file identifier or path. */
softcard_status softcard_select(struct softcard_request *request);

#endif
