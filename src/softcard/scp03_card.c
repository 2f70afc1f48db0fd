#include "softcard/scp03_card.h"

#include <string.h>

#include <keyfill/kdf.h>

#include "softcard/key_sets.h"

/* Data derivation constants (table 4-1). */
enum {
    DERIVE_CARD_CRYPTOGRAM = 0x00,
    DERIVE_HOST_CRYPTOGRAM = 0x01,
    DERIVE_CARD_CHALLENGE = 0x02,
    DERIVE_S_ENC = 0x04,
    DERIVE_S_MAC = 0x06,
    DERIVE_S_RMAC = 0x07,
};

enum { BLOCK = 16, LABEL_SIZE = 12, CONTEXT_MAX = 2 * SOFTCARD_CHALLENGE_MAX };

size_t softcard_scp03_mac_size(const softcard_secure_channel *secure)
{
    return (secure->parameter & SOFTCARD_I_S16) != 0 ? 16 : 8;
}

/* 4.1.5: label of eleven zeros and the constant, a zero, L in bits, then the counter, then the context. */
static kf_code derive(kf_cipher *prf, uint8_t constant, kf_view context, uint8_t *ret_bytes, size_t size)
{
    uint8_t fixed[LABEL_SIZE + 3 + CONTEXT_MAX] = {0};
    if (context.size > CONTEXT_MAX) return KF_ERR_ARGUMENT;
    fixed[LABEL_SIZE - 1] = constant;
    fixed[LABEL_SIZE + 1] = (uint8_t)(size * 8 >> 8);
    fixed[LABEL_SIZE + 2] = (uint8_t)(size * 8);
    memcpy(fixed + LABEL_SIZE + 3, context.data, context.size);
    kf_kdf_counter form = {
        .location = KF_COUNTER_MIDDLE_FIXED, .counter_bits = 8, .middle_offset = LABEL_SIZE + 3};
    return kf_kdf_counter_mode(prf, form, kf_view_of(fixed, LABEL_SIZE + 3 + context.size), ret_bytes, size);
}

static kf_view both_challenges(const softcard_secure_channel *secure, uint8_t space[CONTEXT_MAX])
{
    size_t size = softcard_scp03_mac_size(secure);
    memcpy(space, secure->host_challenge, size);
    memcpy(space + size, secure->card_challenge, size);
    return kf_view_of(space, 2 * size);
}

kf_code softcard_scp03_challenge(softcard_secure_channel *secure, const kf_secret *key_enc, uint32_t counter,
                                 kf_view aid)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *prf = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, key_enc, &prf));
    uint8_t context[3 + SOFTCARD_AID_MAX] = {(uint8_t)(counter >> 16), (uint8_t)(counter >> 8),
                                             (uint8_t)counter};
    if (aid.size > SOFTCARD_AID_MAX) return KF_ERR_ARGUMENT;
    memcpy(context + 3, aid.data, aid.size);
    return derive(prf, DERIVE_CARD_CHALLENGE, kf_view_of(context, 3 + aid.size), secure->card_challenge,
                  softcard_scp03_mac_size(secure));
}

static kf_code derive_cipher(const kf_secret *static_key, uint8_t constant, kf_view context,
                             kf_cipher **ret_cipher)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *prf = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, static_key, &prf));
    KF_CLEANUP(kf_wipe_block32) uint8_t session_key[32];
    size_t size = kf_secret_size(static_key);
    KF_TRY(derive(prf, constant, context, session_key, size));
    return kf_cipher_new(KF_AES, kf_view_of(session_key, size), ret_cipher);
}

kf_code softcard_scp03_derive(softcard_secure_channel *secure, const softcard_key_set *keys)
{
    const softcard_key *enc = softcard_key_find(keys, SOFTCARD_KEY_ENC);
    const softcard_key *mac = softcard_key_find(keys, SOFTCARD_KEY_MAC);
    const softcard_key *dek = softcard_key_find(keys, SOFTCARD_KEY_DEK);
    if (enc == NULL || mac == NULL || dek == NULL) return KF_ERR_ARGUMENT;
    uint8_t space[CONTEXT_MAX];
    kf_view context = both_challenges(secure, space);
    KF_TRY(derive_cipher(enc->value, DERIVE_S_ENC, context, &secure->encryption));
    KF_TRY(derive_cipher(mac->value, DERIVE_S_MAC, context, &secure->mac));
    KF_TRY(derive_cipher(mac->value, DERIVE_S_RMAC, context, &secure->response_mac));
    return kf_cipher_new_secret(KF_AES, dek->value, &secure->key_encryption);
}

kf_code softcard_scp03_card_cryptogram(softcard_secure_channel *secure, kf_buffer *output)
{
    uint8_t cryptogram[16];
    uint8_t space[CONTEXT_MAX];
    size_t size = softcard_scp03_mac_size(secure);
    KF_TRY(derive(secure->mac, DERIVE_CARD_CRYPTOGRAM, both_challenges(secure, space), cryptogram, size));
    kf_buffer_append_bytes(output, cryptogram, size);
    return kf_buffer_status(output);
}

