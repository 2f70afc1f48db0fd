#include "vault/key_act_form.h"

#include <string.h>

#include <keyfill/hex.h>

#include "wire/json.h"

#define SECONDS_MOST ((int64_t)253402300799) /* the end of the year 9999 */

static const char new_version_only[] = "new-base-key-version-only";

static kf_code read_purpose(const json_t *body, kf_key_entry *entry, kf_error *error)
{
    const char *purpose = NULL;
    const char *category = KF_CATEGORY_DEFAULT;
    KF_TRY(kf_json_text(body, "purpose", 32, &purpose, error));
    if (kf_key_purpose_from_name(purpose, &entry->purpose) != KF_OK)
        return kf_fail(
            error, KF_ERR_FIELD,
            "purpose: there is none called %s; take payment, card-manager, adm, transport or group", purpose);
    KF_TRY(kf_json_text_optional(body, "category", KF_CATEGORY_SIZE - 1, &category, error));
    KF_TRY(kf_category_check(category, error));
    memcpy(entry->category, category, strlen(category) + 1);
    return KF_OK;
}

static kf_code read_algorithm(const json_t *body, kf_key_entry *entry, kf_error *error)
{
    const char *algorithm = "aes";
    bool long_key = entry->purpose == KF_PURPOSE_TRANSPORT || entry->purpose == KF_PURPOSE_GROUP;
    KF_TRY(kf_json_text_optional(body, "algorithm", 16, &algorithm, error));
    if (kf_key_algorithm_from_name(algorithm, &entry->algorithm) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD, "algorithm: there is none called %s; take aes, tdes or sm4",
                       algorithm);
    int64_t size = long_key ? 32 : 16;
    KF_TRY(kf_json_integer_optional(body, "size", (kf_json_range){8, 32}, &size, error));
    entry->size = (size_t)size;
    if (!kf_key_size_fits(entry->algorithm, entry->size))
        return kf_fail(error, KF_ERR_KEY_SIZE, "size: %zu bytes do not fit %s", entry->size, algorithm);
    return KF_OK;
}

static kf_code read_profiles(const json_t *json, kf_key_policy *policy, kf_error *error)
{
    json_t *profiles = NULL;
    KF_TRY(kf_json_array_optional(json, "profiles", KF_KEY_PROFILES_MAX, &profiles, error));
    for (size_t i = 0; i < json_array_size(profiles); i++) {
        const char *digits = json_string_value(json_array_get(profiles, i));
        if (digits == NULL || kf_hex_decode(digits, policy->profiles[i], KF_PROFILE_DIGEST_SIZE) != KF_OK)
            return kf_fail(error, KF_ERR_FIELD,
                           "profiles: each item is a profile's digest, %d hexadecimal digits",
                           2 * KF_PROFILE_DIGEST_SIZE);
    }
    policy->profile_count = json_array_size(profiles);
    return KF_OK;
}

static kf_code read_limits(const json_t *json, kf_key_policy *policy, kf_error *error)
{
    const char *channel = "any";
    const char *refill = "generation";
    int64_t level = 0;
    KF_TRY(kf_json_text_optional(json, "least_channel", 8, &channel, error));
    KF_TRY(kf_json_integer_optional(json, "least_level", (kf_json_range){0, 0x33}, &level, error));
    KF_TRY(kf_json_text_optional(json, "refill", 32, &refill, error));
    KF_TRY(kf_json_boolean_optional(json, "clear_at_terminal", &policy->clear_at_terminal, error));
    KF_TRY(kf_json_boolean_optional(json, "exportable", &policy->exportable, error));
    KF_TRY(kf_json_boolean_optional(json, "key_blocks", &policy->key_blocks, error));
    policy->least_level = (uint8_t)level;
    policy->refill_new_version_only = strcmp(refill, new_version_only) == 0;
    if (!policy->refill_new_version_only && strcmp(refill, "generation") != 0)
        return kf_fail(error, KF_ERR_FIELD, "refill: %s is neither generation nor %s", refill,
                       new_version_only);
    if (strcmp(channel, "scp02") == 0)
        policy->least_channel = KF_CHANNEL_SCP02;
    else if (strcmp(channel, "scp03") == 0)
        policy->least_channel = KF_CHANNEL_SCP03;
    else if (strcmp(channel, "any") != 0)
        return kf_fail(error, KF_ERR_FIELD, "least_channel: %s is none of any, scp02, scp03", channel);
    return KF_OK;
}

static const char *default_template(const kf_key_entry *entry)
{
    if (entry->algorithm != KF_AES) return "";
    switch (entry->purpose) {
    case KF_PURPOSE_PAYMENT: return KF_KEY_TEMPLATE_PAYMENT;
    case KF_PURPOSE_CARD_MANAGER: return KF_KEY_TEMPLATE_CARD_MANAGER;
    case KF_PURPOSE_ADM: return KF_KEY_TEMPLATE_ADM;
    case KF_PURPOSE_TRANSPORT:
    case KF_PURPOSE_GROUP: return "";
    }
    return "";
}

