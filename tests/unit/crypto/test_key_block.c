#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/key_block_parts.h"
#include "crypto/random.h"

#include <keyfill/hex.h>

static kf_secret *random_key(size_t size)
{
    kf_secret *key = NULL;
    assert_int_equal(kf_random_secret(size, &key), KF_OK);
    return key;
}

static kf_key_block_header plain_header(char version, char algorithm)
{
    return (kf_key_block_header){.version = version,
                                 .usage = "E0",
                                 .algorithm = algorithm,
                                 .mode = 'X',
                                 .key_version = "00",
                                 .exportability = 'E',
                                 .reserved = "00"};
}

static kf_code unwrap_text(const kf_secret *protection_key, const char *text, kf_error *error)
{
    kf_key_block_header header = {0};
    kf_secret *key = NULL;
    kf_code code = kf_key_block_unwrap(protection_key, kf_view_of_text(text), &header, &key, error);
    if (code != KF_OK) assert_null(key);
    kf_key_block_header_clear(&header);
    kf_secret_free(&key);
    return code;
}

static void comes_back(char version, char algorithm, size_t protection_size, size_t key_size)
{
    kf_secret *protection_key = random_key(protection_size);
    kf_secret *key = random_key(key_size);
    kf_key_block_header header = plain_header(version, algorithm);
    kf_key_block_header back = {0};
    kf_secret *unwrapped = NULL;
    kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_key_block_add_optional(&header, "KC", "0012AB34"), KF_OK);
    assert_int_equal(kf_key_block_add_optional(&header, "10", "category=cn-north-basic"), KF_OK);
    assert_int_equal(kf_key_block_wrap(protection_key, &header, key, 0, &text, NULL), KF_OK);
    kf_view whole = kf_buffer_view(&text);
    assert_int_equal(kf_key_block_unwrap(protection_key, whole, &back, &unwrapped, NULL), KF_OK);
    assert_true(kf_secret_equal(key, unwrapped));
    assert_int_equal(back.version, version);
    assert_string_equal(back.usage, "E0");
    assert_int_equal(back.algorithm, algorithm);
    assert_int_equal(back.mode, 'X');
    assert_string_equal(back.key_version, "00");
    assert_int_equal(back.exportability, 'E');
    assert_int_equal(back.optional_count, 2);
    assert_string_equal(kf_key_block_optional(&back, "KC"), "0012AB34");
    assert_string_equal(kf_key_block_optional(&back, "10"), "category=cn-north-basic");
    assert_null(kf_key_block_optional(&back, "PB"));
    kf_buffer_clear(&text);
    kf_key_block_header_clear(&header);
    kf_key_block_header_clear(&back);
    kf_secret_free(&unwrapped);
    kf_secret_free(&key);
    kf_secret_free(&protection_key);
}

