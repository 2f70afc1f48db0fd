/* The vault's handlers for requests about keys. */
#ifndef KEYFILL_VAULT_KEY_ACTS_H
#define KEYFILL_VAULT_KEY_ACTS_H

#include "vault/vault.h"

kf_code kf_vault_handle_status(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_resume(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_key_list(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_key_act(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_backup(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_restore(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_export(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_import(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);

#endif
