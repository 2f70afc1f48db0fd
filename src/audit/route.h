/* The audit log at a unit's HTTP edge: `GET /v1/audit`, and the row for a call that was refused. */
#ifndef KEYFILL_AUDIT_ROUTE_H
#define KEYFILL_AUDIT_ROUTE_H

#include "audit/chain.h"
#include "wire/http_server.h"

/* ?after=SEQ&limit=N → {"rows": [{"seq", "time_ms", "actor", "action", "subject", "outcome", "detail",
 * "receipt", "previous", "hash"}]}. KF_ERR_FIELD for a number out of range. */
kf_code kf_audit_route_list(kf_database *database, const kf_http_request *request, kf_http_response *response,
                            kf_error *error) KF_MUST_USE;
/* A number from 0 in the query; `standard` where it is not there. KF_ERR_FIELD. */
kf_code kf_audit_query_number(const kf_http_request *request, const char *name, int64_t standard,
                              int64_t *ret_number, kf_error *error) KF_MUST_USE;
/* Appends, in a transaction of its own, that `request` was refused for who called. What cannot be written is
 * logged. */
void kf_audit_route_refused(kf_database *database, int64_t now_ms, const kf_http_request *request,
                            const kf_error *refusal);

#endif