static void what_is_wrapped_comes_back_in_every_version(void **state)
{
    (void)state;
    static const size_t aes[] = {16, 24, 32};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            comes_back('D', 'A', aes[i], aes[j]);
            comes_back('E', 'A', aes[i], aes[j]);
        }
        comes_back('D', 'T', aes[i], 16);
        comes_back('D', 'S', aes[i], 300);
        comes_back('D', 'D', aes[i], 8);
    }
    for (size_t i = 0; i < 2; i++) {
        comes_back('B', 'T', aes[i], 16);
        comes_back('C', 'T', aes[i], 8);
        comes_back('B', 'A', aes[i], 16);
        comes_back('C', 'T', aes[i], 24);
        comes_back('C', 'H', aes[i], 20);
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    static const char versions[] = "BCDE";
    for (const char *version = versions; *version != '\0'; version++) {
        kf_secret *protection_key = random_key(16);
        kf_secret *key = random_key(16);
        kf_key_block_header header = plain_header(*version, 'T');
        kf_buffer text = KF_BUFFER_INIT;
        assert_int_equal(kf_key_block_add_optional(&header, "KC", "0012AB34"), KF_OK);
        assert_int_equal(kf_key_block_wrap(protection_key, &header, key, 0, &text, NULL), KF_OK);
        for (size_t bit = 0; bit < 8 * text.size; bit++) {
            kf_key_block_header back = {0};
            kf_secret *unwrapped = NULL;
            text.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            kf_code code =
                kf_key_block_unwrap(protection_key, kf_buffer_view(&text), &back, &unwrapped, NULL);
            assert_true(code == KF_ERR_KEY_BLOCK || code == KF_ERR_AUTHENTICATION);
            assert_null(unwrapped);
            assert_int_equal(back.optional_count, 0);
            text.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        for (size_t size = 0; size < text.size; size++) {
            kf_error error = {0};
            kf_key_block_header back = {0};
            kf_secret *unwrapped = NULL;
            kf_view part = kf_view_of(text.data, size);
            assert_int_equal(kf_key_block_unwrap(protection_key, part, &back, &unwrapped, &error),
                             KF_ERR_KEY_BLOCK);
            assert_string_not_equal(error.message, "");
        }
        kf_buffer_clear(&text);
        kf_key_block_header_clear(&header);
        kf_secret_free(&key);
        kf_secret_free(&protection_key);
    }
}

static void another_protection_key_does_not_open(void **state)
{
    (void)state;
    kf_secret *right = random_key(32);
    kf_secret *wrong = random_key(32);
    kf_secret *odd = random_key(20);
    kf_secret *key = random_key(16);
    kf_key_block_header header = plain_header('D', 'A');
    kf_buffer text = KF_BUFFER_INIT;
    kf_error error = {0};
    assert_int_equal(kf_key_block_wrap(right, &header, key, 0, &text, &error), KF_OK);
    assert_int_equal(unwrap_text(wrong, kf_buffer_text(&text), &error), KF_ERR_AUTHENTICATION);
    assert_non_null(strstr(error.message, "compare their check values"));
    assert_int_equal(unwrap_text(odd, kf_buffer_text(&text), &error), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_key_block_wrap(odd, &header, key, 0, &text, &error), KF_ERR_KEY_SIZE);
    kf_buffer_clear(&text);
    kf_secret_free(&right);
    kf_secret_free(&wrong);
    kf_secret_free(&odd);
    kf_secret_free(&key);
}

static size_t wrapped_size(char algorithm, size_t key_size, size_t masked_size)
{
    kf_secret *protection_key = random_key(32);
    kf_secret *key = random_key(key_size);
    kf_key_block_header header = plain_header('D', algorithm);
    kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_key_block_wrap(protection_key, &header, key, masked_size, &text, NULL), KF_OK);
    size_t size = text.size;
    kf_buffer_clear(&text);
    kf_secret_free(&key);
    kf_secret_free(&protection_key);
    return size;
}

static void masking_hides_the_size_of_the_key(void **state)
{
    (void)state;
    assert_int_equal(wrapped_size('A', 16, 0), 144);
    assert_int_equal(wrapped_size('A', 32, 0), 144);
    assert_int_equal(wrapped_size('A', 16, 16), 112);
    assert_int_equal(wrapped_size('T', 16, 0), 112);
    assert_int_equal(wrapped_size('T', 16, 24), 112);
    assert_int_equal(wrapped_size('H', 20, 0), 112);
    assert_int_equal(wrapped_size('H', 20, 64), 208);
}

static void a_padding_block_makes_the_header_whole_blocks(void **state)
{
    (void)state;
    kf_secret *protection_key = random_key(16);
    kf_secret *key = random_key(16);
    for (size_t size = 0; size <= 40; size++) {
        kf_key_block_header header = plain_header('D', 'A');
        kf_key_block_header back = {0};
        size_t header_size = 0;
        kf_buffer text = KF_BUFFER_INIT;
        char data[48];
        memset(data, 'x', sizeof data);
        data[size] = '\0';
        assert_int_equal(kf_key_block_add_optional(&header, "LB", data), KF_OK);
        assert_int_equal(kf_key_block_wrap(protection_key, &header, key, 0, &text, NULL), KF_OK);
        assert_int_equal(kf_key_block_header_read(kf_buffer_view(&text), &back, &header_size, NULL), KF_OK);
        assert_int_equal(header_size % 16, 0);
        assert_string_equal(kf_key_block_optional(&back, "LB"), data);
        kf_buffer_clear(&text);
        kf_key_block_header_clear(&header);
        kf_key_block_header_clear(&back);
    }
    kf_secret_free(&protection_key);
    kf_secret_free(&key);
}

