/* What the host adds to a request before it goes on: the number, what the order says, the terminal's name. */
#ifndef KEYFILL_HOST_REQUEST_ADDITIONS_H
#define KEYFILL_HOST_REQUEST_ADDITIONS_H

#include "host/request_form.h"
#include "host/request_record.h"

/* Finds and reserves the number, and writes `record` (number, additions, state open) in the same transaction:
 * from then on the same request always goes on with the same additions. KF_ERR_CONFLICT where order and
 * request contradict each other; KF_ERR_NO_NUMBER, KF_ERR_NUMBER_TAKEN. */
kf_code kf_request_add(kf_host *host, const kf_request_form *form, const char *terminal,
                       kf_request_record *record, kf_error *error) KF_MUST_USE;

#endif
