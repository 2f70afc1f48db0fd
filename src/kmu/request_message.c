#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>

#include "kmu/bounds.h"
#include "kmu/profiles.h"
#include "kmu/requests.h"
#include "wire/json.h"
#include "wire/request_json.h"
#include "wire/script_json.h"

#define STEP_MAX 64
#define LOOKUPS_MAX 2 /* the identity that the answers suggest, then the one that the vault names */

typedef struct message_form {
    uint16_t step;
    uint16_t attempt;
    kf_buffer token;
    kf_script_answers answers;
    const char *stopped;            /* "": nothing did */
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
    KF_TRY(kf_stop_word_read(body, &form->stopped, error));
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

/* Calls the vault with the record of the card that an earlier step proved or the answers suggest; where they
 * come from another, with that one's. */
static kf_code advance(kf_kmu *kmu, const kf_request_row *row, const message_form *form, advance_parts *parts,
                       kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer profile = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer module = KF_BUFFER_INIT;
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(kf_front_settle(&kmu->front, error));
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
    if (row->card[0] != '\0')
        memcpy(message.looked_up, row->card, sizeof message.looked_up);
    else
        suggest_identity(&form->answers, message.looked_up);
    const kf_bounds_caller caller = {row->caller, row->terminal};
    KF_TRY(kf_bounds_check(kmu, &caller, "", "", error));
    for (int lookup = 0; lookup < LOOKUPS_MAX; lookup++) {
        KF_CLEANUP(kf_card_row_clear) kf_card_row card = {0};
        KF_TRY(kf_card_by_identity(kmu->front.database, message.looked_up, &card, error));
        const kf_card_claim claim = {message.looked_up, row->id, row->caller, row->terminal, kf_kmu_now(kmu)};
        if (card.found) {
            KF_TRY(kf_card_check_claim(&card, &claim, error));
            KF_TRY(kf_bounds_check_card(kmu, &caller, &card.record, error));
        }
        message.record = kf_buffer_view(&card.sealed);
        KF_TRY(call_advance(kmu, &message, parts, error));
        if (parts->message.outcome != KF_PROCEDURE_NEED_RECORD) return KF_OK;
        KF_TRY(kf_text_copy(message.looked_up, sizeof message.looked_up, parts->message.identity));
    }
    return kf_fail(error, KF_ERR_VAULT, "the vault asks for the record of card %s again", message.looked_up);
}

typedef struct message_work {
    kf_kmu *kmu;
    kf_request_row *row;
    const uint8_t *digest;
    const kf_vault_answer *vault_answer;
    const kf_procedure_message *message;
    kf_buffer answer; /* JSON */
} message_work;

static void message_work_clear(message_work *work)
{
    kf_buffer_clear(&work->answer);
}

static kf_code write_answer(kf_database *database, const message_work *work, kf_error *error)
{
    KF_TRY(kf_request_row_update(database, work->row, kf_kmu_now(work->kmu), error));
    return kf_request_answer_insert(database, work->row, work->digest, kf_buffer_view(&work->answer), error);
}

/* The card's new record, whose request it is, the answer and the audit rows: together or not at all. */
static kf_code write_advance(kf_database *database, void *context, kf_error *error)
{
    const message_work *work = context;
    const kf_request_row *row = work->row;
    const kf_procedure_message *message = work->message;
    const kf_card_claim claim = {message->identity, row->id, row->caller, row->terminal,
                                 kf_kmu_now(work->kmu)};
    KF_TRY(write_answer(database, work, error));
    if (message->record.size > 0) {
        const kf_card_change change = {message->record, message->replaced_sequence, claim.now};
        KF_TRY(kf_card_write(database, &change, error));
    }
    if (message->outcome == KF_PROCEDURE_CONTINUE)
        KF_TRY(kf_card_take(database, &claim, error));
    else
        KF_TRY(kf_card_release(database, &claim, error));
    return kf_front_audit_receipts(database, &work->vault_answer->receipts, message->text, error);
}

/* Makes what the vault decided durable, and the answer with it. */
static kf_code complete(message_work *work, kf_error *error)
{
    kf_request_row *row = work->row;
    bool done = work->message->outcome == KF_PROCEDURE_DONE;
    row->step = done ? (uint16_t)(row->step + 1) : work->message->step;
    KF_TRY(kf_text_copy(row->card, sizeof row->card, work->message->identity));
    KF_TRY(kf_text_copy(row->state, sizeof row->state, done ? "done" : "open"));
    KF_TRY(kf_request_answer_write(row, work->message, &work->answer, error));
    return kf_database_write(work->kmu->front.database, write_advance, work, error);
}

/* The vault sees where the answers end; why they do is the terminal's word. The code stays: whatever broke
 * off, the clerk presents the card again. The row is the front's own then, with the code that fits. */
static void name_stop(const message_form *form, kf_request_failure *failure)
{
    static const struct {
        const char *word;
        kf_code code;
        const char *why;
    } stops[] = {{"card-removed", KF_ERR_CARD_REMOVED, "the card was removed"},
                 {"no-card", KF_ERR_NO_CARD, "no card was in the reader any more"},
                 {"timeout", KF_ERR_READER_TIMEOUT, "the reader or the card did not answer in time"},
                 {"reader", KF_ERR_READER, "the reader failed"}};
    failure->cause = failure->reason.code;
    if (failure->reason.code != KF_ERR_CARD_REMOVED) return;
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        if (strcmp(form->stopped, stops[i].word) == 0) {
            (void)kf_error_prefix(&failure->reason, "%s", stops[i].why);
            failure->cause = stops[i].code;
        }
}

static kf_code take_answers(kf_kmu *kmu, kf_request_row *row, const message_form *form,
                            kf_http_response *response, kf_error *error)
{
    KF_CLEANUP(advance_parts_clear) advance_parts parts = {.vault_answer = KF_VAULT_ANSWER_INIT};
    KF_CLEANUP(message_work_clear)
    message_work work = {kmu, row, form->digest, &parts.vault_answer, &parts.message, KF_BUFFER_INIT};
    kf_request_failure failure = {.digest = form->digest, .receipts = &parts.vault_answer.receipts};
    kf_code code = advance(kmu, row, form, &parts, &failure.reason);
    failure.told_by_vault = code != KF_OK && parts.vault_answer.receipts.size > 0;
    if (code == KF_OK) code = complete(&work, &failure.reason);
    if (code == KF_OK) return kf_request_answer_send(&work.answer, response, error);
    (void)kf_fail_plain(&failure.reason, code);
    if (kf_request_fault_passes(code)) {
        const char *why = kf_error_text(&failure.reason);
        KF_TRY(kf_front_keep_receipts(&kmu->front, failure.receipts, why, error));
        return kf_fail(error, code, "%s", why);
    }
    name_stop(form, &failure);
    if (failure.cause != failure.reason.code) failure.told_by_vault = false;
    row->step = (uint16_t)(form->step + 1);
    return kf_request_fail(kmu, row, &failure, error);
}

static kf_code write_attempt(kf_database *database, void *context, kf_error *error)
{
    const message_work *work = context;
    KF_TRY(write_answer(database, work, error));
    return kf_front_audit_receipts(database, &work->vault_answer->receipts, "", error);
}

static kf_code start_attempt(message_work *work, kf_begun *begun, kf_error *error)
{
    kf_request_row *row = work->row;
    KF_CLEANUP(kf_json_free) json_t *body = NULL;
    KF_TRY(kf_json_parse(kf_buffer_view(&row->body), &body, error));
    KF_TRY(kf_request_begin(work->kmu, row, body, begun, error));
    row->step = begun->message.step;
    KF_TRY(kf_request_answer_write(row, &begun->message, &work->answer, error));
    return kf_database_write(work->kmu->front.database, write_attempt, work, error);
}

/* Other answers to a step that was answered before: the card was begun on again. A new attempt has new host
 * challenges. Where it cannot begin, the request stays as it is. */
static kf_code begin_attempt(kf_kmu *kmu, kf_request_row *row, const message_form *form,
                             kf_http_response *response, kf_error *error)
{
    if (row->attempt == UINT16_MAX)
        return kf_fail(error, KF_ERR_CONFLICT, "request %s was attempted too often", row->id);
    row->attempt++;
    KF_CLEANUP(kf_begun_clear) kf_begun begun = {.vault_answer = KF_VAULT_ANSWER_INIT};
    KF_CLEANUP(message_work_clear)
    message_work work = {kmu, row, form->digest, &begun.vault_answer, &begun.message, KF_BUFFER_INIT};
    kf_error reason = {KF_OK, ""};
    kf_code code = start_attempt(&work, &begun, &reason);
    if (code == KF_OK) return kf_request_answer_send(&work.answer, response, error);
    (void)kf_fail_plain(&reason, code);
    KF_TRY(kf_front_keep_receipts(&kmu->front, &begun.vault_answer.receipts, kf_error_text(&reason), error));
    return kf_fail(error, code, "%s", kf_error_text(&reason));
}

static kf_code dispatch(kf_kmu *kmu, kf_request_row *row, const message_form *form,
                        kf_http_response *response, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer before = KF_BUFFER_INIT;
    bool again = false;
    KF_TRY(kf_request_answer_find(kmu->front.database, row, form->digest, &again, &before, error));
    if (again) return kf_request_answer_send(&before, response, error);
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
