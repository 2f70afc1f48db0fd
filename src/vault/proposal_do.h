/* A proposal on its way from the front to the vault. */
#ifndef KEYFILL_VAULT_PROPOSAL_DO_H
#define KEYFILL_VAULT_PROPOSAL_DO_H

#include <jansson.h>

#include "vault/front.h"
#include "vault/proposal_store.h"

/* What the vault demands of officers; kf_dual_control_clear. */
kf_code kf_proposal_ask_roster(const kf_front *front, kf_dual_control *ret_control,
                               kf_error *error) KF_MUST_USE;
/* Whether the proposal is for this front's vault and has not expired: KF_ERR_OFFICERS, KF_ERR_EXPIRED. */
kf_code kf_proposal_check_target(const kf_front *front, const kf_proposal *proposal,
                                 kf_error *error) KF_MUST_USE;
/* Hands the proposal with all its signatures to the vault; writes receipts and the proposal's new state in
 * one transaction. An act that the vault refuses is the error here, and "refused" in the row; one that was
 * done before is "done". */
kf_code kf_proposal_do(const kf_front *front, const kf_vault_actor *caller, const kf_proposal_row *row,
                       bool *ret_changed, kf_error *error) KF_MUST_USE;

#endif
