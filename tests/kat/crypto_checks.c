/* Checkers of ciphers, MACs, hashes and key check values, and the table of all cryptographic families. */
#include "crypto_checks.h"

#include <stdio.h>
#include <string.h>

#include "crypto/digest.h"

#include <keyfill/kcv.h>
#include <keyfill/mac.h>

kf_cipher *kat_need_cipher(kat_report *report, const json_t *entry, const char *member,
                           kf_algorithm algorithm)
{
    KF_CLEANUP(kf_secret_free) kf_secret *key = kat_need_secret(report, entry, member);
    kf_cipher *cipher = NULL;
    if (key != NULL) kat_ok(report, kf_cipher_new_secret(algorithm, key, &cipher), "kf_cipher_new_secret");
    return cipher;
}

/* One block that the chain begins with; zeros where the entry has none. */
static bool read_vector(kat_report *report, const json_t *entry, size_t block_size,
                        uint8_t ret_vector[KF_BLOCK_MAX])
{
    memset(ret_vector, 0, KF_BLOCK_MAX);
    if (!kat_has(entry, "iv")) return true;
    return kat_ok(report, kf_hex_decode(kat_need_text(report, entry, "iv"), ret_vector, block_size), "iv");
}

/* The MAC as it is published: whole, or its leftmost bytes; as many as mac_length says where it does. */
static void expect_mac(kat_report *report, const json_t *entry, kf_view mac)
{
    long long length = kat_number_or(entry, "mac_length", 0);
    if (length < 0 || (size_t)length > mac.size)
        kat_fault(report, "mac_length %lld does not fit the cipher", length);
    else if (length > 0)
        kat_expect_hex(report, entry, "mac", kf_view_part(mac, 0, (size_t)length));
    else
        kat_expect_hex_prefix(report, entry, "mac", mac);
}

static void check_many(kat_report *report, const json_t *entry, kf_cipher *cipher, kf_view message)
{
    enum { COUNT = 3 };
    KF_CLEANUP(kf_buffer_clear) kf_buffer messages = KF_BUFFER_INIT;
    for (size_t i = 0; i < COUNT; i++)
        kf_buffer_append(&messages, message);
    uint8_t macs[COUNT * KF_BLOCK_MAX];
    size_t size = kf_cipher_block_size(cipher);
    if (!kat_ok(report, kf_cmac_many(cipher, messages.data, message.size, COUNT, macs), "kf_cmac_many"))
        return;
    for (size_t i = 0; i < COUNT; i++)
        kat_expect_hex_prefix(report, entry, "mac", kf_view_of(macs + i * size, size));
}

static void check_subkeys(kat_report *report, const json_t *entry, kf_cipher *cipher)
{
    uint8_t zero[KF_BLOCK_MAX] = {0};
    uint8_t subkeys[2][KF_BLOCK_MAX];
    size_t size = kf_cipher_block_size(cipher);
    if (!kat_ok(report, kf_cipher_encrypt_blocks(cipher, kf_view_of(zero, size), zero), "L")) return;
    if (!kat_ok(report, kf_cmac_subkeys(cipher, subkeys[0], subkeys[1]), "kf_cmac_subkeys")) return;
    kat_expect_hex(report, entry, "L", kf_view_of(zero, size));
    kat_expect_hex(report, entry, "K1", kf_view_of(subkeys[0], size));
    kat_expect_hex(report, entry, "K2", kf_view_of(subkeys[1], size));
}

static void check_cmac(const json_t *entry, kat_report *report, kf_algorithm algorithm)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = kat_need_cipher(report, entry, "key", algorithm);
    if (cipher == NULL) return;
    check_subkeys(report, entry, cipher);
    if (!kat_has(entry, "message")) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    if (!kat_need_hex(report, entry, "message", &message)) return;
    uint8_t mac[KF_BLOCK_MAX];
    if (!kat_ok(report, kf_cmac(cipher, kf_buffer_view(&message), mac), "kf_cmac")) return;
    expect_mac(report, entry, kf_view_of(mac, kf_cipher_block_size(cipher)));
    check_many(report, entry, cipher, kf_buffer_view(&message));
}

static void check_aes_cmac(const json_t *entry, kat_report *report)
{
    check_cmac(entry, report, KF_AES);
}

