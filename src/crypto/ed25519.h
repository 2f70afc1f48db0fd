/* Signatures that anyone can verify with a public key of 32 bytes: Ed25519 (RFC 8032), by libsodium. */
#ifndef KEYFILL_CRYPTO_ED25519_H
#define KEYFILL_CRYPTO_ED25519_H

#include <keyfill/secret.h>

#define KF_ED25519_SEED_SIZE 32      /* bytes */
#define KF_ED25519_PUBLIC_SIZE 32    /* bytes */
#define KF_ED25519_SIGNATURE_SIZE 64 /* bytes */

/* The public key that belongs to a seed. KF_ERR_KEY_SIZE. */
kf_code kf_ed25519_public(const kf_secret *seed, uint8_t ret_public[KF_ED25519_PUBLIC_SIZE]) KF_MUST_USE;
/* RFC 8032, 5.1.6: the same message gives the same signature. KF_ERR_KEY_SIZE. */
kf_code kf_ed25519_sign(const kf_secret *seed, kf_view message,
                        uint8_t ret_signature[KF_ED25519_SIGNATURE_SIZE]) KF_MUST_USE;
/* KF_ERR_AUTHENTICATION where the signature is not this key's over `message`. */
kf_code kf_ed25519_verify(const uint8_t public_key[KF_ED25519_PUBLIC_SIZE], kf_view message,
                          const uint8_t signature[KF_ED25519_SIGNATURE_SIZE]) KF_MUST_USE;

#endif
