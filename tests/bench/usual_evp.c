#include "usual_evp.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

#include "bench.h"

static void cmac(const uint8_t key[16], const uint8_t *message, size_t size, uint8_t ret_mac[16])
{
    char cipher[] = "AES-128-CBC";
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
                               OSSL_PARAM_construct_end()};
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "CMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(algorithm);
    size_t written = 0;
    bench_need(EVP_MAC_init(context, key, 16, parameters) == 1 &&
                   EVP_MAC_update(context, message, size) == 1 &&
                   EVP_MAC_final(context, ret_mac, &written, 16) == 1,
               "EVP_MAC");
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(algorithm);
}

void usual_cmac_chain(const uint8_t key[16], uint8_t message[32], size_t count)
{
    for (size_t i = 0; i < count; i++)
        cmac(key, message, 32, message);
}

void cached_cmac_chain(const uint8_t key[16], uint8_t message[32], size_t count)
{
    char cipher[] = "AES-128-CBC";
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
                               OSSL_PARAM_construct_end()};
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "CMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(algorithm);
    bench_need(EVP_MAC_init(context, key, 16, parameters) == 1, "EVP_MAC_init");
    for (size_t i = 0; i < count; i++) {
        size_t written = 0;
        bench_need(EVP_MAC_init(context, NULL, 0, NULL) == 1 && EVP_MAC_update(context, message, 32) == 1 &&
                       EVP_MAC_final(context, message, &written, 16) == 1,
                   "EVP_MAC");
    }
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(algorithm);
}

static void encrypt(const uint8_t key[16], const uint8_t vector[16], uint8_t *blocks, size_t size)
{
    EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, vector != NULL ? "AES-128-CBC" : "AES-128-ECB", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int written = 0;
    bench_need(EVP_EncryptInit_ex2(context, algorithm, key, vector, NULL) == 1 &&
                   EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
                   EVP_EncryptUpdate(context, blocks, &written, blocks, (int)size) == 1,
               "EVP_EncryptUpdate");
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(algorithm);
}

static void derive(const uint8_t key[16], uint8_t constant, uint16_t bits, const uint8_t context[16],
                   uint8_t ret_output[16])
{
    uint8_t message[32] = {0};
    message[11] = constant;
    message[13] = (uint8_t)(bits >> 8);
    message[14] = (uint8_t)bits;
    message[15] = 1;
    memcpy(message + 16, context, 16);
    cmac(key, message, sizeof message, ret_output);
}

static void append_mac(const uint8_t key[16], uint8_t chain[16], uint8_t *command, size_t size)
{
    uint8_t message[16 + SESSION_WRAPPED_MAX];
    memcpy(message, chain, 16);
    memcpy(message + 16, command, size);
    cmac(key, message, 16 + size, chain);
    memcpy(command + size, chain, 8);
}

/* Gives the size without the MAC. */
static size_t wrap(const uint8_t key[16], const bench_command *plain, uint8_t counter, uint8_t *ret_command)
{
    uint8_t vector[16] = {0};
    size_t data_size = plain->size - 5;
    size_t padded = (data_size / 16 + 1) * 16;
    vector[15] = counter;
    encrypt(key, NULL, vector, sizeof vector);
    memcpy(ret_command, plain->bytes, plain->size);
    ret_command[0] |= 0x04;
    ret_command[4] = (uint8_t)(padded + 8);
    ret_command[plain->size] = 0x80;
    memset(ret_command + plain->size + 1, 0, padded - data_size - 1);
    encrypt(key, vector, ret_command + 5, padded);
    return 5 + padded;
}

void usual_session(const bench_session *session, bench_wrapped *ret_wrapped)
{
    uint8_t context[16];
    uint8_t session_enc[16];
    uint8_t session_mac[16];
    uint8_t session_rmac[16];
    uint8_t chain[16] = {0};
    uint8_t cryptogram[16];
    static const uint8_t header[5] = {0x84, 0x82, 0x33, 0x00, 0x10};
    memcpy(context, session->host_challenge, 8);
    memcpy(context + 8, session->answer + 13, 8);
    derive(session->mac, 0x06, 128, context, session_mac);
    derive(session->mac, 0x07, 128, context, session_rmac);
    derive(session->enc, 0x04, 128, context, session_enc);
    derive(session_mac, 0x00, 64, context, cryptogram);
    bench_same("card cryptogram", cryptogram, session->answer + 21, 8);
    derive(session_mac, 0x01, 64, context, cryptogram);
    memcpy(ret_wrapped->authenticate, header, 5);
    memcpy(ret_wrapped->authenticate + 5, cryptogram, 8);
    append_mac(session_mac, chain, ret_wrapped->authenticate, 13);
    for (size_t i = 0; i < SESSION_COMMANDS; i++) {
        size_t size = wrap(session_enc, &session->commands[i], (uint8_t)(i + 1), ret_wrapped->commands[i]);
        append_mac(session_mac, chain, ret_wrapped->commands[i], size);
        ret_wrapped->sizes[i] = size + 8;
    }
}
