/* Checkers of secure channels and of keys that go through them. */
#include "card_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card/channel_state.h"

#include <keyfill/globalplatform.h>
#include <keyfill/kdf.h>

typedef struct session_input {
    kf_secret *enc;
    kf_secret *mac;
    kf_secret *dek;
    kf_buffer host_challenge;
    kf_buffer response;
} session_input;

static void session_input_clear(session_input *input)
{
    kf_secret_free(&input->enc);
    kf_secret_free(&input->mac);
    kf_secret_free(&input->dek);
    kf_buffer_clear(&input->host_challenge);
    kf_buffer_clear(&input->response);
}

static void append_or(kat_report *report, const json_t *entry, const char *member, const char *otherwise,
                      kf_buffer *bytes)
{
    if (kf_hex_decode_append(kat_text_or(entry, member, otherwise), bytes) != KF_OK)
        kat_fault(report, "%s is not hexadecimal", member);
}

/* An answer to INITIALIZE UPDATE for vectors that publish the challenges and cryptograms alone. */
static void make_response(kat_report *report, const json_t *entry, session_input *input)
{
    kf_buffer *response = &input->response;
    bool scp02 = strncmp(report->family, "scp02", 5) == 0;
    kf_buffer_append_fill(response, 0, KF_DIVERSIFICATION_DATA_SIZE);
    append_or(report, entry, "kvn", "01", response);
    kf_buffer_append_u8(response, scp02 ? 0x02 : 0x03);
    append_or(report, entry, scp02 ? "sequence_counter" : "i_param", scp02 ? "0000" : "70", response);
    kat_need_hex(report, entry, "card_challenge", response);
    kat_need_hex(report, json_object_get(entry, "expected"), "card_cryptogram", response);
    if (!scp02) append_or(report, entry, "sequence_counter", "000000", response);
    kf_buffer_append_u16(response, 0x9000);
}

static bool read_input(kat_report *report, const json_t *entry, session_input *input)
{
    unsigned before = report->faults;
    input->enc = kat_need_secret(report, entry, "key_enc");
    input->mac = kat_need_secret(report, entry, "key_mac");
    if (kat_has(entry, "key_dek")) input->dek = kat_need_secret(report, entry, "key_dek");
    kat_need_hex(report, entry, "host_challenge", &input->host_challenge);
    if (kat_has(entry, "initialize_update_response"))
        kat_need_hex(report, entry, "initialize_update_response", &input->response);
    else
        make_response(report, entry, input);
    return report->faults == before && kf_buffer_status(&input->response) == KF_OK;
}

void kat_compare_session_key(kat_report *report, const char *member, const char *text, kf_cipher *cipher)
{
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_CLEANUP(kf_cipher_free) kf_cipher *wanted = NULL;
    if (cipher == NULL) {
        kat_fault(report, "there is no %s", member);
        return;
    }
    if (!kat_ok(report, kf_hex_decode_secret(text, &key), member)) return;
    if (!kat_ok(report, kf_cipher_new_secret(kf_cipher_algorithm(cipher), key, &wanted), member)) return;
    const uint8_t block[KF_BLOCK_MAX] = {0};
    uint8_t by_wanted[KF_BLOCK_MAX], by_actual[KF_BLOCK_MAX];
    size_t size = kf_cipher_block_size(cipher);
    if (!kat_ok(report, kf_cipher_encrypt_blocks(wanted, kf_view_of(block, size), by_wanted), member)) return;
    if (!kat_ok(report, kf_cipher_encrypt_blocks(cipher, kf_view_of(block, size), by_actual), member)) return;
    kat_compare(report, member, kf_view_of(by_wanted, size), kf_view_of(by_actual, size));
}

static void expect_session_key(kat_report *report, const json_t *entry, const char *member, kf_cipher *cipher)
{
    const json_t *value = kat_expected(report, entry, member);
    if (value == NULL) return;
    if (json_is_string(value))
        kat_compare_session_key(report, member, json_string_value(value), cipher);
    else
        kat_fault(report, "expected.%s is no text", member);
}

