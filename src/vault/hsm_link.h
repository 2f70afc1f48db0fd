/* How a vault gets its connections to the helper keyfill-hsm: the monitor makes them whenever it starts a
 * helper, and sends the vault its ends over a SOCK_SEQPACKET socket. */
#ifndef KEYFILL_VAULT_HSM_LINK_H
#define KEYFILL_VAULT_HSM_LINK_H

#include <stddef.h>

#include <keyfill/error.h>

#define KF_HSM_CONNECTIONS_MAX 64

/* One packet with these descriptors, 1 to KF_HSM_CONNECTIONS_MAX; they stay the caller's. KF_ERR_SYSTEM where
 * it is not taken. Does not wait. */
kf_code kf_hsm_link_send(int link, const int *descriptors, size_t count) KF_MUST_USE;
/* Waits for the next packet. `*ret_count` 0: the other side has ended. */
kf_code kf_hsm_link_receive(int link, int ret_descriptors[KF_HSM_CONNECTIONS_MAX],
                            size_t *ret_count) KF_MUST_USE;

#endif
