#include <string.h>

#include <keyfill/hex.h>

#include "vault/procedure_plan.h"

/* After a fill that broke off, nobody knows which fields got written: those that can hold them are erased. */
static kf_code claim_fields(const kf_profile *profile, kf_procedure_state *state)
{
    if (state->record.state != KF_CARD_FILLING) return KF_OK;
    for (size_t i = 0; i < profile->field_count; i++) {
        const kf_profile_field *field = &profile->fields[i];
        bool maybe = field->place == KF_PLACE_APPLICATION ||
                     (field->place == KF_PLACE_SIM_FILE && kf_name_list_has(state->facts.kept, field->name));
        if (maybe)
            KF_TRY(
                kf_name_list_add(state->record.personalised, sizeof state->record.personalised, field->name));
    }
    return KF_OK;
}

/* S31 to S34. */
kf_code kf_clear_decide(const kf_procedure_context *context, kf_procedure_state *state, bool *ret_done,
                        kf_error *error)
{
    kf_card_record *record = &state->record;
    const kf_card_facts *facts = &state->facts;
    if (record->state != KF_CARD_BLANK) KF_TRY(kf_check_record_profile(record, context->profile, error));
    bool factory = facts->domain_keys == KF_KEYS_FACTORY || facts->domain_keys == KF_KEYS_ISSUER;
    bool nothing_there =
        !facts->domain_present || (factory && context->profile->key_injection == KF_INJECT_PRELOADED);
    if (record->state == KF_CARD_BLANK && nothing_there && record->personalised[0] == '\0' &&
        !record->number_written) {
        *ret_done = true;
        return KF_OK;
    }
    bool replaced = facts->domain_keys == KF_KEYS_PREVIOUS && record->state == KF_CARD_FILLED;
    if (facts->domain_present && (facts->domain_keys == KF_KEYS_NONE || replaced))
        return kf_refuse_unproven(context, record, "the clear is refused", error);
    /* A domain without a key of ours is deleted only where a fill of ours left it so. */
    if (facts->domain_present && factory && record->state == KF_CARD_BLANK)
        return kf_fail(error, KF_ERR_STATE,
                       "card %s has a security domain that no fill of ours made; it is left untouched",
                       record->identity);
    KF_TRY(claim_fields(context->profile, state));
    record->state = KF_CARD_CLEARING;
    *ret_done = false;
    return KF_OK;
}

static kf_code add_delete(const kf_session_build *build, kf_session *session)
{
    kf_session_command *command = kf_session_append(session, "DELETE security domain", true);
    if (command == NULL) return KF_ERR_MEMORY;
    return kf_gp_delete(kf_aid_view(&build->context->profile->domain), true, &command->apdu);
}

static kf_code add_delete_key(uint8_t version, kf_session *session)
{
    kf_session_command *command = kf_session_append(session, "DELETE key", true);
    if (command == NULL) return KF_ERR_MEMORY;
    return kf_gp_delete_key(version, 0, &command->apdu);
}

/* The domain is opened with its parent's keys, as one without keys is; it gets the card's key once more, is
 * the only one that lists no other beside it, and loses it again. */
static kf_code add_key_probe(const kf_session_build *build, kf_session *session, kf_error *error)
{
    const kf_card_record *record = &build->state->record;
    const kf_card_key *ours = record->present.generation != 0 ? &record->present : &record->pending;
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_card_key(build->context, record, ours, &keys, error));
    kf_code code = kf_command_put_key(build, &keys, 0, ours->key_version, session);
    kf_card_keys_clear(&keys);
    KF_TRY(code);
    KF_TRY(kf_command_key_list(ours->key_version, session));
    return add_delete_key(ours->key_version, session);
}

/* A refill to another key version broke off: the one that did not open this channel may be there as well. */
static kf_code add_delete_other(const kf_session_build *build, uint8_t version, kf_session *session)
{
    const kf_card_record *record = &build->state->record;
    if (!kf_moves_key_version(record)) return KF_OK;
    uint8_t other =
        version == record->present.key_version ? record->pending.key_version : record->present.key_version;
    KF_TRY(kf_command_delete_key_if_there(other, session));
    return kf_command_key_is_gone(other, session);
}

static kf_code add_restore(const kf_session_build *build, kf_session *session, kf_error *error)
{
    const kf_profile *profile = build->context->profile;
    uint8_t version = kf_secure_channel_answer(build->channel)->key_version;
    KF_TRY(kf_command_erase_domain_tags(build, session, error));
    if (build->step.keys == KF_KEYS_FACTORY) return KF_OK;
    if (build->step.keys == KF_KEYS_ISSUER) return add_key_probe(build, session, error);
    KF_TRY(add_delete_other(build, version, session));
    if (profile->preloaded_base_key[0] == '\0') return add_delete_key(version, session);
    kf_card_keys keys = {0};
    kf_hex_text data = kf_hex_show(KF_VIEW(kf_secure_channel_answer(build->channel)->diversification_data));
    KF_TRY(kf_procedure_channel_keys(build->context, build->state, KF_KEYS_FACTORY, data.text, &keys, error));
    kf_code code = kf_command_put_key(build, &keys, version, version, session);
    kf_card_keys_clear(&keys);
    return code;
}

kf_code kf_clear_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    static const kf_gp_scope applications = KF_GP_APPLICATIONS;
    switch (build->step.kind) {
    case KF_SESSION_DELETE:
        KF_TRY(add_delete(build, session));
        KF_TRY(kf_command_erase_application_fields(build, session, error));
        break;
    case KF_SESSION_APPLY: KF_TRY(kf_command_erase_application_fields(build, session, error)); break;
    case KF_SESSION_PROBE:
        KF_TRY(kf_command_installs(build, session));
        KF_TRY(add_delete(build, session));
        break;
    case KF_SESSION_PROOF: break;
    case KF_SESSION_RESTORE: KF_TRY(add_restore(build, session, error)); break;
    case KF_SESSION_ABSENCE:
        KF_TRY(kf_command_lists(build->state, &applications, 1, session));
        KF_TRY(kf_command_erase_application_fields(build, session, error));
        break;
    case KF_SESSION_CREATE:
    case KF_SESSION_KEY:
    case KF_SESSION_LOAD:
    case KF_SESSION_LIST:
    case KF_SESSION_UNLOAD:
    default:
        return kf_fail(error, KF_ERR_INTERNAL, "a clear has no session of kind %d", (int)build->step.kind);
    }
    /* S36: the personalisation that is elsewhere. */
    return build->first ? kf_command_sim_files(build, true, session, error) : KF_OK;
}
