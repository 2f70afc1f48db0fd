#include "channel_card.h"
#include "hex_bytes.h"

#include <stdlib.h>

#define KEY_ENC "404142434445464748494A4B4C4D4E4F"
#define KEY_MAC "505152535455565758595A5B5C5D5E5F"
#define KEY_DEK "606162636465666768696A6B6C6D6E6F"

/* One session: keys, card, its answer, an open channel. */
typedef struct session {
    kf_secret *enc;
    kf_secret *mac;
    kf_secret *dek;
    uint8_t host_challenge[16];
    uint8_t card_challenge[16];
    channel_card card;
    kf_buffer answer;
    kf_secure_channel *channel;
} session;

static kf_key_set keys_of(const session *s)
{
    return (kf_key_set){s->enc, s->mac, s->dek};
}

static kf_secure_channel *open_channel(const session *s)
{
    kf_secure_channel *channel = NULL;
    kf_key_set keys = keys_of(s);
    assert_int_equal(
        kf_secure_channel_open(&keys, s->card.host_challenge, kf_buffer_view(&s->answer), &channel, NULL),
        KF_OK);
    return channel;
}

static session *new_session(uint8_t options)
{
    session *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->enc = secret_of(KEY_ENC);
    s->mac = secret_of(KEY_MAC);
    s->dek = secret_of(KEY_DEK);
    for (size_t i = 0; i < 16; i++) {
        s->host_challenge[i] = (uint8_t)i;
        s->card_challenge[i] = (uint8_t)(0xF0 - i);
    }
    size_t size = options & 1 ? 16 : 8;
    s->card = (channel_card){s->enc, s->mac, options, {s->host_challenge, size}, {s->card_challenge, size}};
    channel_card_answer(&s->card, &s->answer);
    s->channel = open_channel(s);
    return s;
}

static void free_session(session **s)
{
    kf_secure_channel_free(&(*s)->channel);
    kf_secret_free(&(*s)->enc);
    kf_secret_free(&(*s)->mac);
    kf_secret_free(&(*s)->dek);
    kf_buffer_clear(&(*s)->answer);
    free(*s);
}

#define SESSION(name, options) KF_CLEANUP(free_session) session *name = new_session(options)

static void authenticate(kf_secure_channel *channel, uint8_t level)
{
    EMPTY(apdu);
    assert_int_equal(kf_secure_channel_external_authenticate(channel, level, &apdu, NULL), KF_OK);
}

static void any_flip_in_challenge_or_cryptogram_fails_the_cryptogram(void **state)
{
    (void)state;
    SESSION(s, 0x71);
    kf_key_set keys = keys_of(s);
    assert_int_equal(
        kf_secure_channel_verify(&keys, s->card.host_challenge, kf_buffer_view(&s->answer), NULL), KF_OK);
    for (size_t i = 13; i < 13 + 32; i++) {
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            s->answer.data[i] ^= (uint8_t)bit;
            kf_secure_channel *channel = NULL;
            kf_view response = kf_buffer_view(&s->answer);
            assert_int_equal(kf_secure_channel_verify(&keys, s->card.host_challenge, response, NULL),
                             KF_ERR_CRYPTOGRAM);
            assert_int_equal(kf_secure_channel_open(&keys, s->card.host_challenge, response, &channel, NULL),
                             KF_ERR_CRYPTOGRAM);
            assert_null(channel);
            s->answer.data[i] ^= (uint8_t)bit;
        }
    }
}

static void another_key_or_host_challenge_fails_the_cryptogram(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    kf_error error = {0};
    kf_key_set swapped = {s->mac, s->enc, s->dek};
    assert_int_equal(
        kf_secure_channel_verify(&swapped, s->card.host_challenge, kf_buffer_view(&s->answer), &error),
        KF_ERR_CRYPTOGRAM);
    assert_non_null(strstr(kf_error_text(&error), "D0D0D0D0D0D0D0D0D0D0"));
    kf_key_set keys = keys_of(s);
    s->host_challenge[0] ^= 1;
    assert_int_equal(
        kf_secure_channel_verify(&keys, s->card.host_challenge, kf_buffer_view(&s->answer), NULL),
        KF_ERR_CRYPTOGRAM);
}

