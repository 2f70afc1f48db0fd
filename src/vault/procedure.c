#include "vault/procedure.h"

#include <stdio.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "crypto/digest.h"
#include "vault/procedure_plan.h"

#define SCP03 3

void kf_procedure_result_clear(kf_procedure_result *result)
{
    kf_script_clear(&result->script);
    *result = (kf_procedure_result){0};
}

static kf_code digest_of(const kf_script *script, uint8_t ret_digest[KF_DIGEST_SIZE])
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_script_encode(script, &bytes);
    KF_TRY(kf_buffer_status(&bytes));
    return kf_sha256(kf_buffer_view(&bytes), ret_digest);
}

/* -- begin -- */

static kf_code check_personalisation(const kf_procedure_context *context, const kf_procedure_request *request,
                                     const kf_key_entry *entry, kf_error *error)
{
    const kf_diversification *template = kf_key_store_diversification(context->keys, entry);
    for (size_t i = 0; i < request->personalisation.count; i++) {
        const char *name = request->personalisation.items[i].name;
        bool wanted = template != NULL && kf_diversification_uses(template, name);
        for (size_t j = 0; j < context->profile->field_count; j++)
            wanted = wanted || (strcmp(context->profile->fields[j].name, name) == 0 &&
                                context->profile->fields[j].derived_size == 0);
        if (!wanted)
            return kf_fail(error, KF_ERR_FIELD,
                           "personalisation %s: neither profile %s nor the base key's diversification takes "
                           "such a field from an "
                           "order",
                           name, context->profile->name);
    }
    return KF_OK;
}

/* Modules are an operator's; what the profile made is left by clear alone. */
static kf_code check_module(const kf_procedure_context *context, const kf_procedure_request *request,
                            kf_error *error)
{
    if (request->operation != KF_OPERATION_APP_LOAD && request->operation != KF_OPERATION_APP_DELETE)
        return KF_OK;
    if (context->module == NULL)
        return kf_fail(error, KF_ERR_MODULE, "%s needs the name of a registered module",
                       kf_operation_name(request->operation));
    const kf_profile *profile = context->profile;
    kf_view package = kf_cap_file_package_aid(context->module);
    bool own = kf_view_equal(package, kf_aid_view(&profile->domain)) ||
               kf_view_equal(package, kf_aid_view(&profile->issuer_domain));
    for (size_t i = 0; i < profile->module_count; i++)
        own = own || kf_view_equal(package, kf_aid_view(&profile->modules[i].load_file));
    if (own)
        return kf_fail(error, KF_ERR_MODULE,
                       "module %s has an AID of profile %s itself, which no application request touches",
                       request->module, profile->name);
    return KF_OK;
}

/* What can be refused before the card is touched. */
static kf_code check_request(const kf_procedure_context *context, const kf_procedure_request *request,
                             const kf_card_record *known, kf_error *error)
{
    const kf_key_entry *entry;
    if (request->operation != KF_OPERATION_REFILL) {
        KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_CARD_MANAGER, request->category, 0, &entry, error));
        KF_TRY(kf_procedure_check_policy(context, entry, error));
    }
    if (request->operation == KF_OPERATION_FILL) {
        if (request->number[0] == '\0')
            return kf_fail(error, KF_ERR_FIELD, "number: a fill needs the card's number");
        KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_PAYMENT, request->category, 0, &entry, error));
        KF_TRY(kf_procedure_check_policy(context, entry, error));
        KF_TRY(check_personalisation(context, request, entry, error));
        if (request->write_number)
            KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_ADM, request->category, 0, &entry, error));
    }
    if (request->operation == KF_OPERATION_REFILL && known == NULL)
        return kf_fail(error, KF_ERR_STATE,
                       "this card is not on record; a refill renews a key that a fill wrote: ask for fill");
    return check_module(context, request, error);
}

/* A suspended or destroyed base key tells no cryptogram. */
static bool pending_is_usable(const kf_procedure_context *context, const kf_card_record *record)
{
    const kf_key_entry *entry = NULL;
    if (kf_procedure_card_base_key(context, record, &record->pending, &entry, NULL) != KF_OK) return false;
    return entry->state == KF_KEY_ACTIVE || entry->state == KF_KEY_DEACTIVATED;
}

