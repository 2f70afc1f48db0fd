/* Proposals as a front keeps them: from the day they are made until they are done, withdrawn or expired. What
 * counts is in the signed bytes; the columns beside them are for lists. */
#ifndef KEYFILL_VAULT_PROPOSAL_STORE_H
#define KEYFILL_VAULT_PROPOSAL_STORE_H

#include "store/migrations.h"
#include "vault/proposal.h"

extern const kf_migrations kf_proposals_migrations;

#define KF_PROPOSALS_PENDING_MAX 500
#define KF_PROPOSALS_LISTED_MAX 200 /* the newest */
#define KF_PROPOSAL_MESSAGE_MAX KF_ERROR_MESSAGE_SIZE

/* "pending", "done", "refused" (its act failed), "withdrawn", "expired". */
typedef struct kf_proposal_row {
    char id[KF_PROPOSAL_ID_TEXT_SIZE];
    char act[32];
    char subject[160];
    char proposer[KF_OFFICER_NAME_SIZE];
    char state[16];
    uint64_t expires;
    kf_buffer bytes;
    kf_buffer attachment;
    kf_buffer result;                      /* JSON text of what the act gave; empty where it is not done */
    char message[KF_PROPOSAL_MESSAGE_MAX]; /* why it was refused */
    kf_proposal_signatures signatures;
} kf_proposal_row;

void kf_proposal_row_clear(kf_proposal_row *row);

/* All inside the caller's transaction, or alone. */

/* What time has done: pending ones that expired, and results that nobody needs any more. */
kf_code kf_proposals_expire(kf_database *database, uint64_t now_seconds, kf_error *error) KF_MUST_USE;
/* KF_ERR_CONFLICT where the id is there, KF_ERR_BUSY where too many are pending. */
kf_code kf_proposals_add(kf_database *database, const kf_proposal_row *row, kf_error *error) KF_MUST_USE;
/* KF_ERR_NOT_FOUND. kf_proposal_row_clear. */
kf_code kf_proposals_find(kf_database *database, const char *id, kf_proposal_row *ret_row,
                          kf_error *error) KF_MUST_USE;
/* KF_ERR_CONFLICT where the officer has signed. `position` counts from 0, the proposer's. */
kf_code kf_proposals_sign(kf_database *database, const char *id, const kf_officer_signature *signature,
                          size_t position, kf_error *error) KF_MUST_USE;
/* From pending to another state. */
typedef struct kf_proposal_outcome {
    const char *state;
    kf_view result;
    const char *message;
} kf_proposal_outcome;
kf_code kf_proposals_end(kf_database *database, const char *id, const kf_proposal_outcome *outcome,
                         kf_error *error) KF_MUST_USE;

/* Ids, the newest first; `state` NULL: of all. */
typedef struct kf_proposal_ids {
    size_t count;
    char items[KF_PROPOSALS_LISTED_MAX][KF_PROPOSAL_ID_TEXT_SIZE];
} kf_proposal_ids;
kf_code kf_proposals_list(kf_database *database, const char *state, kf_proposal_ids *ret_ids,
                          kf_error *error) KF_MUST_USE;

#endif
