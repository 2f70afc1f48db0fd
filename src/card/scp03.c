/* SCP03: GlobalPlatform Amendment D 1.2. */
#include <string.h>

#include "card/channel_state.h"
#include "crypto/cmac.h"

#include <keyfill/kdf.h>

/* Derivation constants (table 4-1). */
#define DERIVE_CARD_CRYPTOGRAM 0x00
#define DERIVE_HOST_CRYPTOGRAM 0x01
#define DERIVE_CARD_CHALLENGE 0x02
#define DERIVE_S_ENC 0x04
#define DERIVE_S_MAC 0x06
#define DERIVE_S_RMAC 0x07

#define AES_BLOCK 16
#define KEY_SIZE_MAX 32
#define LATER_KEYS_SIZE (2 * KEY_SIZE_MAX) /* S-RMAC, static DEK */
#define CONTEXT_MAX 32                     /* both challenges; sequence counter and AID */
#define FIXED_BEFORE_COUNTER 15
#define SHORT_ENCRYPTED_MAX 256 /* bytes of a short command's data when padded */

/* 4.1.5: label of 11 zeros and the constant, a zero, L in bits, [counter], context. */
static kf_code derive(kf_cipher *key, uint8_t constant, kf_view context, uint8_t *ret_output, size_t size)
{
    uint8_t fixed[FIXED_BEFORE_COUNTER + CONTEXT_MAX] = {0};
    if (context.size > CONTEXT_MAX) return KF_ERR_ARGUMENT;
    fixed[11] = constant;
    fixed[13] = (uint8_t)(size >> 5); /* L = 8 * size, two bytes */
    fixed[14] = (uint8_t)(size << 3);
    if (context.size > 0) memcpy(fixed + FIXED_BEFORE_COUNTER, context.data, context.size);
    kf_kdf_counter form = {KF_COUNTER_MIDDLE_FIXED, 8, FIXED_BEFORE_COUNTER};
    return kf_kdf_counter_mode(key, form, kf_view_of(fixed, FIXED_BEFORE_COUNTER + context.size), ret_output,
                               size);
}

/* A session key from the static key at hand, as a cipher. */
static kf_code derive_cipher(kf_cipher *static_key, uint8_t constant, kf_view context, kf_cipher **ret_cipher)
{
    KF_CLEANUP(kf_wipe_block32) uint8_t session_key[KEY_SIZE_MAX];
    size_t size = kf_cipher_key_size(static_key);
    KF_TRY(derive(static_key, constant, context, session_key, size));
    return kf_cipher_new(KF_AES, kf_view_of(session_key, size), ret_cipher);
}

/* The DEK of a session in which perhaps nothing is encrypted under it. */
static kf_code keep_data_key(kf_secure_channel *channel, const kf_secret *dek)
{
    kf_view key = kf_secret_expose(dek);
    if (key.size != 16 && key.size != 24 && key.size != KEY_SIZE_MAX) return KF_ERR_KEY_SIZE;
    memcpy(kf_secret_expose_writable(channel->later_keys) + KEY_SIZE_MAX, key.data, key.size);
    channel->data_key_size = key.size;
    return KF_OK;
}

/* One cipher takes the static keys in turn and becomes that of S-ENC, because another key costs less than
 * another cipher. */
static kf_code become_session_enc(kf_secure_channel *channel, const kf_secret *enc, kf_view context,
                                  kf_cipher **static_key)
{
    KF_CLEANUP(kf_wipe_block32) uint8_t session_key[KEY_SIZE_MAX];
    size_t size = kf_secret_size(enc);
    KF_TRY(kf_cipher_rekey(*static_key, kf_secret_expose(enc)));
    KF_TRY(derive(*static_key, DERIVE_S_ENC, context, session_key, size));
    KF_TRY(kf_cipher_rekey(*static_key, kf_view_of(session_key, size)));
    channel->session_enc = *static_key; /* goes over to the channel */
    *static_key = NULL;
    return KF_OK;
}

