#include "raw_aes.h"

#include <string.h>
#include <wmmintrin.h>

static __m128i load(const uint8_t *bytes)
{
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

static void store(uint8_t *bytes, __m128i block)
{
    _mm_storeu_si128((__m128i *)(void *)bytes, block);
}

static __m128i next_round_key(__m128i key, __m128i assist)
{
    assist = _mm_shuffle_epi32(assist, 0xFF);
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    return _mm_xor_si128(key, assist);
}

#define ROUND_KEY(number, constant)                                                                          \
    round_key = next_round_key(round_key, _mm_aeskeygenassist_si128(round_key, constant));                   \
    store(ret_key->schedule[number], round_key)

static void expand_key(const uint8_t *key, raw_key *ret_key)
{
    __m128i round_key = load(key);
    store(ret_key->schedule[0], round_key);
    ROUND_KEY(1, 0x01);
    ROUND_KEY(2, 0x02);
    ROUND_KEY(3, 0x04);
    ROUND_KEY(4, 0x08);
    ROUND_KEY(5, 0x10);
    ROUND_KEY(6, 0x20);
    ROUND_KEY(7, 0x40);
    ROUND_KEY(8, 0x80);
    ROUND_KEY(9, 0x1B);
    ROUND_KEY(10, 0x36);
}

static __m128i encrypt(const raw_key *key, __m128i block)
{
    block = _mm_xor_si128(block, load(key->schedule[0]));
    for (size_t i = 1; i < 10; i++)
        block = _mm_aesenc_si128(block, load(key->schedule[i]));
    return _mm_aesenclast_si128(block, load(key->schedule[10]));
}

static uint64_t load_number(const uint8_t *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return __builtin_bswap64(number);
}

static void store_number(uint8_t *bytes, uint64_t number)
{
    number = __builtin_bswap64(number);
    memcpy(bytes, &number, sizeof number);
}

static void double_block(const uint8_t block[16], uint8_t ret_doubled[16])
{
    uint64_t high = load_number(block);
    uint64_t low = load_number(block + 8);
    uint64_t reduction = (0 - (high >> 63)) & 0x87;
    store_number(ret_doubled, high << 1 | low >> 63);
    store_number(ret_doubled + 8, (low << 1) ^ reduction);
}

void raw_key_set(const uint8_t key[16], raw_key *ret_key)
{
    expand_key(key, ret_key);
    uint8_t zero[16];
    store(zero, encrypt(ret_key, _mm_setzero_si128()));
    double_block(zero, ret_key->k1);
    double_block(ret_key->k1, ret_key->k2);
}

/* CMAC over `size` bytes, which stand in an array with room for padding behind them. */
static __m128i cmac(const raw_key *key, uint8_t *message, size_t size)
{
    size_t blocks = (size + 15) / 16;
    const uint8_t *subkey = key->k1;
    if (size % 16 != 0) {
        message[size] = 0x80;
        memset(message + size + 1, 0, blocks * 16 - size - 1);
        subkey = key->k2;
    }
    __m128i chain = _mm_setzero_si128();
    for (size_t i = 0; i + 1 < blocks; i++)
        chain = encrypt(key, _mm_xor_si128(chain, load(message + 16 * i)));
    __m128i last = _mm_xor_si128(load(message + 16 * (blocks - 1)), load(subkey));
    return encrypt(key, _mm_xor_si128(chain, last));
}

void raw_cmac(const raw_key *key, const uint8_t message[32], uint8_t ret_mac[16])
{
    __m128i block = encrypt(key, load(message));
    block = _mm_xor_si128(block, _mm_xor_si128(load(message + 16), load(key->k1)));
    store(ret_mac, encrypt(key, block));
}

/* Amendment D 4.1.5: label, separator, length, counter, context: 32 bytes in S8 mode. */
static __m128i derive(const raw_key *key, uint8_t constant, uint16_t bits, const uint8_t context[16])
{
    uint8_t message[32] = {0};
    message[11] = constant;
    message[13] = (uint8_t)(bits >> 8);
    message[14] = (uint8_t)bits;
    message[15] = 1;
    memcpy(message + 16, context, 16);
    return cmac(key, message, 32);
}

static void derive_key(const raw_key *key, uint8_t constant, const uint8_t context[16], raw_key *ret_key)
{
    uint8_t derived[16];
    store(derived, derive(key, constant, 128, context));
    raw_key_set(derived, ret_key);
}

static void append_mac(const raw_key *mac_key, uint8_t chain[16], uint8_t *command, size_t size)
{
    uint8_t message[16 + SESSION_WRAPPED_MAX + 16];
    memcpy(message, chain, 16);
    memcpy(message + 16, command, size);
    store(chain, cmac(mac_key, message, 16 + size));
    memcpy(command + size, chain, 8);
}

/* Gives the size without the MAC. */
static size_t wrap(const raw_key *enc_key, const bench_command *plain, uint8_t counter, uint8_t *ret_command)
{
    uint8_t block[16] = {0};
    size_t data_size = plain->size - 5;
    size_t padded = (data_size / 16 + 1) * 16;
    block[15] = counter;
    memcpy(ret_command, plain->bytes, plain->size);
    ret_command[0] |= 0x04;
    ret_command[4] = (uint8_t)(padded + 8);
    ret_command[plain->size] = 0x80;
    memset(ret_command + plain->size + 1, 0, padded - data_size - 1);
    __m128i chain = encrypt(enc_key, load(block));
    for (size_t i = 0; i < padded; i += 16) {
        chain = encrypt(enc_key, _mm_xor_si128(chain, load(ret_command + 5 + i)));
        store(ret_command + 5 + i, chain);
    }
    return 5 + padded;
}

void raw_session(const bench_session *session, bench_wrapped *ret_wrapped)
{
    raw_key enc;
    raw_key mac;
    raw_key dek;
    raw_key session_enc;
    raw_key session_mac;
    uint8_t session_rmac[16];
    uint8_t context[16];
    uint8_t chain[16] = {0};
    uint8_t cryptogram[16];
    memcpy(context, session->host_challenge, 8);
    memcpy(context + 8, session->answer + 13, 8);
    raw_key_set(session->mac, &mac);
    raw_key_set(session->enc, &enc);
    expand_key(session->dek, &dek);
    derive_key(&mac, 0x06, context, &session_mac);
    store(session_rmac, derive(&mac, 0x07, 128, context));
    derive_key(&enc, 0x04, context, &session_enc);
    store(cryptogram, derive(&session_mac, 0x00, 64, context));
    if (memcmp(cryptogram, session->answer + 21, 8) != 0) {
        memset(ret_wrapped, 0, sizeof *ret_wrapped);
        return;
    }
    static const uint8_t header[5] = {0x84, 0x82, 0x33, 0x00, 0x10};
    store(cryptogram, derive(&session_mac, 0x01, 64, context));
    memcpy(ret_wrapped->authenticate, header, 5);
    memcpy(ret_wrapped->authenticate + 5, cryptogram, 8);
    append_mac(&session_mac, chain, ret_wrapped->authenticate, 13);
    for (size_t i = 0; i < SESSION_COMMANDS; i++) {
        size_t size = wrap(&session_enc, &session->commands[i], (uint8_t)(i + 1), ret_wrapped->commands[i]);
        append_mac(&session_mac, chain, ret_wrapped->commands[i], size);
        ret_wrapped->sizes[i] = size + 8;
    }
    /* Kept from being optimised away. */
    __asm__ volatile("" : : "g"(&dek), "g"(session_rmac) : "memory");
}