static void a_long_optional_block_has_an_extended_length(void **state)
{
    (void)state;
    static const size_t sizes[] = {251, 252, 1000, KF_KEY_BLOCK_OPTIONAL_SIZE};
    static char data[KF_KEY_BLOCK_OPTIONAL_SIZE + 2];
    kf_secret *protection_key = random_key(32);
    kf_secret *key = random_key(32);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        kf_key_block_header header = plain_header('D', 'A');
        kf_key_block_header back = {0};
        kf_secret *unwrapped = NULL;
        kf_buffer text = KF_BUFFER_INIT;
        memset(data, 'y', sizes[i]);
        data[sizes[i]] = '\0';
        assert_int_equal(kf_key_block_add_optional(&header, "CT", data), KF_OK);
        assert_int_equal(kf_key_block_wrap(protection_key, &header, key, 0, &text, NULL), KF_OK);
        assert_int_equal(memcmp(text.data + 18, "0004", 4) == 0, sizes[i] > 251);
        assert_int_equal(kf_key_block_unwrap(protection_key, kf_buffer_view(&text), &back, &unwrapped, NULL),
                         KF_OK);
        assert_string_equal(kf_key_block_optional(&back, "CT"), data);
        kf_buffer_clear(&text);
        kf_key_block_header_clear(&header);
        kf_key_block_header_clear(&back);
        kf_secret_free(&unwrapped);
    }
    kf_secret_free(&protection_key);
    kf_secret_free(&key);
}

static void an_optional_block_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static char data[KF_KEY_BLOCK_OPTIONAL_SIZE + 2];
    kf_key_block_header header = plain_header('D', 'A');
    memset(data, 'z', sizeof data - 1);
    assert_int_equal(kf_key_block_add_optional(&header, "LB", data), KF_ERR_TOO_LONG);
    assert_int_equal(kf_key_block_add_optional(&header, "PB", "0"), KF_ERR_KEY_BLOCK);
    assert_int_equal(kf_key_block_add_optional(&header, "L", "0"), KF_ERR_KEY_BLOCK);
    assert_int_equal(kf_key_block_add_optional(&header, "LBL", "0"), KF_ERR_KEY_BLOCK);
    assert_int_equal(kf_key_block_add_optional(&header, "lb", "0"), KF_ERR_KEY_BLOCK);
    assert_int_equal(kf_key_block_add_optional(&header, "LB", "a\nb"), KF_ERR_KEY_BLOCK);
    assert_int_equal(kf_key_block_add_optional(&header, "LB", "\xC3\xA9"), KF_ERR_KEY_BLOCK);
    assert_int_equal(header.optional_count, 0);
    for (size_t i = 0; i < KF_KEY_BLOCK_OPTIONAL_MAX; i++)
        assert_int_equal(kf_key_block_add_optional(&header, "LB", ""), KF_OK);
    assert_int_equal(kf_key_block_add_optional(&header, "LB", ""), KF_ERR_TOO_LONG);
    kf_key_block_header_clear(&header);
    assert_int_equal(header.optional_count, 0);
}

static void a_header_that_cannot_be_is_not_written(void **state)
{
    (void)state;
    kf_secret *protection_key = random_key(16);
    kf_secret *key = random_key(16);
    kf_key_block_header headers[9];
    for (size_t i = 0; i < 9; i++)
        headers[i] = plain_header('D', 'A');
    headers[0].version = 'F';
    headers[1].usage[1] = 'e';
    headers[2].algorithm = ' ';
    headers[3].mode = '\0';
    headers[4].key_version[0] = '?';
    headers[5].exportability = 'X';
    headers[6].reserved[0] = '3';
    headers[7].reserved[1] = '1';
    headers[8].usage[1] = '\0';
    for (size_t i = 0; i < 9; i++) {
        kf_buffer text = KF_BUFFER_INIT;
        kf_error error = {0};
        assert_int_equal(kf_key_block_wrap(protection_key, &headers[i], key, 0, &text, &error),
                         KF_ERR_KEY_BLOCK);
        assert_string_not_equal(error.message, "");
        assert_int_equal(text.size, 0);
        kf_buffer_clear(&text);
    }
    kf_secret_free(&protection_key);
    kf_secret_free(&key);
}

static void a_key_that_does_not_fit_is_not_wrapped(void **state)
{
    (void)state;
    kf_secret *protection_key = random_key(16);
    kf_secret *key = random_key(20);
    kf_buffer text = KF_BUFFER_INIT;
    kf_error error = {0};
    kf_key_block_header old = plain_header('A', 'T');
    kf_key_block_header aes = plain_header('D', 'A');
    kf_key_block_header hmac = plain_header('D', 'H');
    assert_int_equal(kf_key_block_wrap(protection_key, &aes, key, 0, &text, &error), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_key_block_wrap(protection_key, &old, key, 0, &text, &error), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_key_block_wrap(protection_key, &hmac, key, 19, &text, &error), KF_ERR_ARGUMENT);
    assert_int_equal(kf_key_block_wrap(protection_key, &hmac, key, KF_SECRET_MAX_SIZE + 1, &text, &error),
                     KF_ERR_TOO_LONG);
    static char data[KF_KEY_BLOCK_OPTIONAL_SIZE + 1];
    memset(data, 'x', sizeof data - 1);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(kf_key_block_add_optional(&hmac, "LB", data), KF_OK);
    assert_int_equal(kf_key_block_wrap(protection_key, &hmac, key, 0, &text, &error), KF_ERR_TOO_LONG);
    assert_int_equal(text.size, 0);
    kf_key_block_header_clear(&hmac);
    kf_secret_free(&protection_key);
    kf_secret_free(&key);
}

