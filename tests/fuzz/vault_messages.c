/* Everything that front and vault, and units among each other, encode: what is taken is put again as the same
 * bytes. The first byte chooses the message. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "vault/card_record.h"
#include "vault/key_messages.h"
#include "vault/procedure_messages.h"
#include "vault/procedure_state.h"
#include "vault/receipt.h"

/* The bytes that were taken, and what was written of them. */
static void want_same(kf_view bytes, const kf_cursor *cursor, const kf_buffer *again)
{
    FUZZ_WANT(kf_buffer_status(again) == KF_OK);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(again), kf_view_part(bytes, 0, bytes.size - cursor->rest.size)));
}

/* A message without memory of its own. */
#define MESSAGE(name, type, take, put)                                                                       \
    static void name(kf_view bytes)                                                                          \
    {                                                                                                        \
        static type message, untouched;                                                                      \
        FUZZ_BUFFER(again);                                                                                  \
        memset(&message, 0xA5, sizeof message);                                                              \
        memset(&untouched, 0xA5, sizeof untouched);                                                          \
        kf_cursor cursor = kf_cursor_of(bytes);                                                              \
        if (take(&cursor, &message) != KF_OK) {                                                              \
            FUZZ_WANT(memcmp(&message, &untouched, sizeof message) == 0);                                    \
            return;                                                                                          \
        }                                                                                                    \
        put(&again, &message);                                                                               \
        want_same(bytes, &cursor, &again);                                                                   \
    }

MESSAGE(entry, kf_key_entry, kf_key_entry_take, kf_key_entry_put)
MESSAGE(policy, kf_key_policy, kf_key_policy_take, kf_key_policy_put)
MESSAGE(status, kf_vault_status, kf_vault_status_take, kf_vault_status_put)
MESSAGE(act_request, kf_key_act_request, kf_key_act_request_take, kf_key_act_request_put)
MESSAGE(act_answer, kf_key_act_answer, kf_key_act_answer_take, kf_key_act_answer_put)
MESSAGE(backup_request, kf_key_backup_request, kf_key_backup_request_take, kf_key_backup_request_put)
MESSAGE(key_message, kf_key_message, kf_key_message_take, kf_key_message_put)
MESSAGE(export_request, kf_key_export_request, kf_key_export_request_take, kf_key_export_request_put)
MESSAGE(export_answer, kf_key_export_answer, kf_key_export_answer_take, kf_key_export_answer_put)
MESSAGE(import_request, kf_key_import_request, kf_key_import_request_take, kf_key_import_request_put)
MESSAGE(import_answer, kf_key_import_answer, kf_key_import_answer_take, kf_key_import_answer_put)
MESSAGE(begin, kf_begin_message, kf_begin_message_take, kf_begin_message_put)
MESSAGE(actor, kf_vault_actor, kf_vault_actor_take, kf_vault_actor_put)

static void record_encode(kf_buffer *bytes, const kf_card_record *record)
{
    kf_card_record_encode(record, bytes);
}
MESSAGE(record, kf_card_record, kf_card_record_decode, record_encode)

static void request_encode(kf_buffer *bytes, const kf_procedure_request *request)
{
    kf_procedure_request_encode(request, bytes);
}
MESSAGE(procedure_request, kf_procedure_request, kf_procedure_request_decode, request_encode)

static void advance(kf_view bytes)
{
    static kf_advance_message message;
    FUZZ_BUFFER(again);
    memset(&message, 0, sizeof message);
    kf_cursor cursor = kf_cursor_of(bytes);
    if (kf_advance_message_take(&cursor, &message) != KF_OK) {
        FUZZ_WANT(message.answers.items == NULL);
        return;
    }
    kf_advance_message_put(&again, &message);
    want_same(bytes, &cursor, &again);
    kf_script_answers_clear(&message.answers);
}