static kf_code start(kf_secure_channel *channel, const kf_key_set *keys, kf_view host_challenge)
{
    const kf_initialize_update *answer = &channel->answer;
    if (keys->mac == NULL) return KF_ERR_ARGUMENT;
    if (keys->enc != NULL && kf_secret_size(keys->enc) != kf_secret_size(keys->mac)) return KF_ERR_KEY_SIZE;
    uint8_t context[2 * KF_CHALLENGE_MAX];
    memcpy(context, host_challenge.data, host_challenge.size);
    memcpy(context + host_challenge.size, answer->card_challenge, answer->challenge_size);
    kf_view both = {context, host_challenge.size + answer->challenge_size};
    KF_CLEANUP(kf_cipher_free) kf_cipher *static_key = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, keys->mac, &static_key));
    KF_TRY(derive_cipher(static_key, DERIVE_S_MAC, both, &channel->session_mac));
    KF_TRY(derive(channel->session_mac, DERIVE_CARD_CRYPTOGRAM, both, channel->card_cryptogram,
                  answer->cryptogram_size));
    KF_TRY(derive(channel->session_mac, DERIVE_HOST_CRYPTOGRAM, both, channel->host_cryptogram,
                  answer->cryptogram_size));
    KF_TRY(kf_secret_new_zero(LATER_KEYS_SIZE, &channel->later_keys));
    channel->response_key_size = kf_secret_size(keys->mac);
    KF_TRY(derive(static_key, DERIVE_S_RMAC, both, kf_secret_expose_writable(channel->later_keys),
                  channel->response_key_size));
    if (keys->dek != NULL) KF_TRY(keep_data_key(channel, keys->dek));
    return keys->enc != NULL ? become_session_enc(channel, keys->enc, both, &static_key) : KF_OK;
}

kf_code kf_scp03_need_response_cipher(kf_secure_channel *channel)
{
    if (channel->session_rmac != NULL) return KF_OK;
    kf_view key = kf_view_part(kf_secret_expose(channel->later_keys), 0, channel->response_key_size);
    return kf_cipher_new(KF_AES, key, &channel->session_rmac);
}

kf_code kf_scp03_need_data_cipher(kf_secure_channel *channel)
{
    if (channel->data_encryption != NULL) return KF_OK;
    if (channel->data_key_size == 0) return KF_ERR_CHANNEL;
    kf_view key = kf_view_part(kf_secret_expose(channel->later_keys), KEY_SIZE_MAX, channel->data_key_size);
    return kf_cipher_new(KF_AES, key, &channel->data_encryption);
}

/* 6.2.6, 6.2.7: the encrypted counter; a response's begins with 80. */
static void put_counter(uint64_t counter, uint8_t first, uint8_t ret_block[AES_BLOCK])
{
    memset(ret_block, 0, AES_BLOCK);
    ret_block[0] = first;
    for (size_t i = 0; i < 8; i++)
        ret_block[AES_BLOCK - 1 - i] = (uint8_t)(counter >> (8 * i));
}

static kf_code encryption_vector(kf_secure_channel *channel, uint64_t counter, uint8_t first,
                                 uint8_t ret_vector[AES_BLOCK])
{
    uint8_t block[AES_BLOCK];
    put_counter(counter, first, block);
    return kf_cipher_encrypt_blocks(channel->session_enc, KF_VIEW(block), ret_vector);
}

#define HEADER_MAX 7 /* bytes */

/* The header as it is authenticated, with the wrapped command's Lc. */
static size_t write_header(const kf_command *command, size_t length, uint8_t ret_header[HEADER_MAX])
{
    const uint8_t first[] = {command->cla, command->ins, command->p1, command->p2};
    memcpy(ret_header, first, sizeof(first));
    if (!command->extended) {
        ret_header[4] = (uint8_t)length;
        return 5;
    }
    ret_header[4] = 0;
    ret_header[5] = (uint8_t)(length >> 8);
    ret_header[6] = (uint8_t)length;
    return HEADER_MAX;
}

static bool is_encrypted(const kf_secure_channel *channel, const kf_command *command)
{
    return (channel->level & KF_LEVEL_C_DECRYPTION) != 0 && command->data.size > 0;
}

