/* Secrets: keys, passphrases and key components live in this one type: in memory that is locked (never
 * swapped), left out of core dumps and of children, fenced by guard pages, and wiped when given back. A
 * secret is never formatted; show its key check value (kcv.h). */
#ifndef KEYFILL_SECRET_H
#define KEYFILL_SECRET_H

#include <keyfill/bytes.h>

typedef struct kf_secret kf_secret;

#define KF_SECRET_MAX_SIZE 4096 /* bytes */

/* A copy of `bytes` (1 to KF_SECRET_MAX_SIZE). The caller still owns, and wipes, the original.
 * KF_ERR_SECRET_MEMORY where memory cannot be locked (raise `ulimit -l`), KF_ERR_ARGUMENT for a size out of
 * range. */
kf_code kf_secret_new(kf_view bytes, kf_secret **ret_secret) KF_MUST_USE;
/* `size` zero bytes, to be written through kf_secret_expose_writable. */
kf_code kf_secret_new_zero(size_t size, kf_secret **ret_secret) KF_MUST_USE;
/* Another secret of the same content. */
kf_code kf_secret_copy(const kf_secret *secret, kf_secret **ret_secret) KF_MUST_USE;
/* Wipes, frees, sets NULL; NULL and pointers to NULL are fine. Fits KF_CLEANUP. */
void kf_secret_free(kf_secret **secret);

/* Bytes. */
size_t kf_secret_size(const kf_secret *secret);
/* The bytes themselves, valid as long as the secret. The name is loud on purpose: copies made from it are the
 * caller's to wipe. */
kf_view kf_secret_expose(const kf_secret *secret);
/* The same, to be written. */
uint8_t *kf_secret_expose_writable(kf_secret *secret);
/* Constant time in the content; sizes are not secret. */
bool kf_secret_equal(const kf_secret *left, const kf_secret *right);

/* Constant-time comparison of `size` bytes. */
bool kf_equal_constant_time(const void *left, const void *right, size_t size);
/* Overwrites memory in a way that the compiler keeps. */
void kf_wipe(void *memory, size_t size);

/* An array on the stack that is wiped when it goes out of scope:
 *     KF_CLEANUP(kf_wipe_block16) uint8_t block[16]; */
void kf_wipe_block16(uint8_t (*block)[16]);
void kf_wipe_block32(uint8_t (*block)[32]);
void kf_wipe_block64(uint8_t (*block)[64]);

#endif