/* The whole command: some hosts send it without Le, and key version and identifier are their choice. */
static void check_initialize_update(kat_report *report, const json_t *entry, const session_input *input)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer published = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer made = KF_BUFFER_INIT;
    if (!kat_has(entry, "initialize_update") || !kat_need_hex(report, entry, "initialize_update", &published))
        return;
    if (published.size < 5) {
        kat_fault(report, "initialize_update is too short");
        return;
    }
    kf_code code = kf_gp_initialize_update(published.data[2], kf_buffer_view(&input->host_challenge), &made);
    if (!kat_ok(report, code, "kf_gp_initialize_update")) return;
    made.data[3] = published.data[3];
    if (published.size + 1 == made.size) kf_buffer_truncate(&made, published.size);
    kat_compare(report, "initialize_update", kf_buffer_view(&published), kf_buffer_view(&made));
}

/* What the vector states beside the answer that holds it. */
static void check_stated(kat_report *report, const json_t *entry, const kf_initialize_update *answer)
{
    kat_agrees_hex(report, entry, "kvn", kf_view_of(&answer->key_version, 1));
    kat_agrees_hex(report, entry, "card_challenge",
                   kf_view_of(answer->card_challenge, answer->challenge_size));
    if (answer->sequence_counter_size > 0)
        kat_agrees_hex(report, entry, "sequence_counter",
                       kf_view_of(answer->sequence_counter, answer->sequence_counter_size));
    if (answer->protocol == 0x03) kat_agrees_hex(report, entry, "i_param", kf_view_of(&answer->options, 1));
    if (!kat_has(entry, "mode")) return;
    const char *mode = answer->challenge_size == 16 ? "S16" : "S8";
    kat_compared(report);
    if (strcmp(kat_need_text(report, entry, "mode"), mode) != 0) kat_fault(report, "the mode is %s", mode);
}

static void check_answer(kat_report *report, const json_t *command, kf_secure_channel *channel,
                         const kf_exchange *exchange)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer wanted = KF_BUFFER_INIT;
    if (!kat_has(command, "response_wire")) return;
    if (!kat_need_hex(report, command, "response_wire", &response)) return;
    uint16_t status_word;
    kf_code code =
        kf_secure_channel_unwrap(channel, exchange, kf_buffer_view(&response), &plain, &status_word);
    if (!kat_ok(report, code, "kf_secure_channel_unwrap")) return;
    kf_buffer_append_u16(&plain, status_word);
    bool told = kat_has(command, "response_plain");
    if (!told && (exchange->level & KF_LEVEL_R_MAC) != 0) return;
    if (kat_need_hex(report, command, told ? "response_plain" : "response_wire", &wanted))
        kat_compare(report, "response", kf_buffer_view(&wanted), kf_buffer_view(&plain));
}

static void check_transcript(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    const json_t *transcript = kat_expected(report, entry, "transcript");
    for (size_t i = 0; i < json_array_size(transcript); i++) {
        const json_t *command = json_array_get(transcript, i);
        KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer wanted = KF_BUFFER_INIT;
        if (!kat_need_hex(report, command, "plain", &plain)) return;
        kf_exchange exchange;
        kf_code code = kf_secure_channel_wrap(channel, kf_buffer_view(&plain), &wrapped, &exchange);
        if (!kat_ok(report, code, "kf_secure_channel_wrap")) return;
        if (kat_has(command, "wrapped") && kat_need_hex(report, command, "wrapped", &wanted))
            kat_compare(report, "wrapped", kf_buffer_view(&wanted), kf_buffer_view(&wrapped));
        check_answer(report, command, channel, &exchange);
    }
}

/* Some hosts send EXTERNAL AUTHENTICATE with Le = 00. */
static void add_published_le(const json_t *entry, kf_buffer *apdu)
{
    const char *wanted = kat_text_or(json_object_get(entry, "expected"), "external_authenticate", "");
    size_t digits = strlen(wanted);
    if (digits == 2 * apdu->size + 2 && strcmp(wanted + digits - 2, "00") == 0) kf_buffer_append_u8(apdu, 0);
}

/* SCP02's i stands in the vector alone. Where it does not, a level with response MACs tells some of it. */
static bool set_published_options(kat_report *report, const json_t *entry, uint8_t level,
                                  kf_secure_channel *channel)
{
    bool response_mac = (level & KF_LEVEL_R_MAC) != 0;
    if (channel->answer.protocol != 0x02) return true;
    KF_CLEANUP(kf_buffer_clear) kf_buffer options = KF_BUFFER_INIT;
    append_or(report, entry, "i_param", response_mac ? "75" : "55", &options);
    if (options.size != 1) return false;
    return kat_ok(report, kf_secure_channel_set_scp02_options(channel, options.data[0]), "i_param");
}

