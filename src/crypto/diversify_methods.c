#include <string.h>

#include "crypto/cipher_state.h"
#include "crypto/digest.h"
#include "crypto/diversify_plan.h"
#include "crypto/parity.h"

#include <keyfill/kdf.h>

#define LABEL "keyfill"
#define DIVERSIFICATION_DATA_SIZE                                                                            \
    10 /* bytes of an INITIALIZE UPDATE response, GP Card Specification E.5.1.5 */
#define FACTOR_SIZE KF_EMV_FACTOR_SIZE

/* The fixed input is Label || 00 || Context || [L]16, SP 800-108 5. */
static kf_code derive_sp800_108(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    size_t size = kf_cipher_key_size(cipher);
    KF_CLEANUP(kf_buffer_clear) kf_buffer fixed = KF_BUFFER_INIT;
    kf_buffer_append_text(&fixed, LABEL);
    kf_buffer_append_u8(&fixed, 0);
    kf_buffer_append(&fixed, input);
    kf_buffer_append_u16(&fixed, (uint16_t)(size * 8));
    KF_TRY(kf_buffer_status(&fixed));
    kf_kdf_counter form = {KF_COUNTER_BEFORE_FIXED, 8, 0};
    return kf_kdf_counter_mode(cipher, form, kf_buffer_view(&fixed), ret_key, size);
}

/* AN10922 2: the constant and the input always fill two blocks; what is padded takes subkey K2. */
static kf_code an10922_message(kf_cipher *cipher, uint8_t constant, kf_view input, uint8_t *ret_message)
{
    size_t size = kf_cipher_block_size(cipher);
    KF_CLEANUP(kf_wipe_block16) uint8_t k1[KF_BLOCK_MAX];
    KF_CLEANUP(kf_wipe_block16) uint8_t k2[KF_BLOCK_MAX];
    if (input.size + 1 > 2 * size) return KF_ERR_ARGUMENT;
    KF_TRY(kf_cmac_subkeys(cipher, k1, k2));
    memset(ret_message, 0, 2 * size);
    ret_message[0] = constant;
    memcpy(ret_message + 1, input.data, input.size);
    bool padded = input.size + 1 < 2 * size;
    if (padded) ret_message[input.size + 1] = 0x80;
    kf_xor_into(ret_message + size, padded ? k2 : k1, size);
    return KF_OK;
}

static kf_code an10922_cmac(kf_cipher *cipher, uint8_t constant, kf_view input, uint8_t *ret_mac)
{
    size_t size = kf_cipher_block_size(cipher);
    KF_CLEANUP(kf_wipe_block32) uint8_t message[2 * KF_BLOCK_MAX];
    KF_TRY(an10922_message(cipher, constant, input, message));
    KF_TRY(kf_chain_start(cipher, message, 2 * size));
    memcpy(ret_mac, message + size, size);
    return KF_OK;
}

/* One CMAC a block of the key, each under its own constant. */
static kf_code an10922_blocks(kf_cipher *cipher, uint8_t first_constant, kf_view input, uint8_t *ret_key)
{
    size_t size = kf_cipher_block_size(cipher);
    for (size_t i = 0; i < kf_cipher_key_size(cipher) / size; i++)
        KF_TRY(an10922_cmac(cipher, (uint8_t)(first_constant + i), input, ret_key + i * size));
    return KF_OK;
}

typedef struct an10922_group {
    uint8_t messages[KF_DIVERSIFY_MANY_MAX * 2 * KF_BLOCK_MAX];
    uint8_t macs[KF_DIVERSIFY_MANY_MAX * KF_BLOCK_MAX];
} an10922_group;

/* The same for many cards: the messages of all of them side by side, block by block of the keys. */
static kf_code an10922_column(kf_cipher *cipher, uint8_t constant, const kf_view *inputs, size_t count,
                              an10922_group *group)
{
    size_t size = kf_cipher_block_size(cipher);
    for (size_t i = 0; i < count; i++)
        KF_TRY(an10922_message(cipher, constant, inputs[i], group->messages + i * 2 * size));
    return kf_chain_many(cipher, group->messages, 2 * size, count, group->macs);
}

static kf_code an10922_many(kf_cipher *cipher, uint8_t first_constant, const kf_view *inputs, size_t count,
                            uint8_t *ret_keys)
{
    size_t size = kf_cipher_block_size(cipher);
    size_t key_size = kf_cipher_key_size(cipher);
    an10922_group group;
    kf_code code = KF_OK;
    for (size_t block = 0; code == KF_OK && block < key_size / size; block++) {
        code = an10922_column(cipher, (uint8_t)(first_constant + block), inputs, count, &group);
        for (size_t i = 0; code == KF_OK && i < count; i++)
            memcpy(ret_keys + i * key_size + block * size, group.macs + i * size, size);
    }
    kf_wipe(&group, sizeof group);
    return code;
}

static kf_code derive_an10922_aes128(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    return an10922_blocks(cipher, 0x01, input, ret_key);
}

