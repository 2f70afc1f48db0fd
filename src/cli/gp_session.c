/* A card in a reader, with or without a secure channel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/gp_command.h>
#include <keyfill/hex.h>
#include <keyfill/sim.h>

#include "cli/gp.h"
#include "crypto/random.h"

#define READER_VARIABLE "KEYFILL_READER"
#define TIMEOUT_SECONDS 10UL
#define TIMEOUT_SECONDS_MAX 600UL
#define TAG_RECOGNITION_DATA 0x66
#define EXTENDED_DATA_MAX 65500 /* bytes: with header and lengths a frame of vpcd still holds them */
#define S16_MODE 0x01u          /* bit of i: challenges and MACs of 16 bytes (Amendment D table 5-1) */

static void trace_command(const kf_gp_session *session, const kf_gp_message *message)
{
    if (!session->trace) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append_text(&text, "> ");
    kf_gp_trace_command(message->command, message->instead, &text);
    kf_buffer_format(&text, "  %s", message->label);
    if (session->channel != NULL)
        kf_buffer_format(&text, " [level %02X]", (unsigned)kf_secure_channel_level(session->channel));
    const char *shown = kf_buffer_text(&text);
    if (shown != NULL) (void)fprintf(stderr, "%s\n", shown);
}

static void trace_answer(const kf_gp_session *session, const kf_gp_message *message, kf_view data,
                         uint16_t status_word)
{
    if (!session->trace) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append_text(&text, "< ");
    kf_gp_trace_answer(message->command, data, status_word, &text);
    const char *shown = kf_buffer_text(&text);
    if (shown != NULL) (void)fprintf(stderr, "%s\n", shown);
}

/* `wire`: what goes to the card; the trace shows the plain command. Appends the whole answer. */
static kf_code transmit(kf_gp_session *session, const kf_gp_message *message, kf_view wire,
                        kf_buffer *response, kf_error *error)
{
    trace_command(session, message);
    kf_code code = kf_reader_transmit_extended(session->reader, wire, session->timeout, response, error);
    if (code == KF_OK) return KF_OK;
    if (session->trace) (void)fprintf(stderr, "< no answer\n");
    (void)kf_fail_plain(error, code);
    return kf_error_prefix(error, "%s", message->label);
}

/* On the session's logical channel, unless the class names one itself. */
static kf_code send_plain(kf_gp_session *session, const kf_gp_message *message, kf_buffer *response,
                          kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer wire = KF_BUFFER_INIT;
    kf_buffer_append(&wire, message->command);
    if (session->logical_channel != 0 && wire.size > 0 && kf_class_channel(wire.data[0]) == 0)
        KF_TRY(kf_fail_plain(error, kf_command_set_channel(&wire, session->logical_channel)));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&wire)));
    KF_TRY(transmit(session, message, kf_buffer_view(&wire), response, error));
    kf_response parsed;
    if (kf_response_parse(kf_buffer_view(response), &parsed) != KF_OK)
        return kf_fail(error, KF_ERR_APDU, "%s: the card's answer of %zu bytes is no response; try again",
                       message->label, response->size);
    trace_answer(session, message, parsed.data, parsed.status_word);
    return KF_OK;
}

static kf_code wrap(kf_gp_session *session, const kf_gp_message *message, kf_buffer *wrapped,
                    kf_exchange *ret_sent)
{
    kf_gp_command command;
    if (kf_gp_command_parse(message->command, &command) == KF_OK && !command.secured) {
        if (command.kind == KF_GP_COMMAND_BEGIN_R_MAC_SESSION && command.data.size > 0)
            return kf_secure_channel_begin_r_mac(session->channel, command.state,
                                                 kf_view_part(command.data, 1, command.data.size), wrapped,
                                                 ret_sent);
        if (command.kind == KF_GP_COMMAND_END_R_MAC_SESSION)
            return kf_secure_channel_end_r_mac(session->channel, wrapped, ret_sent);
    }
    return kf_secure_channel_wrap(session->channel, message->command, wrapped, ret_sent);
}

