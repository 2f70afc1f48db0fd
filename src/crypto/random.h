/* Randomness from the operating system (through libsodium). */
#ifndef KEYFILL_CRYPTO_RANDOM_H
#define KEYFILL_CRYPTO_RANDOM_H

#include <keyfill/secret.h>

kf_code kf_random_bytes(void *ret_bytes, size_t size) KF_MUST_USE;
kf_code kf_random_secret(size_t size, kf_secret **ret_secret) KF_MUST_USE;

#endif
