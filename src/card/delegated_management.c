#include <keyfill/delegated_management.h>

#include <keyfill/mac.h>
#include <keyfill/tlv.h>

#include "card/gp_length.h"

#define INS_DELETE 0xE4
#define INS_INSTALL 0xE6
#define TAG_TOKEN 0x9E

/* One byte, or three from 256 on, as Lc is written. */
static void append_input_length(kf_buffer *input, size_t length)
{
    if (length <= KF_COMMAND_DATA_MAX) {
        kf_buffer_append_u8(input, (uint8_t)length);
    } else {
        kf_buffer_append_u8(input, 0);
        kf_buffer_append_u16(input, (uint16_t)length);
    }
}

/* The data of INSTALL without its last field, which is an empty token. */
static kf_code without_token(const kf_command *command, kf_view *ret_fields)
{
    kf_view data = command->data;
    /* [for load] has five fields, every other form six (tables 11-43 to 11-54). */
    size_t due = command->p1 == 0x02 || command->p2 == 0x01 ? 5 : 6;
    kf_cursor cursor = kf_cursor_of(data);
    kf_view field = {NULL, 0};
    size_t count = 0;
    while (!kf_cursor_at_end(&cursor)) {
        if (kf_gp_field_next(&cursor, &field) != KF_OK) return KF_ERR_ARGUMENT;
        count++;
    }
    if (count != due || field.size != 0) return KF_ERR_ARGUMENT;
    *ret_fields = kf_view_part(data, 0, data.size - 1);
    return KF_OK;
}

kf_code kf_gp_token_input(kf_view apdu, kf_buffer *input)
{
    kf_command command;
    KF_TRY(kf_command_parse(apdu, &command));
    kf_view fields = command.data;
    kf_view token;
    if (command.ins == INS_INSTALL)
        KF_TRY(without_token(&command, &fields));
    else if (command.ins != INS_DELETE || kf_tlv_find(command.data, TAG_TOKEN, &token))
        return KF_ERR_ARGUMENT;
    kf_buffer_append_u8(input, command.p1);
    kf_buffer_append_u8(input, command.p2);
    append_input_length(input, fields.size);
    kf_buffer_append(input, fields);
    return kf_buffer_status(input);
}

static kf_code append_retail_mac(const kf_secret *key, kf_view input, kf_buffer *mac)
{
    kf_mac_pair pair;
    KF_TRY(kf_mac_retail_pair(kf_secret_expose(key), &pair));
    uint8_t value[8];
    kf_code code = kf_mac_retail(pair, KF_PADDING_2, NULL, input, value);
    kf_mac_pair_free(&pair);
    if (code == KF_OK) kf_buffer_append_bytes(mac, value, sizeof(value));
    return code == KF_OK ? kf_buffer_status(mac) : code;
}

static kf_code append_cmac(const kf_secret *key, kf_view input, kf_buffer *mac)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, key, &cipher));
    uint8_t value[16];
    KF_TRY(kf_cmac(cipher, input, value));
    kf_buffer_append_bytes(mac, value, sizeof(value));
    return kf_buffer_status(mac);
}

kf_code kf_gp_symmetric_signature(kf_algorithm algorithm, const kf_secret *key, kf_view input, kf_buffer *mac)
{
    if (algorithm == KF_TDES) return append_retail_mac(key, input, mac);
    if (algorithm == KF_AES) return append_cmac(key, input, mac);
    return KF_ERR_UNSUPPORTED;
}

static kf_code parse_confirmation_data(kf_gp_confirmation *confirmation)
{
    kf_cursor cursor = kf_cursor_of(confirmation->data);
    kf_view counter;
    KF_TRY(kf_gp_field_next(&cursor, &counter));
    if (counter.size == 0 || counter.size > 4) return KF_ERR_CARD_DATA;
    for (size_t i = 0; i < counter.size; i++)
        confirmation->counter = (confirmation->counter << 8) | counter.data[i];
    KF_TRY(kf_gp_field_next(&cursor, &confirmation->unique_data));
    if (!kf_cursor_at_end(&cursor)) KF_TRY(kf_gp_field_next(&cursor, &confirmation->token_identifier));
    if (!kf_cursor_at_end(&cursor)) KF_TRY(kf_gp_field_next(&cursor, &confirmation->token_digest));
    return kf_cursor_at_end(&cursor) ? KF_OK : KF_ERR_CARD_DATA;
}

kf_code kf_gp_confirmation_parse(kf_view data, kf_gp_confirmation *ret_confirmation)
{
    kf_gp_confirmation confirmation = {0};
    if (data.size == 0 || (data.size == 1 && data.data[0] == 0)) {
        *ret_confirmation = confirmation;
        return KF_OK;
    }
    kf_cursor cursor = kf_cursor_of(data);
    /* Before the receipt may stand the length of the whole (11.5.3.1), which no receipt alone can have. */
    if (data.data[0] == data.size - 1 && kf_cursor_skip(&cursor, 1) != KF_OK) return KF_ERR_CARD_DATA;
    if (kf_gp_field_next(&cursor, &confirmation.receipt) != KF_OK || confirmation.receipt.size == 0)
        return KF_ERR_CARD_DATA;
    confirmation.data = cursor.rest;
    if (parse_confirmation_data(&confirmation) != KF_OK) return KF_ERR_CARD_DATA;
    *ret_confirmation = confirmation;
    return KF_OK;
}

kf_code kf_gp_receipt_verify(kf_algorithm algorithm, const kf_secret *key,
                             const kf_gp_confirmation *confirmation, const kf_view *aids, size_t aid_count)
{
    if (aid_count == 0 || aid_count > KF_GP_RECEIPT_AIDS_MAX) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer mac = KF_BUFFER_INIT;
    kf_buffer_append(&input, confirmation->data);
    for (size_t i = 0; i < aid_count; i++)
        KF_TRY(kf_gp_field_append(&input, aids[i]));
    KF_TRY(kf_buffer_status(&input));
    KF_TRY(kf_gp_symmetric_signature(algorithm, key, kf_buffer_view(&input), &mac));
    if (confirmation->receipt.size != mac.size) return KF_ERR_AUTHENTICATION;
    return kf_equal_constant_time(confirmation->receipt.data, mac.data, mac.size) ? KF_OK
                                                                                  : KF_ERR_AUTHENTICATION;
}

kf_code kf_gp_load_file_hash(kf_hash_algorithm algorithm, kf_view load_file_data, kf_buffer *hash)
{
    if (load_file_data.size == 0) return KF_ERR_ARGUMENT;
    return kf_hash(algorithm, load_file_data, hash);
}
