#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/cmac.h"

#include <keyfill/cipher.h>

static const uint8_t sample_key[32] = {0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87, 0x98, 0xA9, 0xBA,
                                       0xCB, 0xDC, 0xED, 0xFE, 0x0F, 0x1F, 0x2E, 0x3D, 0x4C, 0x5B, 0x6A,
                                       0x79, 0x88, 0x97, 0xA6, 0xB5, 0xC4, 0xD3, 0xE2, 0xF1, 0x00};

typedef struct kind {
    kf_algorithm algorithm;
    size_t key_size;
    size_t block_size;
} kind;

static const kind kinds[] = {{KF_AES, 16, 16}, {KF_AES, 24, 16}, {KF_AES, 32, 16}, {KF_TDES, 16, 8},
                             {KF_TDES, 24, 8}, {KF_SM4, 16, 16}, {KF_DES, 8, 8}};
#define KINDS (sizeof kinds / sizeof kinds[0])

static kf_cipher *make(kind wanted)
{
    kf_cipher *cipher = NULL;
    assert_int_equal(kf_cipher_new(wanted.algorithm, kf_view_of(sample_key, wanted.key_size), &cipher),
                     KF_OK);
    assert_non_null(cipher);
    return cipher;
}

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
}

static void a_cipher_tells_its_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        kf_cipher *cipher = make(kinds[i]);
        assert_int_equal(kf_cipher_algorithm(cipher), kinds[i].algorithm);
        assert_int_equal(kf_cipher_block_size(cipher), kinds[i].block_size);
        assert_int_equal(kf_cipher_key_size(cipher), kinds[i].key_size);
        kf_cipher_free(&cipher);
        assert_null(cipher);
    }
    kf_cipher_free(NULL);
}

static void a_key_of_another_size_is_refused(void **state)
{
    (void)state;
    static const struct {
        kf_algorithm algorithm;
        size_t size;
    } wrong[] = {{KF_AES, 0},  {KF_AES, 15}, {KF_AES, 17}, {KF_AES, 31}, {KF_TDES, 8},         {KF_TDES, 32},
                 {KF_SM4, 24}, {KF_SM4, 32}, {KF_DES, 16}, {KF_DES, 7},  {(kf_algorithm)9, 16}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kf_cipher *cipher = NULL;
        kf_view key = kf_view_of(sample_key, wrong[i].size);
        assert_int_equal(kf_cipher_new(wrong[i].algorithm, key, &cipher), KF_ERR_KEY_SIZE);
        assert_null(cipher);
    }
}

static void decryption_undoes_encryption_also_in_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        kf_cipher *cipher = make(kinds[i]);
        uint8_t plain[1600];
        uint8_t changed[1600];
        const uint8_t vector[KF_BLOCK_MAX] = {1, 2, 3};
        kf_view whole = KF_VIEW(changed);
        fill(plain, sizeof plain);
        memcpy(changed, plain, sizeof plain);
        assert_int_equal(kf_cipher_encrypt_blocks(cipher, whole, changed), KF_OK);
        assert_memory_not_equal(changed, plain, sizeof plain);
        assert_int_equal(kf_cipher_decrypt_blocks(cipher, whole, changed), KF_OK);
        assert_memory_equal(changed, plain, sizeof plain);
        assert_int_equal(kf_cipher_cbc_encrypt(cipher, vector, whole, changed), KF_OK);
        assert_memory_not_equal(changed, plain, sizeof plain);
        assert_int_equal(kf_cipher_cbc_decrypt(cipher, vector, whole, changed), KF_OK);
        assert_memory_equal(changed, plain, sizeof plain);
        kf_cipher_free(&cipher);
    }
}

static void a_missing_initial_vector_means_zeros(void **state)
{
    (void)state;
    kf_cipher *cipher = make(kinds[0]);
    const uint8_t zeros[KF_BLOCK_MAX] = {0};
    uint8_t plain[48];
    uint8_t left[48];
    uint8_t right[48];
    fill(plain, sizeof plain);
    assert_int_equal(kf_cipher_cbc_encrypt(cipher, NULL, KF_VIEW(plain), left), KF_OK);
    assert_int_equal(kf_cipher_cbc_encrypt(cipher, zeros, KF_VIEW(plain), right), KF_OK);
    assert_memory_equal(left, right, sizeof left);
    kf_cipher_free(&cipher);
}

