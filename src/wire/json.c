#include "wire/json.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/secret.h>

/* jansson does not tell sizes; the allocator does. */
static void wipe_and_free(void *memory)
{
    if (memory == NULL) return;
    kf_wipe(memory, malloc_usable_size(memory));
    free(memory);
}

void kf_json_wipe_memory(void)
{
    json_set_alloc_funcs(malloc, wipe_and_free);
}

kf_code kf_json_parse(kf_view text, json_t **ret_object, kf_error *error)
{
    json_error_t reason;
    json_t *json = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &reason);
    if (json == NULL) {
        /* Without the quotation behind it: what stood there may be a PIN. */
        char *quotation = strstr(reason.text, " near ");
        if (quotation != NULL) *quotation = '\0';
        return kf_fail(error, KF_ERR_JSON, "malformed JSON at line %d, column %d: %s", reason.line,
                       reason.column, reason.text);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return kf_fail(error, KF_ERR_JSON, "the JSON text is not an object, at line 1, column 1");
    }
    *ret_object = json;
    return KF_OK;
}

static int append_part(const char *part, size_t size, void *buffer)
{
    kf_buffer_append_bytes(buffer, part, size);
    return kf_buffer_status(buffer) == KF_OK ? 0 : -1;
}

kf_code kf_json_write(const json_t *json, kf_buffer *text)
{
    size_t before = text->size;
    if (json_dump_callback(json, append_part, text, JSON_COMPACT) == 0) return KF_OK;
    kf_code code = kf_buffer_status(text);
    kf_buffer_truncate(text, before);
    return code != KF_OK ? code : KF_ERR_MALFORMED;
}

void kf_json_free(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

kf_code kf_json_only(const json_t *object, const char *const *members, kf_error *error)
{
    union {
        const json_t *in;
        json_t *out;
    } walked = {.in = object};
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(walked.out, name, value)
    {
        size_t i = 0;
        while (members[i] != NULL && strcmp(members[i], name) != 0)
            i++;
        if (members[i] == NULL)
            return kf_fail(error, KF_ERR_FIELD, "member \"%.80s\" is not known here; remove it", name);
    }
    return KF_OK;
}

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: break;
    }
    return "null";
}

static kf_code wrong_kind(const char *member, const char *expected, const json_t *value, kf_error *error)
{
    return kf_fail(error, KF_ERR_FIELD, "member \"%s\" is %s; expected %s", member, kind_of(value), expected);
}

static kf_code need(const json_t *object, const char *member, const char *expected, kf_error *error)
{
    if (json_object_get(object, member) != NULL) return KF_OK;
    return kf_fail(error, KF_ERR_FIELD, "member \"%s\" is missing; expected %s", member, expected);
}

kf_code kf_json_text_optional(const json_t *object, const char *member, size_t limit, const char **ret_text,
                              kf_error *error)
{
    const json_t *value = json_object_get(object, member);
    if (value == NULL) return KF_OK;
    if (!json_is_string(value)) return wrong_kind(member, "a string", value, error);
    size_t length = json_string_length(value);
    if (length == 0 || length > limit)
        return kf_fail(error, KF_ERR_FIELD, "member \"%s\" has %zu bytes; expected 1 to %zu", member, length,
                       limit);
    const char *text = json_string_value(value);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7F)
            return kf_fail(error, KF_ERR_FIELD, "member \"%s\" holds a control character at byte %zu", member,
                           i);
    *ret_text = text;
    return KF_OK;
}

kf_code kf_json_text(const json_t *object, const char *member, size_t limit, const char **ret_text,
                     kf_error *error)
{
    KF_TRY(need(object, member, "a string", error));
    return kf_json_text_optional(object, member, limit, ret_text, error);
}

