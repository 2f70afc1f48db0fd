#include "vault/key_entry.h"

#include <stdio.h>
#include <string.h>

#include "vault/protocol.h"
#include "wire/names.h"

typedef struct named_number {
    const char *name;
    int number;
} named_number;

static const named_number purpose_names[] = {
    {"payment", KF_PURPOSE_PAYMENT}, {"card-manager", KF_PURPOSE_CARD_MANAGER},
    {"adm", KF_PURPOSE_ADM},         {"transport", KF_PURPOSE_TRANSPORT},
    {"group", KF_PURPOSE_GROUP},     {NULL, 0},
};
static const named_number state_names[] = {
    {"pre-active", KF_KEY_PRE_ACTIVE},   {"active", KF_KEY_ACTIVE},       {"suspended", KF_KEY_SUSPENDED},
    {"deactivated", KF_KEY_DEACTIVATED}, {"destroyed", KF_KEY_DESTROYED}, {NULL, 0},
};
static const named_number algorithm_names[] = {
    {"aes", KF_AES}, {"tdes", KF_TDES}, {"sm4", KF_SM4}, {NULL, 0}};

static const char *name_of(const named_number *names, int number)
{
    for (; names->name != NULL; names++)
        if (names->number == number) return names->name;
    return "unknown";
}

static kf_code number_of(const named_number *names, const char *name, int *ret_number)
{
    for (; names->name != NULL; names++) {
        if (strcmp(names->name, name) != 0) continue;
        *ret_number = names->number;
        return KF_OK;
    }
    return KF_ERR_FIELD;
}

static bool is_known(const named_number *names, int number)
{
    for (; names->name != NULL; names++)
        if (names->number == number) return true;
    return false;
}

const char *kf_key_purpose_name(kf_key_purpose purpose)
{
    return name_of(purpose_names, (int)purpose);
}

kf_code kf_key_purpose_from_name(const char *name, kf_key_purpose *ret_purpose)
{
    int number;
    KF_TRY(number_of(purpose_names, name, &number));
    *ret_purpose = (kf_key_purpose)number;
    return KF_OK;
}

const char *kf_key_state_name(kf_key_state state)
{
    return name_of(state_names, (int)state);
}

kf_code kf_key_state_from_name(const char *name, kf_key_state *ret_state)
{
    int number;
    KF_TRY(number_of(state_names, name, &number));
    *ret_state = (kf_key_state)number;
    return KF_OK;
}

const char *kf_key_algorithm_name(kf_algorithm algorithm)
{
    return name_of(algorithm_names, (int)algorithm);
}

kf_code kf_key_algorithm_from_name(const char *name, kf_algorithm *ret_algorithm)
{
    int number;
    KF_TRY(number_of(algorithm_names, name, &number));
    *ret_algorithm = (kf_algorithm)number;
    return KF_OK;
}

bool kf_key_size_fits(kf_algorithm algorithm, size_t size)
{
    switch (algorithm) {
    case KF_AES: return size == 16 || size == 24 || size == 32;
    case KF_TDES: return size == 16 || size == 24;
    case KF_SM4: return size == 16;
    case KF_DES: return false;
    }
    return false;
}

kf_code kf_key_entry_kcv(kf_algorithm algorithm, const kf_secret *key, kf_kcv *ret_kcv)
{
    return kf_kcv_compute(algorithm, key, algorithm == KF_TDES ? KF_KCV_ZEROS : KF_KCV_CMAC, ret_kcv);
}

kf_code kf_category_check(const char *name, kf_error *error)
{
    return kf_name_check("name", name, error);
}

kf_key_label kf_key_label_of(const kf_key_entry *entry)
{
    kf_key_label label;
    (void)snprintf(label.text, sizeof label.text, "%s/%s/%u", kf_key_purpose_name(entry->purpose),
                   entry->category, (unsigned)entry->version);
    return label;
}

void kf_key_policy_put(kf_buffer *bytes, const kf_key_policy *policy)
{
    kf_buffer_append_u8(bytes, (uint8_t)policy->profile_count);
    for (size_t i = 0; i < policy->profile_count; i++)
        kf_buffer_append_bytes(bytes, policy->profiles[i], KF_PROFILE_DIGEST_SIZE);
    kf_buffer_append_u8(bytes, (uint8_t)policy->least_channel);
    kf_buffer_append_u8(bytes, policy->least_level);
    kf_message_put_bool(bytes, policy->clear_at_terminal);
    kf_message_put_bool(bytes, policy->refill_new_version_only);
    kf_message_put_bool(bytes, policy->exportable);
    kf_message_put_bool(bytes, policy->key_blocks);
    kf_message_put_text(bytes, policy->diversification);
}

