/* Checkers of key derivation and diversification. */
#include "crypto_checks.h"

#include <string.h>

#include <keyfill/diversify.h>
#include <keyfill/kcv.h>
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
        if (strcmp(location, "AFTER_FIXED") == 0)
            form.location = KF_COUNTER_AFTER_FIXED;
        else if (strcmp(location, "BEFORE_FIXED") != 0)
            kat_fault(report, "unknown location of the counter: %s", location);
        if (!kat_need_hex(report, entry, "fixed_input", fixed)) return false;
    }
    *ret_form = form;
    return true;
}

void kat_check_counter_mode(const json_t *entry, kat_report *report)
{
    const char *prf = kat_need_text(report, entry, "prf");
    kf_algorithm algorithm = strstr(prf, "TDES") != NULL  ? KF_TDES
                             : strstr(prf, "SM4") != NULL ? KF_SM4
                                                          : KF_AES;
    if (strncmp(prf, "CMAC", 4) != 0) kat_fault(report, "unknown pseudo-random function: %s", prf);
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

/* The key that `line` gives from `base_key`, or NULL after a fault. */
static kf_secret *diversify(kat_report *report, const char *line, kf_algorithm algorithm,
                            const kf_secret *base_key, kf_field field, kf_key_role role)
{
    kf_diversification *plan = NULL;
    kf_secret *key = NULL;
    kf_error error = {0};
    if (kf_diversification_parse(line, &plan, &error) != KF_OK ||
        kf_diversify(plan, algorithm, base_key, (kf_fields){&field, 1}, role, &key, &error) != KF_OK)
        kat_fault(report, "%s: %s", line, kf_error_text(&error));
    kf_diversification_free(&plan);
    return key;
}

typedef struct an10922_kind {
    const char *algorithm;
    kf_algorithm base;
    const char *line;
} an10922_kind;

static const an10922_kind an10922_kinds[] = {
    {"AES-128", KF_AES, "an10922-aes128(data/hex)"}, {"AES-192", KF_AES, "an10922-aes192(data/hex)"},
    {"AES-256", KF_AES, "an10922-aes256(data/hex)"}, {"2TDEA", KF_TDES, "an10922-2tdea(data/hex)"},
    {"3TDEA", KF_TDES, "an10922-3tdea(data/hex)"},
};

static void check_without_parity(const json_t *entry, kat_report *report, const kf_secret *key)
{
    const json_t *value = kat_expected(report, entry, "diversified_key");
    uint8_t wanted[24];
    uint8_t actual[24];
    size_t size = kf_secret_size(key);
    if (value == NULL || size > sizeof actual) return;
    const char *text = json_string_value(value) != NULL ? json_string_value(value) : "";
    if (!kat_ok(report, kf_hex_decode(text, wanted, size), "expected.diversified_key")) return;
    for (size_t i = 0; i < size; i++) {
        wanted[i] &= 0xFE;
        actual[i] = kf_secret_expose(key).data[i] & 0xFE;
    }
    kat_compare(report, "diversified_key without parity", kf_view_of(wanted, size), kf_view_of(actual, size));
}

void kat_check_an10922(const json_t *entry, kat_report *report)
{
    const char *name = kat_need_text(report, entry, "algorithm");
    const an10922_kind *kind = NULL;
    for (size_t i = 0; i < sizeof an10922_kinds / sizeof an10922_kinds[0]; i++)
        if (strcmp(an10922_kinds[i].algorithm, name) == 0) kind = &an10922_kinds[i];
    KF_CLEANUP(kf_secret_free) kf_secret *base_key = kat_need_secret(report, entry, "master_key");
    if (kind == NULL || base_key == NULL) {
        kat_fault(report, "unknown algorithm: %s", name);
        return;
    }
    kf_field field = {"data", kat_need_text(report, entry, "div_input")};
    KF_CLEANUP(kf_secret_free)
    kf_secret *key = diversify(report, kind->line, kind->base, base_key, field, KF_ROLE_SINGLE);
    if (key == NULL) return;
    kat_expect_hex(report, entry, "raw_cmac_output", kf_secret_expose(key));
    /* Published 3DES keys may have their parity set, which AN10922 leaves to the user. */
    if (kind->base == KF_TDES)
        check_without_parity(entry, report, key);
    else
        kat_expect_hex(report, entry, "diversified_key", kf_secret_expose(key));
}

/* The three keys of a set, each with its check value. */
static void check_key_set(const json_t *entry, kat_report *report, const char *line, kf_algorithm algorithm)
{
    static const struct {
        kf_key_role role;
        const char *key_member;
        const char *kcv_member;
    } keys[] = {{KF_ROLE_ENC, "key_enc", "kcv_enc"},
                {KF_ROLE_MAC, "key_mac", "kcv_mac"},
                {KF_ROLE_DEK, "key_dek", "kcv_dek"}};
    KF_CLEANUP(kf_secret_free) kf_secret *base_key = kat_need_secret(report, entry, "master_key");
    kf_field field = {"kdd", kat_need_text(report, entry, "kdd")};
    for (size_t i = 0; base_key != NULL && i < sizeof keys / sizeof keys[0]; i++) {
        KF_CLEANUP(kf_secret_free)
        kf_secret *key = diversify(report, line, algorithm, base_key, field, keys[i].role);
        if (key == NULL) return;
        kat_expect_hex(report, entry, keys[i].key_member, kf_secret_expose(key));
        kf_kcv kcv;
        if (kat_ok(report, kf_kcv_compute(algorithm, key, KF_KCV_GLOBALPLATFORM, &kcv), "kf_kcv_compute"))
            kat_expect_text(report, entry, keys[i].kcv_member, kf_kcv_show(kcv).text);
    }
}

void kat_check_gp_des(const json_t *entry, kat_report *report)
{
    const char *method = kat_need_text(report, entry, "method");
    if (strcmp(method, "emv") == 0)
        check_key_set(entry, report, "emv-cps(kdd/hex/10,role)", KF_TDES);
    else if (strcmp(method, "visa2") == 0)
        check_key_set(entry, report, "visa2(kdd/hex/10,role)", KF_TDES);
    else
        kat_fault(report, "unknown method: %s", method);
}

void kat_check_gp_kdf3(const json_t *entry, kat_report *report)
{
    const char *method = kat_text_or(entry, "method", "kdf3");
    if (strcmp(method, "kdf3") != 0) kat_fault(report, "unknown method: %s", method);
    check_key_set(entry, report, "kdf3(kdd/hex/10,role)", KF_AES);
}

/* `factor`, or `factors` for two levels of which `level1` is the first result. */
static void check_pboc(const json_t *entry, kat_report *report, const char *method, kf_algorithm algorithm)
{
    KF_CLEANUP(kf_secret_free) kf_secret *key = kat_need_secret(report, entry, "master_key");
    KF_CLEANUP(kf_buffer_clear) kf_buffer line = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer chain = KF_BUFFER_INIT;
    if (key == NULL) return;
    KF_CLEANUP(kf_secret_free) kf_secret *base_key = NULL;
    if (!kat_ok(report, kf_secret_copy(key, &base_key), "kf_secret_copy")) return;
    kf_buffer_format(&line, "%s(factor/hex/8)", method);
    const json_t *factors = kat_member(entry, "factors");
    size_t levels = json_is_array(factors) ? json_array_size(factors) : 1;
    for (size_t i = 0; i < levels; i++) {
        const char *factor = json_is_array(factors) ? json_string_value(json_array_get(factors, i))
                                                    : kat_need_text(report, entry, "factor");
        kf_secret *next = diversify(report, kf_buffer_text(&line), algorithm, key,
                                    (kf_field){"factor", factor}, KF_ROLE_SINGLE);
        if (next == NULL) return;
        kf_secret_free(&key);
        key = next;
        static const char *const results[] = {"level1", "level2", "level3"};
        if (i < sizeof results / sizeof results[0] && levels > 1)
            kat_expect_hex(report, entry, results[i], kf_secret_expose(key));
        kf_buffer_format(&chain, "%s%s('%s')", i > 0 ? " > " : "", method, factor);
    }
    kat_expect_hex(report, entry, "sub_key", kf_secret_expose(key));
    KF_CLEANUP(kf_secret_free)
    kf_secret *chained =
        diversify(report, kf_buffer_text(&chain), algorithm, base_key, (kf_field){"", ""}, KF_ROLE_SINGLE);
    if (chained != NULL) kat_expect_hex(report, entry, "sub_key", kf_secret_expose(chained));
}

void kat_check_pboc_des(const json_t *entry, kat_report *report)
{
    check_pboc(entry, report, "pboc-3des", KF_TDES);
}

void kat_check_pboc_sm4(const json_t *entry, kat_report *report)
{
    check_pboc(entry, report, "pboc-sm4", KF_SM4);
}
