#include <string.h>

#include "vault/procedure_plan.h"

/* S24: the next generation, from the base key in force, with the values that the fill took. */
static kf_code choose_next(const kf_procedure_context *context, kf_procedure_state *state, kf_error *error)
{
    kf_card_record *record = &state->record;
    const kf_key_entry *entry;
    KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_PAYMENT, record->category, 0, &entry, error));
    KF_TRY(kf_procedure_check_policy(context, entry, error));
    if (entry->size != context->profile->key_size)
        return kf_fail(
            error, KF_ERR_PROFILE,
            "base key %s has %zu bytes, the card's keys have %zu: a key of another size cannot replace it",
            kf_key_label_of(entry).text, entry->size, context->profile->key_size);
    const kf_diversification *template = kf_key_store_diversification(context->keys, entry);
    bool same_base = entry->version == record->present.base_key_version &&
                     strcmp(entry->category, record->present.base_key) == 0;
    if (same_base && template != NULL && !kf_diversification_uses(template, "generation"))
        return kf_fail(error, KF_ERR_KEY_POLICY,
                       "base key %s has no generation in its diversification: the card can be refilled from "
                       "a new base key "
                       "version only",
                       kf_key_label_of(entry).text);
    /* A refill that broke off: its key stays the pending one, so that no key that the card may have got is
     * ever forgotten. */
    kf_card_keys keys = {0};
    if (record->pending.generation != 0) {
        kf_error reason = {KF_OK, ""};
        kf_code code = kf_procedure_card_key(context, record, &record->pending, &keys, &reason);
        kf_card_keys_clear(&keys);
        if (code == KF_OK) return KF_OK;
        (void)kf_fail_plain(&reason, code);
        if (kf_derivation_fault_passes(code)) return kf_fail(error, code, "%s", kf_error_text(&reason));
    }
    if (record->last_generation == UINT32_MAX)
        return kf_fail(error, KF_ERR_STATE, "card %s has no generations left", record->identity);
    record->last_generation++;
    record->pending = (kf_card_key){
        .generation = record->last_generation,
        .base_key_version = entry->version,
        .key_version = record->present.key_version,
    };
    KF_TRY(kf_text_copy(record->pending.base_key, sizeof record->pending.base_key, entry->category));
    KF_TRY(kf_procedure_card_key(context, record, &record->pending, &keys, error));
    kf_card_keys_clear(&keys);
    return KF_OK;
}

kf_code kf_refill_decide(const kf_procedure_context *context, kf_procedure_state *state, bool *ret_done,
                         kf_error *error)
{
    kf_card_record *record = &state->record;
    switch (record->state) {
    case KF_CARD_FILLED:
    case KF_CARD_REFILLING: break;
    case KF_CARD_BLANK:
        return kf_fail(error, KF_ERR_STATE, "card %s is blank; ask for fill", record->identity);
    case KF_CARD_FILLING:
    case KF_CARD_CLEARING:
    case KF_CARD_UNKNOWN:
    default:
        return kf_fail(error, KF_ERR_STATE, "card %s is %s; ask for %s, which finishes what was begun",
                       record->identity, kf_card_state_name(record->state),
                       record->state == KF_CARD_FILLING ? "fill" : "clear");
    }
    KF_TRY(kf_check_record_profile(record, context->profile, error));
    if (state->facts.domain_keys == KF_KEYS_PENDING) {
        /* A refill that broke off had written its key: the card's cryptogram is the receipt. */
        *ret_done = true;
        return KF_OK;
    }
    if (state->facts.domain_keys != KF_KEYS_PRESENT)
        return kf_fail(error, KF_ERR_CRYPTOGRAM,
                       "card %s does not prove its key of record (generation %u): the refill is refused and "
                       "the card left "
                       "untouched",
                       record->identity, record->present.generation);
    KF_TRY(choose_next(context, state, error));
    record->state = KF_CARD_REFILLING;
    *ret_done = false;
    return KF_OK;
}

kf_code kf_refill_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    if (build->step.kind != KF_SESSION_KEY)
        return kf_fail(error, KF_ERR_INTERNAL, "a refill has no session of kind %d", (int)build->step.kind);
    const kf_card_record *record = &build->state->record;
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_card_key(build->context, record, &record->pending, &keys, error));
    /* GP 2.3.1 11.8.2.3.3: the keys of one command are replaced together or not at all. */
    uint8_t version = record->present.key_version;
    kf_code code = kf_command_put_key(build, &keys, version, version, session);
    kf_card_keys_clear(&keys);
    return code;
}
