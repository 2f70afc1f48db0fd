/* Ids of proposals that were acted on: each is noted, durably, before its act, and kept until the proposal
 * has expired. */
#ifndef KEYFILL_VAULT_PROPOSAL_SPENT_H
#define KEYFILL_VAULT_PROPOSAL_SPENT_H

#include "vault/key_store.h"
#include "vault/proposal.h"

/* KF_ERR_SPENT where it was acted on. */
kf_code kf_proposal_check_spent(const kf_key_store *keys, const kf_proposal *proposal,
                                kf_error *error) KF_MUST_USE;
/* Notes it; forgets those that have expired at `now_seconds`. */
kf_code kf_proposal_spend(kf_key_store *keys, const kf_proposal *proposal, uint64_t now_seconds,
                          kf_error *error) KF_MUST_USE;

#endif
