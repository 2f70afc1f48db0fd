/* A front's side of what audit_head.h says: it has the vault sign how far the audit log reaches. */
#ifndef KEYFILL_VAULT_AUDIT_HEAD_FRONT_H
#define KEYFILL_VAULT_AUDIT_HEAD_FRONT_H

#include "audit/heads.h"
#include "vault/audit_head.h"
#include "vault/front.h"

/* What the vault says of itself and the log. */
kf_code kf_front_audit_state(const kf_front *front, kf_audit_state *ret_state, kf_error *error) KF_MUST_USE;
/* Has the vault sign the newest row, and keeps the head among this unit's own. One at a time; any thread. */
kf_code kf_front_sign_head(const kf_front *front, kf_signed_head *ret_head, kf_error *error) KF_MUST_USE;
/* Number of the log's newest row and of that whose head was signed last. */
kf_code kf_front_log_length(const kf_front *front, int64_t *ret_rows, int64_t *ret_signed,
                            kf_error *error) KF_MUST_USE;

/* Has the vault judge receipts (u16 length and bytes each, at most KF_VERIFY_RECEIPTS_MAX). */
kf_code kf_front_verify_receipts(const kf_front *front, kf_view receipts, kf_receipt_verdict *ret_verdict,
                                 kf_error *error) KF_MUST_USE;
/* What was found is accepted (KF_VAULT_ACCEPT_LOG); the vault's receipt is in the log. */
kf_code kf_front_accept_log(const kf_front *front, const kf_accept_log_request *request,
                            kf_error *error) KF_MUST_USE;

#endif
