#include <stdlib.h>
#include <string.h>

#include "crypto/key_block_parts.h"
#include "crypto/random.h"

#define SHORT_LENGTH_MAX 0xFF      /* characters of an optional block with two length digits */
#define OPTIONAL_FRAME 4           /* identifier and two length digits */
#define OPTIONAL_FRAME_EXTENDED 10 /* identifier, "00", "04", four length digits */
#define LENGTH_DIGITS_MAX 8        /* digits of an extended length */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper_or_digit(char c)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

static bool text_is(const char *text, bool (*fits)(char))
{
    for (; *text != '\0'; text++)
        if (!fits(*text)) return false;
    return true;
}

static bool is_key_version(const char *version)
{
    /* "c" and a digit: a component (X9.143 6.3.4). */
    return (is_upper_or_digit(version[0]) || version[0] == 'c') && is_upper_or_digit(version[1]);
}

static kf_code check_fields(const kf_key_block_header *header, kf_error *error)
{
    if (strlen(header->usage) != 2 || !text_is(header->usage, is_upper_or_digit))
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: the usage is not two of A-Z 0-9; ask the sender");
    if (!is_upper_or_digit(header->algorithm))
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: the algorithm is not one of A-Z 0-9");
    if (!is_upper_or_digit(header->mode))
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: the mode of use is not one of A-Z 0-9");
    if (strlen(header->key_version) != 2 || !is_key_version(header->key_version))
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: the key version number is not two of A-Z 0-9");
    if (header->exportability != 'E' && header->exportability != 'N' && header->exportability != 'S')
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: the exportability is not E, N or S");
    /* X9.143:2021 6.3.7: key context 0, 1 or 2, then a reserved 0. */
    if (header->reserved[0] < '0' || header->reserved[0] > '2' || strcmp(header->reserved + 1, "0") != 0)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: the reserved field is not 00, 10 or 20");
    return KF_OK;
}

bool kf_key_block_key_fits(char algorithm, size_t size)
{
    if (size == 0) return false;
    if (algorithm == 'A') return size == 16 || size == 24 || size == 32;
    /* Eight bytes: one DES key three times, which old devices send as TDEA. */
    if (algorithm == 'T') return size == 8 || size == 16 || size == 24;
    return algorithm != 'D' || size == 8;
}

kf_code kf_key_block_add_optional(kf_key_block_header *header, const char *id, const char *data)
{
    if (strlen(id) != 2 || !text_is(id, is_upper_or_digit) || strcmp(id, KF_KEY_BLOCK_PADDING_ID) == 0 ||
        !text_is(data, is_printable))
        return KF_ERR_KEY_BLOCK;
    if (strlen(data) > KF_KEY_BLOCK_OPTIONAL_SIZE || header->optional_count == KF_KEY_BLOCK_OPTIONAL_MAX)
        return KF_ERR_TOO_LONG;
    char *copy = strdup(data);
    if (copy == NULL) return KF_ERR_MEMORY;
    kf_optional_block *block = &header->optional[header->optional_count++];
    memcpy(block->id, id, sizeof block->id);
    block->data = copy;
    return KF_OK;
}

const char *kf_key_block_optional(const kf_key_block_header *header, const char *id)
{
    for (size_t i = 0; i < header->optional_count; i++)
        if (strcmp(header->optional[i].id, id) == 0) return header->optional[i].data;
    return NULL;
}

void kf_key_block_header_clear(kf_key_block_header *header)
{
    for (size_t i = 0; i < header->optional_count; i++)
        free(header->optional[i].data);
    memset(header, 0, sizeof *header);
}

static void write_optional(kf_buffer *text, const kf_optional_block *block)
{
    size_t size = strlen(block->data);
    if (size + OPTIONAL_FRAME <= SHORT_LENGTH_MAX)
        kf_buffer_format(text, "%s%02zX%s", block->id, size + OPTIONAL_FRAME, block->data);
    else
        kf_buffer_format(text, "%s0004%04zX%s", block->id, size + OPTIONAL_FRAME_EXTENDED, block->data);
}