static void procedure(kf_view bytes)
{
    static kf_procedure_message message;
    FUZZ_BUFFER(again);
    memset(&message, 0, sizeof message);
    kf_cursor cursor = kf_cursor_of(bytes);
    if (kf_procedure_message_take(&cursor, &message) != KF_OK) {
        FUZZ_WANT(message.script.entries == NULL);
        return;
    }
    kf_procedure_message_put(&again, &message);
    want_same(bytes, &cursor, &again);
    kf_script_clear(&message.script);
}

static void state(kf_view bytes)
{
    static kf_procedure_state read;
    FUZZ_BUFFER(again);
    memset(&read, 0, sizeof read);
    kf_cursor cursor = kf_cursor_of(bytes);
    if (kf_procedure_state_decode(&cursor, &read) != KF_OK) {
        FUZZ_WANT(read.applications.data == NULL);
        return;
    }
    kf_procedure_state_encode(&read, &again);
    want_same(bytes, &cursor, &again);
    kf_procedure_state_clear(&read);
}

static void key_list(kf_view bytes)
{
    static kf_key_list list;
    memset(&list, 0, sizeof list);
    kf_cursor cursor = kf_cursor_of(bytes);
    if (kf_key_list_take(&cursor, &list) != KF_OK) {
        FUZZ_WANT(list.entries == NULL && list.count == 0);
        return;
    }
    FUZZ_WANT(list.peer_count <= KF_KEY_PEERS_MAX);
    kf_key_list_clear(&list);
}

static void receipt(kf_view bytes)
{
    static kf_receipt read, untouched;
    kf_cipher *key = NULL;
    FUZZ_BUFFER(again);
    memset(&read, 0xA5, sizeof read);
    memset(&untouched, 0xA5, sizeof untouched);
    if (kf_receipt_decode(bytes, &read) != KF_OK) {
        FUZZ_WANT(memcmp(&read, &untouched, sizeof read) == 0);
        return;
    }
    FUZZ_WANT(kf_cipher_new_secret(KF_AES, fuzz_key(2, 32), &key) == KF_OK);
    FUZZ_WANT(kf_receipt_verify(key, bytes, &read) == KF_ERR_AUTHENTICATION);
    FUZZ_WANT(kf_receipt_encode(key, &read, &again) == KF_OK);
    FUZZ_WANT(again.size == bytes.size);
    FUZZ_WANT(kf_view_equal(kf_view_part(bytes, 0, bytes.size - KF_RECEIPT_MAC_SIZE),
                            kf_view_part(kf_buffer_view(&again), 0, bytes.size - KF_RECEIPT_MAC_SIZE)));
    FUZZ_WANT(kf_receipt_verify(key, kf_buffer_view(&again), &read) == KF_OK);
    kf_cipher_free(&key);
}

static void frame(kf_view bytes)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    kf_vault_frame taken;
    while (kf_vault_frame_take(&cursor, &taken) == KF_OK) {
        kf_vault_answer_parts parts;
        FUZZ_BUFFER(again);
        if (kf_vault_answer_take(taken.payload, &parts) != KF_OK) continue;
        FUZZ_WANT(parts.receipt_count <= KF_VAULT_RECEIPTS_MAX);
        kf_vault_answer_put(&again, taken.kind, taken.id, &parts);
        kf_cursor back = kf_cursor_of(kf_buffer_view(&again));
        kf_vault_frame second;
        FUZZ_WANT(kf_vault_frame_take(&back, &second) == KF_OK);
        FUZZ_WANT(kf_view_equal(second.payload, taken.payload));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const messages[])(kf_view) = {
        frame,         receipt,        state,
        entry,         policy,         status,
        act_request,   act_answer,     backup_request,
        key_message,   export_request, export_answer,
        import_answer, import_request, begin,
        advance,       procedure,      record,
        key_list,      actor,          procedure_request,
    };
    if (size == 0) return 0;
    FUZZ_COPY(copy, kf_view_of(data + 1, size - 1));
    messages[data[0] % (sizeof messages / sizeof messages[0])](copy.view);
    return 0;
}
