#include "card/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/apdu.h>
#include <keyfill/secret.h>

/* Room for one more item of `item_size` bytes; entries may hold an ADM code, so what moves is wiped behind.
 */
static kf_code make_room(void **items, size_t *capacity, size_t count, size_t item_size)
{
    if (count < *capacity) return KF_OK;
    if (count >= KF_SCRIPT_ENTRIES_MAX) return KF_ERR_TOO_LONG;
    size_t larger = *capacity == 0 ? 16 : *capacity * 2;
    void *moved = calloc(larger, item_size);
    if (moved == NULL) return KF_ERR_MEMORY;
    if (count > 0) {
        memcpy(moved, *items, count * item_size);
        kf_wipe(*items, count * item_size);
    }
    free(*items);
    *items = moved;
    *capacity = larger;
    return KF_OK;
}

static kf_code append_entry(kf_script *script, kf_script_entry **ret_entry)
{
    void *items = script->entries;
    KF_TRY(make_room(&items, &script->capacity, script->count, sizeof(kf_script_entry)));
    script->entries = items;
    kf_script_entry *entry = &script->entries[script->count++];
    memset(entry, 0, sizeof(*entry));
    *ret_entry = entry;
    return KF_OK;
}

kf_script_entry *kf_script_append(kf_script *script, const char *label, kf_view command)
{
    if (command.size < KF_COMMAND_HEADER_SIZE || command.size > KF_SCRIPT_COMMAND_MAX) return NULL;
    kf_script_entry *entry;
    if (append_entry(script, &entry) != KF_OK) return NULL;
    memcpy(entry->command, command.data, command.size);
    entry->command_size = command.size;
    (void)snprintf(entry->label, sizeof(entry->label), "%s", label);
    entry->accept_count = 1;
    entry->accepts[0] = (kf_script_accept){0x9000, 0xFFFF, KF_SCRIPT_NEXT};
    return entry;
}

kf_code kf_script_accept_also(kf_script_entry *entry, uint16_t status_word, uint16_t mask, uint16_t go_to)
{
    if (entry->accept_count >= KF_SCRIPT_ACCEPTS_MAX) return KF_ERR_TOO_LONG;
    entry->accepts[entry->accept_count++] = (kf_script_accept){status_word, mask, go_to};
    return KF_OK;
}

kf_code kf_script_follow(const kf_script *script, size_t index, uint16_t status_word, size_t *ret_index)
{
    if (index >= script->count) return KF_ERR_ARGUMENT;
    const kf_script_entry *entry = &script->entries[index];
    for (size_t i = 0; i < entry->accept_count; i++) {
        const kf_script_accept *accept = &entry->accepts[i];
        if ((status_word & accept->mask) != (accept->status_word & accept->mask)) continue;
        *ret_index = accept->go_to == KF_SCRIPT_NEXT ? index + 1 : accept->go_to;
        return KF_OK;
    }
    return KF_ERR_STATUS_WORD;
}

static kf_code check_entry(const kf_script *script, size_t index, kf_error *error)
{
    const kf_script_entry *entry = &script->entries[index];
    if (entry->command_size < KF_COMMAND_HEADER_SIZE || entry->command_size > KF_SCRIPT_COMMAND_MAX)
        return kf_fail(
            error, KF_ERR_MALFORMED,
            "script entry %zu: a command of %zu bytes; 4 to %d are possible: ask the sender for a new script",
            index, entry->command_size, KF_SCRIPT_COMMAND_MAX);
    if (memchr(entry->label, 0, sizeof(entry->label)) == NULL)
        return kf_fail(error, KF_ERR_MALFORMED, "script entry %zu: its label has no end", index);
    if (entry->accept_count == 0 || entry->accept_count > KF_SCRIPT_ACCEPTS_MAX)
        return kf_fail(error, KF_ERR_MALFORMED,
                       "script entry %zu: accepts %zu status words; 1 to %d are possible", index,
                       entry->accept_count, KF_SCRIPT_ACCEPTS_MAX);
    for (size_t i = 0; i < entry->accept_count; i++) {
        uint16_t go_to = entry->accepts[i].go_to;
        if (go_to == KF_SCRIPT_NEXT || go_to == KF_SCRIPT_END) continue;
        if (go_to <= index || go_to >= script->count)
            return kf_fail(
                error, KF_ERR_MALFORMED,
                "script entry %zu: leads to entry %u; only entries behind it, up to %zu, are possible", index,
                (unsigned)go_to, script->count - 1);
    }
    return KF_OK;
}

