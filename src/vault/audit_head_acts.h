/* The vault's handlers for requests about the audit log. */
#ifndef KEYFILL_VAULT_AUDIT_HEAD_ACTS_H
#define KEYFILL_VAULT_AUDIT_HEAD_ACTS_H

#include "vault/vault.h"

kf_code kf_vault_handle_audit_state(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_resume(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_sign_head(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_verify_receipts(kf_vault *vault, kf_cursor *request, kf_buffer *answer,
                                        kf_error *error);
kf_code kf_vault_handle_accept_log(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);

/* What that handler does, for whoever checked that `actor` may: the receipt "audit.accept", then the vault
 * acts again. KF_ERR_STATE where nothing is held, KF_ERR_CONFLICT where `holds` is not what was found. */
kf_code kf_vault_accept_log(kf_vault *vault, const kf_accept_log_request *request,
                            kf_error *error) KF_MUST_USE;

#endif
