/* Hashes by name, and signatures with asymmetric keys: what delegated management and load file data blocks
 * need (GlobalPlatform Card Specification 2.3.1 B.3, B.4, C). */
#ifndef KEYFILL_SIGNATURE_H
#define KEYFILL_SIGNATURE_H

#include <keyfill/secret.h>

typedef enum kf_hash_algorithm {
    KF_HASH_SHA1 = 1, /* broken for signatures of what others write; older cards know nothing else */
    KF_HASH_SHA256,
    KF_HASH_SHA384,
    KF_HASH_SHA512,
    KF_HASH_SM3,
} kf_hash_algorithm;

#define KF_HASH_SIZE_MAX 64 /* bytes */

/* 20, 32, 48 or 64 bytes; 0 for an algorithm that is none of these. */
size_t kf_hash_size(kf_hash_algorithm algorithm);
/* Appends the hash of `message`. */
kf_code kf_hash(kf_hash_algorithm algorithm, kf_view message, kf_buffer *digest) KF_MUST_USE;

typedef enum kf_signature_scheme {
    KF_SIGNATURE_RSA_PKCS1_SHA1 = 1, /* B.3.1.1: RSA keys up to 1024 bits */
    KF_SIGNATURE_RSA_PKCS1_SHA256,
    KF_SIGNATURE_RSA_PSS_SHA256, /* B.3.1.2: RSA keys above 1024 bits; salt as long as the hash */
    KF_SIGNATURE_ECDSA_SHA256,   /* B.4.3: r and s, each as long as the curve's order */
} kf_signature_scheme;

#define KF_SIGNATURE_SIZE_MAX 512 /* bytes: RSA-4096 */

/* A private key: RSA of 1024 to 4096 bits, or an elliptic curve. */
typedef struct kf_private_key kf_private_key;
/* `encoded`: PEM without passphrase, or DER. KF_ERR_MALFORMED where it is no such key, KF_ERR_KEY_SIZE where
 * its size is out of range. The caller still owns, and wipes, the original. */
kf_code kf_private_key_read(kf_view encoded, kf_private_key **ret_key) KF_MUST_USE;
/* Wipes, frees, sets NULL. Fits KF_CLEANUP. */
void kf_private_key_free(kf_private_key **key);

typedef struct kf_public_key kf_public_key;
/* PEM or DER (SubjectPublicKeyInfo). Errors as above. */
kf_code kf_public_key_read(kf_view encoded, kf_public_key **ret_key) KF_MUST_USE;
kf_code kf_public_key_of(const kf_private_key *key, kf_public_key **ret_key) KF_MUST_USE;
void kf_public_key_free(kf_public_key **key);
/* Modulus and public exponent, big-endian without leading zeros, appended. KF_ERR_UNSUPPORTED where the key
 * is no RSA key. */
kf_code kf_public_key_rsa(const kf_public_key *key, kf_buffer *modulus, kf_buffer *exponent) KF_MUST_USE;

/* Appends the signature. KF_ERR_UNSUPPORTED where scheme and key do not fit each other. */
kf_code kf_sign(const kf_private_key *key, kf_signature_scheme scheme, kf_view message,
                kf_buffer *signature) KF_MUST_USE;
/* KF_ERR_AUTHENTICATION where the signature is not this key's over `message`. */
kf_code kf_signature_verify(const kf_public_key *key, kf_signature_scheme scheme, kf_view message,
                            kf_view signature) KF_MUST_USE;

#endif
