#include "vault/key_messages.h"

#include <stdlib.h>
#include <string.h>

#include <keyfill/key_block.h>

#define BACKUP_MAX (KF_VAULT_PAYLOAD_MAX - 4096)

void kf_vault_status_put(kf_buffer *bytes, const kf_vault_status *status)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u8(bytes, (uint8_t)status->unit);
    kf_message_put_bool(bytes, status->development);
    kf_message_put_bool(bytes, status->resumed);
    kf_buffer_append_u64(bytes, status->revision);
    kf_buffer_append_u64(bytes, status->last_receipt);
    kf_buffer_append_u32(bytes, status->key_count);
    kf_buffer_append_bytes(bytes, status->box_public, sizeof status->box_public);
}

kf_code kf_vault_status_take(kf_cursor *bytes, kf_vault_status *ret_status)
{
    kf_vault_status status;
    uint8_t unit;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u8(bytes, &unit));
    if (unit != KF_VAULT_KMU && unit != KF_VAULT_BKMU) return KF_ERR_MALFORMED;
    status.unit = (kf_vault_unit)unit;
    KF_TRY(kf_message_take_bool(bytes, &status.development));
    KF_TRY(kf_message_take_bool(bytes, &status.resumed));
    KF_TRY(kf_cursor_u64(bytes, &status.revision));
    KF_TRY(kf_cursor_u64(bytes, &status.last_receipt));
    KF_TRY(kf_cursor_u32(bytes, &status.key_count));
    KF_TRY(kf_cursor_copy(bytes, status.box_public, sizeof status.box_public));
    KF_TRY(kf_message_end(bytes));
    *ret_status = status;
    return KF_OK;
}

void kf_key_peers_put(kf_buffer *bytes, const kf_key_peer *peers, size_t count)
{
    kf_buffer_append_u16(bytes, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        kf_message_put_text(bytes, peers[i].name);
        kf_buffer_append_u64(bytes, peers[i].revision);
    }
}

kf_code kf_key_peers_take(kf_cursor *bytes, kf_key_peer ret_peers[KF_KEY_PEERS_MAX], size_t *ret_count)
{
    kf_key_peer peers[KF_KEY_PEERS_MAX];
    uint16_t count;
    KF_TRY(kf_cursor_u16(bytes, &count));
    if (count > KF_KEY_PEERS_MAX) return KF_ERR_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        KF_TRY(kf_message_take_text(bytes, peers[i].name, sizeof peers[i].name));
        KF_TRY(kf_cursor_u64(bytes, &peers[i].revision));
    }
    memcpy(ret_peers, peers, count * sizeof peers[0]);
    *ret_count = count;
    return KF_OK;
}

void kf_key_list_request_put(kf_buffer *bytes)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
}

kf_code kf_key_list_take(kf_cursor *bytes, kf_key_list *ret_list)
{
    kf_key_list list;
    uint32_t count;
    memset(&list, 0, sizeof list);
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u64(bytes, &list.revision));
    KF_TRY(kf_key_peers_take(bytes, list.peers, &list.peer_count));
    KF_TRY(kf_cursor_u32(bytes, &count));
    /* Each entry takes more bytes than that: so a count cannot ask for more memory than the message is long.
     */
    if (count > bytes->rest.size / 32) return KF_ERR_MALFORMED;
    list.entries = calloc((size_t)count + 1, sizeof *list.entries);
    if (list.entries == NULL) return KF_ERR_MEMORY;
    kf_code code = KF_OK;
    for (; code == KF_OK && list.count < count; list.count++)
        code = kf_key_entry_take(bytes, &list.entries[list.count]);
    if (code == KF_OK) code = kf_message_end(bytes);
    if (code != KF_OK) {
        kf_key_list_clear(&list);
        return code;
    }
    *ret_list = list;
    return KF_OK;
}

void kf_key_list_clear(kf_key_list *list)
{
    free(list->entries);
    list->entries = NULL;
    list->count = 0;
}

static const char *const act_names[] = {NULL,       "generate", "rotate",     "import",
                                        "activate", "suspend",  "deactivate", "destroy"};
#define ACT_COUNT (sizeof act_names / sizeof act_names[0])