static void broken_blocks_are_refused(void **state)
{
    (void)state;
    kf_cipher *cipher = make(kinds[0]);
    uint8_t bytes[32] = {0};
    kf_view broken = kf_view_of(bytes, 17);
    assert_int_equal(kf_cipher_encrypt_blocks(cipher, broken, bytes), KF_ERR_ARGUMENT);
    assert_int_equal(kf_cipher_decrypt_blocks(cipher, broken, bytes), KF_ERR_ARGUMENT);
    assert_int_equal(kf_cipher_cbc_encrypt(cipher, NULL, broken, bytes), KF_ERR_ARGUMENT);
    assert_int_equal(kf_cipher_cbc_decrypt(cipher, NULL, broken, bytes), KF_ERR_ARGUMENT);
    kf_view nothing = kf_view_of(NULL, 0);
    assert_int_equal(kf_cipher_encrypt_blocks(cipher, nothing, bytes), KF_OK);
    assert_int_equal(kf_cipher_cbc_decrypt(cipher, NULL, nothing, bytes), KF_OK);
    const uint8_t untouched[32] = {0};
    assert_memory_equal(bytes, untouched, sizeof bytes);
    kf_cipher_free(&cipher);
}

static void another_key_in_the_same_context_is_as_a_new_cipher(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        kf_cipher *cipher = make(kinds[i]);
        uint8_t other[32];
        uint8_t text[16];
        uint8_t wanted[3][16];
        uint8_t actual[3][16];
        fill(other, sizeof other);
        fill(text, sizeof text);
        kf_view blocks = kf_view_of(text, 16);
        kf_cipher *fresh = NULL;
        kf_view key = kf_view_of(other, kinds[i].key_size);
        assert_int_equal(kf_cipher_new(kinds[i].algorithm, key, &fresh), KF_OK);
        /* Use everything that is cached, then change the key. */
        assert_int_equal(kf_cipher_decrypt_blocks(cipher, blocks, actual[0]), KF_OK);
        assert_int_equal(kf_cmac(cipher, blocks, actual[1]), KF_OK);
        assert_int_equal(kf_cipher_rekey(cipher, key), KF_OK);
        kf_cipher *const both[] = {cipher, fresh};
        uint8_t(*const results[])[16] = {actual, wanted};
        memset(actual, 0, sizeof actual);
        memset(wanted, 0, sizeof wanted);
        for (size_t j = 0; j < 2; j++) {
            assert_int_equal(kf_cipher_encrypt_blocks(both[j], blocks, results[j][0]), KF_OK);
            assert_int_equal(kf_cipher_decrypt_blocks(both[j], blocks, results[j][1]), KF_OK);
            assert_int_equal(kf_cmac(both[j], blocks, results[j][2]), KF_OK);
        }
        assert_memory_equal(actual, wanted, sizeof actual);
        assert_int_equal(kf_cipher_rekey(cipher, kf_view_of(other, kinds[i].key_size - 1)), KF_ERR_KEY_SIZE);
        kf_cipher_free(&cipher);
        kf_cipher_free(&fresh);
    }
}

static void a_two_key_3des_key_is_k1_k2_k1(void **state)
{
    (void)state;
    uint8_t long_key[24];
    memcpy(long_key, sample_key, 16);
    memcpy(long_key + 16, sample_key, 8);
    kf_cipher *two = make((kind){KF_TDES, 16, 8});
    kf_cipher *three = NULL;
    uint8_t text[8] = {1};
    uint8_t left[8];
    uint8_t right[8];
    assert_int_equal(kf_cipher_new(KF_TDES, KF_VIEW(long_key), &three), KF_OK);
    assert_int_equal(kf_cipher_encrypt_blocks(two, KF_VIEW(text), left), KF_OK);
    assert_int_equal(kf_cipher_encrypt_blocks(three, KF_VIEW(text), right), KF_OK);
    assert_memory_equal(left, right, sizeof left);
    kf_cipher_free(&two);
    kf_cipher_free(&three);
}

