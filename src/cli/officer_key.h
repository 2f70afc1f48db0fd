/* An officer's own key: in a file under a passphrase, or on a PKCS#11 token; and what it signs. */
#ifndef KEYFILL_CLI_OFFICER_KEY_H
#define KEYFILL_CLI_OFFICER_KEY_H

#include "cli/client.h"
#include "vault/proposal.h"

/* What the options said; absent ones are NULL and come from the configuration (officer_key,
 * officer_passphrase_file; the name from the certificate). */
typedef struct kf_cli_officer_options {
    const char *name;
    const char *key; /* a file's path, or "pkcs11:…" */
    const char *passphrase_file;
} kf_cli_officer_options;

/* --officer-key, --officer-passphrase-file, --officer: a child parser, whose input is the struct. */
extern const struct argp kf_cli_officer_argp;

typedef struct kf_cli_signer {
    char name[KF_OFFICER_NAME_SIZE];
    char *key;
    char *passphrase_file; /* NULL: typed */
} kf_cli_signer;

/* `ret_officer->key` stays NULL where neither options nor configuration name one. */
kf_code kf_cli_signer_find(const kf_cli *cli, const kf_cli_officer_options *options,
                           kf_cli_signer *ret_officer, kf_error *error) KF_MUST_USE;
void kf_cli_signer_clear(kf_cli_signer *officer);
/* Asks for the passphrase where it is typed. */
kf_code kf_cli_signer_sign(const kf_cli_signer *officer, kf_view bytes, kf_officer_signature *ret_signature,
                           kf_error *error) KF_MUST_USE;
/* The officer as the roster names it: name and public key. */
kf_code kf_cli_signer_public(const kf_cli_signer *signer, kf_officer *ret_officer,
                             kf_error *error) KF_MUST_USE;

#endif
