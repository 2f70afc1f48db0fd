#include <keyfill/emv.h>

#include <string.h>

#include "crypto/parity.h"

#include <keyfill/mac.h>

#define SCRIPT_DATA_MAX 239 /* bytes: enciphered in whole blocks beside a MAC they fit one short command */
#define VISA_KEY_SIZE 16
#define CVR_OFFSET 3 /* of the card verification results in Visa's issuer application data */
#define CVR_SIZE 4

static kf_code check_key(kf_algorithm algorithm, const kf_secret *key)
{
    if (algorithm == KF_AES) return KF_OK; /* kf_cipher_new knows its sizes */
    if (algorithm != KF_TDES) return KF_ERR_UNSUPPORTED;
    return kf_secret_size(key) == 16 ? KF_OK : KF_ERR_KEY_SIZE;
}

static kf_code cipher_of(kf_algorithm algorithm, const kf_secret *key, kf_cipher **ret_cipher)
{
    KF_TRY(check_key(algorithm, key));
    return kf_cipher_new_secret(algorithm, key, ret_cipher);
}

kf_code kf_emv_session_key(kf_algorithm algorithm, const kf_secret *card_key, kf_view diversifier,
                           kf_secret **ret_key)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(cipher_of(algorithm, card_key, &cipher));
    size_t block_size = kf_cipher_block_size(cipher);
    size_t key_size = kf_cipher_key_size(cipher);
    if (diversifier.size < 2 || diversifier.size > block_size) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_wipe_block32) uint8_t blocks[2 * KF_BLOCK_MAX] = {0};
    memcpy(blocks, diversifier.data, diversifier.size);
    memcpy(blocks + block_size, blocks, block_size);
    /* Two blocks where the key is longer than one: the third byte tells them apart. */
    if (key_size > block_size) {
        blocks[2] = 0xF0;
        blocks[block_size + 2] = 0x0F;
    }
    KF_TRY(kf_cipher_encrypt_blocks(cipher, kf_view_of(blocks, 2 * block_size), blocks));
    if (algorithm == KF_TDES) kf_set_odd_parity(blocks, key_size);
    return kf_secret_new(kf_view_of(blocks, key_size), ret_key);
}

kf_code kf_emv_visa_script_key(const kf_secret *card_key, const uint8_t transaction_counter[2],
                               kf_secret **ret_key)
{
    if (kf_secret_size(card_key) != VISA_KEY_SIZE) return KF_ERR_KEY_SIZE;
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(kf_secret_copy(card_key, &key));
    uint8_t *bytes = kf_secret_expose_writable(key);
    for (size_t i = 0; i < 2; i++) {
        bytes[6 + i] = (uint8_t)(bytes[6 + i] ^ transaction_counter[i]);
        bytes[14 + i] = (uint8_t)(bytes[14 + i] ^ 0xFFU ^ transaction_counter[i]);
    }
    kf_set_odd_parity(bytes, VISA_KEY_SIZE);
    *ret_key = key; /* goes over to the caller */
    key = NULL;
    return KF_OK;
}

/* A1.2.1 with algorithm 3, A1.2.2: a whole block comes out. */
static kf_code make_mac(kf_algorithm algorithm, const kf_secret *key, kf_mac_padding padding, kf_view message,
                        uint8_t ret_mac[KF_BLOCK_MAX])
{
    KF_TRY(check_key(algorithm, key));
    if (algorithm == KF_AES) {
        KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
        KF_TRY(kf_cipher_new_secret(KF_AES, key, &cipher));
        return kf_cmac(cipher, message, ret_mac);
    }
    KF_CLEANUP(kf_mac_pair_free) kf_mac_pair pair = {NULL, NULL};
    KF_TRY(kf_mac_retail_pair(kf_secret_expose(key), &pair));
    return kf_mac_retail(pair, padding, NULL, message, ret_mac);
}

kf_code kf_emv_cryptogram(kf_algorithm algorithm, const kf_secret *key, kf_emv_padding padding, kf_view data,
                          uint8_t ret_cryptogram[KF_EMV_CRYPTOGRAM_SIZE])
{
    if (padding == KF_EMV_PADDING_ZEROS && algorithm == KF_AES) return KF_ERR_UNSUPPORTED;
    KF_CLEANUP(kf_wipe_block16) uint8_t mac[KF_BLOCK_MAX];
    kf_mac_padding method = padding == KF_EMV_PADDING_ZEROS ? KF_PADDING_1 : KF_PADDING_2;
    KF_TRY(make_mac(algorithm, key, method, data, mac));
    memcpy(ret_cryptogram, mac, KF_EMV_CRYPTOGRAM_SIZE);
    return KF_OK;
}

