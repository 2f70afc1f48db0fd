#include <string.h>

#include "softcard/card.h"
#include "softcard/registry.h"
#include "softcard/remote.h"
#include "softcard/remote_script.h"

enum {
    INS_GET_RESPONSE = 0xC0,
    INS_SELECT = 0xA4,
    INS_READ_BINARY = 0xB0,
    INS_READ_RECORD = 0xB2,
    INS_GET_DATA = 0xCA,
    INS_STATUS = 0xF2,
    RESPONSE_DATA_MAX = 245,
};

static bool has_only_le(uint8_t class_byte, uint8_t instruction)
{
    return instruction == INS_READ_BINARY || instruction == INS_READ_RECORD || instruction == INS_GET_DATA ||
           instruction == INS_GET_RESPONSE || (instruction == INS_STATUS && class_byte == 0x00);
}

/* The next command of a compact script (TS 102 226 5.2.1.1): each has a P3; that of the last may be followed
 * by its Le. */
static kf_code next_command(kf_cursor *script, softcard_command *command)
{
    uint8_t length;
    *command = (softcard_command){0};
    KF_TRY(kf_cursor_u8(script, &command->class_byte));
    KF_TRY(kf_cursor_u8(script, &command->instruction));
    KF_TRY(kf_cursor_u8(script, &command->p1));
    KF_TRY(kf_cursor_u8(script, &command->p2));
    if (kf_cursor_at_end(script)) return KF_OK;
    KF_TRY(kf_cursor_u8(script, &length));
    if (has_only_le(command->class_byte, command->instruction)) {
        command->has_le = true;
        command->le = length == 0 ? 256 : length;
        return KF_OK;
    }
    KF_TRY(kf_cursor_take(script, length, &command->data));
    if (script->rest.size == 1) return kf_cursor_skip(script, 1);
    return KF_OK;
}

static softcard_status fetch(softcard_remote_run *run, const softcard_command *command)
{
    size_t there = run->waiting.size;
    if (there == 0) return SW_CONDITIONS;
    if (command->le != 256 && command->le != there) return (softcard_status)(SW_WRONG_LE | there);
    kf_buffer_append(&run->answer, kf_buffer_view(&run->waiting));
    kf_buffer_truncate(&run->waiting, 0);
    return SW_OK;
}

bool softcard_remote_is_good(softcard_status status)
{
    return status == SW_OK || status >> 8 == 0x61 || status >> 8 == 0x62 || status >> 8 == 0x63;
}

softcard_status softcard_remote_run_one(softcard_request *request, softcard_remote_run *run, bool holds)
{
    const softcard_command *command = &request->command;
    kf_buffer_truncate(&run->answer, 0);
    if (command->instruction == INS_GET_RESPONSE) return fetch(run, command);
    kf_buffer_truncate(&run->waiting, 0);
    request->response = &run->answer;
    softcard_status status = softcard_run_remote(request);
    bool waits = holds && run->answer.size > 0 && softcard_remote_is_good(status);
    if (!waits) return status;
    kf_buffer_append(&run->waiting, kf_buffer_view(&run->answer));
    kf_buffer_truncate(&run->answer, 0);
    return (softcard_status)(SW_RESPONSE_WAITS | (run->waiting.size & 0xFFU));
}

/* The channel on which packets act: the issuer security domain, or files, with all rights. A LOAD goes on in
 * the next packet. */
static void prepare(softcard *card, softcard_remote_packet *packet)
{
    softcard_channel *channel = &card->remote;
    bool files = packet->target[0] != 0;
    if (!channel->open || channel->files_selected != files) softcard_channel_open(card, channel);
    channel->files_selected = files;
    channel->position = softcard_position_start();
    channel->application = softcard_issuer(card->state)->aid;
    softcard_secure_channel_end(&channel->secure);
    channel->secure.phase = SOFTCARD_SESSION;
    channel->secure.level = SOFTCARD_LEVEL_MAC;
    channel->secure.key_encryption = packet->key_encryption;
    packet->key_encryption = NULL;
}

/* TS 102 226 5.1: the last status word and the last answer. */
static kf_code execute_compact(softcard *card, kf_view commands, softcard_remote_run *run, kf_buffer *result)
{
    kf_cursor script = kf_cursor_of(commands);
    while (!kf_cursor_at_end(&script) && softcard_remote_is_good(run->last) && run->count < UINT8_MAX) {
        softcard_request request = {.card = card, .channel = &card->remote};
        bool is_whole = next_command(&script, &request.command) == KF_OK;
        run->last = is_whole ? softcard_remote_run_one(&request, run, request.command.data.size > 0)
                             : SW_WRONG_LENGTH;
        run->count++;
        if (!is_whole) break;
    }
    kf_buffer_append_u8(result, (uint8_t)run->count);
    kf_buffer_append_u16(result, run->last);
    kf_buffer_append(result, kf_view_part(kf_buffer_view(&run->answer), 0, RESPONSE_DATA_MAX - 3));
    return kf_buffer_status(result);
}

softcard_status softcard_remote_execute(softcard *card, softcard_remote_packet *packet, kf_buffer *result)
{
    softcard_remote_run run = {.last = SW_OK};
    kf_view commands = kf_buffer_view(&packet->commands);
    prepare(card, packet);
    kf_code code = softcard_remote_is_expanded(commands)
                       ? softcard_remote_execute_expanded(card, commands, &run, result)
                       : execute_compact(card, commands, &run, result);
    softcard_secure_channel_end(&card->remote.secure);
    bool complete =
        code == KF_OK && kf_buffer_status(&run.answer) == KF_OK && kf_buffer_status(&run.waiting) == KF_OK;
    kf_buffer_clear(&run.answer);
    kf_buffer_clear(&run.waiting);
    return complete ? SW_OK : SW_INTERNAL;
}
