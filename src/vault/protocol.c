#include "vault/protocol.h"

#include <string.h>

/* An answer carries receipts and a message beside its payload. */
#define FRAME_MAX                                                                                            \
    (KF_VAULT_PAYLOAD_MAX + (size_t)KF_VAULT_RECEIPTS_MAX * (KF_VAULT_RECEIPT_SIZE + 2) +                    \
     KF_ERROR_MESSAGE_SIZE + KF_VAULT_FRAME_HEAD + 16)
#define HEAD_BEHIND_LENGTH (KF_VAULT_FRAME_HEAD - 4)

void kf_vault_frame_put(kf_buffer *bytes, uint16_t kind, uint64_t id, kf_view payload)
{
    kf_buffer_append_u32(bytes, (uint32_t)(HEAD_BEHIND_LENGTH + payload.size));
    kf_buffer_append_u16(bytes, kind);
    kf_buffer_append_u64(bytes, id);
    kf_buffer_append(bytes, payload);
}

kf_code kf_vault_frame_take(kf_cursor *bytes, kf_vault_frame *ret_frame)
{
    kf_cursor cursor = *bytes;
    uint32_t length;
    KF_TRY(kf_cursor_u32(&cursor, &length));
    if (length < HEAD_BEHIND_LENGTH) return KF_ERR_MALFORMED;
    if (length > FRAME_MAX) return KF_ERR_TOO_LONG;
    kf_vault_frame frame;
    KF_TRY(kf_cursor_u16(&cursor, &frame.kind));
    KF_TRY(kf_cursor_u64(&cursor, &frame.id));
    KF_TRY(kf_cursor_take(&cursor, length - HEAD_BEHIND_LENGTH, &frame.payload));
    *bytes = cursor;
    *ret_frame = frame;
    return KF_OK;
}

void kf_vault_answer_put(kf_buffer *bytes, uint16_t kind, uint64_t id, const kf_vault_answer_parts *parts)
{
    size_t size = 4 + 2 + parts->message.size + 2 + parts->receipts.size + parts->payload.size;
    kf_buffer_append_u32(bytes, (uint32_t)(HEAD_BEHIND_LENGTH + size));
    kf_buffer_append_u16(bytes, kind);
    kf_buffer_append_u64(bytes, id);
    kf_buffer_append_u32(bytes, (uint32_t)parts->code);
    kf_buffer_append_u16(bytes, (uint16_t)parts->message.size);
    kf_buffer_append(bytes, parts->message);
    kf_buffer_append_u16(bytes, parts->receipt_count);
    kf_buffer_append(bytes, parts->receipts);
    kf_buffer_append(bytes, parts->payload);
}

static kf_code take_receipts(kf_cursor *cursor, uint16_t count, kf_view *ret_receipts)
{
    if (count > KF_VAULT_RECEIPTS_MAX) return KF_ERR_MALFORMED;
    kf_view start = cursor->rest;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t size;
        KF_TRY(kf_cursor_u16(cursor, &size));
        if (size > KF_VAULT_RECEIPT_SIZE) return KF_ERR_MALFORMED;
        KF_TRY(kf_cursor_skip(cursor, size));
    }
    *ret_receipts = kf_view_part(start, 0, start.size - cursor->rest.size);
    return KF_OK;
}

kf_code kf_vault_answer_take(kf_view frame_payload, kf_vault_answer_parts *ret_parts)
{
    kf_cursor cursor = kf_cursor_of(frame_payload);
    kf_vault_answer_parts parts;
    uint32_t code;
    uint16_t message_size;
    KF_TRY(kf_cursor_u32(&cursor, &code));
    parts.code = (kf_code)(int32_t)code;
    KF_TRY(kf_cursor_u16(&cursor, &message_size));
    if (message_size >= KF_ERROR_MESSAGE_SIZE) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_take(&cursor, message_size, &parts.message));
    KF_TRY(kf_cursor_u16(&cursor, &parts.receipt_count));
    KF_TRY(take_receipts(&cursor, parts.receipt_count, &parts.receipts));
    parts.payload = cursor.rest;
    *ret_parts = parts;
    return KF_OK;
}

void kf_message_put_text(kf_buffer *bytes, const char *text)
{
    size_t size = strlen(text);
    if (size > UINT16_MAX) {
        if (bytes->status == KF_OK) bytes->status = KF_ERR_TOO_LONG;
        return;
    }
    kf_buffer_append_u16(bytes, (uint16_t)size);
    kf_buffer_append_bytes(bytes, text, size);
}

kf_code kf_message_take_text(kf_cursor *bytes, char *ret_text, size_t size)
{
    kf_cursor cursor = *bytes;
    uint16_t length;
    kf_view text;
    KF_TRY(kf_cursor_u16(&cursor, &length));
    KF_TRY(kf_cursor_take(&cursor, length, &text));
    if (text.size >= size) return KF_ERR_TOO_LONG;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < ' ' || text.data[i] == 0x7F) return KF_ERR_MALFORMED;
    if (text.size > 0) memcpy(ret_text, text.data, text.size);
    memset(ret_text + text.size, 0, size - text.size);
    *bytes = cursor;
    return KF_OK;
}

void kf_message_put_blob(kf_buffer *bytes, kf_view blob)
{
    kf_buffer_append_u32(bytes, (uint32_t)blob.size);
    kf_buffer_append(bytes, blob);
}

kf_code kf_message_take_blob(kf_cursor *bytes, size_t limit, kf_view *ret_blob)
{
    kf_cursor cursor = *bytes;
    uint32_t size;
    KF_TRY(kf_cursor_u32(&cursor, &size));
    if (size > limit) return KF_ERR_TOO_LONG;
    KF_TRY(kf_cursor_take(&cursor, size, ret_blob));
    *bytes = cursor;
    return KF_OK;
}

void kf_message_put_bool(kf_buffer *bytes, bool value)
{
    kf_buffer_append_u8(bytes, value ? 1 : 0);
}

kf_code kf_message_take_bool(kf_cursor *bytes, bool *ret_value)
{
    kf_cursor cursor = *bytes;
    uint8_t value;
    KF_TRY(kf_cursor_u8(&cursor, &value));
    if (value > 1) return KF_ERR_MALFORMED;
    *bytes = cursor;
    *ret_value = value == 1;
    return KF_OK;
}

kf_code kf_message_take_version(kf_cursor *bytes)
{
    uint8_t version;
    KF_TRY(kf_cursor_u8(bytes, &version));
    return version == KF_MESSAGE_VERSION ? KF_OK : KF_ERR_MALFORMED;
}

kf_code kf_message_end(const kf_cursor *bytes)
{
    return kf_cursor_at_end(bytes) ? KF_OK : KF_ERR_MALFORMED;
}

void kf_vault_actor_put(kf_buffer *bytes, const kf_vault_actor *actor)
{
    kf_message_put_text(bytes, actor->who);
    kf_message_put_text(bytes, actor->request);
}

kf_code kf_vault_actor_take(kf_cursor *bytes, kf_vault_actor *ret_actor)
{
    kf_vault_actor actor;
    KF_TRY(kf_message_take_text(bytes, actor.who, sizeof actor.who));
    KF_TRY(kf_message_take_text(bytes, actor.request, sizeof actor.request));
    *ret_actor = actor;
    return KF_OK;
}