static kf_code protect(kf_secure_channel *channel, const kf_command *command, kf_buffer *wrapped_data)
{
    size_t mac_size = kf_secure_channel_mac_size(channel);
    channel->encryption_counter++;
    kf_buffer_append(wrapped_data, command->data);
    if (is_encrypted(channel, command)) {
        kf_channel_append_padding(wrapped_data, AES_BLOCK);
        KF_TRY(kf_buffer_status(wrapped_data));
        uint8_t vector[AES_BLOCK];
        KF_TRY(encryption_vector(channel, channel->encryption_counter, 0x00, vector));
        kf_view data = kf_buffer_view(wrapped_data);
        KF_TRY(kf_cipher_cbc_encrypt(channel->session_enc, vector, data, wrapped_data->data));
    }
    size_t length = wrapped_data->size + mac_size;
    if (length > (command->extended ? KF_COMMAND_EXTENDED_MAX : (size_t)KF_COMMAND_DATA_MAX))
        return KF_ERR_TOO_LONG;
    uint8_t header[HEADER_MAX];
    size_t header_size = write_header(command, length, header);
    const kf_view parts[] = {KF_VIEW(channel->mac_chaining_value), kf_view_of(header, header_size),
                             kf_buffer_view(wrapped_data)};
    uint8_t mac[AES_BLOCK];
    KF_TRY(kf_cmac_parts(channel->session_mac, parts, 3, mac));
    memcpy(channel->mac_chaining_value, mac, sizeof(mac));
    kf_buffer_append_bytes(wrapped_data, mac, mac_size);
    return kf_buffer_status(wrapped_data);
}

/* A short command from its plain data to its MAC in one place: chaining value, header, data. The vector is
 * what the counter gives, so counter and data are one CBC message; the counter stands where the header comes
 * to stand afterwards. */
#define DATA_OFFSET (AES_BLOCK + 5)
typedef struct command_room {
    size_t size; /* of the data, padded where it is encrypted */
    uint8_t bytes[DATA_OFFSET + SHORT_ENCRYPTED_MAX + AES_BLOCK];
} command_room;

static kf_code fill_room(kf_secure_channel *channel, const kf_command *command, command_room *room)
{
    uint8_t *data = room->bytes + DATA_OFFSET;
    room->size = command->data.size;
    if (command->data.size > 0) memcpy(data, command->data.data, command->data.size);
    if (!is_encrypted(channel, command)) return KF_OK;
    room->size = (command->data.size / AES_BLOCK + 1) * AES_BLOCK;
    memset(data + command->data.size, 0, room->size - command->data.size);
    data[command->data.size] = 0x80;
    put_counter(channel->encryption_counter, 0x00, data - AES_BLOCK);
    return kf_cipher_cbc_encrypt(channel->session_enc, NULL,
                                 kf_view_of(data - AES_BLOCK, AES_BLOCK + room->size), data - AES_BLOCK);
}

