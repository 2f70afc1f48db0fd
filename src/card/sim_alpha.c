/* Texts as cards hold them: the default alphabet of TS 23.038 6.2.1, a byte a character, and UCS2 in the
 * three codings of ETSI TS 102 221 annex A. */
#include <keyfill/sim.h>

#include <string.h>

#define ESCAPE 0x1B
#define END 0xFF
#define UNKNOWN 0xFFFD      /* replacement character */
#define NO_CHARACTER 0xFFFF /* an unused place of UCS2 */

static const uint16_t default_alphabet[128] = {
    '@',    0x00A3, '$',    0x00A5, 0x00E8, 0x00E9, 0x00F9, 0x00EC, 0x00F2, 0x00C7, '\n',   0x00D8, 0x00F8,
    '\r',   0x00C5, 0x00E5, 0x0394, '_',    0x03A6, 0x0393, 0x039B, 0x03A9, 0x03A0, 0x03A8, 0x03A3, 0x0398,
    0x039E, ESCAPE, 0x00C6, 0x00E6, 0x00DF, 0x00C9, ' ',    '!',    '"',    '#',    0x00A4, '%',    '&',
    '\'',   '(',    ')',    '*',    '+',    ',',    '-',    '.',    '/',    '0',    '1',    '2',    '3',
    '4',    '5',    '6',    '7',    '8',    '9',    ':',    ';',    '<',    '=',    '>',    '?',    0x00A1,
    'A',    'B',    'C',    'D',    'E',    'F',    'G',    'H',    'I',    'J',    'K',    'L',    'M',
    'N',    'O',    'P',    'Q',    'R',    'S',    'T',    'U',    'V',    'W',    'X',    'Y',    'Z',
    0x00C4, 0x00D6, 0x00D1, 0x00DC, 0x00A7, 0x00BF, 'a',    'b',    'c',    'd',    'e',    'f',    'g',
    'h',    'i',    'j',    'k',    'l',    'm',    'n',    'o',    'p',    'q',    'r',    's',    't',
    'u',    'v',    'w',    'x',    'y',    'z',    0x00E4, 0x00F6, 0x00F1, 0x00FC, 0x00E0};

/* 6.2.1.1: behind the escape. */
static const struct {
    uint8_t coded;
    uint16_t character;
} extension[] = {{0x0A, '\f'}, {0x14, '^'}, {0x28, '{'}, {0x29, '}'}, {0x2F, '\\'},
                 {0x3C, '['},  {0x3D, '~'}, {0x3E, ']'}, {0x40, '|'}, {0x65, 0x20AC}};
#define EXTENSIONS (sizeof(extension) / sizeof(extension[0]))

static void append_utf8(kf_buffer *text, unsigned character)
{
    /* Surrogates cannot stand alone in UTF-8; cards have UCS2, which has none. */
    if ((character >= 0xD800 && character <= 0xDFFF) || character == NO_CHARACTER) character = UNKNOWN;
    if (character < 0x80) {
        kf_buffer_append_u8(text, (uint8_t)character);
    } else if (character < 0x800) {
        kf_buffer_append_u8(text, (uint8_t)(0xC0u | character >> 6));
        kf_buffer_append_u8(text, (uint8_t)(0x80u | (character & 0x3Fu)));
    } else {
        kf_buffer_append_u8(text, (uint8_t)(0xE0u | character >> 12));
        kf_buffer_append_u8(text, (uint8_t)(0x80u | (character >> 6 & 0x3Fu)));
        kf_buffer_append_u8(text, (uint8_t)(0x80u | (character & 0x3Fu)));
    }
}

static unsigned extended_character(uint8_t coded)
{
    for (size_t i = 0; i < EXTENSIONS; i++)
        if (extension[i].coded == coded) return extension[i].character;
    /* A receiver that does not know the character shows the one of the basic table. */
    return coded < 128 ? default_alphabet[coded] : UNKNOWN;
}

static void decode_default(kf_view field, kf_buffer *text)
{
    for (size_t i = 0; i < field.size && field.data[i] != END; i++) {
        uint8_t coded = field.data[i];
        bool escaped = coded == ESCAPE && i + 1 < field.size && field.data[i + 1] != END;
        if (escaped)
            append_utf8(text, extended_character(field.data[++i]));
        else if (coded == ESCAPE)
            append_utf8(text, ' ');
        else
            append_utf8(text, coded < 128 ? default_alphabet[coded] : UNKNOWN);
    }
}

/* 80: characters of two bytes up to FFFF or the end; a last odd byte is padding. */
static kf_code decode_wide(kf_view field, kf_buffer *text)
{
    for (size_t i = 0; i + 1 < field.size; i += 2) {
        unsigned character = (unsigned)field.data[i] << 8 | field.data[i + 1];
        if (character == NO_CHARACTER) return KF_OK;
        append_utf8(text, character);
    }
    return KF_OK;
}

/* 81 and 82: a number of characters, a base, then bytes: with bit 8 an offset from the base, else the default
 * alphabet. */