static kf_code contact_script(const kf_procedure_context *context, const kf_procedure_state *state,
                              kf_script *script, kf_contact_layout *ret_layout)
{
    bool moves = kf_moves_key_version(&state->record);
    bool usable = moves && pending_is_usable(context, &state->record);
    return kf_contact_script(state, context->profile, usable, script, ret_layout);
}

static kf_code contact_into(const kf_procedure_context *context, kf_procedure_state *state,
                            kf_procedure_result *result)
{
    memcpy(state->issuer_challenge, context->fresh[0], KF_HOST_CHALLENGE_SIZE);
    memcpy(state->domain_challenge, context->fresh[1], KF_HOST_CHALLENGE_SIZE);
    state->script = KF_SCRIPT_CONTACT;
    kf_contact_layout layout;
    KF_TRY(contact_script(context, state, &result->script, &layout));
    result->outcome = KF_PROCEDURE_CONTINUE;
    return digest_of(&result->script, state->script_digest);
}

kf_code kf_procedure_begin(const kf_procedure_context *context, const kf_procedure_request *request,
                           const kf_card_record *known, kf_procedure_state *ret_state,
                           kf_procedure_result *ret_result, kf_error *error)
{
    KF_TRY(check_request(context, request, known, error));
    kf_procedure_state state = {
        .request = *request,
        .step = 1,
        .attempt = request->attempt,
        .expires = context->now + KF_PROCEDURE_LIFETIME_MS,
        .round_trips = 1,
        .applications = kf_buffer_with_limit(KF_APPLICATION_LIST_MAX),
    };
    memcpy(state.profile_digest, context->profile->digest, sizeof state.profile_digest);
    if (known != NULL) state.record = *known;
    kf_procedure_result result = {0};
    kf_code code = contact_into(context, &state, &result);
    if (code != KF_OK) {
        kf_procedure_result_clear(&result);
        return kf_fail_plain(error, code);
    }
    *ret_state = state;
    *ret_result = result;
    return KF_OK;
}

/* -- after the contact -- */

static kf_code update_of(kf_view answer, const char *which, kf_initialize_update *ret_update,
                         kf_hex_text *ret_data, kf_error *error)
{
    kf_code code = kf_initialize_update_parse(answer, ret_update, error);
    if (code != KF_OK) return error != NULL ? kf_error_prefix(error, "%s", which) : code;
    if (ret_update->protocol != SCP03)
        return kf_fail(error, KF_ERR_CARD_UNSUITABLE,
                       "%s: the card answers with SCP%02X; the profile's AES keys open SCP03 alone", which,
                       ret_update->protocol);
    *ret_data = kf_hex_show(KF_VIEW(ret_update->diversification_data));
    return KF_OK;
}

/* The identity that the card-manager cryptogram proves: what its key was diversified by. */
static kf_code identity_of(const kf_procedure_context *context, const kf_procedure_state *state,
                           const char *data, char ret_identity[KF_IDENTITY_SIZE], kf_error *error)
{
    const kf_key_entry *entry = NULL;
    const kf_diversification *template = NULL;
    if (kf_procedure_base_key(context, KF_PURPOSE_CARD_MANAGER, state->request.category, 0, &entry, NULL) ==
        KF_OK)
        template = kf_key_store_diversification(context->keys, entry);
    bool by_iccid = template != NULL && !kf_diversification_uses(template, "kdd") &&
                    kf_diversification_uses(template, "iccid");
    if (by_iccid && state->request.iccid[0] == '\0')
        return kf_fail(error, KF_ERR_FIELD,
                       "iccid: the card-manager key is diversified by the ICCID, which was not read");
    (void)snprintf(ret_identity, KF_IDENTITY_SIZE, by_iccid ? "iccid:%s" : "kdd:%s",
                   by_iccid ? state->request.iccid : data);
    return KF_OK;
}

/* The record of that identity; a new one where there is none. */
static kf_code take_record(const kf_card_record *record, const char *identity, kf_procedure_state *state,
                           kf_error *error)
{
    if (record == NULL) {
        state->record = (kf_card_record){.state = KF_CARD_BLANK};
        return kf_text_copy(state->record.identity, sizeof state->record.identity, identity);
    }
    if (strcmp(record->identity, identity) != 0)
        return kf_fail(error, KF_ERR_RECORD, "the record that was found for card %s is that of card %s",
                       identity, record->identity);
    /* Base keys are chosen by category: a card that has one keeps it, whatever the front says. */
    if (record->state != KF_CARD_BLANK && strcmp(record->category, state->request.category) != 0)
        return kf_fail(error, KF_ERR_CATEGORY, "card %s is of category %s, not %s; clear it first", identity,
                       record->category, state->request.category);
    state->record = *record;
    return KF_OK;
}

