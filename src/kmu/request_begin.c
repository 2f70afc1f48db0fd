#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "kmu/bounds.h"
#include "kmu/categories.h"
#include "kmu/profiles.h"
#include "kmu/requests.h"
#include "wire/json.h"
#include "wire/request_json.h"

void kf_begun_clear(kf_begun *begun)
{
    kf_vault_answer_clear(&begun->vault_answer);
    kf_script_clear(&begun->message.script);
}

/* S1: the category comes with the request, is the recorded card's, or follows from the longest prefix of
 * number or ICCID. */
static kf_code find_category(kf_kmu *kmu, const kf_request_form *form, const kf_card_row *card,
                             kf_category *ret_category, kf_error *error)
{
    const kf_procedure_request *request = &form->request;
    bool recorded = card->found && card->record.state != KF_CARD_BLANK;
    if (recorded && request->category[0] != '\0' && strcmp(request->category, card->record.category) != 0)
        return kf_fail(error, KF_ERR_CATEGORY,
                       "card %s is of category %s, not %s; leave the category out or clear the card first",
                       card->record.identity, card->record.category, request->category);
    if (request->category[0] != '\0')
        return kf_categories_by_name(kmu->categories, request->category, ret_category, error);
    if (recorded) return kf_categories_by_name(kmu->categories, card->record.category, ret_category, error);
    return kf_categories_by_prefix(kmu->categories, request->number, request->iccid, ret_category, error);
}

static kf_code check_numbers(kf_kmu *kmu, const kf_request_form *form, const kf_card_row *card,
                             const kf_category *category, uint32_t *ret_floor, kf_error *error)
{
    const kf_procedure_request *request = &form->request;
    *ret_floor = 0;
    if (request->iccid[0] != '\0') KF_TRY(kf_number_check(&category->iccid, "ICCID", request->iccid, error));
    if (request->operation != KF_OPERATION_FILL) return KF_OK;
    KF_TRY(kf_number_check(&category->number, "number", request->number, error));
    /* A card that is not on record by what it reports may still be proven to be the number's: the write
     * decides. */
    const char *identity =
        card->found ? card->record.identity : (form->identity[0] != '\0' ? form->identity : NULL);
    return kf_number_check_free(kmu->front.database, request->number, identity, ret_floor, error);
}

static kf_code call_begin(kf_kmu *kmu, const kf_request_form *form, const kf_card_row *card,
                          const kf_buffer *profile, const kf_buffer *module, kf_begun *begun, kf_error *error)
{
    kf_begin_message message = {
        .request = form->request,
        .profile = kf_buffer_view(profile),
        .record = kf_buffer_view(&card->sealed),
        .module = kf_buffer_view(module),
    };
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_begin_message_put(&payload, &message);
    KF_TRY(kf_buffer_status(&payload));
    KF_TRY(kf_vault_call(kmu->front.vault, KF_VAULT_PROCEDURE_BEGIN, kf_buffer_view(&payload),
                         &begun->vault_answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&begun->vault_answer.payload));
    if (kf_procedure_message_take(&cursor, &begun->message) != KF_OK)
        return kf_fail(error, KF_ERR_VAULT, "the vault's answer is not understood");
    return KF_OK;
}

static kf_code begin_for_card(kf_kmu *kmu, kf_request_row *row, kf_request_form *form,
                              const kf_card_row *card, kf_begun *begun, kf_error *error)
{
    kf_category category;
    KF_TRY(find_category(kmu, form, card, &category, error));
    const kf_bounds_caller caller = {row->caller, row->terminal};
    const char *number = form->request.number[0] != '\0' ? form->request.number : card->record.number;
    KF_TRY(kf_bounds_check(kmu, &caller, category.name, number, error));
    KF_TRY(check_numbers(kmu, form, card, &category, &form->request.generation_floor, error));
    KF_TRY(kf_text_copy(form->request.category, sizeof form->request.category, category.name));
    /* A card stays with the profile it was filled under until it is cleared. */
    bool recorded = card->found && card->record.state != KF_CARD_BLANK;
    KF_TRY(
        kf_text_copy(row->profile, sizeof row->profile, recorded ? card->record.profile : category.profile));
    KF_CLEANUP(kf_buffer_clear) kf_buffer profile = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer module = KF_BUFFER_INIT;
    KF_TRY(kf_profile_text(kmu->front.database, row->profile, &profile, error));
    if (form->request.module[0] != '\0')
        KF_TRY(kf_module_content(kmu->front.database, form->request.module, &module,
                                 form->request.module_digest, error));
    return call_begin(kmu, form, card, &profile, &module, begun, error);
}

