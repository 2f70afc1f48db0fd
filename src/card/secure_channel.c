#include <keyfill/secure_channel.h>

#include <stdlib.h>
#include <string.h>

#include "card/channel_state.h"

#include <keyfill/hex.h>

#define INS_EXTERNAL_AUTHENTICATE 0x82

void kf_channel_append_padding(kf_buffer *buffer, size_t block_size)
{
    kf_buffer_append_u8(buffer, 0x80);
    size_t over = buffer->size % block_size;
    if (over > 0) kf_buffer_append_fill(buffer, 0, block_size - over);
}

bool kf_channel_padding_strip(kf_view padded, size_t *ret_size)
{
    size_t size = padded.size;
    while (size > 0 && padded.data[size - 1] == 0)
        size--;
    if (size == 0 || padded.data[size - 1] != 0x80) return false;
    *ret_size = size - 1;
    return true;
}

/* Amendment D table 7-3: in S16 mode challenge and cryptogram have 16 bytes each; the sequence counter is
 * there with pseudo-random challenges only. The size of the answer tells all of it. */
static kf_code parse_scp03(kf_cursor *cursor, size_t size, kf_initialize_update *answer)
{
    bool s16 = size > 32;
    answer->challenge_size = s16 ? 16 : 8;
    answer->cryptogram_size = answer->challenge_size;
    answer->sequence_counter_size = size == 32 || size == 48 ? 3 : 0;
    KF_TRY(kf_cursor_u8(cursor, &answer->options));
    KF_TRY(kf_cursor_copy(cursor, answer->card_challenge, answer->challenge_size));
    KF_TRY(kf_cursor_copy(cursor, answer->card_cryptogram, answer->cryptogram_size));
    return kf_cursor_copy(cursor, answer->sequence_counter, answer->sequence_counter_size);
}

/* Card Specification table E-7; the answer does not tell i. */
static kf_code parse_scp02(kf_cursor *cursor, kf_initialize_update *answer)
{
    answer->options = 0x55;
    answer->challenge_size = 6;
    answer->cryptogram_size = 8;
    answer->sequence_counter_size = 2;
    KF_TRY(kf_cursor_copy(cursor, answer->sequence_counter, 2));
    KF_TRY(kf_cursor_copy(cursor, answer->card_challenge, 6));
    return kf_cursor_copy(cursor, answer->card_cryptogram, 8);
}

kf_code kf_initialize_update_parse(kf_view response, kf_initialize_update *ret_answer, kf_error *error)
{
    kf_response parsed;
    if (kf_response_parse(response, &parsed) != KF_OK)
        return kf_fail(error, KF_ERR_APDU,
                       "INITIALIZE UPDATE: the card's answer of %zu bytes is no response; try again",
                       response.size);
    if (parsed.status_word != 0x9000)
        return kf_fail_status_word(error, "INITIALIZE UPDATE", parsed.status_word);
    size_t size = parsed.data.size;
    kf_initialize_update answer = {0};
    kf_cursor cursor = kf_cursor_of(parsed.data);
    kf_code code = kf_cursor_copy(&cursor, answer.diversification_data, sizeof(answer.diversification_data));
    if (code == KF_OK) code = kf_cursor_u8(&cursor, &answer.key_version);
    if (code == KF_OK) code = kf_cursor_u8(&cursor, &answer.protocol);
    if (code != KF_OK)
        return kf_fail(error, KF_ERR_APDU, "INITIALIZE UPDATE: an answer of %zu bytes is too short", size);
    bool size_fits;
    if (answer.protocol == 0x03) {
        size_fits = size == 29 || size == 32 || size == 45 || size == 48;
        if (size_fits) code = parse_scp03(&cursor, size, &answer);
    } else if (answer.protocol == 0x02) {
        size_fits = size == 28;
        if (size_fits) code = parse_scp02(&cursor, &answer);
    } else {
        return kf_fail(
            error, KF_ERR_UNSUPPORTED,
            "INITIALIZE UPDATE: the card wants secure channel protocol %02X; 02 and 03 are supported",
            (unsigned)answer.protocol);
    }
    if (!size_fits || code != KF_OK || !kf_cursor_at_end(&cursor))
        return kf_fail(error, KF_ERR_APDU, "INITIALIZE UPDATE: %zu bytes are not an answer of protocol %02X",
                       size, (unsigned)answer.protocol);
    *ret_answer = answer;
    return KF_OK;
}

