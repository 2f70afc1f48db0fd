/* A cipher from inside, for the modes built on it. */
#ifndef KEYFILL_CRYPTO_CIPHER_STATE_H
#define KEYFILL_CRYPTO_CIPHER_STATE_H

#include <openssl/types.h>
#include <string.h>

#include <keyfill/cipher.h>

#define KF_CIPHER_KEY_MAX 32 /* bytes */

/* The whole of it stands in locked memory, because it holds the key and the CMAC subkeys.
 *
 * All that goes block after block runs in one CBC context, many blocks a call, because a call costs as much
 * as a block. The context's vector is never set again: it is the last block that came out, which `vector`
 * remembers; who wants another one XORs both into the first block. Independent blocks go through an ECB
 * context, which works on several at once. */
struct kf_cipher {
    kf_secret *home;
    EVP_CIPHER_CTX *chain;   /* CBC */
    EVP_CIPHER_CTX *blocks;  /* ECB, made when first needed */
    EVP_CIPHER_CTX *decrypt; /* ECB, made when first needed */
    bool blocks_keyed;       /* it holds the key of now */
    bool decrypt_keyed;
    bool subkeys_known;
    kf_algorithm algorithm;
    size_t kind; /* row of the table of ciphers */
    size_t block_size;
    size_t key_size;
    uint8_t vector[KF_BLOCK_MAX];
    uint8_t key[KF_CIPHER_KEY_MAX];
    uint8_t subkeys[2][KF_BLOCK_MAX]; /* K1, K2 of SP 800-38B 6.1 */
};

/* CBC over whole blocks in place, going on from what came out last. */
kf_code kf_chain_continue(kf_cipher *cipher, uint8_t *blocks, size_t size) KF_MUST_USE;
/* CBC over whole blocks in place, with zeros as the initial vector. */
kf_code kf_chain_start(kf_cipher *cipher, uint8_t *blocks, size_t size) KF_MUST_USE;

/* target = one ^ other over 16 bytes, in one step: what was stored in halves is loaded whole only slowly. */
static inline void kf_xor_16(uint8_t *target, const uint8_t *one, const uint8_t *other)
{
    uint8_t left[16];
    uint8_t right[16];
    memcpy(left, one, sizeof left);
    memcpy(right, other, sizeof right);
    for (size_t i = 0; i < sizeof left; i++)
        left[i] = (uint8_t)(left[i] ^ right[i]);
    memcpy(target, left, sizeof left);
}

/* target ^= other; this stands between all block operations. */
static inline void kf_xor_into(uint8_t *target, const uint8_t *other, size_t size)
{
    size_t i = 0;
    for (; i + 16 <= size; i += 16)
        kf_xor_16(target + i, target + i, other + i);
    for (; i < size; i++)
        target[i] = (uint8_t)(target[i] ^ other[i]);
}

/* A block of 8 or 16 bytes. */
static inline void kf_copy_block(uint8_t *target, const uint8_t *block, size_t size)
{
    if (size == 16)
        memcpy(target, block, 16);
    else
        memcpy(target, block, 8);
}

/* The last blocks of CBC under a zero vector over many messages of whole blocks and one size, side by side:
 * message i starts at messages + i * message_size. */
kf_code kf_chain_many(kf_cipher *cipher, const uint8_t *messages, size_t message_size, size_t count,
                      uint8_t *ret_blocks) KF_MUST_USE;

#endif
