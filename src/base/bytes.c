#include <keyfill/bytes.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/secret.h>

kf_view kf_view_of(const void *data, size_t size)
{
    return (kf_view){data, size};
}

kf_view kf_view_of_text(const char *text)
{
    return kf_view_of(text, strlen(text));
}

kf_view kf_view_part(kf_view view, size_t offset, size_t size)
{
    if (offset >= view.size) return kf_view_of(NULL, 0);
    size_t left = view.size - offset;
    return kf_view_of(view.data + offset, size < left ? size : left);
}

bool kf_view_equal(kf_view left, kf_view right)
{
    return left.size == right.size && (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

bool kf_view_starts_with(kf_view view, kf_view prefix)
{
    return view.size >= prefix.size && kf_view_equal(kf_view_part(view, 0, prefix.size), prefix);
}

kf_cursor kf_cursor_of(kf_view view)
{
    return (kf_cursor){view};
}

kf_code kf_cursor_take(kf_cursor *cursor, size_t size, kf_view *ret_view)
{
    if (cursor->rest.size < size) return KF_ERR_TRUNCATED;
    kf_view taken = {cursor->rest.data, size};
    if (size > 0) {
        cursor->rest.data += size;
        cursor->rest.size -= size;
    }
    *ret_view = taken;
    return KF_OK;
}

kf_code kf_cursor_skip(kf_cursor *cursor, size_t size)
{
    kf_view skipped;
    return kf_cursor_take(cursor, size, &skipped);
}

kf_code kf_cursor_copy(kf_cursor *cursor, void *ret_bytes, size_t size)
{
    kf_view taken;
    KF_TRY(kf_cursor_take(cursor, size, &taken));
    if (size > 0) memcpy(ret_bytes, taken.data, size);
    return KF_OK;
}

static kf_code take_number(kf_cursor *cursor, size_t size, uint64_t *ret_value)
{
    kf_view taken;
    KF_TRY(kf_cursor_take(cursor, size, &taken));
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = (value << 8) | taken.data[i];
    *ret_value = value;
    return KF_OK;
}

kf_code kf_cursor_u8(kf_cursor *cursor, uint8_t *ret_value)
{
    uint64_t value;
    KF_TRY(take_number(cursor, 1, &value));
    *ret_value = (uint8_t)value;
    return KF_OK;
}

kf_code kf_cursor_u16(kf_cursor *cursor, uint16_t *ret_value)
{
    uint64_t value;
    KF_TRY(take_number(cursor, 2, &value));
    *ret_value = (uint16_t)value;
    return KF_OK;
}

kf_code kf_cursor_u32(kf_cursor *cursor, uint32_t *ret_value)
{
    uint64_t value;
    KF_TRY(take_number(cursor, 4, &value));
    *ret_value = (uint32_t)value;
    return KF_OK;
}

kf_code kf_cursor_u64(kf_cursor *cursor, uint64_t *ret_value)
{
    return take_number(cursor, 8, ret_value);
}

bool kf_cursor_at_end(const kf_cursor *cursor)
{
    return cursor->rest.size == 0;
}

kf_buffer kf_buffer_with_limit(size_t limit)
{
    kf_buffer buffer = KF_BUFFER_INIT;
    buffer.limit = limit;
    return buffer;
}

/* Makes room for `size` more bytes and a zero behind them. */
static bool make_room(kf_buffer *buffer, size_t size)
{
    if (buffer->status != KF_OK) return false;
    size_t limit = buffer->limit != 0 ? buffer->limit : KF_BUFFER_LIMIT;
    if (size > limit || buffer->size > limit - size) {
        buffer->status = KF_ERR_TOO_LONG;
        return false;
    }
    size_t needed = buffer->size + size + 1;
    if (needed <= buffer->capacity) return true;
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
    while (capacity < needed)
        capacity *= 2;
    uint8_t *data = malloc(capacity);
    if (data == NULL) {
        buffer->status = KF_ERR_MEMORY;
        return false;
    }
    if (buffer->size > 0) memcpy(data, buffer->data, buffer->size);
    if (buffer->data != NULL) kf_wipe(buffer->data, buffer->capacity);
    free(buffer->data);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

uint8_t *kf_buffer_extend(kf_buffer *buffer, size_t size)
{
    if (!make_room(buffer, size)) return NULL;
    uint8_t *place = buffer->data + buffer->size;
    buffer->size += size;
    return place;
}

void kf_buffer_append_bytes(kf_buffer *buffer, const void *bytes, size_t size)
{
    uint8_t *place = kf_buffer_extend(buffer, size);
    if (place != NULL && size > 0) memcpy(place, bytes, size);
}

void kf_buffer_append(kf_buffer *buffer, kf_view bytes)
{
    kf_buffer_append_bytes(buffer, bytes.data, bytes.size);
}

void kf_buffer_append_fill(kf_buffer *buffer, uint8_t value, size_t count)
{
    uint8_t *place = kf_buffer_extend(buffer, count);
    if (place != NULL && count > 0) memset(place, value, count);
}

static void append_number(kf_buffer *buffer, uint64_t value, size_t size)
{
    uint8_t *place = kf_buffer_extend(buffer, size);
    if (place == NULL) return;
    for (size_t i = size; i > 0; i--) {
        place[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

void kf_buffer_append_u8(kf_buffer *buffer, uint8_t value)
{
    append_number(buffer, value, 1);
}

void kf_buffer_append_u16(kf_buffer *buffer, uint16_t value)
{
    append_number(buffer, value, 2);
}

void kf_buffer_append_u32(kf_buffer *buffer, uint32_t value)
{
    append_number(buffer, value, 4);
}

void kf_buffer_append_u64(kf_buffer *buffer, uint64_t value)
{
    append_number(buffer, value, 8);
}

void kf_buffer_append_text(kf_buffer *buffer, const char *text)
{
    kf_buffer_append(buffer, kf_view_of_text(text));
}

void kf_buffer_format(kf_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        if (buffer->status == KF_OK) buffer->status = KF_ERR_INTERNAL;
    } else if (make_room(buffer, (size_t)size)) {
        vsnprintf((char *)buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}

void kf_buffer_truncate(kf_buffer *buffer, size_t size)
{
    if (size >= buffer->size) return;
    kf_wipe(buffer->data + size, buffer->size - size);
    buffer->size = size;
}

kf_view kf_buffer_view(const kf_buffer *buffer)
{
    return kf_view_of(buffer->data, buffer->size);
}

const char *kf_buffer_text(kf_buffer *buffer)
{
    if (!make_room(buffer, 0)) return NULL;
    buffer->data[buffer->size] = '\0';
    return (const char *)buffer->data;
}

kf_code kf_buffer_status(const kf_buffer *buffer)
{
    return buffer->status;
}

void kf_buffer_clear(kf_buffer *buffer)
{
    if (buffer->data != NULL) kf_wipe(buffer->data, buffer->capacity);
    free(buffer->data);
    *buffer = kf_buffer_with_limit(buffer->limit);
}

char *kf_text_of_view(kf_view view)
{
    char *text = malloc(view.size + 1);
    if (text == NULL) return NULL;
    if (view.size > 0) memcpy(text, view.data, view.size);
    text[view.size] = '\0';
    return text;
}

void kf_free_pointer(void *pointer_to_pointer)
{
    void *pointer;
    memcpy(&pointer, pointer_to_pointer, sizeof pointer);
    free(pointer);
}
