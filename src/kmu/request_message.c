#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>

#include "kmu/profiles.h"
#include "kmu/requests.h"
#include "wire/json.h"
#include "wire/script_json.h"

#define STEP_MAX 64
#define LOOKUPS_MAX 2 /* the identity that the answers suggest, then the one that the vault names */

typedef struct message_form {
    uint16_t step;
    uint16_t attempt;
    kf_buffer token;
    kf_script_answers answers;
    const char *stopped;            /* "" : nothing did */
    uint8_t digest[KF_DIGEST_SIZE]; /* of the answers, whatever order the JSON had */
} message_form;

static void message_form_clear(message_form *form)
{
    kf_buffer_clear(&form->token);
    kf_script_answers_clear(&form->answers);
}

static kf_code digest_answers(message_form *form)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_buffer_append_u16(&bytes, form->step);
    kf_buffer_append_u16(&bytes, form->attempt);
    kf_script_answers_encode(&form->answers, &bytes);
    kf_buffer_append_text(&bytes, form->stopped);
    KF_TRY(kf_buffer_status(&bytes));
    return kf_sha256(kf_buffer_view(&bytes), form->digest);
}

static kf_code read_form(const json_t *body, message_form *form, kf_error *error)
{
    static const char *const members[] = {"step", "attempt", "token", "answers", "stopped", NULL};
    static const char *const reasons[] = {"card-removed", "no-card", "reader", "timeout"};
    const kf_json_range range = {1, STEP_MAX};
    int64_t step;
    int64_t attempt;
    KF_TRY(kf_json_only(body, members, error));
    KF_TRY(kf_json_integer(body, "step", range, &step, error));
    KF_TRY(kf_json_integer(body, "attempt", (kf_json_range){1, UINT16_MAX}, &attempt, error));
    KF_TRY(kf_json_base64url(body, "token", KF_PROCEDURE_STATE_MAX, &form->token, error));
    KF_TRY(kf_script_answers_from_json(body, &form->answers, error));
    form->step = (uint16_t)step;
    form->attempt = (uint16_t)attempt;
    form->stopped = "";
    KF_TRY(kf_json_text_optional(body, "stopped", 32, &form->stopped, error));
    bool known = form->stopped[0] == '\0';
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        known = known || strcmp(form->stopped, reasons[i]) == 0;
    if (!known)
        return kf_fail(error, KF_ERR_FIELD,
                       "stopped: \"%s\" is none of card-removed, no-card, reader, timeout", form->stopped);
    return digest_answers(form);
}

/* Which card the answers seem to come from: the diversification data of the first INITIALIZE UPDATE answer
 * among them. The vault proves it, or names another. */
static void suggest_identity(const kf_script_answers *answers, char ret_identity[KF_IDENTITY_SIZE])
{
    ret_identity[0] = '\0';
    for (size_t i = 0; i < answers->count && ret_identity[0] == '\0'; i++) {
        const kf_script_answer *answer = &answers->items[i];
        kf_initialize_update update;
        if (kf_initialize_update_parse(kf_view_of(answer->response, answer->response_size), &update, NULL) !=
            KF_OK)
            continue;
        kf_hex_text data = kf_hex_show(KF_VIEW(update.diversification_data));
        (void)snprintf(ret_identity, KF_IDENTITY_SIZE, "kdd:%.20s", data.text);
    }
}

typedef struct advance_parts {
    kf_vault_answer vault_answer;
    kf_procedure_message message;
} advance_parts;

static void advance_parts_clear(advance_parts *parts)
{
    kf_vault_answer_clear(&parts->vault_answer);
    kf_script_clear(&parts->message.script);
}

static kf_code call_advance(kf_kmu *kmu, const kf_advance_message *message, advance_parts *parts,
                            kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_advance_message_put(&payload, message);
    KF_TRY(kf_buffer_status(&payload));
    KF_TRY(kf_vault_call(kmu->front.vault, KF_VAULT_PROCEDURE_ADVANCE, kf_buffer_view(&payload),
                         &parts->vault_answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&parts->vault_answer.payload));
    if (kf_procedure_message_take(&cursor, &parts->message) != KF_OK)
        return kf_fail(error, KF_ERR_VAULT, "the vault's answer is not understood");
    return KF_OK;
}

/* Calls the vault with the record of the card that the answers suggest; where they come from another, with
 * that one's. */