/* Behind each header stand 32 bytes of key field and 16 of MAC. */
static void malformed_headers_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "D0112E0AX00E0100",                     /* an optional block is announced: the digits are none */
        "D0113E0AX00E0000",                     /* length */
        "D01a2E0AX00E0000",                     /* length not decimal */
        "D0112E0AX00E0x00",                     /* count not decimal */
        "Z0112E0AX00E0000",                     /* version */
        "D0112e0AX00E0000",                     /* usage */
        "D0112E0AX00Q0000",                     /* exportability */
        "D0112E0AX00E0001",                     /* reserved */
        "D0128E0AX00E0100LB1xAAAAAAAAAAAA",     /* length of the optional block not hexadecimal */
        "D0128E0AX00E0100LB10AAAAAAA\tAAAA",    /* not printable */
        "D0128E0AX00E0100LB03AAAAAAAAAAAA",     /* shorter than its own frame */
        "D0128E0AX00E0100LB0000AAAAAAAAAA",     /* extended length without digits */
        "D0128E0AX00E0100LB000911111111110000", /* too many digits */
        "D0128E0AX00E0100LB0002F0AAAAAAAA",     /* longer than the block */
        "D0128E0AX00E0100LB000207AAAAAAAA",     /* extended, shorter than its frame */
        "D0128E0AX00E0200PB08AAAALB08AAAA",     /* padding that is not last */
        "D0128E0AX00E0100L$10AAAAAAAAAAAA",     /* identifier */
        "D0128E0AX00E0300LB08AAAALB08AAAA",     /* one block too few */
    };
    kf_secret *protection_key = random_key(16);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        kf_error error = {0};
        char text[256];
        snprintf(text, sizeof text, "%s%.*d", headers[i], 96, 0);
        assert_int_equal(unwrap_text(protection_key, text, &error), KF_ERR_KEY_BLOCK);
        assert_non_null(strstr(error.message, "key block"));
    }
    kf_secret_free(&protection_key);
}

static void the_caps_hold_when_reading(void **state)
{
    (void)state;
    kf_secret *protection_key = random_key(16);
    kf_buffer text = KF_BUFFER_INIT;
    kf_error error = {0};
    /* one optional block of one character more than allowed: 10 + 2049 = 080B, then PB to whole blocks */
    kf_buffer_append_text(&text, "D2192E0AX00E0200LB0004080B");
    kf_buffer_append_fill(&text, 'x', KF_KEY_BLOCK_OPTIONAL_SIZE + 1);
    kf_buffer_append_text(&text, "PB150000000000000000000");
    kf_buffer_append_fill(&text, '0', 2192 - text.size);
    assert_int_equal(unwrap_text(protection_key, kf_buffer_text(&text), &error), KF_ERR_KEY_BLOCK);
    assert_non_null(strstr(error.message, "2048"));
    kf_buffer_truncate(&text, 0);
    kf_buffer_format(&text, "D%04dE0AX00E%02d00", 16 + 36 * 4 + 96, KF_KEY_BLOCK_OPTIONAL_MAX + 4);
    for (size_t i = 0; i < KF_KEY_BLOCK_OPTIONAL_MAX + 4; i++)
        kf_buffer_append_text(&text, "LB04");
    kf_buffer_append_fill(&text, '0', 96);
    assert_int_equal(unwrap_text(protection_key, kf_buffer_text(&text), &error), KF_ERR_KEY_BLOCK);
    assert_non_null(strstr(error.message, "one too many"));
    kf_buffer_truncate(&text, 0);
    kf_buffer_append_text(&text, "D9999E0AX00E0000");
    kf_buffer_append_fill(&text, '0', KF_KEY_BLOCK_TEXT_MAX + 1 - 16);
    assert_int_equal(unwrap_text(protection_key, kf_buffer_text(&text), &error), KF_ERR_KEY_BLOCK);
    assert_non_null(strstr(error.message, "at most"));
    kf_buffer_clear(&text);
    kf_secret_free(&protection_key);
}

