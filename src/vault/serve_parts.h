/* What serving with one thread and with several have in common. */
#ifndef KEYFILL_VAULT_SERVE_PARTS_H
#define KEYFILL_VAULT_SERVE_PARTS_H

#include "vault/vault.h"

/* Whether the vault takes such a frame. KF_ERR_MALFORMED, KF_ERR_TOO_LONG. */
kf_code kf_vault_check_frame(const kf_vault *vault, const kf_vault_frame *frame, kf_error *error) KF_MUST_USE;
/* A frame that is still arriving is refused by its head, before its bytes are waited for. */
kf_code kf_vault_check_head(const kf_vault *vault, kf_view rest, kf_error *error) KF_MUST_USE;
/* Appends what there is to be read; `*ret_got` 0: the front has ended. */
kf_code kf_vault_read_part(int descriptor, kf_buffer *received, size_t *ret_got, kf_error *error) KF_MUST_USE;

#endif