static void only_the_mac_key_is_needed_to_verify(void **state)
{
    (void)state;
    SESSION(s, 0x00);
    kf_key_set keys = {NULL, s->mac, NULL};
    assert_int_equal(
        kf_secure_channel_verify(&keys, s->card.host_challenge, kf_buffer_view(&s->answer), NULL), KF_OK);
    kf_secure_channel *channel = NULL;
    assert_int_equal(
        kf_secure_channel_open(&keys, s->card.host_challenge, kf_buffer_view(&s->answer), &channel, NULL),
        KF_ERR_ARGUMENT);
}

static void answers_of_impossible_length_or_protocol_are_refused(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    kf_initialize_update answer;
    for (size_t size = 0; size < s->answer.size + 20; size++) {
        EMPTY(response);
        kf_buffer_append(&response,
                         kf_view_of(s->answer.data, size < s->answer.size - 2 ? size : s->answer.size - 2));
        while (response.size < size)
            kf_buffer_append_u8(&response, 0);
        kf_buffer_append_u16(&response, 0x9000);
        kf_code code = kf_initialize_update_parse(kf_buffer_view(&response), &answer, NULL);
        bool known = size == 29 || size == 32 || size == 45 || size == 48;
        assert_int_equal(code, known ? KF_OK : KF_ERR_APDU);
    }
    s->answer.data[11] = 0x10;
    assert_int_equal(kf_initialize_update_parse(kf_buffer_view(&s->answer), &answer, NULL),
                     KF_ERR_UNSUPPORTED);
    BYTES(refused, "6A88");
    kf_error error = {0};
    assert_int_equal(kf_initialize_update_parse(kf_buffer_view(&refused), &answer, &error),
                     KF_ERR_STATUS_WORD);
    assert_int_equal(kf_initialize_update_parse(kf_view_of(NULL, 0), &answer, NULL), KF_ERR_APDU);
}

static void keys_of_another_size_are_refused(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    SECRET(short_key, "4041424344454647");
    SECRET(long_key, KEY_ENC "5051525354555657");
    kf_secure_channel *channel = NULL;
    kf_key_set keys = {short_key, short_key, NULL};
    assert_int_equal(
        kf_secure_channel_open(&keys, s->card.host_challenge, kf_buffer_view(&s->answer), &channel, NULL),
        KF_ERR_KEY_SIZE);
    kf_key_set unequal = {long_key, s->mac, NULL};
    assert_int_equal(
        kf_secure_channel_open(&unequal, s->card.host_challenge, kf_buffer_view(&s->answer), &channel, NULL),
        KF_ERR_KEY_SIZE);
    kf_key_set keys_of_session = keys_of(s);
    assert_int_equal(kf_secure_channel_verify(&keys_of_session, kf_view_of(s->host_challenge, 16),
                                              kf_buffer_view(&s->answer), NULL),
                     KF_ERR_CHANNEL);
}