/* Amendment D table 5-1: i bit 6: R-MAC; bits 6 and 7: R-MAC and R-ENCRYPTION. Card Specification table E-1:
 * bit 6: R-MAC. */
uint8_t kf_secure_channel_best_level(uint8_t protocol, uint8_t options)
{
    uint8_t level = KF_LEVEL_C_MAC | KF_LEVEL_C_DECRYPTION;
    if (options & 0x20u) level |= KF_LEVEL_R_MAC;
    if (protocol == 0x03 && (options & 0x60u) == 0x60u) level |= KF_LEVEL_R_ENCRYPTION;
    return level;
}

bool kf_secure_channel_has_response_mac(uint8_t protocol, uint8_t options)
{
    return (kf_secure_channel_best_level(protocol, options) & KF_LEVEL_R_MAC) != 0;
}

/* 16 for the block of both protocols: SCP02's of 8 would allow up to 8 bytes more. */
size_t kf_secure_channel_plain_max(uint8_t level, size_t mac_size)
{
    return kf_secure_channel_plain_max_extended(level, mac_size, KF_COMMAND_DATA_MAX);
}

size_t kf_secure_channel_plain_max_extended(uint8_t level, size_t mac_size, size_t data_max)
{
    if (data_max > KF_COMMAND_EXTENDED_MAX) data_max = KF_COMMAND_EXTENDED_MAX;
    if ((level & KF_LEVEL_C_MAC) == 0) return data_max;
    if (data_max < mac_size) return 0;
    size_t room = data_max - mac_size;
    if ((level & KF_LEVEL_C_DECRYPTION) == 0) return room;
    return room < 16 ? 0 : room / 16 * 16 - 1;
}

static void clear_channel(kf_secure_channel *channel)
{
    kf_cipher_free(&channel->session_enc);
    kf_cipher_free(&channel->session_mac);
    kf_cipher_free(&channel->session_mac_left);
    kf_cipher_free(&channel->session_rmac);
    kf_secret_free(&channel->later_keys);
    kf_cipher_free(&channel->session_rmac_left);
    kf_cipher_free(&channel->data_encryption);
    kf_command_list_clear(&channel->sent);
    kf_wipe(channel, sizeof(*channel));
}

static kf_code start_and_verify(kf_secure_channel *channel, const kf_key_set *keys, kf_view host_challenge,
                                kf_view response, kf_error *error)
{
    KF_TRY(kf_initialize_update_parse(response, &channel->answer, error));
    const kf_initialize_update *answer = &channel->answer;
    size_t challenge_size = answer->protocol == 0x03 ? answer->challenge_size : 8;
    if (host_challenge.size != challenge_size)
        return kf_fail(
            error, KF_ERR_CHANNEL,
            "the card answers with a challenge of %zu bytes to one of %zu: it works in another mode",
            challenge_size, host_challenge.size);
    channel->protocol = answer->protocol == 0x03 ? &kf_protocol_scp03 : &kf_protocol_scp02;
    kf_code code = channel->protocol->start(channel, keys, host_challenge);
    if (code == KF_ERR_KEY_SIZE)
        return kf_fail(error, code, "the key has a size that secure channel protocol %02X does not use",
                       (unsigned)answer->protocol);
    if (code != KF_OK) return kf_fail_plain(error, code);
    if (!kf_equal_constant_time(channel->card_cryptogram, answer->card_cryptogram, answer->cryptogram_size))
        return kf_fail(
            error, KF_ERR_CRYPTOGRAM,
            "the card cryptogram does not verify: the card with diversification data %s has another key "
            "as version %02X",
            kf_hex_show(KF_VIEW(answer->diversification_data)).text, (unsigned)answer->key_version);
    return KF_OK;
}

kf_code kf_secure_channel_verify(const kf_key_set *keys, kf_view host_challenge, kf_view response,
                                 kf_error *error)
{
    kf_secure_channel channel = {0};
    kf_key_set needed = *keys;
    needed.dek = NULL;
    kf_code code = start_and_verify(&channel, &needed, host_challenge, response, error);
    clear_channel(&channel);
    return code;
}

