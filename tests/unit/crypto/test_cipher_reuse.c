/* A cipher keeps contexts between calls, a thread keeps ciphers between owners: nothing of it may show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <keyfill/cipher.h>

enum { DATA = 1600, OPERATIONS = 9 };

typedef struct kind {
    kf_algorithm algorithm;
    size_t key_size;
} kind;

static const kind kinds[] = {{KF_AES, 16},  {KF_AES, 24}, {KF_AES, 32}, {KF_TDES, 16},
                             {KF_TDES, 24}, {KF_SM4, 16}, {KF_DES, 8}};
#define KINDS (sizeof kinds / sizeof kinds[0])

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1103515245U + 12345U;
        bytes[i] = (uint8_t)(seed >> 16);
    }
}

/* Operation `number` over some of the data; the output has room for all of it. */
static void operate(kf_cipher *cipher, unsigned number, const uint8_t data[DATA], uint8_t output[DATA])
{
    size_t block = kf_cipher_block_size(cipher);
    kf_view parts[] = {kf_view_of(data, 21), kf_view_of(data + 21, 700), kf_view_of(data + 721, 600)};
    kf_code code = KF_OK;
    memset(output, 0, DATA);
    switch (number) {
    case 0: code = kf_cipher_encrypt_blocks(cipher, kf_view_of(data, block), output); break;
    case 1: code = kf_cipher_encrypt_blocks(cipher, kf_view_of(data, 3 * block), output); break;
    case 2: code = kf_cipher_encrypt_blocks(cipher, kf_view_of(data, 50 * block), output); break;
    case 3: code = kf_cipher_decrypt_blocks(cipher, kf_view_of(data, 7 * block), output); break;
    case 4: code = kf_cipher_cbc_encrypt(cipher, data + 100, kf_view_of(data, 40 * block), output); break;
    case 5: code = kf_cipher_cbc_decrypt(cipher, data + 100, kf_view_of(data, 90 * block), output); break;
    case 6: code = kf_cmac(cipher, kf_view_of(data, 3 * block), output); break;
    case 7: code = kf_cmac_parts(cipher, parts, 3, output); break;
    default: code = kf_cmac_many(cipher, data, 21, 70, output); break;
    }
    assert_int_equal(code, KF_OK);
}

static void operations_in_any_order_do_not_disturb_each_other(void **state)
{
    (void)state;
    uint8_t data[DATA];
    uint8_t wanted[DATA];
    uint8_t output[DATA];
    uint8_t key[32];
    unsigned seed = 1;
    fill(data, sizeof data, 7);
    for (size_t i = 0; i < KINDS; i++) {
        kf_cipher *used = NULL;
        fill(key, sizeof key, 8);
        assert_int_equal(kf_cipher_new(kinds[i].algorithm, kf_view_of(key, kinds[i].key_size), &used), KF_OK);
        for (size_t step = 0; step < 300; step++) {
            kf_cipher *fresh = NULL;
            seed = seed * 1103515245U + 12345U;
            unsigned number = (seed >> 16) % (OPERATIONS + 2);
            if (number >= OPERATIONS) {
                fill(key, sizeof key, seed);
                assert_int_equal(kf_cipher_rekey(used, kf_view_of(key, kinds[i].key_size)), KF_OK);
                continue;
            }
            assert_int_equal(kf_cipher_new(kinds[i].algorithm, kf_view_of(key, kinds[i].key_size), &fresh),
                             KF_OK);
            operate(fresh, number, data, wanted);
            operate(used, number, data, output);
            assert_memory_equal(output, wanted, sizeof output);
            kf_cipher_free(&fresh);
        }
        kf_cipher_free(&used);
    }
}

