/* STORE DATA (GlobalPlatform 11.11; EMV Card Personalization Specification 4.3). */
#ifndef KEYFILL_SOFTCARD_STORE_DATA_H
#define KEYFILL_SOFTCARD_STORE_DATA_H

#include "softcard/apdu.h"

struct softcard_request;

/* Reaches the application that INSTALL [for personalization] named, or the selected one. */
softcard_status softcard_store_data(struct softcard_request *request);

#endif