/* A block that authenticates, made with a key field of one's own. */
static kf_code unwrap_field(kf_view field, kf_error *error)
{
    kf_secret *protection_key = random_key(32);
    kf_key_block_header header = plain_header('D', 'A');
    kf_buffer header_text = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    const kf_key_block_format *format = kf_key_block_format_of('D');
    assert_int_equal(kf_key_block_header_write(&header, 2 * (field.size + 16), &header_text, NULL), KF_OK);
    assert_int_equal(kf_key_block_protect(format, protection_key, kf_buffer_view(&header_text), field, &text),
                     KF_OK);
    kf_code code = unwrap_text(protection_key, kf_buffer_text(&text), error);
    kf_buffer_clear(&header_text);
    kf_buffer_clear(&text);
    kf_secret_free(&protection_key);
    return code;
}

static void a_key_length_that_does_not_fit_is_refused_though_authentic(void **state)
{
    (void)state;
    static const uint16_t wrong[] = {0, 127, 129, 8, 136, 248, 0xFFF8};
    kf_error error = {0};
    uint8_t field[32] = {0x00, 0x80};
    assert_int_equal(unwrap_field(KF_VIEW(field), &error), KF_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        field[0] = (uint8_t)(wrong[i] >> 8);
        field[1] = (uint8_t)wrong[i];
        assert_int_equal(unwrap_field(KF_VIEW(field), &error), KF_ERR_KEY_BLOCK);
    }
    assert_int_equal(unwrap_field(kf_view_of(NULL, 0), &error), KF_ERR_KEY_BLOCK);
}

static void parts_refuse_what_is_not_whole_units(void **state)
{
    (void)state;
    kf_secret *protection_key = random_key(16);
    const kf_key_block_format *format = kf_key_block_format_of('D');
    kf_view header = kf_view_of_text("D0112E0AX00E0000");
    const uint8_t field[32] = {0};
    kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_key_block_protect(format, protection_key, header, kf_view_of(field, 31), &text),
                     KF_ERR_ARGUMENT);
    assert_int_equal(
        kf_key_block_protect(format, protection_key, kf_view_part(header, 0, 15), KF_VIEW(field), &text),
        KF_ERR_ARGUMENT);
    assert_int_equal(kf_key_block_unprotect(format, protection_key, header, kf_view_of_text("00"), &text),
                     KF_ERR_KEY_BLOCK);
    assert_int_equal(text.size, 0);
    kf_secret_free(&protection_key);
}

/* ISO 20038:2017 B.2: without masking version E is deterministic. */
static void version_e_is_that_of_the_standard(void **state)
{
    (void)state;
    static const char block[] =
        "E0084B0TV16N0000B2AE5E26BBA7F246E84D5EA24167E208A6B66EF2E27E55A52DB52F0AEACB94C57547";
    kf_secret *protection_key = NULL;
    kf_secret *key = NULL;
    kf_key_block_header header = {0};
    kf_buffer text = KF_BUFFER_INIT;
    kf_view words = kf_view_of_text("256-bit AES wrapping (ISO 20038)");
    assert_int_equal(kf_secret_new(words, &protection_key), KF_OK);
    assert_int_equal(kf_key_block_unwrap(protection_key, kf_view_of_text(block), &header, &key, NULL), KF_OK);
    assert_int_equal(kf_secret_size(key), 16);
    assert_memory_equal(kf_secret_expose(key).data, "wrapped 3DES key", 16);
    assert_int_equal(kf_key_block_wrap(protection_key, &header, key, 16, &text, NULL), KF_OK);
    assert_string_equal(kf_buffer_text(&text), block);
    kf_buffer_clear(&text);
    kf_key_block_header_clear(&header);
    kf_secret_free(&key);
    kf_secret_free(&protection_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrapped_comes_back_in_every_version),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(another_protection_key_does_not_open),
        cmocka_unit_test(masking_hides_the_size_of_the_key),
        cmocka_unit_test(a_padding_block_makes_the_header_whole_blocks),
        cmocka_unit_test(a_long_optional_block_has_an_extended_length),
        cmocka_unit_test(an_optional_block_that_cannot_be_is_refused),
        cmocka_unit_test(a_header_that_cannot_be_is_not_written),
        cmocka_unit_test(a_key_that_does_not_fit_is_not_wrapped),
        cmocka_unit_test(malformed_headers_are_refused_with_a_reason),
        cmocka_unit_test(the_caps_hold_when_reading),
        cmocka_unit_test(a_key_length_that_does_not_fit_is_refused_though_authentic),
        cmocka_unit_test(parts_refuse_what_is_not_whole_units),
        cmocka_unit_test(version_e_is_that_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
