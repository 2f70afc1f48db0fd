#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/kdf.h>
#include <keyfill/sim.h>

#include "vault/procedure_plan.h"

/* The key set that GlobalPlatform prints as its test keys (40 41 … 4F): anyone can imitate a card that has
 * them. */
static const uint8_t published_test_key[16] = {0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47,
                                               0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F};

kf_code kf_procedure_base_key(const kf_procedure_context *context, kf_key_purpose purpose,
                              const char *category, uint32_t version, const kf_key_entry **ret_entry,
                              kf_error *error)
{
    uint64_t now = context->now / 1000;
    const kf_key_entry *entry = kf_key_store_find(context->keys, purpose, category, version, now);
    if (entry == NULL) entry = kf_key_store_find(context->keys, purpose, KF_CATEGORY_DEFAULT, version, now);
    if (entry == NULL)
        return kf_fail(
            error, KF_ERR_NO_KEY,
            "there is no %s base key in force for category %s, nor one for \"%s\"; make one with keyfill key "
            "generate, or ask the base key management unit with keyfill key pull",
            kf_key_purpose_name(purpose), category, KF_CATEGORY_DEFAULT);
    *ret_entry = entry;
    return KF_OK;
}

static bool profile_is_permitted(const kf_key_policy *policy, const kf_profile *profile)
{
    for (size_t i = 0; i < policy->profile_count; i++)
        if (memcmp(policy->profiles[i], profile->digest, sizeof profile->digest) == 0) return true;
    return policy->profile_count == 0;
}

static kf_code check_channel(const kf_procedure_context *context, const kf_key_entry *entry, kf_error *error)
{
    const kf_profile *profile = context->profile;
    const kf_key_policy *policy = &entry->policy;
    kf_key_label label = kf_key_label_of(entry);
    if ((profile->security_level & policy->least_level) != policy->least_level)
        return kf_fail(
            error, KF_ERR_KEY_POLICY,
            "base key %s asks for security level 0x%02X at least; profile %s opens channels at 0x%02X",
            label.text, policy->least_level, profile->name, profile->security_level);
    if (policy->clear_at_terminal && entry->purpose != KF_PURPOSE_ADM)
        return kf_fail(error, KF_ERR_KEY_POLICY,
                       "base key %s is flagged clear_at_terminal and serves no profile with a secure channel",
                       label.text);
    return KF_OK;
}

kf_code kf_procedure_check_policy(const kf_procedure_context *context, const kf_key_entry *entry,
                                  kf_error *error)
{
    const kf_profile *profile = context->profile;
    if (!profile_is_permitted(&entry->policy, profile))
        return kf_fail(error, KF_ERR_KEY_POLICY,
                       "base key %s does not permit profile %s; add its digest to the key's policy",
                       kf_key_label_of(entry).text, profile->name);
    return check_channel(context, entry, error);
}

kf_key_set kf_card_keys_set(const kf_card_keys *keys)
{
    return (kf_key_set){keys->enc, keys->mac, keys->dek};
}

bool kf_procedure_fits(const kf_card_keys *keys, const uint8_t challenge[KF_HOST_CHALLENGE_SIZE],
                       kf_view answer)
{
    kf_key_set set = kf_card_keys_set(keys);
    return kf_secure_channel_verify(&set, kf_view_of(challenge, KF_HOST_CHALLENGE_SIZE), answer, NULL) ==
           KF_OK;
}

static kf_code derive_set(const kf_procedure_context *context, const kf_key_entry *entry, kf_fields fields,
                          kf_card_keys *ret_keys, kf_error *error)
{
    kf_secret *keys[3] = {NULL};
    KF_TRY(kf_key_store_derive_set(context->keys, entry, fields, keys, error));
    *ret_keys = (kf_card_keys){.enc = keys[0], .mac = keys[1], .dek = keys[2]};
    return KF_OK;
}

kf_code kf_procedure_card_base_key(const kf_procedure_context *context, const kf_card_record *record,
                                   const kf_card_key *which, const kf_key_entry **ret_entry, kf_error *error)
{
    if (which->generation == 0)
        return kf_fail(error, KF_ERR_NO_KEY, "card %s has no key of that kind on record", record->identity);
    const kf_key_entry *entry = kf_key_store_find(context->keys, KF_PURPOSE_PAYMENT, which->base_key,
                                                  which->base_key_version, context->now / 1000);
    if (entry == NULL)
        return kf_fail(
            error, KF_ERR_NO_KEY,
            "card %s has a key from base key payment/%s/%u, which is not here; restore it or pull it",
            record->identity, which->base_key, which->base_key_version);
    *ret_entry = entry;
    return KF_OK;
}

