/* Keys that go to a security domain: PUT KEY (Card Specification 11.8) and STORE DATA (11.11.4). */
#include <keyfill/globalplatform.h>

#include "card/gp_command.h"
#include "card/gp_length.h"

#include <keyfill/tlv.h>

#define INS_PUT_KEY 0xD8

/* Key types (table 11-16). */
#define KEY_TYPE_TDES 0x80
#define KEY_TYPE_AES 0x88
#define KEY_TYPE_RSA_EXPONENT 0xA0
#define KEY_TYPE_RSA_MODULUS 0xA1

#define DGI_KEY_ATTRIBUTES 0x00B9
#define DGI_KEY_VALUE 0x8113
#define TAG_COMMON_ATTRIBUTES 0xB7
#define TAG_KEY_ATTRIBUTES 0xB9
#define TAG_KEY_TYPE 0x80
#define TAG_KEY_SIZE 0x81
#define TAG_KEY_IDENTIFIER 0x82
#define TAG_KEY_VERSION 0x83
#define TAG_KEY_CHECK_VALUE 0x84
#define TAG_KEY_ACCESS 0x96
#define TAG_KEY_PURPOSE 0x97

static kf_code key_type(const kf_gp_key *key, uint8_t *ret_type)
{
    switch (key->algorithm) {
    case KF_AES: *ret_type = KEY_TYPE_AES; return KF_OK;
    case KF_TDES: *ret_type = KEY_TYPE_TDES; return KF_OK;
    case KF_SM4:
    case KF_DES: return KF_ERR_UNSUPPORTED;
    }
    return KF_ERR_ARGUMENT;
}

/* 11.8.2.3.3: type, length, encrypted value, check value. Where the value was padded, and for AES unless
 * asked otherwise, the key's own length stands before the encrypted value. */
static kf_code append_key(kf_secure_channel *channel, const kf_gp_key *key, bool plain_length,
                          kf_buffer *data)
{
    uint8_t type;
    KF_TRY(key_type(key, &type));
    kf_kcv kcv;
    KF_TRY(kf_kcv_compute(key->algorithm, key->value, KF_KCV_GLOBALPLATFORM, &kcv));
    KF_CLEANUP(kf_buffer_clear) kf_buffer encrypted = KF_BUFFER_INIT;
    KF_TRY(kf_secure_channel_encrypt_key(channel, key->value, &encrypted));
    size_t key_size = kf_secret_size(key->value);
    bool with_length = encrypted.size != key_size || (key->algorithm == KF_AES && !plain_length);
    kf_buffer_append_u8(data, type);
    if (with_length) {
        kf_buffer_append_u8(data, (uint8_t)(encrypted.size + 1));
        kf_buffer_append_u8(data, (uint8_t)key_size);
    } else {
        kf_buffer_append_u8(data, (uint8_t)encrypted.size);
    }
    kf_buffer_append(data, kf_buffer_view(&encrypted));
    kf_buffer_append_u8(data, KF_KCV_SIZE);
    kf_buffer_append(data, KF_VIEW(kcv.bytes));
    return kf_buffer_status(data);
}

static kf_code check_put_key(const kf_gp_put_key *put_key)
{
    if (put_key->key_count == 0 || put_key->key_count > KF_GP_KEYS_MAX) return KF_ERR_ARGUMENT;
    if (put_key->present_version > 0x7F) return KF_ERR_ARGUMENT;
    if (put_key->new_version == 0 || put_key->new_version > 0x7F) return KF_ERR_ARGUMENT;
    if (put_key->key_identifier == 0 || put_key->key_identifier > 0x7F) return KF_ERR_ARGUMENT;
    return KF_OK;
}

