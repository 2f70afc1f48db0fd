#include "softcard/file_system.h"

#include <string.h>

#include "softcard/card.h"
#include "softcard/pins.h"
#include "softcard/registry.h"
#include "softcard/tlv.h"

/* Instructions of TS 102 221 table 10.5. */
enum {
    INS_READ_BINARY = 0xB0,
    INS_READ_RECORD = 0xB2,
    INS_UPDATE_BINARY = 0xD6,
    INS_UPDATE_RECORD = 0xDC,
};

enum { SW_END_OF_FILE = 0x6282, RECORD_ABSOLUTE = 0x04 };

softcard_position softcard_position_start(void)
{
    return (softcard_position){.directory = SOFTCARD_MASTER_FILE, .elementary = SOFTCARD_NO_FILE};
}

static size_t whole_size(const softcard_file_node *node)
{
    return node->kind == SOFTCARD_FILE_RECORDS ? (size_t)node->size * node->records : node->size;
}

static softcard_access read_condition(const softcard_state *state, const softcard_file_node *node)
{
    const softcard_personality *personality = &state->personality;
    if (node->kind == SOFTCARD_FILE_DIRECTORY) return node->read;
    if (node->content == SOFTCARD_EF_IMSI && personality->imsi_needs_pin) return NEEDS_PIN1;
    if (node->content == SOFTCARD_EF_MSISDN && personality->msisdn_needs_pin) return NEEDS_PIN1;
    return node->read;
}

/* What comes over the air has been authenticated: it has the rights of the administration (TS 102 226 9). */
static bool is_granted(const softcard_request *request, softcard_access condition)
{
    const softcard *card = request->card;
    if (request->channel == &card->remote) return condition != NEVER;
    switch (condition) {
    case ALWAYS: return true;
    case NEEDS_PIN1: return card->pin_verified[SOFTCARD_PIN1] || card->state->pin1_disabled;
    case NEEDS_ADM1: return card->pin_verified[SOFTCARD_ADM1];
    case NEVER: break;
    }
    return false;
}

/* Compact security attributes (ISO/IEC 7816-4 table 38): which security environment's user authentication. */
static uint8_t security_condition(softcard_access condition)
{
    switch (condition) {
    case ALWAYS: return 0x00;
    case NEEDS_PIN1: return 0x11;
    case NEEDS_ADM1: return 0x12;
    case NEVER: break;
    }
    return 0xFF;
}

static void append_directory_parameters(const softcard_state *state, size_t index, kf_buffer *inner)
{
    static const uint8_t descriptor[] = {0x78, 0x21};
    static const uint8_t characteristics[] = {0x80, 0x01, 0x71};
    static const uint8_t life_cycle[] = {0x05};
    static const uint8_t attributes[] = {0x00};
    /* TS 102 221 9.5.2: a bit for each of the key references behind it, set where it is enabled. */
    const uint8_t pin_status[] = {0x90, 0x01, state->pin1_disabled ? 0x40 : 0xC0, 0x83, 0x01, 0x01, 0x83,
                                  0x01, 0x0A};
    const uint8_t identifier[] = {(uint8_t)(softcard_file_nodes[index].identifier >> 8),
                                  (uint8_t)softcard_file_nodes[index].identifier};
    softcard_tlv_append(inner, 0x82, KF_VIEW(descriptor));
    softcard_tlv_append(inner, 0x83, KF_VIEW(identifier));
    const softcard_aid *application = softcard_file_nodes[index].application;
    if (application != NULL) softcard_tlv_append(inner, 0x84, softcard_aid_view(application));
    softcard_tlv_append(inner, 0xA5, KF_VIEW(characteristics));
    softcard_tlv_append(inner, 0x8A, KF_VIEW(life_cycle));
    softcard_tlv_append(inner, 0x8C, KF_VIEW(attributes));
    softcard_tlv_append(inner, 0xC6, KF_VIEW(pin_status));
}

