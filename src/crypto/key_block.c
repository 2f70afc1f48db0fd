#include <keyfill/key_block.h>

#include "crypto/key_block_parts.h"
#include "crypto/random.h"

#define BIT_LENGTH_SIZE 2 /* bytes before the key in the key field */

/* X9.143 6.4: a key field as long as for the longest key of the algorithm hides the key's length. */
static size_t longest_key(char algorithm, size_t key_size)
{
    size_t longest = algorithm == 'A' ? 32 : algorithm == 'T' ? 24 : key_size;
    return longest < key_size ? key_size : longest;
}

static kf_code fill_key_field(const kf_key_block_format *format, const kf_secret *key, size_t shown_size,
                              kf_buffer *field)
{
    size_t unit = format->key_unit;
    size_t whole = (BIT_LENGTH_SIZE + shown_size + unit - 1) / unit * unit;
    kf_buffer_append_u16(field, (uint16_t)(kf_secret_size(key) * 8));
    kf_buffer_append(field, kf_secret_expose(key));
    size_t padding = whole - BIT_LENGTH_SIZE - kf_secret_size(key);
    uint8_t *place = kf_buffer_extend(field, padding);
    return place == NULL ? kf_buffer_status(field) : kf_random_bytes(place, padding);
}

static kf_code check_wrapping(const kf_key_block_header *header, size_t key_size, size_t masked_size,
                              kf_error *error)
{
    const kf_key_block_format *format = kf_key_block_format_of(header->version);
    if (format == NULL)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: the version is none of A to E; use D");
    if (!format->written)
        return kf_fail(error, KF_ERR_UNSUPPORTED, "key block: version %c is only read, not written; use D",
                       header->version);
    if (!kf_key_block_key_fits(header->algorithm, key_size))
        return kf_fail(error, KF_ERR_KEY_SIZE, "key block: a key of %zu bytes is none of algorithm %c",
                       key_size, header->algorithm);
    if (masked_size != 0 && masked_size < key_size)
        return kf_fail(error, KF_ERR_ARGUMENT, "key block: a key of %zu bytes cannot be shown as one of %zu",
                       key_size, masked_size);
    if (masked_size > KF_SECRET_MAX_SIZE)
        return kf_fail(error, KF_ERR_TOO_LONG, "key block: a key field for %zu bytes is too long",
                       masked_size);
    return KF_OK;
}

kf_code kf_key_block_wrap(const kf_secret *protection_key, const kf_key_block_header *header,
                          const kf_secret *key, size_t masked_size, kf_buffer *text, kf_error *error)
{
    size_t key_size = kf_secret_size(key);
    KF_TRY(check_wrapping(header, key_size, masked_size, error));
    const kf_key_block_format *format = kf_key_block_format_of(header->version);
    size_t shown_size = masked_size != 0 ? masked_size : longest_key(header->algorithm, key_size);
    KF_CLEANUP(kf_buffer_clear) kf_buffer field = KF_BUFFER_INIT;
    kf_code code = fill_key_field(format, key, shown_size, &field);
    if (code != KF_OK) return kf_fail_plain(error, code);
    KF_CLEANUP(kf_buffer_clear) kf_buffer header_text = KF_BUFFER_INIT;
    KF_TRY(kf_key_block_header_write(header, 2 * (field.size + format->mac_size), &header_text, error));
    code = kf_key_block_protect(format, protection_key, kf_buffer_view(&header_text), kf_buffer_view(&field),
                                text);
    if (code == KF_ERR_KEY_SIZE)
        return kf_fail(error, code, "key block: a protection key of %zu bytes does not fit version %c",
                       kf_secret_size(protection_key), header->version);
    return kf_fail_plain(error, code);
}

static kf_code take_key(kf_view field, char algorithm, kf_secret **ret_key, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(field);
    uint16_t bits = 0;
    kf_view key;
    if (kf_cursor_u16(&cursor, &bits) != KF_OK || bits % 8 != 0 ||
        kf_cursor_take(&cursor, bits / 8, &key) != KF_OK)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "key block: the key length inside it does not fit its size");
    if (key.size > KF_SECRET_MAX_SIZE || !kf_key_block_key_fits(algorithm, key.size))
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "key block: it holds %zu bytes, which is no key of algorithm %c", key.size, algorithm);
    return kf_fail_plain(error, kf_secret_new(key, ret_key));
}

kf_code kf_key_block_unwrap(const kf_secret *protection_key, kf_view text, kf_key_block_header *ret_header,
                            kf_secret **ret_key, kf_error *error)
{
    KF_CLEANUP(kf_key_block_header_clear) kf_key_block_header header = {0};
    size_t header_size = 0;
    KF_TRY(kf_key_block_header_read(text, &header, &header_size, error));
    const kf_key_block_format *format = kf_key_block_format_of(header.version);
    KF_CLEANUP(kf_buffer_clear) kf_buffer field = KF_BUFFER_INIT;
    kf_view header_text = kf_view_part(text, 0, header_size);
    kf_view rest = kf_view_part(text, header_size, text.size - header_size);
    kf_code code = kf_key_block_unprotect(format, protection_key, header_text, rest, &field);
    if (code == KF_ERR_KEY_BLOCK)
        return kf_fail(
            error, code,
            "key block: behind its header of %zu characters stand no whole blocks of upper-case digits",
            header_size);
    if (code == KF_ERR_KEY_SIZE)
        return kf_fail(error, code, "key block: a protection key of %zu bytes does not fit version %c",
                       kf_secret_size(protection_key), header.version);
    if (code == KF_ERR_AUTHENTICATION)
        return kf_fail(
            error, code,
            "key block: its MAC does not verify: it was changed on the way, or the transport keys differ; "
            "compare their check values on both sides");
    if (code != KF_OK) return kf_fail_plain(error, code);
    KF_TRY(take_key(kf_buffer_view(&field), header.algorithm, ret_key, error));
    *ret_header = header; /* the optional blocks go over to the caller */
    header.optional_count = 0;
    return KF_OK;
}
