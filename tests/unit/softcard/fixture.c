#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "softcard/state.h"

static kf_code save(void *context, kf_view state)
{
    test_card *test = context;
    if (test->refuses_to_save) return KF_ERR_FILE;
    kf_buffer_truncate(&test->saved, 0);
    kf_buffer_append(&test->saved, state);
    test->saves++;
    return kf_buffer_status(&test->saved);
}

static kf_code take_random(void *context, uint8_t *ret_bytes, size_t size)
{
    test_card *test = context;
    memset(ret_bytes, test->next_random++, size);
    return KF_OK;
}

softcard_blueprint *test_blueprint(void)
{
    softcard_blueprint *blueprint = NULL;
    assert_int_equal(softcard_blueprint_new(&blueprint), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->iccid, "8988211000000430010"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->imsi, "262011106487504"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->msisdn, "+4916012345678"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->kdd, "00000000000000000000"), KF_OK);
    blueprint->issuer = calloc(1, sizeof *blueprint->issuer);
    assert_non_null(blueprint->issuer);
    blueprint->issuer->published_test_keys = true;
    return blueprint;
}

static softcard_environment environment_of(test_card *test)
{
    return (softcard_environment){save, take_random, test};
}

void test_card_make(test_card *test, softcard_blueprint *blueprint)
{
    softcard_state *state = NULL;
    kf_error error = {0};
    if (softcard_provision(blueprint, &state, &error) != KF_OK) fail_msg("%s", error.message);
    memset(test, 0, sizeof *test);
    assert_int_equal(softcard_state_write(state, &test->saved), KF_OK);
    softcard_state_free(&state);
    softcard_blueprint_free(&blueprint);
    test_card_revive(test);
}

void test_card_revive(test_card *test)
{
    kf_error error = {0};
    softcard_free(&test->card);
    if (softcard_open(kf_buffer_view(&test->saved), environment_of(test), &test->card, &error) != KF_OK)
        fail_msg("%s", error.message);
    softcard_power_on(test->card);
}

void test_card_clear(test_card *test)
{
    softcard_free(&test->card);
    kf_buffer_clear(&test->saved);
}

uint16_t test_send(test_card *test, kf_view command, kf_buffer *response)
{
    kf_buffer answer = KF_BUFFER_INIT;
    assert_int_equal(softcard_transmit(test->card, command, &answer), KF_OK);
    assert_true(answer.size >= 2);
    assert_true(answer.size <= SOFTCARD_RESPONSE_MAX);
    uint16_t status = (uint16_t)(answer.data[answer.size - 2] << 8 | answer.data[answer.size - 1]);
    if (response != NULL) kf_buffer_append_bytes(response, answer.data, answer.size - 2);
    kf_buffer_clear(&answer);
    return status;
}

uint16_t test_send_hex(test_card *test, const char *command)
{
    kf_buffer bytes = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(command, &bytes), KF_OK);
    uint16_t status = test_send(test, kf_buffer_view(&bytes), NULL);
    kf_buffer_clear(&bytes);
    return status;
}

void test_exchange(test_card *test, const char *command, const char *response)
{
    kf_buffer bytes = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(command, &bytes), KF_OK);
    assert_int_equal(softcard_transmit(test->card, kf_buffer_view(&bytes), &answer), KF_OK);
    kf_buffer_append_hex(&text, kf_buffer_view(&answer));
    assert_string_equal(kf_buffer_text(&text), response);
    kf_buffer_clear(&bytes);
    kf_buffer_clear(&answer);
    kf_buffer_clear(&text);
}

/* Amendment D 4.1.5, one or two blocks of CMAC, counter by counter. */
static void derive(const char *key, uint8_t constant, kf_view context, uint8_t *ret_bytes, size_t size)
{
    uint8_t key_bytes[32];
    size_t key_size = strlen(key) / 2;
    kf_cipher *prf = NULL;
    assert_int_equal(kf_hex_decode(key, key_bytes, key_size), KF_OK);
    assert_int_equal(kf_cipher_new(KF_AES, kf_view_of(key_bytes, key_size), &prf), KF_OK);
    for (uint8_t block = 0; block * 16U < size; block++) {
        uint8_t input[16 + 32] = {0};
        uint8_t output[16];
        input[11] = constant;
        input[13] = (uint8_t)(size * 8 >> 8);
        input[14] = (uint8_t)(size * 8);
        input[15] = (uint8_t)(block + 1);
        memcpy(input + 16, context.data, context.size);
        assert_int_equal(kf_cmac(prf, kf_view_of(input, 16 + context.size), output), KF_OK);
        size_t left = size - block * 16U;
        memcpy(ret_bytes + block * 16U, output, left < 16 ? left : 16);
    }
    kf_cipher_free(&prf);
}

static kf_cipher *session_cipher(const char *key, uint8_t constant, kf_view context)
{
    uint8_t bytes[32];
    kf_cipher *cipher = NULL;
    derive(key, constant, context, bytes, strlen(key) / 2);
    assert_int_equal(kf_cipher_new(KF_AES, kf_view_of(bytes, strlen(key) / 2), &cipher), KF_OK);
    return cipher;
}

