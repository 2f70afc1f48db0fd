#include "scp02_host.h"

#include <string.h>

#include <keyfill/mac.h>

static kf_cipher *tdes(const uint8_t key[16])
{
    kf_cipher *cipher = NULL;
    assert_int_equal(kf_cipher_new(KF_TDES, kf_view_of(key, 16), &cipher), KF_OK);
    return cipher;
}

static void derive(const uint8_t key[16], uint16_t constant, uint16_t counter, uint8_t ret_key[16])
{
    const uint8_t data[16] = {(uint8_t)(constant >> 8), (uint8_t)constant, (uint8_t)(counter >> 8),
                              (uint8_t)counter};
    kf_cipher *cipher = tdes(key);
    assert_int_equal(kf_cipher_cbc_encrypt(cipher, NULL, KF_VIEW(data), ret_key), KF_OK);
    kf_cipher_free(&cipher);
}

static void retail(const uint8_t key[16], const uint8_t vector[8], kf_view message, uint8_t ret_mac[8])
{
    kf_mac_pair pair = {NULL, NULL};
    assert_int_equal(kf_mac_retail_pair(kf_view_of(key, 16), &pair), KF_OK);
    assert_int_equal(kf_mac_retail(pair, KF_PADDING_2, vector, message, ret_mac), KF_OK);
    kf_mac_pair_free(&pair);
}

static void cryptogram(const scp02_host *host, kf_view first, kf_view second, uint8_t ret_cryptogram[8])
{
    kf_buffer message = KF_BUFFER_INIT;
    kf_cipher *cipher = tdes(host->s_enc);
    kf_buffer_append(&message, first);
    kf_buffer_append(&message, second);
    assert_int_equal(kf_mac_cbc(cipher, KF_PADDING_2, NULL, kf_buffer_view(&message), ret_cryptogram), KF_OK);
    kf_cipher_free(&cipher);
    kf_buffer_clear(&message);
}

static void append_mac(scp02_host *host, kf_view message, kf_buffer *wrapped)
{
    static const uint8_t zeros[8];
    uint8_t vector[8];
    memcpy(vector, host->chaining, 8);
    if ((host->parameter & 0x10) != 0 && memcmp(vector, zeros, 8) != 0) {
        kf_cipher *des = NULL;
        assert_int_equal(kf_cipher_new(KF_DES, kf_view_of(host->s_mac, 8), &des), KF_OK);
        assert_int_equal(kf_cipher_encrypt_blocks(des, KF_VIEW(vector), vector), KF_OK);
        kf_cipher_free(&des);
    }
    retail(host->s_mac, vector, message, host->chaining);
    kf_buffer_append_bytes(wrapped, host->chaining, 8);
}

uint16_t scp02_open(test_card *test, scp02_host *host, uint8_t version, const char *key, uint8_t level)
{
    uint8_t key_bytes[16];
    uint8_t expected[8];
    uint8_t initialize[14] = {(uint8_t)(0x80 | host->channel), 0x50, version, 0, 8};
    kf_buffer answer = KF_BUFFER_INIT;
    *host = (scp02_host){.parameter = host->parameter, .channel = host->channel};
    memset(initialize + 5, 0xC5, 8);
    assert_int_equal(kf_hex_decode(key, key_bytes, 16), KF_OK);
    uint16_t status = test_send(test, KF_VIEW(initialize), &answer);
    if (status != 0x9000) return status;
    assert_int_equal(answer.size, 28);
    assert_int_equal(answer.data[11], 0x02);
    host->version = answer.data[10];
    host->sequence_counter = (uint16_t)(answer.data[12] << 8 | answer.data[13]);
    memcpy(host->card_challenge, answer.data + 14, 6);
    derive(key_bytes, 0x0182, host->sequence_counter, host->s_enc);
    derive(key_bytes, 0x0101, host->sequence_counter, host->s_mac);
    derive(key_bytes, 0x0102, host->sequence_counter, host->s_rmac);
    derive(key_bytes, 0x0181, host->sequence_counter, host->s_dek);
    kf_view host_challenge = kf_view_of(initialize + 5, 8);
    kf_view card_part = kf_view_of(answer.data + 12, 8);
    cryptogram(host, host_challenge, card_part, expected);
    assert_memory_equal(answer.data + 20, expected, 8);
    cryptogram(host, card_part, host_challenge, expected);
    uint8_t header[5] = {0x84, 0x82, level, 0, 16};
    kf_buffer message = KF_BUFFER_INIT;
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer_append(&message, KF_VIEW(header));
    kf_buffer_append(&message, KF_VIEW(expected));
    kf_buffer_append(&command, kf_buffer_view(&message));
    command.data[0] = (uint8_t)(command.data[0] | host->channel);
    append_mac(host, kf_buffer_view(&message), &command);
    memcpy(host->response_chaining, host->chaining, 8);
    host->level = level;
    status = test_send(test, kf_buffer_view(&command), NULL);
    kf_buffer_clear(&message);
    kf_buffer_clear(&command);
    kf_buffer_clear(&answer);
    return status;
}