static void levels_are_those_that_exist_and_the_card_offers(void **state)
{
    (void)state;
    assert_int_equal(kf_secure_channel_best_level(0x03, 0x70), 0x33);
    assert_int_equal(kf_secure_channel_best_level(0x03, 0x60), 0x33);
    assert_int_equal(kf_secure_channel_best_level(0x03, 0x20), 0x13);
    assert_int_equal(kf_secure_channel_best_level(0x03, 0x30), 0x13);
    assert_int_equal(kf_secure_channel_best_level(0x03, 0x10), 0x03);
    assert_int_equal(kf_secure_channel_best_level(0x03, 0x00), 0x03);
    assert_int_equal(kf_secure_channel_best_level(0x02, 0x55), 0x03);
    assert_false(kf_secure_channel_has_response_mac(0x03, 0x10));
    assert_true(kf_secure_channel_has_response_mac(0x03, 0x20));
    SESSION(s, 0x10);
    EMPTY(apdu);
    for (unsigned level = 0; level <= 0xFF; level++) {
        if (level == 0x00 || level == 0x01 || level == 0x03) continue;
        kf_error error = {0};
        assert_int_equal(kf_secure_channel_external_authenticate(s->channel, (uint8_t)level, &apdu, &error),
                         KF_ERR_CHANNEL);
    }
    assert_int_equal(apdu.size, 0);
    assert_int_equal(kf_secure_channel_external_authenticate(s->channel, 0x03, &apdu, NULL), KF_OK);
    assert_int_equal(kf_secure_channel_level(s->channel), 0x03);
    assert_int_equal(kf_secure_channel_external_authenticate(s->channel, 0x03, &apdu, NULL), KF_ERR_CHANNEL);
}

/* One command and its response as the card sees and makes them. */
static void assert_exchange(session *s, uint8_t level, uint8_t number, uint8_t chain[16])
{
    BYTES(plain, "80E2800005010203040500");
    BYTES(answer, "CAFE01");
    EMPTY(wrapped);
    EMPTY(data);
    EMPTY(response);
    EMPTY(out);
    kf_exchange exchange;
    uint16_t status_word;
    assert_int_equal(kf_secure_channel_wrap(s->channel, kf_buffer_view(&plain), &wrapped, &exchange), KF_OK);
    if (level & KF_LEVEL_C_MAC) {
        channel_card_take(&s->card, level, number, kf_buffer_view(&wrapped), chain, &data);
        assert_bytes(kf_buffer_view(&data), "0102030405");
    }
    if (level & KF_LEVEL_R_MAC) {
        channel_card_respond(&s->card, &exchange, kf_buffer_view(&answer), 0x9000, &response);
    } else {
        kf_buffer_append(&response, kf_buffer_view(&answer));
        kf_buffer_append_u16(&response, 0x9000);
    }
    assert_int_equal(
        kf_secure_channel_unwrap(s->channel, &exchange, kf_buffer_view(&response), &out, &status_word),
        KF_OK);
    assert_bytes(kf_buffer_view(&out), "CAFE01");
}

static void open_as_card(session *s, uint8_t level, uint8_t chain[16])
{
    EMPTY(apdu);
    EMPTY(cryptogram);
    assert_int_equal(kf_secure_channel_external_authenticate(s->channel, level, &apdu, NULL), KF_OK);
    channel_card_take(&s->card, level, 0, kf_buffer_view(&apdu), chain, &cryptogram);
}

static void every_option_and_level_is_understood_by_a_card(void **state)
{
    (void)state;
    static const uint8_t options[] = {0x00, 0x10, 0x20, 0x30, 0x60, 0x70, 0x01, 0x11, 0x21, 0x31, 0x61, 0x71};
    size_t opened = 0;
    for (size_t k = 0; k < sizeof(options); k++)
        for (unsigned level = 0; level <= 0x33; level++) {
            SESSION(s, options[k]);
            EMPTY(apdu);
            uint8_t chain[16] = {0};
            uint8_t best = kf_secure_channel_best_level(0x03, options[k]);
            bool exists = level == 0x00 || level == 0x01 || level == 0x03 || level == 0x11 || level == 0x13 ||
                          level == 0x33;
            if (!exists || (level & ~(unsigned)best) != 0) {
                assert_int_equal(
                    kf_secure_channel_external_authenticate(s->channel, (uint8_t)level, &apdu, NULL),
                    KF_ERR_CHANNEL);
                continue;
            }
            opened++;
            open_as_card(s, (uint8_t)level, chain);
            for (uint8_t number = 1; number <= 3; number++)
                assert_exchange(s, (uint8_t)level, number, chain);
        }
    assert_int_equal(opened, 2 * (3 + 3 + 5 + 5 + 6 + 6));
}