static kf_code prove_issuer(const kf_procedure_context *context, const kf_procedure_state *state,
                            kf_view answer, const char *data, kf_error *error)
{
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_channel_keys(context, state, KF_KEYS_ISSUER, data, &keys, error));
    bool fits = kf_procedure_fits(&keys, state->issuer_challenge, answer);
    kf_card_keys_clear(&keys);
    if (fits) return KF_OK;
    return kf_fail(error, KF_ERR_CRYPTOGRAM,
                   "the card does not hold the card-manager key of category %s (its cryptogram does not "
                   "verify): it is another "
                   "maker's card, or a program that imitates one; nothing was sent to it",
                   state->request.category);
}

/* A key that is not there is none that the card could hold. One that its policy or its state keeps from this
 * request may well be the card's: the card is not to be taken for another. The issuer's and the previous one
 * are tried in case only.
 */
static bool is_no_candidate(kf_channel_keys kind, kf_code code)
{
    bool in_case = kind == KF_KEYS_ISSUER || kind == KF_KEYS_PREVIOUS;
    return !kf_derivation_fault_passes(code) && !(!in_case && code == KF_ERR_KEY_POLICY);
}

/* Which of the keys that the card may hold fits the domain; nothing is sent to the card for it. */
static kf_code find_domain_keys(const kf_procedure_context *context, kf_procedure_state *state,
                                kf_view answer, const char *data, kf_error *error)
{
    static const kf_channel_keys candidates[] = {KF_KEYS_PRESENT, KF_KEYS_PENDING, KF_KEYS_PREVIOUS,
                                                 KF_KEYS_FACTORY, KF_KEYS_ISSUER};
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        kf_channel_keys kind = candidates[i];
        if (kind == KF_KEYS_PRESENT && state->record.present.generation == 0) continue;
        if (kind == KF_KEYS_PENDING && state->record.pending.generation == 0) continue;
        if (kind == KF_KEYS_PREVIOUS && state->record.previous.generation == 0) continue;
        if (kind == KF_KEYS_FACTORY && context->profile->preloaded_base_key[0] == '\0') continue;
        kf_card_keys keys = {0};
        kf_error reason = {KF_OK, ""};
        kf_code code = kf_procedure_channel_keys(context, state, kind, data, &keys, &reason);
        if (code != KF_OK && is_no_candidate(kind, code)) continue;
        (void)kf_fail_plain(&reason, code);
        if (code != KF_OK) return kf_fail(error, code, "%s", kf_error_text(&reason));
        bool fits = kf_procedure_fits(&keys, state->domain_challenge, answer);
        kf_card_keys_clear(&keys);
        if (!fits) continue;
        state->facts.domain_keys = kind;
        return KF_OK;
    }
    state->facts.domain_keys = KF_KEYS_NONE;
    return KF_OK;
}

static kf_code decide(const kf_procedure_context *context, kf_procedure_state *state, const char *data,
                      bool *ret_done, kf_error *error)
{
    *ret_done = false;
    switch (state->request.operation) {
    case KF_OPERATION_FILL: return kf_fill_decide(context, state, data, error);
    case KF_OPERATION_REFILL: return kf_refill_decide(context, state, ret_done, error);
    case KF_OPERATION_CLEAR: return kf_clear_decide(context, state, ret_done, error);
    case KF_OPERATION_APP_LOAD:
    case KF_OPERATION_APP_LIST:
    case KF_OPERATION_APP_DELETE:
    default: return KF_OK;
    }
}

static kf_code set_session(kf_procedure_state *state, const uint8_t *challenge, kf_view answer)
{
    if (answer.size == 0 || answer.size > sizeof state->session_answer) return KF_ERR_APDU;
    memcpy(state->session_challenge, challenge, KF_HOST_CHALLENGE_SIZE);
    memcpy(state->session_answer, answer.data, answer.size);
    state->session_answer_size = (uint8_t)answer.size;
    return KF_OK;
}

