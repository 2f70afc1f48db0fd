/* SCP03: GlobalPlatform Amendment D 1.2. */
#include <string.h>

#include "card/channel_state.h"

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
#define CONTEXT_MAX (3 + KF_COMMAND_DATA_MAX)

/* 4.1.5: label of 11 zeros and the constant, a zero, L in bits, [counter], context. */
static kf_code derive(kf_cipher *key, uint8_t constant, kf_view context, uint8_t *ret_output, size_t size)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer fixed = kf_buffer_with_limit(15 + CONTEXT_MAX);
    kf_buffer_append_fill(&fixed, 0, 11);
    kf_buffer_append_u8(&fixed, constant);
    kf_buffer_append_u8(&fixed, 0);
    kf_buffer_append_u16(&fixed, (uint16_t)(size * 8));
    size_t counter_offset = fixed.size;
    kf_buffer_append(&fixed, context);
    KF_TRY(kf_buffer_status(&fixed));
    kf_kdf_counter form = {KF_COUNTER_MIDDLE_FIXED, 8, counter_offset};
    return kf_kdf_counter_mode(key, form, kf_buffer_view(&fixed), ret_output, size);
}

static kf_code derive_cipher(const kf_secret *static_key, uint8_t constant, kf_view context,
                             kf_cipher **ret_cipher)
{
    kf_cipher *key = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, static_key, &key));
    KF_CLEANUP(kf_wipe_block32) uint8_t session_key[KEY_SIZE_MAX];
    size_t size = kf_secret_size(static_key);
    kf_code code = derive(key, constant, context, session_key, size);
    if (code == KF_OK) code = kf_cipher_new(KF_AES, kf_view_of(session_key, size), ret_cipher);
    kf_cipher_free(&key);
    return code;
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
    KF_TRY(derive_cipher(keys->mac, DERIVE_S_MAC, both, &channel->session_mac));
    KF_TRY(derive(channel->session_mac, DERIVE_CARD_CRYPTOGRAM, both, channel->card_cryptogram,
                  answer->cryptogram_size));
    KF_TRY(derive(channel->session_mac, DERIVE_HOST_CRYPTOGRAM, both, channel->host_cryptogram,
                  answer->cryptogram_size));
    KF_TRY(derive_cipher(keys->mac, DERIVE_S_RMAC, both, &channel->session_rmac));
    if (keys->enc != NULL) KF_TRY(derive_cipher(keys->enc, DERIVE_S_ENC, both, &channel->session_enc));
    if (keys->dek != NULL) KF_TRY(kf_cipher_new_secret(KF_AES, keys->dek, &channel->data_encryption));
    return KF_OK;
}

/* 6.2.6, 6.2.7: the encrypted counter; a response's begins with 80. */
static kf_code encryption_vector(kf_secure_channel *channel, uint64_t counter, uint8_t first,
                                 uint8_t ret_vector[AES_BLOCK])
{
    uint8_t block[AES_BLOCK] = {first};
    for (size_t i = 0; i < 8; i++)
        block[AES_BLOCK - 1 - i] = (uint8_t)(counter >> (8 * i));
    return kf_cipher_encrypt_blocks(channel->session_enc, KF_VIEW(block), ret_vector);
}

static kf_code encrypt_command(kf_secure_channel *channel, kf_buffer *data)
{
    kf_channel_append_padding(data, AES_BLOCK);
    KF_TRY(kf_buffer_status(data));
    uint8_t vector[AES_BLOCK];
    KF_TRY(encryption_vector(channel, channel->encryption_counter, 0x00, vector));
    return kf_cipher_cbc_encrypt(channel->session_enc, vector, kf_buffer_view(data), data->data);
}

static void append_header(kf_buffer *header, const kf_command *command, size_t length)
{
    const uint8_t first[] = {command->cla, command->ins, command->p1, command->p2};
    kf_buffer_append_bytes(header, first, sizeof(first));
    if (command->extended) {
        kf_buffer_append_u8(header, 0);
        kf_buffer_append_u16(header, (uint16_t)length);
    } else {
        kf_buffer_append_u8(header, (uint8_t)length);
    }
}

static kf_code protect(kf_secure_channel *channel, const kf_command *command, kf_buffer *wrapped_data)
{
    size_t mac_size = kf_secure_channel_mac_size(channel);
    kf_buffer_append(wrapped_data, command->data);
    KF_TRY(kf_buffer_status(wrapped_data));
    channel->encryption_counter++;
    if ((channel->level & KF_LEVEL_C_DECRYPTION) && command->data.size > 0)
        KF_TRY(encrypt_command(channel, wrapped_data));
    size_t length = wrapped_data->size + mac_size;
    if (length > (command->extended ? KF_COMMAND_EXTENDED_MAX : (size_t)KF_COMMAND_DATA_MAX))
        return KF_ERR_TOO_LONG;
    KF_CLEANUP(kf_buffer_clear) kf_buffer header = KF_BUFFER_INIT;
    append_header(&header, command, length);
    KF_TRY(kf_buffer_status(&header));
    /* 6.2.4: the whole 16 bytes are the next chaining value, also where 8 are sent. */
    const kf_view parts[] = {KF_VIEW(channel->mac_chaining_value), kf_buffer_view(&header),
                             kf_buffer_view(wrapped_data)};
    uint8_t mac[AES_BLOCK];
    KF_TRY(kf_cmac_parts(channel->session_mac, parts, 3, mac));
    memcpy(channel->mac_chaining_value, mac, sizeof(mac));
    kf_buffer_append_bytes(wrapped_data, mac, mac_size);
    return kf_buffer_status(wrapped_data);
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
    .unprotect = unprotect,
    .encrypt_data = encrypt_data,
    .data_block_size = AES_BLOCK,
};

kf_code kf_scp03_card_challenge(const kf_secret *enc, kf_view sequence_counter, kf_view aid,
                                uint8_t *ret_challenge, size_t size)
{
    if ((size != 8 && size != 16) || sequence_counter.size != 3 || aid.size > 16) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer context = KF_BUFFER_INIT;
    kf_buffer_append(&context, sequence_counter);
    kf_buffer_append(&context, aid);
    KF_TRY(kf_buffer_status(&context));
    kf_cipher *key = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, enc, &key));
    kf_code code = derive(key, DERIVE_CARD_CHALLENGE, kf_buffer_view(&context), ret_challenge, size);
    kf_cipher_free(&key);
    return code;
}
