/* The vault's side of its helper keyfill-hsm: a handful of connections, one request at a time on each. The
 * helper may end and come back: then the monitor sends new connections, and requests until then fail at once.
 */
#ifndef KEYFILL_VAULT_HSM_CLIENT_H
#define KEYFILL_VAULT_HSM_CLIENT_H

#include "vault/hsm_protocol.h"

typedef struct kf_hsm_client kf_hsm_client;

#define KF_HSM_PATIENCE_SECONDS 10 /* for an answer, and for a connection that others use */

/* Starts the thread that takes connections off `link` (hsm_link.h), which it owns from now on; -1: none,
 * connections are given by kf_hsm_client_connect alone. */
kf_code kf_hsm_client_new(int link, kf_hsm_client **ret_client, kf_error *error) KF_MUST_USE;
/* No call is in flight. Closes, frees, sets NULL. */
void kf_hsm_client_free(kf_hsm_client **client);

/* Puts these connections, now the client's, in the place of those it has; at most KF_HSM_CONNECTIONS_MAX. */
void kf_hsm_client_connect(kf_hsm_client *client, const int *descriptors, size_t count);

/* Sends a request (kf_hsm_request_start with number 0 and its fields) and appends the answer's payload. The
 * helper's own code and message where it refuses; KF_ERR_UNAVAILABLE where helper or token are not there. */
kf_code kf_hsm_call(kf_hsm_client *client, kf_buffer *request, kf_buffer *payload,
                    kf_error *error) KF_MUST_USE;

#endif