static void begin(session *s, uint8_t level, uint8_t chain[16], kf_exchange *exchange)
{
    EMPTY(wrapped);
    EMPTY(data);
    const uint8_t challenge[] = {0xC0, 0xDE};
    uint8_t before = kf_secure_channel_level(s->channel);
    assert_int_equal(kf_secure_channel_begin_r_mac(s->channel, level, KF_VIEW(challenge), &wrapped, exchange),
                     KF_OK);
    channel_card_take(&s->card, before, 2, kf_buffer_view(&wrapped), chain, &data);
    assert_int_equal(wrapped.data[1], 0x7A);
    assert_int_equal(wrapped.data[2], level);
    assert_int_equal(wrapped.data[3], 0x01);
    assert_bytes(kf_buffer_view(&data), "02C0DE");
}

static void an_r_mac_session_puts_macs_on_the_responses_between_its_ends(void **state)
{
    (void)state;
    static const uint8_t session_levels[] = {0x10, 0x30};
    for (size_t i = 0; i < sizeof(session_levels); i++) {
        uint8_t level = session_levels[i];
        SESSION(s, 0x70);
        EMPTY(out);
        EMPTY(wrapped);
        EMPTY(response);
        kf_exchange exchange;
        uint16_t status_word;
        uint8_t chain[16] = {0};
        open_as_card(s, 0x03, chain);
        assert_exchange(s, 0x03, 1, chain);
        begin(s, level, chain, &exchange);
        BYTES(ok, "9000");
        assert_int_equal(
            kf_secure_channel_unwrap(s->channel, &exchange, kf_buffer_view(&ok), &out, &status_word), KF_OK);
        assert_int_equal(kf_secure_channel_level(s->channel), 0x03 | level);
        assert_exchange(s, (uint8_t)(0x03 | level), 3, chain);
        assert_int_equal(kf_secure_channel_end_r_mac(s->channel, &wrapped, &exchange), KF_OK);
        EMPTY(data);
        channel_card_take(&s->card, 0x03, 4, kf_buffer_view(&wrapped), chain, &data);
        assert_int_equal(wrapped.data[1], 0x78);
        channel_card_respond(&s->card, &exchange, kf_view_of(NULL, 0), 0x9000, &response);
        assert_int_equal(
            kf_secure_channel_unwrap(s->channel, &exchange, kf_buffer_view(&response), &out, &status_word),
            KF_OK);
        assert_int_equal(kf_secure_channel_level(s->channel), 0x03);
        assert_exchange(s, 0x03, 5, chain);
    }
}

static void an_r_mac_session_that_the_card_refuses_has_not_begun(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    EMPTY(out);
    kf_exchange exchange;
    uint16_t status_word;
    uint8_t chain[16] = {0};
    open_as_card(s, 0x03, chain);
    assert_exchange(s, 0x03, 1, chain);
    begin(s, 0x10, chain, &exchange);
    BYTES(refused, "6985");
    assert_int_equal(
        kf_secure_channel_unwrap(s->channel, &exchange, kf_buffer_view(&refused), &out, &status_word), KF_OK);
    assert_int_equal(kf_secure_channel_level(s->channel), 0x03);
    assert_exchange(s, 0x03, 3, chain);
    assert_int_equal(kf_secure_channel_end_r_mac(s->channel, &out, NULL), KF_ERR_CHANNEL);
}

