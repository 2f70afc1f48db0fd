#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <keyfill/emv.h>

static kf_secret *key_of(size_t size)
{
    uint8_t bytes[32];
    kf_secret *key = NULL;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(0x11 * i + 1);
    assert_int_equal(kf_secret_new(kf_view_of(bytes, size), &key), KF_OK);
    return key;
}

static void encrypt(const kf_secret *key, const uint8_t block[16], uint8_t ret_block[16])
{
    kf_cipher *cipher = NULL;
    assert_int_equal(kf_cipher_new_secret(KF_AES, key, &cipher), KF_OK);
    assert_int_equal(kf_cipher_encrypt_blocks(cipher, kf_view_of(block, 16), ret_block), KF_OK);
    kf_cipher_free(&cipher);
}

/* EMV 4.4 Book 2 A1.3.1, for keys of one block and of more. */
static void aes_session_keys_are_one_block_or_the_front_of_two(void **state)
{
    (void)state;
    const uint8_t counter[2] = {0x00, 0x1C};
    for (size_t size = 16; size <= 32; size += 8) {
        kf_secret *card = key_of(size);
        kf_secret *session = NULL;
        uint8_t blocks[32] = {0x00, 0x1C};
        blocks[17] = 0x1C;
        if (size > 16) {
            blocks[2] = 0xF0;
            blocks[18] = 0x0F;
        }
        assert_int_equal(kf_emv_session_key(KF_AES, card, KF_VIEW(counter), &session), KF_OK);
        encrypt(card, blocks, blocks);
        encrypt(card, blocks + 16, blocks + 16);
        assert_int_equal(kf_secret_size(session), size);
        assert_memory_equal(kf_secret_expose(session).data, blocks, size);
        kf_secret_free(&card);
        kf_secret_free(&session);
    }
}

