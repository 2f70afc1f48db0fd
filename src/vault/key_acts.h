/* The vault's handlers for requests about keys. */
#ifndef KEYFILL_VAULT_KEY_ACTS_H
#define KEYFILL_VAULT_KEY_ACTS_H

#include "vault/key_messages.h"
#include "vault/vault.h"

kf_code kf_vault_handle_status(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_key_list(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_key_act(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_backup(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_restore(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_export(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_import(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);

/* The acts themselves, each with its receipt, once it is clear that they may be done; `answer` gets what the
 * act gives: a kf_key_act_answer, the backup's bytes, a kf_vault_status. */
kf_code kf_vault_act_on_key(kf_vault *vault, const kf_key_act_request *request, kf_buffer *answer,
                            kf_error *error) KF_MUST_USE;
kf_code kf_vault_back_up(kf_vault *vault, const kf_key_backup_request *request, kf_buffer *backup,
                         kf_error *error) KF_MUST_USE;
kf_code kf_vault_restore(kf_vault *vault, const kf_key_backup_request *request, kf_buffer *answer,
                         kf_error *error) KF_MUST_USE;

#endif
