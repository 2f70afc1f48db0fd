/* Checkers of key blocks. */
#include "crypto_checks.h"

#include <string.h>

#include "crypto/key_block_parts.h"

static void check_keys(const json_t *entry, kat_report *report, const kf_key_block_format *format,
                       const kf_secret *protection_key)
{
    KF_CLEANUP(kf_key_block_keys_free) kf_key_block_keys keys = {NULL, NULL};
    kf_code code = kf_key_block_keys_derive(format, protection_key, &keys);
    if (!kat_ok(report, code, "kf_key_block_keys_derive")) return;
    kat_expect_hex(report, entry, "kbek", kf_secret_expose(keys.encryption));
    kat_expect_hex(report, entry, "kbak", kf_secret_expose(keys.mac));
}

/* "A/C": both versions derive alike. */
void kat_check_key_block_keys(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_secret_free) kf_secret *protection_key = kat_need_secret(report, entry, "kbpk");
    if (protection_key == NULL) return;
    for (const char *version = kat_need_text(report, entry, "version"); *version != '\0'; version++) {
        if (*version == '/') continue;
        const kf_key_block_format *format = kf_key_block_format_of(*version);
        if (format != NULL)
            check_keys(entry, report, format, protection_key);
        else
            kat_fault(report, "unknown version %c", *version);
    }
}

/* X9.143 6.3.6.5: AES keys by CMAC (5 bytes shown), others by encrypted zeros (3 bytes). */
static void check_kcv_of(const json_t *entry, kat_report *report, char algorithm, const kf_secret *key)
{
    if (kat_expected(report, entry, "kcv") == NULL) return;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    uint8_t block[KF_BLOCK_MAX] = {0};
    kf_algorithm kind = algorithm == 'A' ? KF_AES : kf_secret_size(key) == 8 ? KF_DES : KF_TDES;
    if (!kat_ok(report, kf_cipher_new_secret(kind, key, &cipher), "kcv")) return;
    kf_view input = kf_view_of(block, kf_cipher_block_size(cipher));
    kf_code code =
        algorithm == 'A' ? kf_cmac(cipher, input, block) : kf_cipher_encrypt_blocks(cipher, input, block);
    if (kat_ok(report, code, "kcv")) kat_expect_hex_prefix(report, entry, "kcv", input);
}

/* The key field and, from it, the same block again: the padding is taken from the block. */
static void check_protection(const json_t *entry, kat_report *report, const kf_key_block_format *format,
                             const kf_secret *protection_key)
{
    kf_view text = kf_view_of_text(kat_need_text(report, entry, "key_block"));
    KF_CLEANUP(kf_key_block_header_clear) kf_key_block_header header = {0};
    size_t header_size = 0;
    kf_code code = kf_key_block_header_read(text, &header, &header_size, NULL);
    if (!kat_ok(report, code, "kf_key_block_header_read")) return;
    kf_view header_text = kf_view_part(text, 0, header_size);
    kf_view rest = kf_view_part(text, header_size, text.size);
    KF_CLEANUP(kf_buffer_clear) kf_buffer field = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
    code = kf_key_block_unprotect(format, protection_key, header_text, rest, &field);
    if (!kat_ok(report, code, "kf_key_block_unprotect")) return;
    kat_expect_hex(report, entry, "plaintext_with_length_and_padding", kf_buffer_view(&field));
    code = kf_key_block_protect(format, protection_key, header_text, kf_buffer_view(&field), &again);
    if (kat_ok(report, code, "kf_key_block_protect"))
        kat_compare(report, "the block made again", text, kf_buffer_view(&again));

    KF_CLEANUP(kf_free_pointer) char *shown = kf_text_of_view(header_text);
    kat_expect_text(report, entry, "header", shown);
    KF_CLEANUP(kf_free_pointer)
    char *mac = kf_text_of_view(kf_view_part(text, text.size - 2 * format->mac_size, 2 * format->mac_size));
    kat_expect_text(report, entry, "mac", mac);
}

static void check_wrapped_again(kat_report *report, const kf_key_block_header *header, const kf_secret *key,
                                const kf_secret *protection_key)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_CLEANUP(kf_key_block_header_clear) kf_key_block_header again = {0};
    KF_CLEANUP(kf_secret_free) kf_secret *unwrapped = NULL;
    kf_code code = kf_key_block_wrap(protection_key, header, key, 0, &text, NULL);
    if (!kat_ok(report, code, "kf_key_block_wrap")) return;
    code = kf_key_block_unwrap(protection_key, kf_buffer_view(&text), &again, &unwrapped, NULL);
    if (!kat_ok(report, code, "kf_key_block_unwrap of our own")) return;
    kat_compare(report, "the key wrapped and unwrapped", kf_secret_expose(key), kf_secret_expose(unwrapped));
}

/* An `ok` or `..._ok` that is false: the block must be refused. */
static bool must_be_refused(const json_t *entry, kat_report *report)
{
    static const char *const names[] = {"ok", "mac_ok", "unwrap_ok", "verify_ok"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *value = kat_expected(report, entry, names[i]);
        if (value != NULL && json_is_false(value)) return true;
    }
    return false;
}

void kat_check_key_block(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_secret_free) kf_secret *protection_key = kat_need_secret(report, entry, "kbpk");
    const char *text = kat_need_text(report, entry, "key_block");
    if (protection_key == NULL) return;
    KF_CLEANUP(kf_key_block_header_clear) kf_key_block_header header = {0};
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    kf_error error = {0};
    kf_code code = kf_key_block_unwrap(protection_key, kf_view_of_text(text), &header, &key, &error);
    const char *version = kat_text_or(entry, "version", "");
    if (kat_expect_error(report, entry, code)) return;
    if (must_be_refused(entry, report)) {
        kat_compared(report);
        if (code == KF_OK) kat_fault(report, "the block was accepted; it must be refused");
        return;
    }
    if (code != KF_OK) {
        kat_fault(report, "kf_key_block_unwrap: %s", kf_error_text(&error));
        return;
    }
    kat_expect_hex(report, entry, "key", kf_secret_expose(key));
    if (version[0] != '\0' && version[0] != header.version)
        kat_fault(report, "the block is of version %c", header.version);
    const kf_key_block_format *format = kf_key_block_format_of(header.version);
    check_kcv_of(entry, report, header.algorithm, key);
    check_keys(entry, report, format, protection_key);
    check_protection(entry, report, format, protection_key);
    if (format->written) check_wrapped_again(report, &header, key, protection_key);
}
