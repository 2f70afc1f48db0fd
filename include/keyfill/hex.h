/* Hexadecimal and base64, constant time in the content so that keys may pass through. */
#ifndef KEYFILL_HEX_H
#define KEYFILL_HEX_H

#include <keyfill/secret.h>

/* Upper-case digits of `bytes`, 2 * bytes.size characters and a zero. KF_ERR_ARGUMENT where `ret_text_size`
 * is too small. */
kf_code kf_hex_encode(kf_view bytes, char *ret_text, size_t ret_text_size) KF_MUST_USE;
/* Appends the digits of `bytes`. */
void kf_buffer_append_hex(kf_buffer *buffer, kf_view bytes);
/* Exactly `size` bytes from 2 * size digits, upper or lower case, no spaces. KF_ERR_HEX otherwise, nothing
 * written. */
kf_code kf_hex_decode(const char *text, void *ret_bytes, size_t size) KF_MUST_USE;
/* Any even number of digits, appended to `buffer`; its limit holds. */
kf_code kf_hex_decode_append(const char *text, kf_buffer *buffer) KF_MUST_USE;
/* A key written as digits; 1 to KF_SECRET_MAX_SIZE bytes. */
kf_code kf_hex_decode_secret(const char *text, kf_secret **ret_secret) KF_MUST_USE;

/* Base64 for URLs without padding (RFC 4648 §5). */
void kf_buffer_append_base64url(kf_buffer *buffer, kf_view bytes);
/* Appends what the text encodes; the buffer's limit holds. KF_ERR_MALFORMED for other characters, padding,
 * and bits left over. */
kf_code kf_base64url_decode_append(const char *text, kf_buffer *buffer) KF_MUST_USE;

/* The digits of up to 80 bytes for a message, "…" behind them if there are more; used where a short text is
 * wanted inside kf_fail. */
#define KF_HEX_SHOWN_BYTES 80
typedef struct kf_hex_text {
    char text[2 * KF_HEX_SHOWN_BYTES + 4];
} kf_hex_text;
kf_hex_text kf_hex_show(kf_view bytes);

#endif