static void an_r_mac_session_needs_a_card_and_a_level_for_it(void **state)
{
    (void)state;
    static const struct {
        uint8_t options;
        uint8_t level;
        uint8_t asked;
    } refused[] = {{0x70, 0x00, 0x10}, {0x70, 0x11, 0x10}, {0x10, 0x03, 0x10}, {0x30, 0x03, 0x30},
                   {0x70, 0x01, 0x30}, {0x70, 0x03, 0x00}, {0x70, 0x03, 0x20}};
    const kf_view none = {NULL, 0};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        SESSION(s, refused[i].options);
        EMPTY(out);
        assert_int_equal(kf_secure_channel_begin_r_mac(s->channel, 0x10, none, &out, NULL), KF_ERR_CHANNEL);
        authenticate(s->channel, refused[i].level);
        assert_int_equal(kf_secure_channel_begin_r_mac(s->channel, refused[i].asked, none, &out, NULL),
                         KF_ERR_CHANNEL);
        assert_int_equal(out.size, 0);
    }
    SESSION(s, 0x70);
    EMPTY(out);
    const uint8_t long_data[25] = {0};
    authenticate(s->channel, 0x03);
    assert_int_equal(kf_secure_channel_begin_r_mac(s->channel, 0x10, KF_VIEW(long_data), &out, NULL),
                     KF_ERR_ARGUMENT);
    assert_int_equal(kf_secure_channel_begin_r_mac(s->channel, 0x10, none, &out, NULL), KF_OK);
    assert_int_equal(kf_secure_channel_begin_r_mac(s->channel, 0x10, none, &out, NULL), KF_ERR_CHANNEL);
}

static void nothing_is_wrapped_before_external_authenticate(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    BYTES(plain, "80CA006600");
    EMPTY(wrapped);
    assert_int_equal(kf_secure_channel_wrap(s->channel, kf_buffer_view(&plain), &wrapped, NULL),
                     KF_ERR_CHANNEL);
    assert_int_equal(wrapped.size, 0);
}

