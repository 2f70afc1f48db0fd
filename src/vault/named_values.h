/* A few named texts: personalisation data, and what of a card enters the derivation of its key. */
#ifndef KEYFILL_VAULT_NAMED_VALUES_H
#define KEYFILL_VAULT_NAMED_VALUES_H

#include <keyfill/bytes.h>
#include <keyfill/diversify.h>

#define KF_NAMED_VALUES_MAX 16
#define KF_VALUE_NAME_SIZE 33  /* with its zero: a-z, 0-9, _ */
#define KF_VALUE_TEXT_SIZE 257 /* with its zero */

typedef struct kf_named_value {
    char name[KF_VALUE_NAME_SIZE];
    char value[KF_VALUE_TEXT_SIZE];
} kf_named_value;

typedef struct kf_named_values {
    size_t count;
    kf_named_value items[KF_NAMED_VALUES_MAX];
} kf_named_values;

/* 1 to 32 of a-z, 0-9 and _. */
bool kf_value_name_is_valid(const char *name);
/* The value, or NULL. */
const char *kf_named_values_get(const kf_named_values *values, const char *name);
/* Adds or replaces. KF_ERR_FIELD names what is too long, malformed or too many. */
kf_code kf_named_values_set(kf_named_values *values, const char *name, const char *value,
                            kf_error *error) KF_MUST_USE;
/* Writes views of the values to `items` (room for KF_NAMED_VALUES_MAX); valid as long as `values`. */
kf_fields kf_named_values_fields(const kf_named_values *values, kf_field *items);

void kf_named_values_encode(const kf_named_values *values, kf_buffer *bytes);
kf_code kf_named_values_decode(kf_cursor *bytes, kf_named_values *ret_values) KF_MUST_USE;

/* Copies with a check: KF_ERR_TOO_LONG where it does not fit. */
kf_code kf_text_copy(char *ret_text, size_t text_size, const char *text) KF_MUST_USE;

#endif
