#include <string.h>

#include "vault/procedure_plan.h"

#define KEY_VERSION_RANGE 0xF0 /* 20 to 2F and 30 to 3F: the next number is of the same range */

/* Where the next key stands on the card. The profile's key version; where the card has it there already, in
 * another size, the number after it: replacement cannot change the size. */
static uint8_t next_key_version(const kf_procedure_context *context, const kf_card_record *record,
                                bool same_size)
{
    uint8_t present = record->present.key_version;
    if (context->profile->key_version != present) return context->profile->key_version;
    if (same_size) return present;
    return (uint8_t)((present & KEY_VERSION_RANGE) | ((present + 1) & ~KEY_VERSION_RANGE));
}

/* What a new key may come from. */
static kf_code check_base_key(const kf_procedure_context *context, const kf_card_record *record,
                              const kf_key_entry *present, const kf_key_entry *entry, kf_error *error)
{
    const kf_profile *profile = context->profile;
    KF_TRY(kf_procedure_check_policy(context, entry, error));
    if (entry->size != profile->key_size)
        return kf_fail(error, KF_ERR_PROFILE,
                       "base key %s gives keys of %zu bytes, profile %s puts keys of %zu on the card: give "
                       "the profile key_size %zu",
                       kf_key_label_of(entry).text, entry->size, profile->name, profile->key_size,
                       entry->size);
    const kf_diversification *template = kf_key_store_diversification(context->keys, entry);
    bool same_base = entry->version == record->present.base_key_version &&
                     strcmp(entry->category, record->present.base_key) == 0;
    if (same_base && template != NULL && !kf_diversification_uses(template, "generation"))
        return kf_fail(error, KF_ERR_KEY_POLICY,
                       "base key %s has no generation in its diversification: the card can be refilled from "
                       "a new base key version only",
                       kf_key_label_of(entry).text);
    return present->size == entry->size ? KF_OK : kf_check_factory_size(context, entry->size, error);
}

/* A refill that broke off: its key stays the pending one, so that no key that the card may have got is ever
 * forgotten. One of a base key that makes nothing new any more is given up, since the card has just proven
 * its present key; at a key version of its own it may be there all the same, and is deleted as the previous
 * one. */
static kf_code keep_pending(const kf_procedure_context *context, kf_card_record *record, bool *ret_kept,
                            kf_error *error)
{
    *ret_kept = false;
    if (record->pending.generation == 0) return KF_OK;
    const kf_key_entry *entry = NULL;
    kf_code code = kf_procedure_card_base_key(context, record, &record->pending, &entry, NULL);
    if (code == KF_OK && entry->state == KF_KEY_ACTIVE) {
        *ret_kept = true;
        return kf_procedure_check_policy(context, entry, error);
    }
    if (kf_moves_key_version(record)) record->previous = record->pending;
    return KF_OK;
}

/* S24: the next generation, from the base key in force, with the values that the fill took. */
static kf_code choose_next(const kf_procedure_context *context, kf_procedure_state *state, kf_error *error)
{
    kf_card_record *record = &state->record;
    bool kept = false;
    KF_TRY(keep_pending(context, record, &kept, error));
    if (kept) return KF_OK;
    const kf_key_entry *entry;
    const kf_key_entry *present;
    KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_PAYMENT, record->category, 0, &entry, error));
    KF_TRY(kf_procedure_card_base_key(context, record, &record->present, &present, error));
    KF_TRY(check_base_key(context, record, present, entry, error));
    if (record->last_generation == UINT32_MAX)
        return kf_fail(error, KF_ERR_STATE, "card %s has no generations left", record->identity);
    record->last_generation++;
    record->pending = (kf_card_key){
        .generation = record->last_generation,
        .base_key_version = entry->version,
        .key_version = next_key_version(context, record, present->size == entry->size),
    };
    KF_TRY(kf_text_copy(record->pending.base_key, sizeof record->pending.base_key, entry->category));
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_card_key(context, record, &record->pending, &keys, error));
    kf_card_keys_clear(&keys);
    return KF_OK;
}

