/* The founding file: the first roster, as the machine's owner laid it down. All later ones come from
 * officers. */
#ifndef KEYFILL_VAULT_ROSTER_FILE_H
#define KEYFILL_VAULT_ROSTER_FILE_H

#include "vault/key_store.h"

/* Seals the roster in `path` with the keys, where there is none yet; `path` NULL: none is named. Before the
 * process closes its doors. KF_ERR_KEY_STORE where others than root and this process's user can write the
 * file. */
kf_code kf_vault_read_founding_roster(const char *path, kf_key_store *keys, kf_error *error) KF_MUST_USE;

#endif
