/* Shared by the files of `keyfill audit`. */
#ifndef KEYFILL_CLI_AUDIT_H
#define KEYFILL_CLI_AUDIT_H

#include "audit/row_json.h"
#include "cli/client.h"

/* Who signs a unit's heads. */
typedef struct kf_audit_signer {
    uint8_t vault[KF_DIGEST_SIZE];
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
} kf_audit_signer;

/* What a walk through a unit's log gives, in order: a head behind the row that it is of. */
typedef struct kf_audit_walk {
    void *context;
    kf_code (*row)(void *context, const json_t *row, kf_error *error);
    kf_code (*head)(void *context, const kf_signed_head *head, kf_error *error);
    /* After so many rows at once, from behind number `after`; may be NULL. */
    kf_code (*page)(void *context, int64_t after, size_t count, kf_error *error);
} kf_audit_walk;

/* GET /v1/audit/state; the caller frees `*ret_state`. */
kf_code kf_cli_audit_state(const kf_cli *cli, kf_audit_signer *ret_signer, json_t **ret_state,
                           kf_error *error) KF_MUST_USE;
/* Has the unit sign its newest row, then gives all rows up to it, with the heads among them, that one last.
 */
kf_code kf_cli_audit_walk(const kf_cli *cli, const kf_audit_walk *walk, kf_error *error) KF_MUST_USE;

kf_code kf_cli_audit_verify(kf_cli *cli, int argc, char **argv, kf_error *error);
kf_code kf_cli_audit_export(kf_cli *cli, int argc, char **argv, kf_error *error);
kf_code kf_cli_audit_accept(kf_cli *cli, int argc, char **argv, kf_error *error);

#endif
