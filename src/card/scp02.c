/* SCP02: GlobalPlatform Card Specification 2.3.1 appendix E, explicit initiation. */
#include <string.h>

#include "card/channel_state.h"

/* Derivation constants (E.4.1). */
#define DERIVE_C_MAC 0x0101
#define DERIVE_R_MAC 0x0102
#define DERIVE_DEK 0x0181
#define DERIVE_ENC 0x0182

#define DES_BLOCK 8
#define KEY_SIZE 16

/* E.4.1: constant, sequence counter, zeros, encrypted by the static key in CBC mode. */
static kf_code derive_key(const kf_secret *static_key, uint16_t constant, const uint8_t *sequence_counter,
                          uint8_t ret_key[KEY_SIZE])
{
    if (kf_secret_size(static_key) != KEY_SIZE) return KF_ERR_KEY_SIZE;
    uint8_t input[KEY_SIZE] = {(uint8_t)(constant >> 8), (uint8_t)constant, sequence_counter[0],
                               sequence_counter[1]};
    kf_cipher *key = NULL;
    KF_TRY(kf_cipher_new_secret(KF_TDES, static_key, &key));
    kf_code code = kf_cipher_cbc_encrypt(key, NULL, KF_VIEW(input), ret_key);
    kf_cipher_free(&key);
    return code;
}

static kf_code derive_cipher(const kf_secret *static_key, uint16_t constant, const uint8_t *sequence_counter,
                             kf_cipher **ret_cipher)
{
    KF_CLEANUP(kf_wipe_block16) uint8_t key[KEY_SIZE];
    KF_TRY(derive_key(static_key, constant, sequence_counter, key));
    return kf_cipher_new(KF_TDES, kf_view_of(key, KEY_SIZE), ret_cipher);
}

/* B.1.2.1: full triple DES MAC: the last block of CBC over the padded data; E.4.2: 16 bytes and padding. */
static kf_code cryptogram(kf_secure_channel *channel, const kf_view parts[2],
                          uint8_t ret_cryptogram[DES_BLOCK])
{
    uint8_t blocks[3 * DES_BLOCK] = {0};
    memcpy(blocks, parts[0].data, DES_BLOCK);
    memcpy(blocks + DES_BLOCK, parts[1].data, DES_BLOCK);
    blocks[2 * DES_BLOCK] = 0x80;
    KF_TRY(kf_cipher_cbc_encrypt(channel->session_enc, NULL, KF_VIEW(blocks), blocks));
    memcpy(ret_cryptogram, blocks + 2 * DES_BLOCK, DES_BLOCK);
    return KF_OK;
}

/* The key of a retail MAC: triple DES for the last block, its left half for those before. */
static kf_code derive_mac_ciphers(kf_secure_channel *channel, const kf_secret *mac_key, uint16_t constant,
                                  kf_cipher **ret_whole, kf_cipher **ret_left)
{
    KF_CLEANUP(kf_wipe_block16) uint8_t key[KEY_SIZE];
    KF_TRY(derive_key(mac_key, constant, channel->answer.sequence_counter, key));
    KF_TRY(kf_cipher_new(KF_TDES, kf_view_of(key, KEY_SIZE), ret_whole));
    return kf_cipher_new(KF_DES, kf_view_of(key, DES_BLOCK), ret_left);
}

static kf_code start_macs(kf_secure_channel *channel, const kf_secret *mac_key)
{
    KF_TRY(derive_mac_ciphers(channel, mac_key, DERIVE_C_MAC, &channel->session_mac,
                              &channel->session_mac_left));
    return derive_mac_ciphers(channel, mac_key, DERIVE_R_MAC, &channel->session_rmac,
                              &channel->session_rmac_left);
}

static kf_code start(kf_secure_channel *channel, const kf_key_set *keys, kf_view host_challenge)
{
    const uint8_t *sequence_counter = channel->answer.sequence_counter;
    if (keys->enc == NULL) return KF_ERR_ARGUMENT;
    KF_TRY(derive_cipher(keys->enc, DERIVE_ENC, sequence_counter, &channel->session_enc));
    uint8_t card_part[DES_BLOCK] = {sequence_counter[0], sequence_counter[1]};
    memcpy(card_part + 2, channel->answer.card_challenge, 6);
    const kf_view host_first[2] = {host_challenge, KF_VIEW(card_part)};
    const kf_view card_first[2] = {KF_VIEW(card_part), host_challenge};
    KF_TRY(cryptogram(channel, host_first, channel->card_cryptogram));
    KF_TRY(cryptogram(channel, card_first, channel->host_cryptogram));
    if (keys->mac != NULL) KF_TRY(start_macs(channel, keys->mac));
    if (keys->dek != NULL)
        KF_TRY(derive_cipher(keys->dek, DERIVE_DEK, sequence_counter, &channel->data_encryption));
    return KF_OK;
}

/* B.1.2.2: single DES CBC by `left`, the last block by triple DES, `whole`. `padded`: at least one block,
 * overwritten. */
