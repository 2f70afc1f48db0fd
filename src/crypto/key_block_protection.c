#include <string.h>

#include "crypto/key_block_parts.h"

#include <keyfill/hex.h>
#include <keyfill/kdf.h>

#define VARIANT_ENCRYPTION 0x45 /* "E" */
#define VARIANT_MAC 0x4D        /* "M" */

#define USAGE_ENCRYPTION_CBC 0x0000
#define USAGE_MAC 0x0001
#define USAGE_ENCRYPTION_CTR 0x0002 /* ISO 20038:2017 6.3 table 1 */

static const kf_key_block_format formats[] = {
    {'A', KF_TDES, 8, 8, 4, false, false, false}, {'B', KF_TDES, 8, 8, 8, true, false, true},
    {'C', KF_TDES, 8, 8, 4, false, false, true},  {'D', KF_AES, 16, 16, 16, true, false, true},
    {'E', KF_AES, 1, 1, 16, true, true, true},
};

const kf_key_block_format *kf_key_block_format_of(char version)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].version == version) return &formats[i];
    return NULL;
}

static kf_code make_variant(const kf_secret *protection_key, uint8_t variant, kf_secret **ret_key)
{
    kf_secret *key = NULL;
    KF_TRY(kf_secret_copy(protection_key, &key));
    uint8_t *bytes = kf_secret_expose_writable(key);
    for (size_t i = 0; i < kf_secret_size(key); i++)
        bytes[i] = (uint8_t)(bytes[i] ^ variant);
    *ret_key = key;
    return KF_OK;
}

/* The number by which X9.143 7.2.2 table 2 names an algorithm in the derivation data. */
static uint8_t algorithm_number(kf_algorithm algorithm, size_t key_size)
{
    if (algorithm == KF_TDES) return key_size == 16 ? 0 : 1;
    return (uint8_t)(key_size / 8);
}

static kf_code derive_key(kf_cipher *prf, uint8_t usage, kf_secret **ret_key)
{
    size_t size = kf_cipher_key_size(prf);
    size_t bits = size * 8;
    const uint8_t fixed[] = {0,
                             usage,
                             0,
                             0,
                             algorithm_number(kf_cipher_algorithm(prf), size),
                             (uint8_t)(bits >> 8),
                             (uint8_t)bits};
    kf_secret *key = NULL;
    KF_TRY(kf_secret_new_zero(size, &key));
    kf_code code = kf_kdf_counter_mode(prf, (kf_kdf_counter){KF_COUNTER_BEFORE_FIXED, 8, 0}, KF_VIEW(fixed),
                                       kf_secret_expose_writable(key), size);
    if (code != KF_OK) {
        kf_secret_free(&key);
        return code;
    }
    *ret_key = key;
    return KF_OK;
}

kf_code kf_key_block_keys_derive(const kf_key_block_format *format, const kf_secret *protection_key,
                                 kf_key_block_keys *ret_keys)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *prf = NULL;
    KF_TRY(kf_cipher_new_secret(format->algorithm, protection_key, &prf));
    kf_key_block_keys keys = {NULL, NULL};
    kf_code code;
    if (format->derived) {
        code = derive_key(prf, format->counter_mode ? USAGE_ENCRYPTION_CTR : USAGE_ENCRYPTION_CBC,
                          &keys.encryption);
        if (code == KF_OK) code = derive_key(prf, USAGE_MAC, &keys.mac);
    } else {
        code = make_variant(protection_key, VARIANT_ENCRYPTION, &keys.encryption);
        if (code == KF_OK) code = make_variant(protection_key, VARIANT_MAC, &keys.mac);
    }
    if (code != KF_OK) {
        kf_key_block_keys_free(&keys);
        return code;
    }
    *ret_keys = keys;
    return KF_OK;
}

void kf_key_block_keys_free(kf_key_block_keys *keys)
{
    kf_secret_free(&keys->encryption);
    kf_secret_free(&keys->mac);
}

