/* What is sealed, cut and with every bit flipped in turn: responses of published sessions, packets over the
 * air. Nothing of it is taken for anything but what was sealed. */
#include "hex_bytes.h"

#include <jansson.h>

#include <keyfill/ota.h>
#include <keyfill/secure_channel.h>

#include "../../fuzz/fuzz.h"

static const char *vectors;

static json_t *family(const char *name)
{
    EMPTY(path);
    kf_buffer_format(&path, "%s/%s.json", vectors, name);
    return json_load_file(kf_buffer_text(&path), 0, NULL);
}

static const char *text_of(const json_t *entry, const char *member)
{
    const char *text = json_string_value(json_object_get(entry, member));
    return text == NULL ? "" : text;
}

static kf_secret *secret_of_member(const json_t *entry, const char *member)
{
    return secret_of(text_of(entry, member));
}

/* -- secure channels -- */

typedef struct session {
    const json_t *entry;
    kf_secret *enc;
    kf_secret *mac;
    kf_buffer host_challenge;
    kf_buffer response;
    kf_buffer level;
} session;

static void session_clear(session *made)
{
    kf_secret_free(&made->enc);
    kf_secret_free(&made->mac);
    kf_buffer_clear(&made->host_challenge);
    kf_buffer_clear(&made->response);
    kf_buffer_clear(&made->level);
}

static session session_of(const json_t *entry)
{
    return (session){.entry = entry,
                     .enc = secret_of_member(entry, "key_enc"),
                     .mac = secret_of_member(entry, "key_mac"),
                     .host_challenge = bytes_of(text_of(entry, "host_challenge")),
                     .response = bytes_of(text_of(entry, "initialize_update_response")),
                     .level = bytes_of(text_of(entry, "security_level"))};
}

static kf_code open_with(const session *made, kf_view response, kf_secure_channel **ret_channel)
{
    const kf_key_set keys = {made->enc, made->mac, NULL};
    FUZZ_COPY(exact, response);
    return kf_secure_channel_open(&keys, kf_buffer_view(&made->host_challenge), exact.view, ret_channel,
                                  NULL);
}

/* The channel as it stands when command `index` of the transcript has been wrapped. */
static kf_secure_channel *channel_at(const session *made, size_t index, kf_exchange *ret_exchange)
{
    kf_secure_channel *channel = NULL;
    EMPTY(apdu);
    if (open_with(made, kf_buffer_view(&made->response), &channel) != KF_OK) return NULL;
    const char *options = text_of(made->entry, "i_param");
    uint8_t option;
    if (kf_secure_channel_answer(channel)->protocol == 2 && kf_hex_decode(options, &option, 1) == KF_OK)
        assert_int_equal(kf_secure_channel_set_scp02_options(channel, option), KF_OK);
    kf_code code = kf_secure_channel_external_authenticate(channel, made->level.data[0], &apdu, NULL);
    const json_t *transcript = json_object_get(json_object_get(made->entry, "expected"), "transcript");
    for (size_t i = 0; code == KF_OK && i <= index; i++) {
        BYTES(plain, text_of(json_array_get(transcript, i), "plain"));
        kf_buffer_truncate(&apdu, 0);
        code = kf_secure_channel_wrap(channel, kf_buffer_view(&plain), &apdu, ret_exchange);
    }
    if (code != KF_OK) kf_secure_channel_free(&channel);
    return channel;
}

/* Refused by an error, or taken as what carries no MAC and no data: an error of the card's, or 61xx. */
static void want_refused(const session *made, size_t index, kf_view response)
{
    kf_exchange exchange;
    EMPTY(data);
    uint16_t status_word = 0;
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = channel_at(made, index, &exchange);
    assert_non_null(channel);
    FUZZ_COPY(exact, response);
    kf_code code = kf_secure_channel_unwrap(channel, &exchange, exact.view, &data, &status_word);
    assert_int_equal(data.size, 0);
    if (code == KF_OK)
        assert_false(status_word == 0x9000 || status_word >> 8 == 0x62 || status_word >> 8 == 0x63);
}