static kf_code advance(kf_kmu *kmu, const kf_request_row *row, const message_form *form, advance_parts *parts,
                       kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer profile = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer module = KF_BUFFER_INIT;
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(kf_profile_text(kmu->front.database, row->profile, &profile, error));
    if (row->module[0] != '\0')
        KF_TRY(kf_module_content(kmu->front.database, row->module, &module, digest, error));
    kf_advance_message message = {
        .step = form->step,
        .attempt = form->attempt,
        .token = kf_buffer_view(&form->token),
        .answers = form->answers,
        .profile = kf_buffer_view(&profile),
        .module = kf_buffer_view(&module),
    };
    KF_TRY(kf_text_copy(message.actor.who, sizeof message.actor.who, row->caller));
    KF_TRY(kf_text_copy(message.actor.request, sizeof message.actor.request, row->id));
    suggest_identity(&form->answers, message.looked_up);
    for (int lookup = 0; lookup < LOOKUPS_MAX; lookup++) {
        KF_CLEANUP(kf_card_row_clear) kf_card_row card = {0};
        KF_TRY(kf_card_by_identity(kmu->front.database, message.looked_up, &card, error));
        message.record = kf_buffer_view(&card.sealed);
        KF_TRY(call_advance(kmu, &message, parts, error));
        if (parts->message.outcome != KF_PROCEDURE_NEED_RECORD) return KF_OK;
        KF_TRY(kf_text_copy(message.looked_up, sizeof message.looked_up, parts->message.identity));
    }
    return kf_fail(error, KF_ERR_VAULT, "the vault asks for the record of card %s again", message.looked_up);
}

typedef struct advance_work {
    kf_kmu *kmu;
    kf_request_row *row;
    const advance_parts *parts;
} advance_work;

/* The card's new record, whose request it is, the answer and the audit rows: together or not at all. */
static kf_code write_advance(kf_database *database, void *context, kf_error *error)
{
    const advance_work *work = context;
    const kf_request_row *row = work->row;
    const kf_procedure_message *message = &work->parts->message;
    int64_t now = kf_kmu_now(work->kmu);
    KF_TRY(kf_request_row_update(database, row, now, error));
    if (message->record.size > 0) {
        const kf_card_change change = {message->record, message->replaced_sequence, now};
        KF_TRY(kf_card_write(database, &change, error));
    }
    if (message->outcome == KF_PROCEDURE_CONTINUE) {
        const kf_card_claim claim = {message->identity, row->id, row->caller, row->terminal, now};
        KF_TRY(kf_card_take(database, &claim, error));
    } else {
        KF_TRY(kf_card_release(database, message->identity, row->id, error));
    }
    return kf_front_audit_receipts(database, &work->parts->vault_answer.receipts, message->text, error);
}

static kf_code take_answers(kf_kmu *kmu, kf_request_row *row, const message_form *form,
                            kf_http_response *response, kf_error *error)
{
    KF_CLEANUP(advance_parts_clear) advance_parts parts = {.vault_answer = KF_VAULT_ANSWER_INIT};
    kf_error failure = {0};
    memcpy(row->answers_digest, form->digest, sizeof form->digest);
    kf_code code = advance(kmu, row, form, &parts, &failure);
    if (code == KF_OK) {
        bool done = parts.message.outcome == KF_PROCEDURE_DONE;
        row->step = done ? (uint16_t)(row->step + 1) : parts.message.step;
        KF_TRY(kf_text_copy(row->card, sizeof row->card, parts.message.identity));
        KF_TRY(kf_text_copy(row->state, sizeof row->state, done ? "done" : "open"));
        kf_buffer_clear(&row->answer);
        KF_TRY(kf_request_answer_write(row, &parts.message, &row->answer, error));
        advance_work work = {kmu, row, &parts};
        code = kf_database_write(kmu->front.database, write_advance, &work, &failure);
    }
    if (code == KF_OK) return kf_request_answer_send(&row->answer, response, error);
    kf_fail_plain(&failure, code);
    if (kf_request_fault_passes(code)) {
        KF_TRY(kf_kmu_keep_receipts(kmu, &parts.vault_answer.receipts, kf_error_text(&failure), error));
        return kf_fail(error, code, "%s", kf_error_text(&failure));
    }
    row->step = (uint16_t)(form->step + 1);
    return kf_request_fail(kmu, row, &parts.vault_answer, &failure, error);
}

static kf_code write_attempt(kf_database *database, void *context, kf_error *error)
{
    const advance_work *work = context;
    return kf_request_row_update(database, work->row, kf_kmu_now(work->kmu), error);
}

/* Other answers to a step that was answered before: the card was begun on again. A new attempt has new host
 * challenges. */
