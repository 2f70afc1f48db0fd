#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <keyfill/hex.h>

static void every_byte_goes_out_and_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t back[256];
    char text[513];
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(kf_hex_encode(KF_VIEW(bytes), text, sizeof text), KF_OK);
    assert_int_equal(strlen(text), 512);
    assert_int_equal(strspn(text, "0123456789ABCDEF"), 512);
    assert_memory_equal(text, "000102", 6);
    assert_int_equal(kf_hex_decode(text, back, sizeof back), KF_OK);
    assert_memory_equal(bytes, back, sizeof back);
}

static void lower_case_is_read_too(void **state)
{
    (void)state;
    uint8_t bytes[3];
    const uint8_t wanted[] = {0xAB, 0xCD, 0xEF};
    assert_int_equal(kf_hex_decode("aBcDef", bytes, 3), KF_OK);
    assert_memory_equal(bytes, wanted, 3);
}

static void each_other_character_is_refused(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 256; c++) {
        char text[3] = {'0', (char)c, '\0'};
        uint8_t byte = 0x5A;
        bool digit = strchr("0123456789ABCDEFabcdef", (int)c) != NULL;
        assert_int_equal(kf_hex_decode(text, &byte, 1), digit ? KF_OK : KF_ERR_HEX);
        if (!digit) assert_int_equal(byte, 0x5A);
    }
}

static void the_size_must_be_exact(void **state)
{
    (void)state;
    uint8_t bytes[2] = {0x5A, 0x5A};
    assert_int_equal(kf_hex_decode("000", bytes, 2), KF_ERR_HEX);
    assert_int_equal(kf_hex_decode("00000", bytes, 2), KF_ERR_HEX);
    assert_int_equal(kf_hex_decode("", bytes, 2), KF_ERR_HEX);
    assert_int_equal(kf_hex_decode("000000", bytes, 2), KF_ERR_HEX);
    assert_int_equal(bytes[0], 0x5A);
    assert_int_equal(kf_hex_decode("", bytes, 0), KF_OK);
    char text[4];
    assert_int_equal(kf_hex_encode(KF_VIEW(bytes), text, sizeof text), KF_ERR_ARGUMENT);
}

static void digits_are_appended_and_read_into_buffers(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x0F, 0xF0};
    kf_buffer text = KF_BUFFER_INIT;
    kf_buffer back = kf_buffer_with_limit(2);
    kf_buffer_append_text(&text, "x");
    kf_buffer_append_hex(&text, KF_VIEW(bytes));
    assert_string_equal(kf_buffer_text(&text), "x0FF0");
    assert_int_equal(kf_hex_decode_append("0", &back), KF_ERR_HEX);
    assert_int_equal(kf_hex_decode_append("0g", &back), KF_ERR_HEX);
    assert_int_equal(back.size, 0);
    assert_int_equal(kf_hex_decode_append("", &back), KF_OK);
    assert_int_equal(kf_hex_decode_append("0FF0", &back), KF_OK);
    assert_true(kf_view_equal(kf_buffer_view(&back), KF_VIEW(bytes)));
    assert_int_equal(kf_hex_decode_append("00", &back), KF_ERR_TOO_LONG);
    kf_buffer_clear(&text);
    kf_buffer_clear(&back);
}

static void a_secret_is_read_from_digits(void **state)
{
    (void)state;
    kf_secret *secret = NULL;
    static char digits[2 * KF_SECRET_MAX_SIZE + 3];
    memset(digits, 'a', sizeof digits - 1);
    assert_int_equal(kf_hex_decode_secret("", &secret), KF_ERR_HEX);
    assert_int_equal(kf_hex_decode_secret("0", &secret), KF_ERR_HEX);
    assert_int_equal(kf_hex_decode_secret("0x", &secret), KF_ERR_HEX);
    assert_int_equal(kf_hex_decode_secret(digits, &secret), KF_ERR_TOO_LONG);
    assert_null(secret);
    digits[sizeof digits - 3] = '\0';
    assert_int_equal(kf_hex_decode_secret(digits, &secret), KF_OK);
    assert_int_equal(kf_secret_size(secret), KF_SECRET_MAX_SIZE);
    assert_int_equal(kf_secret_expose(secret).data[KF_SECRET_MAX_SIZE - 1], 0xAA);
    kf_secret_free(&secret);
}

static void base64url_is_that_of_rfc_4648(void **state)
{
    (void)state;
    /* RFC 4648 10, without padding. */
    static const char *const rows[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xBF", "-_-_"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kf_buffer text = KF_BUFFER_INIT;
        kf_buffer back = KF_BUFFER_INIT;
        kf_buffer_append_base64url(&text, kf_view_of_text(rows[i][0]));
        assert_string_equal(kf_buffer_text(&text), rows[i][1]);
        assert_int_equal(kf_base64url_decode_append(rows[i][1], &back), KF_OK);
        assert_string_equal(kf_buffer_text(&back), rows[i][0]);
        kf_buffer_clear(&text);
        kf_buffer_clear(&back);
    }
}

static void every_byte_survives_base64url(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (size_t size = 250; size <= 256; size++) {
        kf_buffer text = KF_BUFFER_INIT;
        kf_buffer back = KF_BUFFER_INIT;
        kf_buffer_append_base64url(&text, kf_view_of(bytes, size));
        assert_int_equal(kf_base64url_decode_append(kf_buffer_text(&text), &back), KF_OK);
        assert_true(kf_view_equal(kf_buffer_view(&back), kf_view_of(bytes, size)));
        kf_buffer_clear(&text);
        kf_buffer_clear(&back);
    }
}

static void one_value_has_one_base64url_text(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "Z", "Zm9vY", "Zh", "Zm9", "Zg==", "Zm 8", "Zm+v", "Zm/v", "Zm9v\n", "Zm9vZh"};
    kf_buffer back = KF_BUFFER_INIT;
    kf_buffer_append_text(&back, "before");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(kf_base64url_decode_append(wrong[i], &back), KF_ERR_MALFORMED);
        assert_int_equal(back.size, strlen("before"));
    }
    kf_buffer_clear(&back);
}

static void long_bytes_are_shown_in_part(void **state)
{
    (void)state;
    uint8_t bytes[KF_HEX_SHOWN_BYTES + 1] = {0xAB};
    assert_string_equal(kf_hex_show(kf_view_of(bytes, 2)).text, "AB00");
    assert_string_equal(kf_hex_show(kf_view_of(NULL, 0)).text, "");
    assert_int_equal(strlen(kf_hex_show(kf_view_of(bytes, KF_HEX_SHOWN_BYTES)).text), 160);
    kf_hex_text shown = kf_hex_show(KF_VIEW(bytes));
    assert_string_equal(shown.text + 160, "…");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_goes_out_and_comes_back),
        cmocka_unit_test(lower_case_is_read_too),
        cmocka_unit_test(each_other_character_is_refused),
        cmocka_unit_test(the_size_must_be_exact),
        cmocka_unit_test(digits_are_appended_and_read_into_buffers),
        cmocka_unit_test(a_secret_is_read_from_digits),
        cmocka_unit_test(base64url_is_that_of_rfc_4648),
        cmocka_unit_test(every_byte_survives_base64url),
        cmocka_unit_test(one_value_has_one_base64url_text),
        cmocka_unit_test(long_bytes_are_shown_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