/* The padding block PB makes the header whole units (X9.143 6.3.6); it is last. Its content says nothing. */
static kf_code write_padding(kf_buffer *text, size_t unit)
{
    size_t size = unit - text->size % unit;
    if (size < OPTIONAL_FRAME) size += unit;
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
    uint8_t random[2 * KF_BLOCK_MAX];
    KF_TRY(kf_random_bytes(random, sizeof random));
    kf_buffer_format(text, KF_KEY_BLOCK_PADDING_ID "%02zX", size);
    for (size_t i = OPTIONAL_FRAME; i < size; i++)
        kf_buffer_append_u8(text, (uint8_t)alphabet[random[i] % (sizeof alphabet - 1)]);
    return KF_OK;
}

kf_code kf_key_block_header_write(const kf_key_block_header *header, size_t rest_size, kf_buffer *text,
                                  kf_error *error)
{
    const kf_key_block_format *format = kf_key_block_format_of(header->version);
    if (format == NULL)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: no version %c; use D", header->version);
    KF_TRY(check_fields(header, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer optional = KF_BUFFER_INIT;
    size_t count = header->optional_count;
    for (size_t i = 0; i < count; i++)
        write_optional(&optional, &header->optional[i]);
    /* The fixed part is 16 characters: whole units in every version. */
    if (optional.size % format->header_unit != 0) {
        count++;
        kf_code code = write_padding(&optional, format->header_unit);
        if (code != KF_OK) return kf_fail_plain(error, code);
    }
    size_t whole = KF_KEY_BLOCK_FIXED_HEADER + optional.size + rest_size;
    if (whole > KF_KEY_BLOCK_TEXT_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "key block: %zu characters; at most %d are possible", whole,
                       KF_KEY_BLOCK_TEXT_MAX);
    kf_buffer_format(text, "%c%04zu%s%c%c%s%c%02zu%s", header->version, whole, header->usage,
                     header->algorithm, header->mode, header->key_version, header->exportability, count,
                     header->reserved);
    kf_buffer_append(text, kf_buffer_view(&optional));
    kf_code code = kf_buffer_status(&optional);
    return kf_fail_plain(error, code != KF_OK ? code : kf_buffer_status(text));
}

static kf_code take_character(kf_cursor *text, char *ret_character)
{
    uint8_t byte = 0;
    KF_TRY(kf_cursor_u8(text, &byte));
    *ret_character = (char)byte;
    return KF_OK;
}

static kf_code take_number(kf_cursor *text, size_t digits, unsigned base, size_t *ret_number)
{
    size_t number = 0;
    kf_view taken;
    KF_TRY(kf_cursor_take(text, digits, &taken));
    for (size_t i = 0; i < digits; i++) {
        char c = (char)taken.data[i];
        unsigned digit = is_digit(c)            ? (unsigned)(c - '0')
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : base;
        if (digit >= base) return KF_ERR_KEY_BLOCK;
        number = number * base + digit;
    }
    *ret_number = number;
    return KF_OK;
}

static kf_code read_fixed(kf_cursor *text, kf_key_block_header *header, size_t *ret_length, size_t *ret_count)
{
    KF_TRY(take_character(text, &header->version));
    KF_TRY(take_number(text, 4, 10, ret_length));
    KF_TRY(kf_cursor_copy(text, header->usage, 2));
    KF_TRY(take_character(text, &header->algorithm));
    KF_TRY(take_character(text, &header->mode));
    KF_TRY(kf_cursor_copy(text, header->key_version, 2));
    KF_TRY(take_character(text, &header->exportability));
    KF_TRY(take_number(text, 2, 10, ret_count));
    return kf_cursor_copy(text, header->reserved, 2);
}

/* The length of a whole optional block in characters, and how many of them are its frame. */
static kf_code read_optional_length(kf_cursor *text, size_t *ret_length, size_t *ret_frame)
{
    size_t length = 0;
    size_t digits = 0;
    size_t frame = OPTIONAL_FRAME;
    KF_TRY(take_number(text, 2, 16, &length));
    if (length == 0) {
        KF_TRY(take_number(text, 2, 16, &digits));
        if (digits == 0 || digits > LENGTH_DIGITS_MAX) return KF_ERR_KEY_BLOCK;
        KF_TRY(take_number(text, digits, 16, &length));
        frame += 2 + digits;
    }
    if (length < frame) return KF_ERR_KEY_BLOCK;
    *ret_length = length;
    *ret_frame = frame;
    return KF_OK;
}

static kf_code read_optional(kf_cursor *text, kf_key_block_header *header, bool last)
{
    char id[3] = "";
    size_t length = 0;
    size_t frame = 0;
    kf_view content;
    KF_TRY(kf_cursor_copy(text, id, 2));
    KF_TRY(read_optional_length(text, &length, &frame));
    KF_TRY(kf_cursor_take(text, length - frame, &content));
    if (strcmp(id, KF_KEY_BLOCK_PADDING_ID) == 0) return last ? KF_OK : KF_ERR_KEY_BLOCK;
    KF_CLEANUP(kf_free_pointer) char *data = kf_text_of_view(content);
    if (data == NULL) return KF_ERR_MEMORY;
    return kf_key_block_add_optional(header, id, data);
}

static kf_code check_whole(kf_view text, const kf_key_block_header *header, size_t length, kf_error *error)
{
    if (kf_key_block_format_of(header->version) == NULL)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: version %c is none of A to E", header->version);
    if (length != text.size)
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "key block: its length field says %zu, but it has %zu characters", length, text.size);
    return check_fields(header, error);
}

static kf_code read_all_optional(kf_cursor *text, size_t count, kf_key_block_header *header, kf_error *error)
{
    for (size_t i = 0; i < count; i++) {
        kf_code code = read_optional(text, header, i + 1 == count);
        if (code == KF_ERR_TOO_LONG)
            return kf_fail(
                error, KF_ERR_KEY_BLOCK,
                "key block: optional block %zu of %zu is longer than %d characters, or one too many (%d)",
                i + 1, count, KF_KEY_BLOCK_OPTIONAL_SIZE, KF_KEY_BLOCK_OPTIONAL_MAX);
        if (code == KF_ERR_TRUNCATED || code == KF_ERR_KEY_BLOCK)
            return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: optional block %zu of %zu is malformed",
                           i + 1, count);
        if (code != KF_OK) return kf_fail_plain(error, code);
    }
    return KF_OK;
}

kf_code kf_key_block_header_read(kf_view text, kf_key_block_header *ret_header, size_t *ret_size,
                                 kf_error *error)
{
    if (text.size > KF_KEY_BLOCK_TEXT_MAX)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: %zu characters; at most %d are possible",
                       text.size, KF_KEY_BLOCK_TEXT_MAX);
    for (size_t i = 0; i < text.size; i++)
        if (!is_printable((char)text.data[i]))
            return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: byte %02X at %zu is no printable character",
                           text.data[i], i);
    KF_CLEANUP(kf_key_block_header_clear) kf_key_block_header header = {0};
    kf_cursor cursor = kf_cursor_of(text);
    size_t length = 0;
    size_t count = 0;
    if (read_fixed(&cursor, &header, &length, &count) != KF_OK)
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "key block: its header is shorter than %d characters or malformed",
                       KF_KEY_BLOCK_FIXED_HEADER);
    KF_TRY(check_whole(text, &header, length, error));
    KF_TRY(read_all_optional(&cursor, count, &header, error));
    *ret_header = header; /* the optional blocks go over to the caller */
    header.optional_count = 0;
    *ret_size = text.size - cursor.rest.size;
    return KF_OK;
}
