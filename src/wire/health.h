/* GET /healthz and GET /readyz of every unit: {"status": "ok"}. Whoever stops answers both with 503. */
#ifndef KEYFILL_WIRE_HEALTH_H
#define KEYFILL_WIRE_HEALTH_H

#include "wire/http_server.h"

/* A handler: the process answers. A unit's own handler of /readyz ends with it, once what the unit needs is
 * there. */
kf_code kf_health_answer(void *context, const kf_http_request *request, kf_http_response *response,
                         kf_error *error) KF_MUST_USE;

#endif