typedef struct block_ciphers {
    kf_cipher *encryption;
    kf_cipher *mac;
} block_ciphers;

static void free_ciphers(block_ciphers *ciphers)
{
    kf_cipher_free(&ciphers->encryption);
    kf_cipher_free(&ciphers->mac);
}

/* What stands in `ret_ciphers` after a failure is the caller's to free too. */
static kf_code make_ciphers(const kf_key_block_format *format, const kf_secret *protection_key,
                            block_ciphers *ret_ciphers)
{
    KF_CLEANUP(kf_key_block_keys_free) kf_key_block_keys keys = {NULL, NULL};
    KF_TRY(kf_key_block_keys_derive(format, protection_key, &keys));
    KF_TRY(kf_cipher_new_secret(format->algorithm, keys.encryption, &ret_ciphers->encryption));
    return kf_cipher_new_secret(format->algorithm, keys.mac, &ret_ciphers->mac);
}

/* CBC-MAC over header and ciphertext, both whole blocks (X9.143 7.3.1). */
static kf_code variant_mac(kf_cipher *cipher, kf_view header, kf_view ciphertext, uint8_t *ret_mac)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    kf_buffer_append(&message, header);
    kf_buffer_append(&message, ciphertext);
    KF_TRY(kf_buffer_status(&message));
    size_t size = kf_cipher_block_size(cipher);
    KF_TRY(kf_cipher_cbc_encrypt(cipher, NULL, kf_buffer_view(&message), message.data));
    memcpy(ret_mac, message.data + message.size - size, size);
    return KF_OK;
}

static void count_up(uint8_t counter[KF_BLOCK_MAX])
{
    for (size_t i = KF_BLOCK_MAX; i > 0; i--)
        if (++counter[i - 1] != 0) return;
}

/* CTR over AES with the MAC as the first counter block (ISO 20038:2017 6.4). */
static kf_code apply_counter_mode(kf_cipher *cipher, const uint8_t *first_counter, kf_view input,
                                  uint8_t *ret_output)
{
    uint8_t counter[KF_BLOCK_MAX];
    KF_CLEANUP(kf_wipe_block16) uint8_t stream[KF_BLOCK_MAX];
    memcpy(counter, first_counter, sizeof counter);
    for (size_t offset = 0; offset < input.size; offset += sizeof stream) {
        KF_TRY(kf_cipher_encrypt_blocks(cipher, KF_VIEW(counter), stream));
        kf_view part = kf_view_part(input, offset, sizeof stream);
        for (size_t i = 0; i < part.size; i++)
            ret_output[offset + i] = (uint8_t)(part.data[i] ^ stream[i]);
        count_up(counter);
    }
    return KF_OK;
}

static kf_code mac_of_plain(kf_cipher *cipher, kf_view header, kf_view key_field, uint8_t *ret_mac)
{
    const kf_view parts[] = {header, key_field};
    return kf_cmac_parts(cipher, parts, 2, ret_mac);
}

kf_code kf_key_block_protect(const kf_key_block_format *format, const kf_secret *protection_key,
                             kf_view header, kf_view key_field, kf_buffer *text)
{
    if (header.size < KF_KEY_BLOCK_FIXED_HEADER || header.size % format->header_unit != 0 ||
        key_field.size % format->key_unit != 0)
        return KF_ERR_ARGUMENT;
    KF_CLEANUP(free_ciphers) block_ciphers ciphers = {NULL, NULL};
    KF_TRY(make_ciphers(format, protection_key, &ciphers));
    KF_CLEANUP(kf_buffer_clear) kf_buffer ciphertext = KF_BUFFER_INIT;
    uint8_t mac[KF_BLOCK_MAX];
    kf_buffer_append(&ciphertext, key_field);
    KF_TRY(kf_buffer_status(&ciphertext));
    kf_view field = kf_buffer_view(&ciphertext);
    if (format->derived) {
        KF_TRY(mac_of_plain(ciphers.mac, header, field, mac));
        if (format->counter_mode)
            KF_TRY(apply_counter_mode(ciphers.encryption, mac, field, ciphertext.data));
        else
            KF_TRY(kf_cipher_cbc_encrypt(ciphers.encryption, mac, field, ciphertext.data));
    } else {
        KF_TRY(kf_cipher_cbc_encrypt(ciphers.encryption, header.data, field, ciphertext.data));
        KF_TRY(variant_mac(ciphers.mac, header, field, mac));
    }
    kf_buffer_append(text, header);
    kf_buffer_append_hex(text, field);
    kf_buffer_append_hex(text, kf_view_of(mac, format->mac_size));
    return kf_buffer_status(text);
}

