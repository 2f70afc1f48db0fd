#include <stdlib.h>
#include <string.h>

#include <keyfill/diversify.h>
#include <keyfill/hex.h>

#include "softcard/key_sets.h"
#include "softcard/provision_parts.h"
#include "softcard/public_keys.h"
#include "softcard/registry.h"
#include "softcard/secure_channel.h"

/* The keys that GlobalPlatform's examples, and most development cards, carry. */
static const char published_test_key[] = "404142434445464748494A4B4C4D4E4F";

/* Table 11-7: everything that an issuer security domain may do on a card without delegated management of its
 * own. */
static const uint8_t issuer_privileges[] = {0x9E, 0xFE, 0x80};

static kf_code read_protocols(const char *text, uint8_t *ret_protocols, kf_error *error)
{
    static const struct {
        const char *text;
        uint8_t protocols;
    } rows[] = {
        {"02", SOFTCARD_HAS_SCP02},
        {"03", SOFTCARD_HAS_SCP03},
        {"02+03", SOFTCARD_HAS_SCP02 | SOFTCARD_HAS_SCP03},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].text, text) != 0) continue;
        *ret_protocols = rows[i].protocols;
        return KF_OK;
    }
    return kf_fail(error, KF_ERR_CONFIGURATION, "scp: \"%s\" is none of 02, 03, 02+03", text);
}

kf_code softcard_provision_protocols(const softcard_provisioning *provisioning,
                                     const softcard_domain_blueprint *own, softcard_application *ret_domain,
                                     kf_error *error)
{
    static const softcard_domain_blueprint nothing;
    const softcard_blueprint *card = provisioning->blueprint;
    const softcard_kind_of_card *kind = provisioning->kind;
    if (own == NULL) own = &nothing;
    const char *protocols =
        softcard_text_or(own->protocols, softcard_text_or(card->protocol, kind->protocols));
    KF_TRY(read_protocols(protocols, &ret_domain->protocols, error));
    /* `i` is that of the one protocol; beside SCP03, SCP02 has its own line. */
    bool only_scp02 = ret_domain->protocols == SOFTCARD_HAS_SCP02;
    const char *i = softcard_text_or(own->parameter, card->parameter);
    const char *scp02_i = softcard_text_or(own->scp02_parameter, card->scp02_parameter);
    if (only_scp02 && scp02_i == NULL) scp02_i = i;
    KF_TRY(softcard_read_byte(only_scp02 ? kind->parameter : softcard_text_or(i, kind->parameter), "i",
                              &ret_domain->channel_parameter, error));
    KF_TRY(softcard_read_byte(softcard_text_or(scp02_i, kind->scp02_parameter), "i",
                              &ret_domain->scp02_parameter, error));
    if (!softcard_parameter_is_supported(ret_domain->channel_parameter))
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "i: %02X is none of 00, 10, 20, 30, 60, 70 (or 01 more for S16)",
                       ret_domain->channel_parameter);
    if (!softcard_scp02_parameter_is_supported(ret_domain->scp02_parameter))
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "i: %02X is none of SCP02's that the card has: 05, 15, 45, 55, or 20 more for R-MAC",
                       ret_domain->scp02_parameter);
    return KF_OK;
}

/* A maker's master key and how the card's are made of it. */
typedef struct maker_key {
    const char *name; /* of the blueprint's member */
    const char *master_key;
    const char *diversification;
    kf_algorithm algorithm;
} maker_key;

