/* Bytes written as hex in tests. */
#ifndef KEYFILL_TESTS_UNIT_CARD_HEX_BYTES_H
#define KEYFILL_TESTS_UNIT_CARD_HEX_BYTES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <keyfill/hex.h>

/* The caller clears it. */
static inline kf_buffer bytes_of(const char *digits)
{
    kf_buffer bytes = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(digits, &bytes), KF_OK);
    return bytes;
}

#define BYTES(name, digits) KF_CLEANUP(kf_buffer_clear) kf_buffer name = bytes_of(digits)
#define EMPTY(name) KF_CLEANUP(kf_buffer_clear) kf_buffer name = KF_BUFFER_INIT

static inline void assert_bytes(kf_view actual, const char *digits)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append_hex(&text, actual);
    assert_string_equal(actual.size == 0 ? "" : kf_buffer_text(&text), digits);
}

static inline kf_secret *secret_of(const char *digits)
{
    kf_secret *secret = NULL;
    assert_int_equal(kf_hex_decode_secret(digits, &secret), KF_OK);
    return secret;
}

#define SECRET(name, digits) KF_CLEANUP(kf_secret_free) kf_secret *name = secret_of(digits)

#endif
