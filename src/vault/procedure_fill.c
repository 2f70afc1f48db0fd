#include <stdio.h>
#include <string.h>

#include "vault/procedure_plan.h"

/* S3, S4: which key the card is to get. */
static kf_code choose_key(const kf_procedure_context *context, kf_procedure_state *state,
                          const char *diversification_data, kf_error *error)
{
    kf_card_record *record = &state->record;
    const kf_procedure_request *request = &state->request;
    const kf_key_entry *entry;
    KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_PAYMENT, request->category, 0, &entry, error));
    KF_TRY(kf_procedure_check_policy(context, entry, error));
    if (entry->size != context->profile->key_size)
        return kf_fail(
            error, KF_ERR_PROFILE, "profile %s puts keys of %zu bytes on the card; base key %s gives %zu",
            context->profile->name, context->profile->key_size, kf_key_label_of(entry).text, entry->size);
    KF_TRY(kf_check_factory_size(context, entry->size, error));
    KF_TRY(kf_procedure_derivation_values(context, state, entry, diversification_data, &record->derivation,
                                          error));
    uint32_t floor = request->generation_floor;
    uint32_t last = record->last_generation > floor ? record->last_generation : floor;
    if (last == UINT32_MAX)
        return kf_fail(error, KF_ERR_STATE, "card %s has no generations left", record->identity);
    record->pending = (kf_card_key){
        .generation = last + 1,
        .base_key_version = entry->version,
        .key_version = context->profile->key_version,
    };
    KF_TRY(kf_text_copy(record->pending.base_key, sizeof record->pending.base_key, entry->category));
    record->last_generation = last + 1;
    /* The key is computed once now, so that a missing field is named before the card is touched. */
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_card_key(context, record, &record->pending, &keys, error));
    kf_card_keys_clear(&keys);
    return KF_OK;
}

static kf_code check_state(const kf_procedure_state *state, kf_error *error)
{
    const kf_card_record *record = &state->record;
    switch (record->state) {
    case KF_CARD_BLANK:
    case KF_CARD_FILLING: return KF_OK;
    case KF_CARD_FILLED:
        return kf_fail(error, KF_ERR_STATE,
                       "card %s is filled already (number %s, generation %u); ask for refill or clear",
                       record->identity, record->number, record->present.generation);
    case KF_CARD_REFILLING:
    case KF_CARD_CLEARING:
    case KF_CARD_UNKNOWN:
    default:
        return kf_fail(error, KF_ERR_STATE, "card %s is %s; ask for %s, which finishes what was begun",
                       record->identity, kf_card_state_name(record->state),
                       record->state == KF_CARD_REFILLING ? "refill" : "clear");
    }
}

static kf_code check_domain(const kf_procedure_context *context, const kf_procedure_state *state,
                            kf_error *error)
{
    const kf_profile *profile = context->profile;
    if (!state->facts.domain_present && profile->key_injection == KF_INJECT_PRELOADED)
        return kf_fail(error, KF_ERR_CARD_UNSUITABLE,
                       "the card does not have the security domain that profile %s takes as delivered; "
                       "choose another profile",
                       profile->name);
    kf_channel_keys keys = state->facts.domain_keys;
    bool stranger =
        keys == KF_KEYS_NONE || (keys == KF_KEYS_PREVIOUS && state->record.state != KF_CARD_FILLING);
    if (!state->facts.domain_present || !stranger) return KF_OK;
    kf_error reason = {KF_OK, ""};
    kf_code code = kf_refuse_unproven(context, &state->record, "the fill is refused", &reason);
    if (code != KF_ERR_CRYPTOGRAM) return kf_fail(error, code, "%s", kf_error_text(&reason));
    return kf_fail(error, KF_ERR_CRYPTOGRAM,
                   "the card's security domain holds a key that is not on record for card %s: nothing "
                   "was sent to it; an "
                   "officer has to settle what this card is",
                   state->record.identity);
}

static bool same_values(const kf_named_values *left, const kf_named_values *right)
{
    if (left->count != right->count) return false;
    for (size_t i = 0; i < left->count; i++) {
        const char *value = kf_named_values_get(right, left->items[i].name);
        if (value == NULL || strcmp(value, left->items[i].value) != 0) return false;
    }
    return true;
}

static kf_code refuse_other_values(const kf_card_record *record, kf_error *error)
{
    return kf_fail(error, KF_ERR_STATE,
                   "a fill of card %s broke off that derived its key from other values than this order's; "
                   "repeat it with those, or clear the card",
                   record->identity);
}

/* The base key makes nothing new any more: the card gets another key. The one that it may have is kept as the
 * previous one, which the next contact tests too. */
static kf_code give_up_pending(const kf_procedure_context *context, kf_procedure_state *state,
                               const char *diversification_data, kf_error *error)
{
    kf_card_record *record = &state->record;
    bool holds_previous = state->facts.domain_keys == KF_KEYS_PREVIOUS;
    kf_card_key given_up = holds_previous ? record->previous : record->pending;
    kf_named_values values = record->derivation;
    KF_TRY(choose_key(context, state, diversification_data, error));
    if (!same_values(&values, &record->derivation)) return refuse_other_values(record, error);
    record->previous = given_up;
    return KF_OK;
}