kf_code kf_json_integer_optional(const json_t *object, const char *member, kf_json_range range,
                                 int64_t *ret_value, kf_error *error)
{
    const json_t *value = json_object_get(object, member);
    if (value == NULL) return KF_OK;
    if (!json_is_integer(value)) return wrong_kind(member, "an integer", value, error);
    int64_t number = json_integer_value(value);
    if (number < range.least || number > range.most)
        return kf_fail(error, KF_ERR_FIELD, "member \"%s\" is %lld; expected %lld to %lld", member,
                       (long long)number, (long long)range.least, (long long)range.most);
    *ret_value = number;
    return KF_OK;
}

kf_code kf_json_integer(const json_t *object, const char *member, kf_json_range range, int64_t *ret_value,
                        kf_error *error)
{
    KF_TRY(need(object, member, "an integer", error));
    return kf_json_integer_optional(object, member, range, ret_value, error);
}

kf_code kf_json_boolean_optional(const json_t *object, const char *member, bool *ret_value, kf_error *error)
{
    const json_t *value = json_object_get(object, member);
    if (value == NULL) return KF_OK;
    if (!json_is_boolean(value)) return wrong_kind(member, "true or false", value, error);
    *ret_value = json_is_true(value);
    return KF_OK;
}

kf_code kf_json_boolean(const json_t *object, const char *member, bool *ret_value, kf_error *error)
{
    KF_TRY(need(object, member, "true or false", error));
    return kf_json_boolean_optional(object, member, ret_value, error);
}

typedef kf_code (*text_decoder)(const char *text, kf_buffer *buffer);

typedef struct text_encoding {
    const char *expected;
    size_t digits; /* that `bytes` bytes need at most */
    size_t bytes;
    text_decoder decode;
} text_encoding;

static const text_encoding hexadecimal = {"hexadecimal digits, two a byte", 2, 1, kf_hex_decode_append};
static const text_encoding base64url = {"base64url without padding", 4, 3, kf_base64url_decode_append};

/* The text's length is checked before anything is decoded. The value is not shown: it may be a secret's
 * cover. */
static kf_code decode_text(const json_t *value, const char *member, const text_encoding *encoding,
                           size_t limit, kf_buffer *bytes, kf_error *error)
{
    if (!json_is_string(value)) return wrong_kind(member, encoding->expected, value, error);
    size_t length = json_string_length(value);
    size_t most = (limit + encoding->bytes - 1) / encoding->bytes * encoding->digits;
    if (length == 0 || length > most)
        return kf_fail(error, KF_ERR_FIELD, "member \"%s\" has %zu characters; expected %s, 1 to %zu bytes",
                       member, length, encoding->expected, limit);
    size_t before = bytes->size;
    kf_code code = encoding->decode(json_string_value(value), bytes);
    if (code == KF_ERR_MEMORY) return kf_fail_plain(error, code);
    if (code == KF_OK && bytes->size - before > limit) {
        kf_buffer_truncate(bytes, before);
        code = KF_ERR_FIELD;
    }
    if (code == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_FIELD, "member \"%s\" (%zu characters) is not %s, 1 to %zu bytes", member,
                   length, encoding->expected, limit);
}

kf_code kf_json_hex_optional(const json_t *object, const char *member, size_t limit, kf_buffer *bytes,
                             kf_error *error)
{
    const json_t *value = json_object_get(object, member);
    return value == NULL ? KF_OK : decode_text(value, member, &hexadecimal, limit, bytes, error);
}

kf_code kf_json_hex(const json_t *object, const char *member, size_t limit, kf_buffer *bytes, kf_error *error)
{
    KF_TRY(need(object, member, hexadecimal.expected, error));
    return kf_json_hex_optional(object, member, limit, bytes, error);
}

kf_code kf_json_base64url_optional(const json_t *object, const char *member, size_t limit, kf_buffer *bytes,
                                   kf_error *error)
{
    const json_t *value = json_object_get(object, member);
    return value == NULL ? KF_OK : decode_text(value, member, &base64url, limit, bytes, error);
}

