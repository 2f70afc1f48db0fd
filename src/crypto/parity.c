#include "crypto/parity.h"

void kf_set_odd_parity(uint8_t *key, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned bits = key[i] >> 1;
        bits ^= bits >> 4;
        bits ^= bits >> 2;
        bits ^= bits >> 1;
        key[i] = (uint8_t)((key[i] & 0xFEU) | (~bits & 1U));
    }
}
