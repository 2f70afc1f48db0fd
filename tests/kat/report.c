#include "kat.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The accessors do not all get the report, but all note what they read. */
static kat_report *at_hand;

const json_t *kat_member(const json_t *object, const char *member)
{
    kat_report *report = at_hand;
    if (report != NULL && object == report->entry && report->read_count < KAT_READ_MAX)
        report->read[report->read_count++] = member;
    return json_object_get(object, member);
}

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
    const json_t *value = kat_member(object, member);
    return value != NULL && !json_is_null(value);
}

const char *kat_need_text(kat_report *report, const json_t *object, const char *member)
{
    const char *text = json_string_value(kat_member(object, member));
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
    const json_t *value = kat_member(object, member);
    if (json_is_integer(value)) return json_integer_value(value);
    kat_fault(report, "the input \"%s\" is missing or no number", member);
    return 0;
}

const char *kat_text_or(const json_t *object, const char *member, const char *otherwise)
{
    const char *text = json_string_value(kat_member(object, member));
    return text != NULL ? text : otherwise;
}

long long kat_number_or(const json_t *object, const char *member, long long otherwise)
{
    const json_t *value = kat_member(object, member);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool kat_flag_or(const json_t *object, const char *member, bool otherwise)
{
    const json_t *value = kat_member(object, member);
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

bool kat_expect_error(kat_report *report, const json_t *entry, kf_code code)
{
    const json_t *value = kat_expected(report, entry, "error");
    if (value == NULL || json_is_false(value)) return false;
    kat_compared(report);
    if (code == KF_OK) kat_fault(report, "accepted; it must be refused");
    return true;
}

void kat_agrees_hex(kat_report *report, const json_t *entry, const char *member, kf_view actual)
{
    if (!kat_has(entry, member)) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer stated = KF_BUFFER_INIT;
    if (kat_need_hex(report, entry, member, &stated))
        kat_compare(report, member, kf_buffer_view(&stated), actual);
}

/* Members that say something about an entry, and none of what is computed. */
static bool is_description(const char *member)
{
    static const char *const names[] = {
        "name",
        "source",
        "verified",
        "verified_by",
        "how",
        "notes",
        "note",
        "origin",
        "expected",
        "quirk",
        "expected_origin",
        "nonstandard",
        "id",
        "non_minimal",
        "comment",
        "comments",
        "remark",
        "policy_dependent",
        "description",
        "title",
        "url",
        "standard",
        "reference",
        "clause",
        "provenance",
        "published",
        "tags",
        "date",
        "license",
        "card",
        "trap",
        "caveat",
        "arithmetic_verified",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(names[i], member) == 0) return true;
    return false;
}

static bool is_among(const char *const *names, size_t count, const char *member)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], member) == 0) return true;
    return false;
}

/* Words, not data: a text with a blank in it. */
static bool is_prose(const json_t *value)
{
    const char *text = json_string_value(value);
    return text != NULL && strchr(text, ' ') != NULL;
}

/* expected.error, or an expected ..._ok that is false. */
static bool wants_refusal(const json_t *entry)
{
    json_t *expected = json_object_get(entry, "expected");
    const char *member = NULL;
    json_t *value = NULL;
    json_object_foreach(expected, member, value)
    {
        size_t length = strlen(member);
        bool verdict = strcmp(member, "ok") == 0 || (length > 3 && strcmp(member + length - 3, "_ok") == 0);
        if (verdict && json_is_false(value)) return true;
        if (strcmp(member, "error") == 0 && !json_is_null(value) && !json_is_false(value)) return true;
    }
    return false;
}

static void hold_uncompared(kat_report *report)
{
    json_t *expected = json_object_get(report->entry, "expected");
    const char *member = NULL;
    json_t *value = NULL;
    json_object_foreach(expected, member, value)
    {
        if (json_is_null(value) || is_description(member)) continue;
        if (!is_among(report->compared, report->compared_count, member) && !is_prose(value))
            kat_fault(report, "expected.%s is not compared", member);
    }
}

static void hold_unread(kat_report *report)
{
    const char *member = NULL;
    json_t *value = NULL;
    bool refused = wants_refusal(report->entry);
    json_object_foreach(report->entry, member, value)
    {
        if (json_is_null(value) || is_description(member)) continue;
        if (is_among(report->read, report->read_count, member)) continue;
        if (refused && !is_prose(value))
            kat_fault(report, "\"%s\" is not known here, so that the refusal proves nothing", member);
        else
            printf("  %s/%s: \"%s\" was not used\n", report->family, report->name, member);
    }
}

void kat_check(kat_checker check, json_t *entry, kat_report *report)
{
    report->entry = entry;
    report->name = kat_text_or(entry, "name", "(no name)");
    at_hand = report;
    check(entry, report);
    at_hand = NULL;
    if (report->comparisons == 0 && report->faults == 0) kat_fault(report, "nothing was compared");
    /* What stopped at a fault did not get to the rest. */
    if (report->faults > 0) return;
    hold_uncompared(report);
    hold_unread(report);
}