static kf_code read_policy(const json_t *body, kf_key_entry *entry, kf_error *error)
{
    static const char *const members[] = {"profiles",   "least_channel",   "least_level", "clear_at_terminal",
                                          "exportable", "diversification", "refill",      "key_blocks",
                                          NULL};
    kf_key_policy *policy = &entry->policy;
    json_t *json = NULL;
    const char *line = default_template(entry);
    policy->exportable = true; /* where the unit and the purpose allow it: the vault decides */
    policy->clear_at_terminal = entry->purpose == KF_PURPOSE_ADM;
    KF_TRY(kf_json_object_optional(body, "policy", &json, error));
    if (json != NULL) {
        KF_TRY(kf_json_only(json, members, error));
        KF_TRY(kf_json_text_optional(json, "diversification", KF_DIVERSIFICATION_TEXT_MAX, &line, error));
        KF_TRY(read_profiles(json, policy, error));
        KF_TRY(read_limits(json, policy, error));
    }
    memcpy(policy->diversification, line, strlen(line) + 1);
    return KF_OK;
}

static kf_code read_new_key(const json_t *body, kf_key_entry *entry, kf_error *error)
{
    const kf_json_range seconds = {0, SECONDS_MOST};
    const char *state = "active";
    int64_t from = 0;
    int64_t until = 0;
    KF_TRY(read_algorithm(body, entry, error));
    KF_TRY(read_policy(body, entry, error));
    KF_TRY(kf_json_text_optional(body, "state", 16, &state, error));
    KF_TRY(kf_json_integer_optional(body, "valid_from", seconds, &from, error));
    KF_TRY(kf_json_integer_optional(body, "valid_until", seconds, &until, error));
    if (kf_key_state_from_name(state, &entry->state) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD, "state: a new key is active or pre-active, not %s", state);
    entry->valid_from = (uint64_t)from;
    entry->valid_until = (uint64_t)until;
    return KF_OK;
}

static kf_code read_component(const json_t *body, kf_buffer *sealed, kf_key_act_request *request,
                              kf_error *error)
{
    const kf_json_range numbers = {1, KF_KEY_COMPONENTS_MAX};
    int64_t count = 0;
    int64_t component = 0;
    KF_TRY(kf_json_hex_exactly(body, "import", KF_IMPORT_ID_SIZE, request->import_id, error));
    KF_TRY(kf_json_integer(body, "components", (kf_json_range){KF_KEY_COMPONENTS_MIN, KF_KEY_COMPONENTS_MAX},
                           &count, error));
    KF_TRY(kf_json_integer(body, "component", numbers, &component, error));
    KF_TRY(kf_json_hex(body, "sealed", KF_SEALED_COMPONENT_MAX, sealed, error));
    request->component_count = (uint8_t)count;
    request->component = (uint8_t)component;
    request->sealed = kf_buffer_view(sealed);
    return KF_OK;
}

static const char *const common_members[] = {"act", "purpose", "category", "version"};
static const char *const new_key_members[] = {"algorithm",  "size",        "state",
                                              "valid_from", "valid_until", "policy"};
static const char *const component_members[] = {"import", "components", "component", "sealed"};

static size_t append_names(const char **list, size_t count, const char *const *names, size_t name_count)
{
    for (size_t i = 0; i < name_count; i++)
        list[count + i] = names[i];
    return count + name_count;
}

/* Members that the act does not take are refused, so that nobody thinks they had an effect. */
static kf_code check_members(const json_t *body, kf_key_act act, kf_error *error)
{
    const char *list[16] = {NULL};
    size_t count = append_names(list, 0, common_members, 4);
    if (act == KF_KEY_GENERATE || act == KF_KEY_IMPORT) count = append_names(list, count, new_key_members, 6);
    if (act == KF_KEY_ROTATE) count = append_names(list, count, new_key_members + 4, 1);
    if (act == KF_KEY_IMPORT) (void)append_names(list, count, component_members, 4);
    return kf_json_only(body, list, error);
}

