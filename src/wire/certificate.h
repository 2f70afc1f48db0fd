/* Between tls_identity.c and pki.c: GnuTLS certificates. Not for other folders, which see no GnuTLS. */
#ifndef KEYFILL_WIRE_CERTIFICATE_H
#define KEYFILL_WIRE_CERTIFICATE_H

#include <gnutls/x509.h>

#include "wire/tls_identity.h"

#define KF_CHAIN_MAX 4               /* certificates that a peer may send */
#define KF_CERTIFICATE_NAME_SIZE 160 /* bytes of what a certificate is called in messages */
#define KF_TIME_TEXT_SIZE 24

/* For reading only: GnuTLS takes its inputs through pointers that are not const. */
gnutls_datum_t kf_certificate_datum(kf_view view);
void kf_certificate_free(gnutls_x509_crt_t *certificate);
/* "urn:keyfill:host:h1" where it has such a URI, else its subject, else its fingerprint's beginning. */
void kf_certificate_name(gnutls_x509_crt_t certificate, char ret_name[KF_CERTIFICATE_NAME_SIZE]);
/* Role, name, times, fingerprint. */
kf_code kf_certificate_peer(gnutls_x509_crt_t certificate, kf_peer *ret_peer, kf_error *error) KF_MUST_USE;
/* "2026-01-31T12:00:00Z" */
void kf_time_format(time_t time, char ret_text[KF_TIME_TEXT_SIZE]);
/* Whether certificate and key (both PEM) can be used together; `origin` names the certificate. */
kf_code kf_certificate_check_pair(kf_view certificate, kf_view key, const char *origin,
                                  kf_error *error) KF_MUST_USE;

#endif
