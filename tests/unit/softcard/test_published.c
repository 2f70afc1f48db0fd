/* What other people's programs sent to real cards, sent to this one: whole sessions, PUT KEY, response MACs.
 */
#include "scp02_host.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/scp02_card.h"

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

static json_t *read_entries(const char *file)
{
    const char *folder = getenv("KEYFILL_VECTORS");
    char path[4096];
    if (folder == NULL) skip();
    snprintf(path, sizeof path, "%s/%s", folder, file);
    json_t *entries = json_load_file(path, 0, NULL);
    assert_non_null(entries);
    return entries;
}

static void decode(const char *text, kf_buffer *bytes)
{
    assert_int_equal(kf_hex_decode_append(text, bytes), KF_OK);
}

/* A card with the published one's keys, counter, diversification data and luck. */
typedef struct published_card {
    softcard *card;
    uint8_t challenge[6];
} published_card;

static kf_code forget(void *context, kf_view state)
{
    (void)context;
    (void)state;
    return KF_OK;
}

static kf_code take_challenge(void *context, uint8_t *ret_bytes, size_t size)
{
    const published_card *published = context;
    if (size != sizeof published->challenge) return KF_ERR_ARGUMENT;
    memcpy(ret_bytes, published->challenge, size);
    return KF_OK;
}

static void set(char **place, const char *text)
{
    assert_int_equal(softcard_blueprint_set(place, text), KF_OK);
}

static void make_published(const json_t *entry, published_card *published)
{
    kf_buffer keys = KF_BUFFER_INIT;
    kf_buffer bytes = KF_BUFFER_INIT;
    kf_error error = {0};
    softcard_state *state = NULL;
    softcard_blueprint *blueprint = test_blueprint();
    const char *parameter = text_of(entry, "i_param");
    char kdd[21];
    char version[3];
    snprintf(kdd, sizeof kdd, "%.20s", text_of(entry, "initialize_update_response"));
    snprintf(version, sizeof version, "%.2s", text_of(entry, "initialize_update_response") + 20);
    kf_buffer_format(&keys, "%s:%s:%s", text_of(entry, "key_enc"), text_of(entry, "key_mac"),
                     text_of(entry, "key_dek"));
    blueprint->issuer->published_test_keys = false;
    bool is_gp = strcmp(parameter, "55") == 0;
    set(&blueprint->personality, is_gp ? "usual" : "scp02-i15");
    set(&blueprint->protocol, "02");
    set(&blueprint->parameter, parameter[0] == '\0' ? "15" : parameter);
    set(&blueprint->kdd, kdd);
    set(&blueprint->issuer->key_version, version);
    set(&blueprint->issuer->keys, kf_buffer_text(&keys));
    if (softcard_provision(blueprint, &state, &error) != KF_OK) fail_msg("%s", error.message);
    const char *answer = text_of(entry, "initialize_update_response");
    uint8_t counter[2];
    char text[5];
    snprintf(text, sizeof text, "%.4s", answer + 24);
    assert_int_equal(kf_hex_decode(text, counter, 2), KF_OK);
    softcard_issuer(state)->key_sets[0].sequence_counter = (uint32_t)(counter[0] << 8 | counter[1]);
    char challenge[13];
    snprintf(challenge, sizeof challenge, "%.12s", answer + 28);
    assert_int_equal(kf_hex_decode(challenge, published->challenge, 6), KF_OK);
    assert_int_equal(softcard_state_write(state, &bytes), KF_OK);
    softcard_environment environment = {forget, take_challenge, published};
    if (softcard_open(kf_buffer_view(&bytes), environment, &published->card, &error) != KF_OK)
        fail_msg("%s", error.message);
    softcard_power_on(published->card);
    softcard_state_free(&state);
    softcard_blueprint_free(&blueprint);
    kf_buffer_clear(&keys);
    kf_buffer_clear(&bytes);
}

/* Sends hex; the answer as hex, until the next call. */
static const char *exchange(softcard *card, const char *command)
{
    static kf_buffer text;
    kf_buffer bytes = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer_clear(&text);
    if (command == NULL) return NULL;
    decode(command, &bytes);
    assert_int_equal(softcard_transmit(card, kf_buffer_view(&bytes), &answer), KF_OK);
    kf_buffer_append_hex(&text, kf_buffer_view(&answer));
    kf_buffer_clear(&bytes);
    kf_buffer_clear(&answer);
    return kf_buffer_text(&text);
}

static const char *status_of(const char *answer)
{
    return answer + strlen(answer) - 4;
}

/* GPShell's session deletes a package that its card held and this one does not. */
static bool differs_by_content(const char *plain)
{
    return strcmp(plain, "80E40080094F07D0D1D2D3D4D50100") == 0;
}

