/* Key blocks of ANSI X9.143 (TR-31): a key, what it may be used for, and optional blocks, encrypted and
 * authenticated under a key block protection key. Text of printable ASCII. */
#ifndef KEYFILL_KEY_BLOCK_H
#define KEYFILL_KEY_BLOCK_H

#include <keyfill/cipher.h>

#define KF_KEY_BLOCK_TEXT_MAX                                                                                \
    9992 /* characters, X9.143 6.2: the length field has four digits, whole blocks */
#define KF_KEY_BLOCK_OPTIONAL_MAX 32    /* optional blocks */
#define KF_KEY_BLOCK_OPTIONAL_SIZE 2048 /* characters of one optional block's data */

typedef struct kf_optional_block {
    char id[3]; /* two characters and a zero: "KC", "KP", "LB", "10" … */
    char *data; /* printable ASCII, zero-terminated, owned by the header */
} kf_optional_block;

typedef struct kf_key_block_header {
    char version;        /* 'A' to 'D' (X9.143), 'E' (ISO 20038) */
    char usage[3];       /* "E0", "E5", "E6", "B3", "K1" … and a zero */
    char algorithm;      /* 'A' AES, 'T' TDES, 'D' DES, 'S' … */
    char mode;           /* 'X' derive, 'B' both, 'E', 'D', 'N' … */
    char key_version[3]; /* "00" … "99" and a zero */
    char exportability;  /* 'E', 'N' or 'S' */
    char reserved[3];    /* "00"; X9.143:2021 also "10" and "20" (key context) */
    size_t optional_count;
    kf_optional_block optional[KF_KEY_BLOCK_OPTIONAL_MAX];
} kf_key_block_header;

/* Adds a copy of an optional block, before wrapping; the padding block PB is the library's own affair.
 * KF_ERR_KEY_BLOCK for an id that is not two of A-Z 0-9 (or is PB) and data that is not printable,
 * KF_ERR_TOO_LONG past either limit. */
kf_code kf_key_block_add_optional(kf_key_block_header *header, const char *id, const char *data) KF_MUST_USE;
/* The data of the first optional block `id`, or NULL. */
const char *kf_key_block_optional(const kf_key_block_header *header, const char *id);
/* Frees the optional blocks. Fits KF_CLEANUP. */
void kf_key_block_header_clear(kf_key_block_header *header);

/* Appends the text of the block. The protection key: AES for versions D and E, 3DES of 16 or 24 bytes for B
 * and C. `masked_size`: the key field is padded to look like a key of so many bytes (0: the algorithm's
 * longest; the key's own size: no masking). The padding is random. KF_ERR_UNSUPPORTED for versions that are
 * only read (A), KF_ERR_KEY_SIZE where key and algorithm, or protection key and version, do not fit. */
kf_code kf_key_block_wrap(const kf_secret *protection_key, const kf_key_block_header *header,
                          const kf_secret *key, size_t masked_size, kf_buffer *text,
                          kf_error *error) KF_MUST_USE;
/* Reads versions A to E. KF_ERR_KEY_BLOCK for a malformed block (the message says where),
 * KF_ERR_AUTHENTICATION where the MAC does not verify, KF_ERR_KEY_SIZE where the protection key does not fit
 * the version. Nothing is returned then. The caller clears the header and frees the key. */
kf_code kf_key_block_unwrap(const kf_secret *protection_key, kf_view text, kf_key_block_header *ret_header,
                            kf_secret **ret_key, kf_error *error) KF_MUST_USE;

#endif
