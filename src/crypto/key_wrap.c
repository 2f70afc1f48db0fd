#include "crypto/key_wrap.h"

#include <string.h>

#define HALF 8 /* bytes: the semiblock */
#define WRAPPED_MAX (HALF + KF_KEY_WRAP_MAX)

/* RFC 5649 3: the constant, then the key's length. */
static const uint8_t alternative_initial_value[4] = {0xA6, 0x59, 0x59, 0xA6};

static void wipe_block(uint8_t (*block)[2 * HALF])
{
    kf_wipe(*block, sizeof *block);
}

static void wipe_wrapped(uint8_t (*bytes)[WRAPPED_MAX])
{
    kf_wipe(*bytes, sizeof *bytes);
}

static void xor_number(uint8_t half[HALF], size_t number)
{
    for (size_t i = 0; i < HALF; i++)
        half[HALF - 1 - i] ^= (uint8_t)((uint64_t)number >> (8 * i));
}

/* RFC 3394 2.2.1: `bytes` is A || R1 … Rn. */
static kf_code wrap_halves(kf_cipher *cipher, uint8_t *bytes, size_t count)
{
    KF_CLEANUP(wipe_block) uint8_t block[2 * HALF];
    for (size_t step = 1; step <= 6 * count; step++) {
        uint8_t *half = bytes + HALF * ((step - 1) % count + 1);
        memcpy(block, bytes, HALF);
        memcpy(block + HALF, half, HALF);
        KF_TRY(kf_cipher_encrypt_blocks(cipher, KF_VIEW(block), block));
        xor_number(block, step);
        memcpy(bytes, block, HALF);
        memcpy(half, block + HALF, HALF);
    }
    return KF_OK;
}

/* RFC 3394 2.2.2. */
static kf_code unwrap_halves(kf_cipher *cipher, uint8_t *bytes, size_t count)
{
    KF_CLEANUP(wipe_block) uint8_t block[2 * HALF];
    for (size_t step = 6 * count; step >= 1; step--) {
        uint8_t *half = bytes + HALF * ((step - 1) % count + 1);
        memcpy(block, bytes, HALF);
        memcpy(block + HALF, half, HALF);
        xor_number(block, step);
        KF_TRY(kf_cipher_decrypt_blocks(cipher, KF_VIEW(block), block));
        memcpy(bytes, block, HALF);
        memcpy(half, block + HALF, HALF);
    }
    return KF_OK;
}

kf_code kf_key_wrap(kf_cipher *cipher, const kf_secret *key, kf_buffer *wrapped)
{
    kf_view plain = kf_secret_expose(key);
    if (plain.size > KF_KEY_WRAP_MAX || kf_cipher_algorithm(cipher) != KF_AES) return KF_ERR_ARGUMENT;
    KF_CLEANUP(wipe_wrapped) uint8_t bytes[WRAPPED_MAX] = {0};
    size_t count = (plain.size + HALF - 1) / HALF;
    memcpy(bytes, alternative_initial_value, sizeof alternative_initial_value);
    bytes[HALF - 1] = (uint8_t)plain.size;
    memcpy(bytes + HALF, plain.data, plain.size);
    /* RFC 5649 4.1: a single half goes with the initial value through the cipher once. */
    KF_TRY(count == 1 ? kf_cipher_encrypt_blocks(cipher, kf_view_of(bytes, 2 * HALF), bytes)
                      : wrap_halves(cipher, bytes, count));
    kf_buffer_append_bytes(wrapped, bytes, HALF * (count + 1));
    return kf_buffer_status(wrapped);
}

/* RFC 5649 3: the constant, a length that fits, zeros behind it. */
static bool is_whole(const uint8_t *bytes, size_t count)
{
    size_t size = bytes[HALF - 1];
    uint8_t wrong = 0;
    for (size_t i = 0; i < sizeof alternative_initial_value; i++)
        wrong |= (uint8_t)(bytes[i] ^ alternative_initial_value[i]);
    for (size_t i = sizeof alternative_initial_value; i < HALF - 1; i++)
        wrong |= bytes[i];
    if (wrong != 0 || size <= HALF * (count - 1) || size > HALF * count) return false;
    for (size_t i = size; i < HALF * count; i++)
        wrong |= bytes[HALF + i];
    return wrong == 0;
}

kf_code kf_key_unwrap(kf_cipher *cipher, kf_view wrapped, kf_secret **ret_key)
{
    if (kf_cipher_algorithm(cipher) != KF_AES) return KF_ERR_ARGUMENT;
    if (wrapped.size < 2 * HALF || wrapped.size > WRAPPED_MAX || wrapped.size % HALF != 0)
        return KF_ERR_MALFORMED;
    KF_CLEANUP(wipe_wrapped) uint8_t bytes[WRAPPED_MAX];
    size_t count = wrapped.size / HALF - 1;
    memcpy(bytes, wrapped.data, wrapped.size);
    KF_TRY(count == 1 ? kf_cipher_decrypt_blocks(cipher, kf_view_of(bytes, 2 * HALF), bytes)
                      : unwrap_halves(cipher, bytes, count));
    if (!is_whole(bytes, count)) return KF_ERR_AUTHENTICATION;
    return kf_secret_new(kf_view_of(bytes + HALF, bytes[HALF - 1]), ret_key);
}