kf_code kf_secure_channel_open(const kf_key_set *keys, kf_view host_challenge, kf_view response,
                               kf_secure_channel **ret_channel, kf_error *error)
{
    if (keys->enc == NULL || keys->mac == NULL)
        return kf_fail(error, KF_ERR_ARGUMENT, "a secure channel needs an encryption and a MAC key");
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(start_and_verify(channel, keys, host_challenge, response, error));
    *ret_channel = channel;
    channel = NULL;
    return KF_OK;
}

void kf_secure_channel_free(kf_secure_channel **channel)
{
    if (channel == NULL || *channel == NULL) return;
    clear_channel(*channel);
    free(*channel);
    *channel = NULL;
}

void kf_secure_channel_close(kf_secure_channel *channel)
{
    kf_initialize_update answer = channel->answer;
    clear_channel(channel);
    channel->answer = answer;
    channel->refused = true;
}

kf_code kf_secure_channel_set_scp02_options(kf_secure_channel *channel, uint8_t options)
{
    if (channel->refused || channel->authenticated || channel->answer.protocol != 0x02) return KF_ERR_CHANNEL;
    /* Implicit initiation and what belongs to it alone, the MAC over the AID as ICV. */
    if ((options & KF_SCP02_EXPLICIT) == 0 || (options & 0x88u) != 0) return KF_ERR_UNSUPPORTED;
    channel->answer.options = options;
    return KF_OK;
}

void kf_secure_channel_set_logical_channel(kf_secure_channel *channel, unsigned logical_channel)
{
    channel->logical_channel = logical_channel;
}

const kf_initialize_update *kf_secure_channel_answer(const kf_secure_channel *channel)
{
    return &channel->answer;
}

uint8_t kf_secure_channel_level(const kf_secure_channel *channel)
{
    return channel->level;
}

size_t kf_secure_channel_mac_size(const kf_secure_channel *channel)
{
    return channel->answer.protocol == 0x03 ? channel->answer.challenge_size : 8;
}

/* Amendment D table 7-5: each protection of responses or encryption builds on a lower one. Card Specification
 * table E-9 has the response MAC alone too, and no encrypted responses. */
static bool level_exists(uint8_t protocol, uint8_t level)
{
    if (level == 0x10) return protocol == 0x02;
    if (level == 0x33) return protocol == 0x03;
    return level == 0x00 || level == 0x01 || level == 0x03 || level == 0x11 || level == 0x13;
}

static kf_code wrap_in_steps(kf_secure_channel *channel, const kf_command *command, uint8_t sent_class,
                             kf_buffer *wrapped)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    KF_TRY(channel->protocol->protect(channel, command, &data));
    KF_TRY(kf_buffer_status(&data));
    kf_command sent = *command;
    sent.cla = sent_class;
    sent.data = kf_buffer_view(&data);
    return kf_command_encode(&sent, wrapped);
}

/* The wrapped command; the channel's state has advanced. */
static kf_code protect(kf_secure_channel *channel, const kf_command *plain, kf_buffer *wrapped)
{
    kf_command command = *plain;
    unsigned logical_channel = kf_class_channel(plain->cla);
    if (logical_channel == 0) logical_channel = channel->logical_channel;
    if (logical_channel > 19) return KF_ERR_ARGUMENT;
    /* GP 11.1.4: the MAC is made as if on the basic channel. */
    command.cla = (uint8_t)((plain->cla & 0x90u) | 0x04u);
    uint8_t sent_class = kf_class_with_channel(command.cla, logical_channel);
    size_t size_before = wrapped->size;
    kf_code code = channel->protocol->wrap_short != NULL && !command.extended
                       ? channel->protocol->wrap_short(channel, &command, sent_class, wrapped)
                       : wrap_in_steps(channel, &command, sent_class, wrapped);
    if (code != KF_OK) kf_buffer_truncate(wrapped, size_before);
    return code;
}

