/* MACs of ISO/IEC 9797-1:2011 (GB/T 15852.1-2020) over any of the block ciphers: what SCP02, retail payments
 * and PBOC cards use beside CMAC. */
#ifndef KEYFILL_MAC_H
#define KEYFILL_MAC_H

#include <keyfill/cipher.h>

typedef enum kf_mac_padding {
    KF_PADDING_1 = 1, /* 6.3.2: zeros up to a whole block; one block of zeros for an empty message */
    KF_PADDING_2 = 2, /* 6.3.3: 80, then zeros; always adds something */
    KF_PADDING_3 = 3, /* 6.3.4: the length in bits as a block in front, zeros behind */
} kf_mac_padding;

/* Appends the padded message. KF_ERR_ARGUMENT for a padding that is none of these. */
kf_code kf_mac_pad(kf_mac_padding padding, size_t block_size, kf_view message, kf_buffer *padded) KF_MUST_USE;

/* The message without its padding by method 2, a part of `padded`. KF_ERR_MALFORMED where there is none. */
kf_code kf_mac_unpad2(kf_view padded, kf_view *ret_message) KF_MUST_USE;

/* Algorithm 1 (7.2), CBC-MAC: a whole block comes out. `initial_vector` is one block, NULL for zeros. */
kf_code kf_mac_cbc(kf_cipher *cipher, kf_mac_padding padding, const uint8_t *initial_vector, kf_view message,
                   uint8_t *ret_mac) KF_MUST_USE;
/* Algorithm 2 (7.3): the CBC-MAC under `cipher`, encrypted under `last`. */
kf_code kf_mac_encrypted_cbc(kf_cipher *cipher, kf_cipher *last, kf_mac_padding padding, kf_view message,
                             uint8_t *ret_mac) KF_MUST_USE;

/* Two keys of one block cipher as algorithm 3 uses them: `chain` for the blocks and the last encryption,
 * `last` for the decryption between. For the retail MAC (ANSI X9.19, SCP02): two KF_DES ciphers with the
 * halves of a 16-byte key. */
typedef struct kf_mac_pair {
    kf_cipher *chain;
    kf_cipher *last;
} kf_mac_pair;

/* Makes the pair of KF_DES ciphers from a 16-byte key. The caller frees it with kf_mac_pair_free. */
kf_code kf_mac_retail_pair(kf_view key, kf_mac_pair *ret_pair) KF_MUST_USE;
void kf_mac_pair_free(kf_mac_pair *pair);
/* Algorithm 3 (7.4): a whole block comes out. */
kf_code kf_mac_retail(kf_mac_pair pair, kf_mac_padding padding, const uint8_t *initial_vector,
                      kf_view message, uint8_t *ret_mac) KF_MUST_USE;

#endif
