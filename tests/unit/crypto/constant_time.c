/* Built with MemorySanitizer by test_constant_time.py: secrets are marked as never written, so that every
 * branch and every address that depends on one ends the program. The verdicts alone are declared public.
 *
 *     constant_time NAME     runs one of the checks below; those named `leak-…` must be caught
 */
#include <sanitizer/msan_interface.h>
#include <stdio.h>
#include <string.h>

#include "crypto/cipher_state.h"

#include <keyfill/hex.h>
#include <keyfill/secret.h>

#define SIZE 16

/* In the place of the block cipher, which OpenSSL does: that each byte that comes out depends on all that
 * went in is enough here. */
kf_code kf_chain_continue(kf_cipher *cipher, uint8_t *blocks, size_t size)
{
    for (size_t offset = 0; offset < size; offset += cipher->block_size)
        for (size_t i = 0; i < cipher->block_size; i++) {
            unsigned sum = 0;
            for (size_t j = 0; j < cipher->block_size; j++)
                sum += 3u * cipher->key[j] + 5u * blocks[offset + j] + cipher->vector[(i + j) % SIZE];
            cipher->vector[i] = (uint8_t)sum;
        }
    memcpy(blocks + size - cipher->block_size, cipher->vector, cipher->block_size);
    return KF_OK;
}

kf_code kf_chain_start(kf_cipher *cipher, uint8_t *blocks, size_t size)
{
    memset(cipher->vector, 0, sizeof cipher->vector);
    return kf_chain_continue(cipher, blocks, size);
}

kf_code kf_cipher_encrypt_blocks(kf_cipher *cipher, kf_view input, uint8_t *ret_output)
{
    memmove(ret_output, input.data, input.size);
    return kf_chain_start(cipher, ret_output, input.size);
}

static int publish(int verdict)
{
    __msan_unpoison(&verdict, sizeof verdict);
    return verdict;
}

static int check_equal(void)
{
    uint8_t secret[SIZE] = {1};
    const uint8_t given[SIZE] = {1};
    __msan_poison(secret, sizeof secret);
    return publish(kf_equal_constant_time(secret, given, sizeof secret)) ? 0 : 1;
}

static int check_secret_equal(void)
{
    kf_secret *one = NULL;
    kf_secret *other = NULL;
    if (kf_secret_new_zero(SIZE, &one) != KF_OK || kf_secret_new_zero(SIZE, &other) != KF_OK) return 1;
    __msan_poison(kf_secret_expose_writable(one), SIZE);
    int equal = publish(kf_secret_equal(one, other));
    kf_secret_free(&one);
    kf_secret_free(&other);
    return equal ? 0 : 1;
}

/* The subkeys and the comparison of a MAC. A wrong MAC is refused as slowly as a right one. */
static int check_cmac(void)
{
    kf_cipher cipher = {.algorithm = KF_AES, .block_size = SIZE, .key_size = SIZE};
    uint8_t message[3 * SIZE + 1] = {0};
    uint8_t mac[SIZE] = {0};
    __msan_poison(cipher.key, sizeof cipher.key);
    __msan_poison(message, sizeof message);
    for (size_t size = 0; size <= sizeof message; size++)
        if (publish((int)kf_cmac(&cipher, kf_view_of(message, size), mac)) != KF_OK) return 1;
    const uint8_t given[SIZE] = {0};
    int code = publish((int)kf_cmac_verify(&cipher, kf_view_of(message, SIZE), KF_VIEW(given)));
    return code == KF_OK || code == KF_ERR_AUTHENTICATION ? 0 : 1;
}

static int check_hex_encode(void)
{
    uint8_t secret[SIZE] = {0};
    char text[2 * SIZE + 1];
    __msan_poison(secret, sizeof secret);
    return publish((int)kf_hex_encode(KF_VIEW(secret), text, sizeof text)) == KF_OK ? 0 : 1;
}

/* What a hurried hand would write instead. */
static int leak_by_loop(void)
{
    uint8_t secret[SIZE] = {1};
    const uint8_t given[SIZE] = {1};
    __msan_poison(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        if (secret[i] != given[i]) return 1;
    return 0;
}

static int leak_by_memcmp(void)
{
    uint8_t secret[SIZE] = {1};
    const uint8_t given[SIZE] = {1};
    __msan_poison(secret, sizeof secret);
    return memcmp(secret, given, sizeof secret) != 0;
}

static int leak_by_table(void)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t secret = 1;
    __msan_poison(&secret, sizeof secret);
    return digits[secret & 15] == '1' ? 0 : 1;
}

int main(int argument_count, char **arguments)
{
    static const struct {
        const char *name;
        int (*check)(void);
    } checks[] = {
        {"equal", check_equal},
        {"secret-equal", check_secret_equal},
        {"cmac", check_cmac},
        {"hex-encode", check_hex_encode},
        {"leak-by-loop", leak_by_loop},
        {"leak-by-memcmp", leak_by_memcmp},
        {"leak-by-table", leak_by_table},
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        if (argument_count == 1) (void)puts(checks[i].name);
        if (argument_count == 2 && strcmp(arguments[1], checks[i].name) == 0) return checks[i].check();
    }
    return argument_count == 1 ? 0 : 2;
}
