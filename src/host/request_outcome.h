/* What becomes of a request: done, refused, broken off, expired; and of its number with it. */
#ifndef KEYFILL_HOST_REQUEST_OUTCOME_H
#define KEYFILL_HOST_REQUEST_OUTCOME_H

#include "host/request_record.h"

/* `answer` says "done": number bound or, after a clear, released; audit row; all in one transaction.
 * KF_ERR_PEER where the result lacks what is needed. */
kf_code kf_request_finish(kf_host *host, kf_request_record *record, const json_t *answer,
                          kf_error *error) KF_MUST_USE;

/* The key management unit refused before the card was touched: the number goes back (or, where the key
 * management unit knows it as another card's, out of the pool). */
kf_code kf_request_refuse(kf_host *host, kf_request_record *record, const kf_error *reason,
                          kf_error *error) KF_MUST_USE;

/* It failed on the way: `failing`, until the record of the card says where the number is. */
kf_code kf_request_break_off(kf_host *host, kf_request_record *record, const kf_error *reason,
                             kf_error *error) KF_MUST_USE;

/* Asks for the record of the card and settles a failing or expired request by it. */
kf_code kf_request_settle(kf_host *host, kf_request_record *record, kf_error *error) KF_MUST_USE;

#endif
