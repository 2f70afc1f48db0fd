#include <string.h>

#include "softcard/card.h"
#include "softcard/key_sets.h"
#include "softcard/public_keys.h"
#include "softcard/tlv.h"

/* Card makers' tools write a key in two ways: with the clear length before the cryptogram (Amendment D 7.2:
 * `88 11 10 …`), and without (`88 10 …`, `80 10 …`). */
static void split_key_data(kf_view field, size_t block, softcard_key_cryptogram *arrived)
{
    arrived->size = field.size;
    arrived->data = field;
    if (field.size % block != 1) return;
    arrived->size = field.data[0];
    arrived->data = kf_view_part(field, 1, field.size - 1);
}

static softcard_status check_key_check_value(const softcard_key *key, kf_view given)
{
    if (given.size == 0) return SW_OK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
    if (softcard_key_check_value(key, &value) != KF_OK) return SW_INTERNAL;
    return kf_view_equal(given, kf_buffer_view(&value)) ? SW_OK : SW_CHECK_VALUE;
}

/* One key data field (11.8.2.3.1): type, length, data, length of the check value, check value. */
static softcard_status read_key(kf_cursor *cursor, uint8_t identifier, kf_cipher *key_encryption,
                                softcard_new_keys *keys)
{
    softcard_key_cryptogram arrived = {.identifier = identifier};
    kf_view field;
    kf_view check_value;
    if (kf_cursor_u8(cursor, &arrived.type) != KF_OK) return SW_WRONG_DATA;
    if (softcard_key_type_is_public(arrived.type)) {
        if (keys->count == SOFTCARD_KEYS_MAX) return SW_NO_SPACE;
        softcard_key *place = &keys->keys[keys->count];
        *place = (softcard_key){.identifier = identifier};
        softcard_status public_status = softcard_public_key_read(cursor, arrived.type, place);
        if (public_status == SW_OK) keys->count++;
        return public_status;
    }
    if (softcard_field_next(cursor, &field) != KF_OK || softcard_field_next(cursor, &check_value) != KF_OK)
        return SW_WRONG_DATA;
    if (key_encryption == NULL) return SW_CONDITIONS;
    split_key_data(field, kf_cipher_block_size(key_encryption), &arrived);
    softcard_status status = softcard_new_key_add(keys, key_encryption, &arrived);
    if (status == SW_OK) status = check_key_check_value(&keys->keys[keys->count - 1], check_value);
    return status;
}

softcard_status softcard_put_key(softcard_request *request)
{
    const softcard_command *command = &request->command;
    bool several = (command->p2 & 0x80U) != 0;
    uint8_t identifier = command->p2 & 0x7FU;
    if ((command->p1 & 0x80U) != 0 || identifier == 0) return SW_WRONG_P1P2;
    KF_CLEANUP(softcard_new_keys_clear) softcard_new_keys keys = {.replaced_version = command->p1};
    kf_cursor cursor = kf_cursor_of(command->data);
    if (kf_cursor_u8(&cursor, &keys.version) != KF_OK) return SW_WRONG_DATA;
    do {
        softcard_status status =
            read_key(&cursor, identifier, request->channel->secure.key_encryption, &keys);
        if (status != SW_OK) return status;
        identifier++;
        /* Hosts put the keys of delegated management (tokens, then receipts) in one command that does not say
         * so. */
        several = several || softcard_key_type_is_public(keys.keys[0].type);
    } while (several && !kf_cursor_at_end(&cursor));
    if (!kf_cursor_at_end(&cursor)) return SW_WRONG_DATA;
    kf_buffer_append_u8(request->response, keys.version);
    for (size_t i = 0; i < keys.count; i++)
        if (softcard_key_check_value(&keys.keys[i], request->response) != KF_OK) return SW_INTERNAL;
    return softcard_new_keys_commit(&keys, request->application);
}

/* Table 11-27. */
static void append_key_information(const softcard_key *key, uint8_t version, kf_buffer *output)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer structure = KF_BUFFER_INIT;
    const uint8_t head[] = {key->identifier, version};
    kf_buffer_append(&structure, KF_VIEW(head));
    if (softcard_key_type_is_public(key->type)) {
        softcard_public_key_information(key, &structure);
    } else {
        kf_buffer_append_u8(&structure, key->type);
        kf_buffer_append_u8(&structure, (uint8_t)kf_secret_size(key->value));
    }
    softcard_tlv_append(output, 0xC0, kf_buffer_view(&structure));
}

void softcard_key_information(const softcard_application *domain, kf_buffer *output)
{
    for (size_t i = 0; i < domain->key_set_count; i++) {
        const softcard_key_set *set = &domain->key_sets[i];
        for (size_t key = 0; key < set->key_count; key++)
            append_key_information(&set->keys[key], set->version, output);
    }
}
