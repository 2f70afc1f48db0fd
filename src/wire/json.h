/* Strict JSON: every member is asked for by name, kind and cap; what is wrong is said with the member's name.
 *
 * Each getter gives KF_ERR_FIELD. A member that is null counts as of the wrong kind, not as absent. The plain
 * getters need the member; the …_optional ones leave `ret_…` untouched where it is absent.
 */
#ifndef KEYFILL_WIRE_JSON_H
#define KEYFILL_WIRE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include <keyfill/bytes.h>

/* From now on memory of JSON values is wiped when it is given back: what a person typed may be a PIN. For the
 * beginning of a program, before any other call of this header. */
void kf_json_wipe_memory(void);

/* The root is an object, no member twice, nothing behind the end. KF_ERR_JSON with line and column. The
 * caller frees. */
kf_code kf_json_parse(kf_view text, json_t **ret_object, kf_error *error) KF_MUST_USE;
/* Appends compact JSON, members in their order of insertion. */
kf_code kf_json_write(const json_t *json, kf_buffer *text) KF_MUST_USE;
/* Fits KF_CLEANUP; sets NULL. */
void kf_json_free(json_t **json);

/* Members of `object` that are not in `members` (ended by NULL) are refused. */
kf_code kf_json_only(const json_t *object, const char *const *members, kf_error *error) KF_MUST_USE;

/* 1 to `limit` bytes of text (0 bytes: ""is refused), without control characters. Owned by `object`. */
kf_code kf_json_text(const json_t *object, const char *member, size_t limit, const char **ret_text,
                     kf_error *error) KF_MUST_USE;
kf_code kf_json_text_optional(const json_t *object, const char *member, size_t limit, const char **ret_text,
                              kf_error *error) KF_MUST_USE;

typedef struct kf_json_range {
    int64_t least;
    int64_t most;
} kf_json_range;

kf_code kf_json_integer(const json_t *object, const char *member, kf_json_range range, int64_t *ret_value,
                        kf_error *error) KF_MUST_USE;
kf_code kf_json_integer_optional(const json_t *object, const char *member, kf_json_range range,
                                 int64_t *ret_value, kf_error *error) KF_MUST_USE;

kf_code kf_json_boolean(const json_t *object, const char *member, bool *ret_value,
                        kf_error *error) KF_MUST_USE;
kf_code kf_json_boolean_optional(const json_t *object, const char *member, bool *ret_value,
                                 kf_error *error) KF_MUST_USE;

/* Appends the bytes (1 to `limit`) of a member in hexadecimal or base64url. */
kf_code kf_json_hex(const json_t *object, const char *member, size_t limit, kf_buffer *bytes,
                    kf_error *error) KF_MUST_USE;
kf_code kf_json_hex_optional(const json_t *object, const char *member, size_t limit, kf_buffer *bytes,
                             kf_error *error) KF_MUST_USE;
kf_code kf_json_base64url(const json_t *object, const char *member, size_t limit, kf_buffer *bytes,
                          kf_error *error) KF_MUST_USE;
kf_code kf_json_base64url_optional(const json_t *object, const char *member, size_t limit, kf_buffer *bytes,
                                   kf_error *error) KF_MUST_USE;
/* Exactly `size` bytes in hexadecimal. */
kf_code kf_json_hex_exactly(const json_t *object, const char *member, size_t size, void *ret_bytes,
                            kf_error *error) KF_MUST_USE;

/* Borrowed from `object`. */
kf_code kf_json_object(const json_t *object, const char *member, json_t **ret_object,
                       kf_error *error) KF_MUST_USE;
kf_code kf_json_object_optional(const json_t *object, const char *member, json_t **ret_object,
                                kf_error *error) KF_MUST_USE;
/* At most `limit` items. */
kf_code kf_json_array(const json_t *object, const char *member, size_t limit, json_t **ret_array,
                      kf_error *error) KF_MUST_USE;
kf_code kf_json_array_optional(const json_t *object, const char *member, size_t limit, json_t **ret_array,
                               kf_error *error) KF_MUST_USE;

/* Setters. KF_ERR_MEMORY, KF_ERR_MALFORMED for text that is not UTF-8. `text` NULL sets nothing. */
kf_code kf_json_set_text(json_t *object, const char *member, const char *text) KF_MUST_USE;
kf_code kf_json_set_integer(json_t *object, const char *member, int64_t value) KF_MUST_USE;
kf_code kf_json_set_boolean(json_t *object, const char *member, bool value) KF_MUST_USE;
kf_code kf_json_set_hex(json_t *object, const char *member, kf_view bytes) KF_MUST_USE;
kf_code kf_json_set_base64url(json_t *object, const char *member, kf_view bytes) KF_MUST_USE;
/* Takes `value` over, also on failure; NULL gives KF_ERR_MEMORY. */
kf_code kf_json_set(json_t *object, const char *member, json_t *value) KF_MUST_USE;
kf_code kf_json_append(json_t *array, json_t *value) KF_MUST_USE;

#endif