static void append_file_parameters(const softcard_state *state, const softcard_file_node *node,
                                   kf_buffer *inner)
{
    const uint8_t descriptor[] = {node->kind == SOFTCARD_FILE_RECORDS ? 0x42 : 0x41, 0x21, 0, node->size,
                                  node->records};
    const uint8_t identifier[] = {(uint8_t)(node->identifier >> 8), (uint8_t)node->identifier};
    static const uint8_t life_cycle[] = {0x05};
    const uint8_t attributes[] = {0x03, security_condition(node->update),
                                  security_condition(read_condition(state, node))};
    const uint8_t size[] = {(uint8_t)(whole_size(node) >> 8), (uint8_t)whole_size(node)};
    const uint8_t short_identifier[] = {(uint8_t)(node->short_identifier << 3)};
    softcard_tlv_append(inner, 0x82, kf_view_of(descriptor, node->kind == SOFTCARD_FILE_RECORDS ? 5 : 2));
    softcard_tlv_append(inner, 0x83, KF_VIEW(identifier));
    softcard_tlv_append(inner, 0x8A, KF_VIEW(life_cycle));
    softcard_tlv_append(inner, 0x8C, KF_VIEW(attributes));
    softcard_tlv_append(inner, 0x80, KF_VIEW(size));
    if (node->short_identifier != 0)
        softcard_tlv_append(inner, 0x88, KF_VIEW(short_identifier));
    else
        softcard_tlv_append(inner, 0x88, kf_view_of(NULL, 0));
}

/* File control parameters (TS 102 221 11.1.1.3). */
static softcard_status answer_parameters(softcard_request *request, size_t index)
{
    if (request->command.p2 == 0x0C) return SW_OK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer inner = KF_BUFFER_INIT;
    if (softcard_file_nodes[index].kind == SOFTCARD_FILE_DIRECTORY)
        append_directory_parameters(request->card->state, index, &inner);
    else
        append_file_parameters(request->card->state, &softcard_file_nodes[index], &inner);
    if (kf_buffer_status(&inner) != KF_OK) return SW_INTERNAL;
    softcard_tlv_append(request->response, 0x62, kf_buffer_view(&inner));
    return SW_OK;
}

static bool find_child(size_t directory, uint16_t identifier, size_t *ret_index)
{
    for (size_t i = 1; i < softcard_file_node_count; i++) {
        if (softcard_file_nodes[i].parent != directory || softcard_file_nodes[i].identifier != identifier)
            continue;
        *ret_index = i;
        return true;
    }
    return false;
}

/* TS 102 221 8.4.1: the MF, the current directory, its children, its parent and its parent's directories. */
static bool find_by_identifier(size_t directory, uint16_t identifier, size_t *ret_index)
{
    size_t found;
    if (identifier == softcard_file_nodes[SOFTCARD_MASTER_FILE].identifier) {
        *ret_index = SOFTCARD_MASTER_FILE;
        return true;
    }
    if (identifier == softcard_file_nodes[directory].identifier) {
        *ret_index = directory;
        return true;
    }
    if (find_child(directory, identifier, ret_index)) return true;
    if (find_child(softcard_file_nodes[directory].parent, identifier, &found) &&
        softcard_file_nodes[found].kind == SOFTCARD_FILE_DIRECTORY) {
        *ret_index = found;
        return true;
    }
    return false;
}

static softcard_status find_by_path(size_t start, kf_view path, size_t *ret_index)
{
    kf_cursor cursor = kf_cursor_of(path);
    size_t here = start;
    if (path.size == 0 || path.size % 2 != 0) return SW_WRONG_LENGTH;
    while (!kf_cursor_at_end(&cursor)) {
        uint16_t identifier;
        if (kf_cursor_u16(&cursor, &identifier) != KF_OK) return SW_WRONG_LENGTH;
        if (softcard_file_nodes[here].kind != SOFTCARD_FILE_DIRECTORY || !find_child(here, identifier, &here))
            return SW_NOT_FOUND;
    }
    *ret_index = here;
    return SW_OK;
}