static kf_code begin_attempt(kf_kmu *kmu, kf_request_row *row, const message_form *form,
                             kf_http_response *response, kf_error *error)
{
    if (row->attempt == UINT16_MAX)
        return kf_fail(error, KF_ERR_CONFLICT, "request %s was attempted too often", row->id);
    row->attempt++;
    KF_CLEANUP(kf_json_free) json_t *body = NULL;
    KF_TRY(kf_json_parse(kf_buffer_view(&row->body), &body, error));
    KF_CLEANUP(kf_begun_clear) kf_begun begun = {.vault_answer = KF_VAULT_ANSWER_INIT};
    KF_TRY(kf_request_begin(kmu, row, body, &begun, error));
    row->step = begun.message.step;
    memcpy(row->answers_digest, form->digest, sizeof form->digest);
    kf_buffer_clear(&row->answer);
    KF_TRY(kf_request_answer_write(row, &begun.message, &row->answer, error));
    advance_work work = {kmu, row, NULL};
    KF_TRY(kf_database_write(kmu->front.database, write_attempt, &work, error));
    return kf_request_answer_send(&row->answer, response, error);
}

static kf_code dispatch(kf_kmu *kmu, kf_request_row *row, const message_form *form,
                        kf_http_response *response, kf_error *error)
{
    if (memcmp(form->digest, row->answers_digest, sizeof form->digest) == 0) {
        /* The same message again: the same answer. */
        if (strcmp(row->state, "failed") == 0)
            return kf_fail(error, kf_code_from_name(row->code), "%.*s", (int)row->answer.size,
                           (const char *)row->answer.data);
        return kf_request_answer_send(&row->answer, response, error);
    }
    if (strcmp(row->state, "open") != 0)
        return kf_fail(error, KF_ERR_CONFLICT,
                       "request %s is over (%s); present the card again for a new one", row->id, row->state);
    if (form->attempt == row->attempt && form->step == row->step)
        return take_answers(kmu, row, form, response, error);
    if (form->attempt == row->attempt && form->step < row->step)
        return begin_attempt(kmu, row, form, response, error);
    return kf_fail(error, KF_ERR_CONFLICT,
                   "request %s is at step %u of attempt %u; these answers are of step %u, attempt %u",
                   row->id, row->step, row->attempt, form->step, form->attempt);
}

kf_code kf_handle_request_message(void *context, const kf_http_request *request, kf_http_response *response,
                                  kf_error *error)
{
    kf_kmu *kmu = context;
    const char *id = kf_http_path_parameter(request, "id");
    (void)snprintf(response->request_id, sizeof response->request_id, "%s", id);
    kf_caller_text caller = kf_caller_show(request->caller);
    KF_CLEANUP(kf_request_row_clear) kf_request_row row = {0};
    KF_TRY(kf_request_row_find(kmu->front.database, caller.text, id, &row, error));
    if (!row.found) return kf_fail(error, KF_ERR_NOT_FOUND, "there is no request %s of %s", id, caller.text);
    KF_CLEANUP(message_form_clear) message_form form = {0};
    KF_TRY(read_form(request->json, &form, error));
    return dispatch(kmu, &row, &form, response, error);
}

kf_code kf_handle_request_show(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    kf_kmu *kmu = context;
    const char *id = kf_http_path_parameter(request, "id");
    kf_caller_text caller = kf_caller_show(request->caller);
    /* A host sees its own requests; others name the host. */
    const char *host = kf_http_query_parameter(request, "caller");
    if (request->caller->role == KF_PEER_HOST || host == NULL) host = caller.text;
    KF_CLEANUP(kf_request_row_clear) kf_request_row row = {0};
    KF_TRY(kf_request_row_find(kmu->front.database, host, id, &row, error));
    if (!row.found) return kf_fail(error, KF_ERR_NOT_FOUND, "there is no request %s of %s", id, host);
    json_t *answer = response->json = json_object();
    KF_TRY(kf_json_set_text(answer, "id", row.id));
    KF_TRY(kf_json_set_text(answer, "operation", row.operation));
    KF_TRY(kf_json_set_text(answer, "terminal", row.terminal));
    KF_TRY(kf_json_set_text(answer, "state", row.state));
    KF_TRY(kf_json_set_text(answer, "card", row.card[0] != '\0' ? row.card : NULL));
    KF_TRY(kf_json_set_integer(answer, "step", row.step));
    KF_TRY(kf_json_set_integer(answer, "attempt", row.attempt));
    return kf_json_set_text(answer, "code", row.code[0] != '\0' ? row.code : NULL);
}