static kf_code diversified_key(const softcard_provisioning *provisioning, const maker_key *maker,
                               uint8_t role, kf_secret **ret_key, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *master_key = NULL;
    KF_CLEANUP(kf_diversification_free) kf_diversification *diversification = NULL;
    char kdd[2 * SOFTCARD_KDD_SIZE + 1];
    KF_TRY(kf_fail_plain(error, kf_hex_encode(KF_VIEW(provisioning->state->kdd), kdd, sizeof kdd)));
    if (kf_hex_decode_secret(maker->master_key, &master_key) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s: not a key in hexadecimal", maker->name);
    if (maker->diversification == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "diversification: missing beside %s; for example sp800-108-aes(role,kdd/hex)",
                       maker->name);
    KF_TRY(kf_diversification_parse(maker->diversification, &diversification, error));
    const kf_field fields[] = {{"kdd", kdd}, {"iccid", softcard_provision_iccid(provisioning->blueprint)}};
    return kf_diversify(diversification, maker->algorithm, master_key,
                        (kf_fields){fields, sizeof fields / sizeof fields[0]}, (kf_key_role)role, ret_key,
                        error);
}

kf_code softcard_provision_adm1(const softcard_provisioning *provisioning, kf_error *error)
{
    const softcard_blueprint *blueprint = provisioning->blueprint;
    const maker_key maker = {"adm1_master_key", blueprint->adm1_master_key, blueprint->adm1_diversification,
                             KF_AES};
    if (maker.master_key == NULL && maker.diversification == NULL) return KF_OK;
    if (maker.master_key == NULL || blueprint->adm1 != NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "adm1_master_key goes with adm1_diversification, and not with adm1");
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(diversified_key(provisioning, &maker, KF_ROLE_SINGLE, &key, error));
    memcpy(kf_secret_expose_writable(provisioning->state->pins[SOFTCARD_ADM1].value),
           kf_secret_expose(key).data, SOFTCARD_PIN_SIZE);
    return KF_OK;
}

/* The `role`th of "ENC:MAC:DEK", or the one for all three. */
static kf_code written_key(const char *text, uint8_t role, kf_secret **ret_key, kf_error *error)
{
    const char *start = text;
    for (uint8_t i = SOFTCARD_KEY_ENC; i < role && strchr(text, ':') != NULL; i++) {
        const char *colon = strchr(start, ':');
        if (colon == NULL)
            return kf_fail(error, KF_ERR_CONFIGURATION, "keys: three keys as ENC:MAC:DEK, or one");
        start = colon + 1;
    }
    char *one = strndup(start, strcspn(start, ":"));
    if (one == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_code code = kf_hex_decode_secret(one, ret_key);
    explicit_bzero(one, strlen(one));
    free(one);
    return code == KF_OK ? KF_OK : kf_fail(error, KF_ERR_CONFIGURATION, "keys: not keys in hexadecimal");
}

static kf_code check_version(uint8_t version, kf_error *error)
{
    if (version != 0 && (version <= 0x7F || version == SOFTCARD_KEY_VERSION_INITIAL)) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "key_version: %02X is neither 01 to 7F nor FF", version);
}

/* Three keys of one type, as the blueprint gives them. */
static kf_code write_key_set(const softcard_provisioning *provisioning,
                             const softcard_domain_blueprint *blueprint, uint8_t type, softcard_key_set *set,
                             kf_error *error)
{
    static const uint8_t roles[] = {SOFTCARD_KEY_ENC, SOFTCARD_KEY_MAC, SOFTCARD_KEY_DEK};
    const maker_key maker = {"master_key", blueprint->master_key, blueprint->diversification,
                             softcard_key_algorithm(type)};
    for (size_t i = 0; i < sizeof roles; i++) {
        softcard_key *key = &set->keys[set->key_count];
        *key = (softcard_key){.identifier = roles[i], .type = type};
        if (blueprint->master_key != NULL)
            KF_TRY(diversified_key(provisioning, &maker, roles[i], &key->value, error));
        else
            KF_TRY(written_key(softcard_text_or(blueprint->keys, published_test_key), roles[i], &key->value,
                               error));
        size_t size = kf_secret_size(key->value);
        set->key_count++;
        if (softcard_key_type_check(type, size) != SW_OK)
            return kf_fail(error, KF_ERR_CONFIGURATION, "keys: %zu bytes are not a key of %s", size,
                           type == SOFTCARD_KEY_TYPE_AES ? "AES (16, 24 or 32)" : "3DES (16)");
    }
    if (softcard_key_set_protocol(set) == 0)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "keys: the three are not of one size, or not 16 for SCP02");
    return KF_OK;
}

