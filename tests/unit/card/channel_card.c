#include "channel_card.h"

#include "hex_bytes.h"

#include <keyfill/mac.h>

static kf_cipher *cipher_of(kf_view key)
{
    kf_cipher *cipher = NULL;
    assert_int_equal(kf_cipher_new(KF_AES, key, &cipher), KF_OK);
    return cipher;
}

/* Amendment D 4.1.5, by CMAC alone. */
static void derive(kf_view key, uint8_t constant, const channel_card *card, uint8_t *output, size_t size)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = cipher_of(key);
    uint8_t mac[16];
    for (size_t done = 0; done < size; done += sizeof(mac)) {
        EMPTY(input);
        kf_buffer_append_fill(&input, 0, 11);
        kf_buffer_append_u8(&input, constant);
        kf_buffer_append_u8(&input, 0);
        kf_buffer_append_u16(&input, (uint16_t)(8 * size));
        kf_buffer_append_u8(&input, (uint8_t)(1 + done / sizeof(mac)));
        kf_buffer_append(&input, card->host_challenge);
        kf_buffer_append(&input, card->card_challenge);
        assert_int_equal(kf_cmac(cipher, kf_buffer_view(&input), mac), KF_OK);
        memcpy(output + done, mac, size - done < sizeof(mac) ? size - done : sizeof(mac));
    }
}

void channel_card_answer(const channel_card *card, kf_buffer *response)
{
    uint8_t session_mac[32], cryptogram[16];
    size_t key_size = kf_secret_size(card->mac);
    derive(kf_secret_expose(card->mac), 0x06, card, session_mac, key_size);
    derive(kf_view_of(session_mac, key_size), 0x00, card, cryptogram, card->card_challenge.size);
    kf_buffer_append_fill(response, 0xD0, KF_DIVERSIFICATION_DATA_SIZE);
    const uint8_t key_information[] = {0x30, 0x03, card->options};
    kf_buffer_append(response, KF_VIEW(key_information));
    kf_buffer_append(response, card->card_challenge);
    kf_buffer_append_bytes(response, cryptogram, card->card_challenge.size);
    if (card->options & 0x10) kf_buffer_append_fill(response, 0x01, 3);
    kf_buffer_append_u16(response, 0x9000);
}

static void encrypt(const channel_card *card, const kf_exchange *exchange, kf_buffer *data)
{
    uint8_t session_enc[32], vector[16] = {0x80};
    size_t key_size = kf_secret_size(card->enc);
    derive(kf_secret_expose(card->enc), 0x04, card, session_enc, key_size);
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = cipher_of(kf_view_of(session_enc, key_size));
    vector[15] = (uint8_t)exchange->encryption_counter;
    assert_int_equal(kf_cipher_encrypt_blocks(cipher, KF_VIEW(vector), vector), KF_OK);
    kf_buffer_append_u8(data, 0x80);
    while (data->size % 16 != 0)
        kf_buffer_append_u8(data, 0);
    assert_int_equal(kf_cipher_cbc_encrypt(cipher, vector, kf_buffer_view(data), data->data), KF_OK);
}

void channel_card_take(const channel_card *card, uint8_t level, uint8_t counter, kf_view wrapped,
                       uint8_t chain[16], kf_buffer *data)
{
    kf_command command;
    assert_int_equal(kf_command_parse(wrapped, &command), KF_OK);
    assert_int_equal(command.cla, 0x84);
    size_t key_size = kf_secret_size(card->mac);
    size_t mac_size = card->card_challenge.size;
    uint8_t session_mac[32], mac[16];
    derive(kf_secret_expose(card->mac), 0x06, card, session_mac, key_size);
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = cipher_of(kf_view_of(session_mac, key_size));
    EMPTY(input);
    kf_buffer_append_bytes(&input, chain, 16);
    kf_buffer_append(&input, kf_view_part(wrapped, 0, wrapped.size - mac_size - (command.has_le ? 1 : 0)));
    assert_int_equal(kf_cmac(cipher, kf_buffer_view(&input), mac), KF_OK);
    assert_true(command.data.size >= mac_size);
    size_t body = command.data.size - mac_size;
    assert_memory_equal(mac, command.data.data + body, mac_size);
    memcpy(chain, mac, 16);
    size_t before = data->size;
    kf_buffer_append(data, kf_view_part(command.data, 0, body));
    if ((level & KF_LEVEL_C_DECRYPTION) == 0 || body == 0 || counter == 0) return;
    uint8_t session_enc[32], vector[16] = {0};
    derive(kf_secret_expose(card->enc), 0x04, card, session_enc, key_size);
    KF_CLEANUP(kf_cipher_free) kf_cipher *decryption = cipher_of(kf_view_of(session_enc, key_size));
    vector[15] = counter;
    assert_int_equal(kf_cipher_encrypt_blocks(decryption, KF_VIEW(vector), vector), KF_OK);
    kf_view encrypted = kf_view_of(data->data + before, body);
    assert_int_equal(kf_cipher_cbc_decrypt(decryption, vector, encrypted, data->data + before), KF_OK);
    kf_view plain;
    assert_int_equal(kf_mac_unpad2(encrypted, &plain), KF_OK);
    kf_buffer_truncate(data, before + plain.size);
}

void channel_card_respond(const channel_card *card, const kf_exchange *exchange, kf_view data,
                          uint16_t status_word, kf_buffer *response)
{
    EMPTY(body);
    EMPTY(input);
    kf_buffer_append(&body, data);
    if ((exchange->level & KF_LEVEL_R_ENCRYPTION) && data.size > 0) encrypt(card, exchange, &body);
    uint8_t session_rmac[32], mac[16];
    size_t key_size = kf_secret_size(card->mac);
    derive(kf_secret_expose(card->mac), 0x07, card, session_rmac, key_size);
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = cipher_of(kf_view_of(session_rmac, key_size));
    kf_buffer_append(&input, KF_VIEW(exchange->mac_chaining_value));
    kf_buffer_append(&input, kf_buffer_view(&body));
    kf_buffer_append_u16(&input, status_word);
    assert_int_equal(kf_cmac(cipher, kf_buffer_view(&input), mac), KF_OK);
    kf_buffer_append(response, kf_buffer_view(&body));
    kf_buffer_append_bytes(response, mac, card->card_challenge.size);
    kf_buffer_append_u16(response, status_word);
}
