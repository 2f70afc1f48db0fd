/* A private certificate authority for demonstrations and small installations: a root, the terminal authority
 * under it, and certificates for the roles. EC P-256 keys, X.509 version 3 (RFC 5280). */
#ifndef KEYFILL_WIRE_PKI_H
#define KEYFILL_WIRE_PKI_H

#include <keyfill/secret.h>

#include "wire/tls_identity.h"

#define KF_PKI_NAMES_MAX 16                   /* DNS names, and as many IP addresses */
#define KF_PKI_REQUEST_MAX ((size_t)8 * 1024) /* bytes of a certificate request (PEM) */

typedef struct kf_pki_validity {
    time_t not_before;
    time_t not_after;
} kf_pki_validity;

/* A certificate (PEM, with the chain below the root behind it) and its private key (PEM, PKCS#8). */
typedef struct kf_pki_pair {
    kf_buffer certificate;
    kf_secret *key;
} kf_pki_pair;

typedef struct kf_pki_subject {
    kf_peer_role role;
    const char *name;
    const char *const *dns;
    size_t dns_count;
    const char *const *ip;
    size_t ip_count;
    kf_pki_validity validity;
} kf_pki_subject;

/* `now` minus an hour (clocks differ) to `now` plus `days`. */
kf_pki_validity kf_pki_validity_of_days(time_t now, unsigned days);

/* Both halves are the caller's to clear. */
kf_code kf_pki_make_root(const char *name, kf_pki_validity validity, kf_pki_pair *ret_root,
                         kf_error *error) KF_MUST_USE;
/* A certificate with a new key. The role KF_PEER_TERMINAL_AUTHORITY makes an authority (path length 0),
 * signed by a root; KF_PEER_TERMINAL is signed by a terminal authority, all others by a root:
 * KF_ERR_CERTIFICATE otherwise. */
kf_code kf_pki_issue(const kf_pki_pair *issuer, const kf_pki_subject *subject, kf_pki_pair *ret_pair,
                     kf_error *error) KF_MUST_USE;
void kf_pki_pair_clear(kf_pki_pair *pair);

/* A new key and a certificate request (PEM, PKCS#10) for it, in `request`. */
kf_code kf_pki_request_new(const char *name, kf_buffer *request, kf_secret **ret_key,
                           kf_error *error) KF_MUST_USE;
/* Signs a request: its key is taken (P-256 only, its own signature must verify), all else comes from
 * `subject`. Appends the certificate and its chain to `certificate`. KF_ERR_CERTIFICATE. */
kf_code kf_pki_sign_request(const kf_pki_pair *issuer, kf_view request, const kf_pki_subject *subject,
                            kf_buffer *certificate, kf_error *error) KF_MUST_USE;

#define KF_PKI_LIST_MAX ((size_t)8 * 1024 * 1024) /* bytes of revocation lists (PEM) */

/* A new revocation list of one issuer (RFC 5280 5). */
typedef struct kf_pki_revocation {
    kf_view before; /* PEM: what the issuer's newest list among these names stays revoked; empty: none */
    const kf_view *revoked; /* certificates (PEM; the first of each counts) */
    size_t revoked_count;
    time_t now;
    unsigned days; /* until the next list is due */
} kf_pki_revocation;

/* Whether the certificate (PEM) bears the issuer's signature. */
bool kf_pki_has_issued(const kf_pki_pair *issuer, kf_view certificate);
/* Appends the list (PEM) to `list`; its number follows that of the one before. KF_ERR_CERTIFICATE where a
 * certificate is not the issuer's. */
kf_code kf_pki_revoke(const kf_pki_pair *issuer, const kf_pki_revocation *revocation, kf_buffer *list,
                      kf_error *error) KF_MUST_USE;

/* Files: the certificate 0644, the key 0600. */
kf_code kf_pki_pair_load(const char *certificate_path, const char *key_path, kf_pki_pair *ret_pair,
                         kf_error *error) KF_MUST_USE;
kf_code kf_pki_pair_save(const kf_pki_pair *pair, const char *certificate_path, const char *key_path,
                         kf_error *error) KF_MUST_USE;

/* What the certificates of a PEM text say, for people: role, name, host names, validity, fingerprint;
 * appended to `text`. */
kf_code kf_pki_describe(kf_view pem, time_t now, kf_buffer *text, kf_error *error) KF_MUST_USE;

#endif