kf_code kf_secure_channel_external_authenticate(kf_secure_channel *channel, uint8_t level, kf_buffer *apdu,
                                                kf_error *error)
{
    const kf_initialize_update *answer = &channel->answer;
    if (channel->refused) return kf_fail(error, KF_ERR_CHANNEL, "the secure channel is closed");
    if (channel->authenticated) return kf_fail(error, KF_ERR_CHANNEL, "the secure channel is already open");
    if (!level_exists(answer->protocol, level))
        return kf_fail(error, KF_ERR_CHANNEL, "there is no security level %02X", (unsigned)level);
    uint8_t best = kf_secure_channel_best_level(answer->protocol, answer->options);
    if ((level & ~(unsigned)best) != 0)
        return kf_fail(
            error, KF_ERR_CHANNEL,
            "security level %02X asks for more than the card offers: protocol %02X with i = %02X has %02X "
            "as its best",
            (unsigned)level, (unsigned)answer->protocol, (unsigned)answer->options, (unsigned)best);
    kf_command command = {0x80,
                          INS_EXTERNAL_AUTHENTICATE,
                          level,
                          0,
                          {channel->host_cryptogram, answer->cryptogram_size},
                          false,
                          0,
                          false};
    /* C-MAC alone: EXTERNAL AUTHENTICATE is never encrypted (Amendment D 6.2.6, Card Specification E.4.6). */
    channel->level = KF_LEVEL_C_MAC;
    kf_code code = protect(channel, &command, apdu);
    if (code != KF_OK) {
        channel->level = KF_LEVEL_NONE;
        return kf_fail_plain(error, code);
    }
    /* The first command after it counts 1 (Amendment D 6.2.6). */
    channel->encryption_counter = 0;
    channel->level = level;
    channel->authenticated = true;
    return KF_OK;
}

/* Commands without a MAC go as they are; a response MAC may still be due. */
static kf_code pass_on(kf_secure_channel *channel, kf_view plain_apdu, kf_buffer *wrapped)
{
    size_t size_before = wrapped->size;
    kf_buffer_append(wrapped, plain_apdu);
    kf_code code = kf_buffer_status(wrapped);
    if (code != KF_OK) kf_buffer_truncate(wrapped, size_before);
    if (code == KF_OK) channel->encryption_counter++;
    return code;
}

/* Whether a response MAC, this one or a later one, will cover the command. */
static bool is_remembered(const kf_secure_channel *channel, uint8_t kind)
{
    if (channel->protocol->remember == NULL) return false;
    return kind != 0 || channel->r_mac_session || (channel->level & KF_LEVEL_R_MAC) != 0;
}

static kf_code wrap_command(kf_secure_channel *channel, const kf_command *command, kf_view plain_apdu,
                            uint8_t kind, kf_buffer *wrapped)
{
    bool remembers = is_remembered(channel, kind);
    if (remembers) KF_TRY(channel->protocol->remember(channel, command));
    kf_code code = (channel->level & KF_LEVEL_C_MAC) == 0 ? pass_on(channel, plain_apdu, wrapped)
                                                          : protect(channel, command, wrapped);
    if (code != KF_OK && remembers) kf_buffer_clear(&channel->sent.items[--channel->sent.count]);
    return code;
}

kf_code kf_channel_wrap(kf_secure_channel *channel, kf_view plain_apdu, uint8_t kind, kf_buffer *wrapped,
                        kf_exchange *ret_exchange)
{
    if (!channel->authenticated || channel->refused) return KF_ERR_CHANNEL;
    kf_command command;
    KF_TRY(kf_command_parse(plain_apdu, &command));
    if ((channel->level & KF_LEVEL_C_MAC) != 0 && kf_class_is_secure(command.cla)) return KF_ERR_APDU;
    kf_exchange before = {channel->level, {0}, channel->encryption_counter};
    memcpy(before.mac_chaining_value, channel->mac_chaining_value, sizeof(before.mac_chaining_value));
    size_t size_before = wrapped->size;
    kf_code code = wrap_command(channel, &command, plain_apdu, kind, wrapped);
    if (code != KF_OK) {
        channel->encryption_counter = before.encryption_counter;
        memcpy(channel->mac_chaining_value, before.mac_chaining_value, sizeof(before.mac_chaining_value));
        kf_buffer_truncate(wrapped, size_before);
        return code;
    }
    if (ret_exchange != NULL) {
        *ret_exchange = (kf_exchange){(uint8_t)(channel->level | kind), {0}, channel->encryption_counter};
        memcpy(ret_exchange->mac_chaining_value, channel->mac_chaining_value,
               sizeof(ret_exchange->mac_chaining_value));
    }
    return KF_OK;
}

kf_code kf_secure_channel_wrap(kf_secure_channel *channel, kf_view plain_apdu, kf_buffer *wrapped,
                               kf_exchange *ret_exchange)
{
    /* SCP02, a session whose END alone answers with a MAC: that covers what comes between. */
    bool counted = channel->r_mac_session && channel->protocol->remember != NULL &&
                   (channel->level & KF_LEVEL_R_MAC) == 0;
    return kf_channel_wrap(channel, plain_apdu, counted ? KF_EXCHANGE_COUNTED : 0, wrapped, ret_exchange);
}