static kf_code send_in_channel(kf_gp_session *session, const kf_gp_message *message, kf_buffer *data,
                               uint16_t *ret_status_word, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    kf_exchange sent;
    size_t before = data->size;
    kf_code code = wrap(session, message, &wrapped, &sent);
    if (code != KF_OK)
        return kf_fail(error, code, "%s: a command of %zu bytes cannot be wrapped at level %02X: %s",
                       message->label, message->command.size,
                       (unsigned)kf_secure_channel_level(session->channel), kf_code_meaning(code));
    KF_TRY(transmit(session, message, kf_buffer_view(&wrapped), &response, error));
    code =
        kf_secure_channel_unwrap(session->channel, &sent, kf_buffer_view(&response), data, ret_status_word);
    if (code != KF_OK)
        return kf_fail(error, code, "%s: %s; the channel is closed, nothing more is sent", message->label,
                       kf_code_meaning(code));
    trace_answer(session, message, kf_view_part(kf_buffer_view(data), before, data->size), *ret_status_word);
    return KF_OK;
}

kf_code kf_gp_send(kf_gp_session *session, const kf_gp_message *message, kf_buffer *data,
                   uint16_t *ret_status_word, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer ignored = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    if (data == NULL) data = &ignored;
    if (session->channel != NULL) return send_in_channel(session, message, data, ret_status_word, error);
    KF_TRY(send_plain(session, message, &response, error));
    kf_response parsed;
    KF_TRY(kf_fail_plain(error, kf_response_parse(kf_buffer_view(&response), &parsed)));
    kf_buffer_append(data, parsed.data);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(data)));
    *ret_status_word = parsed.status_word;
    return KF_OK;
}

kf_code kf_gp_send_expecting_success(kf_gp_session *session, const kf_gp_message *message, kf_buffer *data,
                                     kf_error *error)
{
    uint16_t status_word = 0;
    KF_TRY(kf_gp_send(session, message, data, &status_word, error));
    if (status_word == 0x9000) return KF_OK;
    return kf_fail_status_word(error, message->label, status_word);
}

kf_code kf_gp_send_all(kf_gp_session *session, const char *label, const kf_command_list *commands,
                       kf_error *error)
{
    for (size_t i = 0; i < commands->count; i++) {
        char numbered[96];
        (void)snprintf(numbered, sizeof numbered, "%.40s %zu of %zu", label, i + 1, commands->count);
        const kf_gp_message message = {.label = numbered, .command = kf_buffer_view(&commands->items[i])};
        KF_TRY(kf_gp_send_expecting_success(session, &message, NULL, error));
    }
    return KF_OK;
}

size_t kf_gp_session_extended_max(const kf_gp_session *session)
{
    if (!session->extended) return 0;
    if (session->channel == NULL) return EXTENDED_DATA_MAX;
    if (kf_secure_channel_answer(session->channel)->protocol == 2) return 0;
    return kf_secure_channel_plain_max_extended(kf_secure_channel_level(session->channel),
                                                kf_secure_channel_mac_size(session->channel),
                                                EXTENDED_DATA_MAX);
}

size_t kf_gp_session_data_max(const kf_gp_session *session)
{
    if (session->channel == NULL) return KF_COMMAND_DATA_MAX;
    return kf_secure_channel_plain_max(kf_secure_channel_level(session->channel),
                                       kf_secure_channel_mac_size(session->channel));
}

kf_code kf_gp_session_select(kf_gp_session *session, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_secure_channel_free(&session->channel);
    KF_TRY(kf_fail_plain(error, kf_gp_select(kf_aid_view(&session->security_domain), &apdu)));
    const kf_gp_message message = {.label = "SELECT security domain", .command = kf_buffer_view(&apdu)};
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    uint16_t status_word = 0;
    KF_TRY(kf_gp_send(session, &message, &data, &status_word, error));
    /* 6283: the card is locked, and its issuer security domain selected all the same (table 11-80). */
    if (status_word != 0x9000 && status_word != 0x6283)
        return kf_fail_status_word(error, message.label, status_word);
    kf_gp_select_answer answer;
    session->selected = session->security_domain;
    if (kf_gp_select_answer_parse(kf_buffer_view(&data), &answer) == KF_OK && answer.aid.size > 0)
        KF_TRY(kf_fail_plain(error, kf_aid_from_view(answer.aid, &session->selected)));
    return KF_OK;
}

