#include "vault/procedure_messages.h"

void kf_begin_message_put(kf_buffer *bytes, const kf_begin_message *message)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_procedure_request_encode(&message->request, bytes);
    kf_message_put_blob(bytes, message->profile);
    kf_message_put_blob(bytes, message->record);
    kf_message_put_blob(bytes, message->module);
}

kf_code kf_begin_message_take(kf_cursor *bytes, kf_begin_message *ret_message)
{
    kf_begin_message message = {0};
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_procedure_request_decode(bytes, &message.request));
    KF_TRY(kf_message_take_blob(bytes, KF_PROFILE_TEXT_MAX, &message.profile));
    KF_TRY(kf_message_take_blob(bytes, KF_CARD_RECORD_MAX, &message.record));
    KF_TRY(kf_message_take_blob(bytes, KF_CAP_FILE_MAX, &message.module));
    KF_TRY(kf_message_end(bytes));
    *ret_message = message;
    return KF_OK;
}

void kf_advance_message_put(kf_buffer *bytes, const kf_advance_message *message)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_vault_actor_put(bytes, &message->actor);
    kf_buffer_append_u16(bytes, message->step);
    kf_buffer_append_u16(bytes, message->attempt);
    kf_message_put_blob(bytes, message->token);
    kf_script_answers_encode(&message->answers, bytes);
    kf_message_put_blob(bytes, message->profile);
    kf_message_put_text(bytes, message->looked_up);
    kf_message_put_blob(bytes, message->record);
    kf_message_put_blob(bytes, message->module);
}

static kf_code take_advance(kf_cursor *bytes, kf_advance_message *message)
{
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_vault_actor_take(bytes, &message->actor));
    KF_TRY(kf_cursor_u16(bytes, &message->step));
    KF_TRY(kf_cursor_u16(bytes, &message->attempt));
    KF_TRY(kf_message_take_blob(bytes, KF_PROCEDURE_STATE_MAX, &message->token));
    KF_TRY(kf_script_answers_decode(bytes, &message->answers));
    KF_TRY(kf_message_take_blob(bytes, KF_PROFILE_TEXT_MAX, &message->profile));
    KF_TRY(kf_message_take_text(bytes, message->looked_up, sizeof message->looked_up));
    KF_TRY(kf_message_take_blob(bytes, KF_CARD_RECORD_MAX, &message->record));
    KF_TRY(kf_message_take_blob(bytes, KF_CAP_FILE_MAX, &message->module));
    return kf_message_end(bytes);
}

kf_code kf_advance_message_take(kf_cursor *bytes, kf_advance_message *ret_message)
{
    kf_advance_message message = {0};
    kf_code code = take_advance(bytes, &message);
    if (code != KF_OK) {
        kf_script_answers_clear(&message.answers);
        return code;
    }
    *ret_message = message;
    return KF_OK;
}

void kf_procedure_message_put(kf_buffer *bytes, const kf_procedure_message *message)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u8(bytes, (uint8_t)message->outcome);
    kf_message_put_text(bytes, message->identity);
    kf_buffer_append_u16(bytes, message->step);
    kf_buffer_append_u16(bytes, message->attempt);
    kf_script_encode(&message->script, bytes);
    kf_message_put_blob(bytes, message->token);
    kf_message_put_blob(bytes, message->record);
    kf_buffer_append_u64(bytes, message->replaced_sequence);
    kf_message_put_blob(bytes, message->applications);
    kf_message_put_text(bytes, message->number);
    kf_message_put_text(bytes, message->category);
    kf_buffer_append_u32(bytes, message->generation);
    kf_buffer_append_u32(bytes, message->base_key_version);
    kf_message_put_text(bytes, message->kcv);
    kf_message_put_text(bytes, message->personalised);
    kf_message_put_text(bytes, message->kept);
    kf_buffer_append_u16(bytes, message->round_trips);
    kf_buffer_append_u16(bytes, message->apdus);
    kf_message_put_text(bytes, message->text);
}

static kf_code take_result(kf_cursor *bytes, kf_procedure_message *message)
{
    KF_TRY(kf_message_take_text(bytes, message->number, sizeof message->number));
    KF_TRY(kf_message_take_text(bytes, message->category, sizeof message->category));
    KF_TRY(kf_cursor_u32(bytes, &message->generation));
    KF_TRY(kf_cursor_u32(bytes, &message->base_key_version));
    KF_TRY(kf_message_take_text(bytes, message->kcv, sizeof message->kcv));
    KF_TRY(kf_message_take_text(bytes, message->personalised, sizeof message->personalised));
    KF_TRY(kf_message_take_text(bytes, message->kept, sizeof message->kept));
    KF_TRY(kf_cursor_u16(bytes, &message->round_trips));
    KF_TRY(kf_cursor_u16(bytes, &message->apdus));
    KF_TRY(kf_message_take_text(bytes, message->text, sizeof message->text));
    return kf_message_end(bytes);
}

static kf_code take_message(kf_cursor *bytes, kf_procedure_message *message)
{
    uint8_t outcome;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u8(bytes, &outcome));
    if (outcome < KF_PROCEDURE_CONTINUE || outcome > KF_PROCEDURE_NEED_RECORD) return KF_ERR_MALFORMED;
    message->outcome = (kf_procedure_outcome)outcome;
    KF_TRY(kf_message_take_text(bytes, message->identity, sizeof message->identity));
    KF_TRY(kf_cursor_u16(bytes, &message->step));
    KF_TRY(kf_cursor_u16(bytes, &message->attempt));
    KF_TRY(kf_script_decode(bytes, &message->script));
    KF_TRY(kf_message_take_blob(bytes, KF_PROCEDURE_STATE_MAX, &message->token));
    KF_TRY(kf_message_take_blob(bytes, KF_CARD_RECORD_MAX, &message->record));
    KF_TRY(kf_cursor_u64(bytes, &message->replaced_sequence));
    KF_TRY(kf_message_take_blob(bytes, KF_APPLICATION_LIST_MAX, &message->applications));
    return take_result(bytes, message);
}

kf_code kf_procedure_message_take(kf_cursor *bytes, kf_procedure_message *ret_message)
{
    kf_procedure_message message = {0};
    kf_code code = take_message(bytes, &message);
    if (code != KF_OK) {
        kf_script_clear(&message.script);
        return code;
    }
    *ret_message = message;
    return KF_OK;
}