static kf_code write_channel_keys(const softcard_provisioning *provisioning,
                                  const softcard_domain_blueprint *blueprint, softcard_application *domain,
                                  kf_error *error)
{
    int ways = (blueprint->keys != NULL) + (blueprint->master_key != NULL) + blueprint->published_test_keys;
    if (ways == 0 && domain->kind == SOFTCARD_DOMAIN) return KF_OK;
    if (ways != 1)
        return kf_fail(
            error, KF_ERR_CONFIGURATION,
            "exactly one of keys, master_key and published-test-keys gives a domain its keys; %d do", ways);
    softcard_key_set *set = &domain->key_sets[domain->key_set_count];
    const char *version = softcard_text_or(blueprint->key_version, provisioning->kind->key_version);
    KF_TRY(softcard_read_byte(version, "key_version", &set->version, error));
    KF_TRY(check_version(set->version, error));
    domain->key_set_count++;
    bool has_scp02 = (domain->protocols & SOFTCARD_HAS_SCP02) != 0;
    return write_key_set(provisioning, blueprint, has_scp02 ? SOFTCARD_KEY_TYPE_DES : SOFTCARD_KEY_TYPE_AES,
                         set, error);
}

/* What some kinds of card come with beside that: the published test keys also as keys of SCP03, and as keys
 * of remote management (KIc, KID, KIK; TS 102 225 A.1). */
static kf_code write_published_sets(const softcard_provisioning *provisioning,
                                    const softcard_domain_blueprint *blueprint, softcard_application *domain,
                                    kf_error *error)
{
    static const struct {
        uint8_t version;
        uint8_t type;
    } sets[] = {{0x30, SOFTCARD_KEY_TYPE_AES}, {0x01, SOFTCARD_KEY_TYPE_DES}, {0x02, SOFTCARD_KEY_TYPE_AES}};
    if (!provisioning->kind->has_published_sets || !blueprint->published_test_keys) return KF_OK;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (softcard_key_set_find(domain, sets[i].version) != NULL) continue;
        softcard_key_set *set = &domain->key_sets[domain->key_set_count++];
        set->version = sets[i].version;
        KF_TRY(write_key_set(provisioning, blueprint, sets[i].type, set, error));
    }
    return KF_OK;
}

static bool read_public_key(const char *text, softcard_key *key)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer first = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer second = KF_BUFFER_INIT;
    char *copy = strdup(text);
    if (copy == NULL) return false;
    char *colon = strchr(copy, ':');
    bool is_rsa = key->type == SOFTCARD_KEY_TYPE_RSA_MODULUS;
    bool good = is_rsa == (colon != NULL);
    if (good && is_rsa) {
        *colon = '\0';
        good = kf_hex_decode_append(colon + 1, &second) == KF_OK;
    }
    good = good && kf_hex_decode_append(copy, &first) == KF_OK;
    free(copy);
    if (!good) return false;
    return (is_rsa ? softcard_public_key_rsa(kf_buffer_view(&first), kf_buffer_view(&second), key)
                   : softcard_public_key_ec(kf_buffer_view(&first), key)) == SW_OK;
}

static bool read_further_key(const char *text, softcard_key *key)
{
    if (softcard_key_type_is_public(key->type)) return read_public_key(text, key);
    if (kf_hex_decode_secret(text, &key->value) != KF_OK) return false;
    if (softcard_key_type_check(key->type, kf_secret_size(key->value)) == SW_OK) return true;
    kf_secret_free(&key->value);
    return false;
}

static kf_code write_further_key(const softcard_key_blueprint *blueprint, softcard_application *domain,
                                 kf_error *error)
{
    uint8_t version;
    uint8_t identifier;
    uint8_t type;
    KF_TRY(softcard_read_byte(blueprint->version, "version", &version, error));
    KF_TRY(softcard_read_byte(blueprint->identifier, "id", &identifier, error));
    KF_TRY(softcard_read_byte(blueprint->type, "type", &type, error));
    KF_TRY(check_version(version, error));
    softcard_key_set *set = softcard_key_set_find(domain, version);
    if (set == NULL && domain->key_set_count == SOFTCARD_KEY_SETS_MAX)
        return kf_fail(error, KF_ERR_CONFIGURATION, "more_keys: a domain has at most %d versions",
                       SOFTCARD_KEY_SETS_MAX);
    if (set != NULL && (set->key_count == SOFTCARD_KEYS_MAX || softcard_key_find(set, identifier) != NULL))
        return kf_fail(error, KF_ERR_CONFIGURATION, "more_keys: key %02X of version %02X is there already",
                       identifier, version);
    softcard_key key = {.identifier = identifier, .type = type};
    if (identifier == 0 || !read_further_key(blueprint->key, &key))
        return kf_fail(
            error, KF_ERR_CONFIGURATION,
            "more_keys: key %02X of version %02X is no key of type %02X in hexadecimal (A1: modulus "
            "and exponent with a colon between)",
            identifier, version, type);
    if (set == NULL) {
        set = &domain->key_sets[domain->key_set_count++];
        set->version = version;
    }
    set->keys[set->key_count++] = key;
    return KF_OK;
}