/* The whole 16 bytes of the MAC are the next chaining value, also where 8 are sent (6.2.4). */
static kf_code finish_room(kf_secure_channel *channel, const kf_command *command, uint8_t sent_class,
                           command_room *room, kf_buffer *wrapped)
{
    size_t mac_size = kf_secure_channel_mac_size(channel);
    size_t length = room->size + mac_size;
    if (length > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    memcpy(room->bytes, channel->mac_chaining_value, AES_BLOCK);
    size_t header_size = write_header(command, length, room->bytes + AES_BLOCK);
    uint8_t *sent = kf_buffer_extend(wrapped, header_size + length + (command->has_le ? 1 : 0));
    if (sent == NULL) return kf_buffer_status(wrapped);
    memcpy(sent, room->bytes + AES_BLOCK, header_size + room->size);
    sent[0] = sent_class;
    KF_TRY(kf_cmac_overwriting(channel->session_mac, room->bytes, DATA_OFFSET + room->size,
                               channel->mac_chaining_value));
    memcpy(sent + header_size + room->size, channel->mac_chaining_value, mac_size);
    if (command->has_le) sent[header_size + length] = (uint8_t)command->le; /* 256 becomes 00 */
    return KF_OK;
}

static kf_code wrap_short(kf_secure_channel *channel, const kf_command *command, uint8_t sent_class,
                          kf_buffer *wrapped)
{
    if (command->data.size > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    command_room room;
    channel->encryption_counter++;
    kf_code code = fill_room(channel, command, &room);
    if (code == KF_OK) code = finish_room(channel, command, sent_class, &room, wrapped);
    kf_wipe(room.bytes, DATA_OFFSET + room.size);
    return code;
}

static kf_code decrypt_response(kf_secure_channel *channel, const kf_exchange *exchange, kf_view encrypted,
                                kf_buffer *data)
{
    if (encrypted.size % AES_BLOCK != 0) return KF_ERR_RESPONSE_MAC;
    uint8_t vector[AES_BLOCK];
    KF_TRY(encryption_vector(channel, exchange->encryption_counter, 0x80, vector));
    size_t size_before = data->size;
    uint8_t *plain = kf_buffer_extend(data, encrypted.size);
    if (plain == NULL) return kf_buffer_status(data);
    KF_TRY(kf_cipher_cbc_decrypt(channel->session_enc, vector, encrypted, plain));
    size_t plain_size;
    if (!kf_channel_padding_strip(kf_view_of(plain, encrypted.size), &plain_size)) return KF_ERR_RESPONSE_MAC;
    kf_buffer_truncate(data, size_before + plain_size);
    return KF_OK;
}

/* 6.2.5: R-MAC over the command's chaining value, the response data and the status word. */
static kf_code unprotect(kf_secure_channel *channel, const kf_exchange *exchange, const kf_response *response,
                         kf_buffer *data)
{
    size_t mac_size = kf_secure_channel_mac_size(channel);
    if (response->data.size < mac_size) return KF_ERR_RESPONSE_MAC;
    kf_view body = kf_view_part(response->data, 0, response->data.size - mac_size);
    kf_view given = kf_view_part(response->data, body.size, mac_size);
    const uint8_t status_word[] = {(uint8_t)(response->status_word >> 8), (uint8_t)response->status_word};
    const kf_view parts[] = {KF_VIEW(exchange->mac_chaining_value), body, KF_VIEW(status_word)};
    uint8_t mac[AES_BLOCK];
    KF_TRY(kf_scp03_need_response_cipher(channel));
    KF_TRY(kf_cmac_parts(channel->session_rmac, parts, 3, mac));
    if (!kf_equal_constant_time(mac, given.data, mac_size)) return KF_ERR_RESPONSE_MAC;
    if ((exchange->level & KF_LEVEL_R_ENCRYPTION) && body.size > 0)
        return decrypt_response(channel, exchange, body, data);
    kf_buffer_append(data, body);
    return kf_buffer_status(data);
}

/* 6.2.8: the static key, CBC with a zero vector. */
static kf_code encrypt_data(kf_secure_channel *channel, kf_view plain, uint8_t *ret_encrypted)
{
    return kf_cipher_cbc_encrypt(channel->data_encryption, NULL, plain, ret_encrypted);
}

const kf_channel_protocol kf_protocol_scp03 = {
    .start = start,
    .protect = protect,
    .wrap_short = wrap_short,
    .unprotect = unprotect,
    .encrypt_data = encrypt_data,
    .data_block_size = AES_BLOCK,
};

kf_code kf_scp03_card_challenge(const kf_secret *enc, kf_view sequence_counter, kf_view aid,
                                uint8_t *ret_challenge, size_t size)
{
    if ((size != 8 && size != 16) || sequence_counter.size != 3 || aid.size > 16) return KF_ERR_ARGUMENT;
    uint8_t context[3 + 16];
    memcpy(context, sequence_counter.data, 3);
    if (aid.size > 0) memcpy(context + 3, aid.data, aid.size);
    kf_cipher *key = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, enc, &key));
    kf_code code = derive(key, DERIVE_CARD_CHALLENGE, kf_view_of(context, 3 + aid.size), ret_challenge, size);
    kf_cipher_free(&key);
    return code;
}