kf_code kf_script_check(const kf_script *script, kf_error *error)
{
    if (script->count > KF_SCRIPT_ENTRIES_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "a script of %zu entries; %d is the most", script->count,
                       KF_SCRIPT_ENTRIES_MAX);
    for (size_t i = 0; i < script->count; i++)
        KF_TRY(check_entry(script, i, error));
    return KF_OK;
}

void kf_script_clear(kf_script *script)
{
    if (script->entries != NULL) kf_wipe(script->entries, script->capacity * sizeof(*script->entries));
    free(script->entries);
    *script = (kf_script){0};
}

static kf_code append_answer(kf_script_answers *answers, uint16_t entry, kf_view response)
{
    /* A script goes forward only, so do its answers. */
    if (answers->count > 0 && answers->items[answers->count - 1].entry >= entry) return KF_ERR_MALFORMED;
    if (entry >= KF_SCRIPT_ENTRIES_MAX) return KF_ERR_MALFORMED;
    if (response.size > KF_SCRIPT_RESPONSE_MAX) return KF_ERR_TOO_LONG;
    void *items = answers->items;
    KF_TRY(make_room(&items, &answers->capacity, answers->count, sizeof(kf_script_answer)));
    answers->items = items;
    kf_script_answer *answer = &answers->items[answers->count++];
    memset(answer, 0, sizeof(*answer));
    answer->entry = entry;
    answer->response_size = response.size;
    if (response.size > 0) memcpy(answer->response, response.data, response.size);
    return KF_OK;
}

kf_code kf_script_answers_append(kf_script_answers *answers, uint16_t entry, kf_view response)
{
    return append_answer(answers, entry, response);
}

const kf_script_answer *kf_script_answer_of(const kf_script_answers *answers, size_t entry)
{
    for (size_t i = 0; i < answers->count; i++)
        if (answers->items[i].entry == entry) return &answers->items[i];
    return NULL;
}

uint16_t kf_script_answer_status_word(const kf_script_answer *answer)
{
    if (answer->response_size < 2 || answer->response_size > KF_SCRIPT_RESPONSE_MAX) return 0;
    const uint8_t *end = answer->response + answer->response_size;
    return (uint16_t)((end[-2] << 8) | end[-1]);
}

void kf_script_answers_clear(kf_script_answers *answers)
{
    if (answers->items != NULL) kf_wipe(answers->items, answers->capacity * sizeof(*answers->items));
    free(answers->items);
    *answers = (kf_script_answers){0};
}

void kf_script_encode(const kf_script *script, kf_buffer *bytes)
{
    kf_buffer_append_u16(bytes, (uint16_t)script->count);
    for (size_t i = 0; i < script->count; i++) {
        const kf_script_entry *entry = &script->entries[i];
        size_t label_size = strnlen(entry->label, sizeof(entry->label));
        kf_buffer_append_u16(bytes, (uint16_t)entry->command_size);
        kf_buffer_append_bytes(bytes, entry->command, entry->command_size);
        kf_buffer_append_u8(bytes, (uint8_t)label_size);
        kf_buffer_append_bytes(bytes, entry->label, label_size);
        kf_buffer_append_u8(bytes, entry->secret ? 1 : 0);
        kf_buffer_append_u8(bytes, (uint8_t)entry->accept_count);
        for (size_t a = 0; a < entry->accept_count; a++) {
            kf_buffer_append_u16(bytes, entry->accepts[a].status_word);
            kf_buffer_append_u16(bytes, entry->accepts[a].mask);
            kf_buffer_append_u16(bytes, entry->accepts[a].go_to);
        }
    }
}

