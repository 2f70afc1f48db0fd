#include "vault/procedure_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool writes_applications(const kf_procedure_state *state, const kf_profile *profile)
{
    for (size_t i = 0; i < profile->field_count; i++)
        if (profile->fields[i].place == KF_PLACE_APPLICATION && kf_field_is_written(state, profile, i))
            return true;
    return false;
}

bool kf_profile_has_response_mac(const kf_profile *profile)
{
    return (profile->security_level & KF_LEVEL_R_MAC) != 0;
}

kf_code kf_check_record_profile(const kf_card_record *record, const kf_profile *profile, kf_error *error)
{
    if (record->domain.size == 0 ||
        kf_view_equal(kf_aid_view(&record->domain), kf_aid_view(&profile->domain)))
        return KF_OK;
    return kf_fail(error, KF_ERR_PROFILE,
                   "card %s has its key in another security domain than profile %s names: the profile was "
                   "changed since the fill (it was %s); put the domain's AID back",
                   record->identity, profile->name, record->profile);
}

bool kf_moves_key_version(const kf_card_record *record)
{
    return record->present.generation != 0 && record->pending.generation != 0 &&
           record->present.key_version != record->pending.key_version;
}

bool kf_plan_issuer_last(kf_operation operation, const kf_profile *profile)
{
    if (operation == KF_OPERATION_CLEAR) return profile->key_injection != KF_INJECT_PRELOADED;
    if (operation == KF_OPERATION_FILL)
        return profile->order == KF_PERSONALISATION_FIRST &&
               kf_profile_has_place(profile, KF_PLACE_APPLICATION);
    return operation != KF_OPERATION_REFILL;
}

static void add_step(kf_session_plan *plan, kf_session_kind kind, bool issuer, kf_channel_keys keys)
{
    plan->steps[plan->count++] = (kf_session_step){kind, issuer, keys};
}

static void plan_fill(const kf_procedure_state *state, const kf_profile *profile, kf_session_plan *plan)
{
    bool applications = writes_applications(state, profile);
    bool present = state->facts.domain_present;
    bool key_first = profile->order == KF_KEY_FIRST;
    if (present) {
        /* Personalisation first: the contact asked the issuer domain last (kf_plan_issuer_last). */
        if (kf_plan_issuer_last(KF_OPERATION_FILL, profile))
            add_step(plan, KF_SESSION_APPLY, true, KF_KEYS_ISSUER);
        add_step(plan, KF_SESSION_KEY, false, state->facts.domain_keys);
    } else {
        add_step(plan, KF_SESSION_CREATE, true, KF_KEYS_ISSUER);
        if (profile->key_injection != KF_INJECT_STORE_DATA)
            add_step(plan, KF_SESSION_KEY, false, KF_KEYS_ISSUER);
    }
    bool in_create = !present && profile->key_injection == KF_INJECT_STORE_DATA;
    if (applications && key_first && !in_create) add_step(plan, KF_SESSION_APPLY, true, KF_KEYS_ISSUER);
    if (!kf_profile_has_response_mac(profile)) add_step(plan, KF_SESSION_PROOF, false, KF_KEYS_PENDING);
}

static void plan_refill(const kf_procedure_state *state, const kf_profile *profile, kf_session_plan *plan)
{
    bool moves = kf_moves_key_version(&state->record);
    if (!moves || state->facts.domain_keys != KF_KEYS_PENDING)
        add_step(plan, KF_SESSION_KEY, false, state->facts.domain_keys);
    if (moves)
        add_step(plan, KF_SESSION_RETIRE, false, KF_KEYS_PENDING);
    else if (!kf_profile_has_response_mac(profile))
        add_step(plan, KF_SESSION_PROOF, false, KF_KEYS_PENDING);
}

static void plan_clear(const kf_procedure_state *state, const kf_profile *profile, kf_session_plan *plan)
{
    if (!state->facts.domain_present) {
        add_step(plan, KF_SESSION_ABSENCE, true, KF_KEYS_ISSUER);
        if (kf_profile_has_response_mac(profile) && profile->key_injection != KF_INJECT_PRELOADED)
            add_step(plan, KF_SESSION_PROBE, true, KF_KEYS_ISSUER);
    } else if (profile->key_injection == KF_INJECT_PRELOADED) {
        add_step(plan, KF_SESSION_RESTORE, false, state->facts.domain_keys);
        if (kf_profile_has_place(profile, KF_PLACE_APPLICATION))
            add_step(plan, KF_SESSION_APPLY, true, KF_KEYS_ISSUER);
        if (!kf_profile_has_response_mac(profile) && profile->preloaded_base_key[0] != '\0')
            add_step(plan, KF_SESSION_PROOF, false, KF_KEYS_FACTORY);
    } else {
        add_step(plan, KF_SESSION_DELETE, true, KF_KEYS_ISSUER);
    }
}

kf_session_plan kf_plan_sessions(const kf_procedure_state *state, const kf_profile *profile)
{
    kf_session_plan plan = {0};
    switch (state->request.operation) {
    case KF_OPERATION_FILL: plan_fill(state, profile, &plan); break;
    case KF_OPERATION_REFILL: plan_refill(state, profile, &plan); break;
    case KF_OPERATION_CLEAR: plan_clear(state, profile, &plan); break;
    case KF_OPERATION_APP_LOAD: add_step(&plan, KF_SESSION_LOAD, true, KF_KEYS_ISSUER); break;
    case KF_OPERATION_APP_LIST: add_step(&plan, KF_SESSION_LIST, true, KF_KEYS_ISSUER); break;
    case KF_OPERATION_APP_DELETE: add_step(&plan, KF_SESSION_UNLOAD, true, KF_KEYS_ISSUER); break;
    }
    return plan;
}

kf_session_command *kf_session_append(kf_session *session, const char *label, bool wrapped)
{
    if (session->count == KF_SESSION_COMMANDS_MAX) return NULL;
    if (session->count == session->capacity) {
        size_t capacity = session->capacity == 0 ? 16 : session->capacity * 2;
        kf_session_command *commands = realloc(session->commands, capacity * sizeof *commands);
        if (commands == NULL) return NULL;
        session->commands = commands;
        session->capacity = capacity;
    }
    kf_session_command *command = &session->commands[session->count++];
    *command = (kf_session_command){.wrapped = wrapped};
    (void)snprintf(command->label, sizeof command->label, "%s", label);
    return command;
}

void kf_session_clear(kf_session *session)
{
    for (size_t i = 0; i < session->count; i++) {
        kf_buffer_clear(&session->commands[i].apdu);
        kf_buffer_clear(&session->commands[i].expected);
    }
    free(session->commands);
    *session = (kf_session){0};
}