/* The base key of a card key, and all that its template takes. */
static kf_code card_key_input(const kf_procedure_context *context, const kf_card_record *record,
                              const kf_card_key *which, const kf_key_entry **ret_entry,
                              kf_named_values *ret_values, kf_error *error)
{
    const kf_key_entry *entry;
    KF_TRY(kf_procedure_card_base_key(context, record, which, &entry, error));
    kf_named_values values = record->derivation;
    char generation[16];
    (void)snprintf(generation, sizeof generation, "%u", which->generation);
    KF_TRY(kf_named_values_set(&values, "generation", generation, error));
    *ret_entry = entry;
    *ret_values = values;
    return KF_OK;
}

kf_code kf_procedure_card_key(const kf_procedure_context *context, const kf_card_record *record,
                              const kf_card_key *which, kf_card_keys *ret_keys, kf_error *error)
{
    const kf_key_entry *entry;
    kf_named_values values;
    KF_TRY(card_key_input(context, record, which, &entry, &values, error));
    /* A channel under an old base key is to be as good as that key asks for. Which profiles it may serve says
     * what is made from it: a card leaves it under the profile that the newer key serves. */
    KF_TRY(check_channel(context, entry, error));
    kf_field items[KF_NAMED_VALUES_MAX];
    return derive_set(context, entry, kf_named_values_fields(&values, items), ret_keys, error);
}

/* What identifies the card to its maker's keys. */
static kf_code maker_fields(const kf_procedure_state *state, const char *diversification_data,
                            kf_named_values *values, kf_error *error)
{
    if (diversification_data != NULL) KF_TRY(kf_named_values_set(values, "kdd", diversification_data, error));
    if (state->request.iccid[0] != '\0')
        KF_TRY(kf_named_values_set(values, "iccid", state->request.iccid, error));
    if (state->request.imsi[0] != '\0')
        KF_TRY(kf_named_values_set(values, "imsi", state->request.imsi, error));
    return kf_named_values_set(values, "category", state->request.category, error);
}

/* Keys that every card shares prove no card: any program can imitate them. */
static kf_code refuse_shared(const kf_procedure_context *context, const kf_key_entry *entry,
                             const kf_card_keys *keys, kf_error *error)
{
    if (context->development) return KF_OK;
    const kf_diversification *template = kf_key_store_diversification(context->keys, entry);
    bool published = kf_secret_size(keys->enc) == sizeof published_test_key &&
                     kf_equal_constant_time(kf_secret_expose(keys->enc).data, published_test_key,
                                            sizeof published_test_key);
    if (!published && template != NULL && !kf_diversification_is_none(template)) return KF_OK;
    return kf_fail(error, KF_ERR_KEY_POLICY,
                   "base key %s gives every card the same card-manager key, which any program can imitate; "
                   "it works only with "
                   "development: true",
                   kf_key_label_of(entry).text);
}

static kf_code maker_keys(const kf_procedure_context *context, const kf_procedure_state *state,
                          const char *base_key, const char *diversification_data, kf_card_keys *ret_keys,
                          kf_error *error)
{
    const kf_key_entry *entry;
    KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_CARD_MANAGER, base_key, 0, &entry, error));
    KF_TRY(kf_procedure_check_policy(context, entry, error));
    kf_named_values values = {0};
    KF_TRY(maker_fields(state, diversification_data, &values, error));
    kf_field items[KF_NAMED_VALUES_MAX];
    kf_card_keys keys = {0};
    KF_TRY(derive_set(context, entry, kf_named_values_fields(&values, items), &keys, error));
    kf_code code = refuse_shared(context, entry, &keys, error);
    if (code != KF_OK) {
        kf_card_keys_clear(&keys);
        return code;
    }
    *ret_keys = keys;
    return KF_OK;
}

/* The card that was identified, not what an answer says of itself. */
static const char *diversification_data_of(const kf_card_record *record, const char *reported)
{
    return strncmp(record->identity, "kdd:", 4) == 0 ? record->identity + 4 : reported;
}

kf_code kf_procedure_channel_keys(const kf_procedure_context *context, const kf_procedure_state *state,
                                  kf_channel_keys kind, const char *diversification_data,
                                  kf_card_keys *ret_keys, kf_error *error)
{
    const char *proven = diversification_data_of(&state->record, diversification_data);
    switch (kind) {
    case KF_KEYS_ISSUER: return maker_keys(context, state, state->request.category, proven, ret_keys, error);
    case KF_KEYS_FACTORY:
        return maker_keys(context, state, context->profile->preloaded_base_key, proven, ret_keys, error);
    case KF_KEYS_PENDING:
        return kf_procedure_card_key(context, &state->record, &state->record.pending, ret_keys, error);
    case KF_KEYS_PRESENT:
        return kf_procedure_card_key(context, &state->record, &state->record.present, ret_keys, error);
    case KF_KEYS_PREVIOUS:
        return kf_procedure_card_key(context, &state->record, &state->record.previous, ret_keys, error);
    case KF_KEYS_NONE:
    default: return kf_fail(error, KF_ERR_INTERNAL, "no keys were chosen for the channel");
    }
}

