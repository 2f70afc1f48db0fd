/* Commands and file control parameters of ETSI TS 102 221. */
#include <keyfill/sim.h>

#include <keyfill/tlv.h>

#define INS_VERIFY 0x20
#define INS_MANAGE_CHANNEL 0x70
#define INS_SELECT 0xA4
#define INS_READ_BINARY 0xB0
#define INS_READ_RECORD 0xB2
#define INS_UPDATE_BINARY 0xD6
#define INS_UPDATE_RECORD 0xDC

#define OFFSET_MAX 0x7FFF
#define RETURN_FCP 0x04
#define RECORD_ABSOLUTE 0x04 /* P2 of the record commands, current file */

static kf_code append_command(uint8_t ins, uint8_t p1, uint8_t p2, kf_view data, kf_buffer *apdu)
{
    if (data.size > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    kf_command command = {0x00, ins, p1, p2, data, false, 0, false};
    return kf_command_encode(&command, apdu);
}

static kf_code append_asking(kf_command command, size_t le, kf_buffer *apdu)
{
    command.has_le = true;
    command.le = le;
    return kf_command_encode(&command, apdu);
}

kf_code kf_sim_select_path(const uint16_t *path, size_t path_size, kf_buffer *apdu)
{
    if (path_size > KF_SIM_PATH_MAX) return KF_ERR_ARGUMENT;
    /* An empty path cannot be sent: the MF is selected by its identifier. */
    if (path_size == 0) return kf_sim_select_file(KF_FILE_MF, apdu);
    uint8_t data[2 * KF_SIM_PATH_MAX];
    for (size_t i = 0; i < path_size; i++) {
        data[2 * i] = (uint8_t)(path[i] >> 8);
        data[2 * i + 1] = (uint8_t)path[i];
    }
    kf_command command = {.ins = INS_SELECT, .p1 = 0x08, .p2 = RETURN_FCP, .data = {data, 2 * path_size}};
    return append_asking(command, KF_COMMAND_LE_MAX, apdu);
}

kf_code kf_sim_select_file(uint16_t identifier, kf_buffer *apdu)
{
    const uint8_t data[] = {(uint8_t)(identifier >> 8), (uint8_t)identifier};
    kf_command command = {.ins = INS_SELECT, .p1 = 0x00, .p2 = RETURN_FCP, .data = KF_VIEW(data)};
    return append_asking(command, KF_COMMAND_LE_MAX, apdu);
}

kf_code kf_sim_select_application(kf_view aid, kf_buffer *apdu)
{
    if (aid.size == 0 || aid.size > 16) return KF_ERR_ARGUMENT;
    kf_command command = {.ins = INS_SELECT, .p1 = 0x04, .p2 = RETURN_FCP, .data = aid};
    return append_asking(command, KF_COMMAND_LE_MAX, apdu);
}

kf_code kf_sim_read_binary(uint16_t offset, size_t size, kf_buffer *apdu)
{
    if (offset > OFFSET_MAX || size == 0 || size > KF_COMMAND_LE_MAX) return KF_ERR_ARGUMENT;
    kf_command command = {.ins = INS_READ_BINARY, .p1 = (uint8_t)(offset >> 8), .p2 = (uint8_t)offset};
    return append_asking(command, size, apdu);
}

kf_code kf_sim_update_binary(uint16_t offset, kf_view data, kf_buffer *apdu)
{
    if (offset > OFFSET_MAX || data.size == 0) return KF_ERR_ARGUMENT;
    return append_command(INS_UPDATE_BINARY, (uint8_t)(offset >> 8), (uint8_t)offset, data, apdu);
}

kf_code kf_sim_read_record(uint8_t record, size_t size, kf_buffer *apdu)
{
    if (record == 0 || size == 0 || size > KF_COMMAND_LE_MAX) return KF_ERR_ARGUMENT;
    kf_command command = {.ins = INS_READ_RECORD, .p1 = record, .p2 = RECORD_ABSOLUTE};
    return append_asking(command, size, apdu);
}

kf_code kf_sim_update_record(uint8_t record, kf_view data, kf_buffer *apdu)
{
    if (record == 0 || data.size == 0) return KF_ERR_ARGUMENT;
    return append_command(INS_UPDATE_RECORD, record, RECORD_ABSOLUTE, data, apdu);
}

kf_code kf_sim_verify(uint8_t reference, kf_view secret, kf_buffer *apdu)
{
    if (secret.size == 0 || secret.size > KF_SIM_SECRET_SIZE) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer padded = KF_BUFFER_INIT;
    kf_buffer_append(&padded, secret);
    kf_buffer_append_fill(&padded, 0xFF, KF_SIM_SECRET_SIZE - secret.size);
    KF_TRY(kf_buffer_status(&padded));
    return append_command(INS_VERIFY, 0x00, reference, kf_buffer_view(&padded), apdu);
}

kf_code kf_sim_verify_tries(uint8_t reference, kf_buffer *apdu)
{
    return append_command(INS_VERIFY, 0x00, reference, kf_view_of(NULL, 0), apdu);
}

kf_code kf_sim_open_channel(kf_buffer *apdu)
{
    kf_command command = {.ins = INS_MANAGE_CHANNEL};
    return append_asking(command, 1, apdu);
}

kf_code kf_sim_close_channel(unsigned channel, kf_buffer *apdu)
{
    if (channel == 0 || channel > 19) return KF_ERR_ARGUMENT;
    return append_command(INS_MANAGE_CHANNEL, 0x80, (uint8_t)channel, kf_view_of(NULL, 0), apdu);
}

static size_t number_of(kf_view bytes)
{
    size_t value = 0;
    for (size_t i = 0; i < bytes.size && i < sizeof(value); i++)
        value = (value << 8) | bytes.data[i];
    return value;
}

/* 11.1.1.4.3: descriptor byte, data coding byte, and for record files the record's length and their number.
 */
static kf_code parse_descriptor(kf_view descriptor, kf_sim_file *file)
{
    if (descriptor.size != 2 && descriptor.size != 5) return KF_ERR_CARD_DATA;
    unsigned type = descriptor.data[0];
    if ((type & 0x38u) == 0x38u) {
        file->structure = KF_SIM_DIRECTORY;
        return KF_OK;
    }
    switch (type & 0x07u) {
    case 1: file->structure = KF_SIM_TRANSPARENT; return KF_OK;
    case 2: file->structure = KF_SIM_LINEAR_FIXED; break;
    case 6: file->structure = KF_SIM_CYCLIC; break;
    default: file->structure = KF_SIM_OTHER; return KF_OK;
    }
    if (descriptor.size != 5) return KF_ERR_CARD_DATA;
    file->record_size = number_of(kf_view_part(descriptor, 2, 2));
    file->record_count = descriptor.data[4];
    if (file->record_size == 0 || file->record_size > 255 || file->record_count == 0) return KF_ERR_CARD_DATA;
    return KF_OK;
}

kf_code kf_sim_file_parse(kf_view fcp, kf_sim_file *ret_file)
{
    kf_cursor cursor = kf_cursor_of(fcp);
    kf_tlv template;
    if (kf_tlv_read(&cursor, &template) != KF_OK || template.tag != 0x62 || !kf_cursor_at_end(&cursor))
        return KF_ERR_CARD_DATA;
    if (kf_tlv_check(template.value) != KF_OK) return KF_ERR_CARD_DATA;
    kf_sim_file file = {0};
    kf_view field;
    if (!kf_tlv_find(template.value, 0x82, &field)) return KF_ERR_CARD_DATA;
    KF_TRY(parse_descriptor(field, &file));
    if (kf_tlv_find(template.value, 0x83, &field)) {
        if (field.size != 2) return KF_ERR_CARD_DATA;
        file.has_identifier = true;
        file.identifier = (uint16_t)number_of(field);
    }
    if (kf_tlv_find(template.value, 0x80, &field)) {
        if (field.size == 0 || field.size > 4) return KF_ERR_CARD_DATA;
        file.size = number_of(field);
    }
    if (kf_tlv_find(template.value, 0x84, &field)) file.aid = field;
    if (kf_tlv_find(template.value, 0x8A, &field)) {
        if (field.size != 1) return KF_ERR_CARD_DATA;
        file.life_cycle = field.data[0];
    }
    if (file.record_size > 0 && file.size > 0 && file.size != file.record_size * file.record_count)
        return KF_ERR_CARD_DATA;
    *ret_file = file;
    return KF_OK;
}
