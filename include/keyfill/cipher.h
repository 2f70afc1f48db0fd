/* Block ciphers with a key at hand, and what is made of them directly: CBC and CMAC.
 *
 * A kf_cipher caches the key schedule of its key in both directions and the CMAC subkeys, so one costs a
 * few block operations to make and nothing to reuse. Its key stands in the memory of secrets; OpenSSL's key
 * schedule beside it is ordinary memory, wiped when freed. It is not shared between threads.
 */
#ifndef KEYFILL_CIPHER_H
#define KEYFILL_CIPHER_H

#include <keyfill/secret.h>

typedef enum kf_algorithm {
    KF_AES = 1,  /* keys of 16, 24, 32 bytes; blocks of 16 (FIPS 197) */
    KF_TDES = 2, /* keys of 16 or 24 bytes; blocks of 8 (SP 800-67); 16 bytes: K1 K2 K1 */
    KF_SM4 = 3,  /* keys of 16 bytes; blocks of 16 (GB/T 32907) */
    KF_DES = 4,  /* keys of 8 bytes; blocks of 8; only inside SCP02 and retail MACs */
} kf_algorithm;

#define KF_BLOCK_MAX 16 /* bytes: the largest block */

typedef struct kf_cipher kf_cipher;

/* A cipher with `key`, which is copied; the caller keeps its own. KF_ERR_KEY_SIZE where its size does not fit
 * the algorithm. The caller frees the cipher with kf_cipher_free. */
kf_code kf_cipher_new(kf_algorithm algorithm, kf_view key, kf_cipher **ret_cipher) KF_MUST_USE;
kf_code kf_cipher_new_secret(kf_algorithm algorithm, const kf_secret *key,
                             kf_cipher **ret_cipher) KF_MUST_USE;
/* Another key of the same algorithm and size in the same context: cheaper than a new one. After a failure
 * other than KF_ERR_KEY_SIZE the cipher can only be freed. */
kf_code kf_cipher_rekey(kf_cipher *cipher, kf_view key) KF_MUST_USE;
/* Overwrites the key wherever it stands, and sets NULL; NULL and pointers to NULL are fine. The contexts, now
 * without a key, may be kept for the thread's next cipher. */
void kf_cipher_free(kf_cipher **cipher);

/* What the cipher is; sizes in bytes. */
kf_algorithm kf_cipher_algorithm(const kf_cipher *cipher);
size_t kf_cipher_block_size(const kf_cipher *cipher); /* 8 or 16 */
size_t kf_cipher_key_size(const kf_cipher *cipher);

/* ECB over whole blocks: `input.size` is a multiple of the block size (else KF_ERR_ARGUMENT); as many bytes
 * come out. In place is fine. */
kf_code kf_cipher_encrypt_blocks(kf_cipher *cipher, kf_view input, uint8_t *ret_output) KF_MUST_USE;
/* The inverse, with the same sizes and errors. */
kf_code kf_cipher_decrypt_blocks(kf_cipher *cipher, kf_view input, uint8_t *ret_output) KF_MUST_USE;

/* CBC over whole blocks without padding (SP 800-38A 6.2); `initial_vector` is one block, NULL for zeros. In
 * place is fine. */
kf_code kf_cipher_cbc_encrypt(kf_cipher *cipher, const uint8_t *initial_vector, kf_view input,
                              uint8_t *ret_output) KF_MUST_USE;
/* The inverse, with the same sizes and errors. */
kf_code kf_cipher_cbc_decrypt(kf_cipher *cipher, const uint8_t *initial_vector, kf_view input,
                              uint8_t *ret_output) KF_MUST_USE;

/* CMAC (SP 800-38B): a whole block comes out (16 bytes; 8 with 3DES). */
kf_code kf_cmac(kf_cipher *cipher, kf_view message, uint8_t *ret_mac) KF_MUST_USE;
/* CMAC of several parts laid end to end. */
kf_code kf_cmac_parts(kf_cipher *cipher, const kf_view *parts, size_t part_count,
                      uint8_t *ret_mac) KF_MUST_USE;
/* CMAC of many messages of one length under one key, side by side: message i starts at messages + i *
 * message_size; MAC i is written at ret_macs + i * block size. */
kf_code kf_cmac_many(kf_cipher *cipher, const uint8_t *messages, size_t message_size, size_t count,
                     uint8_t *ret_macs) KF_MUST_USE;

/* The subkeys K1 and K2 of SP 800-38B 6.1, a block each; for constructions that pad in their own way
 * (AN10922). Secret: the caller wipes them. */
kf_code kf_cmac_subkeys(kf_cipher *cipher, uint8_t *ret_k1, uint8_t *ret_k2) KF_MUST_USE;

/* Compares `given` (4 to a block of bytes: the leftmost of the MAC) in constant time. KF_ERR_AUTHENTICATION
 * if it differs, KF_ERR_ARGUMENT for another size. */
kf_code kf_cmac_verify(kf_cipher *cipher, kf_view message, kf_view given) KF_MUST_USE;

#endif