kf_code kf_key_act_form_read(const json_t *body, kf_buffer *sealed, kf_key_act_request *ret_request,
                             kf_error *error)
{
    kf_key_act_request request;
    memset(&request, 0, sizeof request);
    const char *act = NULL;
    int64_t version = 0;
    int64_t until = 0;
    KF_TRY(kf_json_text(body, "act", 16, &act, error));
    if (kf_key_act_from_name(act, &request.act) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD,
                       "act: there is none called %s; take generate, rotate, import, activate, suspend, "
                       "deactivate, destroy, backup or restore",
                       act);
    KF_TRY(check_members(body, request.act, error));
    KF_TRY(read_purpose(body, &request.entry, error));
    KF_TRY(kf_json_integer_optional(body, "version", (kf_json_range){1, UINT32_MAX}, &version, error));
    request.entry.version = (uint32_t)version;
    request.entry.algorithm = KF_AES;
    request.entry.size = 16;
    request.entry.state = KF_KEY_ACTIVE;
    if (request.act == KF_KEY_GENERATE || request.act == KF_KEY_IMPORT)
        KF_TRY(read_new_key(body, &request.entry, error));
    KF_TRY(kf_json_integer_optional(body, "valid_until", (kf_json_range){0, SECONDS_MOST}, &until, error));
    request.entry.valid_until = (uint64_t)until;
    if (request.act == KF_KEY_IMPORT) KF_TRY(read_component(body, sealed, &request, error));
    *ret_request = request;
    return KF_OK;
}

static kf_code policy_to_json(const kf_key_policy *policy, json_t *json)
{
    json_t *profiles = json_array();
    KF_TRY(kf_json_set(json, "profiles", profiles));
    for (size_t i = 0; i < policy->profile_count; i++) {
        char digits[2 * KF_PROFILE_DIGEST_SIZE + 1];
        KF_TRY(kf_hex_encode(kf_view_of(policy->profiles[i], KF_PROFILE_DIGEST_SIZE), digits, sizeof digits));
        KF_TRY(kf_json_append(profiles, json_string(digits)));
    }
    const char *channel = policy->least_channel == KF_CHANNEL_SCP02   ? "scp02"
                          : policy->least_channel == KF_CHANNEL_SCP03 ? "scp03"
                                                                      : "any";
    KF_TRY(kf_json_set_text(json, "least_channel", channel));
    KF_TRY(kf_json_set_integer(json, "least_level", policy->least_level));
    KF_TRY(kf_json_set_boolean(json, "clear_at_terminal", policy->clear_at_terminal));
    KF_TRY(kf_json_set_boolean(json, "exportable", policy->exportable));
    if (policy->key_blocks) KF_TRY(kf_json_set_boolean(json, "key_blocks", true));
    KF_TRY(
        kf_json_set_text(json, "refill", policy->refill_new_version_only ? new_version_only : "generation"));
    return kf_json_set_text(json, "diversification", policy->diversification);
}

kf_code kf_key_entry_to_json(const kf_key_entry *entry, json_t **ret_json)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    json_t *policy = json_object();
    KF_TRY(kf_json_set(json, "policy", policy));
    KF_TRY(policy_to_json(&entry->policy, policy));
    KF_TRY(kf_json_set_text(json, "purpose", kf_key_purpose_name(entry->purpose)));
    KF_TRY(kf_json_set_text(json, "category", entry->category));
    KF_TRY(kf_json_set_integer(json, "version", entry->version));
    KF_TRY(kf_json_set_text(json, "algorithm", kf_key_algorithm_name(entry->algorithm)));
    KF_TRY(kf_json_set_integer(json, "size", (int64_t)entry->size));
    KF_TRY(kf_json_set_text(json, "kcv", kf_kcv_show(entry->kcv).text));
    KF_TRY(kf_json_set_text(json, "state", kf_key_state_name(entry->state)));
    KF_TRY(kf_json_set_integer(json, "created", (int64_t)entry->created));
    KF_TRY(kf_json_set_integer(json, "valid_from", (int64_t)entry->valid_from));
    KF_TRY(kf_json_set_integer(json, "valid_until", (int64_t)entry->valid_until));
    KF_TRY(kf_json_set_integer(json, "revision", (int64_t)entry->revision));
    KF_TRY(kf_json_set_text(json, "origin", entry->origin));
    *ret_json = json;
    json = NULL;
    return KF_OK;
}

kf_code kf_key_act_answer_to_json(const kf_key_act_request *request, const kf_key_act_answer *answer,
                                  json_t *json)
{
    if (request->act == KF_KEY_IMPORT) {
        json_t *present = json_array();
        KF_TRY(kf_json_set(json, "present", present));
        for (unsigned i = 0; i < KF_KEY_COMPONENTS_MAX; i++)
            if ((answer->present >> i & 1U) != 0) KF_TRY(kf_json_append(present, json_integer(i + 1)));
        KF_TRY(kf_json_set_text(json, "component_kcv", kf_kcv_show(answer->component_kcv).text));
    }
    if (!answer->complete) return KF_OK;
    json_t *key = NULL;
    KF_TRY(kf_key_entry_to_json(&answer->entry, &key));
    return kf_json_set(json, "key", key);
}
