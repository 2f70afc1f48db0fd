#include "softcard/scp02_card.h"

#include <string.h>

#include "softcard/key_sets.h"

/* Derivation constants (table E-1). */
enum { DERIVE_C_MAC = 0x0101, DERIVE_R_MAC = 0x0102, DERIVE_DEK = 0x0181, DERIVE_ENC = 0x0182 };

enum { BLOCK = 8, KEY_SIZE = 16 };

static const uint8_t zero_block[BLOCK];

/* E.4.1: constant, counter and twelve zeros under the static key in CBC mode. */
static kf_code derive(const kf_secret *static_key, uint16_t constant, uint32_t counter, uint8_t *ret_key)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new_secret(KF_TDES, static_key, &cipher));
    const uint8_t data[KEY_SIZE] = {(uint8_t)(constant >> 8), (uint8_t)constant, (uint8_t)(counter >> 8),
                                    (uint8_t)counter};
    return kf_cipher_cbc_encrypt(cipher, NULL, KF_VIEW(data), ret_key);
}

static kf_code derive_cipher(const kf_secret *static_key, uint16_t constant, uint32_t counter,
                             kf_cipher **ret_cipher)
{
    KF_CLEANUP(kf_wipe_block16) uint8_t key[KEY_SIZE];
    KF_TRY(derive(static_key, constant, counter, key));
    return kf_cipher_new(KF_TDES, KF_VIEW(key), ret_cipher);
}

static kf_code derive_pair(const kf_secret *static_key, uint16_t constant, uint32_t counter,
                           kf_mac_pair *ret_pair)
{
    KF_CLEANUP(kf_wipe_block16) uint8_t key[KEY_SIZE];
    KF_TRY(derive(static_key, constant, counter, key));
    return kf_mac_retail_pair(KF_VIEW(key), ret_pair);
}

kf_code softcard_scp02_derive(softcard_secure_channel *secure, const softcard_key_set *keys)
{
    const softcard_key *enc = softcard_key_find(keys, SOFTCARD_KEY_ENC);
    const softcard_key *mac = softcard_key_find(keys, SOFTCARD_KEY_MAC);
    const softcard_key *dek = softcard_key_find(keys, SOFTCARD_KEY_DEK);
    if (enc == NULL || mac == NULL || dek == NULL) return KF_ERR_ARGUMENT;
    secure->sequence_counter = (uint16_t)keys->sequence_counter;
    KF_TRY(derive_cipher(enc->value, DERIVE_ENC, keys->sequence_counter, &secure->encryption));
    KF_TRY(derive_pair(mac->value, DERIVE_C_MAC, keys->sequence_counter, &secure->mac_pair));
    KF_TRY(derive_pair(mac->value, DERIVE_R_MAC, keys->sequence_counter, &secure->response_mac_pair));
    return derive_cipher(dek->value, DERIVE_DEK, keys->sequence_counter, &secure->key_encryption);
}

kf_code softcard_scp02_challenge(softcard_secure_channel *secure, kf_view aid)
{
    uint8_t mac[BLOCK];
    KF_TRY(kf_mac_retail(secure->mac_pair, KF_PADDING_2, NULL, aid, mac));
    memcpy(secure->card_challenge, mac, SOFTCARD_SCP02_CARD_CHALLENGE);
    return KF_OK;
}

typedef struct challenges {
    uint8_t host[SOFTCARD_SCP02_HOST_CHALLENGE];
    uint8_t card[2 + SOFTCARD_SCP02_CARD_CHALLENGE];
} challenges;

static challenges challenges_of(const softcard_secure_channel *secure)
{
    challenges both;
    memcpy(both.host, secure->host_challenge, sizeof both.host);
    both.card[0] = (uint8_t)(secure->sequence_counter >> 8);
    both.card[1] = (uint8_t)secure->sequence_counter;
    memcpy(both.card + 2, secure->card_challenge, SOFTCARD_SCP02_CARD_CHALLENGE);
    return both;
}

static kf_code cryptogram_of(softcard_secure_channel *secure, const uint8_t *first, const uint8_t *second,
                             uint8_t ret_cryptogram[BLOCK])
{
    uint8_t message[2 * BLOCK];
    memcpy(message, first, BLOCK);
    memcpy(message + BLOCK, second, BLOCK);
    return kf_mac_cbc(secure->encryption, KF_PADDING_2, NULL, KF_VIEW(message), ret_cryptogram);
}

kf_code softcard_scp02_card_cryptogram(softcard_secure_channel *secure, kf_buffer *output)
{
    uint8_t cryptogram[BLOCK];
    challenges both = challenges_of(secure);
    KF_TRY(cryptogram_of(secure, both.host, both.card, cryptogram));
    kf_buffer_append_bytes(output, cryptogram, sizeof cryptogram);
    return kf_buffer_status(output);
}