kf_code kf_request_begin(kf_kmu *kmu, kf_request_row *row, const json_t *body, kf_begun *begun,
                         kf_error *error)
{
    kf_request_form form;
    KF_TRY(kf_front_settle(&kmu->front, error));
    KF_TRY(kf_request_form_read(body, &form, error));
    form.request.attempt = row->attempt;
    KF_TRY(kf_text_copy(form.request.actor.who, sizeof form.request.actor.who, row->caller));
    KF_TRY(kf_text_copy(form.request.actor.request, sizeof form.request.actor.request, row->id));
    KF_TRY(kf_text_copy(row->operation, sizeof row->operation, kf_operation_name(form.request.operation)));
    KF_TRY(kf_text_copy(row->terminal, sizeof row->terminal, form.request.terminal));
    KF_TRY(kf_text_copy(row->module, sizeof row->module, form.request.module));
    KF_TRY(kf_text_copy(row->iccid, sizeof row->iccid, form.request.iccid));
    /* A new attempt knows which card it is. */
    if (row->card[0] != '\0') memcpy(form.identity, row->card, sizeof form.identity);
    KF_CLEANUP(kf_card_row_clear) kf_card_row card = {0};
    KF_TRY(kf_card_by_report(kmu->front.database, &form, &card, error));
    const kf_card_claim claim = {form.identity, row->id, row->caller, row->terminal, kf_kmu_now(kmu)};
    if (card.found) KF_TRY(kf_card_check_claim(&card, &claim, error));
    return begin_for_card(kmu, row, &form, &card, begun, error);
}

typedef struct begin_work {
    kf_kmu *kmu;
    kf_request_row *row;
    const kf_begun *begun;
} begin_work;

static kf_code write_begin(kf_database *database, void *context, kf_error *error)
{
    const begin_work *work = context;
    const kf_request_row *row = work->row;
    const kf_bounds_caller caller = {row->caller, row->terminal};
    KF_TRY(kf_request_row_insert(database, row, kf_kmu_now(work->kmu), error));
    KF_TRY(kf_bounds_count(database, &caller, kf_kmu_now(work->kmu), error));
    return kf_front_audit_receipts(database, &work->begun->vault_answer.receipts, "", error);
}

static kf_code check_id(const json_t *body, const char **ret_id, kf_error *error)
{
    const char *id = "";
    KF_TRY(kf_json_text(body, "id", 64, &id, error));
    KF_TRY(kf_request_id_check(id, error));
    *ret_id = id;
    return KF_OK;
}

static kf_code begin_new(kf_kmu *kmu, kf_request_row *row, const json_t *body, kf_http_response *response,
                         kf_error *error)
{
    KF_CLEANUP(kf_begun_clear) kf_begun begun = {.vault_answer = KF_VAULT_ANSWER_INIT};
    KF_TRY(kf_request_begin(kmu, row, body, &begun, error));
    row->step = begun.message.step;
    KF_TRY(kf_request_answer_write(row, &begun.message, &row->first_answer, error));
    begin_work work = {kmu, row, &begun};
    KF_TRY(kf_database_write(kmu->front.database, write_begin, &work, error));
    return kf_request_answer_send(&row->first_answer, response, error);
}

/* A refused request leaves an audit row; nothing else of it is kept, so that the same id may be tried again
 * once the cause is gone. A fault of the machine is no refusal. */
static void audit_refusal(kf_kmu *kmu, const char *caller, const char *id, const kf_error *failure)
{
    if ((int)failure->code < 0 || failure->code == KF_ERR_BUSY) return;
    const kf_audit_event event = {
        .actor = caller,
        .action = "request.refused",
        .subject = id,
        .outcome = kf_code_name(failure->code),
        .detail = kf_error_text(failure),
    };
    kf_error error;
    if (kf_kmu_audit(kmu, &event, &error) != KF_OK)
        kf_log(KF_LOG_ERROR, "no audit row for the refused request %s of %s: %s", id, caller,
               kf_error_text(&error));
}

kf_code kf_handle_request_begin(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error)
{
    kf_kmu *kmu = context;
    const char *id = "";
    KF_TRY(check_id(request->json, &id, error));
    (void)snprintf(response->request_id, sizeof response->request_id, "%s", id);
    kf_caller_text caller = kf_caller_show(request->caller);
    KF_CLEANUP(kf_request_row_clear) kf_request_row row = {0};
    KF_TRY(kf_request_row_find(kmu->front.database, caller.text, id, &row, error));
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(kf_sha256(request->body, digest));
    if (row.found) {
        if (memcmp(digest, row.body_digest, sizeof digest) != 0)
            return kf_fail(error, KF_ERR_CONFLICT,
                           "request %s was made before with another body; a new request needs a new id", id);
        return kf_request_answer_send(&row.first_answer, response, error);
    }
    memcpy(row.body_digest, digest, sizeof digest);
    kf_buffer_append(&row.body, request->body);
    KF_TRY(kf_buffer_status(&row.body));
    row.attempt = 1;
    KF_TRY(kf_text_copy(row.state, sizeof row.state, "open"));
    kf_error failure = {0};
    kf_code code = begin_new(kmu, &row, request->json, response, &failure);
    if (code == KF_OK) return KF_OK;
    kf_fail_plain(&failure, code);
    if (code == KF_ERR_QUOTA) response->retry_after_seconds = kf_bounds_seconds_left(kf_kmu_now(kmu));
    audit_refusal(kmu, caller.text, id, &failure);
    return kf_fail(error, code, "%s", kf_error_text(&failure));
}