const char *kf_key_act_name(kf_key_act act)
{
    size_t number = (size_t)act;
    return number >= 1 && number < ACT_COUNT ? act_names[number] : "unknown";
}

kf_code kf_key_act_from_name(const char *name, kf_key_act *ret_act)
{
    for (size_t i = 1; i < ACT_COUNT; i++) {
        if (strcmp(act_names[i], name) != 0) continue;
        *ret_act = (kf_key_act)i;
        return KF_OK;
    }
    return KF_ERR_FIELD;
}

void kf_key_act_request_put(kf_buffer *bytes, const kf_key_act_request *request)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_vault_actor_put(bytes, &request->actor);
    kf_buffer_append_u8(bytes, (uint8_t)request->act);
    kf_key_entry_put(bytes, &request->entry);
    kf_buffer_append_bytes(bytes, request->import_id, sizeof request->import_id);
    kf_buffer_append_u8(bytes, request->component_count);
    kf_buffer_append_u8(bytes, request->component);
    kf_message_put_blob(bytes, request->sealed);
}

kf_code kf_key_act_request_take(kf_cursor *bytes, kf_key_act_request *ret_request)
{
    kf_key_act_request request;
    uint8_t act;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_vault_actor_take(bytes, &request.actor));
    KF_TRY(kf_cursor_u8(bytes, &act));
    if (act < 1 || act >= ACT_COUNT) return KF_ERR_MALFORMED;
    request.act = (kf_key_act)act;
    KF_TRY(kf_key_entry_take(bytes, &request.entry));
    KF_TRY(kf_cursor_copy(bytes, request.import_id, sizeof request.import_id));
    KF_TRY(kf_cursor_u8(bytes, &request.component_count));
    KF_TRY(kf_cursor_u8(bytes, &request.component));
    KF_TRY(kf_message_take_blob(bytes, KF_SEALED_COMPONENT_MAX, &request.sealed));
    request.officer_signed = false;
    KF_TRY(kf_message_end(bytes));
    *ret_request = request;
    return KF_OK;
}

void kf_key_act_answer_put(kf_buffer *bytes, const kf_key_act_answer *answer)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_message_put_bool(bytes, answer->complete);
    if (answer->complete) kf_key_entry_put(bytes, &answer->entry);
    kf_buffer_append_bytes(bytes, answer->component_kcv.bytes, KF_KCV_SIZE);
    kf_buffer_append_u16(bytes, answer->present);
}

kf_code kf_key_act_answer_take(kf_cursor *bytes, kf_key_act_answer *ret_answer)
{
    kf_key_act_answer answer;
    memset(&answer, 0, sizeof answer);
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_message_take_bool(bytes, &answer.complete));
    if (answer.complete) KF_TRY(kf_key_entry_take(bytes, &answer.entry));
    KF_TRY(kf_cursor_copy(bytes, answer.component_kcv.bytes, KF_KCV_SIZE));
    KF_TRY(kf_cursor_u16(bytes, &answer.present));
    KF_TRY(kf_message_end(bytes));
    *ret_answer = answer;
    return KF_OK;
}

void kf_key_backup_request_put(kf_buffer *bytes, const kf_key_backup_request *request)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_vault_actor_put(bytes, &request->actor);
    kf_message_put_blob(bytes, request->sealed_passphrase);
    kf_message_put_blob(bytes, request->backup);
}

kf_code kf_key_backup_request_take(kf_cursor *bytes, kf_key_backup_request *ret_request)
{
    kf_key_backup_request request;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_vault_actor_take(bytes, &request.actor));
    KF_TRY(kf_message_take_blob(bytes, KF_SEALED_PASSPHRASE_MAX, &request.sealed_passphrase));
    KF_TRY(kf_message_take_blob(bytes, BACKUP_MAX, &request.backup));
    KF_TRY(kf_message_end(bytes));
    *ret_request = request;
    return KF_OK;
}

void kf_key_message_put(kf_buffer *bytes, const kf_key_message *message)
{
    kf_message_put_text(bytes, message->pair);
    kf_message_put_text(bytes, message->category);
    kf_buffer_append_u8(bytes, (uint8_t)message->purpose);
    kf_buffer_append_u32(bytes, message->version);
    kf_buffer_append_u64(bytes, message->revision);
    kf_buffer_append_u64(bytes, message->after);
    kf_message_put_blob(bytes, message->block);
}