static void check_authenticated(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    if (!kat_has(entry, "security_level")) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer level = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_error error = {0};
    if (!kat_need_hex(report, entry, "security_level", &level) || level.size != 1) return;
    if (!set_published_options(report, entry, level.data[0], channel)) return;
    if (kf_secure_channel_external_authenticate(channel, level.data[0], &apdu, &error) != KF_OK) {
        kat_fault(report, "EXTERNAL AUTHENTICATE: %s", kf_error_text(&error));
        return;
    }
    add_published_le(entry, &apdu);
    kat_expect_hex(report, entry, "external_authenticate", kf_buffer_view(&apdu));
    check_transcript(report, entry, channel);
}

static void expect_card_challenge(kat_report *report, const json_t *entry, const session_input *input)
{
    if (!kat_has(json_object_get(entry, "expected"), "card_challenge_check")) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer aid = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer counter = KF_BUFFER_INIT;
    uint8_t challenge[8];
    if (!kat_need_hex(report, entry, "sd_aid", &aid)) return;
    if (!kat_need_hex(report, entry, "sequence_counter", &counter)) return;
    kf_code code = kf_scp03_card_challenge(input->enc, kf_buffer_view(&counter), kf_buffer_view(&aid),
                                           challenge, sizeof(challenge));
    if (kat_ok(report, code, "kf_scp03_card_challenge"))
        kat_expect_hex(report, entry, "card_challenge_check", KF_VIEW(challenge));
}

static void check_open_session(kat_report *report, const json_t *entry, const session_input *input)
{
    const kf_key_set keys = {input->enc, input->mac, input->dek};
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = NULL;
    kf_error error = {0};
    if (kf_secure_channel_open(&keys, kf_buffer_view(&input->host_challenge),
                               kf_buffer_view(&input->response), &channel, &error) != KF_OK) {
        kat_fault(report, "kf_secure_channel_open: %s", kf_error_text(&error));
        return;
    }
    check_initialize_update(report, entry, input);
    check_stated(report, entry, &channel->answer);
    size_t size = channel->answer.cryptogram_size;
    kat_expect_hex(report, entry, "card_cryptogram", kf_view_of(channel->card_cryptogram, size));
    kat_expect_hex(report, entry, "host_cryptogram", kf_view_of(channel->host_cryptogram, size));
    kat_expect_hex(report, entry, "card_challenge",
                   kf_view_of(channel->answer.card_challenge, channel->answer.challenge_size));
    expect_session_key(report, entry, "s_enc", channel->session_enc);
    expect_session_key(report, entry, "s_mac", channel->session_mac);
    if (channel->later_keys != NULL)
        kat_ok(report, kf_scp03_need_response_cipher(channel), "kf_scp03_need_response_cipher");
    expect_session_key(report, entry, "s_rmac", channel->session_rmac);
    expect_session_key(report, entry, "s_dek", channel->data_encryption);
    check_authenticated(report, entry, channel);
}

void kat_check_session(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(session_input_clear) session_input input = {0};
    if (!read_input(report, entry, &input)) return;
    check_open_session(report, entry, &input);
    expect_card_challenge(report, entry, &input);
}

void kat_check_refused_session(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(session_input_clear) session_input input = {0};
    if (!read_input(report, entry, &input)) return;
    const kf_key_set keys = {input.enc, input.mac, input.dek};
    kf_initialize_update answer;
    check_initialize_update(report, entry, &input);
    if (kat_ok(report, kf_initialize_update_parse(kf_buffer_view(&input.response), &answer, NULL),
               "kf_initialize_update_parse"))
        check_stated(report, entry, &answer);
    kf_code code = kf_secure_channel_verify(&keys, kf_buffer_view(&input.host_challenge),
                                            kf_buffer_view(&input.response), NULL);
    /* Of a session that does not begin. */
    static const char *const later[] = {"security_level", "i_param", "sd_aid", "sequence_counter"};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        (void)kat_has(entry, later[i]);
    if (code != KF_OK && code != KF_ERR_CRYPTOGRAM) kat_ok(report, code, "kf_secure_channel_verify");
    kat_expect_flag(report, entry, "card_cryptogram_ok", code == KF_OK);
}

