/* Which certificates were revoked: the lists (RFC 5280 5) in one PEM file. Each is signed by a trusted root,
 * or by a terminal authority under one, whose certificate stands in the same file. Not for other folders,
 * which see no GnuTLS: kf_tls_trust has it.
 *
 * Nothing here is locked: the owner does. */
#ifndef KEYFILL_WIRE_REVOCATION_H
#define KEYFILL_WIRE_REVOCATION_H

#include <gnutls/x509.h>

#include "wire/tls_identity.h"

#define KF_REVOCATION_FILE_MAX ((size_t)8 * 1024 * 1024) /* bytes */
#define KF_REVOCATION_ISSUERS_MAX 16                     /* lists of a file, and authorities' certificates */
#define KF_REVOCATIONS_MAX 131072                        /* certificates in all its lists */
#define KF_SERIAL_MAX 20                                 /* bytes: RFC 5280 4.1.2.2 */

typedef struct kf_revocations kf_revocations;

/* What a list names a certificate by: SHA-256 of the issuer's name (DER) and the serial number. */
kf_code kf_revocation_entry(gnutls_x509_crt_t certificate, uint8_t ret_entry[KF_FINGERPRINT_SIZE],
                            kf_error *error) KF_MUST_USE;

/* Reads `path`; the roots are those of `roots`. KF_ERR_FILE, KF_ERR_CERTIFICATE. */
kf_code kf_revocations_new(const char *path, gnutls_x509_trust_list_t roots, kf_revocations **ret_revocations,
                           kf_error *error) KF_MUST_USE;
void kf_revocations_free(kf_revocations **revocations);
/* Reads the file again. In failure all stays as it was; also KF_ERR_REVISION where a list is older than the
 * one in force, or is missing. */
kf_code kf_revocations_reload(kf_revocations *revocations, gnutls_x509_trust_list_t roots,
                              kf_error *error) KF_MUST_USE;
/* The same where the file is another one than was read last; what is wrong with it is logged, once. */
void kf_revocations_refresh(kf_revocations *revocations, gnutls_x509_trust_list_t roots);
bool kf_revocations_have(const kf_revocations *revocations, const uint8_t entry[KF_FINGERPRINT_SIZE]);

#endif