/* The script of state.session, with fresh challenges for the session after it. */
static kf_code session_into(const kf_procedure_context *context, kf_procedure_state *state,
                            kf_procedure_result *result, kf_error *error)
{
    memcpy(state->issuer_challenge, context->fresh[0], KF_HOST_CHALLENGE_SIZE);
    memcpy(state->domain_challenge, context->fresh[1], KF_HOST_CHALLENGE_SIZE);
    state->script = KF_SCRIPT_SESSION;
    kf_session_script script = {0};
    KF_TRY(kf_session_script_build(context, state, &script, error));
    kf_code code = digest_of(&script.script, state->script_digest);
    if (code == KF_OK) {
        result->script = script.script;
        script.script = (kf_script){0};
        result->outcome = KF_PROCEDURE_CONTINUE;
    }
    kf_session_script_clear(&script);
    return kf_fail_plain(error, code);
}

/* -- advance -- */

/* Which answer the first session goes on from, and the proofs of the contact. */
static kf_code take_contact(const kf_procedure_context *context, kf_procedure_state *state,
                            const kf_contact *contact, const kf_procedure_answers *answers,
                            kf_procedure_result *result, kf_error *error)
{
    bool has_issuer = contact->issuer_answer.size > 0;
    kf_view telling = has_issuer ? contact->issuer_answer : contact->domain_answer;
    kf_initialize_update update;
    kf_hex_text data;
    KF_TRY(
        update_of(telling, has_issuer ? "issuer security domain" : "security domain", &update, &data, error));
    char identity[KF_IDENTITY_SIZE];
    KF_TRY(identity_of(context, state, data.text, identity, error));
    if (strcmp(answers->looked_up, identity) != 0) {
        result->outcome = KF_PROCEDURE_NEED_RECORD;
        return kf_text_copy(result->identity, sizeof result->identity, identity);
    }
    KF_TRY(take_record(answers->record, identity, state, error));
    state->facts = contact->facts;
    if (has_issuer) KF_TRY(prove_issuer(context, state, contact->issuer_answer, data.text, error));
    if (contact->domain_answer.size > 0) {
        kf_hex_text domain_data;
        KF_TRY(update_of(contact->domain_answer, "security domain", &update, &domain_data, error));
        KF_TRY(find_domain_keys(context, state, contact->domain_answer, domain_data.text, error));
    }
    bool done = false;
    KF_TRY(decide(context, state, data.text, &done, error));
    if (done) return kf_finish(context, state, result, error);
    if (kf_changes_card_key(state->request.operation)) {
        state->record.sequence++;
        state->recorded = true;
        result->record_changed = true;
    }
    kf_session_plan plan = kf_plan_sessions(state, context->profile);
    bool issuer = plan.steps[0].issuer;
    KF_TRY(set_session(state, issuer ? state->issuer_challenge : state->domain_challenge,
                       issuer ? contact->issuer_answer : contact->domain_answer));
    state->session = 0;
    return session_into(context, state, result, error);
}

static kf_code advance_contact(const kf_procedure_context *context, kf_procedure_state *state,
                               const kf_procedure_answers *answers, kf_procedure_result *result,
                               kf_error *error)
{
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    kf_contact_layout layout;
    KF_TRY(contact_script(context, state, &script, &layout));
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(digest_of(&script, digest));
    if (memcmp(digest, state->script_digest, sizeof digest) != 0)
        return kf_fail(error, KF_ERR_TOKEN,
                       "keys or software changed since the request began; begin it again");
    KF_TRY(kf_answers_follow(&script, answers->answers, error));
    KF_TRY(kf_key_store_check_room(context->keys, false, error));
    kf_contact contact;
    KF_TRY(kf_contact_read(context->profile, &layout, answers->answers, &contact));
    if (contact.domain_answer.size == 0 && contact.issuer_answer.size == 0)
        return kf_fail(
            error, KF_ERR_STATE,
            "the card has no security domain %s, which would hold its key: a blank card is filled, "
            "not refilled",
            kf_hex_show(kf_aid_view(&context->profile->domain)).text);
    return take_contact(context, state, &contact, answers, result, error);
}

