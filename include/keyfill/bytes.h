/* Bytes: views that own nothing, a bounds-checked cursor for data from outside, a growing buffer for data we
 * make. */
#ifndef KEYFILL_BYTES_H
#define KEYFILL_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include <keyfill/error.h>

/* Bytes that someone else owns. `data` may be NULL when `size` is 0. */
typedef struct kf_view {
    const uint8_t *data;
    size_t size;
} kf_view;

#define KF_VIEW(array) ((kf_view){(const uint8_t *)(array), sizeof(array)})

/* A view of `size` bytes at `data`; nothing is copied. */
kf_view kf_view_of(const void *data, size_t size);
/* A view of the text without its terminating zero. */
kf_view kf_view_of_text(const char *text);
/* The part from `offset`, `size` bytes long, cut at the end of `view`; empty where offset lies behind it. */
kf_view kf_view_part(kf_view view, size_t offset, size_t size);
/* Not constant time: for public data only. For secrets: kf_equal_constant_time (secret.h). */
bool kf_view_equal(kf_view left, kf_view right);
/* The same of the first bytes: an empty prefix always fits. */
bool kf_view_starts_with(kf_view view, kf_view prefix);

/* Reads bytes from outside, in order. Each function gives KF_ERR_TRUNCATED and changes nothing where too few
 * are left. Numbers are big-endian. */
typedef struct kf_cursor {
    kf_view rest;
} kf_cursor;

/* A cursor at the first byte of `view`, which the caller keeps as long. */
kf_cursor kf_cursor_of(kf_view view);
/* The next number of one, two, four or eight bytes, big-endian. KF_ERR_TRUNCATED. */
kf_code kf_cursor_u8(kf_cursor *cursor, uint8_t *ret_value) KF_MUST_USE;
kf_code kf_cursor_u16(kf_cursor *cursor, uint16_t *ret_value) KF_MUST_USE;
kf_code kf_cursor_u32(kf_cursor *cursor, uint32_t *ret_value) KF_MUST_USE;
kf_code kf_cursor_u64(kf_cursor *cursor, uint64_t *ret_value) KF_MUST_USE;
/* The view points into the cursor's data. */
kf_code kf_cursor_take(kf_cursor *cursor, size_t size, kf_view *ret_view) KF_MUST_USE;
/* Passes over `size` bytes. KF_ERR_TRUNCATED. */
kf_code kf_cursor_skip(kf_cursor *cursor, size_t size) KF_MUST_USE;
/* Copies exactly `size` bytes out. */
kf_code kf_cursor_copy(kf_cursor *cursor, void *ret_bytes, size_t size) KF_MUST_USE;
/* Whether nothing is left. */
bool kf_cursor_at_end(const kf_cursor *cursor);

/* Bytes of ours that grow. A failed append (no memory, or past `limit`) is remembered: later appends do
 * nothing, and kf_buffer_status tells at the end. Memory is wiped whenever it is given back, so a buffer may
 * hold what is to become a secret or a wrapped command; keys live in kf_secret. Initialise with
 * KF_BUFFER_INIT or kf_buffer_with_limit. */
typedef struct kf_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit; /* 0: KF_BUFFER_LIMIT */
    kf_code status;
} kf_buffer;

#define KF_BUFFER_LIMIT ((size_t)64 * 1024 * 1024)
#define KF_BUFFER_INIT ((kf_buffer){NULL, 0, 0, 0, KF_OK})

/* An empty buffer that holds no more than `limit` bytes. */
kf_buffer kf_buffer_with_limit(size_t limit);
/* Append bytes, or a number big-endian, or `count` times one byte. A failure is remembered. */
void kf_buffer_append(kf_buffer *buffer, kf_view bytes);
void kf_buffer_append_bytes(kf_buffer *buffer, const void *bytes, size_t size);
void kf_buffer_append_u8(kf_buffer *buffer, uint8_t value);
void kf_buffer_append_u16(kf_buffer *buffer, uint16_t value);
void kf_buffer_append_u32(kf_buffer *buffer, uint32_t value);
void kf_buffer_append_u64(kf_buffer *buffer, uint64_t value);
void kf_buffer_append_fill(kf_buffer *buffer, uint8_t value, size_t count);
/* Text without its terminating zero. */
void kf_buffer_append_text(kf_buffer *buffer, const char *text);
/* Appends text as printf does, without its terminating zero. */
void kf_buffer_format(kf_buffer *buffer, const char *format, ...) KF_PRINTF(2, 3);
/* Appends `size` bytes to be written by the caller and returns where, or NULL after a failure. */
uint8_t *kf_buffer_extend(kf_buffer *buffer, size_t size);
/* Cuts to `size` bytes (no effect if shorter); what is cut off is wiped. */
void kf_buffer_truncate(kf_buffer *buffer, size_t size);
/* The content; valid until the next append. */
kf_view kf_buffer_view(const kf_buffer *buffer);
/* The content as a C string: a zero stands behind the last byte. NULL after a failure. Owned by the buffer.
 */
const char *kf_buffer_text(kf_buffer *buffer);
/* KF_OK, or the first failure of an append. */
kf_code kf_buffer_status(const kf_buffer *buffer) KF_MUST_USE;
/* Wipes, frees, makes empty; the limit stays. Fits KF_CLEANUP. */
void kf_buffer_clear(kf_buffer *buffer);

/* Copies `view` with a zero behind it; NULL without memory. The caller frees it with free(). */
char *kf_text_of_view(kf_view view);

/* free() for KF_CLEANUP on any pointer variable: KF_CLEANUP(kf_free_pointer) char *name = ... */
void kf_free_pointer(void *pointer_to_pointer);

#endif
