#include <stdlib.h>
#include <string.h>

#include "crypto/diversify_plan.h"

#include <keyfill/hex.h>

#define SHOWN 60 /* characters of the line in a message */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_character(uint8_t c, bool first)
{
    if (c >= 'a' && c <= 'z') return true;
    return !first && (is_digit(c) || c == '-' || c == '_' || c == '.');
}

static bool view_is(kf_view view, const char *text)
{
    return kf_view_equal(view, kf_view_of_text(text));
}

static int shown_length(kf_view word)
{
    return (int)(word.size < SHOWN ? word.size : SHOWN);
}

/* "diversification: PROBLEM: WORD" */
static kf_code refuse(kf_error *error, const char *problem, kf_view word)
{
    return kf_fail(error, KF_ERR_DIVERSIFICATION, "diversification line: %s: \"%.*s\"", problem,
                   shown_length(word), word.size > 0 ? (const char *)word.data : "");
}

/* Takes what stands before the first of `stops`, which stays. */
static kf_view take_word(kf_cursor *line, const char *stops)
{
    size_t size = 0;
    while (size < line->rest.size && strchr(stops, line->rest.data[size]) == NULL)
        size++;
    kf_view word = kf_view_part(line->rest, 0, size);
    line->rest = kf_view_part(line->rest, size, line->rest.size);
    return word;
}

static bool take_text(kf_cursor *line, const char *text)
{
    size_t size = strlen(text);
    if (!kf_view_starts_with(line->rest, kf_view_of_text(text))) return false;
    line->rest = kf_view_part(line->rest, size, line->rest.size);
    return true;
}

static bool read_size(kf_view word, size_t *ret_size)
{
    size_t size = 0;
    if (word.size == 0 || word.size > 3 || word.data[0] == '0') return false;
    for (size_t i = 0; i < word.size; i++) {
        if (!is_digit(word.data[i])) return false;
        size = size * 10 + (size_t)(word.data[i] - '0');
    }
    if (size > KF_DIVERSIFICATION_SIZE_MAX) return false;
    *ret_size = size;
    return true;
}

/* "left-F" or "right-00": one digit or two. */
static bool read_pad(kf_view word, kf_field_plan *plan)
{
    bool left = kf_view_starts_with(word, kf_view_of_text("left-"));
    if (!left && !kf_view_starts_with(word, kf_view_of_text("right-"))) return false;
    kf_view digits = kf_view_part(word, left ? strlen("left-") : strlen("right-"), word.size);
    char text[3] = "00";
    if (digits.size < 1 || digits.size > 2) return false;
    memcpy(text + 2 - digits.size, digits.data, digits.size);
    if (kf_hex_decode(text, &plan->pad_value, 1) != KF_OK) return false;
    plan->pad = left ? KF_SIDE_LEFT : KF_SIDE_RIGHT;
    plan->pad_digits = digits.size;
    return true;
}

static bool read_encoding(kf_view word, kf_field_encoding *ret_encoding)
{
    static const char *const names[] = {"ascii", "bcd", "hex", "binary"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!view_is(word, names[i])) continue;
        *ret_encoding = (kf_field_encoding)i;
        return true;
    }
    return false;
}

static kf_code read_option(kf_view word, kf_field_plan *plan, bool *encoding_given, kf_error *error)
{
    kf_field_plan before = *plan;
    if (read_encoding(word, &plan->encoding)) {
        if (*encoding_given) return refuse(error, "a second encoding", word);
        *encoding_given = true;
        return KF_OK;
    }
    if (read_size(word, &plan->size)) return before.size == 0 ? KF_OK : refuse(error, "a second size", word);
    if (read_pad(word, plan))
        return before.pad == KF_SIDE_NONE ? KF_OK : refuse(error, "a second padding", word);
    if (!view_is(word, "last") && !view_is(word, "first"))
        return refuse(
            error,
            "no such option (ascii, bcd, hex, binary, a size from 1 to 255, left-XX, right-XX, last, first)",
            word);
    if (before.keep != KF_SIDE_NONE) return refuse(error, "a second \"last\" or \"first\"", word);
    plan->keep = view_is(word, "last") ? KF_SIDE_RIGHT : KF_SIDE_LEFT;
    return KF_OK;
}

static kf_code check_options(const kf_field_plan *plan, kf_error *error)
{
    kf_view name = kf_view_of_text(plan->name);
    bool byte_pad = plan->pad != KF_SIDE_NONE && plan->pad_digits == 2;
    bool digit_pad = plan->pad != KF_SIDE_NONE && plan->pad_digits == 1;
    if (plan->encoding == KF_ENCODING_BINARY && plan->pad != KF_SIDE_NONE)
        return refuse(error, "binary is filled with zeros on the left by its size and takes no padding",
                      name);
    if (plan->encoding == KF_ENCODING_ASCII && digit_pad)
        return refuse(error, "ascii is padded with a byte: two digits", name);
    if (plan->encoding == KF_ENCODING_BCD && byte_pad)
        return refuse(error, "bcd is padded with a digit: one, not two", name);
    if (byte_pad && plan->size == 0) return refuse(error, "padding with bytes needs a size", name);
    if (plan->keep != KF_SIDE_NONE && plan->size == 0)
        return refuse(error, "\"last\" and \"first\" need a size", name);
    return KF_OK;
}

