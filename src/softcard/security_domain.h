/* What a security domain answers about itself and the card: SELECT, GET DATA, SET STATUS
 * (GlobalPlatform 11.3, 11.9, 11.10). */
#ifndef KEYFILL_SOFTCARD_SECURITY_DOMAIN_H
#define KEYFILL_SOFTCARD_SECURITY_DOMAIN_H

#include "softcard/apdu.h"
#include "softcard/state.h"

struct softcard_request;

/* File control information of the selected domain. */
softcard_status softcard_domain_select(struct softcard_request *request);
softcard_status softcard_domain_get_data(struct softcard_request *request);
softcard_status softcard_set_status(struct softcard_request *request);

#endif