/* 2TDEA: K3 = K1, whether it is written out or not. */
static void check_key_kind(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_secret_free) kf_secret *key = kat_need_secret(report, entry, "key");
    if (key == NULL || !kat_has(entry, "key_kind")) return;
    kf_view bytes = kf_secret_expose(key);
    bool three = bytes.size == 24 && memcmp(bytes.data, bytes.data + 16, 8) != 0;
    if (strcmp(kat_need_text(report, entry, "key_kind"), three ? "3TDEA" : "2TDEA") != 0)
        kat_fault(report, "the key is of another kind");
}

static void check_tdes_cmac(const json_t *entry, kat_report *report)
{
    check_key_kind(entry, report);
    check_cmac(entry, report, KF_TDES);
}

static void check_sm4_cmac(const json_t *entry, kat_report *report)
{
    check_cmac(entry, report, KF_SM4);
}

static void check_sm4_blocks(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = kat_need_cipher(report, entry, "key", KF_SM4);
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer vector = KF_BUFFER_INIT;
    if (cipher == NULL || !kat_need_hex(report, entry, "plaintext", &plain)) return;
    bool cbc = kat_has(entry, "iv");
    if (cbc && (!kat_need_hex(report, entry, "iv", &vector) || vector.size != KF_BLOCK_MAX)) {
        kat_fault(report, "the initial vector is not one block");
        return;
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer changed = KF_BUFFER_INIT;
    kf_buffer_append(&changed, kf_buffer_view(&plain));
    kf_view text = kf_buffer_view(&changed);
    long long times = kat_number_or(entry, "iterations", 1); /* GB/T 32907 example 2: a million */
    kf_code code = KF_OK;
    for (long long i = 0; code == KF_OK && i < times; i++)
        code = cbc ? kf_cipher_cbc_encrypt(cipher, vector.data, text, changed.data)
                   : kf_cipher_encrypt_blocks(cipher, text, changed.data);
    if (!kat_ok(report, code, "encryption")) return;
    kat_expect_hex(report, entry, "ciphertext", text);
    for (long long i = 0; code == KF_OK && i < times; i++)
        code = cbc ? kf_cipher_cbc_decrypt(cipher, vector.data, text, changed.data)
                   : kf_cipher_decrypt_blocks(cipher, text, changed.data);
    if (kat_ok(report, code, "decryption")) kat_compare(report, "decrypted", kf_buffer_view(&plain), text);
}

/* "method 2", "iso9797-m2 (PBOC: ...)", "ISO 9797-1 padding method 2": the digit behind "method " or "-m". */
static bool read_padding(kat_report *report, const json_t *entry, kf_mac_padding *ret_padding)
{
    const char *text = kat_need_text(report, entry, "padding");
    const char *method = strcasestr(text, "method ");
    const char *letter = strcasestr(text, "-m");
    const char *digit = method != NULL ? method + strlen("method ") : letter != NULL ? letter + 2 : NULL;
    if (digit == NULL || *digit < '1' || *digit > '3') {
        kat_fault(report, "unknown padding: %s", text);
        return false;
    }
    *ret_padding = (kf_mac_padding)(*digit - '0');
    return true;
}

static int algorithm_number(const char *text)
{
    const char *word = strcasestr(text, "algorithm ");
    return word != NULL ? word[strlen("algorithm ")] - '0' : 0;
}

static void check_sm4_cbc_mac(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = kat_need_cipher(report, entry, "key", KF_SM4);
    KF_CLEANUP(kf_cipher_free) kf_cipher *last = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    kf_mac_padding padding = KF_PADDING_1;
    uint8_t vector[KF_BLOCK_MAX];
    int number = algorithm_number(kat_need_text(report, entry, "algorithm"));
    if (cipher == NULL || !read_padding(report, entry, &padding) ||
        !kat_need_hex(report, entry, "message", &message) ||
        !read_vector(report, entry, KF_BLOCK_MAX, vector))
        return;
    if (number > 1 && (last = kat_need_cipher(report, entry, "key2", KF_SM4)) == NULL) return;
    uint8_t mac[KF_BLOCK_MAX];
    kf_view text = kf_buffer_view(&message);
    kf_code code = KF_ERR_UNSUPPORTED;
    if (number == 1) code = kf_mac_cbc(cipher, padding, vector, text, mac);
    if (number == 2) code = kf_mac_encrypted_cbc(cipher, last, padding, text, mac);
    if (number == 3) code = kf_mac_retail((kf_mac_pair){cipher, last}, padding, vector, text, mac);
    if (kat_ok(report, code, "MAC")) expect_mac(report, entry, KF_VIEW(mac));
}

static void check_tdes_cbc_mac(const json_t *entry, kat_report *report)
{
    kf_algorithm algorithm = strlen(kat_need_text(report, entry, "key")) == 16 ? KF_DES : KF_TDES;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = kat_need_cipher(report, entry, "key", algorithm);
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    kf_mac_padding padding = KF_PADDING_1;
    uint8_t vector[KF_BLOCK_MAX];
    uint8_t mac[8];
    if (cipher == NULL || !read_padding(report, entry, &padding) ||
        !kat_need_hex(report, entry, "message", &message) || !read_vector(report, entry, 8, vector))
        return;
    if (kat_ok(report, kf_mac_cbc(cipher, padding, vector, kf_buffer_view(&message), mac), "kf_mac_cbc"))
        expect_mac(report, entry, KF_VIEW(mac));
}

/* One key of 16 bytes, or two keys `key1` and `key2`, of which those of 16 bytes are 3DES keys. */
static bool read_retail_pair(const json_t *entry, kat_report *report, kf_mac_pair *ret_pair)
{
    if (!kat_has(entry, "key1")) {
        KF_CLEANUP(kf_secret_free) kf_secret *key = kat_need_secret(report, entry, "key");
        return key != NULL && kat_ok(report, kf_mac_retail_pair(kf_secret_expose(key), ret_pair), "key");
    }
    kf_algorithm algorithm = strlen(kat_need_text(report, entry, "key1")) == 16 ? KF_DES : KF_TDES;
    ret_pair->chain = kat_need_cipher(report, entry, "key1", algorithm);
    ret_pair->last = kat_need_cipher(report, entry, "key2", algorithm);
    return ret_pair->chain != NULL && ret_pair->last != NULL;
}

static void check_retail_mac(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_mac_pair_free) kf_mac_pair pair = {NULL, NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    uint8_t vector[KF_BLOCK_MAX];
    uint8_t mac[8];
    kf_mac_padding padding = KF_PADDING_1;
    if (!read_retail_pair(entry, report, &pair) || !read_padding(report, entry, &padding) ||
        !kat_need_hex(report, entry, "message", &message) || !read_vector(report, entry, 8, vector))
        return;
    kf_code code = kf_mac_retail(pair, padding, vector, kf_buffer_view(&message), mac);
    if (kat_ok(report, code, "kf_mac_retail")) expect_mac(report, entry, KF_VIEW(mac));
}

static void check_sm3(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    uint8_t digest[KF_DIGEST_SIZE];
    if (!kat_need_hex(report, entry, "message", &message)) return;
    if (kat_ok(report, kf_sm3(kf_buffer_view(&message), digest), "kf_sm3"))
        kat_expect_hex(report, entry, "digest", KF_VIEW(digest));
}

/* "enc(01*16)[:3]", "enc(00*8)[:3]", "cmac(00*16)[:5]": how, the byte that fills the block, how much of it.
 */
typedef struct kcv_method {
    bool cmac;
    uint8_t fill;
    size_t block_size;
    size_t shown;
} kcv_method;

static bool read_kcv_method(kat_report *report, const char *text, kcv_method *ret_method)
{
    char how[8] = "";
    unsigned fill = 0;
    unsigned block_size = 0;
    unsigned shown = KF_KCV_SIZE;
    if (sscanf(text, "%7[a-zA-Z](%2x*%u)[:%u]", how, &fill, &block_size, &shown) < 3 ||
        (strcasecmp(how, "enc") != 0 && strcasecmp(how, "cmac") != 0) ||
        (block_size != 8 && block_size != KF_BLOCK_MAX) || shown == 0 || shown > block_size) {
        kat_fault(report, "unknown method: %s", text);
        return false;
    }
    *ret_method = (kcv_method){strcasecmp(how, "cmac") == 0, (uint8_t)fill, block_size, shown};
    return true;
}

static bool read_kcv_algorithm(kat_report *report, const json_t *entry, kf_algorithm *ret_algorithm)
{
    const char *name = kat_need_text(report, entry, "algorithm");
    if (strcasestr(name, "aes") != NULL)
        *ret_algorithm = KF_AES;
    else if (strcasestr(name, "sm4") != NULL)
        *ret_algorithm = KF_SM4;
    else if (strcasestr(name, "des") != NULL || strcasestr(name, "tdea") != NULL)
        *ret_algorithm = strlen(kat_need_text(report, entry, "key")) == 16 ? KF_DES : KF_TDES;
    else {
        kat_fault(report, "unknown algorithm: %s", name);
        return false;
    }
    return true;
}

/* The library's own form, where the method is one and shows three bytes. */
static void check_kcv_form(const json_t *entry, kat_report *report, kf_algorithm algorithm,
                           const kcv_method *method)
{
    const uint8_t usual = algorithm == KF_AES ? 1 : 0;
    KF_CLEANUP(kf_secret_free) kf_secret *key = kat_need_secret(report, entry, "key");
    if (key == NULL || method->shown != KF_KCV_SIZE) return;
    const struct {
        kf_kcv_form form;
        bool applies;
    } forms[] = {{KF_KCV_GLOBALPLATFORM, !method->cmac && method->fill == usual},
                 {KF_KCV_ZEROS, !method->cmac && method->fill == 0},
                 {KF_KCV_CMAC, method->cmac && method->fill == 0}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        kf_kcv kcv;
        if (forms[i].applies &&
            kat_ok(report, kf_kcv_compute(algorithm, key, forms[i].form, &kcv), "kf_kcv_compute"))
            kat_expect_text(report, entry, "kcv", kf_kcv_show(kcv).text);
    }
}

static void check_kcv(const json_t *entry, kat_report *report)
{
    kf_algorithm algorithm = KF_AES;
    kcv_method method = {0};
    if (!read_kcv_algorithm(report, entry, &algorithm) ||
        !read_kcv_method(report, kat_need_text(report, entry, "method"), &method))
        return;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = kat_need_cipher(report, entry, "key", algorithm);
    if (cipher == NULL) return;
    if (kf_cipher_block_size(cipher) != method.block_size) {
        kat_fault(report, "the cipher has blocks of %zu bytes", kf_cipher_block_size(cipher));
        return;
    }
    uint8_t block[KF_BLOCK_MAX];
    memset(block, method.fill, sizeof block);
    kf_view input = kf_view_of(block, method.block_size);
    kf_code code =
        method.cmac ? kf_cmac(cipher, input, block) : kf_cipher_encrypt_blocks(cipher, input, block);
    if (!kat_ok(report, code, "block")) return;
    kat_expect_hex(report, entry, "block", input);
    kat_expect_hex(report, entry, "kcv", kf_view_part(input, 0, method.shown));
    check_kcv_form(entry, report, algorithm, &method);
}

const kat_family kat_crypto_families[] = {
    {"aes_cmac", check_aes_cmac},
    {"tdes_cmac", check_tdes_cmac},
    {"sm4_cmac", check_sm4_cmac},
    {"sm4_ecb", check_sm4_blocks},
    {"sm4_cbc", check_sm4_blocks},
    {"sm4_cbc_mac", check_sm4_cbc_mac},
    {"tdes_cbc_mac", check_tdes_cbc_mac},
    {"retail_mac", check_retail_mac},
    {"sm3", check_sm3},
    {"kcv", check_kcv},
    {"sp800_108_ctr_cmac", kat_check_counter_mode},
    {"an10922", kat_check_an10922},
    {"gp_diversify_des", kat_check_gp_des},
    {"gp_diversify_kdf3", kat_check_gp_kdf3},
    {"pboc_diversify_des", kat_check_pboc_des},
    {"pboc_diversify_sm4", kat_check_pboc_sm4},
    {"emv_ac", kat_check_emv_cryptogram},
    {"emv_script", kat_check_emv_script},
    {"tr31", kat_check_key_block},
    {"tr31_kdf", kat_check_key_block_keys},
    {NULL, NULL},
};