kf_code kf_procedure_adm(const kf_procedure_context *context, const kf_procedure_state *state,
                         kf_secret **ret_adm, kf_error *error)
{
    const kf_key_entry *entry;
    KF_TRY(kf_procedure_base_key(context, KF_PURPOSE_ADM, state->request.category, 0, &entry, error));
    KF_TRY(kf_procedure_check_policy(context, entry, error));
    kf_named_values values = {0};
    KF_TRY(maker_fields(state, diversification_data_of(&state->record, NULL), &values, error));
    kf_field items[KF_NAMED_VALUES_MAX];
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(kf_key_store_derive(context->keys, entry, kf_named_values_fields(&values, items), KF_ROLE_SINGLE,
                               &key, error));
    return kf_secret_new(kf_view_part(kf_secret_expose(key), 0, KF_SIM_SECRET_SIZE), ret_adm);
}

static kf_code take_value(const kf_diversification *template, const char *name, const char *value,
                          kf_named_values *values, kf_error *error)
{
    if (value == NULL || value[0] == '\0' || !kf_diversification_uses(template, name)) return KF_OK;
    return kf_named_values_set(values, name, value, error);
}

kf_code kf_procedure_derivation_values(const kf_procedure_context *context, const kf_procedure_state *state,
                                       const kf_key_entry *entry, const char *diversification_data,
                                       kf_named_values *ret_values, kf_error *error)
{
    const kf_diversification *template = kf_key_store_diversification(context->keys, entry);
    if (template == NULL)
        return kf_fail(error, KF_ERR_NO_KEY, "base key %s has no diversification",
                       kf_key_label_of(entry).text);
    const kf_procedure_request *request = &state->request;
    kf_named_values values = {0};
    KF_TRY(take_value(template, "number", request->number, &values, error));
    KF_TRY(take_value(template, "iccid", request->iccid, &values, error));
    KF_TRY(take_value(template, "imsi", request->imsi, &values, error));
    KF_TRY(take_value(template, "kdd", diversification_data, &values, error));
    KF_TRY(take_value(template, "category", request->category, &values, error));
    for (size_t i = 0; i < request->personalisation.count; i++)
        KF_TRY(take_value(template, request->personalisation.items[i].name,
                          request->personalisation.items[i].value, &values, error));
    *ret_values = values;
    return KF_OK;
}

/* A value of the card's own that nobody outside the vault knows: SP 800-108 counter mode (CMAC) from the key
 * of role 00, fixed input = "keyfill personalisation" 00 name 00 identity length. */
static kf_code derive_field(const kf_procedure_context *context, const kf_procedure_state *state,
                            const kf_profile_field *field, kf_buffer *value, kf_error *error)
{
    const kf_key_entry *entry;
    kf_named_values values;
    KF_TRY(card_key_input(context, &state->record, &state->record.pending, &entry, &values, error));
    kf_field items[KF_NAMED_VALUES_MAX];
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(kf_key_store_derive(context->keys, entry, kf_named_values_fields(&values, items), KF_ROLE_SINGLE,
                               &key, error));
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new_secret(entry->algorithm, key, &cipher));
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    kf_buffer_append_text(&input, "keyfill personalisation");
    kf_buffer_append_u8(&input, 0);
    kf_buffer_append_text(&input, field->name);
    kf_buffer_append_u8(&input, 0);
    kf_buffer_append_text(&input, state->record.identity);
    kf_buffer_append_u16(&input, (uint16_t)(8 * field->derived_size));
    KF_TRY(kf_buffer_status(&input));
    uint8_t *place = kf_buffer_extend(value, field->derived_size);
    if (place == NULL) return kf_fail_plain(error, kf_buffer_status(value));
    kf_kdf_counter form = {.location = KF_COUNTER_BEFORE_FIXED, .counter_bits = 8};
    return kf_kdf_counter_mode(cipher, form, kf_buffer_view(&input), place, field->derived_size);
}

kf_code kf_field_value(const kf_procedure_context *context, const kf_procedure_state *state, size_t field,
                       kf_buffer *value, kf_error *error)
{
    const kf_profile_field *wanted = &context->profile->fields[field];
    if (wanted->derived_size > 0) return derive_field(context, state, wanted, value, error);
    const char *text = kf_named_values_get(&state->request.personalisation, wanted->name);
    if (text == NULL) return kf_fail(error, KF_ERR_INTERNAL, "personalisation %s has no value", wanted->name);
    kf_buffer_append_text(value, text);
    return kf_buffer_status(value);
}