static void aes_cryptograms_and_answers_are_fronts_of_cmacs(void **state)
{
    (void)state;
    kf_secret *key = key_of(16);
    kf_cipher *cipher = NULL;
    const uint8_t proprietary[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const kf_emv_answer answer = {.cryptogram = {9, 8, 7, 6, 5, 4, 3, 2},
                                  .response_code = {0x30, 0x31},
                                  .card_status_update = {0, 0x82, 0, 0},
                                  .proprietary_data = KF_VIEW(proprietary)};
    const uint8_t message[20] = {9, 8, 7, 6, 5, 4, 3, 2, 0, 0x82, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t block[16] = {9 ^ 0x30, 8 ^ 0x31, 7, 6, 5, 4, 3, 2};
    uint8_t mac[16];
    uint8_t made[8];
    assert_int_equal(kf_cipher_new_secret(KF_AES, key, &cipher), KF_OK);
    assert_int_equal(kf_cmac(cipher, KF_VIEW(message), mac), KF_OK);
    assert_int_equal(kf_emv_cryptogram(KF_AES, key, KF_EMV_PADDING_80, KF_VIEW(message), made), KF_OK);
    assert_memory_equal(made, mac, 8);
    assert_int_equal(kf_emv_script_mac(KF_AES, key, KF_VIEW(message), made), KF_OK);
    assert_memory_equal(made, mac, 8);
    assert_int_equal(kf_emv_arpc_2(KF_AES, key, &answer, made), KF_OK);
    assert_memory_equal(made, mac, 4);
    encrypt(key, block, block);
    assert_int_equal(kf_emv_arpc_1(KF_AES, key, &answer, made), KF_OK);
    assert_memory_equal(made, block, 8);
    kf_cipher_free(&cipher);
    kf_secret_free(&key);
}

static void what_does_not_fit_is_refused_and_nothing_comes_out(void **state)
{
    (void)state;
    kf_secret *wrong = key_of(24);
    kf_secret *key = key_of(16);
    kf_secret *session = NULL;
    const uint8_t bytes[32] = {0};
    uint8_t made[8] = {0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A};
    uint8_t before[8];
    kf_buffer buffer = KF_BUFFER_INIT;
    kf_emv_answer answer = {.proprietary_data = kf_view_of(bytes, 9)};
    memcpy(before, made, sizeof before);
    kf_view counter = kf_view_of(bytes, 2);
    assert_int_equal(kf_emv_session_key(KF_TDES, wrong, counter, &session), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_emv_session_key(KF_SM4, key, counter, &session), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_emv_session_key(KF_TDES, key, kf_view_of(bytes, 1), &session), KF_ERR_ARGUMENT);
    assert_int_equal(kf_emv_session_key(KF_TDES, key, kf_view_of(bytes, 9), &session), KF_ERR_ARGUMENT);
    assert_int_equal(kf_emv_session_key(KF_AES, key, kf_view_of(bytes, 17), &session), KF_ERR_ARGUMENT);
    assert_int_equal(kf_emv_visa_script_key(wrong, bytes, &session), KF_ERR_KEY_SIZE);
    assert_null(session);
    assert_int_equal(kf_emv_cryptogram(KF_AES, key, KF_EMV_PADDING_ZEROS, counter, made), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_emv_cryptogram(KF_TDES, wrong, KF_EMV_PADDING_80, counter, made), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_emv_arpc_1(KF_DES, key, &answer, made), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_emv_arpc_2(KF_TDES, key, &answer, made), KF_ERR_TOO_LONG);
    assert_memory_equal(made, before, sizeof made);
    static const uint8_t long_data[240];
    assert_int_equal(kf_emv_script_encipher(KF_TDES, key, KF_EMV_CBC_PAD_ALWAYS, KF_VIEW(long_data), &buffer),
                     KF_ERR_TOO_LONG);
    assert_int_equal(
        kf_emv_script_encipher(KF_TDES, key, KF_EMV_CBC_PAD_ALWAYS, kf_view_of(NULL, 0), &buffer),
        KF_ERR_ARGUMENT);
    assert_int_equal(buffer.size, 0);
    kf_secret_free(&wrong);
    kf_secret_free(&key);
}

static void issuer_application_data_of_every_wrong_size_is_refused(void **state)
{
    (void)state;
    const uint8_t data[40] = {6, 1, 10, 3, 0xA0, 0xB8, 0};
    kf_buffer buffer = KF_BUFFER_INIT;
    kf_emv_transaction transaction = {0};
    for (size_t size = 0; size <= sizeof data; size++) {
        bool fits = size >= 7 && size <= KF_EMV_APPLICATION_DATA_MAX;
        transaction.issuer_application_data = kf_view_of(data, size);
        assert_int_equal(kf_emv_transaction_data(KF_EMV_CVN_18, &transaction, &buffer),
                         fits ? KF_OK : KF_ERR_MALFORMED);
        assert_int_equal(buffer.size, fits ? 33 + size : 0);
        kf_buffer_clear(&buffer);
    }
    transaction.issuer_application_data = kf_view_of(data, 7);
    assert_int_equal(kf_emv_transaction_data((kf_emv_cryptogram_version)17, &transaction, &buffer),
                     KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_emv_transaction_data(KF_EMV_CVN_10, &transaction, &buffer), KF_OK);
    assert_int_equal(buffer.size, 33 + 4);
    assert_memory_equal(buffer.data + 33, data + 3, 4);
    kf_buffer_clear(&buffer);
}

static void each_encipherment_pads_in_its_own_way(void **state)
{
    (void)state;
    kf_secret *key = key_of(16);
    const uint8_t plain[16] = {1, 2, 3};
    static const struct {
        kf_emv_encipherment form;
        size_t sizes[3]; /* of what 7, 8 and 16 bytes become */
    } rows[] = {{KF_EMV_CBC_PAD_ALWAYS, {8, 16, 24}},
                {KF_EMV_CBC_PAD_UNEVEN, {8, 8, 16}},
                {KF_EMV_ECB_LENGTH_FIRST, {16, 16, 24}}};
    static const size_t plain_sizes[3] = {7, 8, 16};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            kf_buffer buffer = KF_BUFFER_INIT;
            assert_int_equal(kf_emv_script_encipher(KF_TDES, key, rows[i].form,
                                                    kf_view_of(plain, plain_sizes[j]), &buffer),
                             KF_OK);
            assert_int_equal(buffer.size, rows[i].sizes[j]);
            kf_buffer_clear(&buffer);
        }
    }
    kf_secret_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes_session_keys_are_one_block_or_the_front_of_two),
        cmocka_unit_test(aes_cryptograms_and_answers_are_fronts_of_cmacs),
        cmocka_unit_test(what_does_not_fit_is_refused_and_nothing_comes_out),
        cmocka_unit_test(issuer_application_data_of_every_wrong_size_is_refused),
        cmocka_unit_test(each_encipherment_pads_in_its_own_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