kf_code kf_key_policy_take(kf_cursor *bytes, kf_key_policy *ret_policy)
{
    kf_key_policy policy;
    memset(&policy, 0, sizeof policy);
    uint8_t count;
    uint8_t channel;
    KF_TRY(kf_cursor_u8(bytes, &count));
    if (count > KF_KEY_PROFILES_MAX) return KF_ERR_MALFORMED;
    policy.profile_count = count;
    for (size_t i = 0; i < count; i++)
        KF_TRY(kf_cursor_copy(bytes, policy.profiles[i], KF_PROFILE_DIGEST_SIZE));
    KF_TRY(kf_cursor_u8(bytes, &channel));
    if (channel != KF_CHANNEL_ANY && channel != KF_CHANNEL_SCP02 && channel != KF_CHANNEL_SCP03)
        return KF_ERR_MALFORMED;
    policy.least_channel = (kf_key_channel)channel;
    KF_TRY(kf_cursor_u8(bytes, &policy.least_level));
    KF_TRY(kf_message_take_bool(bytes, &policy.clear_at_terminal));
    KF_TRY(kf_message_take_bool(bytes, &policy.refill_new_version_only));
    KF_TRY(kf_message_take_bool(bytes, &policy.exportable));
    KF_TRY(kf_message_take_bool(bytes, &policy.key_blocks));
    KF_TRY(kf_message_take_text(bytes, policy.diversification, sizeof policy.diversification));
    *ret_policy = policy;
    return KF_OK;
}

void kf_key_entry_put(kf_buffer *bytes, const kf_key_entry *entry)
{
    kf_message_put_text(bytes, entry->category);
    kf_buffer_append_u8(bytes, (uint8_t)entry->purpose);
    kf_buffer_append_u32(bytes, entry->version);
    kf_buffer_append_u8(bytes, (uint8_t)entry->algorithm);
    kf_buffer_append_u8(bytes, (uint8_t)entry->size);
    kf_buffer_append_bytes(bytes, entry->kcv.bytes, KF_KCV_SIZE);
    kf_buffer_append_u8(bytes, (uint8_t)entry->state);
    kf_buffer_append_u64(bytes, entry->created);
    kf_buffer_append_u64(bytes, entry->valid_from);
    kf_buffer_append_u64(bytes, entry->valid_until);
    kf_buffer_append_u64(bytes, entry->revision);
    kf_message_put_text(bytes, entry->origin);
    kf_key_policy_put(bytes, &entry->policy);
}

/* Numbers that name something are checked here, so that no entry with an unknown one goes further. */
static kf_code take_names(kf_cursor *bytes, kf_key_entry *entry)
{
    uint8_t purpose;
    uint8_t algorithm;
    uint8_t size;
    uint8_t state;
    KF_TRY(kf_cursor_u8(bytes, &purpose));
    KF_TRY(kf_cursor_u32(bytes, &entry->version));
    KF_TRY(kf_cursor_u8(bytes, &algorithm));
    KF_TRY(kf_cursor_u8(bytes, &size));
    KF_TRY(kf_cursor_copy(bytes, entry->kcv.bytes, KF_KCV_SIZE));
    KF_TRY(kf_cursor_u8(bytes, &state));
    if (!is_known(purpose_names, purpose) || !is_known(state_names, state) ||
        !is_known(algorithm_names, algorithm) || !kf_key_size_fits((kf_algorithm)algorithm, size))
        return KF_ERR_MALFORMED;
    entry->purpose = (kf_key_purpose)purpose;
    entry->algorithm = (kf_algorithm)algorithm;
    entry->size = size;
    entry->state = (kf_key_state)state;
    return KF_OK;
}

kf_code kf_key_entry_take(kf_cursor *bytes, kf_key_entry *ret_entry)
{
    kf_key_entry entry;
    memset(&entry, 0, sizeof entry);
    KF_TRY(kf_message_take_text(bytes, entry.category, sizeof entry.category));
    if (kf_category_check(entry.category, NULL) != KF_OK) return KF_ERR_MALFORMED;
    KF_TRY(take_names(bytes, &entry));
    KF_TRY(kf_cursor_u64(bytes, &entry.created));
    KF_TRY(kf_cursor_u64(bytes, &entry.valid_from));
    KF_TRY(kf_cursor_u64(bytes, &entry.valid_until));
    KF_TRY(kf_cursor_u64(bytes, &entry.revision));
    KF_TRY(kf_message_take_text(bytes, entry.origin, sizeof entry.origin));
    KF_TRY(kf_key_policy_take(bytes, &entry.policy));
    *ret_entry = entry;
    return KF_OK;
}
