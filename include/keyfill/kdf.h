/* NIST SP 800-108 key derivation in counter mode with CMAC as the pseudo-random function. */
#ifndef KEYFILL_KDF_H
#define KEYFILL_KDF_H

#include <keyfill/cipher.h>

typedef enum kf_counter_location {
    KF_COUNTER_BEFORE_FIXED, /* counter ‖ fixed input */
    KF_COUNTER_AFTER_FIXED,  /* fixed input ‖ counter */
    KF_COUNTER_MIDDLE_FIXED, /* fixed input up to `middle_offset` ‖ counter ‖ the rest: SCP03 (Amendment
                                D 4.1.5) */
} kf_counter_location;

typedef struct kf_kdf_counter {
    kf_counter_location location;
    unsigned counter_bits; /* 8, 16, 24 or 32 */
    size_t middle_offset;  /* for KF_COUNTER_MIDDLE_FIXED */
} kf_kdf_counter;

/* SP 800-108 5.1: as many bytes as asked. KF_ERR_ARGUMENT where the counter would overflow. */
kf_code kf_kdf_counter_mode(kf_cipher *prf, kf_kdf_counter form, kf_view fixed_input, uint8_t *ret_output,
                            size_t output_size) KF_MUST_USE;

#endif
