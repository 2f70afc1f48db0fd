#include <keyfill/hex.h>

#include <string.h>

/* No table and no branch depends on a digit or nibble: comparisons become masks (as wireguard-tools does). */
static char digit_of(unsigned nibble)
{
    return (char)(nibble + '0' + (((9U - nibble) >> 8) & (unsigned)('A' - '0' - 10)));
}

/* 0 where value < bound, all ones otherwise. Both below 2^31. */
static unsigned at_least(unsigned value, unsigned bound)
{
    return ~(0U - ((value - bound) >> 31));
}

static unsigned between(unsigned value, unsigned low, unsigned high)
{
    return at_least(value, low) & ~at_least(value, high + 1);
}

/* 0 to 15, or 0x100 for a character that is no digit. */
static unsigned nibble_of(char character)
{
    unsigned c = (unsigned char)character;
    unsigned number = between(c, '0', '9');
    unsigned upper = between(c, 'A', 'F');
    unsigned lower = between(c, 'a', 'f');
    return (number & (c - '0')) | (upper & (c - 'A' + 10U)) | (lower & (c - 'a' + 10U)) |
           (~(number | upper | lower) & 0x100U);
}

void kf_buffer_append_hex(kf_buffer *buffer, kf_view bytes)
{
    uint8_t *place = kf_buffer_extend(buffer, 2 * bytes.size);
    if (place == NULL) return;
    for (size_t i = 0; i < bytes.size; i++) {
        place[2 * i] = (uint8_t)digit_of(bytes.data[i] >> 4);
        place[2 * i + 1] = (uint8_t)digit_of(bytes.data[i] & 15U);
    }
}

kf_code kf_hex_encode(kf_view bytes, char *ret_text, size_t ret_text_size)
{
    if (ret_text_size < 2 * bytes.size + 1) return KF_ERR_ARGUMENT;
    for (size_t i = 0; i < bytes.size; i++) {
        ret_text[2 * i] = digit_of(bytes.data[i] >> 4);
        ret_text[2 * i + 1] = digit_of(bytes.data[i] & 15U);
    }
    ret_text[2 * bytes.size] = '\0';
    return KF_OK;
}

static kf_code check_digits(const char *text, size_t digits)
{
    unsigned bad = 0;
    for (size_t i = 0; i < digits; i++)
        bad |= nibble_of(text[i]) & 0x100U;
    return bad == 0 ? KF_OK : KF_ERR_HEX;
}

static void decode_digits(const char *text, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(nibble_of(text[2 * i]) << 4 | nibble_of(text[2 * i + 1]));
}

kf_code kf_hex_decode(const char *text, void *ret_bytes, size_t size)
{
    if (strlen(text) != 2 * size) return KF_ERR_HEX;
    KF_TRY(check_digits(text, 2 * size));
    decode_digits(text, ret_bytes, size);
    return KF_OK;
}

kf_code kf_hex_decode_append(const char *text, kf_buffer *buffer)
{
    size_t digits = strlen(text);
    if (digits % 2 != 0) return KF_ERR_HEX;
    KF_TRY(check_digits(text, digits));
    uint8_t *place = kf_buffer_extend(buffer, digits / 2);
    if (place == NULL) return kf_buffer_status(buffer);
    decode_digits(text, place, digits / 2);
    return KF_OK;
}

kf_code kf_hex_decode_secret(const char *text, kf_secret **ret_secret)
{
    size_t digits = strlen(text);
    if (digits == 0 || digits % 2 != 0) return KF_ERR_HEX;
    if (digits / 2 > KF_SECRET_MAX_SIZE) return KF_ERR_TOO_LONG;
    KF_TRY(check_digits(text, digits));
    kf_secret *secret = NULL;
    KF_TRY(kf_secret_new_zero(digits / 2, &secret));
    decode_digits(text, kf_secret_expose_writable(secret), digits / 2);
    *ret_secret = secret;
    return KF_OK;
}

static char base64url_digit_of(unsigned sextet)
{
    unsigned c = sextet + 'A';
    c += at_least(sextet, 26) & (unsigned)('a' - 'A' - 26);
    c -= at_least(sextet, 52) & (unsigned)('a' - '0' + 26);
    c -= at_least(sextet, 62) & (unsigned)('0' + 10 - '-');
    c += at_least(sextet, 63) & (unsigned)('_' - '-' - 1);
    return (char)c;
}

static unsigned sextet_of(char character)
{
    unsigned c = (unsigned char)character;
    unsigned upper = between(c, 'A', 'Z');
    unsigned lower = between(c, 'a', 'z');
    unsigned number = between(c, '0', '9');
    unsigned dash = between(c, '-', '-');
    unsigned line = between(c, '_', '_');
    unsigned known = upper | lower | number | dash | line;
    return (upper & (c - 'A')) | (lower & (c - 'a' + 26U)) | (number & (c - '0' + 52U)) | (dash & 62U) |
           (line & 63U) | (~known & 0x100U);
}

void kf_buffer_append_base64url(kf_buffer *buffer, kf_view bytes)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t group = bytes.size - i < 3 ? bytes.size - i : 3;
        unsigned bits = (unsigned)bytes.data[i] << 16;
        if (group > 1) bits |= (unsigned)bytes.data[i + 1] << 8;
        if (group > 2) bits |= bytes.data[i + 2];
        for (size_t j = 0; j <= group; j++)
            kf_buffer_append_u8(buffer, (uint8_t)base64url_digit_of((bits >> (18 - 6 * j)) & 63U));
    }
}

kf_code kf_base64url_decode_append(const char *text, kf_buffer *buffer)
{
    size_t length = strlen(text);
    if (length % 4 == 1) return KF_ERR_MALFORMED;
    unsigned bad = 0;
    for (size_t i = 0; i < length; i++)
        bad |= sextet_of(text[i]) & 0x100U;
    if (bad != 0) return KF_ERR_MALFORMED;
    size_t before = buffer->size;
    for (size_t i = 0; i < length; i += 4) {
        size_t group = length - i < 4 ? length - i : 4;
        unsigned bits = 0;
        for (size_t j = 0; j < group; j++)
            bits |= sextet_of(text[i + j]) << (18 - 6 * j);
        /* Bits that no byte takes must be zero, so that one value has one text. */
        static const unsigned spare[] = {[2] = 0xFFFF, [3] = 0xFF, [4] = 0};
        if ((bits & spare[group]) != 0) {
            kf_buffer_truncate(buffer, before);
            return KF_ERR_MALFORMED;
        }
        for (size_t j = 0; j + 1 < group; j++)
            kf_buffer_append_u8(buffer, (uint8_t)(bits >> (16 - 8 * j)));
    }
    return kf_buffer_status(buffer);
}

kf_hex_text kf_hex_show(kf_view bytes)
{
    kf_hex_text shown;
    kf_view part = kf_view_part(bytes, 0, KF_HEX_SHOWN_BYTES);
    if (kf_hex_encode(part, shown.text, sizeof shown.text) != KF_OK) shown.text[0] = '\0';
    if (bytes.size > part.size) memcpy(shown.text + 2 * part.size, "…", sizeof "…");
    return shown;
}
