#include "softcard/remote_script.h"
#include "softcard/tlv.h"

/* Tags of 5.2.1 and 5.2.2. */
enum {
    TEMPLATE = 0xAA,
    TEMPLATE_INDEFINITE = 0xAE,
    RESPONSE_TEMPLATE = 0xAB,
    RESPONSE_TEMPLATE_INDEFINITE = 0xAF,
    TAG_COMMAND = 0x22,
    TAG_RESPONSE = 0x23,
    TAG_COUNT = 0x80,
    TAG_BAD_FORMAT = 0x90,
    INDEFINITE = 0x80,
};

typedef enum bad_format {
    WELL_FORMED = 0,
    UNKNOWN_TAG = 1,
    WRONG_LENGTH = 2,
    LENGTH_NOT_FOUND = 3
} bad_format;

enum { RESPONSES_MAX = 196, SW_CUT = 0x62F1 };

bool softcard_remote_is_expanded(kf_view commands)
{
    return commands.size > 0 && (commands.data[0] == TEMPLATE || commands.data[0] == TEMPLATE_INDEFINITE);
}

/* What stands in the template. */
static bad_format open_template(kf_view commands, kf_view *ret_content)
{
    kf_cursor cursor = kf_cursor_of(commands);
    softcard_tlv template;
    if (commands.size < 2) return LENGTH_NOT_FOUND;
    if (commands.data[0] == TEMPLATE_INDEFINITE) {
        bool ends = commands.size >= 4 && commands.data[commands.size - 1] == 0 &&
                    commands.data[commands.size - 2] == 0;
        if (commands.data[1] != INDEFINITE || !ends) return LENGTH_NOT_FOUND;
        *ret_content = kf_view_part(commands, 2, commands.size - 4);
        return WELL_FORMED;
    }
    if (softcard_tlv_next(&cursor, &template) != KF_OK || !kf_cursor_at_end(&cursor)) return WRONG_LENGTH;
    *ret_content = template.value;
    return WELL_FORMED;
}

/* An answer that is too long for the response is cut, and says so; the script ends there. Whether it was. */
static bool append_response(const softcard_remote_run *run, kf_buffer *responses)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    size_t left = responses->size < RESPONSES_MAX ? RESPONSES_MAX - responses->size : 0;
    bool cut = run->answer.size > left;
    kf_buffer_append(&response, kf_view_part(kf_buffer_view(&run->answer), 0, cut ? left : run->answer.size));
    kf_buffer_append_u16(&response, cut ? (uint16_t)SW_CUT : run->last);
    softcard_tlv_append(responses, TAG_RESPONSE, kf_buffer_view(&response));
    return cut;
}

static bad_format run_commands(softcard *card, kf_view content, softcard_remote_run *run,
                               kf_buffer *responses)
{
    kf_cursor cursor = kf_cursor_of(content);
    bool cut = false;
    while (!kf_cursor_at_end(&cursor) && softcard_remote_is_good(run->last) && !cut) {
        softcard_request request = {.card = card, .channel = &card->remote};
        softcard_tlv object;
        if (softcard_tlv_next(&cursor, &object) != KF_OK) return WRONG_LENGTH;
        if (object.tag != TAG_COMMAND) return UNKNOWN_TAG;
        if (softcard_command_parse(object.value, &request.command) != KF_OK) return WRONG_LENGTH;
        bool holds = request.command.data.size > 0 && !request.command.has_le;
        run->last = softcard_remote_run_one(&request, run, holds);
        run->count++;
        cut = append_response(run, responses);
    }
    return WELL_FORMED;
}

kf_code softcard_remote_execute_expanded(softcard *card, kf_view commands, softcard_remote_run *run,
                                         kf_buffer *result)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer responses = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer inner = KF_BUFFER_INIT;
    kf_view content;
    bool indefinite = commands.data[0] == TEMPLATE_INDEFINITE;
    bad_format format = open_template(commands, &content);
    if (format == WELL_FORMED) format = run_commands(card, content, run, &responses);
    const uint8_t count[] = {(uint8_t)run->count};
    const uint8_t reason[] = {(uint8_t)format};
    if (!indefinite) softcard_tlv_append(&inner, TAG_COUNT, KF_VIEW(count));
    kf_buffer_append(&inner, kf_buffer_view(&responses));
    if (format != WELL_FORMED) softcard_tlv_append(&inner, TAG_BAD_FORMAT, KF_VIEW(reason));
    KF_TRY(kf_buffer_status(&responses));
    KF_TRY(kf_buffer_status(&inner));
    if (indefinite) {
        kf_buffer_append_u8(result, RESPONSE_TEMPLATE_INDEFINITE);
        kf_buffer_append_u8(result, INDEFINITE);
        kf_buffer_append(result, kf_buffer_view(&inner));
        kf_buffer_append_u16(result, 0);
    } else {
        softcard_tlv_append(result, RESPONSE_TEMPLATE, kf_buffer_view(&inner));
    }
    return kf_buffer_status(result);
}
