#include "vault/key_store.h"

static bool makes_card_keys(kf_key_purpose purpose)
{
    return purpose == KF_PURPOSE_PAYMENT || purpose == KF_PURPOSE_CARD_MANAGER || purpose == KF_PURPOSE_ADM;
}

static kf_code check_template(const kf_key_entry *entry, kf_error *error)
{
    const kf_key_policy *policy = &entry->policy;
    if (!makes_card_keys(entry->purpose)) {
        if (policy->diversification[0] == '\0') return KF_OK;
        return kf_fail(error, KF_ERR_KEY_POLICY, "a %s key makes no card keys: leave diversification out",
                       kf_key_purpose_name(entry->purpose));
    }
    kf_diversification *parsed = NULL;
    KF_TRY(kf_diversification_parse(policy->diversification, &parsed, error));
    bool generation = kf_diversification_uses(parsed, "generation");
    kf_diversification_free(&parsed);
    /* Without the generation a refill would write the key that the card already has. */
    if (entry->purpose == KF_PURPOSE_PAYMENT && !generation && !policy->refill_new_version_only)
        return kf_fail(error, KF_ERR_KEY_POLICY,
                       "the template \"%.200s\" does not take the field generation, so that a refill would "
                       "write the same key "
                       "again: add it, or say refill: new-base-key-version-only",
                       policy->diversification);
    return KF_OK;
}

kf_code kf_key_policy_check(const kf_key_entry *entry, kf_error *error)
{
    const kf_key_policy *policy = &entry->policy;
    KF_TRY(kf_category_check(entry->category, error));
    if (!kf_key_size_fits(entry->algorithm, entry->size))
        return kf_fail(error, KF_ERR_KEY_SIZE,
                       "a base key of %zu bytes does not fit %s: AES takes 16, 24, 32, 3DES 16, 24, SM4 16",
                       entry->size, kf_key_algorithm_name(entry->algorithm));
    /* X9.143 version D protects with AES alone; group keys seal by XChaCha20-Poly1305. */
    if (entry->purpose == KF_PURPOSE_TRANSPORT && entry->algorithm != KF_AES)
        return kf_fail(error, KF_ERR_KEY_POLICY, "a transport key is an AES key");
    if (policy->key_blocks && entry->purpose != KF_PURPOSE_TRANSPORT)
        return kf_fail(error, KF_ERR_KEY_POLICY, "key blocks are a matter of transport keys");
    if (entry->purpose == KF_PURPOSE_GROUP && (entry->algorithm != KF_AES || entry->size != KF_SEAL_KEY_SIZE))
        return kf_fail(error, KF_ERR_KEY_POLICY, "a group key has %d bytes", KF_SEAL_KEY_SIZE);
    if (entry->valid_until != 0 && entry->valid_until <= entry->valid_from)
        return kf_fail(error, KF_ERR_FIELD, "the key's validity ends before it begins");
    if (policy->profile_count > KF_KEY_PROFILES_MAX)
        return kf_fail(error, KF_ERR_FIELD, "%zu profiles for one key: at most %d", policy->profile_count,
                       KF_KEY_PROFILES_MAX);
    if (entry->purpose == KF_PURPOSE_PAYMENT && policy->clear_at_terminal && policy->profile_count == 0)
        return kf_fail(
            error, KF_ERR_KEY_POLICY,
            "a payment key whose card keys are in clear at the terminal names the profiles it serves");
    return check_template(entry, error);
}