static kf_code derive_many_an10922_aes128(kf_cipher *cipher, const kf_view *inputs, size_t count,
                                          uint8_t *ret_keys)
{
    return an10922_many(cipher, 0x01, inputs, count, ret_keys);
}

/* AN10922 2, AES-192: the two values overlap by eight bytes, which are XORed. */
static kf_code derive_an10922_aes192(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    KF_CLEANUP(kf_wipe_block16) uint8_t left[KF_BLOCK_MAX];
    KF_CLEANUP(kf_wipe_block16) uint8_t right[KF_BLOCK_MAX];
    KF_TRY(an10922_cmac(cipher, 0x11, input, left));
    KF_TRY(an10922_cmac(cipher, 0x12, input, right));
    memcpy(ret_key, left, 8);
    for (size_t i = 0; i < 8; i++)
        ret_key[8 + i] = (uint8_t)(left[8 + i] ^ right[i]);
    memcpy(ret_key + 16, right + 8, 8);
    return KF_OK;
}

static kf_code derive_an10922_aes256(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    return an10922_blocks(cipher, 0x41, input, ret_key);
}

static kf_code derive_many_an10922_aes256(kf_cipher *cipher, const kf_view *inputs, size_t count,
                                          uint8_t *ret_keys)
{
    return an10922_many(cipher, 0x41, inputs, count, ret_keys);
}

static kf_code derive_an10922_2tdea(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    return an10922_blocks(cipher, 0x21, input, ret_key);
}

static kf_code derive_many_an10922_2tdea(kf_cipher *cipher, const kf_view *inputs, size_t count,
                                         uint8_t *ret_keys)
{
    return an10922_many(cipher, 0x21, inputs, count, ret_keys);
}

static kf_code derive_an10922_3tdea(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    return an10922_blocks(cipher, 0x31, input, ret_key);
}

static kf_code derive_many_an10922_3tdea(kf_cipher *cipher, const kf_view *inputs, size_t count,
                                         uint8_t *ret_keys)
{
    return an10922_many(cipher, 0x31, inputs, count, ret_keys);
}

/* factor || ~factor */
static void spread_factor(const uint8_t *factor, uint8_t ret_block[2 * FACTOR_SIZE])
{
    for (size_t i = 0; i < FACTOR_SIZE; i++) {
        ret_block[i] = factor[i];
        ret_block[FACTOR_SIZE + i] = (uint8_t)~factor[i];
    }
}

/* Two blocks under 3DES (JR/T 0025.7), one under SM4 (JR/T 0025.17). */
static kf_code derive_pboc(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    uint8_t block[2 * FACTOR_SIZE];
    spread_factor(input.data, block);
    return kf_cipher_encrypt_blocks(cipher, KF_VIEW(block), ret_key);
}

static kf_code derive_emv(kf_cipher *cipher, const uint8_t digits[FACTOR_SIZE], uint8_t *ret_key)
{
    KF_TRY(derive_pboc(cipher, kf_view_of(digits, FACTOR_SIZE), ret_key));
    kf_set_odd_parity(ret_key, 2 * FACTOR_SIZE);
    return KF_OK;
}

void kf_emv_option_a_factor(kf_view input, uint8_t ret_factor[KF_EMV_FACTOR_SIZE])
{
    size_t used = input.size < FACTOR_SIZE ? input.size : FACTOR_SIZE;
    memset(ret_factor, 0, FACTOR_SIZE);
    memcpy(ret_factor + FACTOR_SIZE - used, input.data + input.size - used, used);
}

static kf_code derive_emv_option_a(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    uint8_t digits[FACTOR_SIZE];
    kf_emv_option_a_factor(input, digits);
    return derive_emv(cipher, digits, ret_key);
}

/* A1.4.2 steps 2 and 3: the first 16 decimal digits of the hash; where they do not suffice, its other digits
 * from the left, A as 0 to F as 5. */
static void decimalise(const uint8_t hash[KF_SHA1_SIZE], uint8_t ret_digits[FACTOR_SIZE])
{
    uint8_t digits[2 * FACTOR_SIZE] = {0};
    size_t count = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < 2 * KF_SHA1_SIZE && count < sizeof digits; i++) {
            unsigned nibble = (unsigned)hash[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15U;
            if ((nibble >= 10) == (pass == 1)) digits[count++] = (uint8_t)(nibble % 10);
        }
    }
    for (size_t i = 0; i < FACTOR_SIZE; i++)
        ret_digits[i] = (uint8_t)(digits[2 * i] << 4 | digits[2 * i + 1]);
}

kf_code kf_emv_option_b_factor(kf_view input, uint8_t ret_factor[KF_EMV_FACTOR_SIZE])
{
    if (input.size <= FACTOR_SIZE + 1) {
        kf_emv_option_a_factor(input, ret_factor);
        return KF_OK;
    }
    uint8_t hash[KF_SHA1_SIZE];
    KF_TRY(kf_sha1_of_emv_option_b(input, hash));
    decimalise(hash, ret_factor);
    return KF_OK;
}

