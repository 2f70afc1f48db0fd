#include "vault/procedure_requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "crypto/random.h"
#include "vault/procedure_messages.h"
#include "vault/proposal_acts.h"
#include "vault/sealed_token.h"

#define PROFILES_KEPT 16

/* Profiles that were read lately, so that each is parsed once. */
struct kf_vault_procedures {
    size_t next;
    struct {
        bool used;
        kf_profile profile;
    } kept[PROFILES_KEPT];
};

void kf_vault_procedures_free(struct kf_vault_procedures **procedures)
{
    free(*procedures);
    *procedures = NULL;
}

static kf_code profile_of(kf_vault *vault, kf_view text, const kf_profile **ret_profile, kf_error *error)
{
    if (vault->procedures == NULL) vault->procedures = calloc(1, sizeof *vault->procedures);
    struct kf_vault_procedures *procedures = vault->procedures;
    if (procedures == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(kf_sha256(text, digest));
    for (size_t i = 0; i < PROFILES_KEPT; i++) {
        if (!procedures->kept[i].used ||
            memcmp(procedures->kept[i].profile.digest, digest, sizeof digest) != 0)
            continue;
        *ret_profile = &procedures->kept[i].profile;
        return KF_OK;
    }
    size_t place = procedures->next;
    KF_TRY(kf_profile_parse(text, &procedures->kept[place].profile, error));
    procedures->kept[place].used = true;
    procedures->next = (place + 1) % PROFILES_KEPT;
    *ret_profile = &procedures->kept[place].profile;
    return KF_OK;
}

/* What a handler opened for one step. */
typedef struct step_parts {
    kf_procedure_context context;
    kf_card_record record;
    bool has_record;
    kf_cap_file *module;
    uint8_t module_digest[KF_DIGEST_SIZE];
} step_parts;

static void step_parts_clear(step_parts *parts)
{
    kf_cap_file_free(&parts->module);
}

static kf_code open_parts(kf_vault *vault, kf_view profile, kf_view record, kf_view module, step_parts *parts,
                          kf_error *error)
{
    KF_TRY(kf_vault_ready(vault, error));
    parts->context.keys = vault->keys;
    parts->context.now = vault->clock();
    parts->context.development = vault->development;
    KF_TRY(profile_of(vault, profile, &parts->context.profile, error));
    KF_TRY(kf_random_bytes(parts->context.fresh, sizeof parts->context.fresh));
    if (record.size > 0) {
        if (kf_card_record_open(record, kf_key_store_record_key(vault->keys), &parts->record) != KF_OK)
            return kf_fail(error, KF_ERR_RECORD,
                           "the card's record does not carry this vault's MAC: the database was altered, or "
                           "belongs to another "
                           "key store");
        parts->has_record = true;
    }
    if (module.size > 0) {
        KF_TRY(kf_cap_file_parse(module, &parts->module, error));
        KF_TRY(kf_sha256(module, parts->module_digest));
        parts->context.module = parts->module;
    }
    return KF_OK;
}

static kf_code put_step(kf_vault *vault, const kf_procedure_state *state, kf_procedure_result *result,
                        uint64_t replaced_sequence, kf_buffer *answer)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer record = KF_BUFFER_INIT;
    kf_procedure_message message = {
        .outcome = result->outcome,
        .step = state->step,
        .attempt = state->attempt,
        .script = result->script,
        .replaced_sequence = replaced_sequence,
        .round_trips = state->round_trips,
        .apdus = state->apdus,
        .generation = state->record.present.generation,
        .base_key_version = state->record.present.base_key_version,
    };
    if (result->outcome == KF_PROCEDURE_CONTINUE) KF_TRY(kf_token_seal(vault->keys, state, &token));
    if (result->record_changed)
        KF_TRY(kf_card_record_seal(&state->record, kf_key_store_record_key(vault->keys), &record));
    message.token = kf_buffer_view(&token);
    message.record = kf_buffer_view(&record);
    if (result->outcome == KF_PROCEDURE_DONE) message.applications = kf_buffer_view(&state->applications);
    const char *identity =
        result->outcome == KF_PROCEDURE_NEED_RECORD ? result->identity : state->record.identity;
    KF_TRY(kf_text_copy(message.identity, sizeof message.identity, identity));
    KF_TRY(kf_text_copy(message.number, sizeof message.number, state->record.number));
    KF_TRY(kf_text_copy(message.category, sizeof message.category, state->request.category));
    KF_TRY(kf_text_copy(message.kcv, sizeof message.kcv, result->kcv));
    KF_TRY(kf_text_copy(message.personalised, sizeof message.personalised, result->personalised));
    KF_TRY(kf_text_copy(message.kept, sizeof message.kept, result->kept));
    KF_TRY(kf_text_copy(message.text, sizeof message.text, result->text));
    kf_procedure_message_put(answer, &message);
    return kf_buffer_status(answer);
}

/* "card.fill", "card.fill.intent". */
static kf_code receipt_of(kf_vault *vault, const kf_procedure_request *request, const char *suffix,
                          const char *subject, const char *kcv, kf_code outcome, kf_error *error)
{
    char name[KF_RECEIPT_ACT_SIZE];
    (void)snprintf(name, sizeof name, "card.%s%s", kf_operation_name(request->operation), suffix);
    const kf_vault_act act = {
        .actor = &request->actor,
        .act = name,
        .subject = subject,
        .kcv = kcv[0] != '\0' ? kcv : NULL,
        .outcome = outcome,
    };
    return kf_vault_receipt(vault, &act, error);
}