/* By the definition, SP 800-38B 6.2, from single blocks. */
static void plain_cmac(kf_cipher *cipher, const uint8_t *message, size_t size, uint8_t *ret_mac)
{
    size_t block = kf_cipher_block_size(cipher);
    uint8_t subkeys[2][KF_BLOCK_MAX];
    uint8_t chain[KF_BLOCK_MAX] = {0};
    assert_int_equal(kf_cmac_subkeys(cipher, subkeys[0], subkeys[1]), KF_OK);
    size_t blocks = size == 0 ? 1 : (size + block - 1) / block;
    for (size_t i = 0; i < blocks; i++) {
        bool last = i + 1 == blocks;
        size_t left = size - i * block;
        size_t part = left < block ? left : block;
        for (size_t j = 0; j < part; j++)
            chain[j] ^= message[i * block + j];
        if (last && part < block) chain[part] ^= 0x80;
        for (size_t j = 0; last && j < block; j++)
            chain[j] ^= subkeys[part < block ? 1 : 0][j];
        assert_int_equal(kf_cipher_encrypt_blocks(cipher, kf_view_of(chain, block), chain), KF_OK);
    }
    memcpy(ret_mac, chain, block);
}

static void a_cmac_of_every_size_is_that_of_the_definition(void **state)
{
    (void)state;
    uint8_t data[DATA];
    fill(data, sizeof data, 3);
    for (size_t i = 0; i < KINDS; i++) {
        kf_cipher *cipher = NULL;
        assert_int_equal(kf_cipher_new(kinds[i].algorithm, kf_view_of(data, kinds[i].key_size), &cipher),
                         KF_OK);
        size_t block = kf_cipher_block_size(cipher);
        for (size_t size = 0; size <= 1100; size++) {
            uint8_t wanted[KF_BLOCK_MAX];
            uint8_t mac[KF_BLOCK_MAX];
            plain_cmac(cipher, data, size, wanted);
            assert_int_equal(kf_cmac(cipher, kf_view_of(data, size), mac), KF_OK);
            assert_memory_equal(mac, wanted, block);
            size_t cut = size / 3;
            const kf_view parts[] = {kf_view_of(data, cut), kf_view_of(data + cut, size - cut)};
            assert_int_equal(kf_cmac_parts(cipher, parts, 2, mac), KF_OK);
            assert_memory_equal(mac, wanted, block);
        }
        kf_cipher_free(&cipher);
    }
}

static bool works(void)
{
    /* SP 800-38B D.1, example 1. */
    static const uint8_t key[16] = {0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6,
                                    0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C};
    static const uint8_t wanted[4] = {0xBB, 0x1D, 0x69, 0x29};
    kf_cipher *cipher = NULL;
    uint8_t mac[16];
    if (kf_cipher_new(KF_AES, KF_VIEW(key), &cipher) != KF_OK) return false;
    bool good = kf_cmac(cipher, kf_view_of(NULL, 0), mac) == KF_OK && memcmp(mac, wanted, 4) == 0;
    kf_cipher_free(&cipher);
    return good;
}

/* More than a thread keeps, given back in another order. */
static void many_ciphers_come_and_go(void **state)
{
    (void)state;
    kf_cipher *ciphers[40];
    uint8_t key[16] = {0};
    uint8_t first[16];
    uint8_t again[16];
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < 40; i++) {
            key[0] = (uint8_t)i;
            assert_int_equal(kf_cipher_new(i % 2 == 0 ? KF_AES : KF_SM4, KF_VIEW(key), &ciphers[i]), KF_OK);
        }
        for (size_t i = 0; i < 40; i++) {
            operate(ciphers[i], 0, (uint8_t[DATA]){0}, (uint8_t[DATA]){0});
            assert_int_equal(kf_cmac(ciphers[i], kf_view_of(NULL, 0), round == 0 ? first : again), KF_OK);
        }
        if (round > 0) assert_memory_equal(first, again, sizeof first);
        for (size_t i = 40; i > 0; i--)
            kf_cipher_free(&ciphers[i - 1]);
    }
    assert_true(works());
}

static void *run_thread(void *good)
{
    *(bool *)good = works() && works();
    return NULL;
}

static void threads_have_their_own(void **state)
{
    (void)state;
    pthread_t threads[8];
    bool good[8] = {false};
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &good[i]), 0);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(good[i]);
    }
}

/* The memory of secrets is empty in a child, but the thread's list of spare ciphers is not. */
static void a_child_process_makes_new_ones(void **state)
{
    (void)state;
    assert_true(works());
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(works() ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_in_any_order_do_not_disturb_each_other),
        cmocka_unit_test(a_cmac_of_every_size_is_that_of_the_definition),
        cmocka_unit_test(many_ciphers_come_and_go),
        cmocka_unit_test(threads_have_their_own),
        cmocka_unit_test(a_child_process_makes_new_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