static void wrapping_again_gives_the_same_bytes_and_unwraps_the_old_responses(void **state)
{
    (void)state;
    static const char *const plains[] = {"80F22002", "80E2880003010203", "80CA006600", "80F24002024F0000"};
    enum { COUNT = 4 };
    SESSION(s, 0x70);
    kf_exchange exchanges[COUNT];
    KF_CLEANUP(kf_command_list_clear) kf_command_list first = {0};
    authenticate(s->channel, 0x33);
    for (size_t i = 0; i < COUNT; i++) {
        BYTES(plain, plains[i]);
        kf_buffer *wrapped = kf_command_list_append(&first);
        assert_int_equal(kf_secure_channel_wrap(s->channel, kf_buffer_view(&plain), wrapped, &exchanges[i]),
                         KF_OK);
    }
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *later = open_channel(s);
    authenticate(later, 0x33);
    for (size_t i = 0; i < COUNT; i++) {
        BYTES(plain, plains[i]);
        EMPTY(wrapped);
        kf_exchange exchange;
        assert_int_equal(kf_secure_channel_wrap(later, kf_buffer_view(&plain), &wrapped, &exchange), KF_OK);
        assert_true(kf_view_equal(kf_buffer_view(&wrapped), kf_buffer_view(&first.items[i])));
        assert_int_equal(exchange.encryption_counter, i + 1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        BYTES(data, "E3024F00AA");
        EMPTY(response);
        EMPTY(plain);
        uint16_t status_word = 0;
        channel_card_respond(&s->card, &exchanges[i], kf_buffer_view(&data), 0x9000, &response);
        assert_int_equal(
            kf_secure_channel_unwrap(later, &exchanges[i], kf_buffer_view(&response), &plain, &status_word),
            KF_OK);
        assert_int_equal(status_word, 0x9000);
        assert_bytes(kf_buffer_view(&plain), "E3024F00AA");
    }
}

/* On a channel of its own: a wrong response closes it. */
static kf_code unwrap_in_new_channel(const session *s, kf_view response, kf_buffer *out,
                                     uint16_t *status_word)
{
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = open_channel(s);
    authenticate(channel, 0x33);
    BYTES(plain, "80CA006600");
    EMPTY(wrapped);
    kf_exchange exchange;
    assert_int_equal(kf_secure_channel_wrap(channel, kf_buffer_view(&plain), &wrapped, &exchange), KF_OK);
    kf_code code = kf_secure_channel_unwrap(channel, &exchange, response, out, status_word);
    if (code == KF_ERR_RESPONSE_MAC) {
        EMPTY(nothing);
        uint16_t none;
        assert_int_equal(kf_secure_channel_wrap(channel, kf_buffer_view(&plain), &nothing, NULL),
                         KF_ERR_CHANNEL);
        assert_int_equal(kf_secure_channel_unwrap(channel, &exchange, response, &nothing, &none),
                         KF_ERR_CHANNEL);
        assert_int_equal(nothing.size, 0);
    }
    return code;
}

static void any_flip_in_a_response_is_noticed_and_closes_the_channel(void **state)
{
    (void)state;
    static const uint8_t options[] = {0x70, 0x71};
    for (size_t k = 0; k < sizeof(options); k++) {
        SESSION(s, options[k]);
        authenticate(s->channel, 0x33);
        BYTES(plain, "80CA006600");
        BYTES(data, "0102030405060708090A0B0C0D0E0F101112");
        EMPTY(wrapped);
        EMPTY(response);
        kf_exchange exchange;
        assert_int_equal(kf_secure_channel_wrap(s->channel, kf_buffer_view(&plain), &wrapped, &exchange),
                         KF_OK);
        channel_card_respond(&s->card, &exchange, kf_buffer_view(&data), 0x9000, &response);
        /* The status word's first byte is left: some flips of it make an error, which carries no MAC. */
        for (size_t i = 0; i < response.size; i++) {
            if (i == response.size - 2) continue;
            EMPTY(out);
            uint16_t status_word = 0x1234;
            response.data[i] ^= 0x01;
            kf_code code = unwrap_in_new_channel(s, kf_buffer_view(&response), &out, &status_word);
            response.data[i] ^= 0x01;
            if (i == response.size - 1) continue; /* 9001 is no status word under a MAC */
            assert_int_equal(code, KF_ERR_RESPONSE_MAC);
            assert_int_equal(out.size, 0);
            assert_int_equal(status_word, 0x1234);
        }
        for (size_t size = 0; size + 2 < response.size; size++) {
            EMPTY(cut);
            EMPTY(out);
            uint16_t status_word;
            kf_buffer_append(&cut, kf_view_of(response.data, size));
            kf_buffer_append_u16(&cut, 0x9000);
            assert_int_equal(unwrap_in_new_channel(s, kf_buffer_view(&cut), &out, &status_word),
                             KF_ERR_RESPONSE_MAC);
        }
    }
}

static void warnings_carry_a_mac_and_errors_do_not(void **state)
{
    (void)state;
    static const uint16_t warnings[] = {0x6310, 0x6283, 0x6200};
    for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
        SESSION(s, 0x70);
        authenticate(s->channel, 0x13);
        BYTES(plain, "80F24002024F0000");
        EMPTY(wrapped);
        kf_exchange exchange;
        assert_int_equal(kf_secure_channel_wrap(s->channel, kf_buffer_view(&plain), &wrapped, &exchange),
                         KF_OK);
        BYTES(refused, "6A88");
        EMPTY(bare);
        EMPTY(protected);
        EMPTY(out);
        uint16_t status_word = 0;
        kf_buffer_append_u16(&bare, warnings[i]);
        assert_int_equal(
            kf_secure_channel_unwrap(s->channel, &exchange, kf_buffer_view(&refused), &out, &status_word),
            KF_OK);
        assert_int_equal(status_word, 0x6A88);
        assert_int_equal(out.size, 0);
        channel_card_respond(&s->card, &exchange, kf_buffer_view(&plain), warnings[i], &protected);
        assert_int_equal(
            kf_secure_channel_unwrap(s->channel, &exchange, kf_buffer_view(&protected), &out, &status_word),
            KF_OK);
        assert_int_equal(status_word, warnings[i]);
        assert_bytes(kf_buffer_view(&out), "80F24002024F0000");
        assert_int_equal(
            kf_secure_channel_unwrap(s->channel, &exchange, kf_buffer_view(&bare), &out, &status_word),
            KF_ERR_RESPONSE_MAC);
    }
}

