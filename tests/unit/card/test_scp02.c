#include "hex_bytes.h"

#include <stdlib.h>

#include <keyfill/mac.h>
#include <keyfill/secure_channel.h>

#define KEY_ENC "404142434445464748494A4B4C4D4E4F"
#define KEY_MAC "505152535455565758595A5B5C5D5E5F"
#define KEY_DEK "606162636465666768696A6B6C6D6E6F"

/* The card's side, by the primitives of mac.h alone (Card Specification 2.3.1 E.4). */
typedef struct card {
    uint8_t session_enc[16];
    uint8_t session_mac[16];
    uint8_t session_rmac[16];
    uint8_t session_dek[16];
    uint8_t options;
    uint8_t chain[8];          /* the last C-MAC */
    bool chained;              /* a C-MAC was there */
    uint8_t response_chain[8]; /* the last R-MAC */
    uint8_t first_mac[8];      /* the C-MAC of EXTERNAL AUTHENTICATE */
    kf_buffer answer;
    kf_secure_channel *channel;
} card;

static const uint8_t host_challenge[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t card_part[8] = {0x00, 0x2A, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6};

static void session_key(const char *digits, uint8_t constant, uint8_t *key)
{
    BYTES(master, digits);
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    const uint8_t input[16] = {0x01, constant, card_part[0], card_part[1]};
    assert_int_equal(kf_cipher_new(KF_TDES, kf_buffer_view(&master), &cipher), KF_OK);
    assert_int_equal(kf_cipher_cbc_encrypt(cipher, NULL, KF_VIEW(input), key), KF_OK);
}

static void retail(const uint8_t *key, const uint8_t *vector, const kf_buffer *message, uint8_t *mac)
{
    kf_mac_pair pair;
    assert_int_equal(kf_mac_retail_pair(kf_view_of(key, 16), &pair), KF_OK);
    assert_int_equal(kf_mac_retail(pair, KF_PADDING_2, vector, kf_buffer_view(message), mac), KF_OK);
    kf_mac_pair_free(&pair);
}

static void make_answer(card *c)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    EMPTY(input);
    kf_buffer_append(&input, KF_VIEW(host_challenge));
    kf_buffer_append(&input, KF_VIEW(card_part));
    uint8_t cryptogram[8];
    assert_int_equal(kf_cipher_new(KF_TDES, KF_VIEW(c->session_enc), &cipher), KF_OK);
    assert_int_equal(kf_mac_cbc(cipher, KF_PADDING_2, NULL, kf_buffer_view(&input), cryptogram), KF_OK);
    kf_buffer_append_fill(&c->answer, 0xD1, 10);
    kf_buffer_append_u8(&c->answer, 0x21);
    kf_buffer_append_u8(&c->answer, 0x02);
    kf_buffer_append(&c->answer, KF_VIEW(card_part));
    kf_buffer_append(&c->answer, KF_VIEW(cryptogram));
    kf_buffer_append_u16(&c->answer, 0x9000);
}

static kf_secure_channel *open_channel(const card *c)
{
    SECRET(enc, KEY_ENC);
    SECRET(mac, KEY_MAC);
    SECRET(dek, KEY_DEK);
    const kf_key_set keys = {enc, mac, dek};
    kf_secure_channel *channel = NULL;
    assert_int_equal(
        kf_secure_channel_open(&keys, KF_VIEW(host_challenge), kf_buffer_view(&c->answer), &channel, NULL),
        KF_OK);
    assert_int_equal(kf_secure_channel_set_scp02_options(channel, c->options), KF_OK);
    return channel;
}

static card *new_card(uint8_t options)
{
    card *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->options = options;
    session_key(KEY_ENC, 0x82, c->session_enc);
    session_key(KEY_MAC, 0x01, c->session_mac);
    session_key(KEY_MAC, 0x02, c->session_rmac);
    session_key(KEY_DEK, 0x81, c->session_dek);
    make_answer(c);
    c->channel = open_channel(c);
    return c;
}

