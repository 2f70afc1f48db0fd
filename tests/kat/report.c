#include "kat.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void kat_fault(kat_report *report, const char *format, ...)
{
    report->faults++;
    printf("  %s/%s: ", report->family, report->name);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

bool kat_ok(kat_report *report, kf_code code, const char *call)
{
    if (code == KF_OK) return true;
    kat_fault(report, "%s: %s (%s)", call, kf_code_name(code), kf_code_meaning(code));
    return false;
}

bool kat_has(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    return value != NULL && !json_is_null(value);
}

const char *kat_need_text(kat_report *report, const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    if (text != NULL) return text;
    kat_fault(report, "the input \"%s\" is missing or no text", member);
    return "";
}

bool kat_need_hex(kat_report *report, const json_t *object, const char *member, kf_buffer *bytes)
{
    unsigned before = report->faults;
    const char *text = kat_need_text(report, object, member);
    if (report->faults != before) return false;
    kf_code code = kf_hex_decode_append(text, bytes);
    if (code == KF_OK) return true;
    kat_fault(report, "the input \"%s\" is not hexadecimal: %s", member, text);
    return false;
}

kf_secret *kat_need_secret(kat_report *report, const json_t *object, const char *member)
{
    kf_secret *secret = NULL;
    unsigned before = report->faults;
    const char *text = kat_need_text(report, object, member);
    if (report->faults != before) return NULL;
    kat_ok(report, kf_hex_decode_secret(text, &secret), member);
    return secret;
}

long long kat_need_number(kat_report *report, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    if (json_is_integer(value)) return json_integer_value(value);
    kat_fault(report, "the input \"%s\" is missing or no number", member);
    return 0;
}

const char *kat_text_or(const json_t *object, const char *member, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text != NULL ? text : otherwise;
}

long long kat_number_or(const json_t *object, const char *member, long long otherwise)
{
    const json_t *value = json_object_get(object, member);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool kat_flag_or(const json_t *object, const char *member, bool otherwise)
{
    const json_t *value = json_object_get(object, member);
    return json_is_boolean(value) ? json_boolean_value(value) : otherwise;
}

const json_t *kat_expected(kat_report *report, const json_t *entry, const char *member)
{
    if (report->compared_count < KAT_COMPARED_MAX) report->compared[report->compared_count++] = member;
    const json_t *value = json_object_get(json_object_get(entry, "expected"), member);
    return json_is_null(value) ? NULL : value;
}

void kat_compared(kat_report *report)
{
    report->comparisons++;
}

void kat_compare(kat_report *report, const char *what, kf_view wanted, kf_view actual)
{
    kat_compared(report);
    if (kf_view_equal(wanted, actual)) return;
    kat_fault(report, "%s: expected %s, got %s", what, kf_hex_show(wanted).text, kf_hex_show(actual).text);
}

static void expect_hex(kat_report *report, const json_t *entry, const char *member, kf_view actual,
                       bool prefix)
{
    const json_t *value = kat_expected(report, entry, member);
    if (value == NULL) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer wanted = KF_BUFFER_INIT;
    const char *text = json_string_value(value);
    if (text == NULL || kf_hex_decode_append(text, &wanted) != KF_OK) {
        kat_fault(report, "expected.%s is not hexadecimal", member);
        return;
    }
    if (prefix && wanted.size > 0) actual = kf_view_part(actual, 0, wanted.size);
    kat_compare(report, member, kf_buffer_view(&wanted), actual);
}

void kat_expect_hex(kat_report *report, const json_t *entry, const char *member, kf_view actual)
{
    expect_hex(report, entry, member, actual, false);
}

void kat_expect_hex_prefix(kat_report *report, const json_t *entry, const char *member, kf_view actual)
{
    expect_hex(report, entry, member, actual, true);
}

void kat_expect_text(kat_report *report, const json_t *entry, const char *member, const char *actual)
{
    const json_t *value = kat_expected(report, entry, member);
    if (value == NULL) return;
    kat_compared(report);
    const char *wanted = json_string_value(value);
    if (wanted == NULL || strcmp(wanted, actual) != 0)
        kat_fault(report, "%s: expected %s, got %s", member,
                  wanted != NULL ? wanted : "something else than text", actual);
}

void kat_expect_number(kat_report *report, const json_t *entry, const char *member, long long actual)
{
    const json_t *value = kat_expected(report, entry, member);
    if (value == NULL) return;
    kat_compared(report);
    if (!json_is_integer(value))
        kat_fault(report, "expected.%s is no number", member);
    else if (json_integer_value(value) != actual)
        kat_fault(report, "%s: expected %lld, got %lld", member, (long long)json_integer_value(value),
                  actual);
}

void kat_expect_flag(kat_report *report, const json_t *entry, const char *member, bool actual)
{
    const json_t *value = kat_expected(report, entry, member);
    if (value == NULL) return;
    kat_compared(report);
    if (!json_is_boolean(value))
        kat_fault(report, "expected.%s is neither true nor false", member);
    else if (json_boolean_value(value) != actual)
        kat_fault(report, "%s: expected %s", member, actual ? "false, got true" : "true, got false");
}