void kat_check_card_challenge(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_secret_free) kf_secret *enc = kat_need_secret(report, entry, "key_enc");
    KF_CLEANUP(kf_buffer_clear) kf_buffer counter = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer aid = KF_BUFFER_INIT;
    if (enc == NULL || !kat_need_hex(report, entry, "sequence_counter", &counter)) return;
    if (!kat_need_hex(report, entry, "aid", &aid)) return;
    uint8_t challenge[16];
    size_t size = strcmp(kat_text_or(entry, "mode", "S8"), "S16") == 0 ? 16 : 8;
    kf_code code =
        kf_scp03_card_challenge(enc, kf_buffer_view(&counter), kf_buffer_view(&aid), challenge, size);
    if (kat_ok(report, code, "kf_scp03_card_challenge"))
        kat_expect_hex(report, entry, "card_challenge", kf_view_of(challenge, size));
}

void kat_check_scp03_derivation(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_secret_free) kf_secret *key = kat_need_secret(report, entry, "key");
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer fixed = KF_BUFFER_INIT;
    if (key == NULL || !kat_ok(report, kf_cipher_new_secret(KF_AES, key, &cipher), "kf_cipher_new_secret"))
        return;
    if (!kat_need_hex(report, entry, "block_a", &fixed)) return;
    kf_kdf_counter form = {KF_COUNTER_MIDDLE_FIXED, 8, fixed.size};
    if (!kat_need_hex(report, entry, "block_b", &fixed)) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer first = KF_BUFFER_INIT;
    append_or(report, entry, "counter", "01", &first);
    uint8_t derived[512];
    long long bits = kat_need_number(report, entry, "length_bits");
    size_t size = bits > 0 && bits % 8 == 0 ? (size_t)bits / 8 : 0;
    /* The counter of the first block: what comes before it is derived and left out. */
    size_t before = first.size == 1 && first.data[0] > 0 ? 16u * (first.data[0] - 1u) : sizeof(derived);
    if (size == 0 || before + size > sizeof(derived)) {
        kat_fault(report, "length_bits or counter is out of range");
        return;
    }
    kf_code code = kf_kdf_counter_mode(cipher, form, kf_buffer_view(&fixed), derived, before + size);
    if (!kat_ok(report, code, "kf_kdf_counter_mode")) return;
    kat_expect_hex(report, entry, "derived", kf_view_of(derived + before, size));
    if (!kat_has(json_object_get(entry, "expected"), "kcv_aes")) return;
    KF_CLEANUP(kf_secret_free) kf_secret *derived_key = NULL;
    kf_kcv kcv;
    code = kf_secret_new(kf_view_of(derived + before, size), &derived_key);
    if (!kat_ok(report, code, "kf_secret_new")) return;
    code = kf_kcv_compute(KF_AES, derived_key, KF_KCV_GLOBALPLATFORM, &kcv);
    if (kat_ok(report, code, "kf_kcv_compute")) kat_expect_hex(report, entry, "kcv_aes", KF_VIEW(kcv.bytes));
}

/* One key for all, or a set of three of which one may be missing. */
typedef struct scp02_keys {
    kf_secret *enc;
    kf_secret *mac;
    kf_secret *dek;
} scp02_keys;

static void scp02_keys_clear(scp02_keys *keys)
{
    kf_secret_free(&keys->enc);
    kf_secret_free(&keys->mac);
    kf_secret_free(&keys->dek);
}

static kf_secret *key_or(kat_report *report, const json_t *entry, const char *member, const char *otherwise)
{
    return kat_need_secret(report, entry, kat_has(entry, member) ? member : otherwise);
}

static bool read_scp02_keys(kat_report *report, const json_t *entry, scp02_keys *keys)
{
    const char *common = kat_has(entry, "key") ? "key" : kat_has(entry, "key_enc") ? "key_enc" : "key_mac";
    keys->enc = key_or(report, entry, "key_enc", common);
    keys->mac = key_or(report, entry, "key_mac", common);
    keys->dek = key_or(report, entry, "key_dek", common);
    return keys->enc != NULL && keys->mac != NULL && keys->dek != NULL;
}

void kat_start_scp02(kat_report *report, const json_t *entry, const kf_key_set *keys,
                     kf_secure_channel *channel)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer counter = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer card_challenge = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer host_challenge = KF_BUFFER_INIT;
    if (!kat_need_hex(report, entry, "sequence_counter", &counter) || counter.size != 2) return;
    if (kf_hex_decode_append(kat_text_or(entry, "card_challenge", "000000000000"), &card_challenge) !=
            KF_OK ||
        kf_hex_decode_append(kat_text_or(entry, "host_challenge", "0000000000000000"), &host_challenge) !=
            KF_OK ||
        card_challenge.size != 6 || host_challenge.size != 8) {
        kat_fault(report, "a challenge has the wrong form");
        return;
    }
    memcpy(channel->answer.sequence_counter, counter.data, 2);
    memcpy(channel->answer.card_challenge, card_challenge.data, 6);
    kat_ok(report, kf_protocol_scp02.start(channel, keys, kf_buffer_view(&host_challenge)), "SCP02 start");
}