static void free_card(card **c)
{
    kf_secure_channel_free(&(*c)->channel);
    kf_buffer_clear(&(*c)->answer);
    free(*c);
}

#define CARD(name, options) KF_CLEANUP(free_card) card *name = new_card(options)

/* Checks the C-MAC of a wrapped command and gives its plain data. */
static void take(card *c, uint8_t level, kf_view wrapped, kf_buffer *data)
{
    kf_command command;
    assert_int_equal(kf_command_parse(wrapped, &command), KF_OK);
    assert_int_equal(command.cla & 0x04, 0x04);
    assert_true(command.data.size >= 8);
    size_t body = command.data.size - 8;
    kf_buffer_append(data, kf_view_part(command.data, 0, body));
    if ((level & KF_LEVEL_C_DECRYPTION) && body > 0) {
        KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
        kf_view plain;
        assert_int_equal(kf_cipher_new(KF_TDES, KF_VIEW(c->session_enc), &cipher), KF_OK);
        assert_int_equal(kf_cipher_cbc_decrypt(cipher, NULL, kf_buffer_view(data), data->data), KF_OK);
        assert_int_equal(kf_mac_unpad2(kf_buffer_view(data), &plain), KF_OK);
        kf_buffer_truncate(data, plain.size);
    }
    bool unmodified = (c->options & 0x02) != 0;
    EMPTY(input);
    kf_buffer_append_u8(&input, unmodified ? command.cla & 0xFB : command.cla);
    kf_buffer_append_u8(&input, command.ins);
    kf_buffer_append_u8(&input, command.p1);
    kf_buffer_append_u8(&input, command.p2);
    kf_buffer_append_u8(&input, (uint8_t)(data->size + (unmodified ? 0 : 8)));
    kf_buffer_append(&input, kf_buffer_view(data));
    uint8_t vector[8], mac[8];
    memcpy(vector, c->chain, 8);
    if (c->chained && (c->options & 0x10)) {
        KF_CLEANUP(kf_cipher_free) kf_cipher *single = NULL;
        assert_int_equal(kf_cipher_new(KF_DES, kf_view_of(c->session_mac, 8), &single), KF_OK);
        assert_int_equal(kf_cipher_encrypt_blocks(single, KF_VIEW(vector), vector), KF_OK);
    }
    retail(c->session_mac, vector, &input, mac);
    assert_memory_equal(mac, command.data.data + body, 8);
    memcpy(c->chain, mac, 8);
    c->chained = true;
}

static void respond(card *c, const char *stripped, const char *data, uint16_t status_word,
                    kf_buffer *response)
{
    BYTES(input, stripped);
    BYTES(body, data);
    uint8_t mac[8];
    kf_buffer_append_u8(&input, (uint8_t)body.size);
    kf_buffer_append(&input, kf_buffer_view(&body));
    kf_buffer_append_u16(&input, status_word);
    retail(c->session_rmac, c->response_chain, &input, mac);
    memcpy(c->response_chain, mac, 8);
    kf_buffer_append(response, kf_buffer_view(&body));
    kf_buffer_append(response, KF_VIEW(mac));
    kf_buffer_append_u16(response, status_word);
}

static void authenticate(card *c, uint8_t level)
{
    EMPTY(apdu);
    EMPTY(data);
    assert_int_equal(kf_secure_channel_external_authenticate(c->channel, level, &apdu, NULL), KF_OK);
    take(c, 0x01, kf_buffer_view(&apdu), &data);
    assert_int_equal(data.size, 8);
    memcpy(c->response_chain, c->chain, 8);
    memcpy(c->first_mac, c->chain, 8);
}

static void wrap(card *c, const char *digits, kf_buffer *wrapped, kf_exchange *exchange)
{
    BYTES(plain, digits);
    assert_int_equal(kf_secure_channel_wrap(c->channel, kf_buffer_view(&plain), wrapped, exchange), KF_OK);
}

static kf_code unwrap(card *c, const kf_exchange *exchange, const kf_buffer *response, kf_buffer *data)
{
    uint16_t status_word;
    return kf_secure_channel_unwrap(c->channel, exchange, kf_buffer_view(response), data, &status_word);
}

