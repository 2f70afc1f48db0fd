/* AES key wrap with padding (RFC 5649, SP 800-38F 6.3): how keys leave a token. */
#ifndef KEYFILL_CRYPTO_KEY_WRAP_H
#define KEYFILL_CRYPTO_KEY_WRAP_H

#include <keyfill/cipher.h>

#define KF_KEY_WRAP_MAX 64 /* bytes of a key */

/* Appends the wrapped key: 8 bytes longer than the key, which is filled up to a multiple of 8 (1 to
 * KF_KEY_WRAP_MAX bytes, else KF_ERR_ARGUMENT). `cipher` is AES. */
kf_code kf_key_wrap(kf_cipher *cipher, const kf_secret *key, kf_buffer *wrapped) KF_MUST_USE;
/* KF_ERR_AUTHENTICATION where it was not wrapped under this key, or was changed; KF_ERR_MALFORMED for a
 * length that no wrapped key has. */
kf_code kf_key_unwrap(kf_cipher *cipher, kf_view wrapped, kf_secret **ret_key) KF_MUST_USE;

#endif