kf_code kf_key_message_take(kf_cursor *bytes, kf_key_message *ret_message)
{
    kf_key_message message;
    uint8_t purpose;
    KF_TRY(kf_message_take_text(bytes, message.pair, sizeof message.pair));
    KF_TRY(kf_message_take_text(bytes, message.category, sizeof message.category));
    KF_TRY(kf_cursor_u8(bytes, &purpose));
    if (purpose < KF_PURPOSE_PAYMENT || purpose > KF_PURPOSE_GROUP) return KF_ERR_MALFORMED;
    message.purpose = (kf_key_purpose)purpose;
    KF_TRY(kf_cursor_u32(bytes, &message.version));
    KF_TRY(kf_cursor_u64(bytes, &message.revision));
    KF_TRY(kf_cursor_u64(bytes, &message.after));
    KF_TRY(kf_message_take_blob(bytes, KF_KEY_BLOCK_TEXT_MAX, &message.block));
    *ret_message = message;
    return KF_OK;
}

void kf_key_export_request_put(kf_buffer *bytes, const kf_key_export_request *request)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_vault_actor_put(bytes, &request->actor);
    kf_message_put_text(bytes, request->pair);
    kf_buffer_append_u64(bytes, request->after);
    kf_buffer_append_u16(bytes, request->limit);
}

kf_code kf_key_export_request_take(kf_cursor *bytes, kf_key_export_request *ret_request)
{
    kf_key_export_request request;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_vault_actor_take(bytes, &request.actor));
    KF_TRY(kf_message_take_text(bytes, request.pair, sizeof request.pair));
    KF_TRY(kf_cursor_u64(bytes, &request.after));
    KF_TRY(kf_cursor_u16(bytes, &request.limit));
    if (request.limit < 1 || request.limit > KF_KEY_BLOCK_BATCH_MAX) return KF_ERR_MALFORMED;
    KF_TRY(kf_message_end(bytes));
    *ret_request = request;
    return KF_OK;
}

void kf_key_export_answer_put(kf_buffer *bytes, const kf_key_export_answer *answer)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(bytes, answer->head);
    kf_buffer_append_u16(bytes, (uint16_t)answer->count);
    for (size_t i = 0; i < answer->count; i++)
        kf_key_message_put(bytes, &answer->messages[i]);
}

kf_code kf_key_export_answer_take(kf_cursor *bytes, kf_key_export_answer *ret_answer)
{
    kf_key_export_answer answer = {.count = 0};
    uint16_t count;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u64(bytes, &answer.head));
    KF_TRY(kf_cursor_u16(bytes, &count));
    if (count > KF_KEY_BLOCK_BATCH_MAX) return KF_ERR_MALFORMED;
    for (uint16_t i = 0; i < count; i++)
        KF_TRY(kf_key_message_take(bytes, &answer.messages[i]));
    answer.count = count;
    KF_TRY(kf_message_end(bytes));
    *ret_answer = answer;
    return KF_OK;
}

void kf_key_import_request_put(kf_buffer *bytes, const kf_key_import_request *request)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_vault_actor_put(bytes, &request->actor);
    kf_key_message_put(bytes, &request->message);
}

kf_code kf_key_import_request_take(kf_cursor *bytes, kf_key_import_request *ret_request)
{
    kf_key_import_request request;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_vault_actor_take(bytes, &request.actor));
    KF_TRY(kf_key_message_take(bytes, &request.message));
    KF_TRY(kf_message_end(bytes));
    *ret_request = request;
    return KF_OK;
}

void kf_key_import_answer_put(kf_buffer *bytes, const kf_key_import_answer *answer)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(bytes, answer->revision);
    kf_key_entry_put(bytes, &answer->entry);
}

kf_code kf_key_import_answer_take(kf_cursor *bytes, kf_key_import_answer *ret_answer)
{
    kf_key_import_answer answer;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u64(bytes, &answer.revision));
    KF_TRY(kf_key_entry_take(bytes, &answer.entry));
    KF_TRY(kf_message_end(bytes));
    *ret_answer = answer;
    return KF_OK;
}