static kf_code retail_mac(kf_cipher *whole, kf_cipher *left, const uint8_t initial_vector[DES_BLOCK],
                          kf_buffer *padded, uint8_t ret_mac[DES_BLOCK])
{
    uint8_t chain[DES_BLOCK];
    memcpy(chain, initial_vector, DES_BLOCK);
    size_t first_size = padded->size - DES_BLOCK;
    if (first_size > 0) {
        KF_TRY(kf_cipher_cbc_encrypt(left, chain, kf_view_of(padded->data, first_size), padded->data));
        memcpy(chain, padded->data + first_size - DES_BLOCK, DES_BLOCK);
    }
    return kf_cipher_cbc_encrypt(whole, chain, kf_view_of(padded->data + first_size, DES_BLOCK), ret_mac);
}

/* E.3.4: the ICV of every C-MAC but the first is the C-MAC before, encrypted by single DES where i says so.
 */
static kf_code command_mac_vector(kf_secure_channel *channel, uint8_t ret_vector[DES_BLOCK])
{
    memset(ret_vector, 0, DES_BLOCK);
    if (!channel->authenticated) return KF_OK;
    if (channel->answer.options & KF_SCP02_ICV_ENCRYPTION)
        return kf_cipher_encrypt_blocks(channel->session_mac_left,
                                        kf_view_of(channel->mac_chaining_value, DES_BLOCK), ret_vector);
    memcpy(ret_vector, channel->mac_chaining_value, DES_BLOCK);
    return KF_OK;
}

