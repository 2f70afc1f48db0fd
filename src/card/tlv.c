#include <keyfill/tlv.h>

#include <string.h>

static kf_code read_tag(kf_cursor *cursor, uint32_t *ret_tag)
{
    uint8_t byte;
    KF_TRY(kf_cursor_u8(cursor, &byte));
    uint32_t tag = byte;
    if ((byte & 0x1Fu) == 0x1Fu) {
        size_t bytes = 1;
        do {
            if (bytes == KF_TLV_TAG_BYTES_MAX) return KF_ERR_TLV;
            KF_TRY(kf_cursor_u8(cursor, &byte));
            tag = (tag << 8) | byte;
            bytes++;
        } while (byte & 0x80u);
    }
    *ret_tag = tag;
    return KF_OK;
}

static kf_code read_length(kf_cursor *cursor, size_t *ret_length)
{
    uint8_t first;
    KF_TRY(kf_cursor_u8(cursor, &first));
    if (first < 0x80) {
        *ret_length = first;
        return KF_OK;
    }
    size_t bytes = first & 0x7Fu;
    /* 80 is the indefinite length, which ISO/IEC 7816-4 §5.2.2.2 excludes. */
    if (bytes == 0 || bytes > KF_TLV_LENGTH_BYTES_MAX) return KF_ERR_TLV;
    size_t length = 0;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte;
        KF_TRY(kf_cursor_u8(cursor, &byte));
        length = (length << 8) | byte;
    }
    *ret_length = length;
    return KF_OK;
}

kf_code kf_tlv_read(kf_cursor *cursor, kf_tlv *ret_tlv)
{
    kf_cursor ahead = *cursor;
    kf_tlv tlv;
    size_t length;
    if (read_tag(&ahead, &tlv.tag) != KF_OK || read_length(&ahead, &length) != KF_OK ||
        kf_cursor_take(&ahead, length, &tlv.value) != KF_OK)
        return KF_ERR_TLV;
    tlv.whole = kf_view_part(cursor->rest, 0, cursor->rest.size - ahead.rest.size);
    *cursor = ahead;
    *ret_tlv = tlv;
    return KF_OK;
}

bool kf_tlv_is_constructed(uint32_t tag)
{
    while (tag > 0xFF)
        tag >>= 8;
    return (tag & 0x20u) != 0;
}

static kf_code check_level(kf_view data, unsigned depth)
{
    if (depth == KF_TLV_DEPTH_MAX) return KF_ERR_TLV;
    kf_cursor cursor = kf_cursor_of(data);
    while (!kf_cursor_at_end(&cursor)) {
        kf_tlv tlv;
        KF_TRY(kf_tlv_read(&cursor, &tlv));
        if (kf_tlv_is_constructed(tlv.tag)) KF_TRY(check_level(tlv.value, depth + 1));
    }
    return KF_OK;
}

kf_code kf_tlv_check(kf_view data)
{
    return check_level(data, 0);
}

bool kf_tlv_find(kf_view data, uint32_t tag, kf_view *ret_value)
{
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv tlv;
    while (kf_tlv_read(&cursor, &tlv) == KF_OK) {
        if (tlv.tag != tag) continue;
        *ret_value = tlv.value;
        return true;
    }
    return false;
}

size_t kf_tlv_count(kf_view data, uint32_t tag)
{
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv tlv;
    size_t count = 0;
    while (kf_tlv_read(&cursor, &tlv) == KF_OK)
        if (tlv.tag == tag) count++;
    return count;
}

bool kf_tlv_find_path(kf_view data, const uint32_t *tags, size_t count, kf_view *ret_value)
{
    kf_view level = data;
    for (size_t i = 0; i < count; i++)
        if (!kf_tlv_find(level, tags[i], &level)) return false;
    *ret_value = level;
    return true;
}

/* Big-endian without leading zeros; at least one byte. */
static size_t byte_count(size_t value)
{
    size_t count = 1;
    while (value > 0xFF) {
        value >>= 8;
        count++;
    }
    return count;
}

static void append_number(kf_buffer *buffer, size_t value, size_t bytes)
{
    while (bytes-- > 0)
        kf_buffer_append_u8(buffer, (uint8_t)(value >> (8 * bytes)));
}

void kf_tlv_append_tag(kf_buffer *buffer, uint32_t tag)
{
    append_number(buffer, tag, byte_count(tag));
}

void kf_tlv_append_length(kf_buffer *buffer, size_t length)
{
    if (length >= 0x80) kf_buffer_append_u8(buffer, (uint8_t)(0x80u | byte_count(length)));
    append_number(buffer, length, byte_count(length));
}

void kf_tlv_append(kf_buffer *buffer, uint32_t tag, kf_view value)
{
    kf_tlv_append_tag(buffer, tag);
    kf_tlv_append_length(buffer, value.size);
    kf_buffer_append(buffer, value);
}

void kf_tlv_append_u8(kf_buffer *buffer, uint32_t tag, uint8_t value)
{
    kf_tlv_append(buffer, tag, kf_view_of(&value, 1));
}

size_t kf_tlv_begin(kf_buffer *buffer, uint32_t tag)
{
    kf_tlv_append_tag(buffer, tag);
    return buffer->size;
}

void kf_tlv_end(kf_buffer *buffer, size_t mark)
{
    if (buffer->status != KF_OK || mark > buffer->size) return;
    size_t length = buffer->size - mark;
    size_t field = length < 0x80 ? 1 : 1 + byte_count(length);
    if (kf_buffer_extend(buffer, field) == NULL) return;
    uint8_t *value = buffer->data + mark;
    memmove(value + field, value, length);
    if (field == 1) {
        value[0] = (uint8_t)length;
        return;
    }
    value[0] = (uint8_t)(0x80u | (field - 1));
    for (size_t i = 1; i < field; i++)
        value[i] = (uint8_t)(length >> (8 * (field - 1 - i)));
}

kf_code kf_dgi_append_length(kf_buffer *buffer, size_t length)
{
    if (length > KF_DGI_SIZE_MAX) return KF_ERR_ARGUMENT;
    if (length < 0xFF) {
        kf_buffer_append_u8(buffer, (uint8_t)length);
    } else {
        kf_buffer_append_u8(buffer, 0xFF);
        kf_buffer_append_u16(buffer, (uint16_t)length);
    }
    return kf_buffer_status(buffer);
}

kf_code kf_dgi_append(kf_buffer *buffer, uint16_t identifier, kf_view value)
{
    if (value.size > KF_DGI_SIZE_MAX) return KF_ERR_ARGUMENT;
    kf_buffer_append_u16(buffer, identifier);
    KF_TRY(kf_dgi_append_length(buffer, value.size));
    kf_buffer_append(buffer, value);
    return kf_buffer_status(buffer);
}

kf_code kf_dgi_read(kf_cursor *cursor, uint16_t *ret_identifier, kf_view *ret_value)
{
    kf_cursor ahead = *cursor;
    uint16_t identifier, length;
    uint8_t first;
    if (kf_cursor_u16(&ahead, &identifier) != KF_OK || kf_cursor_u8(&ahead, &first) != KF_OK)
        return KF_ERR_TLV;
    length = first;
    if (first == 0xFF && kf_cursor_u16(&ahead, &length) != KF_OK) return KF_ERR_TLV;
    kf_view value;
    if (kf_cursor_take(&ahead, length, &value) != KF_OK) return KF_ERR_TLV;
    *cursor = ahead;
    *ret_identifier = identifier;
    *ret_value = value;
    return KF_OK;
}