kf_code kf_json_base64url(const json_t *object, const char *member, size_t limit, kf_buffer *bytes,
                          kf_error *error)
{
    KF_TRY(need(object, member, base64url.expected, error));
    return kf_json_base64url_optional(object, member, limit, bytes, error);
}

kf_code kf_json_hex_exactly(const json_t *object, const char *member, size_t size, void *ret_bytes,
                            kf_error *error)
{
    KF_TRY(need(object, member, hexadecimal.expected, error));
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value)) return wrong_kind(member, hexadecimal.expected, value, error);
    if (kf_hex_decode(json_string_value(value), ret_bytes, size) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_FIELD, "member \"%s\" (%zu characters) is not %zu hexadecimal digits",
                   member, json_string_length(value), 2 * size);
}

kf_code kf_json_object_optional(const json_t *object, const char *member, json_t **ret_object,
                                kf_error *error)
{
    json_t *value = json_object_get(object, member);
    if (value == NULL) return KF_OK;
    if (!json_is_object(value)) return wrong_kind(member, "an object", value, error);
    *ret_object = value;
    return KF_OK;
}

kf_code kf_json_object(const json_t *object, const char *member, json_t **ret_object, kf_error *error)
{
    KF_TRY(need(object, member, "an object", error));
    return kf_json_object_optional(object, member, ret_object, error);
}

kf_code kf_json_array_optional(const json_t *object, const char *member, size_t limit, json_t **ret_array,
                               kf_error *error)
{
    json_t *value = json_object_get(object, member);
    if (value == NULL) return KF_OK;
    if (!json_is_array(value)) return wrong_kind(member, "an array", value, error);
    if (json_array_size(value) > limit)
        return kf_fail(error, KF_ERR_FIELD, "member \"%s\" has %zu items; at most %zu are allowed", member,
                       json_array_size(value), limit);
    *ret_array = value;
    return KF_OK;
}

kf_code kf_json_array(const json_t *object, const char *member, size_t limit, json_t **ret_array,
                      kf_error *error)
{
    KF_TRY(need(object, member, "an array", error));
    return kf_json_array_optional(object, member, limit, ret_array, error);
}

kf_code kf_json_set(json_t *object, const char *member, json_t *value)
{
    if (value == NULL) return KF_ERR_MEMORY;
    return json_object_set_new(object, member, value) == 0 ? KF_OK : KF_ERR_MEMORY;
}

kf_code kf_json_append(json_t *array, json_t *value)
{
    if (value == NULL) return KF_ERR_MEMORY;
    return json_array_append_new(array, value) == 0 ? KF_OK : KF_ERR_MEMORY;
}

kf_code kf_json_set_text(json_t *object, const char *member, const char *text)
{
    if (text == NULL) return KF_OK;
    /* json_string gives NULL for both; only text that is not UTF-8 is the data's fault. */
    json_t *value = json_string(text);
    return value == NULL ? KF_ERR_MALFORMED : kf_json_set(object, member, value);
}

kf_code kf_json_set_integer(json_t *object, const char *member, int64_t value)
{
    return kf_json_set(object, member, json_integer(value));
}

kf_code kf_json_set_boolean(json_t *object, const char *member, bool value)
{
    return kf_json_set(object, member, json_boolean(value));
}

static kf_code set_buffer(json_t *object, const char *member, kf_buffer *text)
{
    if (kf_buffer_text(text) == NULL) return KF_ERR_MEMORY;
    return kf_json_set(object, member, json_stringn_nocheck((const char *)text->data, text->size));
}

kf_code kf_json_set_hex(json_t *object, const char *member, kf_view bytes)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append_hex(&text, bytes);
    return set_buffer(object, member, &text);
}

kf_code kf_json_set_base64url(json_t *object, const char *member, kf_view bytes)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append_base64url(&text, bytes);
    return set_buffer(object, member, &text);
}