kf_code kf_gp_put_key_command(kf_secure_channel *channel, const kf_gp_put_key *put_key, kf_buffer *apdu)
{
    KF_TRY(check_put_key(put_key));
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_buffer_append_u8(&data, put_key->new_version);
    for (size_t i = 0; i < put_key->key_count; i++)
        KF_TRY(append_key(channel, &put_key->keys[i], put_key->plain_length, &data));
    KF_TRY(kf_buffer_status(&data));
    if (data.size > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    /* P2 bit 8: several keys (table 11-66). */
    unsigned p2 = put_key->key_identifier | (put_key->key_count > 1 ? 0x80u : 0u);
    kf_command command = {0x80,
                          INS_PUT_KEY,
                          put_key->present_version,
                          (uint8_t)p2,
                          kf_buffer_view(&data),
                          true,
                          KF_COMMAND_LE_MAX,
                          false};
    return kf_command_encode(&command, apdu);
}

kf_code kf_gp_put_key_expected(const kf_gp_put_key *put_key, kf_buffer *data)
{
    KF_TRY(check_put_key(put_key));
    kf_kcv kcvs[KF_GP_KEYS_MAX];
    for (size_t i = 0; i < put_key->key_count; i++)
        KF_TRY(kf_kcv_compute(put_key->keys[i].algorithm, put_key->keys[i].value, KF_KCV_GLOBALPLATFORM,
                              &kcvs[i]));
    kf_buffer_append_u8(data, put_key->new_version);
    for (size_t i = 0; i < put_key->key_count; i++)
        kf_buffer_append(data, KF_VIEW(kcvs[i].bytes));
    return kf_buffer_status(data);
}

kf_code kf_gp_put_key_answer_parse(kf_view data, kf_gp_put_key_answer *ret_answer)
{
    kf_cursor cursor = kf_cursor_of(data);
    kf_gp_put_key_answer answer = {0};
    if (kf_cursor_u8(&cursor, &answer.key_version) != KF_OK) return KF_ERR_CARD_DATA;
    while (!kf_cursor_at_end(&cursor)) {
        if (answer.kcv_count == KF_GP_KEYS_MAX) return KF_ERR_CARD_DATA;
        kf_kcv *kcv = &answer.kcvs[answer.kcv_count++];
        if (kf_cursor_copy(&cursor, kcv->bytes, KF_KCV_SIZE) != KF_OK) return KF_ERR_CARD_DATA;
    }
    *ret_answer = answer;
    return KF_OK;
}

kf_code kf_gp_put_public_key_commands(const kf_gp_put_public_key *put_key, kf_command_list *commands)
{
    const kf_gp_put_key versions = {.present_version = put_key->present_version,
                                    .new_version = put_key->new_version,
                                    .key_identifier = put_key->key_identifier,
                                    .key_count = 1};
    KF_TRY(check_put_key(&versions));
    if (put_key->modulus.size == 0 || put_key->exponent.size == 0) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_buffer_append_u8(&data, put_key->new_version);
    kf_buffer_append_u8(&data, KEY_TYPE_RSA_MODULUS);
    KF_TRY(kf_gp_field_append(&data, put_key->modulus));
    kf_buffer_append_u8(&data, KEY_TYPE_RSA_EXPONENT);
    KF_TRY(kf_gp_field_append(&data, put_key->exponent));
    kf_buffer_append_u8(&data, 0);
    KF_TRY(kf_buffer_status(&data));
    const kf_gp_chain chain = {INS_PUT_KEY, put_key->present_version, put_key->key_identifier,
                               kf_buffer_view(&data), put_key->data_max};
    return kf_gp_append_chain(&chain, commands);
}

/* The attributes that all keys share: type, size, version, who may use them, and for which protocol. */
static kf_code append_common_attributes(const kf_gp_store_keys *store_keys, kf_buffer *attributes)
{
    const kf_gp_key *first = &store_keys->keys[0];
    uint8_t type;
    KF_TRY(key_type(first, &type));
    const uint8_t purpose[] = {0x00, first->algorithm == KF_AES ? 0x03 : 0x02};
    size_t mark = kf_tlv_begin(attributes, TAG_COMMON_ATTRIBUTES);
    kf_tlv_append_u8(attributes, TAG_KEY_TYPE, type);
    kf_tlv_append_u8(attributes, TAG_KEY_SIZE, (uint8_t)kf_secret_size(first->value));
    kf_tlv_append_u8(attributes, TAG_KEY_VERSION, store_keys->key_version);
    kf_tlv_append_u8(attributes, TAG_KEY_ACCESS, store_keys->access);
    kf_tlv_append(attributes, TAG_KEY_PURPOSE, KF_VIEW(purpose));
    kf_tlv_end(attributes, mark);
    return KF_OK;
}

static kf_code check_store_keys(const kf_gp_store_keys *store_keys)
{
    if (store_keys->key_count == 0 || store_keys->key_count > KF_GP_KEYS_MAX) return KF_ERR_ARGUMENT;
    if (store_keys->key_version == 0 || store_keys->key_version > 0x7F) return KF_ERR_ARGUMENT;
    if (store_keys->key_identifier == 0 || store_keys->access > 2) return KF_ERR_ARGUMENT;
    const kf_gp_key *first = &store_keys->keys[0];
    for (size_t i = 1; i < store_keys->key_count; i++)
        if (store_keys->keys[i].algorithm != first->algorithm ||
            kf_secret_size(store_keys->keys[i].value) != kf_secret_size(first->value))
            return KF_ERR_ARGUMENT;
    return KF_OK;
}

kf_code kf_gp_store_keys_dgis(kf_secure_channel *channel, const kf_gp_store_keys *store_keys, kf_buffer *dgis)
{
    KF_TRY(check_store_keys(store_keys));
    KF_CLEANUP(kf_buffer_clear) kf_buffer attributes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer values = KF_BUFFER_INIT;
    KF_TRY(append_common_attributes(store_keys, &attributes));
    for (size_t i = 0; i < store_keys->key_count; i++) {
        const kf_gp_key *key = &store_keys->keys[i];
        kf_kcv kcv;
        KF_TRY(kf_kcv_compute(key->algorithm, key->value, KF_KCV_GLOBALPLATFORM, &kcv));
        size_t mark = kf_tlv_begin(&attributes, TAG_KEY_ATTRIBUTES);
        kf_tlv_append_u8(&attributes, TAG_KEY_IDENTIFIER, (uint8_t)(store_keys->key_identifier + i));
        kf_tlv_append(&attributes, TAG_KEY_CHECK_VALUE, KF_VIEW(kcv.bytes));
        kf_tlv_end(&attributes, mark);
        KF_CLEANUP(kf_buffer_clear) kf_buffer encrypted = KF_BUFFER_INIT;
        KF_TRY(kf_secure_channel_encrypt_key(channel, key->value, &encrypted));
        KF_TRY(kf_dgi_append(&values, DGI_KEY_VALUE, kf_buffer_view(&encrypted)));
    }
    KF_TRY(kf_buffer_status(&attributes));
    KF_TRY(kf_dgi_append(dgis, DGI_KEY_ATTRIBUTES, kf_buffer_view(&attributes)));
    kf_buffer_append(dgis, kf_buffer_view(&values));
    return kf_buffer_status(dgis);
}