static void the_cmac_of_parts_is_that_of_the_whole(void **state)
{
    (void)state;
    uint8_t message[70];
    fill(message, sizeof message);
    for (size_t i = 0; i < KINDS; i++) {
        kf_cipher *cipher = make(kinds[i]);
        for (size_t size = 0; size <= sizeof message; size++) {
            uint8_t whole[16] = {0};
            uint8_t parts[16] = {0};
            kf_view view = kf_view_of(message, size);
            kf_view pieces[] = {kf_view_part(view, 0, size / 3), kf_view_of(NULL, 0),
                                kf_view_part(view, size / 3, 1), kf_view_part(view, size / 3 + 1, size)};
            assert_int_equal(kf_cmac(cipher, view, whole), KF_OK);
            assert_int_equal(kf_cmac_parts(cipher, pieces, 4, parts), KF_OK);
            assert_memory_equal(whole, parts, kinds[i].block_size);
        }
        kf_cipher_free(&cipher);
    }
}

static void a_cmac_in_the_messages_place_is_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        kf_cipher *cipher = make(kinds[i]);
        for (size_t size = 0; size <= 300; size++) {
            uint8_t message[300 + KF_BLOCK_MAX + 1];
            uint8_t wanted[KF_BLOCK_MAX];
            uint8_t mac[KF_BLOCK_MAX];
            fill(message, sizeof message);
            size_t end = size + kinds[i].block_size;
            uint8_t behind = message[end];
            assert_int_equal(kf_cmac(cipher, kf_view_of(message, size), wanted), KF_OK);
            assert_int_equal(kf_cmac_overwriting(cipher, message, size, mac), KF_OK);
            assert_memory_equal(mac, wanted, kinds[i].block_size);
            assert_int_equal(message[end], behind);
        }
        kf_cipher_free(&cipher);
    }
}

static void many_cmacs_side_by_side_are_those_one_by_one(void **state)
{
    (void)state;
    enum { COUNT = 150, SIZE_MAX_HERE = 40 };
    static uint8_t messages[COUNT * SIZE_MAX_HERE];
    static uint8_t macs[COUNT * 16];
    fill(messages, sizeof messages);
    for (size_t i = 0; i < KINDS; i++) {
        kf_cipher *cipher = make(kinds[i]);
        size_t block = kinds[i].block_size;
        for (size_t size = 0; size <= SIZE_MAX_HERE; size++) {
            assert_int_equal(kf_cmac_many(cipher, messages, size, COUNT, macs), KF_OK);
            for (size_t j = 0; j < COUNT; j++) {
                uint8_t one[16];
                assert_int_equal(kf_cmac(cipher, kf_view_of(messages + j * size, size), one), KF_OK);
                assert_memory_equal(one, macs + j * block, block);
            }
        }
        assert_int_equal(kf_cmac_many(cipher, messages, 8, 0, macs), KF_OK);
        kf_cipher_free(&cipher);
    }
}

static void a_truncated_cmac_verifies_and_a_changed_one_does_not(void **state)
{
    (void)state;
    kf_cipher *cipher = make(kinds[0]);
    const uint8_t message[] = "a message";
    uint8_t mac[16];
    assert_int_equal(kf_cmac(cipher, KF_VIEW(message), mac), KF_OK);
    for (size_t size = 4; size <= 16; size++)
        assert_int_equal(kf_cmac_verify(cipher, KF_VIEW(message), kf_view_of(mac, size)), KF_OK);
    assert_int_equal(kf_cmac_verify(cipher, KF_VIEW(message), kf_view_of(mac, 3)), KF_ERR_ARGUMENT);
    assert_int_equal(kf_cmac_verify(cipher, KF_VIEW(message), kf_view_of(mac, 17)), KF_ERR_ARGUMENT);
    for (size_t bit = 0; bit < 8 * sizeof mac; bit++) {
        mac[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(kf_cmac_verify(cipher, KF_VIEW(message), KF_VIEW(mac)), KF_ERR_AUTHENTICATION);
        mac[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    kf_cipher_free(&cipher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cipher_tells_its_sizes),
        cmocka_unit_test(a_key_of_another_size_is_refused),
        cmocka_unit_test(decryption_undoes_encryption_also_in_place),
        cmocka_unit_test(a_missing_initial_vector_means_zeros),
        cmocka_unit_test(broken_blocks_are_refused),
        cmocka_unit_test(another_key_in_the_same_context_is_as_a_new_cipher),
        cmocka_unit_test(a_two_key_3des_key_is_k1_k2_k1),
        cmocka_unit_test(the_cmac_of_parts_is_that_of_the_whole),
        cmocka_unit_test(a_cmac_in_the_messages_place_is_the_same),
        cmocka_unit_test(many_cmacs_side_by_side_are_those_one_by_one),
        cmocka_unit_test(a_truncated_cmac_verifies_and_a_changed_one_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
