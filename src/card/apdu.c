#include <keyfill/apdu.h>

#include <stdlib.h>

static kf_code check_lengths(const kf_command *command)
{
    size_t data_max = command->extended ? KF_COMMAND_EXTENDED_MAX : KF_COMMAND_DATA_MAX;
    size_t le_max = command->extended ? KF_COMMAND_EXTENDED_LE_MAX : KF_COMMAND_LE_MAX;
    if (command->data.size > data_max) return KF_ERR_APDU;
    if (command->has_le && (command->le == 0 || command->le > le_max)) return KF_ERR_APDU;
    /* An extended command with neither length looks like a short one. */
    if (command->extended && command->data.size == 0 && !command->has_le) return KF_ERR_APDU;
    return KF_OK;
}

kf_code kf_command_encode(const kf_command *command, kf_buffer *bytes)
{
    KF_TRY(check_lengths(command));
    uint8_t header[7] = {command->cla, command->ins, command->p1, command->p2};
    size_t header_size = 4;
    if (command->extended) header_size++;
    if (command->data.size > 0 && command->extended)
        header[header_size++] = (uint8_t)(command->data.size >> 8);
    if (command->data.size > 0) header[header_size++] = (uint8_t)command->data.size;
    kf_buffer_append_bytes(bytes, header, header_size);
    kf_buffer_append(bytes, command->data);
    /* 256 and 65536 become 00 and 0000 by the cast (§5.1). */
    if (command->has_le && command->extended) kf_buffer_append_u16(bytes, (uint16_t)command->le);
    if (command->has_le && !command->extended) kf_buffer_append_u8(bytes, (uint8_t)command->le);
    return kf_buffer_status(bytes);
}

static kf_code parse_short_body(kf_cursor *body, kf_command *command)
{
    uint8_t first;
    KF_TRY(kf_cursor_u8(body, &first));
    if (kf_cursor_at_end(body)) {
        command->has_le = true;
        command->le = first == 0 ? KF_COMMAND_LE_MAX : first;
        return KF_OK;
    }
    if (first == 0) return KF_ERR_APDU;
    KF_TRY(kf_cursor_take(body, first, &command->data));
    if (kf_cursor_at_end(body)) return KF_OK;
    uint8_t le;
    KF_TRY(kf_cursor_u8(body, &le));
    command->has_le = true;
    command->le = le == 0 ? KF_COMMAND_LE_MAX : le;
    return KF_OK;
}

static kf_code parse_extended_body(kf_cursor *body, kf_command *command)
{
    uint16_t first;
    KF_TRY(kf_cursor_skip(body, 1));
    KF_TRY(kf_cursor_u16(body, &first));
    command->extended = true;
    if (kf_cursor_at_end(body)) {
        command->has_le = true;
        command->le = first == 0 ? KF_COMMAND_EXTENDED_LE_MAX : first;
        return KF_OK;
    }
    if (first == 0) return KF_ERR_APDU;
    KF_TRY(kf_cursor_take(body, first, &command->data));
    if (kf_cursor_at_end(body)) return KF_OK;
    uint16_t le;
    KF_TRY(kf_cursor_u16(body, &le));
    command->has_le = true;
    command->le = le == 0 ? KF_COMMAND_EXTENDED_LE_MAX : le;
    return KF_OK;
}

kf_code kf_command_parse(kf_view bytes, kf_command *ret_command)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    kf_command command = {0};
    if (kf_cursor_u8(&cursor, &command.cla) != KF_OK || kf_cursor_u8(&cursor, &command.ins) != KF_OK ||
        kf_cursor_u8(&cursor, &command.p1) != KF_OK || kf_cursor_u8(&cursor, &command.p2) != KF_OK)
        return KF_ERR_APDU;
    if (!kf_cursor_at_end(&cursor)) {
        /* A body that begins with 00 and has more than one byte has extended lengths (§5.1). */
        bool extended = cursor.rest.size > 1 && cursor.rest.data[0] == 0;
        kf_code code =
            extended ? parse_extended_body(&cursor, &command) : parse_short_body(&cursor, &command);
        if (code != KF_OK || !kf_cursor_at_end(&cursor)) return KF_ERR_APDU;
    }
    *ret_command = command;
    return KF_OK;
}

kf_code kf_response_parse(kf_view bytes, kf_response *ret_response)
{
    if (bytes.size < 2) return KF_ERR_APDU;
    kf_cursor cursor = kf_cursor_of(bytes);
    kf_response response;
    KF_TRY(kf_cursor_take(&cursor, bytes.size - 2, &response.data));
    KF_TRY(kf_cursor_u16(&cursor, &response.status_word));
    unsigned sw1 = response.status_word >> 8;
    bool valid = (sw1 & 0xF0u) == 0x90u || ((sw1 & 0xF0u) == 0x60u && sw1 != 0x60u);
    if (!valid) return KF_ERR_APDU;
    *ret_response = response;
    return KF_OK;
}