/* The previous key is on the card, and PUT KEY replaces it by one of the same size alone. */
static kf_code check_replaces_previous(const kf_procedure_context *context, const kf_procedure_state *state,
                                       kf_error *error)
{
    const kf_card_record *record = &state->record;
    const kf_key_entry *old;
    const kf_key_entry *entry;
    if (state->facts.domain_keys != KF_KEYS_PREVIOUS) return KF_OK;
    KF_TRY(kf_procedure_card_base_key(context, record, &record->previous, &old, error));
    KF_TRY(kf_procedure_card_base_key(context, record, &record->pending, &entry, error));
    if (old->size == entry->size) return KF_OK;
    return kf_fail(error, KF_ERR_STATE,
                   "card %s holds a key of %zu bytes from a fill that broke off, which one of %zu cannot "
                   "replace: clear the card, then fill it",
                   record->identity, old->size, entry->size);
}

/* A fill that broke off may have written its key, whatever the card says of its domain without a MAC: that
 * key stays the pending one, and is not given up for other values. */
static kf_code go_on(const kf_procedure_context *context, kf_procedure_state *state,
                     const char *diversification_data, kf_error *error)
{
    const kf_card_record *record = &state->record;
    if (strcmp(record->number, state->request.number) != 0)
        return kf_fail(error, KF_ERR_STATE,
                       "a fill of card %s for number %s broke off and may have written its key; finish that "
                       "fill, or clear the card, before it takes number %s",
                       record->identity, record->number, state->request.number);
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_card_key(context, record, &record->pending, &keys, error));
    kf_card_keys_clear(&keys);
    const kf_key_entry *entry;
    KF_TRY(kf_procedure_card_base_key(context, record, &record->pending, &entry, error));
    if (entry->state != KF_KEY_ACTIVE && state->facts.domain_keys != KF_KEYS_PENDING)
        return give_up_pending(context, state, diversification_data, error);
    kf_named_values values;
    KF_TRY(kf_procedure_derivation_values(context, state, entry, diversification_data, &values, error));
    return same_values(&values, &record->derivation) ? KF_OK : refuse_other_values(record, error);
}

/* What is recorded as written needs no reading: applications do not show theirs. What the card has after a
 * fill of ours broke off is taken for ours, so that a clear erases it. */
static kf_code keep_fields(const kf_profile *profile, kf_procedure_state *state)
{
    char *recorded = state->record.personalised;
    char *kept = state->facts.kept;
    bool broke_off = state->record.state == KF_CARD_FILLING;
    for (size_t i = 0; i < profile->field_count; i++) {
        const char *name = profile->fields[i].name;
        if (kf_name_list_has(recorded, name))
            KF_TRY(kf_name_list_add(kept, sizeof state->facts.kept, name));
        else if (broke_off && kf_name_list_has(kept, name))
            KF_TRY(kf_name_list_add(recorded, sizeof state->record.personalised, name));
    }
    return KF_OK;
}

/* What cannot be written is found now, not in the last session. */
static kf_code check_writes(const kf_procedure_context *context, const kf_procedure_state *state,
                            kf_error *error)
{
    kf_session_build build = {.context = context, .state = state};
    KF_CLEANUP(kf_session_clear) kf_session session = {0};
    KF_TRY(kf_command_domain_tags(&build, KF_STORE_WHOLE, &session, error));
    KF_TRY(kf_command_application_fields(&build, &session, error));
    return kf_command_sim_files(&build, false, &session, error);
}

kf_code kf_fill_decide(const kf_procedure_context *context, kf_procedure_state *state,
                       const char *diversification_data, kf_error *error)
{
    kf_card_record *record = &state->record;
    KF_TRY(check_state(state, error));
    KF_TRY(check_domain(context, state, error));
    KF_TRY(keep_fields(context->profile, state));
    if (record->state == KF_CARD_FILLING && record->pending.generation != 0) {
        KF_TRY(kf_check_record_profile(record, context->profile, error));
        KF_TRY(go_on(context, state, diversification_data, error));
        KF_TRY(check_replaces_previous(context, state, error));
    } else {
        KF_TRY(choose_key(context, state, diversification_data, error));
    }
    record->state = KF_CARD_FILLING;
    KF_TRY(kf_text_copy(record->category, sizeof record->category, state->request.category));
    KF_TRY(kf_text_copy(record->profile, sizeof record->profile, context->profile->name));
    memcpy(record->profile_digest, context->profile->digest, sizeof record->profile_digest);
    record->domain = context->profile->domain;
    record->number_written = record->number_written || state->request.write_number;
    KF_TRY(kf_text_copy(record->number, sizeof record->number, state->request.number));
    KF_TRY(kf_text_copy(record->iccid, sizeof record->iccid, state->request.iccid));
    return check_writes(context, state, error);
}

static kf_code pending_keys(const kf_session_build *build, kf_card_keys *ret_keys, kf_error *error)
{
    const kf_card_record *record = &build->state->record;
    return kf_procedure_card_key(build->context, record, &record->pending, ret_keys, error);
}