static size_t spoil_response(const session *made, size_t index, const char *wire)
{
    BYTES(response, wire);
    if ((made->level.data[0] & KF_LEVEL_R_MAC) == 0) return 0;
    for (size_t size = 0; size < response.size; size++)
        want_refused(made, index, kf_view_of(response.data, size));
    for (size_t bit = 0; bit < 8 * response.size; bit++) {
        response.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        want_refused(made, index, kf_buffer_view(&response));
        response.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return 1;
}

static size_t spoil_session(const json_t *entry)
{
    if (text_of(entry, "initialize_update_response")[0] == 0 || text_of(entry, "security_level")[0] == 0)
        return 0;
    KF_CLEANUP(session_clear) session made = session_of(entry);
    const json_t *transcript = json_object_get(json_object_get(entry, "expected"), "transcript");
    size_t spoilt = 0;
    for (size_t i = 0; i < json_array_size(transcript); i++) {
        const char *wire = text_of(json_array_get(transcript, i), "response_wire");
        kf_exchange exchange;
        KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = channel_at(&made, i, &exchange);
        if (channel != NULL && wire[0] != 0) spoilt += spoil_response(&made, i, wire);
    }
    return spoilt;
}

/* Only the card's key data, version and counter are not covered by the cryptogram. */
static void spoil_opening(const json_t *entry)
{
    if (text_of(entry, "initialize_update_response")[0] == 0) return;
    KF_CLEANUP(session_clear) session made = session_of(entry);
    kf_secure_channel *channel = NULL;
    if (open_with(&made, kf_buffer_view(&made.response), &channel) != KF_OK) return;
    size_t covered = 13 + 2 * kf_secure_channel_answer(channel)->challenge_size;
    bool scp02 = kf_secure_channel_answer(channel)->protocol == 2;
    kf_secure_channel_free(&channel);
    for (size_t size = 0; size < made.response.size; size++)
        assert_int_not_equal(open_with(&made, kf_view_of(made.response.data, size), &channel), KF_OK);
    for (size_t bit = 0; bit < 8 * made.response.size; bit++) {
        made.response.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        kf_code code = open_with(&made, kf_buffer_view(&made.response), &channel);
        made.response.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (bit / 8 >= (scp02 ? 12u : 13u) && bit / 8 < covered) assert_int_not_equal(code, KF_OK);
        if (code != KF_OK) assert_null(channel);
        kf_secure_channel_free(&channel);
    }
}

static void sessions_are_not_mistaken(void **state)
{
    (void)state;
    if (vectors == NULL) skip();
    static const char *const families[] = {"scp02", "scp03"};
    size_t spoilt = 0;
    for (size_t i = 0; i < 2; i++) {
        json_t *entries = family(families[i]);
        size_t index;
        json_t *entry;
        json_array_foreach(entries, index, entry)
        {
            spoil_opening(entry);
            spoilt += spoil_session(entry);
        }
        json_decref(entries);
    }
    assert_true(spoilt > 0);
}

/* -- packets over the air -- */

typedef struct packet_keys {
    kf_secret *kic;
    kf_secret *kid;
} packet_keys;

static void packet_keys_clear(packet_keys *keys)
{
    kf_secret_free(&keys->kic);
    kf_secret_free(&keys->kid);
}

static kf_code open_command(kf_view packet, const kf_ota_keys *keys, size_t *ret_size)
{
    kf_ota_header header;
    EMPTY(data);
    FUZZ_COPY(exact, packet);
    kf_code code = kf_ota_command_decode(exact.view, keys, &header, &data);
    if (code != KF_OK) assert_int_equal(data.size, 0);
    *ret_size = data.size;
    return code;
}

/* `checked`: a cryptographic checksum stands over all of it. */
static void spoil_packet(kf_buffer *packet, const kf_ota_keys *keys, bool checked)
{
    size_t size = 0;
    assert_int_equal(open_command(kf_buffer_view(packet), keys, &size), KF_OK);
    for (size_t cut = 0; cut < packet->size; cut++)
        assert_int_not_equal(open_command(kf_view_of(packet->data, cut), keys, &size), KF_OK);
    for (size_t bit = 0; bit < 8 * packet->size; bit++) {
        packet->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        kf_code code = open_command(kf_buffer_view(packet), keys, &size);
        /* SPI says whether there is a check: a packet that says there is none is not authentic. */
        if (checked && bit / 8 != 3) assert_int_not_equal(code, KF_OK);
        if (code == KF_OK) assert_in_range(size, 0, packet->size);
        packet->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void packets_are_not_mistaken(void **state)
{
    (void)state;
    static const struct {
        const char *spi;
        uint8_t algorithm;
        bool checked;
    } kinds[] = {{"1619", 0x32, true}, {"1219", 0x32, true},  {"1619", 0x35, true},
                 {"0219", 0x35, true}, {"0401", 0x32, false}, {"0001", 0x32, false}};
    const kf_ota_keys keys = {fuzz_key(0x30, 16), fuzz_key(0x50, 16), KF_OTA_AES, 0};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t spi[2];
        EMPTY(packet);
        BYTES(script, "00A40000023F0000A40000022FE2");
        assert_int_equal(kf_hex_decode(kinds[i].spi, spi, 2), KF_OK);
        kf_ota_command command = {.data = kf_buffer_view(&script)};
        assert_int_equal(kf_ota_security_decode(spi, &command.header.security), KF_OK);
        command.header.kic = kinds[i].algorithm;
        command.header.kid = kinds[i].algorithm;
        command.header.counter = 1;
        assert_int_equal(kf_ota_command_encode(&command, &keys, &packet), KF_OK);
        spoil_packet(&packet, &keys, kinds[i].checked);
    }
}

static kf_code open_receipt(const json_t *entry, const packet_keys *given, kf_view packet)
{
    kf_ota_header header = {.kic = 0x05, .kid = 0x05};
    const kf_ota_keys keys = {given->kic, given->kid, KF_OTA_TDES_TWO, 0};
    const bool aes = strncmp(text_of(entry, "algorithm"), "aes", 3) == 0 ||
                     strncmp(text_of(entry, "algorithm"), "AES", 3) == 0;
    uint8_t spi[2];
    EMPTY(data);
    if (aes) header.kic = header.kid = 0x02;
    kf_ota_response response;
    assert_int_equal(kf_hex_decode(text_of(entry, "spi"), spi, 2), KF_OK);
    assert_int_equal(kf_ota_security_decode(spi, &header.security), KF_OK);
    FUZZ_COPY(exact, packet);
    kf_code code = kf_ota_response_decode(exact.view, &header, &keys, &response, &data);
    if (code != KF_OK) assert_int_equal(data.size, 0);
    if (code == KF_OK && header.security.receipt_check == KF_OTA_CRYPTOGRAPHIC && !response.authenticated) {
        /* A security error comes without a check. */
        assert_int_not_equal(response.status, KF_OTA_DONE);
        return KF_ERR_AUTHENTICATION;
    }
    return code;
}

static void receipts_are_not_mistaken(void **state)
{
    (void)state;
    if (vectors == NULL) skip();
    json_t *entries = family("scp80");
    size_t index, checked = 0;
    json_t *entry;
    json_array_foreach(entries, index, entry)
    {
        const char *digits = text_of(entry, "response_packet_with_udh");
        if (digits[0] == 0) continue;
        KF_CLEANUP(packet_keys_clear)
        packet_keys keys = {secret_of_member(entry, "kic"), secret_of_member(entry, "kid")};
        BYTES(packet, digits);
        bool sealed = open_receipt(entry, &keys, kf_buffer_view(&packet)) == KF_OK &&
                      (text_of(entry, "spi")[2] != '0' || text_of(entry, "spi")[3] == '9');
        for (size_t cut = 0; cut < packet.size; cut++)
            assert_int_not_equal(open_receipt(entry, &keys, kf_view_of(packet.data, cut)), KF_OK);
        for (size_t bit = 0; bit < 8 * packet.size; bit++) {
            packet.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            kf_code code = open_receipt(entry, &keys, kf_buffer_view(&packet));
            if (sealed) assert_int_not_equal(code, KF_OK);
            packet.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        if (sealed) checked++;
    }
    json_decref(entries);
    assert_true(checked > 0);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1) vectors = arguments[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_not_mistaken),
        cmocka_unit_test(packets_are_not_mistaken),
        cmocka_unit_test(receipts_are_not_mistaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