/* A cryptogram is the derivation under S-MAC, whose bytes a cipher does not give back: derived anew. */
static void cryptogram(const char *key, uint8_t constant, kf_view context, size_t size, uint8_t *ret_bytes)
{
    uint8_t session_key[32];
    char text[65];
    size_t key_size = strlen(key) / 2;
    derive(key, 0x06, context, session_key, key_size);
    assert_int_equal(kf_hex_encode(kf_view_of(session_key, key_size), text, sizeof text), KF_OK);
    derive(text, constant, context, ret_bytes, size);
}

static void append_mac(test_host *host, kf_buffer *wrapped, uint8_t class_byte)
{
    kf_buffer message = KF_BUFFER_INIT;
    kf_buffer_append_bytes(&message, host->chaining, 16);
    kf_buffer_append_u8(&message, class_byte);
    kf_buffer_append_bytes(&message, wrapped->data + 1, wrapped->size - 1);
    assert_int_equal(kf_cmac(host->mac, kf_buffer_view(&message), host->chaining), KF_OK);
    kf_buffer_append_bytes(wrapped, host->chaining, host->mac_size);
    kf_buffer_clear(&message);
}

static uint16_t authenticate(test_card *test, test_host *host, const char *key, kf_view context)
{
    uint8_t host_cryptogram[16];
    kf_buffer command = KF_BUFFER_INIT;
    cryptogram(key, 0x01, context, host->mac_size, host_cryptogram);
    const uint8_t head[] = {(uint8_t)(0x84 | host->channel), 0x82, host->level, 0x00,
                            (uint8_t)(2 * host->mac_size)};
    kf_buffer_append(&command, KF_VIEW(head));
    kf_buffer_append_bytes(&command, host_cryptogram, host->mac_size);
    append_mac(host, &command, 0x84);
    uint16_t status = test_send(test, kf_buffer_view(&command), NULL);
    kf_buffer_clear(&command);
    return status;
}

uint16_t test_host_open(test_card *test, test_host *host, uint8_t version, const char *key, uint8_t level)
{
    uint8_t context[32];
    uint8_t expected[16];
    kf_buffer answer = KF_BUFFER_INIT;
    size_t size = host->mac_size == 0 ? 8 : host->mac_size;
    uint8_t channel = host->channel;
    test_host_clear(host);
    *host = (test_host){.level = level, .mac_size = size, .channel = channel, .dek = key};
    uint8_t command[5 + 16 + 1] = {(uint8_t)(0x80 | channel), 0x50, version, 0, (uint8_t)size};
    memset(command + 5, 0xC5, size);
    memset(context, 0xC5, size);
    uint16_t status = test_send(test, kf_view_of(command, 5 + size + 1), &answer);
    if (status != 0x9000) {
        kf_buffer_clear(&answer);
        return status;
    }
    memcpy(host->header, answer.data, 13);
    memcpy(context + size, answer.data + 13, size);
    kf_view both = kf_view_of(context, 2 * size);
    cryptogram(key, 0x00, both, size, expected);
    assert_memory_equal(answer.data + 13 + size, expected, size);
    if ((host->header[12] & 0x10) != 0) {
        assert_int_equal(answer.size, 13 + 2 * size + 3);
        const uint8_t *counter = answer.data + 13 + 2 * size;
        host->sequence_counter = (uint32_t)counter[0] << 16 | (uint32_t)counter[1] << 8 | counter[2];
    } else {
        assert_int_equal(answer.size, 13 + 2 * size);
    }
    host->encryption = session_cipher(key, 0x04, both);
    host->mac = session_cipher(key, 0x06, both);
    host->response_mac = session_cipher(key, 0x07, both);
    kf_buffer_clear(&answer);
    return authenticate(test, host, key, both);
}

static void count(test_host *host)
{
    for (size_t i = 16; i-- > 0;)
        if (++host->counter[i] != 0) return;
}

void test_host_wrap(test_host *host, const char *plain, kf_buffer *wrapped)
{
    kf_buffer command = KF_BUFFER_INIT;
    uint8_t vector[16];
    assert_int_equal(kf_hex_decode_append(plain, &command), KF_OK);
    kf_view data = kf_view_part(kf_buffer_view(&command), 5, command.size);
    kf_buffer body = KF_BUFFER_INIT;
    kf_buffer_append(&body, data);
    if ((host->level & 0x02) != 0) {
        count(host);
        if (data.size > 0) {
            kf_buffer_append_u8(&body, 0x80);
            kf_buffer_append_fill(&body, 0, (16 - body.size % 16) % 16);
            assert_int_equal(kf_cipher_encrypt_blocks(host->encryption, KF_VIEW(host->counter), vector),
                             KF_OK);
            assert_int_equal(
                kf_cipher_cbc_encrypt(host->encryption, vector, kf_buffer_view(&body), body.data), KF_OK);
        }
    }
    kf_buffer_append_u8(wrapped, (uint8_t)(command.data[0] | 0x04 | host->channel));
    kf_buffer_append_bytes(wrapped, command.data + 1, 3);
    kf_buffer_append_u8(wrapped, (uint8_t)(body.size + host->mac_size));
    kf_buffer_append(wrapped, kf_buffer_view(&body));
    append_mac(host, wrapped, (uint8_t)(command.data[0] | 0x04));
    kf_buffer_append_u8(wrapped, 0);
    kf_buffer_clear(&command);
    kf_buffer_clear(&body);
}

