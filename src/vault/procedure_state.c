#include "vault/procedure_state.h"

#include <string.h>

#define STATE_FORM 1

void kf_card_keys_clear(kf_card_keys *keys)
{
    kf_secret_free(&keys->enc);
    kf_secret_free(&keys->mac);
    kf_secret_free(&keys->dek);
}

void kf_procedure_request_encode(const kf_procedure_request *request, kf_buffer *bytes)
{
    kf_vault_actor_put(bytes, &request->actor);
    kf_buffer_append_u16(bytes, request->attempt);
    kf_message_put_text(bytes, request->terminal);
    kf_buffer_append_u8(bytes, (uint8_t)request->operation);
    kf_message_put_text(bytes, request->category);
    kf_message_put_text(bytes, request->number);
    kf_message_put_text(bytes, request->iccid);
    kf_message_put_text(bytes, request->imsi);
    kf_message_put_bool(bytes, request->write_number);
    kf_buffer_append_u8(bytes, (uint8_t)request->personalise);
    kf_named_values_encode(&request->personalisation, bytes);
    kf_buffer_append_u32(bytes, request->generation_floor);
    kf_buffer_append_bytes(bytes, request->module_digest, sizeof request->module_digest);
    kf_message_put_text(bytes, request->module);
}

static kf_code take_choice(kf_cursor *bytes, uint8_t least, uint8_t most, uint8_t *ret_choice)
{
    uint8_t value;
    KF_TRY(kf_cursor_u8(bytes, &value));
    if (value < least || value > most) return KF_ERR_MALFORMED;
    *ret_choice = value;
    return KF_OK;
}

kf_code kf_procedure_request_decode(kf_cursor *bytes, kf_procedure_request *ret_request)
{
    kf_procedure_request request = {0};
    uint8_t choice;
    KF_TRY(kf_vault_actor_take(bytes, &request.actor));
    KF_TRY(kf_cursor_u16(bytes, &request.attempt));
    KF_TRY(kf_message_take_text(bytes, request.terminal, sizeof request.terminal));
    KF_TRY(take_choice(bytes, KF_OPERATION_FILL, KF_OPERATION_APP_DELETE, &choice));
    request.operation = (kf_operation)choice;
    KF_TRY(kf_message_take_text(bytes, request.category, sizeof request.category));
    KF_TRY(kf_message_take_text(bytes, request.number, sizeof request.number));
    KF_TRY(kf_message_take_text(bytes, request.iccid, sizeof request.iccid));
    KF_TRY(kf_message_take_text(bytes, request.imsi, sizeof request.imsi));
    KF_TRY(kf_message_take_bool(bytes, &request.write_number));
    KF_TRY(take_choice(bytes, KF_PERSONALISE_IF_ABSENT, KF_PERSONALISE_NEVER, &choice));
    request.personalise = (kf_personalise)choice;
    KF_TRY(kf_named_values_decode(bytes, &request.personalisation));
    KF_TRY(kf_cursor_u32(bytes, &request.generation_floor));
    KF_TRY(kf_cursor_copy(bytes, request.module_digest, sizeof request.module_digest));
    KF_TRY(kf_message_take_text(bytes, request.module, sizeof request.module));
    *ret_request = request;
    return KF_OK;
}

static void encode_facts(const kf_card_facts *facts, kf_buffer *bytes)
{
    kf_message_put_bool(bytes, facts->domain_present);
    kf_buffer_append_u8(bytes, (uint8_t)facts->domain_keys);
    kf_message_put_bool(bytes, facts->file_channel);
    kf_buffer_append_u8(bytes, facts->number_record_size);
    kf_message_put_bool(bytes, facts->adm_known);
    kf_buffer_append_u8(bytes, facts->adm_tries);
    for (size_t i = 0; i < KF_PROFILE_FIELDS_MAX; i++)
        kf_buffer_append_u16(bytes, facts->file_sizes[i]);
    kf_message_put_text(bytes, facts->kept);
}

static kf_code decode_facts(kf_cursor *bytes, kf_card_facts *facts)
{
    uint8_t choice;
    KF_TRY(kf_message_take_bool(bytes, &facts->domain_present));
    KF_TRY(take_choice(bytes, KF_KEYS_NONE, KF_KEYS_PREVIOUS, &choice));
    facts->domain_keys = (kf_channel_keys)choice;
    KF_TRY(kf_message_take_bool(bytes, &facts->file_channel));
    KF_TRY(kf_cursor_u8(bytes, &facts->number_record_size));
    KF_TRY(kf_message_take_bool(bytes, &facts->adm_known));
    KF_TRY(kf_cursor_u8(bytes, &facts->adm_tries));
    for (size_t i = 0; i < KF_PROFILE_FIELDS_MAX; i++)
        KF_TRY(kf_cursor_u16(bytes, &facts->file_sizes[i]));
    return kf_message_take_text(bytes, facts->kept, sizeof facts->kept);
}

