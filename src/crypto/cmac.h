/* CMAC without a copy of the message, for callers inside. */
#ifndef KEYFILL_CRYPTO_CMAC_H
#define KEYFILL_CRYPTO_CMAC_H

#include <keyfill/cipher.h>

/* The CMAC of `size` bytes at `message`, which are overwritten on the way; behind them one more block may be
 * written. What is left there tells nothing of the message, but belongs to the key: the caller wipes it. */
kf_code kf_cmac_overwriting(kf_cipher *cipher, uint8_t *message, size_t size, uint8_t *ret_mac) KF_MUST_USE;

#endif
