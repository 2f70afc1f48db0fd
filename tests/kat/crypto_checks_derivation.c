/* Checkers of key derivation and diversification. */
#include "crypto_checks.h"

#include <string.h>

#include <keyfill/kdf.h>

static bool read_counter_form(const json_t *entry, kat_report *report, kf_buffer *fixed,
                              kf_kdf_counter *ret_form)
{
    const char *location = kat_need_text(report, entry, "counter_location");
    kf_kdf_counter form = {KF_COUNTER_BEFORE_FIXED, (unsigned)kat_need_number(report, entry, "counter_bits"),
                           0};
    if (strcmp(location, "MIDDLE_FIXED") == 0) {
        form.location = KF_COUNTER_MIDDLE_FIXED;
        if (!kat_need_hex(report, entry, "data_before_counter", fixed)) return false;
        form.middle_offset = fixed->size;
        if (!kat_need_hex(report, entry, "data_after_counter", fixed)) return false;
    } else {
        if (strcmp(location, "AFTER_FIXED") == 0) form.location = KF_COUNTER_AFTER_FIXED;
        if (!kat_need_hex(report, entry, "fixed_input", fixed)) return false;
    }
    *ret_form = form;
    return true;
}

void kat_check_counter_mode(const json_t *entry, kat_report *report)
{
    const char *prf = kat_need_text(report, entry, "prf");
    kf_algorithm algorithm = strncmp(prf, "CMAC_TDES", 9) == 0 ? KF_TDES : KF_AES;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = kat_need_cipher(report, entry, "key", algorithm);
    KF_CLEANUP(kf_buffer_clear) kf_buffer fixed = KF_BUFFER_INIT;
    kf_kdf_counter form;
    if (cipher == NULL || !read_counter_form(entry, report, &fixed, &form)) return;
    long long bits = kat_need_number(report, entry, "length_bits");
    uint8_t output[512];
    if (bits <= 0 || bits % 8 != 0 || (size_t)bits / 8 > sizeof output) {
        kat_fault(report, "length_bits %lld is not whole bytes up to %zu", bits, sizeof output);
        return;
    }
    size_t size = (size_t)bits / 8;
    kf_code code = kf_kdf_counter_mode(cipher, form, kf_buffer_view(&fixed), output, size);
    if (kat_ok(report, code, "kf_kdf_counter_mode"))
        kat_expect_hex(report, entry, "ko", kf_view_of(output, size));
}