/* The next session's keys must fit before anything is sent to it; a proof is that alone. */
static kf_code enter_next(const kf_procedure_context *context, kf_procedure_state *state,
                          const kf_session_step *step, kf_view answer, bool *ret_proven, kf_error *error)
{
    kf_initialize_update update;
    kf_hex_text data;
    KF_TRY(update_of(answer, "INITIALIZE UPDATE", &update, &data, error));
    const uint8_t *challenge = step->issuer ? state->issuer_challenge : state->domain_challenge;
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_channel_keys(context, state, step->keys, data.text, &keys, error));
    bool fits = kf_procedure_fits(&keys, challenge, answer);
    kf_card_keys_clear(&keys);
    if (!fits)
        return kf_fail(error, KF_ERR_CRYPTOGRAM,
                       "card %s answers with another key than it has to hold now; present it again",
                       state->record.identity);
    *ret_proven = step->kind == KF_SESSION_PROOF;
    return set_session(state, challenge, answer);
}

static kf_code advance_session(const kf_procedure_context *context, kf_procedure_state *state,
                               const kf_procedure_answers *answers, kf_procedure_result *result,
                               kf_error *error)
{
    kf_session_script script = {0};
    KF_TRY(kf_key_store_check_room(context->keys, true, error));
    KF_TRY(kf_session_script_build(context, state, &script, error));
    uint8_t digest[KF_DIGEST_SIZE];
    kf_view update = {NULL, 0};
    bool more = false;
    kf_code code = digest_of(&script.script, digest);
    if (code == KF_OK && memcmp(digest, state->script_digest, sizeof digest) != 0)
        code = kf_fail(error, KF_ERR_TOKEN,
                       "keys or profile changed since the request began; present the card again");
    if (code == KF_OK)
        code = kf_session_script_check(&script, context->profile, answers->answers, state, &update, &more,
                                       error);
    kf_session_script_clear(&script);
    KF_TRY(kf_fail_plain(error, code));
    if (more) return session_into(context, state, result, error);

    kf_session_plan plan = kf_plan_sessions(state, context->profile);
    bool over = state->session + 1U == plan.count;
    if (plan.steps[state->session].kind == KF_SESSION_ABSENCE) {
        bool absent = false;
        KF_TRY(kf_check_absence(state, context->profile, &absent, error));
        if (over && !absent && kf_profile_has_response_mac(context->profile))
            return kf_fail(error, KF_ERR_STATE,
                           "the card gave no authentic list of its applications: whether the key of card %s "
                           "is gone is not proven; it stays %s",
                           state->record.identity, kf_card_state_name(state->record.state));
        over = over || absent;
    }
    if (over) return kf_finish(context, state, result, error);
    state->session++;
    state->first_command = 0;
    bool proven = false;
    KF_TRY(enter_next(context, state, &plan.steps[state->session], update, &proven, error));
    return proven ? kf_finish(context, state, result, error) : session_into(context, state, result, error);
}

kf_code kf_procedure_advance(const kf_procedure_context *context, kf_procedure_state *state,
                             const kf_procedure_answers *answers, kf_procedure_result *ret_result,
                             kf_error *error)
{
    if (memcmp(state->profile_digest, context->profile->digest, sizeof state->profile_digest) != 0)
        return kf_fail(error, KF_ERR_TOKEN, "profile %s changed since the request began; begin it again",
                       context->profile->name);
    /* Steps work on a copy: a failure leaves the state as it was. */
    KF_CLEANUP(kf_buffer_clear) kf_buffer encoded = KF_BUFFER_INIT;
    kf_procedure_state_encode(state, &encoded);
    KF_TRY(kf_buffer_status(&encoded));
    kf_cursor bytes = kf_cursor_of(kf_buffer_view(&encoded));
    kf_procedure_state next = {0};
    KF_TRY(kf_procedure_state_decode(&bytes, &next));
    next.round_trips++;
    next.apdus = (uint16_t)(next.apdus + answers->answers->count);
    next.step++;
    next.expires = context->now + KF_PROCEDURE_LIFETIME_MS;
    kf_procedure_result result = {0};
    kf_code code = next.script == KF_SCRIPT_CONTACT
                       ? advance_contact(context, &next, answers, &result, error)
                       : advance_session(context, &next, answers, &result, error);
    if (code != KF_OK || result.outcome == KF_PROCEDURE_NEED_RECORD) {
        kf_procedure_state_clear(&next);
        if (code != KF_OK) {
            kf_procedure_result_clear(&result);
            return kf_fail_plain(error, code);
        }
        *ret_result = result;
        return KF_OK;
    }
    kf_procedure_state_clear(state);
    *state = next;
    *ret_result = result;
    return KF_OK;
}
