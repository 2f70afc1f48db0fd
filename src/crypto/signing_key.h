/* Keys with which people sign: P-256 alone (SEC 2, 2.4.2), in PEM files under a passphrase. Signatures are
 * those of signature.h, KF_SIGNATURE_ECDSA_SHA256. */
#ifndef KEYFILL_CRYPTO_SIGNING_KEY_H
#define KEYFILL_CRYPTO_SIGNING_KEY_H

#include <keyfill/signature.h>

#define KF_SIGNING_KEY_PEM_MAX ((size_t)4096) /* bytes of a key file */

kf_code kf_signing_key_new(kf_private_key **ret_key) KF_MUST_USE;
/* Appends "BEGIN ENCRYPTED PRIVATE KEY": PKCS #8, PBES2 (RFC 8018) with scrypt and AES-256-CBC. */
kf_code kf_signing_key_write(const kf_private_key *key, const kf_secret *passphrase,
                             kf_buffer *pem) KF_MUST_USE;
/* KF_ERR_AUTHENTICATION for another passphrase, KF_ERR_MALFORMED for what is no key of P-256. `passphrase`
 * NULL: the file is not encrypted. */
kf_code kf_signing_key_read(kf_view pem, const kf_secret *passphrase, kf_private_key **ret_key) KF_MUST_USE;
/* Whether the PEM asks for a passphrase. */
bool kf_signing_key_is_encrypted(kf_view pem);

/* SubjectPublicKeyInfo in DER (RFC 5480), appended. */
kf_code kf_signing_public_write(const kf_public_key *key, kf_buffer *spki) KF_MUST_USE;
/* KF_ERR_MALFORMED for what is no key of P-256, or is not the DER that kf_signing_public_write gives: one key
 * has one encoding. */
kf_code kf_signing_public_read(kf_view spki, kf_public_key **ret_key) KF_MUST_USE;

#endif
