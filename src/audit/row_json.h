/* Audit rows and signed heads as JSON: what GET /v1/audit gives and what an export holds (docs/audit.md). */
#ifndef KEYFILL_AUDIT_ROW_JSON_H
#define KEYFILL_AUDIT_ROW_JSON_H

#include <jansson.h>

#include "audit/chain.h"
#include "audit/signed_head.h"

/* {"seq", "time_ms", "actor", "action", "subject", "outcome", "detail", "receipt"?, "previous", "hash"},
 * always in this order. The caller frees. */
kf_code kf_audit_row_to_json(const kf_audit_row *row, json_t **ret_json) KF_MUST_USE;
/* The texts point into `json`, the receipt into `receipt`, which is cleared first. KF_ERR_FIELD. */
kf_code kf_audit_row_from_json(const json_t *json, kf_audit_row *ret_row, kf_buffer *receipt,
                               kf_error *error) KF_MUST_USE;

/* {"vault", "seq", "hash", "revision", "receipts", "written", "time_ms", "signature"}, in this order. */
kf_code kf_signed_head_to_json(const kf_signed_head *head, json_t **ret_json) KF_MUST_USE;
kf_code kf_signed_head_from_json(const json_t *json, kf_signed_head *ret_head, kf_error *error) KF_MUST_USE;

#endif
