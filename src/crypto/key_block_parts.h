/* The parts of key blocks behind key_block.h: how each version protects, and its header as text. */
#ifndef KEYFILL_CRYPTO_KEY_BLOCK_PARTS_H
#define KEYFILL_CRYPTO_KEY_BLOCK_PARTS_H

#include <keyfill/key_block.h>

#define KF_KEY_BLOCK_FIXED_HEADER 16 /* characters, X9.143 6.2 table 1 */
#define KF_KEY_BLOCK_PADDING_ID "PB"

typedef struct kf_key_block_format {
    char version;
    kf_algorithm algorithm; /* of the protection key */
    size_t header_unit;     /* the header's length is a multiple of it */
    size_t key_unit;        /* and the key field's, in bytes */
    size_t mac_size;        /* bytes */
    bool derived;           /* encryption and MAC keys are derived by CMAC, not by variants */
    bool counter_mode;      /* CTR (ISO 20038), not CBC */
    bool written;           /* not only read */
} kf_key_block_format;

/* NULL for an unknown version. */
const kf_key_block_format *kf_key_block_format_of(char version);

typedef struct kf_key_block_keys {
    kf_secret *encryption;
    kf_secret *mac;
} kf_key_block_keys;

/* Variants: X9.143 7.2.1 (versions A, C); derivation: 7.2.2 (B, D), ISO 20038:2017 6.3 (E). KF_ERR_KEY_SIZE
 * where the protection key does not fit the version. The caller frees the keys. */
kf_code kf_key_block_keys_derive(const kf_key_block_format *format, const kf_secret *protection_key,
                                 kf_key_block_keys *ret_keys) KF_MUST_USE;
void kf_key_block_keys_free(kf_key_block_keys *keys);

/* Appends header, encrypted key field and MAC. `key_field`: length in bits, key, padding; whole units. */
kf_code kf_key_block_protect(const kf_key_block_format *format, const kf_secret *protection_key,
                             kf_view header, kf_view key_field, kf_buffer *text) KF_MUST_USE;
/* Appends the key field, once the MAC has verified (else KF_ERR_AUTHENTICATION). `rest` is the text behind
 * the header. */
kf_code kf_key_block_unprotect(const kf_key_block_format *format, const kf_secret *protection_key,
                               kf_view header, kf_view rest, kf_buffer *key_field) KF_MUST_USE;

/* Appends the header's text, with a padding block where the version's unit asks for one. `rest_size`:
 * characters that will follow. */
kf_code kf_key_block_header_write(const kf_key_block_header *header, size_t rest_size, kf_buffer *text,
                                  kf_error *error) KF_MUST_USE;
/* Reads the header off the front of a whole block. Nothing of it is authenticated yet. The caller clears it.
 */
kf_code kf_key_block_header_read(kf_view text, kf_key_block_header *ret_header, size_t *ret_size,
                                 kf_error *error) KF_MUST_USE;
/* Whether a key of `size` bytes can be one of the header's algorithm. */
bool kf_key_block_key_fits(char algorithm, size_t size);

#endif