static kf_code add_key_groupings(const kf_session_build *build, kf_store_series series, kf_session *session,
                                 kf_error *error)
{
    kf_card_keys keys = {0};
    KF_TRY(pending_keys(build, &keys, error));
    const kf_gp_key list[] = {{KF_AES, keys.enc}, {KF_AES, keys.mac}, {KF_AES, keys.dek}};
    const kf_gp_store_keys store = {
        .key_version = build->state->record.pending.key_version,
        .key_identifier = 1,
        .keys = list,
        .key_count = sizeof list / sizeof list[0],
    };
    KF_CLEANUP(kf_buffer_clear) kf_buffer groupings = KF_BUFFER_INIT;
    kf_code code = kf_gp_store_keys_dgis(build->channel, &store, &groupings);
    kf_card_keys_clear(&keys);
    KF_TRY(code);
    kf_session_command *command = kf_session_append(session, "STORE DATA: keys", true);
    if (command == NULL) return KF_ERR_MEMORY;
    return kf_gp_store_data(KF_STORE_DATA_DGI | KF_STORE_DATA_ENCRYPTED, series.finish, series.first_number,
                            kf_buffer_view(&groupings), &command->apdu);
}

/* The domain gets its first keys through its parent: INSTALL [for personalization], DGI 00B9 and 8113
 * (GP 2.3.1 11.11.4). Keys and data are one series: its last block ends the personalisation. */
static kf_code add_store_series(const kf_session_build *build, bool data_first, kf_session *session,
                                kf_error *error)
{
    kf_session_command *command = kf_session_append(session, "INSTALL for personalization", true);
    if (command == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_gp_install_for_personalization(kf_aid_view(&build->context->profile->domain), &command->apdu));
    bool data = kf_domain_tags_are_due(build);
    if (!data) return add_key_groupings(build, KF_STORE_WHOLE, session, error);
    const kf_store_series first = {0, false};
    const kf_store_series last = {1, true};
    if (data_first) {
        KF_TRY(kf_command_domain_tags(build, first, session, error));
        return add_key_groupings(build, last, session, error);
    }
    KF_TRY(add_key_groupings(build, first, session, error));
    return kf_command_domain_tags(build, last, session, error);
}

static kf_code create_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    const kf_profile *profile = build->context->profile;
    bool data_first = profile->order == KF_PERSONALISATION_FIRST;
    if (data_first) KF_TRY(kf_command_application_fields(build, session, error));
    KF_TRY(kf_command_installs(build, session));
    if (profile->key_injection != KF_INJECT_STORE_DATA) return KF_OK;
    KF_TRY(add_store_series(build, data_first, session, error));
    return data_first ? KF_OK : kf_command_application_fields(build, session, error);
}

static kf_code key_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    const kf_profile *profile = build->context->profile;
    bool data_first = profile->order == KF_PERSONALISATION_FIRST;
    if (data_first) KF_TRY(kf_command_domain_tags(build, KF_STORE_WHOLE, session, error));
    if (build->step.keys != KF_KEYS_PENDING) {
        kf_card_keys keys = {0};
        KF_TRY(pending_keys(build, &keys, error));
        uint8_t own_version = build->state->record.pending.key_version;
        const kf_initialize_update *answer = kf_secure_channel_answer(build->channel);
        /* A domain that has keys has them replaced; one that used its parent's gets its first. */
        bool has_keys = build->step.keys == KF_KEYS_FACTORY || build->step.keys == KF_KEYS_PREVIOUS;
        uint8_t present_version = has_keys ? answer->key_version : 0;
        kf_code code = kf_command_put_key(build, &keys, present_version, own_version, session);
        kf_card_keys_clear(&keys);
        KF_TRY(code);
        if (build->step.keys == KF_KEYS_ISSUER)
            KF_TRY(kf_command_key_list(build->state->record.pending.key_version, session));
    }
    return data_first ? KF_OK : kf_command_domain_tags(build, KF_STORE_WHOLE, session, error);
}

kf_code kf_fill_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    bool data_first = build->context->profile->order == KF_PERSONALISATION_FIRST;
    if (build->first && data_first) KF_TRY(kf_command_sim_files(build, false, session, error));
    switch (build->step.kind) {
    case KF_SESSION_CREATE: KF_TRY(create_session(build, session, error)); break;
    case KF_SESSION_KEY: KF_TRY(key_session(build, session, error)); break;
    case KF_SESSION_APPLY: KF_TRY(kf_command_application_fields(build, session, error)); break;
    case KF_SESSION_PROOF: break;
    case KF_SESSION_DELETE:
    case KF_SESSION_ABSENCE:
    case KF_SESSION_RESTORE:
    case KF_SESSION_LOAD:
    case KF_SESSION_LIST:
    case KF_SESSION_UNLOAD:
    case KF_SESSION_PROBE:
    default:
        return kf_fail(error, KF_ERR_INTERNAL, "a fill has no session of kind %d", (int)build->step.kind);
    }
    if (build->last && !data_first) KF_TRY(kf_command_sim_files(build, false, session, error));
    return KF_OK;
}
