/* The helper's side of its connections. */
#ifndef KEYFILL_VAULT_HSM_SERVE_H
#define KEYFILL_VAULT_HSM_SERVE_H

#include "vault/hsm_token.h"

/* Answers one request. A code other than KF_OK: the sender broke the protocol, and the helper ends; a refused
 * request is KF_OK here. */
kf_code kf_hsm_answer_request(kf_hsm_session *session, kf_view request, kf_buffer *answer,
                              kf_error *error) KF_MUST_USE;

/* A thread for each connection, each with a session of its own; until all are closed (KF_OK) or one breaks
 * the protocol. KF_ERR_KEY_STORE where the token will not be asked again (a wrong PIN). Takes ownership of
 * the descriptors, which follow one another from `first`. */
kf_code kf_hsm_serve(kf_hsm_token *token, int first, size_t count, kf_error *error) KF_MUST_USE;

#endif
