/* Parity of DES keys. */
#ifndef KEYFILL_CRYPTO_PARITY_H
#define KEYFILL_CRYPTO_PARITY_H

#include <stddef.h>
#include <stdint.h>

/* Sets the least significant bit of each byte so that the byte has an odd number of ones. */
void kf_set_odd_parity(uint8_t *key, size_t size);

#endif
