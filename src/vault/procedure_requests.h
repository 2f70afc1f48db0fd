/* The vault's handlers for whole procedures: what it answers to KF_VAULT_PROCEDURE_BEGIN and
 * KF_VAULT_PROCEDURE_ADVANCE. */
#ifndef KEYFILL_VAULT_PROCEDURE_REQUESTS_H
#define KEYFILL_VAULT_PROCEDURE_REQUESTS_H

#include "vault/vault.h"

kf_code kf_vault_handle_begin(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_advance(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
/* Frees what the handlers keep between requests (parsed profiles). */
void kf_vault_procedures_free(struct kf_vault_procedures **procedures);

#endif