static const struct {
    const char *plain;
    const char *stripped;
    const char *data;
} commands[] = {
    {"80CA006600", "80CA006600", ""},
    {"80F22002", "80F2200200", ""},
    {"80E2800003010203", "80E2800003010203", "010203"},
    {"80F24002024F0000", "80F24002024F00", "4F00"},
    {"00A4040008A000000151000000", "00A4040008A000000151000000", "A000000151000000"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void every_option_and_level_is_understood_by_a_card(void **state)
{
    (void)state;
    static const uint8_t options[] = {0x04, 0x05, 0x14, 0x15, 0x17, 0x44, 0x45, 0x54, 0x55, 0x35, 0x75, 0x77};
    static const uint8_t levels[] = {0x00, 0x01, 0x03, 0x10, 0x11, 0x13};
    for (size_t k = 0; k < sizeof(options); k++)
        for (size_t n = 0; n < sizeof(levels); n++) {
            uint8_t level = levels[n];
            if ((level & 0x10) && (options[k] & 0x20) == 0) continue;
            CARD(c, options[k]);
            authenticate(c, level);
            for (size_t i = 0; i < COMMANDS; i++) {
                EMPTY(wrapped);
                EMPTY(data);
                EMPTY(response);
                EMPTY(out);
                kf_exchange exchange;
                wrap(c, commands[i].plain, &wrapped, &exchange);
                if (level & 0x01) {
                    take(c, level, kf_buffer_view(&wrapped), &data);
                    assert_bytes(kf_buffer_view(&data), commands[i].data);
                } else {
                    assert_bytes(kf_buffer_view(&wrapped), commands[i].plain);
                }
                if ((level & 0x10) == 0) continue;
                respond(c, commands[i].stripped, i % 2 ? "" : "CAFE", i == 3 ? 0x6310 : 0x9000, &response);
                assert_int_equal(unwrap(c, &exchange, &response, &out), KF_OK);
                assert_bytes(kf_buffer_view(&out), i % 2 ? "" : "CAFE");
            }
        }
}

/* E.4.5: BEGIN and its answer are covered by the first response MAC, END is not. */
static void advance(card *c, const char *stripped, const char *data)
{
    EMPTY(unsent);
    respond(c, stripped, data, 0x9000, &unsent);
}

static void an_r_mac_session_covers_begin_and_ends_with_the_mac_so_far(void **state)
{
    (void)state;
    static const uint8_t levels[] = {0x00, 0x01, 0x03};
    static const uint8_t session_levels[] = {0x00, 0x10};
    for (size_t k = 0; k < sizeof(levels) * sizeof(session_levels); k++) {
        uint8_t level = levels[k / 2], asked = session_levels[k % 2];
        CARD(c, 0x75);
        EMPTY(wrapped);
        EMPTY(plain);
        EMPTY(out);
        EMPTY(response);
        EMPTY(last);
        BYTES(ok, "9000");
        BYTES(bare, "CAFE9000");
        kf_exchange exchange;
        const uint8_t challenge[] = {0xC0, 0xDE};
        authenticate(c, level);
        wrap(c, commands[0].plain, &wrapped, &exchange);
        if (level & 0x01) take(c, level, kf_buffer_view(&wrapped), &plain);
        assert_int_equal(unwrap(c, &exchange, &bare, &out), KF_OK);
        memcpy(c->response_chain, c->first_mac, 8);
        kf_buffer_clear(&wrapped);
        kf_buffer_clear(&plain);
        assert_int_equal(
            kf_secure_channel_begin_r_mac(c->channel, asked, KF_VIEW(challenge), &wrapped, &exchange), KF_OK);
        if (level & 0x01) take(c, level, kf_buffer_view(&wrapped), &plain);
        assert_int_equal(unwrap(c, &exchange, &ok, &out), KF_OK);
        advance(c, asked == 0 ? "807A00010302C0DE" : "807A10010302C0DE", "");
        kf_buffer_clear(&wrapped);
        kf_buffer_clear(&plain);
        kf_buffer_clear(&out);
        wrap(c, commands[2].plain, &wrapped, &exchange);
        if (level & 0x01) take(c, level, kf_buffer_view(&wrapped), &plain);
        respond(c, commands[2].stripped, "CAFE", 0x9000, &response);
        assert_int_equal(unwrap(c, &exchange, asked == 0 ? &bare : &response, &out), KF_OK);
        assert_bytes(kf_buffer_view(&out), "CAFE");
        kf_buffer_clear(&wrapped);
        kf_buffer_clear(&plain);
        kf_buffer_clear(&out);
        assert_int_equal(kf_secure_channel_end_r_mac(c->channel, &wrapped, &exchange), KF_OK);
        if (level & 0x01) take(c, level, kf_buffer_view(&wrapped), &plain);
        kf_buffer_append_bytes(&last, c->response_chain, 8);
        kf_buffer_append_u16(&last, 0x9000);
        if (k % 3 == 2) last.data[3] ^= 1;
        assert_int_equal(unwrap(c, &exchange, &last, &out), k % 3 == 2 ? KF_ERR_RESPONSE_MAC : KF_OK);
        if (k % 3 == 2) continue;
        assert_int_equal(out.size, 8);
        assert_int_equal(kf_secure_channel_level(c->channel), level);
        wrap(c, commands[0].plain, &wrapped, &exchange);
        assert_int_equal(unwrap(c, &exchange, &bare, &out), KF_OK);
    }
}

static void an_r_mac_session_may_be_chained_to_the_last_command_mac(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        CARD(c, 0x75);
        EMPTY(wrapped);
        EMPTY(plain);
        EMPTY(out);
        EMPTY(response);
        EMPTY(end);
        BYTES(ok, "9000");
        kf_exchange exchange;
        authenticate(c, 0x01);
        assert_int_equal(
            kf_secure_channel_begin_r_mac(c->channel, 0x10, kf_view_of(NULL, 0), &wrapped, &exchange), KF_OK);
        take(c, 0x01, kf_buffer_view(&wrapped), &plain);
        assert_int_equal(unwrap(c, &exchange, &ok, &out), KF_OK);
        memcpy(c->response_chain, c->chain, 8);
        kf_buffer_clear(&wrapped);
        wrap(c, commands[0].plain, &wrapped, &exchange);
        respond(c, commands[0].stripped, "CAFE", 0x9000, &response);
        if (k == 1) response.data[2] ^= 1;
        assert_int_equal(unwrap(c, &exchange, &response, &out), k == 1 ? KF_ERR_RESPONSE_MAC : KF_OK);
        if (k == 1) continue;
        kf_buffer_clear(&wrapped);
        assert_int_equal(kf_secure_channel_end_r_mac(c->channel, &wrapped, &exchange), KF_OK);
        respond(c, "8078000300", "", 0x9000, &end);
        assert_int_equal(unwrap(c, &exchange, &end, &out), KF_OK);
    }
}

static void options_are_taken_before_authentication_and_from_cards_of_this_protocol(void **state)
{
    (void)state;
    CARD(c, 0x15);
    assert_int_equal(kf_secure_channel_set_scp02_options(c->channel, 0x1A), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_secure_channel_set_scp02_options(c->channel, 0x0D), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_secure_channel_set_scp02_options(c->channel, 0x95), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_secure_channel_answer(c->channel)->options, 0x15);
    EMPTY(apdu);
    assert_int_equal(kf_secure_channel_external_authenticate(c->channel, 0x13, &apdu, NULL), KF_ERR_CHANNEL);
    assert_int_equal(kf_secure_channel_external_authenticate(c->channel, 0x33, &apdu, NULL), KF_ERR_CHANNEL);
    authenticate(c, 0x03);
    assert_int_equal(kf_secure_channel_set_scp02_options(c->channel, 0x15), KF_ERR_CHANNEL);
    assert_int_equal(kf_secure_channel_best_level(0x02, 0x55), 0x03);
    assert_int_equal(kf_secure_channel_best_level(0x02, 0x75), 0x13);
    assert_true(kf_secure_channel_has_response_mac(0x02, 0x35));
}

static void any_flip_in_a_response_closes_the_channel(void **state)
{
    (void)state;
    CARD(model, 0x75);
    authenticate(model, 0x13);
    EMPTY(response);
    respond(model, commands[0].stripped, "0102030405", 0x9000, &response);
    for (size_t i = 0; i < 8 * (response.size - 2); i++) {
        CARD(c, 0x75);
        EMPTY(wrapped);
        EMPTY(out);
        kf_exchange exchange;
        authenticate(c, 0x13);
        wrap(c, commands[0].plain, &wrapped, &exchange);
        response.data[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(unwrap(c, &exchange, &response, &out), KF_ERR_RESPONSE_MAC);
        response.data[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(unwrap(c, &exchange, &response, &out), KF_ERR_CHANNEL);
        assert_int_equal(out.size, 0);
        BYTES(plain, commands[0].plain);
        assert_int_equal(kf_secure_channel_wrap(c->channel, kf_buffer_view(&plain), &out, NULL),
                         KF_ERR_CHANNEL);
    }
}

static void responses_are_taken_in_order_and_once(void **state)
{
    (void)state;
    CARD(c, 0x75);
    authenticate(c, 0x11);
    kf_exchange exchanges[3];
    kf_buffer responses[3] = {KF_BUFFER_INIT, KF_BUFFER_INIT, KF_BUFFER_INIT};
    for (size_t i = 0; i < 3; i++) {
        EMPTY(wrapped);
        wrap(c, commands[i].plain, &wrapped, &exchanges[i]);
        respond(c, commands[i].stripped, "AA", 0x9000, &responses[i]);
    }
    EMPTY(out);
    assert_int_equal(unwrap(c, &exchanges[0], &responses[0], &out), KF_OK);
    assert_int_equal(unwrap(c, &exchanges[0], &responses[0], &out), KF_ERR_CHANNEL);
    kf_exchange unknown = exchanges[2];
    unknown.encryption_counter = 4;
    assert_int_equal(unwrap(c, &unknown, &responses[2], &out), KF_ERR_CHANNEL);
    assert_int_equal(unwrap(c, &exchanges[1], &responses[1], &out), KF_OK);
    assert_int_equal(unwrap(c, &exchanges[2], &responses[2], &out), KF_OK);
    assert_bytes(kf_buffer_view(&out), "AAAAAA");
    for (size_t i = 0; i < 3; i++)
        kf_buffer_clear(&responses[i]);
}

static void an_error_may_come_without_a_mac_and_with_one_it_is_checked(void **state)
{
    (void)state;
    CARD(c, 0x35);
    authenticate(c, 0x13);
    EMPTY(out);
    kf_exchange exchanges[2];
    for (size_t i = 0; i < 2; i++) {
        EMPTY(wrapped);
        wrap(c, commands[0].plain, &wrapped, &exchanges[i]);
    }
    BYTES(bare, "6A88");
    assert_int_equal(unwrap(c, &exchanges[0], &bare, &out), KF_OK);
    EMPTY(with_mac);
    respond(c, commands[0].stripped, "", 0x6A88, &with_mac);
    assert_int_equal(unwrap(c, &exchanges[1], &with_mac, &out), KF_OK);
    assert_int_equal(out.size, 0);
    EMPTY(wrapped);
    wrap(c, commands[0].plain, &wrapped, &exchanges[0]);
    assert_int_equal(unwrap(c, &exchanges[0], &with_mac, &out), KF_ERR_RESPONSE_MAC);
}

static void a_command_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    CARD(c, 0x75);
    authenticate(c, 0x13);
    static const uint8_t data[255];
    kf_command large = {0x80, 0xE2, 0, 0, KF_VIEW(data), false, 0, false};
    kf_command extended = {0x80, 0xE2, 0, 0, {data, 1}, false, 0, true};
    EMPTY(too_large);
    EMPTY(long_form);
    EMPTY(out);
    assert_int_equal(kf_command_encode(&large, &too_large), KF_OK);
    assert_int_equal(kf_command_encode(&extended, &long_form), KF_OK);
    assert_int_equal(kf_secure_channel_wrap(c->channel, kf_buffer_view(&too_large), &out, NULL),
                     KF_ERR_TOO_LONG);
    assert_int_equal(kf_secure_channel_wrap(c->channel, kf_buffer_view(&long_form), &out, NULL),
                     KF_ERR_TOO_LONG);
    assert_int_equal(out.size, 0);
    EMPTY(wrapped);
    EMPTY(taken);
    EMPTY(response);
    kf_exchange exchange;
    wrap(c, commands[2].plain, &wrapped, &exchange);
    take(c, 0x13, kf_buffer_view(&wrapped), &taken);
    respond(c, commands[2].stripped, "", 0x9000, &response);
    assert_int_equal(unwrap(c, &exchange, &response, &out), KF_OK);
}

static void keys_are_encrypted_by_the_session_key(void **state)
{
    (void)state;
    CARD(c, 0x55);
    SECRET(key, KEY_ENC);
    EMPTY(encrypted);
    assert_int_equal(kf_secure_channel_encrypt_key(c->channel, key, &encrypted), KF_OK);
    KF_CLEANUP(kf_cipher_free) kf_cipher *dek = NULL;
    uint8_t plain[16];
    assert_int_equal(kf_cipher_new(KF_TDES, KF_VIEW(c->session_dek), &dek), KF_OK);
    assert_int_equal(encrypted.size, 16);
    assert_int_equal(kf_cipher_decrypt_blocks(dek, kf_buffer_view(&encrypted), plain), KF_OK);
    assert_bytes(KF_VIEW(plain), KEY_ENC);
}

static void a_closed_channel_does_nothing_more(void **state)
{
    (void)state;
    CARD(c, 0x75);
    authenticate(c, 0x13);
    EMPTY(wrapped);
    EMPTY(out);
    kf_exchange exchange;
    wrap(c, commands[0].plain, &wrapped, &exchange);
    kf_secure_channel_close(c->channel);
    kf_secure_channel_close(c->channel);
    SECRET(key, KEY_ENC);
    BYTES(ok, "9000");
    assert_int_equal(unwrap(c, &exchange, &ok, &out), KF_ERR_CHANNEL);
    assert_int_equal(kf_secure_channel_wrap(c->channel, kf_buffer_view(&wrapped), &out, NULL),
                     KF_ERR_CHANNEL);
    assert_int_equal(kf_secure_channel_external_authenticate(c->channel, 0x01, &out, NULL), KF_ERR_CHANNEL);
    assert_int_equal(kf_secure_channel_encrypt_key(c->channel, key, &out), KF_ERR_CHANNEL);
    assert_int_equal(kf_secure_channel_set_scp02_options(c->channel, 0x15), KF_ERR_CHANNEL);
    assert_int_equal(out.size, 0);
    assert_int_equal(kf_secure_channel_answer(c->channel)->key_version, 0x21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_and_level_is_understood_by_a_card),
        cmocka_unit_test(an_r_mac_session_covers_begin_and_ends_with_the_mac_so_far),
        cmocka_unit_test(an_r_mac_session_may_be_chained_to_the_last_command_mac),
        cmocka_unit_test(options_are_taken_before_authentication_and_from_cards_of_this_protocol),
        cmocka_unit_test(any_flip_in_a_response_closes_the_channel),
        cmocka_unit_test(responses_are_taken_in_order_and_once),
        cmocka_unit_test(an_error_may_come_without_a_mac_and_with_one_it_is_checked),
        cmocka_unit_test(a_command_that_does_not_fit_changes_nothing),
        cmocka_unit_test(keys_are_encrypted_by_the_session_key),
        cmocka_unit_test(a_closed_channel_does_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
