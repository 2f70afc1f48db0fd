/* The contacts of the card: a connection to vpcd, or a local socket on which a reader connects. */
#ifndef KEYFILL_SOFTCARD_ATTACH_H
#define KEYFILL_SOFTCARD_ATTACH_H

#include <keyfill/bytes.h>

/* Connects to vpcd, HOST:PORT. KF_ERR_UNREACHABLE while nobody listens there. */
kf_code softcard_vpcd_connect(const char *address, int *ret_connection, kf_error *error) KF_MUST_USE;
/* Before every read: without it each command costs a delayed acknowledgement (40 ms). Nothing on other
 * sockets. */
void softcard_vpcd_acknowledge_quickly(int connection);

/* A unix stream socket at `path`; what a dead process left there is replaced. */
kf_code softcard_socket_listen(const char *path, int *ret_listener, kf_error *error) KF_MUST_USE;
/* KF_ERR_SYSTEM where the connection is gone again. */
kf_code softcard_socket_accept(int listener, int *ret_connection) KF_MUST_USE;

#endif