static void expect_session_kcv(kat_report *report, const json_t *entry, const char *member, kf_cipher *cipher)
{
    const uint8_t zeros[8] = {0};
    uint8_t block[8];
    if (cipher == NULL || !kat_ok(report, kf_cipher_encrypt_blocks(cipher, KF_VIEW(zeros), block), member))
        return;
    kat_expect_hex_prefix(report, entry, member, KF_VIEW(block));
}

void kat_check_scp02_keys(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(scp02_keys_clear) scp02_keys input = {0};
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL || !read_scp02_keys(report, entry, &input)) return;
    const kf_key_set keys = {input.enc, input.mac, input.dek};
    kat_start_scp02(report, entry, &keys, channel);
    expect_session_kcv(report, entry, "kcv_s_enc", channel->session_enc);
    expect_session_kcv(report, entry, "kcv_s_mac", channel->session_mac);
    expect_session_kcv(report, entry, "kcv_s_rmac", channel->session_rmac);
    expect_session_kcv(report, entry, "kcv_s_dek", channel->data_encryption);
    if (channel->session_enc == NULL) return;
    expect_session_key(report, entry, "s_enc", channel->session_enc);
    expect_session_key(report, entry, "s_mac", channel->session_mac);
    expect_session_key(report, entry, "s_rmac", channel->session_rmac);
    expect_session_key(report, entry, "s_dek", channel->data_encryption);
    kat_expect_hex(report, entry, "card_cryptogram", kf_view_of(channel->card_cryptogram, 8));
    kat_expect_hex(report, entry, "host_cryptogram", kf_view_of(channel->host_cryptogram, 8));
}

static void check_response_mac(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    const char *wire = json_string_value(kat_expected(report, entry, "response_wire"));
    KF_CLEANUP(kf_buffer_clear) kf_buffer command = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer wanted = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    if (wire == NULL || !kat_ok(report, kf_hex_decode_append(wire, &response), "response_wire")) return;
    if (!kat_need_hex(report, entry, "command_plain", &command)) return;
    if (!kat_need_hex(report, entry, "response_plain", &wanted)) return;
    kf_exchange exchange;
    kf_code code = kf_secure_channel_wrap(channel, kf_buffer_view(&command), &wrapped, &exchange);
    if (!kat_ok(report, code, "kf_secure_channel_wrap")) return;
    uint16_t status_word;
    code = kf_secure_channel_unwrap(channel, &exchange, kf_buffer_view(&response), &plain, &status_word);
    if (!kat_ok(report, code, "kf_secure_channel_unwrap")) return;
    kf_buffer_append_u16(&plain, status_word);
    kat_compare(report, "response_plain", kf_buffer_view(&wanted), kf_buffer_view(&plain));
}

void kat_check_scp02_response_mac(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(scp02_keys_clear) scp02_keys input = {0};
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = calloc(1, sizeof(*channel));
    KF_CLEANUP(kf_buffer_clear) kf_buffer setting = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    if (channel == NULL || !read_scp02_keys(report, entry, &input)) return;
    const kf_key_set keys = {input.enc, input.mac, input.dek};
    kat_start_scp02(report, entry, &keys, channel);
    channel->protocol = &kf_protocol_scp02;
    channel->answer.protocol = 0x02;
    channel->answer.cryptogram_size = 8;
    if (kf_hex_decode_append(kat_text_or(entry, "i_param", "75"), &setting) != KF_OK ||
        !kat_need_hex(report, entry, "security_level", &setting) || setting.size != 2) {
        kat_fault(report, "i_param or security_level has the wrong form");
        return;
    }
    kf_error error = {0};
    kf_code code = kf_secure_channel_set_scp02_options(channel, setting.data[0]);
    if (!kat_ok(report, code, "kf_secure_channel_set_scp02_options")) return;
    code = kf_secure_channel_external_authenticate(channel, setting.data[1], &apdu, &error);
    if (!kat_ok(report, code, "kf_secure_channel_external_authenticate")) return;
    kat_expect_hex(report, entry, "external_authenticate", kf_buffer_view(&apdu));
    check_response_mac(report, entry, channel);
}