static kf_code derive_emv_option_b(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    uint8_t digits[FACTOR_SIZE];
    KF_TRY(kf_emv_option_b_factor(input, digits));
    return derive_emv(cipher, digits, ret_key);
}

/* A1.4.3: E(Y), and E(~Y) behind it for keys longer than a block. */
static kf_code derive_emv_option_c(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    KF_CLEANUP(kf_wipe_block32) uint8_t blocks[2 * KF_BLOCK_MAX] = {0};
    memcpy(blocks + KF_BLOCK_MAX - input.size, input.data, input.size);
    for (size_t i = 0; i < KF_BLOCK_MAX; i++)
        blocks[KF_BLOCK_MAX + i] = (uint8_t)~blocks[i];
    KF_TRY(kf_cipher_encrypt_blocks(cipher, KF_VIEW(blocks), blocks));
    memcpy(ret_key, blocks, kf_cipher_key_size(cipher));
    return KF_OK;
}

/* part || F0 || role || part || 0F || role, `part` being six bytes. */
static kf_code derive_key_set(kf_cipher *cipher, const uint8_t part[6], uint8_t role, uint8_t *ret_key)
{
    uint8_t block[16];
    memcpy(block, part, 6);
    memcpy(block + 8, part, 6);
    block[6] = 0xF0;
    block[14] = 0x0F;
    block[7] = role;
    block[15] = role;
    return kf_cipher_encrypt_blocks(cipher, KF_VIEW(block), ret_key);
}

static kf_code derive_visa2(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    uint8_t part[6];
    memcpy(part, input.data, 2);
    memcpy(part + 2, input.data + 4, 4);
    return derive_key_set(cipher, part, input.data[DIVERSIFICATION_DATA_SIZE], ret_key);
}

static kf_code derive_emv_cps(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    return derive_key_set(cipher, input.data + 4, input.data[DIVERSIFICATION_DATA_SIZE], ret_key);
}

static kf_code derive_kdf3(kf_cipher *cipher, kf_view input, uint8_t *ret_key)
{
    uint8_t fixed[5 + DIVERSIFICATION_DATA_SIZE] = {0, 0, 0, input.data[DIVERSIFICATION_DATA_SIZE], 0};
    memcpy(fixed + 5, input.data, DIVERSIFICATION_DATA_SIZE);
    kf_kdf_counter form = {KF_COUNTER_BEFORE_FIXED, 8, 0};
    return kf_kdf_counter_mode(cipher, form, KF_VIEW(fixed), ret_key, kf_cipher_key_size(cipher));
}

#define SET_INPUT (DIVERSIFICATION_DATA_SIZE + 1)

static const kf_diversification_method methods[] = {
    {"none", (kf_algorithm)0, 0, 0, 0, NULL, NULL},
    {"sp800-108-aes", KF_AES, 0, 1, KF_DIVERSIFICATION_INPUT_MAX, derive_sp800_108, NULL},
    {"sp800-108-sm4", KF_SM4, 16, 1, KF_DIVERSIFICATION_INPUT_MAX, derive_sp800_108, NULL},
    {"an10922-aes128", KF_AES, 16, 1, 31, derive_an10922_aes128, derive_many_an10922_aes128},
    {"an10922-aes192", KF_AES, 24, 1, 31, derive_an10922_aes192, NULL},
    {"an10922-aes256", KF_AES, 32, 1, 31, derive_an10922_aes256, derive_many_an10922_aes256},
    {"an10922-2tdea", KF_TDES, 16, 1, 15, derive_an10922_2tdea, derive_many_an10922_2tdea},
    {"an10922-3tdea", KF_TDES, 24, 1, 15, derive_an10922_3tdea, derive_many_an10922_3tdea},
    {"emv-option-a", KF_TDES, 16, 1, KF_DIVERSIFICATION_INPUT_MAX, derive_emv_option_a, NULL},
    {"emv-option-b", KF_TDES, 16, 1, KF_DIVERSIFICATION_INPUT_MAX, derive_emv_option_b, NULL},
    {"emv-option-c", KF_AES, 0, 1, KF_BLOCK_MAX, derive_emv_option_c, NULL},
    {"pboc-3des", KF_TDES, 16, FACTOR_SIZE, FACTOR_SIZE, derive_pboc, NULL},
    {"pboc-sm4", KF_SM4, 16, FACTOR_SIZE, FACTOR_SIZE, derive_pboc, NULL},
    {"visa2", KF_TDES, 16, SET_INPUT, SET_INPUT, derive_visa2, NULL},
    {"emv-cps", KF_TDES, 16, SET_INPUT, SET_INPUT, derive_emv_cps, NULL},
    {"kdf3", KF_AES, 0, SET_INPUT, SET_INPUT, derive_kdf3, NULL},
};

const kf_diversification_method *kf_diversification_method_find(kf_view name)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (kf_view_equal(name, kf_view_of_text(methods[i].name))) return &methods[i];
    return NULL;
}
