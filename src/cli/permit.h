/* Profiles and modules that officers permit or forbid at a vault. */
#ifndef KEYFILL_CLI_PERMIT_H
#define KEYFILL_CLI_PERMIT_H

#include "cli/proposal.h"

typedef struct kf_cli_permit_usage {
    kf_permit_kind kind;
    bool allowed;
    const char *arguments; /* "FILE", "NAME FILE" */
    const char *about;
} kf_cli_permit_usage;

typedef struct kf_cli_permit {
    kf_permit permit; /* the caller fills in name and digest */
    const char *name; /* NULL where the command takes none */
    const char *file;
    kf_cli_officer_options officer;
} kf_cli_permit;

/* Parses what a command about profiles or modules takes. */
kf_code kf_cli_permit_parse(kf_cli *cli, const kf_cli_permit_usage *usage, int argc, char **argv,
                            kf_cli_permit *ret_permit, kf_error *error) KF_MUST_USE;
/* Proposes it and says so. */
kf_code kf_cli_permit_propose(const kf_cli *cli, const kf_cli_permit *permit, kf_error *error) KF_MUST_USE;

#endif
