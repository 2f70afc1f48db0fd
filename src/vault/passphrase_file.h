/* Passphrases and PINs in files that only one user may read. */
#ifndef KEYFILL_VAULT_PASSPHRASE_FILE_H
#define KEYFILL_VAULT_PASSPHRASE_FILE_H

#include <keyfill/secret.h>

typedef struct kf_passphrase_rule {
    const char *name; /* "passphrase", "PIN" */
    size_t least;     /* bytes */
    size_t most;      /* up to KF_PASSPHRASE_FILE_MAX */
} kf_passphrase_rule;

#define KF_PASSPHRASE_FILE_MAX 1024

/* The file's one line. KF_ERR_KEY_STORE where it is not this process's user's alone, or too short or long. */
kf_code kf_passphrase_file_read(const char *path, const kf_passphrase_rule *rule, kf_secret **ret_secret,
                                kf_error *error) KF_MUST_USE;

#endif
