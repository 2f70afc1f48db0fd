#include "wire/script_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/apdu.h>
#include <keyfill/hex.h>

#define STATUS_WORD_TEXT_SIZE 5

/* One digit buffer for all entries: a script may have two thousand. */
static kf_code set_digits(json_t *object, const char *member, kf_view bytes, char *digits, size_t digits_size)
{
    KF_TRY(kf_hex_encode(bytes, digits, digits_size));
    return kf_json_set(object, member, json_stringn_nocheck(digits, 2 * bytes.size));
}

static kf_code set_status_word(json_t *object, const char *member, uint16_t value)
{
    char text[STATUS_WORD_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%04X", value);
    return kf_json_set(object, member, json_string_nocheck(text));
}

static kf_code accept_to_json(const kf_script_accept *accept, json_t *array)
{
    json_t *object = json_object();
    KF_TRY(kf_json_append(array, object));
    KF_TRY(set_status_word(object, "sw", accept->status_word));
    if (accept->mask != UINT16_MAX) KF_TRY(set_status_word(object, "mask", accept->mask));
    if (accept->go_to == KF_SCRIPT_END) return kf_json_set_text(object, "goto", "end");
    if (accept->go_to != KF_SCRIPT_NEXT) return kf_json_set_integer(object, "goto", accept->go_to);
    return KF_OK;
}

static kf_code entry_to_json(const kf_script_entry *entry, json_t *array)
{
    char digits[2 * KF_SCRIPT_COMMAND_MAX + 1];
    json_t *object = json_object();
    KF_TRY(kf_json_append(array, object));
    KF_TRY(set_digits(object, "command", kf_view_of(entry->command, entry->command_size), digits,
                      sizeof digits));
    KF_TRY(kf_json_set_text(object, "label", entry->label));
    if (entry->secret) KF_TRY(kf_json_set_boolean(object, "secret", true));
    json_t *accepts = json_array();
    KF_TRY(kf_json_set(object, "accept", accepts));
    for (size_t i = 0; i < entry->accept_count; i++)
        KF_TRY(accept_to_json(&entry->accepts[i], accepts));
    return KF_OK;
}

kf_code kf_script_to_json(const kf_script *script, json_t *object)
{
    json_t *array = json_array();
    KF_TRY(kf_json_set(object, "script", array));
    for (size_t i = 0; i < script->count; i++)
        KF_TRY(entry_to_json(&script->entries[i], array));
    return KF_OK;
}

static kf_code status_word_of(const json_t *object, const char *member, uint16_t *ret_value, kf_error *error)
{
    uint8_t bytes[2];
    KF_TRY(kf_json_hex_exactly(object, member, sizeof bytes, bytes, error));
    *ret_value = (uint16_t)(bytes[0] << 8 | bytes[1]);
    return KF_OK;
}

static kf_code go_to_of(const json_t *object, uint16_t *ret_go_to, kf_error *error)
{
    const json_t *value = json_object_get(object, "goto");
    if (value == NULL) return KF_OK;
    if (json_is_string(value) && strcmp(json_string_value(value), "end") == 0) {
        *ret_go_to = KF_SCRIPT_END;
        return KF_OK;
    }
    if (json_is_string(value))
        return kf_fail(error, KF_ERR_FIELD,
                       "member \"goto\" is \"%.20s\"; expected a later entry's index or \"end\"",
                       json_string_value(value));
    int64_t index = 0;
    KF_TRY(kf_json_integer(object, "goto", (kf_json_range){0, KF_SCRIPT_ENTRIES_MAX - 1}, &index, error));
    *ret_go_to = (uint16_t)index;
    return KF_OK;
}

static kf_code accept_from_json(const json_t *object, kf_script_accept *ret_accept, kf_error *error)
{
    static const char *const members[] = {"sw", "mask", "goto", NULL};
    kf_script_accept accept = {.mask = UINT16_MAX, .go_to = KF_SCRIPT_NEXT};
    if (!json_is_object(object))
        return kf_fail(error, KF_ERR_FIELD, "an item of \"accept\" is not an object");
    KF_TRY(kf_json_only(object, members, error));
    KF_TRY(status_word_of(object, "sw", &accept.status_word, error));
    if (json_object_get(object, "mask") != NULL) KF_TRY(status_word_of(object, "mask", &accept.mask, error));
    KF_TRY(go_to_of(object, &accept.go_to, error));
    *ret_accept = accept;
    return KF_OK;
}

static kf_code entry_from_json(const json_t *object, kf_buffer *command, kf_script *script, kf_error *error)
{
    static const char *const members[] = {"command", "label", "secret", "accept", NULL};
    if (!json_is_object(object)) return kf_fail(error, KF_ERR_FIELD, "it is not an object");
    KF_TRY(kf_json_only(object, members, error));
    kf_buffer_truncate(command, 0);
    KF_TRY(kf_json_hex(object, "command", KF_SCRIPT_COMMAND_MAX, command, error));
    if (command->size < KF_COMMAND_HEADER_SIZE)
        return kf_fail(error, KF_ERR_FIELD, "member \"command\" has %zu bytes; a command has at least %d",
                       command->size, KF_COMMAND_HEADER_SIZE);
    const char *label = "";
    KF_TRY(kf_json_text(object, "label", KF_SCRIPT_LABEL_SIZE - 1, &label, error));
    bool secret = false;
    KF_TRY(kf_json_boolean_optional(object, "secret", &secret, error));
    json_t *accepts = NULL;
    KF_TRY(kf_json_array(object, "accept", KF_SCRIPT_ACCEPTS_MAX, &accepts, error));
    kf_script_entry *entry = kf_script_append(script, label, kf_buffer_view(command));
    if (entry == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    entry->secret = secret;
    entry->accept_count = 0;
    for (size_t i = 0; i < json_array_size(accepts); i++) {
        KF_TRY(accept_from_json(json_array_get(accepts, i), &entry->accepts[i], error));
        entry->accept_count = i + 1;
    }
    return KF_OK;
}

static kf_code entries_from_json(json_t *array, kf_script *script, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer command = KF_BUFFER_INIT;
    for (size_t i = 0; i < json_array_size(array); i++)
        if (entry_from_json(json_array_get(array, i), &command, script, error) != KF_OK)
            return kf_error_prefix(error, "script, entry %zu", i);
    kf_error reason = {KF_OK, ""};
    if (kf_script_check(script, &reason) == KF_OK) return KF_OK;
    /* The peer's JSON is at fault, whatever kf_script_check calls it. */
    return kf_fail(error, KF_ERR_FIELD, "%s", kf_error_text(&reason));
}

kf_code kf_script_from_json(const json_t *object, kf_script *ret_script, kf_error *error)
{
    json_t *array = NULL;
    kf_error reason = {KF_OK, ""};
    kf_script script = {NULL, 0, 0};
    kf_code code = kf_json_array(object, "script", KF_SCRIPT_ENTRIES_MAX, &array, &reason);
    if (code == KF_OK) code = entries_from_json(array, &script, &reason);
    if (code != KF_OK) {
        kf_script_clear(&script);
        return kf_fail(error, code, "%s", kf_error_text(&reason));
    }
    *ret_script = script;
    return KF_OK;
}

kf_code kf_script_answers_to_json(const kf_script_answers *answers, json_t *object)
{
    char digits[2 * KF_SCRIPT_RESPONSE_MAX + 1];
    json_t *array = json_array();
    KF_TRY(kf_json_set(object, "answers", array));
    for (size_t i = 0; i < answers->count; i++) {
        const kf_script_answer *answer = &answers->items[i];
        json_t *item = json_object();
        KF_TRY(kf_json_append(array, item));
        KF_TRY(kf_json_set_integer(item, "entry", answer->entry));
        KF_TRY(set_digits(item, "response", kf_view_of(answer->response, answer->response_size), digits,
                          sizeof digits));
    }
    return KF_OK;
}

static kf_code answer_from_json(const json_t *object, int64_t least_entry, kf_script_answers *answers,
                                kf_error *error)
{
    static const char *const members[] = {"entry", "response", NULL};
    if (!json_is_object(object)) return kf_fail(error, KF_ERR_FIELD, "it is not an object");
    KF_TRY(kf_json_only(object, members, error));
    int64_t entry = 0;
    KF_TRY(kf_json_integer(object, "entry", (kf_json_range){least_entry, KF_SCRIPT_ENTRIES_MAX - 1}, &entry,
                           error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    KF_TRY(kf_json_hex(object, "response", KF_SCRIPT_RESPONSE_MAX, &response, error));
    if (response.size < 2)
        return kf_fail(error, KF_ERR_FIELD, "member \"response\" has one byte; a status word has two");
    kf_code code = kf_script_answers_append(answers, (uint16_t)entry, kf_buffer_view(&response));
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

kf_code kf_script_answers_from_json(const json_t *object, kf_script_answers *ret_answers, kf_error *error)
{
    json_t *array = NULL;
    KF_TRY(kf_json_array(object, "answers", KF_SCRIPT_ENTRIES_MAX, &array, error));
    kf_error reason = {KF_OK, ""};
    kf_script_answers answers = {NULL, 0, 0};
    for (size_t i = 0; i < json_array_size(array); i++) {
        int64_t least = answers.count == 0 ? 0 : (int64_t)answers.items[answers.count - 1].entry + 1;
        kf_code code = answer_from_json(json_array_get(array, i), least, &answers, &reason);
        if (code == KF_OK) continue;
        kf_script_answers_clear(&answers);
        return kf_fail(error, code, "answers, item %zu: %s", i, kf_error_text(&reason));
    }
    *ret_answers = answers;
    return KF_OK;
}
