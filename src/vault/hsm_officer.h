/* An officer's own key on a PKCS#11 token, for the officer's program: no keys of the vault are concerned. */
#ifndef KEYFILL_VAULT_HSM_OFFICER_H
#define KEYFILL_VAULT_HSM_OFFICER_H

#include <keyfill/secret.h>

/* `uri` (RFC 7512) names a token and, by object or id, one key pair of P-256 on it; module-path where p11-kit
 * does not know the module. KF_ERR_CONFIGURATION for a URI that is none, KF_ERR_NOT_FOUND where it fits no
 * key or several, KF_ERR_UNAVAILABLE where the token is not there, KF_ERR_KEY_STORE for a wrong PIN. */

/* Appends r and s, 64 bytes: ECDSA with SHA-256 (PKCS #11 2.40, 2.3.6: CKM_ECDSA over the hash). */
kf_code kf_hsm_officer_sign(const char *uri, const kf_secret *pin, kf_view message, kf_buffer *signature,
                            kf_error *error) KF_MUST_USE;
/* Appends the public key as SubjectPublicKeyInfo. */
kf_code kf_hsm_officer_public(const char *uri, const kf_secret *pin, kf_buffer *spki,
                              kf_error *error) KF_MUST_USE;

#endif
