/* Scripts of remote management (ETSI TS 102 226 5). */
#include <keyfill/ota.h>

#include <keyfill/tlv.h>

#define TAG_COMMAND_SCRIPT 0xAA
#define TAG_RESPONSE_SCRIPT 0xAB
#define TAG_COMMAND_SCRIPT_INDEFINITE 0xAE
#define TAG_RESPONSE_SCRIPT_INDEFINITE 0xAF
#define TAG_COMMAND 0x22
#define TAG_RESPONSE 0x23
#define TAG_EXECUTED 0x80
#define TAG_IMMEDIATE_ACTION 0x81
#define TAG_SCRIPT_CHAINING 0x83
#define TAG_BAD_FORMAT 0x90

kf_code kf_ota_compact_append(kf_view apdu, kf_buffer *script)
{
    kf_command command;
    KF_TRY(kf_command_parse(apdu, &command));
    if (command.extended) return KF_ERR_UNSUPPORTED;
    kf_buffer_append(script, apdu);
    /* P3 is always there. */
    if (apdu.size == KF_COMMAND_HEADER_SIZE) kf_buffer_append_u8(script, 0);
    return kf_buffer_status(script);
}

kf_code kf_ota_compact_response_parse(kf_view data, kf_ota_compact_response *ret_response)
{
    kf_cursor cursor = kf_cursor_of(data);
    uint8_t count;
    uint16_t status_word;
    if (kf_cursor_u8(&cursor, &count) != KF_OK || kf_cursor_u16(&cursor, &status_word) != KF_OK)
        return KF_ERR_CARD_DATA;
    *ret_response = (kf_ota_compact_response){count, status_word, cursor.rest};
    return KF_OK;
}

size_t kf_ota_expanded_begin(kf_buffer *script)
{
    return kf_tlv_begin(script, TAG_COMMAND_SCRIPT);
}

kf_code kf_ota_expanded_append(kf_view apdu, kf_buffer *script)
{
    kf_command command;
    KF_TRY(kf_command_parse(apdu, &command));
    kf_tlv_append(script, TAG_COMMAND, apdu);
    return kf_buffer_status(script);
}

void kf_ota_expanded_end(kf_buffer *script, size_t mark)
{
    kf_tlv_end(script, mark);
}

void kf_ota_expanded_begin_indefinite(kf_buffer *script)
{
    kf_buffer_append_u8(script, TAG_COMMAND_SCRIPT_INDEFINITE);
    kf_buffer_append_u8(script, 0x80);
}

void kf_ota_expanded_end_indefinite(kf_buffer *script)
{
    kf_buffer_append_u16(script, 0);
}

static kf_code take_object(const kf_tlv *object, kf_ota_expanded_response *response)
{
    kf_view value = object->value;
    switch (object->tag) {
    case TAG_EXECUTED:
        if (value.size == 0 || value.size > 2) return KF_ERR_CARD_DATA;
        response->command_count = value.data[0];
        if (value.size == 2) response->command_count = (unsigned)value.data[0] << 8 | value.data[1];
        return KF_OK;
    case TAG_RESPONSE:
        if (value.size < 2 || response->response_count == KF_OTA_RESPONSES_MAX) return KF_ERR_CARD_DATA;
        response->responses[response->response_count++] = value;
        /* 5.2.1.1. */
        response->truncated =
            response->truncated || (value.data[value.size - 2] == 0x62 && value.data[value.size - 1] == 0xF1);
        return KF_OK;
    case TAG_BAD_FORMAT:
        if (value.size != 1) return KF_ERR_CARD_DATA;
        response->bad_format = true;
        response->bad_format_reason = value.data[0];
        return KF_OK;
    case TAG_IMMEDIATE_ACTION: response->immediate_action = value; return KF_OK;
    case TAG_SCRIPT_CHAINING: response->script_chaining = value; return KF_OK;
    default: return KF_ERR_CARD_DATA;
    }
}

/* What stands in the template; with indefinite length it ends with 00 00. */
static kf_code template_content(kf_view data, kf_view *ret_content)
{
    if (data.size >= 4 && data.data[0] == TAG_RESPONSE_SCRIPT_INDEFINITE && data.data[1] == 0x80) {
        if (data.data[data.size - 1] != 0 || data.data[data.size - 2] != 0) return KF_ERR_CARD_DATA;
        *ret_content = kf_view_part(data, 2, data.size - 4);
        return KF_OK;
    }
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv template;
    if (kf_tlv_read(&cursor, &template) != KF_OK || template.tag != TAG_RESPONSE_SCRIPT ||
        !kf_cursor_at_end(&cursor))
        return KF_ERR_CARD_DATA;
    *ret_content = template.value;
    return KF_OK;
}

kf_code kf_ota_expanded_response_parse(kf_view data, kf_ota_expanded_response *ret_response)
{
    kf_view content;
    KF_TRY(template_content(data, &content));
    kf_ota_expanded_response response = {0};
    bool told = false;
    kf_cursor cursor = kf_cursor_of(content);
    while (!kf_cursor_at_end(&cursor)) {
        kf_tlv object;
        if (kf_tlv_read(&cursor, &object) != KF_OK) return KF_ERR_CARD_DATA;
        KF_TRY(take_object(&object, &response));
        told = told || object.tag == TAG_EXECUTED;
    }
    if (!told) response.command_count = (unsigned)response.response_count;
    *ret_response = response;
    return KF_OK;
}
