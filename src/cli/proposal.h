/* Proposals from the command line: made, signed, sent. */
#ifndef KEYFILL_CLI_PROPOSAL_H
#define KEYFILL_CLI_PROPOSAL_H

#include "cli/officer_key.h"

/* Makes a proposal of `act` for the unit's vault (its identity is that of the pinned key), signs it and sends
 * it; `attachment` may be empty. `ret_answer`: the proposal as the unit has it, with "result" where it was
 * done at once. The caller frees. */
kf_code kf_cli_propose(const kf_cli *cli, const kf_cli_signer *officer, const kf_proposal_act *act,
                       kf_view attachment, json_t **ret_answer, kf_error *error) KF_MUST_USE;
/* What was proposed, and how another officer approves it; with --json the unit's answer. */
kf_code kf_cli_print_proposed(const kf_cli *cli, const json_t *answer, kf_error *error) KF_MUST_USE;

/* Both in one, for commands that take an officer's key and nothing else can stand in for it: KF_ERR_USAGE
 * without one. */
kf_code kf_cli_propose_and_print(const kf_cli *cli, const kf_cli_officer_options *options,
                                 const kf_proposal_act *act, kf_error *error) KF_MUST_USE;

#endif
