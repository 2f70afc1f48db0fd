/* The operator's issuing server, an HTTPS hook that keeps numbers of its own:
 *
 *     POST {base}/reserve {"request", "category"?, "iccid"?}                     -> {"number"}
 *     POST {base}/bind    {"request", "number", "category"?, "iccid"?}           -> {}
 *     POST {base}/release {"request", "number"?, "category"?, "iccid"?}          -> {}
 *
 * Each may come again with the same `request` and means the same then. A bind or release is noted in the
 * transaction that decides it, and delivered until the server has taken it, in the order in which they were
 * noted. */
#ifndef KEYFILL_HOST_ISSUING_SERVER_H
#define KEYFILL_HOST_ISSUING_SERVER_H

#include "host/numbers.h"

#define KF_ISSUING_FIRST_WAIT_MS 1000 /* after a failed delivery; doubled each time */
#define KF_ISSUING_LONGEST_WAIT_MS 300000

typedef struct kf_issuing_request {
    const char *request;
    const char *category; /* "": not known */
    const char *iccid;    /* NULL: not known */
} kf_issuing_request;

/* KF_ERR_NO_NUMBER where the server has none (its 404 or 409); KF_ERR_PEER where it gives something else than
 * a number. */
kf_code kf_issuing_server_reserve(kf_host *host, const kf_issuing_request *request,
                                  char ret_number[KF_NUMBER_MAX + 1], kf_error *error) KF_MUST_USE;

/* Note, in the caller's transaction, that it has to be told. */
kf_code kf_issuing_server_note(kf_host *host, const char *action, const kf_number_change *change,
                               kf_error *error) KF_MUST_USE;

/* Delivers what is due. `ret_next_ms`: when to come again; INT64_MAX where nothing waits. A call that the
 * server refuses (4xx) is noted as refused, with an audit row, and not repeated. */
kf_code kf_issuing_server_deliver(kf_host *host, int64_t *ret_next_ms, kf_error *error) KF_MUST_USE;

#endif