kf_code softcard_scp02_check_host(softcard_secure_channel *secure, kf_view cryptogram)
{
    uint8_t expected[BLOCK];
    challenges both = challenges_of(secure);
    KF_TRY(cryptogram_of(secure, both.card, both.host, expected));
    if (cryptogram.size != sizeof expected ||
        !kf_equal_constant_time(cryptogram.data, expected, sizeof expected))
        return KF_ERR_AUTHENTICATION;
    return KF_OK;
}

static kf_code decrypt(softcard_secure_channel *secure, kf_view *data, kf_buffer *plain)
{
    kf_view message;
    if (data->size == 0) return KF_OK;
    if (data->size % BLOCK != 0) return KF_ERR_AUTHENTICATION;
    uint8_t *output = kf_buffer_extend(plain, data->size);
    if (output == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_cipher_cbc_decrypt(secure->encryption, NULL, *data, output));
    if (kf_mac_unpad2(kf_buffer_view(plain), &message) != KF_OK || data->size - message.size > BLOCK)
        return KF_ERR_AUTHENTICATION;
    kf_buffer_truncate(plain, message.size);
    *data = kf_buffer_view(plain);
    return KF_OK;
}

/* E.3.2: the vector of the first C-MAC is zero; that of every later one is the C-MAC before it, with i=15 and
 * 55 encrypted under the left half of the key. */
static kf_code initial_vector(softcard_secure_channel *secure, uint8_t ret_vector[BLOCK])
{
    bool is_first = memcmp(secure->chaining_value, zero_block, BLOCK) == 0;
    if (is_first || (secure->parameter & SOFTCARD_I02_ENCRYPTED_ICV) == 0) {
        memcpy(ret_vector, secure->chaining_value, BLOCK);
        return KF_OK;
    }
    return kf_cipher_encrypt_blocks(secure->mac_pair.chain, kf_view_of(secure->chaining_value, BLOCK),
                                    ret_vector);
}

/* The MAC covers the command with plain data and a length that counts plain data and MAC. */
static kf_code check_mac(softcard_secure_channel *secure, const softcard_command *command, kf_view data,
                         kf_view given)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    uint8_t vector[BLOCK];
    uint8_t mac[BLOCK];
    size_t length = data.size + SOFTCARD_SCP02_MAC;
    const uint8_t header[] = {softcard_class_for_mac(command->class_byte), command->instruction, command->p1,
                              command->p2};
    kf_buffer_append(&message, KF_VIEW(header));
    if (command->extended) {
        kf_buffer_append_u8(&message, 0);
        kf_buffer_append_u16(&message, (uint16_t)length);
    } else {
        kf_buffer_append_u8(&message, (uint8_t)length);
    }
    kf_buffer_append(&message, data);
    KF_TRY(kf_buffer_status(&message));
    KF_TRY(initial_vector(secure, vector));
    KF_TRY(kf_mac_retail(secure->mac_pair, KF_PADDING_2, vector, kf_buffer_view(&message), mac));
    if (!kf_equal_constant_time(mac, given.data, sizeof mac)) return KF_ERR_AUTHENTICATION;
    memcpy(secure->chaining_value, mac, sizeof mac);
    return KF_OK;
}

kf_code softcard_scp02_unwrap(softcard_secure_channel *secure, softcard_command *command, kf_buffer *plain)
{
    if (command->data.size < SOFTCARD_SCP02_MAC) return KF_ERR_AUTHENTICATION;
    kf_view data = kf_view_part(command->data, 0, command->data.size - SOFTCARD_SCP02_MAC);
    kf_view given = kf_view_part(command->data, data.size, SOFTCARD_SCP02_MAC);
    if ((secure->level & SOFTCARD_LEVEL_ENCRYPTION) != 0) KF_TRY(decrypt(secure, &data, plain));
    KF_TRY(check_mac(secure, command, data, given));
    command->data = data;
    return KF_OK;
}

/* The first vector is the C-MAC of EXTERNAL AUTHENTICATE, every later one the R-MAC before it. */
kf_code softcard_scp02_mac_response(softcard_secure_channel *secure, const softcard_command *command,
                                    softcard_status status, kf_buffer *response)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    uint8_t mac[BLOCK];
    const uint8_t header[] = {softcard_class_without_channel(command->class_byte), command->instruction,
                              command->p1, command->p2, (uint8_t)command->data.size};
    kf_buffer_append(&message, KF_VIEW(header));
    kf_buffer_append(&message, command->data);
    kf_buffer_append_u8(&message, (uint8_t)response->size);
    kf_buffer_append(&message, kf_buffer_view(response));
    kf_buffer_append_u16(&message, status);
    KF_TRY(kf_buffer_status(&message));
    KF_TRY(kf_mac_retail(secure->response_mac_pair, KF_PADDING_2, secure->response_chaining_value,
                         kf_buffer_view(&message), mac));
    memcpy(secure->response_chaining_value, mac, sizeof mac);
    kf_buffer_append_bytes(response, mac, sizeof mac);
    return kf_buffer_status(response);
}
