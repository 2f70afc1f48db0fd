/* Officers of a test, with keys of their own, and what they sign. */
#ifndef KEYFILL_TESTS_OFFICERS_H
#define KEYFILL_TESTS_OFFICERS_H

#include "key_fixture.h"
#include "vault/proposal.h"

#define TEST_OFFICERS 4 /* alice, bob, carol, dave: the first three are in the roster */

typedef struct test_officers {
    kf_private_key *keys[TEST_OFFICERS];
    kf_officer officers[TEST_OFFICERS];
} test_officers;

void test_officers_make(test_officers *officers);
void test_officers_free(test_officers *officers);
/* Founds the vault's roster: alice, bob, carol; quorums of two. */
void test_officers_found(const test_officers *officers, test_vault *vault);

/* A proposal of alice's for that vault, made now, for an hour, with an id of its own; the payload is in
 * `payload`. */
kf_proposal test_proposal(test_vault *vault, const kf_proposal_act *act, kf_buffer *payload);
/* Signs `bytes` as officer `index`, under its own name. */
kf_officer_signature test_sign(const test_officers *officers, size_t index, kf_view bytes);
/* The proposal signed by those officers (indices; the first signs as proposer), given to the vault. `given`
 * may be NULL. */
typedef struct test_signers {
    size_t count;
    size_t indices[KF_PROPOSAL_SIGNATURES_MAX];
} test_signers;
kf_code test_give(test_vault *vault, const kf_proposal_request *request, kf_buffer *given, kf_error *error);
kf_code test_submit(test_vault *vault, const test_officers *officers, const kf_proposal *proposal,
                    test_signers signers, kf_error *error);
/* Proposed by alice, approved by bob. */
kf_code test_agree(test_vault *vault, const test_officers *officers, const kf_proposal_act *act,
                   kf_buffer *given, kf_error *error);

#endif
