/* Keys in the token: made, used, carried, destroyed. Each function enters and leaves the session. */
#ifndef KEYFILL_VAULT_HSM_KEYS_H
#define KEYFILL_VAULT_HSM_KEYS_H

#include "vault/hsm_token.h"

kf_code kf_hsm_generate(kf_hsm_session *session, const kf_hsm_description *description,
                        kf_error *error) KF_MUST_USE;
/* `bytes` is as long as the description says. */
kf_code kf_hsm_import(kf_hsm_session *session, const kf_hsm_description *description, kf_view bytes,
                      kf_error *error) KF_MUST_USE;
/* KF_ERR_UNAVAILABLE where the token holds none of that identifier. */
kf_code kf_hsm_destroy(kf_hsm_session *session, const kf_hsm_id *id, kf_error *error) KF_MUST_USE;
kf_code kf_hsm_wrap(kf_hsm_session *session, const kf_hsm_id *wrapping, const kf_hsm_id *id,
                    kf_buffer *wrapped, kf_error *error) KF_MUST_USE;
kf_code kf_hsm_unwrap(kf_hsm_session *session, const kf_hsm_id *wrapping,
                      const kf_hsm_description *description, kf_view wrapped, kf_error *error) KF_MUST_USE;
/* Appends the outputs of all groups. */
kf_code kf_hsm_compute(kf_hsm_session *session, const kf_hsm_computation *computation, kf_buffer *outputs,
                       kf_error *error) KF_MUST_USE;

#endif
