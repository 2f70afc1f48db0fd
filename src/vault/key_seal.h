/* Sealed files: the key slots and backups. A head in clear, authenticated with the rest, then the content
 * under a key made of a passphrase.
 *
 * Head: 8 bytes what it is, u64 passes and u64 bytes of memory of Argon2id, 16 bytes salt, u64 sequence, u32
 * size of what follows: XChaCha20-Poly1305 (nonce, ciphertext, tag) with the head as associated data. Nothing
 * stands behind it. */
#ifndef KEYFILL_VAULT_KEY_SEAL_H
#define KEYFILL_VAULT_KEY_SEAL_H

#include "crypto/seal.h"

#define KF_SEALED_MAGIC_SIZE 8
#define KF_SEALED_HEAD_SIZE (KF_SEALED_MAGIC_SIZE + 8 + 8 + KF_PASSPHRASE_SALT_SIZE + 8 + 4)
#define KF_SEALED_FILE_MAX ((size_t)16 * 1024 * 1024) /* bytes */
#define KF_SEALED_OPERATIONS_MAX 16

/* A passphrase worked into a key, with what it takes to do so again. */
typedef struct kf_key_seal {
    kf_secret *key;
    kf_passphrase_cost cost;
    uint8_t salt[KF_PASSPHRASE_SALT_SIZE];
} kf_key_seal;

/* With a new salt. */
kf_code kf_key_seal_new(const kf_secret *passphrase, kf_passphrase_cost cost,
                        kf_key_seal *ret_seal) KF_MUST_USE;
void kf_key_seal_clear(kf_key_seal *seal);

/* Appends a whole sealed file. `magic` has KF_SEALED_MAGIC_SIZE characters. */
kf_code kf_key_seal_close(const kf_key_seal *seal, const char *magic, uint64_t sequence, kf_view plain,
                          kf_buffer *file) KF_MUST_USE;

typedef struct kf_sealed_content {
    uint64_t sequence;
    kf_buffer plain;
    kf_key_seal seal; /* fit for closing the next one */
} kf_sealed_content;

/* KF_ERR_MALFORMED for a file that is not of this form or asks for more work than the caps,
 * KF_ERR_AUTHENTICATION for a wrong passphrase or changed bytes. `known` may be NULL, or a seal of the same
 * passphrase: where salt and cost agree its key is taken. */
kf_code kf_key_seal_open(const kf_secret *passphrase, const kf_key_seal *known, const char *magic,
                         kf_view file, kf_sealed_content *ret_content) KF_MUST_USE;
void kf_sealed_content_clear(kf_sealed_content *content);

#endif
