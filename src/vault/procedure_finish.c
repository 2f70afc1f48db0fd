#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <keyfill/card_data.h>

#include "vault/procedure_plan.h"

bool kf_changes_card_key(kf_operation operation)
{
    return operation == KF_OPERATION_FILL || operation == KF_OPERATION_REFILL ||
           operation == KF_OPERATION_CLEAR;
}

static kf_code describe(kf_procedure_result *result, const char *format, ...) KF_PRINTF(2, 3);
static kf_code describe(kf_procedure_result *result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(result->text, sizeof result->text, format, arguments);
    va_end(arguments);
    return size >= 0 ? KF_OK : KF_ERR_INTERNAL;
}

static kf_code finish_key(const kf_procedure_context *context, kf_procedure_state *state,
                          kf_procedure_result *result, kf_error *error)
{
    kf_card_record *record = &state->record;
    bool refill = state->request.operation == KF_OPERATION_REFILL;
    uint8_t left = kf_moves_key_version(record) ? record->present.key_version : 0;
    record->previous = record->present;
    record->present = record->pending;
    record->pending = (kf_card_key){0};
    record->state = KF_CARD_FILLED;
    kf_card_keys keys = {0};
    KF_TRY(kf_procedure_card_key(context, record, &record->present, &keys, error));
    kf_kcv kcv;
    kf_code code = kf_kcv_compute(KF_AES, keys.enc, KF_KCV_GLOBALPLATFORM, &kcv);
    kf_card_keys_clear(&keys);
    KF_TRY(code);
    (void)snprintf(result->kcv, sizeof result->kcv, "%s", kf_kcv_show(kcv).text);
    if (left != 0)
        return describe(
            result,
            "refilled: number %s, key generation %u, KCV %s, at key version 0x%02X in the place "
            "of 0x%02X, which %s",
            record->number, record->present.generation, result->kcv, record->present.key_version, left,
            kf_profile_has_response_mac(context->profile) ? "is deleted"
                                                          : "the card says, without a MAC, is deleted");
    return describe(result, "%s: number %s, key generation %u, KCV %s", refill ? "refilled" : "filled",
                    record->number, record->present.generation, result->kcv);
}

/* Blank needs a proof: a response MAC, or a preloaded domain's cryptogram under first keys of its own. */
static kf_code finish_clear(const kf_profile *profile, kf_procedure_state *state, kf_procedure_result *result)
{
    kf_card_record *record = &state->record;
    if (record->state == KF_CARD_BLANK)
        return describe(result, "cleared: the card was blank; nothing had to be done");
    bool restored = state->facts.domain_present && profile->key_injection == KF_INJECT_PRELOADED &&
                    profile->preloaded_base_key[0] != '\0';
    if (!kf_profile_has_response_mac(profile) && !restored) {
        record->state = KF_CARD_UNKNOWN;
        return describe(
            result,
            "deleted, as the card says without a MAC: card %s has a channel without response "
            "MAC, so it stays unknown, with number %s, until an officer confirms that it is blank",
            record->identity, record->number);
    }
    record->previous = record->present.generation != 0 ? record->present : record->pending;
    record->present = (kf_card_key){0};
    record->pending = (kf_card_key){0};
    record->state = KF_CARD_BLANK;
    record->personalised[0] = '\0';
    char number[KF_NUMBER_SIZE];
    KF_TRY(kf_text_copy(number, sizeof number, record->number));
    record->number[0] = '\0';
    return describe(result, "cleared: key and personalisation of number %s are gone", number);
}

/* S5: what was written, and what the card keeps from before. */
static kf_code tell_fields(const kf_profile *profile, const kf_procedure_state *state,
                           kf_procedure_result *result)
{
    for (size_t i = 0; i < profile->field_count; i++) {
        const char *name = profile->fields[i].name;
        bool kept = kf_name_list_has(state->facts.kept, name);
        if (!kept && kf_name_list_has(state->record.personalised, name))
            KF_TRY(kf_name_list_add(result->personalised, sizeof result->personalised, name));
    }
    return kf_text_copy(result->kept, sizeof result->kept, state->facts.kept);
}

kf_code kf_finish(const kf_procedure_context *context, kf_procedure_state *state, kf_procedure_result *result,
                  kf_error *error)
{
    result->outcome = KF_PROCEDURE_DONE;
    bool was_blank = state->record.state == KF_CARD_BLANK;
    switch (state->request.operation) {
    case KF_OPERATION_FILL:
    case KF_OPERATION_REFILL: KF_TRY(finish_key(context, state, result, error)); break;
    case KF_OPERATION_CLEAR: KF_TRY(finish_clear(context->profile, state, result)); break;
    case KF_OPERATION_APP_LOAD:
        KF_TRY(describe(result, "loaded: module %s is on the card", state->request.module));
        break;
    case KF_OPERATION_APP_DELETE:
        KF_TRY(describe(result, "deleted: module %s is off the card", state->request.module));
        break;
    case KF_OPERATION_APP_LIST:
    default: KF_TRY(describe(result, "listed")); break;
    }
    if (state->request.operation == KF_OPERATION_FILL) KF_TRY(tell_fields(context->profile, state, result));
    KF_TRY(kf_text_copy(result->identity, sizeof result->identity, state->record.identity));
    if (kf_changes_card_key(state->request.operation) &&
        !(was_blank && state->request.operation == KF_OPERATION_CLEAR)) {
        state->record.sequence++;
        result->record_changed = true;
    }
    return KF_OK;
}

kf_code kf_check_absence(const kf_procedure_state *state, const kf_profile *profile, bool *ret_proven,
                         kf_error *error)
{
    kf_cursor lists = kf_cursor_of(kf_buffer_view(&state->applications));
    KF_CLEANUP(kf_buffer_clear) kf_buffer joined = kf_buffer_with_limit(KF_APPLICATION_LIST_MAX);
    while (!kf_cursor_at_end(&lists)) {
        uint16_t size;
        kf_view part;
        KF_TRY(kf_cursor_skip(&lists, 1));
        KF_TRY(kf_cursor_u16(&lists, &size));
        KF_TRY(kf_cursor_take(&lists, size, &part));
        kf_buffer_append(&joined, part);
    }
    KF_TRY(kf_buffer_status(&joined));
    kf_cursor entries = kf_cursor_of(kf_buffer_view(&joined));
    while (!kf_cursor_at_end(&entries)) {
        kf_gp_status_entry entry;
        if (kf_gp_status_next(&entries, &entry) != KF_OK)
            return kf_fail(error, KF_ERR_CARD_DATA, "the card's list of applications is malformed");
        if (kf_view_equal(entry.aid, kf_aid_view(&profile->domain)))
            return kf_fail(error, KF_ERR_STATE,
                           "the card hides the security domain that it still has; it is left untouched");
    }
    *ret_proven = joined.size > 0;
    return KF_OK;
}