static kf_code wrap_of_size(kf_secure_channel *channel, size_t size, kf_buffer *wrapped)
{
    EMPTY(plain);
    static const uint8_t data[KF_COMMAND_DATA_MAX];
    kf_command command = {0x80, 0xE2, 0x88, 0x00, {data, size}, false, 0, false};
    assert_int_equal(kf_command_encode(&command, &plain), KF_OK);
    return kf_secure_channel_wrap(channel, kf_buffer_view(&plain), wrapped, NULL);
}

static void the_largest_data_fits_and_one_byte_more_does_not_and_changes_nothing(void **state)
{
    (void)state;
    static const uint8_t levels[] = {0x01, 0x03, 0x11, 0x13, 0x33};
    static const uint8_t options[] = {0x70, 0x71};
    for (size_t k = 0; k < sizeof(options); k++)
        for (size_t i = 0; i < sizeof(levels); i++) {
            SESSION(s, options[k]);
            KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *other = open_channel(s);
            authenticate(s->channel, levels[i]);
            authenticate(other, levels[i]);
            size_t largest = kf_secure_channel_plain_max(levels[i], kf_secure_channel_mac_size(s->channel));
            EMPTY(wrapped);
            EMPTY(expected);
            if (largest < KF_COMMAND_DATA_MAX) {
                assert_int_equal(wrap_of_size(s->channel, largest + 1, &wrapped), KF_ERR_TOO_LONG);
                assert_int_equal(wrapped.size, 0);
            }
            assert_int_equal(wrap_of_size(s->channel, largest, &wrapped), KF_OK);
            assert_int_equal(wrap_of_size(other, largest, &expected), KF_OK);
            assert_true(kf_view_equal(kf_buffer_view(&wrapped), kf_buffer_view(&expected)));
        }
}

static void the_logical_channel_is_in_the_class_and_not_in_the_mac(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *other = open_channel(s);
    kf_secure_channel_set_logical_channel(other, 5);
    EMPTY(basic);
    EMPTY(further);
    assert_int_equal(kf_secure_channel_external_authenticate(s->channel, 0x33, &basic, NULL), KF_OK);
    assert_int_equal(kf_secure_channel_external_authenticate(other, 0x33, &further, NULL), KF_OK);
    assert_int_equal(wrap_of_size(s->channel, 5, &basic), KF_OK);
    assert_int_equal(wrap_of_size(other, 5, &further), KF_OK);
    assert_int_equal(basic.size, further.size);
    size_t second = 4 + 1 + 16;
    assert_int_equal(further.data[0], 0xE1);
    assert_int_equal(further.data[second], 0xE1);
    further.data[0] = basic.data[0];
    further.data[second] = basic.data[second];
    assert_true(kf_view_equal(kf_buffer_view(&basic), kf_buffer_view(&further)));
}

static void level_00_leaves_commands_and_responses_alone(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    authenticate(s->channel, 0x00);
    BYTES(plain, "80CA006600");
    EMPTY(wrapped);
    EMPTY(data);
    kf_exchange exchange;
    uint16_t status_word;
    assert_int_equal(kf_secure_channel_wrap(s->channel, kf_buffer_view(&plain), &wrapped, &exchange), KF_OK);
    assert_bytes(kf_buffer_view(&wrapped), "80CA006600");
    BYTES(response, "01029000");
    assert_int_equal(
        kf_secure_channel_unwrap(s->channel, &exchange, kf_buffer_view(&response), &data, &status_word),
        KF_OK);
    assert_bytes(kf_buffer_view(&data), "0102");
}