static kf_code write_aid(const softcard_provisioning *provisioning,
                         const softcard_domain_blueprint *blueprint, softcard_application *domain,
                         kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer aid = KF_BUFFER_INIT;
    bool is_issuer = domain->kind == SOFTCARD_ISSUER_DOMAIN;
    const char *text = softcard_text_or(blueprint->aid, is_issuer ? provisioning->kind->issuer_aid : "");
    if (kf_hex_decode_append(text, &aid) != KF_OK ||
        softcard_aid_of(kf_buffer_view(&aid), &domain->aid) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "aid: \"%s\" is not 5 to 16 bytes in hexadecimal", text);
    if (softcard_application_find(provisioning->state, &domain->aid) != domain)
        return kf_fail(error, KF_ERR_CONFIGURATION, "aid: %s is there twice", text);
    return KF_OK;
}

static kf_code write_privileges(const softcard_domain_blueprint *blueprint, softcard_application *domain,
                                kf_error *error)
{
    if (domain->kind == SOFTCARD_ISSUER_DOMAIN) {
        memcpy(domain->privileges, issuer_privileges, sizeof issuer_privileges);
        return KF_OK;
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    const char *text = softcard_text_or(blueprint->privileges, "80");
    if (kf_hex_decode_append(text, &bytes) != KF_OK ||
        softcard_privileges_read(kf_buffer_view(&bytes), domain) != SW_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "privileges: \"%s\" is not one or three bytes that a security domain can have", text);
    return KF_OK;
}

/* What a card can be delivered in (5.1.1). */
static kf_code read_card_state(const char *text, uint8_t *ret_state, kf_error *error)
{
    uint8_t state;
    KF_TRY(softcard_read_byte(text, "life_cycle", &state, error));
    if (state != SOFTCARD_CARD_OP_READY && state != SOFTCARD_CARD_INITIALIZED &&
        state != SOFTCARD_CARD_SECURED)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "life_cycle: %s is none of 01 (OP_READY), 07 (INITIALIZED), 0F (SECURED)", text);
    *ret_state = state;
    return KF_OK;
}

kf_code softcard_provision_domain(const softcard_provisioning *provisioning,
                                  const softcard_domain_blueprint *blueprint, kf_error *error)
{
    softcard_state *state = provisioning->state;
    softcard_application *domain = softcard_application_add(state);
    if (domain == NULL) return kf_fail(error, KF_ERR_CONFIGURATION, "domains: the card is full");
    bool is_issuer = state->application_count == 1;
    domain->kind = is_issuer ? SOFTCARD_ISSUER_DOMAIN : SOFTCARD_DOMAIN;
    KF_TRY(write_aid(provisioning, blueprint, domain, error));
    domain->domain = state->applications[0].aid;
    domain->life_cycle = SOFTCARD_SELECTABLE;
    if (is_issuer)
        KF_TRY(read_card_state(softcard_text_or(blueprint->life_cycle, provisioning->kind->life_cycle),
                               &domain->life_cycle, error));
    if (!is_issuer) {
        domain->load_file = softcard_domain_load_file;
        domain->module = softcard_domain_module;
    }
    KF_TRY(write_privileges(blueprint, domain, error));
    KF_TRY(softcard_provision_protocols(provisioning, blueprint, domain, error));
    KF_TRY(write_channel_keys(provisioning, blueprint, domain, error));
    if (is_issuer) KF_TRY(write_published_sets(provisioning, blueprint, domain, error));
    for (unsigned i = 0; i < blueprint->more_keys_count; i++)
        KF_TRY(write_further_key(&blueprint->more_keys[i], domain, error));
    if (!is_issuer && domain->key_set_count > 0) domain->life_cycle = SOFTCARD_PERSONALIZED;
    return KF_OK;
}