static unsigned replay_transcript(softcard *card, const json_t *transcript)
{
    size_t index;
    json_t *step;
    unsigned commands = 0;
    json_array_foreach(transcript, index, step)
    {
        const char *answer = exchange(card, text_of(step, "wrapped"));
        const char *published = text_of(step, "response_wire");
        /* What the card finds is its own affair; that it took the command is not. */
        assert_string_not_equal(status_of(answer), "6982");
        assert_string_not_equal(status_of(answer), "6700");
        bool comparable = published[0] != '\0' && !differs_by_content(text_of(step, "plain"));
        const char *plain = text_of(step, "plain");
        bool is_list = strstr(plain, "80F2") == plain;
        if (comparable && !is_list) assert_string_equal(status_of(answer), status_of(published));
        commands++;
    }
    return commands;
}

static void published_scp02_sessions_run_on_the_card(void **state)
{
    (void)state;
    json_t *entries = read_entries("scp02.json");
    size_t index;
    json_t *entry;
    unsigned sessions = 0;
    unsigned commands = 0;
    json_array_foreach(entries, index, entry)
    {
        const json_t *expected = json_object_get(entry, "expected");
        published_card published;
        char command[64];
        make_published(entry, &published);
        assert_string_equal(status_of(exchange(published.card, "00A4040000")), "9000");
        snprintf(command, sizeof command, "8050000008%s00", text_of(entry, "host_challenge"));
        assert_string_equal(exchange(published.card, command), text_of(entry, "initialize_update_response"));
        const char *authenticate = text_of(expected, "external_authenticate");
        if (authenticate[0] != '\0') {
            assert_string_equal(exchange(published.card, authenticate), "9000");
            commands += replay_transcript(published.card, json_object_get(expected, "transcript"));
        }
        sessions++;
        softcard_free(&published.card);
    }
    (void)exchange(NULL, NULL);
    json_decref(entries);
    assert_true(sessions >= 12);
    assert_true(commands >= 12);
}

/* Keys as GlobalPlatformPro and others wrote them, over both protocols; each opens a channel afterwards. */
static uint16_t put_published(test_card *test, const json_t *entry, const char *plain, kf_buffer *answer)
{
    bool is_scp02 = strcmp(text_of(entry, "scp"), "02") == 0;
    softcard_blueprint *blueprint = test_blueprint();
    kf_buffer state_bytes = KF_BUFFER_INIT;
    set(&blueprint->protocol, "02+03");
    bool replaces = plain[5] != '0';
    set(&blueprint->issuer->key_version, replaces ? "01" : "7F");
    test_card_make(test, blueprint);
    softcard_state *state = NULL;
    assert_int_equal(softcard_state_read(kf_buffer_view(&test->saved), &state, NULL), KF_OK);
    softcard_key_set *keys = &softcard_issuer(state)->key_sets[0];
    keys->sequence_counter = (uint32_t)strtoul(text_of(entry, "sequence_counter"), NULL, 16);
    if (!is_scp02)
        for (size_t i = 0; i < keys->key_count; i++)
            keys->keys[i].type = SOFTCARD_KEY_TYPE_AES;
    assert_int_equal(softcard_state_write(state, &state_bytes), KF_OK);
    softcard_state_free(&state);
    kf_buffer_truncate(&test->saved, 0);
    kf_buffer_append(&test->saved, kf_buffer_view(&state_bytes));
    kf_buffer_clear(&state_bytes);
    test_card_revive(test);
    if (is_scp02) {
        scp02_host host = {.parameter = 0x55};
        assert_int_equal(scp02_open(test, &host, 0, TEST_KEY, 0x01), 0x9000);
        return scp02_send(test, &host, plain, answer);
    }
    test_host host = {0};
    assert_int_equal(test_host_open(test, &host, 0, TEST_KEY, 0x01), 0x9000);
    uint16_t status = test_host_send(test, &host, plain, answer);
    test_host_clear(&host);
    return status;
}

static void published_keys_are_put(void **state)
{
    (void)state;
    json_t *entries = read_entries("put_key.json");
    size_t index;
    json_t *entry;
    unsigned cards = 0;
    json_array_foreach(entries, index, entry)
    {
        const char *published = text_of(json_object_get(entry, "expected"), "apdu_plain");
        if (published[0] == '\0') continue;
        test_card test;
        kf_buffer answer = KF_BUFFER_INIT;
        kf_buffer bytes = KF_BUFFER_INIT;
        kf_buffer key = KF_BUFFER_INIT;
        decode(published, &bytes);
        /* Without its Le, where it has one. */
        char *plain = strndup(published, 2 * (5U + bytes.data[4]));
        assert_non_null(plain);
        /* A key of another kind does not replace one (11.8.2.3.3): it is added. */
        bool same_kind =
            (strcmp(text_of(entry, "scp"), "02") == 0) == (strcmp(text_of(entry, "new_key_type"), "80") == 0);
        if (!same_kind) plain[5] = '0';
        assert_int_equal(put_published(&test, entry, plain, &answer), 0x9000);
        assert_int_equal(answer.size, 1 + 3 * 3);
        assert_int_equal(answer.data[0], bytes.data[5]);
        softcard_state *after = NULL;
        assert_int_equal(softcard_state_read(kf_buffer_view(&test.saved), &after, NULL), KF_OK);
        softcard_key_set *set_of = softcard_key_set_find(softcard_issuer(after), answer.data[0]);
        assert_non_null(set_of);
        for (uint8_t i = 0; i < 3; i++) {
            kf_buffer_truncate(&key, 0);
            decode(json_string_value(json_array_get(json_object_get(entry, "new_keys"), i)), &key);
            assert_true(kf_view_equal(kf_secret_expose(set_of->keys[i].value), kf_buffer_view(&key)));
        }
        softcard_state_free(&after);
        free(plain);
        kf_buffer_clear(&answer);
        kf_buffer_clear(&bytes);
        kf_buffer_clear(&key);
        test_card_clear(&test);
        cards++;
    }
    json_decref(entries);
    assert_true(cards >= 5);
}