/* Errors are not protected (Amendment D 6.2.5); 9000 and the warnings are. Some cards with SCP02 put a MAC
 * behind errors too. */
static bool carries_response_mac(const kf_secure_channel *channel, const kf_response *response)
{
    unsigned sw1 = response->status_word >> 8;
    if (response->status_word == 0x9000 || sw1 == 0x62 || sw1 == 0x63) return true;
    return channel->answer.protocol == 0x02 && response->data.size > 0;
}

/* The answers to BEGIN and END R-MAC SESSION, and those between them that have no MAC of their own. */
static kf_code unwrap_of_session(kf_secure_channel *channel, const kf_exchange *exchange,
                                 const kf_response *response, kf_buffer *data)
{
    bool begins = (exchange->level & KF_EXCHANGE_KIND) == KF_EXCHANGE_BEGINS;
    if (begins && response->status_word != 0x9000) {
        channel->level &= (uint8_t) ~(unsigned)channel->r_mac_level;
        channel->r_mac_session = false;
    } else if (channel->protocol->remember != NULL) {
        kf_code code = kf_scp02_count_response(channel, exchange, response);
        if (code == KF_ERR_RESPONSE_MAC) kf_secure_channel_close(channel);
        KF_TRY(code);
    }
    kf_buffer_append(data, response->data);
    return kf_buffer_status(data);
}

kf_code kf_secure_channel_unwrap(kf_secure_channel *channel, const kf_exchange *exchange, kf_view response,
                                 kf_buffer *data, uint16_t *ret_status_word)
{
    if (channel->refused) return KF_ERR_CHANNEL;
    kf_response parsed;
    KF_TRY(kf_response_parse(response, &parsed));
    size_t size_before = data->size;
    if ((exchange->level & KF_EXCHANGE_KIND) != 0) {
        KF_TRY(unwrap_of_session(channel, exchange, &parsed, data));
    } else if ((exchange->level & KF_LEVEL_R_MAC) == 0) {
        kf_buffer_append(data, parsed.data);
    } else if (carries_response_mac(channel, &parsed)) {
        kf_code code = channel->protocol->unprotect(channel, exchange, &parsed, data);
        if (code != KF_OK) {
            kf_buffer_truncate(data, size_before);
            if (code == KF_ERR_RESPONSE_MAC) kf_secure_channel_close(channel);
            return code;
        }
    }
    KF_TRY(kf_buffer_status(data));
    *ret_status_word = parsed.status_word;
    return KF_OK;
}

kf_code kf_secure_channel_encrypt_data(kf_secure_channel *channel, kf_view plain, kf_buffer *encrypted)
{
    KF_TRY(kf_scp03_need_data_cipher(channel));
    if (plain.size == 0 || plain.size % channel->protocol->data_block_size != 0) return KF_ERR_ARGUMENT;
    uint8_t *output = kf_buffer_extend(encrypted, plain.size);
    if (output == NULL) return kf_buffer_status(encrypted);
    kf_code code = channel->protocol->encrypt_data(channel, plain, output);
    if (code != KF_OK) kf_buffer_truncate(encrypted, encrypted->size - plain.size);
    return code;
}

kf_code kf_secure_channel_pad(const kf_secure_channel *channel, kf_buffer *plain)
{
    if (channel->data_encryption == NULL && channel->data_key_size == 0) return KF_ERR_CHANNEL;
    kf_channel_append_padding(plain, channel->protocol->data_block_size);
    return kf_buffer_status(plain);
}

kf_code kf_secure_channel_encrypt_key(kf_secure_channel *channel, const kf_secret *key, kf_buffer *encrypted)
{
    KF_TRY(kf_scp03_need_data_cipher(channel));
    KF_CLEANUP(kf_buffer_clear) kf_buffer padded = KF_BUFFER_INIT;
    size_t block_size = channel->protocol->data_block_size;
    kf_buffer_append(&padded, kf_secret_expose(key));
    size_t over = padded.size % block_size;
    if (over > 0) kf_buffer_append_fill(&padded, 0, block_size - over);
    KF_TRY(kf_buffer_status(&padded));
    return kf_secure_channel_encrypt_data(channel, kf_buffer_view(&padded), encrypted);
}
