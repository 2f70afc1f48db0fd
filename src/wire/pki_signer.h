/* Between pki.c and pki_revoke.c: an issuer as GnuTLS has it. Not for other folders, which see no GnuTLS. */
#ifndef KEYFILL_WIRE_PKI_SIGNER_H
#define KEYFILL_WIRE_PKI_SIGNER_H

#include <gnutls/x509.h>

#include "wire/pki.h"

typedef struct kf_pki_signer {
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_t key;
    kf_peer peer; /* role KF_PEER_NONE for a root, which has no URI */
} kf_pki_signer;

/* The caller clears, also in failure. KF_ERR_CERTIFICATE for one that is no authority. */
kf_code kf_pki_signer_open(const kf_pki_pair *issuer, kf_pki_signer *signer, kf_error *error) KF_MUST_USE;
void kf_pki_signer_clear(kf_pki_signer *signer);
/* KF_ERR_CERTIFICATE: what was being done, and what GnuTLS says. */
kf_code kf_pki_library_fault(int got, const char *doing, kf_error *error);

#endif
