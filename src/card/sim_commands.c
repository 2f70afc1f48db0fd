/* Commands of ETSI TS 102 221. */
#include <keyfill/sim.h>

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

kf_sim_tries kf_sim_tries_of(uint16_t status_word)
{
    kf_sim_tries tries = {.verified = status_word == 0x9000};
    tries.told = (status_word & 0xFFF0u) == 0x63C0u;
    if (tries.told) tries.left = status_word & 0x0Fu;
    tries.blocked = status_word == 0x6983 || (tries.told && tries.left == 0);
    return tries;
}

kf_code kf_sim_verify_permitted(const char *what, uint16_t status_word, bool forced, kf_error *error)
{
    kf_sim_tries tries = kf_sim_tries_of(status_word);
    if (tries.blocked)
        return kf_fail(error, KF_ERR_STATE, "%s: no tries are left, the code is blocked; unblock it first",
                       what);
    if (tries.verified || (tries.told && tries.left > 1) || forced) return KF_OK;
    if (tries.told)
        return kf_fail(
            error, KF_ERR_STATE,
            "%s: 1 try is left; a wrong code would block it for good. Be sure of the code, then force it",
            what);
    return kf_fail(
        error, KF_ERR_STATE,
        "%s: the card does not tell how many tries are left (%s). Be sure of the code, then force it", what,
        kf_status_word_show(status_word).text);
}