static kf_code check_module(const kf_procedure_request *request, const step_parts *parts, kf_error *error)
{
    if (parts->module == NULL) return KF_OK;
    if (memcmp(request->module_digest, parts->module_digest, sizeof parts->module_digest) == 0) return KF_OK;
    return kf_fail(error, KF_ERR_MODULE,
                   "module %s is not the one that was registered: its hash differs; register it again",
                   request->module);
}

/* Only a request that begins is refused: the token of one under way binds profile and module, and a card must
 * not stay half written. */
static kf_code check_permits(const kf_vault *vault, const kf_procedure_request *request,
                             const step_parts *parts, kf_error *error)
{
    const kf_profile *profile = parts->context.profile;
    KF_TRY(kf_vault_check_permit(
        vault, &(kf_permit_wanted){KF_PERMIT_PROFILE, profile->name, profile->digest}, error));
    if (parts->module == NULL) return KF_OK;
    return kf_vault_check_permit(
        vault, &(kf_permit_wanted){KF_PERMIT_MODULE, request->module, parts->module_digest}, error);
}

static kf_code begin(kf_vault *vault, const kf_begin_message *message, step_parts *parts, kf_buffer *answer,
                     kf_error *error)
{
    KF_TRY(open_parts(vault, message->profile, message->record, message->module, parts, error));
    KF_TRY(check_module(&message->request, parts, error));
    KF_TRY(check_permits(vault, &message->request, parts, error));
    kf_procedure_state state = {0};
    kf_procedure_result result = {0};
    KF_TRY(kf_procedure_begin(&parts->context, &message->request, parts->has_record ? &parts->record : NULL,
                              &state, &result, error));
    kf_code code = put_step(vault, &state, &result, 0, answer);
    kf_procedure_result_clear(&result);
    kf_procedure_state_clear(&state);
    return kf_fail_plain(error, code);
}

kf_code kf_vault_handle_begin(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_begin_message message;
    KF_TRY(kf_begin_message_take(request, &message));
    step_parts parts = {0};
    kf_code code = begin(vault, &message, &parts, answer, error);
    step_parts_clear(&parts);
    return code;
}

/* The step's receipt: what was begun, what is done, or why it was refused. */
static kf_code receipt_of_step(kf_vault *vault, const kf_procedure_state *state,
                               const kf_procedure_result *result, kf_error *error)
{
    if (result->outcome == KF_PROCEDURE_DONE)
        return receipt_of(vault, &state->request, "", state->record.identity, result->kcv, KF_OK, error);
    if (result->record_changed)
        return receipt_of(vault, &state->request, ".intent", state->record.identity, "", KF_OK, error);
    return KF_OK;
}

static kf_code advance_state(kf_vault *vault, const kf_advance_message *message, step_parts *parts,
                             kf_procedure_state *state, kf_buffer *answer, kf_error *error)
{
    if (state->step != message->step || state->attempt != message->attempt)
        return kf_fail(error, KF_ERR_TOKEN,
                       "the token is of step %u, attempt %u; these are answers of step %u, attempt %u",
                       state->step, state->attempt, message->step, message->attempt);
    KF_TRY(check_module(&state->request, parts, error));
    /* Its MAC is good for the card that it was made for. */
    if (parts->has_record && strcmp(parts->record.identity, message->looked_up) != 0)
        return kf_fail(error, KF_ERR_RECORD, "the record that came for card %s is that of card %s",
                       message->looked_up, parts->record.identity);
    kf_procedure_answers answers = {.answers = &message->answers,
                                    .record = parts->has_record ? &parts->record : NULL};
    KF_TRY(kf_text_copy(answers.looked_up, sizeof answers.looked_up, message->looked_up));
    bool was_recorded = state->recorded;
    uint64_t sequence_before = state->record.sequence;
    kf_procedure_result result = {0};
    kf_code code = kf_procedure_advance(&parts->context, state, &answers, &result, error);
    if (code != KF_OK) {
        /* A refusal is an act as well; the first error is the one to tell. */
        const char *subject = state->record.identity[0] != '\0' ? state->record.identity : message->looked_up;
        KF_TRY(receipt_of(vault, &state->request, "", subject, "", code, NULL));
        return code;
    }
    /* The first change follows the record that was handed in, later ones those of this request. */
    uint64_t replaced = was_recorded ? sequence_before : (parts->has_record ? parts->record.sequence : 0);
    code = receipt_of_step(vault, state, &result, error);
    if (code == KF_OK) code = put_step(vault, state, &result, replaced, answer);
    kf_procedure_result_clear(&result);
    return kf_fail_plain(error, code);
}

static kf_code advance(kf_vault *vault, const kf_advance_message *message, step_parts *parts,
                       kf_buffer *answer, kf_error *error)
{
    KF_TRY(open_parts(vault, message->profile, message->record, message->module, parts, error));
    kf_procedure_state state = {0};
    KF_TRY(kf_token_open(vault->keys, &message->actor, message->token, parts->context.now, &state, error));
    kf_code code = advance_state(vault, message, parts, &state, answer, error);
    kf_procedure_state_clear(&state);
    return code;
}

kf_code kf_vault_handle_advance(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_advance_message message;
    KF_TRY(kf_advance_message_take(request, &message));
    step_parts parts = {0};
    kf_code code = advance(vault, &message, &parts, answer, error);
    step_parts_clear(&parts);
    kf_script_answers_clear(&message.answers);
    return code;
}