static void extended_commands_stay_extended(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    authenticate(s->channel, 0x03);
    static const uint8_t data[300];
    kf_command command = {0x80, 0xE2, 0x88, 0x00, KF_VIEW(data), true, 65536, true};
    EMPTY(plain);
    EMPTY(wrapped);
    assert_int_equal(kf_command_encode(&command, &plain), KF_OK);
    assert_int_equal(kf_secure_channel_wrap(s->channel, kf_buffer_view(&plain), &wrapped, NULL), KF_OK);
    kf_command back;
    assert_int_equal(kf_command_parse(kf_buffer_view(&wrapped), &back), KF_OK);
    assert_true(back.extended);
    assert_int_equal(back.data.size, 304 + 8);
    assert_int_equal(back.le, 65536);
    assert_int_equal(kf_secure_channel_plain_max_extended(0x33, 8, 65535), 65519);
    assert_int_equal(kf_secure_channel_plain_max_extended(0x01, 16, 2048), 2032);
    assert_int_equal(kf_secure_channel_plain_max_extended(0x33, 8, 20), 0);
    assert_int_equal(kf_secure_channel_plain_max_extended(0x00, 8, 70000), 65535);
}

static void data_encryption_needs_a_dek_and_whole_blocks(void **state)
{
    (void)state;
    SESSION(s, 0x70);
    EMPTY(encrypted);
    static const uint8_t data[17];
    assert_int_equal(kf_secure_channel_encrypt_data(s->channel, KF_VIEW(data), &encrypted), KF_ERR_ARGUMENT);
    SECRET(aes192, KEY_ENC "0001020304050607");
    assert_int_equal(kf_secure_channel_encrypt_key(s->channel, aes192, &encrypted), KF_OK);
    assert_int_equal(encrypted.size, 32);
    KF_CLEANUP(kf_cipher_free) kf_cipher *dek = NULL;
    uint8_t plain[32];
    assert_int_equal(kf_cipher_new_secret(KF_AES, s->dek, &dek), KF_OK);
    assert_int_equal(kf_cipher_cbc_decrypt(dek, NULL, kf_buffer_view(&encrypted), plain), KF_OK);
    assert_memory_equal(plain, kf_secret_expose(aes192).data, 24);
    kf_key_set keys = {s->enc, s->mac, NULL};
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *without = NULL;
    assert_int_equal(
        kf_secure_channel_open(&keys, s->card.host_challenge, kf_buffer_view(&s->answer), &without, NULL),
        KF_OK);
    assert_int_equal(kf_secure_channel_encrypt_data(without, kf_view_of(data, 16), &encrypted),
                     KF_ERR_CHANNEL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flip_in_challenge_or_cryptogram_fails_the_cryptogram),
        cmocka_unit_test(another_key_or_host_challenge_fails_the_cryptogram),
        cmocka_unit_test(only_the_mac_key_is_needed_to_verify),
        cmocka_unit_test(answers_of_impossible_length_or_protocol_are_refused),
        cmocka_unit_test(keys_of_another_size_are_refused),
        cmocka_unit_test(levels_are_those_that_exist_and_the_card_offers),
        cmocka_unit_test(every_option_and_level_is_understood_by_a_card),
        cmocka_unit_test(an_r_mac_session_puts_macs_on_the_responses_between_its_ends),
        cmocka_unit_test(an_r_mac_session_that_the_card_refuses_has_not_begun),
        cmocka_unit_test(an_r_mac_session_needs_a_card_and_a_level_for_it),
        cmocka_unit_test(nothing_is_wrapped_before_external_authenticate),
        cmocka_unit_test(wrapping_again_gives_the_same_bytes_and_unwraps_the_old_responses),
        cmocka_unit_test(any_flip_in_a_response_is_noticed_and_closes_the_channel),
        cmocka_unit_test(warnings_carry_a_mac_and_errors_do_not),
        cmocka_unit_test(the_largest_data_fits_and_one_byte_more_does_not_and_changes_nothing),
        cmocka_unit_test(the_logical_channel_is_in_the_class_and_not_in_the_mac),
        cmocka_unit_test(level_00_leaves_commands_and_responses_alone),
        cmocka_unit_test(extended_commands_stay_extended),
        cmocka_unit_test(data_encryption_needs_a_dek_and_whole_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