static void start_session(softcard_secure_channel *secure, const json_t *entry)
{
    softcard_key_set keys;
    memset(&keys, 0, sizeof keys);
    for (uint8_t i = 0; i < 3; i++) {
        keys.keys[i] = (softcard_key){.identifier = (uint8_t)(i + 1), .type = SOFTCARD_KEY_TYPE_DES};
        assert_int_equal(kf_hex_decode_secret(text_of(entry, "key"), &keys.keys[i].value), KF_OK);
        keys.key_count++;
    }
    keys.sequence_counter = (uint32_t)strtoul(text_of(entry, "sequence_counter"), NULL, 16);
    secure->protocol = SOFTCARD_SCP02;
    secure->parameter = 0x35;
    assert_int_equal(kf_hex_decode(text_of(entry, "host_challenge"), secure->host_challenge, 8), KF_OK);
    assert_int_equal(kf_hex_decode(text_of(entry, "card_challenge"), secure->card_challenge, 6), KF_OK);
    assert_int_equal(softcard_scp02_derive(secure, &keys), KF_OK);
    for (size_t i = 0; i < keys.key_count; i++)
        kf_secret_free(&keys.keys[i].value);
}

/* The C-MAC of EXTERNAL AUTHENTICATE begins the chain of response MACs. */
static void append_authentication(softcard_secure_channel *secure, const json_t *entry, kf_buffer *message)
{
    uint8_t mac[8];
    kf_buffer challenges = KF_BUFFER_INIT;
    decode(text_of(entry, "sequence_counter"), &challenges);
    decode(text_of(entry, "card_challenge"), &challenges);
    decode(text_of(entry, "host_challenge"), &challenges);
    assert_int_equal(kf_mac_cbc(secure->encryption, KF_PADDING_2, NULL, kf_buffer_view(&challenges), mac),
                     KF_OK);
    decode("8482", message);
    decode(text_of(entry, "security_level"), message);
    decode("0010", message);
    kf_buffer_append_bytes(message, mac, sizeof mac);
    kf_buffer_clear(&challenges);
}

static void published_response_macs_come_out(void **state)
{
    (void)state;
    json_t *entries = read_entries("scp02_rmac.json");
    size_t index;
    json_t *entry;
    assert_true(json_array_size(entries) > 0);
    json_array_foreach(entries, index, entry)
    {
        softcard_secure_channel secure = {0};
        softcard_command command;
        kf_buffer message = KF_BUFFER_INIT;
        kf_buffer plain = KF_BUFFER_INIT;
        kf_buffer answer = KF_BUFFER_INIT;
        kf_buffer text = KF_BUFFER_INIT;
        start_session(&secure, entry);
        append_authentication(&secure, entry, &message);
        assert_int_equal(kf_mac_retail(secure.mac_pair, KF_PADDING_2, NULL, kf_buffer_view(&message),
                                       secure.response_chaining_value),
                         KF_OK);
        decode(text_of(entry, "command_plain"), &plain);
        assert_int_equal(softcard_command_parse(kf_buffer_view(&plain), &command), KF_OK);
        decode(text_of(entry, "response_plain"), &answer);
        uint16_t status = (uint16_t)(answer.data[answer.size - 2] << 8 | answer.data[answer.size - 1]);
        kf_buffer_truncate(&answer, answer.size - 2);
        assert_int_equal(softcard_scp02_mac_response(&secure, &command, status, &answer), KF_OK);
        kf_buffer_append_u16(&answer, status);
        kf_buffer_append_hex(&text, kf_buffer_view(&answer));
        assert_string_equal(kf_buffer_text(&text),
                            text_of(json_object_get(entry, "expected"), "response_wire"));
        softcard_secure_channel_end(&secure);
        kf_buffer_clear(&message);
        kf_buffer_clear(&plain);
        kf_buffer_clear(&answer);
        kf_buffer_clear(&text);
    }
    json_decref(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_scp02_sessions_run_on_the_card),
        cmocka_unit_test(published_keys_are_put),
        cmocka_unit_test(published_response_macs_come_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