/* E.4.4: over the header as it will be sent, or as it was before, by i; Lc without what encryption adds. */
static kf_code command_mac(kf_secure_channel *channel, const kf_command *command, uint8_t ret_mac[DES_BLOCK])
{
    bool unmodified = (channel->answer.options & KF_SCP02_UNMODIFIED_COMMAND) != 0;
    unsigned cla = unmodified ? command->cla & ~0x04u : command->cla;
    size_t length = command->data.size + (unmodified ? 0 : DES_BLOCK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    const uint8_t header[] = {(uint8_t)cla, command->ins, command->p1, command->p2, (uint8_t)length};
    kf_buffer_append_bytes(&input, header, sizeof(header));
    kf_buffer_append(&input, command->data);
    kf_channel_append_padding(&input, DES_BLOCK);
    KF_TRY(kf_buffer_status(&input));
    uint8_t vector[DES_BLOCK];
    KF_TRY(command_mac_vector(channel, vector));
    return retail_mac(channel->session_mac, channel->session_mac_left, vector, &input, ret_mac);
}

static kf_code protect(kf_secure_channel *channel, const kf_command *command, kf_buffer *wrapped_data)
{
    /* Appendix E knows no extended lengths. */
    if (command->extended) return KF_ERR_TOO_LONG;
    if (command->data.size + DES_BLOCK > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    uint8_t mac[DES_BLOCK];
    KF_TRY(command_mac(channel, command, mac));
    kf_buffer_append(wrapped_data, command->data);
    if ((channel->level & KF_LEVEL_C_DECRYPTION) && command->data.size > 0) {
        kf_channel_append_padding(wrapped_data, DES_BLOCK);
        KF_TRY(kf_buffer_status(wrapped_data));
        KF_TRY(kf_cipher_cbc_encrypt(channel->session_enc, NULL, kf_buffer_view(wrapped_data),
                                     wrapped_data->data));
    }
    if (wrapped_data->size + DES_BLOCK > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    kf_buffer_append_bytes(wrapped_data, mac, DES_BLOCK);
    KF_TRY(kf_buffer_status(wrapped_data));
    memcpy(channel->mac_chaining_value, mac, DES_BLOCK);
    /* E.4.5: the first response MAC is chained to the C-MAC of EXTERNAL AUTHENTICATE. */
    if (!channel->authenticated) {
        memcpy(channel->response_mac_chains[0], mac, DES_BLOCK);
        channel->response_mac_chain_count = 1;
    }
    channel->encryption_counter++;
    return KF_OK;
}

/* E.4.5: the stripped command: no secure messaging and no logical channel in its class, Lc even if it is 0,
 * no Le. */
static kf_code remember(kf_secure_channel *channel, const kf_command *plain)
{
    if (plain->extended) return KF_ERR_TOO_LONG;
    kf_buffer *stripped = kf_command_list_append(&channel->sent);
    if (stripped == NULL) return KF_ERR_TOO_LONG;
    const uint8_t header[] = {plain->cla & 0x90u, plain->ins, plain->p1, plain->p2,
                              (uint8_t)plain->data.size};
    kf_buffer_append_bytes(stripped, header, sizeof(header));
    kf_buffer_append(stripped, plain->data);
    return kf_buffer_status(stripped);
}

/* E.4.5: over the stripped command, the length of the response data modulo 256, the data and the status word;
 * chained to the response MAC before. */
static kf_code response_mac(kf_secure_channel *channel, const uint8_t chain[DES_BLOCK], uint64_t number,
                            const kf_response *response, uint8_t ret_mac[DES_BLOCK])
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    kf_buffer_append(&input, kf_buffer_view(&channel->sent.items[number - channel->sent_before - 1]));
    kf_buffer_append_u8(&input, (uint8_t)response->data.size);
    kf_buffer_append(&input, response->data);
    kf_buffer_append_u16(&input, response->status_word);
    kf_channel_append_padding(&input, DES_BLOCK);
    KF_TRY(kf_buffer_status(&input));
    return retail_mac(channel->session_rmac, channel->session_rmac_left, chain, &input, ret_mac);
}

/* Responses are checked in the order of their commands, each once. */
static bool is_due(const kf_secure_channel *channel, uint64_t number)
{
    return number > channel->answered && number > channel->sent_before &&
           number - channel->sent_before <= channel->sent.count;
}

/* Checks `given` by each way that is still possible, and keeps the one that fits. `bare`: it may be the MAC
 * so far, too. */
static kf_code check_response_mac(kf_secure_channel *channel, uint64_t number, const kf_response *response,
                                  const uint8_t *given, bool bare)
{
    for (size_t i = 0; i < channel->response_mac_chain_count; i++) {
        const uint8_t *chain = channel->response_mac_chains[i];
        uint8_t mac[DES_BLOCK];
        KF_TRY(response_mac(channel, chain, number, response, mac));
        bool fits = kf_equal_constant_time(mac, given, DES_BLOCK);
        if (!fits && !(bare && kf_equal_constant_time(chain, given, DES_BLOCK))) continue;
        memcpy(channel->response_mac_chains[0], given, DES_BLOCK);
        channel->response_mac_chain_count = 1;
        channel->answered = number;
        return KF_OK;
    }
    return KF_ERR_RESPONSE_MAC;
}

static kf_code unprotect(kf_secure_channel *channel, const kf_exchange *exchange, const kf_response *response,
                         kf_buffer *data)
{
    uint64_t number = exchange->encryption_counter;
    if (!is_due(channel, number)) return KF_ERR_CHANNEL;
    if (response->data.size < DES_BLOCK) return KF_ERR_RESPONSE_MAC;
    kf_view body = kf_view_part(response->data, 0, response->data.size - DES_BLOCK);
    kf_view given = kf_view_part(response->data, body.size, DES_BLOCK);
    const kf_response plain = {body, response->status_word};
    KF_TRY(check_response_mac(channel, number, &plain, given.data, false));
    kf_buffer_append(data, body);
    return kf_buffer_status(data);
}

/* The answer to BEGIN makes two ways of each: covered or not. An error is not covered, as it has no MAC where
 * each response has one. */
static kf_code advance(kf_secure_channel *channel, const kf_exchange *exchange, const kf_response *response)
{
    bool begins = (exchange->level & KF_EXCHANGE_KIND) == KF_EXCHANGE_BEGINS;
    unsigned sw1 = response->status_word >> 8;
    if (response->status_word != 0x9000 && sw1 != 0x62 && sw1 != 0x63) return KF_OK;
    size_t count = channel->response_mac_chain_count;
    for (size_t i = 0; i < count; i++) {
        size_t place = begins ? count + i : i;
        uint8_t mac[DES_BLOCK];
        if (place >= KF_RESPONSE_CHAINS_MAX) return KF_ERR_INTERNAL;
        KF_TRY(response_mac(channel, channel->response_mac_chains[i], exchange->encryption_counter, response,
                            mac));
        memcpy(channel->response_mac_chains[place], mac, DES_BLOCK);
    }
    if (begins) channel->response_mac_chain_count = 2 * count;
    return KF_OK;
}

kf_code kf_scp02_count_response(kf_secure_channel *channel, const kf_exchange *exchange,
                                const kf_response *response)
{
    uint64_t number = exchange->encryption_counter;
    if (!is_due(channel, number)) return KF_ERR_CHANNEL;
    if ((exchange->level & KF_EXCHANGE_KIND) != KF_EXCHANGE_ENDS) {
        KF_TRY(advance(channel, exchange, response));
    } else if (response->status_word == 0x9000) {
        const kf_response plain = {{NULL, 0}, response->status_word};
        if (response->data.size != DES_BLOCK) return KF_ERR_RESPONSE_MAC;
        return check_response_mac(channel, number, &plain, response->data.data, true);
    }
    channel->answered = number;
    return KF_OK;
}

/* E.4.7: the session key, ECB. */
static kf_code encrypt_data(kf_secure_channel *channel, kf_view plain, uint8_t *ret_encrypted)
{
    return kf_cipher_encrypt_blocks(channel->data_encryption, plain, ret_encrypted);
}

const kf_channel_protocol kf_protocol_scp02 = {
    .start = start,
    .protect = protect,
    .unprotect = unprotect,
    .encrypt_data = encrypt_data,
    .remember = remember,
    .data_block_size = DES_BLOCK,
};
