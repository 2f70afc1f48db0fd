#include "vault/named_values.h"

#include <string.h>

#include "vault/protocol.h"

const char *kf_named_values_get(const kf_named_values *values, const char *name)
{
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->items[i].name, name) == 0) return values->items[i].value;
    return NULL;
}

bool kf_value_name_is_valid(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size < KF_VALUE_NAME_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

kf_code kf_named_values_set(kf_named_values *values, const char *name, const char *value, kf_error *error)
{
    if (!kf_value_name_is_valid(name))
        return kf_fail(error, KF_ERR_FIELD, "the field name \"%.40s\" is not 1 to 32 of a-z, 0-9 and _",
                       name);
    if (strlen(value) >= KF_VALUE_TEXT_SIZE)
        return kf_fail(error, KF_ERR_FIELD, "the value of %s has %zu bytes; at most %d are taken", name,
                       strlen(value), KF_VALUE_TEXT_SIZE - 1);
    kf_named_value *item = NULL;
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->items[i].name, name) == 0) item = &values->items[i];
    if (item == NULL) {
        if (values->count == KF_NAMED_VALUES_MAX)
            return kf_fail(error, KF_ERR_FIELD, "%s is one field too many: at most %d are taken", name,
                           KF_NAMED_VALUES_MAX);
        item = &values->items[values->count++];
    }
    KF_TRY(kf_text_copy(item->name, sizeof item->name, name));
    return kf_text_copy(item->value, sizeof item->value, value);
}

kf_fields kf_named_values_fields(const kf_named_values *values, kf_field *items)
{
    for (size_t i = 0; i < values->count; i++)
        items[i] = (kf_field){values->items[i].name, values->items[i].value};
    return (kf_fields){items, values->count};
}

void kf_named_values_encode(const kf_named_values *values, kf_buffer *bytes)
{
    kf_buffer_append_u8(bytes, (uint8_t)values->count);
    for (size_t i = 0; i < values->count; i++) {
        kf_message_put_text(bytes, values->items[i].name);
        kf_message_put_text(bytes, values->items[i].value);
    }
}

kf_code kf_named_values_decode(kf_cursor *bytes, kf_named_values *ret_values)
{
    kf_named_values values = {0};
    uint8_t count;
    KF_TRY(kf_cursor_u8(bytes, &count));
    if (count > KF_NAMED_VALUES_MAX) return KF_ERR_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        KF_TRY(kf_message_take_text(bytes, values.items[i].name, KF_VALUE_NAME_SIZE));
        KF_TRY(kf_message_take_text(bytes, values.items[i].value, KF_VALUE_TEXT_SIZE));
        if (!kf_value_name_is_valid(values.items[i].name)) return KF_ERR_MALFORMED;
    }
    values.count = count;
    *ret_values = values;
    return KF_OK;
}

kf_code kf_text_copy(char *ret_text, size_t text_size, const char *text)
{
    size_t size = strlen(text);
    if (size >= text_size) return KF_ERR_TOO_LONG;
    memset(ret_text, 0, text_size);
    memcpy(ret_text, text, size);
    return KF_OK;
}