/* Protocol and i as --scp says. */
static kf_code scp_option(const kf_gp_options *options, uint8_t *ret_protocol, uint8_t *ret_options,
                          kf_error *error)
{
    const char *text = options->values[KF_GP_SCP];
    *ret_protocol = 0;
    *ret_options = 0;
    if (text == NULL) return KF_OK;
    char protocol[3] = "";
    (void)snprintf(protocol, sizeof protocol, "%s", text);
    bool good = strlen(text) >= 2 && kf_hex_decode(protocol, ret_protocol, 1) == KF_OK &&
                (*ret_protocol == 2 || *ret_protocol == 3);
    if (good && text[2] == ':')
        good = kf_hex_decode(text + 3, ret_options, 1) == KF_OK;
    else
        good = good && text[2] == '\0';
    if (good) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "--scp %.20s: 02 or 03, with i behind a colon if needed: 02:15",
                   text);
}

/* What INITIALIZE UPDATE does not tell, or too late: i of SCP02, and whether SCP03 works in S16 mode. */
static kf_code learn_protocol(kf_gp_session *session, kf_error *error)
{
    uint8_t protocol = 0;
    uint8_t told = 0;
    KF_TRY(scp_option(session->options, &protocol, &told, error));
    session->challenge_size = 8;
    if (told != 0) {
        if (protocol == 2) session->scp02_options = told;
        if (protocol == 3 && (told & S16_MODE)) session->challenge_size = 16;
        return KF_OK;
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    uint16_t status_word = 0;
    KF_TRY(kf_fail_plain(error, kf_gp_get_data(TAG_RECOGNITION_DATA, &apdu)));
    const kf_gp_message message = {.label = "GET DATA recognition data", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send(session, &message, &data, &status_word, error));
    kf_card_recognition recognition;
    if (status_word != 0x9000 || kf_card_recognition_parse(kf_buffer_view(&data), &recognition) != KF_OK)
        return KF_OK;
    for (size_t i = recognition.protocol_count; i-- > 0;) {
        const kf_card_protocol *offered = &recognition.protocols[i];
        if (offered->options_size == 0) continue;
        uint8_t options = offered->options[offered->options_size - 1];
        if (offered->protocol == 2) session->scp02_options = options;
        if (offered->protocol == 3 && protocol != 2) session->challenge_size = options & S16_MODE ? 16 : 8;
    }
    return KF_OK;
}

kf_code kf_gp_session_begin(kf_gp_session *session, uint8_t key_version,
                            uint8_t ret_challenge[KF_CHALLENGE_MAX], kf_buffer *response, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(learn_protocol(session, error));
    KF_TRY(kf_fail_plain(error, kf_random_bytes(ret_challenge, session->challenge_size)));
    kf_view challenge = kf_view_of(ret_challenge, session->challenge_size);
    KF_TRY(kf_fail_plain(error, kf_gp_initialize_update(key_version, challenge, &apdu)));
    const kf_gp_message message = {.label = "INITIALIZE UPDATE", .command = kf_buffer_view(&apdu)};
    return send_plain(session, &message, response, error);
}

/* Nothing was sent with a wrong key, and the person wants to know which would have been right. */
static kf_code explain_mismatch(const kf_gp_probe *probe, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    json_t *matches = NULL;
    kf_error ignored = {KF_OK, ""};
    if (kf_gp_identify_matches(probe, &matches, &ignored) != KF_OK) return error->code;
    kf_gp_identify_describe(matches, &text);
    json_decref(matches);
    const char *shown = kf_buffer_text(&text);
    char before[KF_ERROR_MESSAGE_SIZE];
    (void)snprintf(before, sizeof before, "%.240s", error->message);
    return kf_fail(error, error->code, "%s; EXTERNAL AUTHENTICATE was not sent; %s", before,
                   shown == NULL ? "" : shown);
}

static kf_code check_protocol(const kf_gp_session *session, const kf_initialize_update *answer,
                              kf_error *error)
{
    uint8_t protocol = 0;
    uint8_t options = 0;
    KF_TRY(scp_option(session->options, &protocol, &options, error));
    if (protocol == 0 || protocol == answer->protocol) return KF_OK;
    return kf_fail(
        error, KF_ERR_CARD_UNSUITABLE,
        "the card answers by secure channel protocol %02X with key version %02X, and --scp wants %02X; "
        "try another --key-version",
        (unsigned)answer->protocol, (unsigned)answer->key_version, (unsigned)protocol);
}

static kf_code authenticate_to_card(kf_gp_session *session, kf_secure_channel *channel, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    const kf_initialize_update *answer = kf_secure_channel_answer(channel);
    uint8_t options = answer->options;
    if (answer->protocol == 2 && session->scp02_options != 0) {
        options = session->scp02_options;
        kf_code code = kf_secure_channel_set_scp02_options(channel, options);
        if (code != KF_OK)
            return kf_fail(error, code,
                           "SCP02 with i = %02X is not supported; another may be given by --scp 02:I",
                           (unsigned)options);
    }
    uint8_t level = 0;
    kf_secure_channel_set_logical_channel(channel, session->logical_channel);
    KF_TRY(kf_gp_option_byte(session->options, KF_GP_LEVEL,
                             kf_secure_channel_best_level(answer->protocol, options), &level, error));
    KF_TRY(kf_secure_channel_external_authenticate(channel, level, &apdu, error));
    const kf_gp_message message = {.label = "EXTERNAL AUTHENTICATE", .command = kf_buffer_view(&apdu)};
    return kf_gp_send_expecting_success(session, &message, NULL, error);
}

kf_code kf_gp_session_authenticate(kf_gp_session *session, const kf_gp_authentication *authentication,
                                   kf_error *error)
{
    uint8_t challenge[KF_CHALLENGE_MAX];
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    kf_initialize_update answer;
    KF_TRY(kf_gp_session_begin(session, authentication->key_version, challenge, &response, error));
    kf_view bytes = kf_buffer_view(&response);
    KF_TRY(kf_initialize_update_parse(bytes, &answer, error));
    if (!authentication->any_protocol) KF_TRY(check_protocol(session, &answer, error));

    KF_CLEANUP(kf_gp_keys_clear) kf_gp_keys keys = {0};
    kf_algorithm algorithm = authentication->algorithm;
    if (algorithm == 0) algorithm = answer.protocol == 3 ? KF_AES : KF_TDES;
    kf_view challenge_view = kf_view_of(challenge, session->challenge_size);
    const kf_gp_probe probe = {
        .host_challenge = challenge_view, .answer = bytes, .given = &authentication->source->base};
    kf_code code = kf_gp_key_source_resolve(session->options, authentication->source, algorithm,
                                            KF_VIEW(answer.diversification_data), &keys, error);
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = NULL;
    const kf_key_set set = kf_gp_keys_view(&keys);
    if (code == KF_OK) code = kf_secure_channel_open(&set, challenge_view, bytes, &channel, error);
    if (code == KF_ERR_CRYPTOGRAM || code == KF_ERR_KEY_SIZE || code == KF_ERR_DIVERSIFICATION)
        return explain_mismatch(&probe, error);
    if (code != KF_OK) return code;
    KF_TRY(authenticate_to_card(session, channel, error));
    session->channel = channel;
    channel = NULL; /* the session's from here on */
    return KF_OK;
}

/* The channel's number is the card's choice (§11.7). */
static kf_code open_logical_channel(kf_gp_session *session, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_sim_open_channel(&apdu)));
    const kf_gp_message message = {.label = "MANAGE CHANNEL", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send_expecting_success(session, &message, &data, error));
    if (data.size != 1 || data.data[0] == 0 || data.data[0] > 19)
        return kf_fail(error, KF_ERR_CARD_DATA,
                       "MANAGE CHANNEL: the card answers %s, which is no channel from 1 to 19",
                       kf_hex_show(kf_buffer_view(&data)).text);
    session->logical_channel = data.data[0];
    return KF_OK;
}