static void go_to(softcard_channel *channel, size_t index)
{
    if (softcard_file_nodes[index].kind == SOFTCARD_FILE_DIRECTORY) {
        channel->position.directory = (uint8_t)index;
        channel->position.elementary = SOFTCARD_NO_FILE;
        return;
    }
    channel->position.directory = softcard_file_nodes[index].parent;
    channel->position.elementary = (uint8_t)index;
}

static softcard_status find_selected(const softcard_request *request, size_t *ret_index)
{
    const softcard_command *command = &request->command;
    size_t directory = request->channel->position.directory;
    switch (command->p1) {
    case 0x00: {
        uint16_t identifier = softcard_file_nodes[SOFTCARD_MASTER_FILE].identifier;
        kf_cursor cursor = kf_cursor_of(command->data);
        if (command->data.size != 0 && command->data.size != 2) return SW_WRONG_LENGTH;
        if (command->data.size == 2 && kf_cursor_u16(&cursor, &identifier) != KF_OK) return SW_WRONG_LENGTH;
        return find_by_identifier(directory, identifier, ret_index) ? SW_OK : SW_NOT_FOUND;
    }
    case 0x03: *ret_index = softcard_file_nodes[directory].parent; return SW_OK;
    case 0x08: return find_by_path(SOFTCARD_MASTER_FILE, command->data, ret_index);
    case 0x09: return find_by_path(directory, command->data, ret_index);
    default: return SW_WRONG_P1P2;
    }
}

softcard_status softcard_file_select(softcard_request *request)
{
    uint8_t p2 = request->command.p2;
    if (p2 != 0x00 && p2 != 0x04 && p2 != 0x0C) return SW_WRONG_P1P2;
    softcard_channel *channel = request->channel;
    size_t index;
    softcard_status status = find_selected(request, &index);
    if (status != SW_OK) return status;
    if (channel != &request->card->remote) softcard_channel_forget(channel);
    channel->files_selected = true;
    channel->application = softcard_issuer(request->card->state)->aid;
    go_to(channel, index);
    return answer_parameters(request, index);
}

softcard_status softcard_application_file_select(softcard_request *request)
{
    softcard_channel *channel = request->channel;
    size_t index;
    if (!softcard_file_find_application(request->command.data, &index)) return SW_NOT_FOUND;
    if (channel != &request->card->remote) softcard_channel_forget(channel);
    channel->files_selected = true;
    channel->application = softcard_issuer(request->card->state)->aid;
    go_to(channel, index);
    return answer_parameters(request, index);
}

softcard_status softcard_file_status(softcard_request *request)
{
    const softcard_aid *application;
    if (request->command.p1 > 0x02) return SW_WRONG_P1P2;
    switch (request->command.p2) {
    case 0x00:
    case 0x0C: return answer_parameters(request, request->channel->position.directory);
    case 0x01:
        application = softcard_file_nodes[request->channel->position.directory].application;
        if (application != NULL) softcard_tlv_append(request->response, 0x84, softcard_aid_view(application));
        return SW_OK;
    default: return SW_WRONG_P1P2;
    }
}

/* The file that a READ or UPDATE means: the current one, or one of the current directory by its short
 * identifier, which becomes the current one. */
static softcard_status find_target(softcard_request *request, uint8_t short_identifier,
                                   softcard_file_kind kind, const softcard_file_node **ret_node)
{
    softcard_position *position = &request->channel->position;
    if (short_identifier != 0) {
        size_t found = 1;
        while (found < softcard_file_node_count &&
               (softcard_file_nodes[found].parent != position->directory ||
                softcard_file_nodes[found].short_identifier != short_identifier))
            found++;
        if (found == softcard_file_node_count) return SW_NOT_FOUND;
        position->elementary = (uint8_t)found;
    }
    if (position->elementary == SOFTCARD_NO_FILE) return SW_NO_EF;
    if (softcard_file_nodes[position->elementary].kind != kind) return SW_INCOMPATIBLE_FILE;
    *ret_node = &softcard_file_nodes[position->elementary];
    return SW_OK;
}

