/* Requests of terminals on their way to the key management unit: number and order are added, answers relayed,
 * and what came of it is noted. A request is the same if terminal, id and body are. Scripts are passed on and
 * kept nowhere. */
#ifndef KEYFILL_HOST_REQUESTS_H
#define KEYFILL_HOST_REQUESTS_H

#include "host/host.h"

typedef struct kf_request_call {
    const char *terminal;
    const char *id;     /* of the path; NULL when beginning */
    const json_t *json; /* the body */
    kf_view body;       /* as it came */
} kf_request_call;

/* `ret_answer`: the key management unit's, the caller's to free. KF_ERR_CONFLICT for an id used with another
 * body. */
kf_code kf_requests_begin(kf_host *host, const kf_request_call *call, json_t **ret_answer,
                          kf_error *error) KF_MUST_USE;
kf_code kf_requests_message(kf_host *host, const kf_request_call *call, json_t **ret_answer,
                            kf_error *error) KF_MUST_USE;

/* Settles requests that have said nothing for longer than the reservation, and failed ones whose number is
 * not settled: by the key management unit's record of the card the number is bound, kept or returned. What
 * cannot be asked now stays for the next time. */
kf_code kf_requests_settle(kf_host *host, kf_error *error) KF_MUST_USE;

#endif