kf_code kf_refuse_unproven(const kf_procedure_context *context, const kf_card_record *record,
                           const char *what, kf_error *error)
{
    const kf_card_key *const ours[] = {&record->present, &record->pending};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        kf_card_keys keys = {0};
        if (ours[i]->generation != 0) KF_TRY(kf_procedure_card_key(context, record, ours[i], &keys, error));
        kf_card_keys_clear(&keys);
    }
    return kf_fail(error, KF_ERR_CRYPTOGRAM,
                   "card %s does not prove its key of record (generation %u): %s and the card left untouched",
                   record->identity, record->present.generation, what);
}

kf_code kf_check_factory_size(const kf_procedure_context *context, size_t size, kf_error *error)
{
    const kf_profile *profile = context->profile;
    if (profile->key_injection != KF_INJECT_PRELOADED || profile->preloaded_base_key[0] == '\0') return KF_OK;
    const kf_key_entry *factory;
    KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_CARD_MANAGER, profile->preloaded_base_key, 0, &factory,
                                 error));
    if (factory->size == size) return KF_OK;
    return kf_fail(error, KF_ERR_PROFILE,
                   "the card's security domain came with keys of %zu bytes, which no command replaces with "
                   "keys of %zu, nor the other way when the card is cleared: profile %s takes base keys of "
                   "%zu bytes only",
                   factory->size, size, profile->name, factory->size);
}

static kf_code check_state(const kf_card_record *record, kf_error *error)
{
    switch (record->state) {
    case KF_CARD_FILLED:
    case KF_CARD_REFILLING: return KF_OK;
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
}

kf_code kf_refill_decide(const kf_procedure_context *context, kf_procedure_state *state, bool *ret_done,
                         kf_error *error)
{
    kf_card_record *record = &state->record;
    KF_TRY(check_state(record, error));
    KF_TRY(kf_check_record_profile(record, context->profile, error));
    *ret_done = false;
    if (state->facts.domain_keys == KF_KEYS_PENDING) {
        /* A refill that broke off had written its key: the card's cryptogram is the receipt. Beside it the
         * present one may still be there. */
        *ret_done = !kf_moves_key_version(record);
        return KF_OK;
    }
    if (state->facts.domain_keys != KF_KEYS_PRESENT)
        return kf_refuse_unproven(context, record, "the refill is refused", error);
    KF_TRY(choose_next(context, state, error));
    record->state = KF_CARD_REFILLING;
    return KF_OK;
}

/* GP 2.3.1 11.8.2.3.3: the keys of one command are replaced together or not at all. At another key version
 * they are added; what an earlier try left there, or at a version that was given up, goes first. */
static kf_code key_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    const kf_card_record *record = &build->state->record;
    uint8_t present = record->present.key_version;
    uint8_t pending = record->pending.key_version;
    uint8_t previous = record->previous.key_version;
    bool left_over = record->previous.generation > record->present.generation;
    if (left_over && previous != present && previous != pending)
        KF_TRY(kf_command_delete_key_if_there(previous, session));
    if (present != pending) KF_TRY(kf_command_delete_key_if_there(pending, session));
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_card_key(build->context, record, &record->pending, &keys, error));
    kf_code code = kf_command_put_key(build, &keys, present != pending ? 0 : present, pending, session);
    kf_card_keys_clear(&keys);
    return code;
}

/* The channel is open under the new key, which is its proof; now the old one goes. */
static kf_code retire_session(const kf_session_build *build, kf_session *session)
{
    uint8_t present = build->state->record.present.key_version;
    KF_TRY(kf_command_delete_key_if_there(present, session));
    return kf_command_key_is_gone(present, session);
}

kf_code kf_refill_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    if (build->step.kind == KF_SESSION_KEY) return key_session(build, session, error);
    if (build->step.kind == KF_SESSION_RETIRE) return retire_session(build, session);
    return kf_fail(error, KF_ERR_INTERNAL, "a refill has no session of kind %d", (int)build->step.kind);
}