/* The card is reset at the end, so what cannot be closed is closed by that. */
static void close_logical_channel(kf_gp_session *session)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    unsigned number = session->logical_channel;
    if (session->reader == NULL || number == 0 || !kf_reader_is_connected(session->reader)) return;
    session->logical_channel = 0;
    uint16_t status_word = 0;
    if (kf_sim_close_channel(number, &apdu) != KF_OK) return;
    const kf_gp_message message = {.label = "MANAGE CHANNEL", .command = kf_buffer_view(&apdu)};
    kf_code closed = kf_gp_send(session, &message, NULL, &status_word, NULL);
    (void)closed;
}

static kf_code connect_card(kf_gp_session *session, kf_error *error)
{
    const kf_gp_options *options = session->options;
    unsigned long seconds = TIMEOUT_SECONDS;
    KF_TRY(kf_gp_option_number(options, KF_GP_TIMEOUT, TIMEOUT_SECONDS_MAX, &seconds, error));
    session->timeout = (unsigned)seconds * 1000;
    session->trace = options->values[KF_GP_TRACE] != NULL;
    const char *uri = options->values[KF_GP_READER];
    if (uri == NULL) uri = getenv(READER_VARIABLE);
    if (uri == NULL) uri = "pcsc:";
    KF_TRY(kf_reader_open(uri, &session->reader, error));
    KF_TRY(kf_reader_wait_present(session->reader, session->timeout, error));
    KF_TRY(kf_reader_connect(session->reader, session->timeout, &session->atr, error));
    if (session->trace)
        (void)fprintf(stderr, "ATR %s\n",
                      kf_hex_show(kf_view_of(session->atr.bytes, session->atr.size)).text);
    kf_atr atr;
    if (kf_atr_parse(kf_view_of(session->atr.bytes, session->atr.size), &atr) == KF_OK)
        session->extended = kf_transport_capability_of(atr.historical).extended_length &&
                            atr.protocol_count > 0 && atr.protocols[0] != 0;
    return options->values[KF_GP_LOGICAL_CHANNEL] == NULL ? KF_OK : open_logical_channel(session, error);
}

