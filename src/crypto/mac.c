#include <keyfill/mac.h>

#include <string.h>

static void append_length_block(kf_buffer *padded, size_t block_size, size_t message_size)
{
    if (block_size > 8) kf_buffer_append_fill(padded, 0, block_size - 8);
    kf_buffer_append_u64(padded, (uint64_t)message_size * 8);
}

kf_code kf_mac_pad(kf_mac_padding padding, size_t block_size, kf_view message, kf_buffer *padded)
{
    if (padding != KF_PADDING_1 && padding != KF_PADDING_2 && padding != KF_PADDING_3) return KF_ERR_ARGUMENT;
    if (padding == KF_PADDING_3) append_length_block(padded, block_size, message.size);
    kf_buffer_append(padded, message);
    size_t content = message.size;
    if (padding == KF_PADDING_2) {
        kf_buffer_append_u8(padded, 0x80);
        content++;
    }
    size_t over = content % block_size;
    if (over != 0) kf_buffer_append_fill(padded, 0, block_size - over);
    if (content == 0 && padding == KF_PADDING_1) kf_buffer_append_fill(padded, 0, block_size);
    return kf_buffer_status(padded);
}

kf_code kf_mac_unpad2(kf_view padded, kf_view *ret_message)
{
    size_t size = padded.size;
    while (size > 0 && padded.data[size - 1] == 0)
        size--;
    if (size == 0 || padded.data[size - 1] != 0x80) return KF_ERR_MALFORMED;
    *ret_message = kf_view_of(padded.data, size - 1);
    return KF_OK;
}

kf_code kf_mac_cbc(kf_cipher *cipher, kf_mac_padding padding, const uint8_t *initial_vector, kf_view message,
                   uint8_t *ret_mac)
{
    size_t size = kf_cipher_block_size(cipher);
    KF_CLEANUP(kf_buffer_clear) kf_buffer padded = KF_BUFFER_INIT;
    KF_TRY(kf_mac_pad(padding, size, message, &padded));
    /* An empty message under method 3 is its length block alone; there is always a block. */
    KF_TRY(kf_cipher_cbc_encrypt(cipher, initial_vector, kf_buffer_view(&padded), padded.data));
    memcpy(ret_mac, padded.data + padded.size - size, size);
    return KF_OK;
}

kf_code kf_mac_encrypted_cbc(kf_cipher *cipher, kf_cipher *last, kf_mac_padding padding, kf_view message,
                             uint8_t *ret_mac)
{
    size_t size = kf_cipher_block_size(cipher);
    if (kf_cipher_block_size(last) != size) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_wipe_block16) uint8_t block[KF_BLOCK_MAX];
    KF_TRY(kf_mac_cbc(cipher, padding, NULL, message, block));
    return kf_cipher_encrypt_blocks(last, kf_view_of(block, size), ret_mac);
}

kf_code kf_mac_retail_pair(kf_view key, kf_mac_pair *ret_pair)
{
    if (key.size != 16) return KF_ERR_KEY_SIZE;
    kf_mac_pair pair = {NULL, NULL};
    KF_TRY(kf_cipher_new(KF_DES, kf_view_part(key, 0, 8), &pair.chain));
    kf_code code = kf_cipher_new(KF_DES, kf_view_part(key, 8, 8), &pair.last);
    if (code != KF_OK) {
        kf_mac_pair_free(&pair);
        return code;
    }
    *ret_pair = pair;
    return KF_OK;
}

void kf_mac_pair_free(kf_mac_pair *pair)
{
    kf_cipher_free(&pair->chain);
    kf_cipher_free(&pair->last);
}

kf_code kf_mac_retail(kf_mac_pair pair, kf_mac_padding padding, const uint8_t *initial_vector,
                      kf_view message, uint8_t *ret_mac)
{
    size_t size = kf_cipher_block_size(pair.chain);
    if (kf_cipher_block_size(pair.last) != size) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_wipe_block16) uint8_t block[KF_BLOCK_MAX];
    KF_TRY(kf_mac_cbc(pair.chain, padding, initial_vector, message, block));
    KF_TRY(kf_cipher_decrypt_blocks(pair.last, kf_view_of(block, size), block));
    return kf_cipher_encrypt_blocks(pair.chain, kf_view_of(block, size), ret_mac);
}