static void check_response_mac(test_host *host, kf_buffer *answer, uint16_t status)
{
    uint8_t mac[16];
    kf_buffer message = KF_BUFFER_INIT;
    assert_true(answer->size >= host->mac_size);
    size_t size = answer->size - host->mac_size;
    kf_buffer_append_bytes(&message, host->chaining, 16);
    kf_buffer_append_bytes(&message, answer->data, size);
    kf_buffer_append_u16(&message, status);
    assert_int_equal(kf_cmac(host->response_mac, kf_buffer_view(&message), mac), KF_OK);
    assert_memory_equal(answer->data + size, mac, host->mac_size);
    kf_buffer_truncate(answer, size);
    kf_buffer_clear(&message);
}

static void decrypt_response(test_host *host, kf_buffer *answer)
{
    uint8_t vector[16];
    if (answer->size == 0) return;
    memcpy(vector, host->counter, 16);
    vector[0] = 0x80;
    assert_int_equal(kf_cipher_encrypt_blocks(host->encryption, KF_VIEW(vector), vector), KF_OK);
    assert_int_equal(kf_cipher_cbc_decrypt(host->encryption, vector, kf_buffer_view(answer), answer->data),
                     KF_OK);
    size_t size = answer->size;
    while (size > 0 && answer->data[size - 1] == 0)
        size--;
    assert_true(size > 0 && answer->data[size - 1] == 0x80);
    kf_buffer_truncate(answer, size - 1);
}

uint16_t test_host_send(test_card *test, test_host *host, const char *plain, kf_buffer *response)
{
    kf_buffer wrapped = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    test_host_wrap(host, plain, &wrapped);
    uint16_t status = test_send(test, kf_buffer_view(&wrapped), &answer);
    bool good = status == 0x9000 || status >> 8 == 0x62 || status >> 8 == 0x63;
    if (good && (host->level & 0x10) != 0) check_response_mac(host, &answer, status);
    if (good && (host->level & 0x20) != 0) decrypt_response(host, &answer);
    if (!good) assert_int_equal(answer.size, 0);
    if (response != NULL) kf_buffer_append(response, kf_buffer_view(&answer));
    kf_buffer_clear(&wrapped);
    kf_buffer_clear(&answer);
    return status;
}

void test_host_clear(test_host *host)
{
    kf_cipher_free(&host->encryption);
    kf_cipher_free(&host->mac);
    kf_cipher_free(&host->response_mac);
}

void test_encrypt(const char *key, const char *plain, kf_buffer *text)
{
    uint8_t key_bytes[32];
    kf_cipher *cipher = NULL;
    kf_buffer bytes = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode(key, key_bytes, strlen(key) / 2), KF_OK);
    assert_int_equal(kf_cipher_new(KF_AES, kf_view_of(key_bytes, strlen(key) / 2), &cipher), KF_OK);
    assert_int_equal(kf_hex_decode_append(plain, &bytes), KF_OK);
    kf_buffer_append_fill(&bytes, 0, (16 - bytes.size % 16) % 16);
    assert_int_equal(kf_cipher_cbc_encrypt(cipher, NULL, kf_buffer_view(&bytes), bytes.data), KF_OK);
    kf_buffer_append_hex(text, kf_buffer_view(&bytes));
    kf_cipher_free(&cipher);
    kf_buffer_clear(&bytes);
}

static void append_check_value(const char *key, kf_buffer *text)
{
    uint8_t key_bytes[32];
    uint8_t ones[16];
    kf_cipher *cipher = NULL;
    memset(ones, 1, sizeof ones);
    assert_int_equal(kf_hex_decode(key, key_bytes, strlen(key) / 2), KF_OK);
    assert_int_equal(kf_cipher_new(KF_AES, kf_view_of(key_bytes, strlen(key) / 2), &cipher), KF_OK);
    assert_int_equal(kf_cipher_encrypt_blocks(cipher, KF_VIEW(ones), ones), KF_OK);
    kf_buffer_append_hex(text, kf_view_of(ones, 3));
    kf_cipher_free(&cipher);
}

void test_key_data(const char *dek, uint8_t version, const char *key, bool with_length, kf_buffer *text)
{
    size_t size = strlen(key) / 2;
    size_t padded = (size + 15) / 16 * 16;
    kf_buffer_format(text, "%02X", version);
    for (int i = 0; i < 3; i++) {
        if (with_length)
            kf_buffer_format(text, "88%02zX%02zX", padded + 1, size);
        else
            kf_buffer_format(text, "88%02zX", padded);
        test_encrypt(dek, key, text);
        kf_buffer_append_text(text, "03");
        append_check_value(key, text);
    }
}