static kf_code decode_accepts(kf_cursor *bytes, kf_script_entry *entry)
{
    uint8_t count;
    KF_TRY(kf_cursor_u8(bytes, &count));
    if (count > KF_SCRIPT_ACCEPTS_MAX) return KF_ERR_MALFORMED;
    entry->accept_count = count;
    for (size_t i = 0; i < count; i++) {
        KF_TRY(kf_cursor_u16(bytes, &entry->accepts[i].status_word));
        KF_TRY(kf_cursor_u16(bytes, &entry->accepts[i].mask));
        KF_TRY(kf_cursor_u16(bytes, &entry->accepts[i].go_to));
    }
    return KF_OK;
}

static kf_code decode_entry(kf_cursor *bytes, kf_script_entry *entry)
{
    uint16_t command_size;
    uint8_t label_size, secret;
    KF_TRY(kf_cursor_u16(bytes, &command_size));
    if (command_size > KF_SCRIPT_COMMAND_MAX) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_copy(bytes, entry->command, command_size));
    entry->command_size = command_size;
    KF_TRY(kf_cursor_u8(bytes, &label_size));
    if (label_size >= KF_SCRIPT_LABEL_SIZE) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_copy(bytes, entry->label, label_size));
    if (memchr(entry->label, 0, KF_SCRIPT_LABEL_SIZE) != entry->label + label_size) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_u8(bytes, &secret));
    if (secret > 1) return KF_ERR_MALFORMED;
    entry->secret = secret == 1;
    return decode_accepts(bytes, entry);
}

kf_code kf_script_decode(kf_cursor *bytes, kf_script *ret_script)
{
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    uint16_t count;
    KF_TRY(kf_cursor_u16(bytes, &count));
    if (count > KF_SCRIPT_ENTRIES_MAX) return KF_ERR_TOO_LONG;
    for (size_t i = 0; i < count; i++) {
        kf_script_entry *entry;
        KF_TRY(append_entry(&script, &entry));
        KF_TRY(decode_entry(bytes, entry));
    }
    KF_TRY(kf_script_check(&script, NULL));
    *ret_script = script;
    script = (kf_script){0};
    return KF_OK;
}

void kf_script_answers_encode(const kf_script_answers *answers, kf_buffer *bytes)
{
    kf_buffer_append_u16(bytes, (uint16_t)answers->count);
    for (size_t i = 0; i < answers->count; i++) {
        const kf_script_answer *answer = &answers->items[i];
        kf_buffer_append_u16(bytes, answer->entry);
        kf_buffer_append_u16(bytes, (uint16_t)answer->response_size);
        kf_buffer_append_bytes(bytes, answer->response, answer->response_size);
    }
}

kf_code kf_script_answers_decode(kf_cursor *bytes, kf_script_answers *ret_answers)
{
    KF_CLEANUP(kf_script_answers_clear) kf_script_answers answers = {0};
    uint16_t count;
    KF_TRY(kf_cursor_u16(bytes, &count));
    if (count > KF_SCRIPT_ENTRIES_MAX) return KF_ERR_TOO_LONG;
    for (size_t i = 0; i < count; i++) {
        uint16_t entry, size;
        kf_view response;
        KF_TRY(kf_cursor_u16(bytes, &entry));
        KF_TRY(kf_cursor_u16(bytes, &size));
        KF_TRY(kf_cursor_take(bytes, size, &response));
        KF_TRY(append_answer(&answers, entry, response));
    }
    *ret_answers = answers;
    answers = (kf_script_answers){0};
    return KF_OK;
}