kf_code kf_emv_transaction_data(kf_emv_cryptogram_version version, const kf_emv_transaction *transaction,
                                kf_buffer *data)
{
    kf_view application_data = transaction->issuer_application_data;
    if (version != KF_EMV_CVN_10 && version != KF_EMV_CVN_18) return KF_ERR_UNSUPPORTED;
    if (application_data.size < CVR_OFFSET + CVR_SIZE || application_data.size > KF_EMV_APPLICATION_DATA_MAX)
        return KF_ERR_MALFORMED;
    kf_buffer_append(data, KF_VIEW(transaction->amount_authorised));
    kf_buffer_append(data, KF_VIEW(transaction->amount_other));
    kf_buffer_append(data, KF_VIEW(transaction->terminal_country));
    kf_buffer_append(data, KF_VIEW(transaction->verification_results));
    kf_buffer_append(data, KF_VIEW(transaction->currency));
    kf_buffer_append(data, KF_VIEW(transaction->date));
    kf_buffer_append_u8(data, transaction->type);
    kf_buffer_append(data, KF_VIEW(transaction->unpredictable_number));
    kf_buffer_append(data, KF_VIEW(transaction->interchange_profile));
    kf_buffer_append(data, KF_VIEW(transaction->transaction_counter));
    kf_buffer_append(data, version == KF_EMV_CVN_10 ? kf_view_part(application_data, CVR_OFFSET, CVR_SIZE)
                                                    : application_data);
    return kf_buffer_status(data);
}

kf_code kf_emv_arpc_1(kf_algorithm algorithm, const kf_secret *key, const kf_emv_answer *answer,
                      uint8_t ret_arpc[KF_EMV_CRYPTOGRAM_SIZE])
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(cipher_of(algorithm, key, &cipher));
    uint8_t block[KF_BLOCK_MAX] = {0};
    memcpy(block, answer->cryptogram, sizeof answer->cryptogram);
    for (size_t i = 0; i < sizeof answer->response_code; i++)
        block[i] = (uint8_t)(block[i] ^ answer->response_code[i]);
    KF_TRY(kf_cipher_encrypt_blocks(cipher, kf_view_of(block, kf_cipher_block_size(cipher)), block));
    memcpy(ret_arpc, block, KF_EMV_CRYPTOGRAM_SIZE);
    return KF_OK;
}

kf_code kf_emv_arpc_2(kf_algorithm algorithm, const kf_secret *key, const kf_emv_answer *answer,
                      uint8_t ret_arpc[KF_EMV_ARPC_2_SIZE])
{
    if (answer->proprietary_data.size > KF_EMV_PROPRIETARY_MAX) return KF_ERR_TOO_LONG;
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    kf_buffer_append(&message, KF_VIEW(answer->cryptogram));
    kf_buffer_append(&message, KF_VIEW(answer->card_status_update));
    kf_buffer_append(&message, answer->proprietary_data);
    KF_TRY(kf_buffer_status(&message));
    KF_CLEANUP(kf_wipe_block16) uint8_t mac[KF_BLOCK_MAX];
    KF_TRY(make_mac(algorithm, key, KF_PADDING_2, kf_buffer_view(&message), mac));
    memcpy(ret_arpc, mac, KF_EMV_ARPC_2_SIZE);
    return KF_OK;
}

kf_code kf_emv_script_mac(kf_algorithm algorithm, const kf_secret *key, kf_view message,
                          uint8_t ret_mac[KF_EMV_CRYPTOGRAM_SIZE])
{
    return kf_emv_cryptogram(algorithm, key, KF_EMV_PADDING_80, message, ret_mac);
}

kf_code kf_emv_script_encipher(kf_algorithm algorithm, const kf_secret *key, kf_emv_encipherment form,
                               kf_view plain, kf_buffer *enciphered)
{
    if (plain.size == 0) return KF_ERR_ARGUMENT;
    if (plain.size > SCRIPT_DATA_MAX) return KF_ERR_TOO_LONG;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(cipher_of(algorithm, key, &cipher));
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer padded = KF_BUFFER_INIT;
    if (form == KF_EMV_ECB_LENGTH_FIRST) kf_buffer_append_u8(&message, (uint8_t)plain.size);
    kf_buffer_append(&message, plain);
    KF_TRY(kf_buffer_status(&message));
    size_t block_size = kf_cipher_block_size(cipher);
    bool bare = form == KF_EMV_CBC_PAD_UNEVEN && plain.size % block_size == 0;
    KF_TRY(kf_mac_pad(bare ? KF_PADDING_1 : KF_PADDING_2, block_size, kf_buffer_view(&message), &padded));
    kf_view blocks = kf_buffer_view(&padded);
    if (form == KF_EMV_ECB_LENGTH_FIRST)
        KF_TRY(kf_cipher_encrypt_blocks(cipher, blocks, padded.data));
    else
        KF_TRY(kf_cipher_cbc_encrypt(cipher, NULL, blocks, padded.data));
    kf_buffer_append(enciphered, blocks);
    return kf_buffer_status(enciphered);
}