static kf_code decode_offset(kf_view field, bool wide_base, kf_buffer *text)
{
    kf_cursor cursor = kf_cursor_of(field);
    uint8_t count, narrow = 0;
    uint16_t base = 0;
    if (kf_cursor_u8(&cursor, &count) != KF_OK) return KF_ERR_CARD_DATA;
    kf_code code = wide_base ? kf_cursor_u16(&cursor, &base) : kf_cursor_u8(&cursor, &narrow);
    if (code != KF_OK) return KF_ERR_CARD_DATA;
    if (!wide_base) base = (uint16_t)(narrow << 7);
    kf_view coded;
    if (kf_cursor_take(&cursor, count, &coded) != KF_OK) return KF_ERR_CARD_DATA;
    for (size_t i = 0; i < coded.size; i++) {
        if (coded.data[i] & 0x80u)
            append_utf8(text, (base + (coded.data[i] & 0x7Fu)) & 0xFFFFu);
        else
            decode_default(kf_view_part(coded, i, 1), text);
    }
    return KF_OK;
}

kf_code kf_alpha_decode(kf_view field, kf_buffer *text)
{
    size_t size_before = text->size;
    kf_code code = KF_OK;
    kf_view behind = kf_view_part(field, 1, field.size);
    uint8_t first = field.size == 0 ? END : field.data[0];
    if (first == 0x80)
        code = decode_wide(behind, text);
    else if (first == 0x81 || first == 0x82)
        code = decode_offset(behind, first == 0x82, text);
    else
        decode_default(field, text);
    if (code == KF_OK) code = kf_buffer_status(text);
    if (code != KF_OK) kf_buffer_truncate(text, size_before);
    return code;
}

/* The next character; more than UCS2 holds, or no UTF-8: KF_ERR_ARGUMENT. */
static kf_code next_character(const char **text, unsigned *ret_character)
{
    const uint8_t *bytes = (const uint8_t *)*text;
    unsigned first = bytes[0];
    size_t more = first < 0x80 ? 0 : (first & 0xE0u) == 0xC0u ? 1 : (first & 0xF0u) == 0xE0u ? 2 : 3;
    static const unsigned least[] = {0, 0x80, 0x800};
    if (more == 3) return KF_ERR_ARGUMENT;
    unsigned character = more == 0 ? first : more == 1 ? first & 0x1Fu : first & 0x0Fu;
    for (size_t i = 1; i <= more; i++) {
        if ((bytes[i] & 0xC0u) != 0x80u) return KF_ERR_ARGUMENT;
        character = character << 6 | (bytes[i] & 0x3Fu);
    }
    if (character < least[more] || (character >= 0xD800 && character <= 0xDFFF) || character == NO_CHARACTER)
        return KF_ERR_ARGUMENT;
    *text += 1 + more;
    *ret_character = character;
    return KF_OK;
}

/* False where the default alphabet has no such character. */
static bool append_default(kf_buffer *field, unsigned character)
{
    for (size_t i = 0; i < 128; i++) {
        if (i == ESCAPE || default_alphabet[i] != character) continue;
        kf_buffer_append_u8(field, (uint8_t)i);
        return true;
    }
    for (size_t i = 0; i < EXTENSIONS; i++) {
        if (extension[i].character != character) continue;
        kf_buffer_append_u8(field, ESCAPE);
        kf_buffer_append_u8(field, extension[i].coded);
        return true;
    }
    return false;
}

static kf_code encode_default(const char *text, kf_buffer *coded, bool *ret_possible)
{
    bool possible = true;
    while (*text != 0) {
        unsigned character;
        KF_TRY(next_character(&text, &character));
        possible = possible && append_default(coded, character);
    }
    *ret_possible = possible;
    return kf_buffer_status(coded);
}

static kf_code encode_wide(const char *text, kf_buffer *coded)
{
    kf_buffer_append_u8(coded, 0x80);
    while (*text != 0) {
        unsigned character;
        KF_TRY(next_character(&text, &character));
        kf_buffer_append_u16(coded, (uint16_t)character);
    }
    return kf_buffer_status(coded);
}

kf_code kf_alpha_encode(const char *text, size_t size, kf_buffer *field)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer coded = KF_BUFFER_INIT;
    bool possible;
    KF_TRY(encode_default(text, &coded, &possible));
    if (!possible) {
        kf_buffer_truncate(&coded, 0);
        KF_TRY(encode_wide(text, &coded));
    }
    if (coded.size > size) return KF_ERR_ARGUMENT;
    kf_buffer_append_fill(&coded, END, size - coded.size);
    kf_buffer_append(field, kf_buffer_view(&coded));
    return kf_buffer_status(field);
}

kf_code kf_spn_encode_text(uint8_t display, const char *name, uint8_t ret_content[KF_SPN_SIZE])
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    kf_buffer_append_u8(&content, display);
    KF_TRY(kf_alpha_encode(name, KF_SPN_SIZE - 1, &content));
    memcpy(ret_content, content.data, KF_SPN_SIZE);
    return KF_OK;
}

kf_code kf_spn_decode_text(kf_view content, uint8_t *ret_display, kf_buffer *name)
{
    if (content.size != KF_SPN_SIZE) return KF_ERR_CARD_DATA;
    KF_TRY(kf_alpha_decode(kf_view_part(content, 1, KF_SPN_SIZE - 1), name));
    *ret_display = content.data[0];
    return KF_OK;
}