/* §5.4.1: channels 0 to 3 in bits 1 and 2 of a first interindustry class, 4 to 19 in bits 1 to 4 of a further
 * one, where secure messaging moves from bits 3 and 4 to bit 6. GlobalPlatform classes are the same with bit
 * 8 set (GP 11.1.4). */
uint8_t kf_class_with_channel(uint8_t cla, unsigned channel)
{
    unsigned plain = cla;
    bool secure = kf_class_is_secure(cla);
    if (channel <= 3) {
        if (plain & 0x40u) return (uint8_t)((plain & 0x90u) | (secure ? 0x04u : 0u) | channel);
        return (uint8_t)((plain & ~0x03u) | channel);
    }
    if (channel > 19) return cla;
    return (uint8_t)((plain & 0x90u) | 0x40u | (secure ? 0x20u : 0u) | (channel - 4));
}

unsigned kf_class_channel(uint8_t cla)
{
    if (cla & 0x40u) return (cla & 0x0Fu) + 4;
    return cla & 0x03u;
}

bool kf_class_is_secure(uint8_t cla)
{
    if (cla & 0x40u) return (cla & 0x20u) != 0;
    return (cla & 0x0Cu) != 0;
}

kf_code kf_command_set_channel(kf_buffer *apdu, unsigned channel)
{
    if (channel > 19 || apdu->size == 0 || kf_buffer_status(apdu) != KF_OK) return KF_ERR_ARGUMENT;
    apdu->data[0] = kf_class_with_channel(apdu->data[0], channel);
    return KF_OK;
}

kf_code kf_command_extend(kf_view apdu, size_t le, kf_buffer *extended)
{
    kf_command command;
    KF_TRY(kf_command_parse(apdu, &command));
    if (le != 0) command.has_le = true;
    if (le != 0) command.le = le;
    if (le == 0 && command.has_le && command.le == KF_COMMAND_LE_MAX) command.le = KF_COMMAND_EXTENDED_LE_MAX;
    command.extended = command.data.size > 0 || command.has_le;
    return kf_command_encode(&command, extended);
}

kf_code kf_command_for_t0(kf_view apdu, kf_buffer *tpdu)
{
    kf_command command;
    KF_TRY(kf_command_parse(apdu, &command));
    if (command.extended) return KF_ERR_APDU;
    if (command.data.size > 0) command.has_le = false;
    KF_TRY(kf_command_encode(&command, tpdu));
    if (command.data.size == 0 && !command.has_le) kf_buffer_append_u8(tpdu, 0x00);
    return kf_buffer_status(tpdu);
}

/* GET RESPONSE on the command's logical channel (ISO/IEC 7816-4 §5.4.1), without secure messaging. The class
 * of GSM cards, A0, keeps its own. */
static kf_code append_get_response(uint8_t cla, uint8_t available, kf_buffer *next)
{
    uint8_t plain = cla == 0xA0 ? cla : kf_class_with_channel(0x00, kf_class_channel(cla));
    const kf_command command = {
        plain, 0xC0, 0x00, 0x00, {NULL, 0}, true, available == 0 ? KF_COMMAND_LE_MAX : available, false};
    return kf_command_encode(&command, next);
}

kf_code kf_command_continue(kf_view sent, uint16_t status_word, kf_buffer *next)
{
    kf_command command;
    KF_TRY(kf_command_parse(sent, &command));
    uint8_t count = (uint8_t)status_word;
    if (status_word >> 8 == 0x61) return append_get_response(command.cla, count, next);
    if (status_word >> 8 != 0x6C || command.data.size > 0 || !command.has_le) return KF_OK;
    command.le = count == 0 ? KF_COMMAND_LE_MAX : count;
    return kf_command_encode(&command, next);
}

kf_buffer *kf_command_list_append(kf_command_list *list)
{
    if (list->count >= KF_COMMAND_LIST_MAX) return NULL;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        kf_buffer *items = realloc(list->items, capacity * sizeof(*items));
        if (items == NULL) return NULL;
        list->items = items;
        list->capacity = capacity;
    }
    kf_buffer *item = &list->items[list->count++];
    *item = KF_BUFFER_INIT;
    return item;
}

void kf_command_list_clear(kf_command_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        kf_buffer_clear(&list->items[i]);
    free(list->items);
    *list = (kf_command_list){0};
}