/* Upper-case digits only: otherwise two texts would be one block. */
static kf_code decode_upper_hex(kf_view digits, kf_buffer *bytes)
{
    for (size_t i = 0; i < digits.size; i++)
        if (digits.data[i] >= 'a') return KF_ERR_KEY_BLOCK;
    KF_CLEANUP(kf_free_pointer) char *text = kf_text_of_view(digits);
    if (text == NULL) return KF_ERR_MEMORY;
    kf_code code = kf_hex_decode_append(text, bytes);
    return code == KF_ERR_HEX ? KF_ERR_KEY_BLOCK : code;
}

static kf_code open_derived(const kf_key_block_format *format, const block_ciphers *ciphers, kf_view header,
                            kf_view given_mac, kf_buffer *field)
{
    uint8_t mac[KF_BLOCK_MAX];
    kf_view content = kf_buffer_view(field);
    if (format->counter_mode)
        KF_TRY(apply_counter_mode(ciphers->encryption, given_mac.data, content, field->data));
    else
        KF_TRY(kf_cipher_cbc_decrypt(ciphers->encryption, given_mac.data, content, field->data));
    KF_TRY(mac_of_plain(ciphers->mac, header, content, mac));
    return kf_equal_constant_time(mac, given_mac.data, given_mac.size) ? KF_OK : KF_ERR_AUTHENTICATION;
}

static kf_code open_variant(const block_ciphers *ciphers, kf_view header, kf_view given_mac, kf_buffer *field)
{
    uint8_t mac[KF_BLOCK_MAX];
    kf_view content = kf_buffer_view(field);
    KF_TRY(variant_mac(ciphers->mac, header, content, mac));
    if (!kf_equal_constant_time(mac, given_mac.data, given_mac.size)) return KF_ERR_AUTHENTICATION;
    return kf_cipher_cbc_decrypt(ciphers->encryption, header.data, content, field->data);
}

kf_code kf_key_block_unprotect(const kf_key_block_format *format, const kf_secret *protection_key,
                               kf_view header, kf_view rest, kf_buffer *key_field)
{
    size_t mac_digits = 2 * format->mac_size;
    if (header.size < KF_KEY_BLOCK_FIXED_HEADER || header.size % format->header_unit != 0 ||
        rest.size < mac_digits || (rest.size - mac_digits) % (2 * format->key_unit) != 0)
        return KF_ERR_KEY_BLOCK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer field = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer mac = KF_BUFFER_INIT;
    KF_TRY(decode_upper_hex(kf_view_part(rest, 0, rest.size - mac_digits), &field));
    KF_TRY(decode_upper_hex(kf_view_part(rest, rest.size - mac_digits, mac_digits), &mac));
    KF_CLEANUP(free_ciphers) block_ciphers ciphers = {NULL, NULL};
    KF_TRY(make_ciphers(format, protection_key, &ciphers));
    if (format->derived)
        KF_TRY(open_derived(format, &ciphers, header, kf_buffer_view(&mac), &field));
    else
        KF_TRY(open_variant(&ciphers, header, kf_buffer_view(&mac), &field));
    kf_buffer_append(key_field, kf_buffer_view(&field));
    return kf_buffer_status(key_field);
}
