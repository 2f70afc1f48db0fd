/* Sealing: under a key (XChaCha20-Poly1305), under a passphrase (Argon2id, then the same), to a public key
 * (X25519 sealed box). All by libsodium. */
#ifndef KEYFILL_CRYPTO_SEAL_H
#define KEYFILL_CRYPTO_SEAL_H

#include <keyfill/secret.h>

#define KF_SEAL_KEY_SIZE 32    /* bytes */
#define KF_SEAL_OVERHEAD 40    /* 24 bytes of nonce before, 16 of tag behind */
#define KF_BOX_PUBLIC_SIZE 32  /* bytes */
#define KF_BOX_PRIVATE_SIZE 32 /* bytes */
#define KF_BOX_OVERHEAD 48     /* bytes */
#define KF_PASSPHRASE_SALT_SIZE 16

/* Appends nonce, ciphertext and tag; `context` is authenticated and not contained. */
kf_code kf_seal(const kf_secret *key, kf_view context, kf_view plain, kf_buffer *sealed) KF_MUST_USE;
/* KF_ERR_AUTHENTICATION where key, context or bytes differ; nothing is appended then. */
kf_code kf_unseal(const kf_secret *key, kf_view context, kf_view sealed, kf_buffer *plain) KF_MUST_USE;

typedef struct kf_passphrase_cost {
    uint64_t operations; /* passes */
    uint64_t memory;     /* bytes */
} kf_passphrase_cost;

#define KF_PASSPHRASE_COST_DEFAULT                                                                           \
    ((kf_passphrase_cost){3, 64U * 1024 * 1024}) /* RFC 9106 §4, second choice */
#define KF_PASSPHRASE_COST_MAX_OPERATIONS ((uint64_t)64)
#define KF_PASSPHRASE_COST_MAX_MEMORY ((uint64_t)1024 * 1024 * 1024)

/* A key of KF_SEAL_KEY_SIZE bytes by Argon2id (RFC 9106, one lane). KF_ERR_ARGUMENT for a cost out of range,
 * KF_ERR_MEMORY where the memory is not there. */
kf_code kf_passphrase_key(const kf_secret *passphrase, const uint8_t salt[KF_PASSPHRASE_SALT_SIZE],
                          kf_passphrase_cost cost, kf_secret **ret_key) KF_MUST_USE;

kf_code kf_box_new(uint8_t ret_public[KF_BOX_PUBLIC_SIZE], kf_secret **ret_private) KF_MUST_USE;
/* The public half of a private key. */
kf_code kf_box_public(const kf_secret *private_key, uint8_t ret_public[KF_BOX_PUBLIC_SIZE]) KF_MUST_USE;
/* Anyone can seal; only the private key opens. */
kf_code kf_box_seal(const uint8_t public_key[KF_BOX_PUBLIC_SIZE], kf_view plain,
                    kf_buffer *sealed) KF_MUST_USE;
kf_code kf_box_open(const kf_secret *private_key, kf_view sealed, kf_secret **ret_plain) KF_MUST_USE;

#endif