kf_code softcard_scp03_check_host(softcard_secure_channel *secure, kf_view cryptogram)
{
    uint8_t expected[16];
    uint8_t space[CONTEXT_MAX];
    size_t size = softcard_scp03_mac_size(secure);
    KF_TRY(derive(secure->mac, DERIVE_HOST_CRYPTOGRAM, both_challenges(secure, space), expected, size));
    if (cryptogram.size != size || !kf_equal_constant_time(cryptogram.data, expected, size))
        return KF_ERR_AUTHENTICATION;
    return KF_OK;
}

/* The class byte goes into the MAC with secure messaging and without the logical channel (GlobalPlatform
 * 11.1.4, E.4.4); Lc counts the MAC. */
kf_code softcard_scp03_check_mac(softcard_secure_channel *secure, softcard_command *command)
{
    size_t mac_size = softcard_scp03_mac_size(secure);
    if (command->data.size < mac_size) return KF_ERR_AUTHENTICATION;
    kf_view data = kf_view_part(command->data, 0, command->data.size - mac_size);
    kf_view given = kf_view_part(command->data, data.size, mac_size);
    const uint8_t header[] = {softcard_class_for_mac(command->class_byte), command->instruction, command->p1,
                              command->p2};
    const uint8_t lengths[] = {0, (uint8_t)(command->data.size >> 8), (uint8_t)command->data.size};
    kf_view length = command->extended ? KF_VIEW(lengths) : kf_view_of(lengths + 2, 1);
    const kf_view parts[] = {KF_VIEW(secure->chaining_value), KF_VIEW(header), length, data};
    uint8_t mac[BLOCK];
    KF_TRY(kf_cmac_parts(secure->mac, parts, sizeof parts / sizeof parts[0], mac));
    if (!kf_equal_constant_time(mac, given.data, mac_size)) return KF_ERR_AUTHENTICATION;
    memcpy(secure->chaining_value, mac, sizeof mac);
    command->data = data;
    return KF_OK;
}

static void count_command(uint8_t counter[BLOCK])
{
    for (size_t i = BLOCK; i-- > 0;)
        if (++counter[i] != 0) return;
}

static kf_code remove_padding(kf_buffer *plain)
{
    size_t size = plain->size;
    while (size > 0 && plain->data[size - 1] == 0)
        size--;
    if (size == 0 || plain->data[size - 1] != 0x80 || plain->size - size >= BLOCK)
        return KF_ERR_AUTHENTICATION;
    kf_buffer_truncate(plain, size - 1);
    return KF_OK;
}

kf_code softcard_scp03_decrypt(softcard_secure_channel *secure, softcard_command *command, kf_buffer *plain)
{
    count_command(secure->counter);
    if (command->data.size == 0) return KF_OK;
    if (command->data.size % BLOCK != 0) return KF_ERR_AUTHENTICATION;
    uint8_t initial_vector[BLOCK];
    KF_TRY(kf_cipher_encrypt_blocks(secure->encryption, KF_VIEW(secure->counter), initial_vector));
    uint8_t *output = kf_buffer_extend(plain, command->data.size);
    if (output == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_cipher_cbc_decrypt(secure->encryption, initial_vector, command->data, output));
    KF_TRY(remove_padding(plain));
    command->data = kf_buffer_view(plain);
    return KF_OK;
}

kf_code softcard_scp03_encrypt_response(softcard_secure_channel *secure, kf_buffer *response)
{
    if (response->size == 0) return KF_OK;
    uint8_t initial_vector[BLOCK];
    memcpy(initial_vector, secure->counter, BLOCK);
    initial_vector[0] |= 0x80U;
    KF_TRY(kf_cipher_encrypt_blocks(secure->encryption, KF_VIEW(initial_vector), initial_vector));
    kf_buffer_append_u8(response, 0x80);
    kf_buffer_append_fill(response, 0, (BLOCK - response->size % BLOCK) % BLOCK);
    KF_TRY(kf_buffer_status(response));
    return kf_cipher_cbc_encrypt(secure->encryption, initial_vector, kf_buffer_view(response),
                                 response->data);
}

kf_code softcard_scp03_mac_response(softcard_secure_channel *secure, softcard_status status,
                                    kf_buffer *response)
{
    const uint8_t status_word[2] = {(uint8_t)(status >> 8), (uint8_t)status};
    const kf_view parts[] = {KF_VIEW(secure->chaining_value), kf_buffer_view(response), KF_VIEW(status_word)};
    uint8_t mac[BLOCK];
    KF_TRY(kf_cmac_parts(secure->response_mac, parts, sizeof parts / sizeof parts[0], mac));
    kf_buffer_append_bytes(response, mac, softcard_scp03_mac_size(secure));
    return kf_buffer_status(response);
}
