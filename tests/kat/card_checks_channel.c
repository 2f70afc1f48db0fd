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

/* An answer to INITIALIZE UPDATE for vectors that publish the challenges and cryptograms alone. */
static void make_response(kat_report *report, const json_t *entry, session_input *input)
{
    const char *counter = kat_text_or(entry, "sequence_counter", "000000");
    kf_buffer_append_fill(&input->response, 0, KF_DIVERSIFICATION_DATA_SIZE);
    kf_buffer_append_u8(&input->response, 0x01);
    kf_buffer_append_u8(&input->response, 0x03);
    if (kf_hex_decode_append(kat_text_or(entry, "i_param", "70"), &input->response) != KF_OK)
        kat_fault(report, "i_param is not hexadecimal");
    kat_need_hex(report, entry, "card_challenge", &input->response);
    kat_need_hex(report, json_object_get(entry, "expected"), "card_cryptogram", &input->response);
    if (kf_hex_decode_append(counter, &input->response) != KF_OK)
        kat_fault(report, "sequence_counter is not hexadecimal");
    kf_buffer_append_u16(&input->response, 0x9000);
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

/* A session key shows itself by what it encrypts: the library does not give it out. */
static void expect_session_key(kat_report *report, const json_t *entry, const char *member, kf_cipher *cipher)
{
    const json_t *value = kat_expected(report, entry, member);
    if (value == NULL || cipher == NULL) return;
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_CLEANUP(kf_cipher_free) kf_cipher *wanted = NULL;
    if (!kat_ok(report, kf_hex_decode_secret(json_string_value(value), &key), member)) return;
    if (!kat_ok(report, kf_cipher_new_secret(kf_cipher_algorithm(cipher), key, &wanted), member)) return;
    const uint8_t block[KF_BLOCK_MAX] = {0};
    uint8_t by_wanted[KF_BLOCK_MAX], by_actual[KF_BLOCK_MAX];
    size_t size = kf_cipher_block_size(cipher);
    if (!kat_ok(report, kf_cipher_encrypt_blocks(wanted, kf_view_of(block, size), by_wanted), member)) return;
    if (!kat_ok(report, kf_cipher_encrypt_blocks(cipher, kf_view_of(block, size), by_actual), member)) return;
    kat_compare(report, member, kf_view_of(by_wanted, size), kf_view_of(by_actual, size));
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
    if (!kat_has(command, "response_plain")) return;
    if (kat_need_hex(report, command, "response_plain", &wanted))
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

/* SCP02's i stands in the vector alone. */
static bool set_published_options(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    if (channel->answer.protocol != 0x02 || !kat_has(entry, "i_param")) return true;
    KF_CLEANUP(kf_buffer_clear) kf_buffer options = KF_BUFFER_INIT;
    if (!kat_need_hex(report, entry, "i_param", &options) || options.size != 1) return false;
    return kat_ok(report, kf_secure_channel_set_scp02_options(channel, options.data[0]), "i_param");
}

static void check_authenticated(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    if (!kat_has(entry, "security_level")) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer level = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_error error = {0};
    if (!kat_need_hex(report, entry, "security_level", &level) || level.size != 1) return;
    if (!set_published_options(report, entry, channel)) return;
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
    size_t size = channel->answer.cryptogram_size;
    kat_expect_hex(report, entry, "card_cryptogram", kf_view_of(channel->card_cryptogram, size));
    kat_expect_hex(report, entry, "host_cryptogram", kf_view_of(channel->host_cryptogram, size));
    kat_expect_hex(report, entry, "card_challenge",
                   kf_view_of(channel->answer.card_challenge, channel->answer.challenge_size));
    expect_session_key(report, entry, "s_enc", channel->session_enc);
    expect_session_key(report, entry, "s_mac", channel->session_mac);
    if (channel->response_key != NULL)
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
    kf_code code = kf_secure_channel_verify(&keys, kf_buffer_view(&input.host_challenge),
                                            kf_buffer_view(&input.response), NULL);
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
    uint8_t derived[64];
    size_t size = (size_t)kat_need_number(report, entry, "length_bits") / 8;
    if (size == 0 || size > sizeof(derived)) {
        kat_fault(report, "length_bits is out of range");
        return;
    }
    kf_code code = kf_kdf_counter_mode(cipher, form, kf_buffer_view(&fixed), derived, size);
    if (!kat_ok(report, code, "kf_kdf_counter_mode")) return;
    KF_CLEANUP(kf_secret_free) kf_secret *derived_key = NULL;
    kf_kcv kcv;
    if (!kat_ok(report, kf_secret_new(kf_view_of(derived, size), &derived_key), "kf_secret_new")) return;
    code = kf_kcv_compute(KF_AES, derived_key, KF_KCV_GLOBALPLATFORM, &kcv);
    if (kat_ok(report, code, "kf_kcv_compute")) kat_expect_hex(report, entry, "kcv_aes", KF_VIEW(kcv.bytes));
    kat_expect_hex(report, entry, "derived", kf_view_of(derived, size));
}

/* A session that only the keys, the sequence counter and perhaps the challenges of the vector enter. */
static void start_scp02(kat_report *report, const json_t *entry, const kf_secret *key,
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
    const kf_key_set keys = {key, key, key};
    kat_ok(report, kf_protocol_scp02.start(channel, &keys, kf_buffer_view(&host_challenge)), "SCP02 start");
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
    const char *member = kat_has(entry, "key") ? "key" : "key_enc";
    KF_CLEANUP(kf_secret_free) kf_secret *key = kat_need_secret(report, entry, member);
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = calloc(1, sizeof(*channel));
    if (key == NULL || channel == NULL) return;
    start_scp02(report, entry, key, channel);
    expect_session_kcv(report, entry, "kcv_s_enc", channel->session_enc);
    expect_session_kcv(report, entry, "kcv_s_mac", channel->session_mac);
    expect_session_kcv(report, entry, "kcv_s_rmac", channel->session_rmac);
    expect_session_kcv(report, entry, "kcv_s_dek", channel->data_encryption);
    if (channel->session_enc == NULL) return;
    expect_session_key(report, entry, "s_enc", channel->session_enc);
    kat_expect_hex(report, entry, "card_cryptogram", kf_view_of(channel->card_cryptogram, 8));
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
    const char *member = kat_has(entry, "key") ? "key" : "key_enc";
    KF_CLEANUP(kf_secret_free) kf_secret *key = kat_need_secret(report, entry, member);
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = calloc(1, sizeof(*channel));
    KF_CLEANUP(kf_buffer_clear) kf_buffer setting = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    if (key == NULL || channel == NULL) return;
    start_scp02(report, entry, key, channel);
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

/* A channel with nothing but the key that encrypts keys. */
static bool prepare_encryption(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    bool scp02 = strcmp(kat_need_text(report, entry, "scp"), "02") == 0;
    channel->protocol = scp02 ? &kf_protocol_scp02 : &kf_protocol_scp03;
    KF_CLEANUP(kf_secret_free) kf_secret *dek = kat_need_secret(report, entry, "static_dek");
    if (dek == NULL) return false;
    if (!scp02)
        return kat_ok(report, kf_cipher_new_secret(KF_AES, dek, &channel->data_encryption), "static_dek");
    unsigned before = report->faults;
    start_scp02(report, entry, dek, channel);
    return report->faults == before;
}

static bool version_of(const json_t *entry, const char *member, uint8_t *ret_version)
{
    char *end = NULL;
    const char *text = kat_text_or(entry, member, "");
    unsigned long value = strtoul(text, &end, 16);
    if (end == text || value > 0xFF) return false;
    *ret_version = (uint8_t)value;
    return true;
}

static void check_put_key_command(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    kf_secret *values[KF_GP_KEYS_MAX] = {NULL};
    kf_gp_key keys[KF_GP_KEYS_MAX];
    const json_t *texts = json_object_get(entry, "new_keys");
    size_t count = json_array_size(texts);
    bool aes = strcmp(kat_need_text(report, entry, "new_key_type"), "88") == 0;
    kf_gp_put_key put_key = {.keys = keys, .key_count = count};
    bool usable = count > 0 && count <= KF_GP_KEYS_MAX &&
                  version_of(entry, "old_kvn", &put_key.present_version) &&
                  version_of(entry, "new_kvn", &put_key.new_version) &&
                  version_of(entry, "key_id", &put_key.key_identifier);
    for (size_t i = 0; usable && i < count; i++) {
        usable = kf_hex_decode_secret(json_string_value(json_array_get(texts, i)), &values[i]) == KF_OK;
        keys[i] = (kf_gp_key){aes ? KF_AES : KF_TDES, values[i]};
    }
    if (!usable) kat_fault(report, "the inputs are incomplete");
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    if (usable && kat_ok(report, kf_gp_put_key_command(channel, &put_key, &apdu), "kf_gp_put_key_command")) {
        /* Some hosts send it without Le. */
        const char *wanted = kat_text_or(json_object_get(entry, "expected"), "apdu_plain", "");
        if (strlen(wanted) == 2 * (apdu.size - 1)) kf_buffer_truncate(&apdu, apdu.size - 1);
        kat_expect_hex(report, entry, "apdu_plain", kf_buffer_view(&apdu));
    }
    if (usable && kat_ok(report, kf_gp_put_key_expected(&put_key, &answer), "kf_gp_put_key_expected")) {
        kf_buffer_append_u16(&answer, 0x9000);
        kat_expect_hex(report, entry, "response", kf_buffer_view(&answer));
    }
    for (size_t i = 0; i < KF_GP_KEYS_MAX; i++)
        kf_secret_free(&values[i]);
}

static void check_one_key(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    KF_CLEANUP(kf_secret_free) kf_secret *value = kat_need_secret(report, entry, "new_key");
    if (value == NULL) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer encrypted = KF_BUFFER_INIT;
    if (!kat_ok(report, kf_secure_channel_encrypt_key(channel, value, &encrypted), "encrypt_key")) return;
    kat_expect_hex(report, entry, "encrypted_key", kf_buffer_view(&encrypted));
    if (!kat_has(entry, "new_key_type")) return;
    bool aes = strcmp(kat_need_text(report, entry, "new_key_type"), "88") == 0;
    const kf_gp_key key = {aes ? KF_AES : KF_TDES, value};
    const kf_gp_put_key put_key = {.new_version = 1, .key_identifier = 1, .keys = &key, .key_count = 1};
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_kcv kcv;
    if (!kat_ok(report, kf_gp_put_key_command(channel, &put_key, &apdu), "kf_gp_put_key_command")) return;
    if (!kat_ok(report, kf_kcv_compute(key.algorithm, value, KF_KCV_GLOBALPLATFORM, &kcv), "KCV")) return;
    kat_expect_hex(report, entry, "kcv", KF_VIEW(kcv.bytes));
    /* Behind header, Lc and version; before Le. */
    kat_expect_hex(report, entry, "key_data_field", kf_view_part(kf_buffer_view(&apdu), 6, apdu.size - 7));
}

void kat_check_put_key(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL || !prepare_encryption(report, entry, channel)) return;
    if (kat_has(entry, "new_keys"))
        check_put_key_command(report, entry, channel);
    else
        check_one_key(report, entry, channel);
}