static kf_code read_constant(kf_cursor *line, kf_field_plan *plan, kf_error *error)
{
    kf_view word = take_word(line, "'");
    if (!take_text(line, "'")) return refuse(error, "a constant without its second quote", word);
    plan->kind = KF_FIELD_CONSTANT;
    plan->constant_size = word.size / 2;
    if (word.size == 0 || plan->constant_size > sizeof plan->constant)
        return refuse(error, "a constant is 1 to 64 bytes", word);
    KF_CLEANUP(kf_free_pointer) char *digits = kf_text_of_view(word);
    if (digits == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (kf_hex_decode(digits, plan->constant, plan->constant_size) != KF_OK)
        return refuse(error, "a constant is an even number of hexadecimal digits", word);
    return KF_OK;
}

static kf_code read_name(kf_view word, kf_field_plan *plan, kf_error *error)
{
    if (word.size == 0)
        return kf_fail(error, KF_ERR_DIVERSIFICATION, "diversification line: a field is empty");
    if (word.size > KF_DIVERSIFICATION_NAME_MAX) return refuse(error, "a field's name is too long", word);
    for (size_t i = 0; i < word.size; i++)
        if (!is_name_character(word.data[i], i == 0)) return refuse(error, "not a field's name", word);
    memcpy(plan->name, word.data, word.size);
    plan->kind = view_is(word, "role") ? KF_FIELD_ROLE : KF_FIELD_NAMED;
    return KF_OK;
}

static kf_code read_field(kf_cursor *line, kf_field_plan *plan, kf_error *error)
{
    if (take_text(line, "'")) return read_constant(line, plan, error);
    KF_TRY(read_name(take_word(line, "/,()> "), plan, error));
    bool encoding_given = false;
    while (take_text(line, "/")) {
        kf_view word = take_word(line, "/,()> ");
        if (plan->kind == KF_FIELD_ROLE) return refuse(error, "role takes no options", word);
        KF_TRY(read_option(word, plan, &encoding_given, error));
    }
    return check_options(plan, error);
}

static kf_code check_level(const kf_level_plan *level, kf_view method, kf_error *error)
{
    size_t open = 0;
    for (size_t i = 0; i < level->field_count; i++)
        if (level->fields[i].kind == KF_FIELD_NAMED && level->fields[i].size == 0) open++;
    if (open > 1)
        return refuse(
            error,
            "more than one field without a size: the inputs of two cards could become one; give all but one "
            "a size",
            method);
    if (level->method->derive == NULL && level->field_count > 0)
        return refuse(error, "takes no fields", method);
    if (level->method->derive != NULL && level->field_count == 0)
        return refuse(error, "needs a field", method);
    return KF_OK;
}

static kf_code read_level(kf_cursor *line, kf_level_plan *level, kf_error *error)
{
    kf_view name = take_word(line, "(), >/");
    level->method = kf_diversification_method_find(name);
    if (level->method == NULL) return refuse(error, "no such method", name);
    if (!take_text(line, "(")) return refuse(error, "\"(\" is missing behind the method", name);
    if (take_text(line, ")")) return check_level(level, name, error);
    for (;;) {
        if (level->field_count == KF_DIVERSIFICATION_FIELDS_MAX)
            return refuse(error, "more than 16 fields in one level", name);
        KF_TRY(read_field(line, &level->fields[level->field_count++], error));
        if (take_text(line, ")")) return check_level(level, name, error);
        if (!take_text(line, ",")) return refuse(error, "\",\" or \")\" is missing before", line->rest);
    }
}

static kf_code read_line(kf_cursor *line, kf_diversification *plan, kf_error *error)
{
    do {
        if (plan->level_count == KF_DIVERSIFICATION_LEVELS_MAX)
            return refuse(error, "more than 4 levels", line->rest);
        KF_TRY(read_level(line, &plan->levels[plan->level_count++], error));
    } while (take_text(line, " > "));
    if (!kf_cursor_at_end(line))
        return refuse(error, "\" > \" and a level, or the end, is missing before", line->rest);
    for (size_t i = 0; plan->level_count > 1 && i < plan->level_count; i++)
        if (plan->levels[i].method->derive == NULL)
            return refuse(error, "stands alone in its line", kf_view_of_text(plan->levels[i].method->name));
    return KF_OK;
}

kf_code kf_diversification_parse(const char *line, kf_diversification **ret_diversification, kf_error *error)
{
    kf_view text = kf_view_of_text(line);
    if (text.size > KF_DIVERSIFICATION_TEXT_MAX)
        return kf_fail(error, KF_ERR_DIVERSIFICATION,
                       "diversification line: %zu characters; at most %d are possible", text.size,
                       KF_DIVERSIFICATION_TEXT_MAX);
    kf_diversification *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_cursor cursor = kf_cursor_of(text);
    kf_code code = read_line(&cursor, plan, error);
    if (code != KF_OK) {
        kf_diversification_free(&plan);
        return code;
    }
    *ret_diversification = plan;
    return KF_OK;
}