void kf_procedure_state_encode(const kf_procedure_state *state, kf_buffer *bytes)
{
    kf_buffer_append_u8(bytes, STATE_FORM);
    kf_procedure_request_encode(&state->request, bytes);
    kf_buffer_append_bytes(bytes, state->profile_digest, sizeof state->profile_digest);
    kf_buffer_append_u16(bytes, state->step);
    kf_buffer_append_u16(bytes, state->attempt);
    kf_buffer_append_u64(bytes, state->expires);
    kf_buffer_append_u8(bytes, (uint8_t)state->script);
    kf_buffer_append_u8(bytes, state->session);
    kf_buffer_append_u16(bytes, state->first_command);
    kf_buffer_append_bytes(bytes, state->list_pages, sizeof state->list_pages);
    kf_buffer_append_bytes(bytes, state->issuer_challenge, KF_HOST_CHALLENGE_SIZE);
    kf_buffer_append_bytes(bytes, state->domain_challenge, KF_HOST_CHALLENGE_SIZE);
    kf_buffer_append_bytes(bytes, state->session_challenge, KF_HOST_CHALLENGE_SIZE);
    kf_buffer_append_u8(bytes, state->session_answer_size);
    kf_buffer_append_bytes(bytes, state->session_answer, state->session_answer_size);
    kf_buffer_append_bytes(bytes, state->script_digest, sizeof state->script_digest);
    encode_facts(&state->facts, bytes);
    kf_card_record_encode(&state->record, bytes);
    kf_message_put_bool(bytes, state->recorded);
    kf_buffer_append_u16(bytes, state->round_trips);
    kf_buffer_append_u16(bytes, state->apdus);
    kf_message_put_blob(bytes, kf_buffer_view(&state->applications));
}

static kf_code decode_progress(kf_cursor *bytes, kf_procedure_state *state)
{
    uint8_t choice;
    KF_TRY(kf_cursor_u16(bytes, &state->step));
    KF_TRY(kf_cursor_u16(bytes, &state->attempt));
    KF_TRY(kf_cursor_u64(bytes, &state->expires));
    KF_TRY(take_choice(bytes, KF_SCRIPT_CONTACT, KF_SCRIPT_SESSION, &choice));
    state->script = (kf_script_kind)choice;
    KF_TRY(kf_cursor_u8(bytes, &state->session));
    KF_TRY(kf_cursor_u16(bytes, &state->first_command));
    KF_TRY(kf_cursor_copy(bytes, state->list_pages, sizeof state->list_pages));
    KF_TRY(kf_cursor_copy(bytes, state->issuer_challenge, KF_HOST_CHALLENGE_SIZE));
    KF_TRY(kf_cursor_copy(bytes, state->domain_challenge, KF_HOST_CHALLENGE_SIZE));
    KF_TRY(kf_cursor_copy(bytes, state->session_challenge, KF_HOST_CHALLENGE_SIZE));
    KF_TRY(take_choice(bytes, 0, KF_INITIALIZE_UPDATE_MAX, &state->session_answer_size));
    KF_TRY(kf_cursor_copy(bytes, state->session_answer, state->session_answer_size));
    return kf_cursor_copy(bytes, state->script_digest, sizeof state->script_digest);
}

static kf_code decode_state(kf_cursor *bytes, kf_procedure_state *state)
{
    uint8_t form;
    kf_view applications;
    KF_TRY(kf_cursor_u8(bytes, &form));
    if (form != STATE_FORM) return KF_ERR_MALFORMED;
    KF_TRY(kf_procedure_request_decode(bytes, &state->request));
    KF_TRY(kf_cursor_copy(bytes, state->profile_digest, sizeof state->profile_digest));
    KF_TRY(decode_progress(bytes, state));
    KF_TRY(decode_facts(bytes, &state->facts));
    KF_TRY(kf_card_record_decode(bytes, &state->record));
    KF_TRY(kf_message_take_bool(bytes, &state->recorded));
    KF_TRY(kf_cursor_u16(bytes, &state->round_trips));
    KF_TRY(kf_cursor_u16(bytes, &state->apdus));
    KF_TRY(kf_message_take_blob(bytes, KF_APPLICATION_LIST_MAX, &applications));
    state->applications = kf_buffer_with_limit(KF_APPLICATION_LIST_MAX);
    kf_buffer_append(&state->applications, applications);
    return kf_buffer_status(&state->applications);
}

kf_code kf_procedure_state_decode(kf_cursor *bytes, kf_procedure_state *ret_state)
{
    kf_procedure_state state = {0};
    kf_code code = decode_state(bytes, &state);
    if (code != KF_OK) {
        kf_procedure_state_clear(&state);
        return code;
    }
    *ret_state = state;
    return KF_OK;
}

void kf_procedure_state_clear(kf_procedure_state *state)
{
    kf_buffer_clear(&state->applications);
}