void scp02_wrap(scp02_host *host, const char *plain, kf_buffer *wrapped)
{
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer message = KF_BUFFER_INIT;
    kf_buffer body = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(plain, &command), KF_OK);
    kf_view data = kf_view_part(kf_buffer_view(&command), 5, command.size);
    kf_buffer_append(&body, data);
    if ((host->level & 0x02) != 0 && data.size > 0) {
        kf_buffer_append_u8(&body, 0x80);
        kf_buffer_append_fill(&body, 0, (8 - body.size % 8) % 8);
        kf_cipher *cipher = tdes(host->s_enc);
        assert_int_equal(kf_cipher_cbc_encrypt(cipher, NULL, kf_buffer_view(&body), body.data), KF_OK);
        kf_cipher_free(&cipher);
    }
    kf_buffer_append_u8(&message, (uint8_t)(command.data[0] | 0x04));
    kf_buffer_append_bytes(&message, command.data + 1, 3);
    kf_buffer_append_u8(&message, (uint8_t)(data.size + 8));
    kf_buffer_append(&message, data);
    kf_buffer_append_u8(wrapped, (uint8_t)(command.data[0] | 0x04 | host->channel));
    kf_buffer_append_bytes(wrapped, command.data + 1, 3);
    if ((host->level & 0x01) != 0) {
        kf_buffer_append_u8(wrapped, (uint8_t)(body.size + 8));
        kf_buffer_append(wrapped, kf_buffer_view(&body));
        append_mac(host, kf_buffer_view(&message), wrapped);
    } else {
        wrapped->data[0] = (uint8_t)(command.data[0] | host->channel);
        if (body.size > 0) kf_buffer_append_u8(wrapped, (uint8_t)body.size);
        kf_buffer_append(wrapped, kf_buffer_view(&body));
    }
    kf_buffer_append_u8(wrapped, 0);
    kf_buffer_clear(&command);
    kf_buffer_clear(&message);
    kf_buffer_clear(&body);
}

void scp02_response_mac(scp02_host *host, const char *plain, kf_view data, uint16_t status)
{
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer message = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(plain, &command), KF_OK);
    kf_view sent = kf_view_part(kf_buffer_view(&command), 5, command.size);
    kf_buffer_append_bytes(&message, command.data, 4);
    kf_buffer_append_u8(&message, (uint8_t)sent.size);
    kf_buffer_append(&message, sent);
    kf_buffer_append_u8(&message, (uint8_t)data.size);
    kf_buffer_append(&message, data);
    kf_buffer_append_u16(&message, status);
    retail(host->s_rmac, host->response_chaining, kf_buffer_view(&message), host->response_chaining);
    kf_buffer_clear(&command);
    kf_buffer_clear(&message);
}

static void check_response_mac(scp02_host *host, const char *plain, kf_buffer *answer, uint16_t status)
{
    assert_true(answer->size >= 8);
    size_t size = answer->size - 8;
    scp02_response_mac(host, plain, kf_view_of(answer->data, size), status);
    assert_memory_equal(answer->data + size, host->response_chaining, 8);
    kf_buffer_truncate(answer, size);
}

uint16_t scp02_send(test_card *test, scp02_host *host, const char *plain, kf_buffer *response)
{
    kf_buffer wrapped = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    scp02_wrap(host, plain, &wrapped);
    uint16_t status = test_send(test, kf_buffer_view(&wrapped), &answer);
    bool good = status == 0x9000 || status >> 8 == 0x62 || status >> 8 == 0x63;
    if (good && (host->level & 0x10) != 0) check_response_mac(host, plain, &answer, status);
    if (!good) assert_int_equal(answer.size, 0);
    if (response != NULL) kf_buffer_append(response, kf_buffer_view(&answer));
    kf_buffer_clear(&wrapped);
    kf_buffer_clear(&answer);
    return status;
}

void scp02_encrypt_key(const scp02_host *host, const char *plain, kf_buffer *text)
{
    kf_buffer bytes = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(plain, &bytes), KF_OK);
    kf_cipher *cipher = tdes(host->s_dek);
    assert_int_equal(kf_cipher_encrypt_blocks(cipher, kf_buffer_view(&bytes), bytes.data), KF_OK);
    kf_buffer_append_hex(text, kf_buffer_view(&bytes));
    kf_cipher_free(&cipher);
    kf_buffer_clear(&bytes);
}