static softcard_status find_binary(softcard_request *request, const softcard_file_node **ret_node,
                                   size_t *ret_offset)
{
    uint8_t p1 = request->command.p1;
    bool by_short_identifier = (p1 & 0x80U) != 0;
    size_t offset = by_short_identifier ? request->command.p2 : (size_t)(p1 << 8 | request->command.p2);
    if (by_short_identifier && (p1 & 0x60U) != 0) return SW_WRONG_P1P2;
    softcard_status status =
        find_target(request, by_short_identifier ? p1 & 0x1FU : 0, SOFTCARD_FILE_TRANSPARENT, ret_node);
    if (status != SW_OK) return status;
    if (offset >= (*ret_node)->size) return SW_OFFSET;
    *ret_offset = offset;
    return SW_OK;
}

static softcard_status find_record(softcard_request *request, const softcard_file_node **ret_node,
                                   size_t *ret_offset)
{
    uint8_t number = request->command.p1;
    uint8_t p2 = request->command.p2;
    if ((p2 & 0x07U) != RECORD_ABSOLUTE) return SW_WRONG_P1P2;
    softcard_status status = find_target(request, (uint8_t)(p2 >> 3), SOFTCARD_FILE_RECORDS, ret_node);
    if (status != SW_OK) return status;
    if (number == 0 || number > (*ret_node)->records) return SW_RECORD_NOT_FOUND;
    *ret_offset = (size_t)(number - 1) * (*ret_node)->size;
    return SW_OK;
}

static softcard_status read_file(softcard_request *request, bool records)
{
    const softcard_file_node *node;
    size_t offset;
    softcard_status status =
        records ? find_record(request, &node, &offset) : find_binary(request, &node, &offset);
    if (status != SW_OK) return status;
    if (!is_granted(request, read_condition(request->card->state, node))) return SW_SECURITY_STATUS;
    size_t there = records ? node->size : node->size - offset;
    size_t wanted = request->command.has_le ? request->command.le : 256;
    size_t size = wanted < there ? wanted : there;
    kf_buffer_append_bytes(request->response, request->card->state->files[node->content] + offset, size);
    return wanted > there && wanted != 256 ? SW_END_OF_FILE : SW_OK;
}

static softcard_status update_file(softcard_request *request, bool records)
{
    const softcard_file_node *node;
    size_t offset;
    softcard_status status =
        records ? find_record(request, &node, &offset) : find_binary(request, &node, &offset);
    if (status != SW_OK) return status;
    if (!is_granted(request, node->update)) return SW_SECURITY_STATUS;
    kf_view data = request->command.data;
    if (data.size == 0 || (records && data.size != node->size)) return SW_WRONG_LENGTH;
    if (!records && data.size > node->size - offset) return SW_NO_SPACE;
    memcpy(request->card->state->files[node->content] + offset, data.data, data.size);
    return SW_OK;
}

bool softcard_is_file_instruction(uint8_t instruction)
{
    return softcard_is_pin_instruction(instruction) || instruction == INS_READ_BINARY ||
           instruction == INS_READ_RECORD || instruction == INS_UPDATE_BINARY ||
           instruction == INS_UPDATE_RECORD;
}

softcard_status softcard_file_command(softcard_request *request)
{
    if (softcard_is_pin_instruction(request->command.instruction)) return softcard_pin_command(request);
    switch (request->command.instruction) {
    case INS_READ_BINARY: return read_file(request, false);
    case INS_READ_RECORD: return read_file(request, true);
    case INS_UPDATE_BINARY: return update_file(request, false);
    case INS_UPDATE_RECORD: return update_file(request, true);
    default: return SW_INSTRUCTION;
    }
}