static kf_code open_session(kf_gp_session *session, kf_gp_opening opening, kf_error *error)
{
    const kf_gp_options *options = session->options;
    uint8_t key_version = 0;
    uint8_t protocol = 0;
    uint8_t protocol_options = 0;
    KF_TRY(scp_option(options, &protocol, &protocol_options, error));
    KF_TRY(kf_gp_option_aid(options, KF_GP_AID, &session->security_domain, error));
    KF_TRY(kf_gp_option_byte(options, KF_GP_KEY_VERSION, 0, &key_version, error));
    KF_TRY(kf_gp_key_source_read(options, false, &session->source, error));
    bool with_keys = session->source.base.enc != NULL;
    if (opening == KF_GP_AUTHENTICATE && !with_keys)
        return kf_fail(error, KF_ERR_USAGE,
                       "this needs the card's keys: --key, --key-file, or --master with --diversify");
    KF_TRY(connect_card(session, error));
    if (opening == KF_GP_CONNECT && !with_keys) return KF_OK;
    KF_TRY(kf_gp_session_select(session, error));
    if (!with_keys || opening == KF_GP_SELECT_ONLY) return KF_OK;
    const kf_gp_authentication authentication = {.source = &session->source, .key_version = key_version};
    return kf_gp_session_authenticate(session, &authentication, error);
}

kf_code kf_gp_session_open(const kf_gp_options *options, kf_gp_opening opening, kf_gp_session *ret_session,
                           kf_error *error)
{
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {.options = options};
    KF_TRY(open_session(&session, opening, error));
    *ret_session = session;
    memset(&session, 0, sizeof session); /* the caller's from here on */
    return KF_OK;
}

void kf_gp_session_close(kf_gp_session *session)
{
    kf_secure_channel_free(&session->channel);
    close_logical_channel(session);
    kf_gp_key_source_clear(&session->source);
    kf_reader_close(&session->reader);
}
