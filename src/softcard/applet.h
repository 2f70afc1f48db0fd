/* The payment and data application: keeps data groupings, gives back those that are not secret. */
#ifndef KEYFILL_SOFTCARD_APPLET_H
#define KEYFILL_SOFTCARD_APPLET_H

#include "softcard/apdu.h"
#include "softcard/state.h"

struct softcard_request;

softcard_status softcard_applet_select(struct softcard_request *request);
/* GET DATA with a DGI in P1 and P2: DGI, length, value. */
softcard_status softcard_applet_get_data(struct softcard_request *request);
/* Keeps a grouping; `encrypted`: its value is a cryptogram under the DEK (EMV CPS 4.3.5.2). */
softcard_status softcard_applet_store(struct softcard_request *request, softcard_application *applet,
                                      uint16_t identifier, kf_view value, bool encrypted);

#endif
