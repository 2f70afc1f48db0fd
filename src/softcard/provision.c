#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/diversify.h>
#include <keyfill/hex.h>

#include "softcard/blueprint.h"
#include "softcard/file_system.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/secure_channel.h"

/* The keys that GlobalPlatform's examples, and most development cards, carry. */
static const char published_test_key[] = "404142434445464748494A4B4C4D4E4F";

/* TS = 3B, T=1 (TD1, TD2), IFSC of 254, block waiting integers, then historical bytes "KEYFILL" and TCK. */
static const uint8_t default_atr[] = {0x3B, 0xF7, 0x13, 0x00, 0x00, 0x81, 0x31, 0xFE,
                                      0x45, 'K',  'E',  'Y',  'F',  'I',  'L',  'L'};

enum { ALL_PRIVILEGES_1 = 0x9E, ALL_PRIVILEGES_2 = 0xFE, ALL_PRIVILEGES_3 = 0x80, ICCID_DIGITS_MAX = 20 };

static const char *text_or(const char *text, const char *otherwise)
{
    return text == NULL || text[0] == '\0' ? otherwise : text;
}

static kf_code read_byte(const char *text, const char *name, uint8_t otherwise, uint8_t *ret_byte,
                         kf_error *error)
{
    if (text == NULL) {
        *ret_byte = otherwise;
        return KF_OK;
    }
    if (kf_hex_decode(text, ret_byte, 1) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s: \"%s\" is not one byte in two hexadecimal digits",
                       name, text);
    return KF_OK;
}

/* Digits two to a byte, the first one low (TS 102 221 13.2; TS 31.102 4.2.2); the rest is F. */
static kf_code pack_swapped(const char *digits, const char *name, kf_view prefix, uint8_t *bytes, size_t size,
                            kf_error *error)
{
    size_t count = strlen(digits);
    if (count > 2 * size - prefix.size)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s: \"%s\" has %zu digits, %zu fit", name, digits, count,
                       2 * size - prefix.size);
    memset(bytes, 0xFF, size);
    for (size_t i = 0; i < count + prefix.size; i++) {
        char character = i < prefix.size ? (char)prefix.data[i] : digits[i - prefix.size];
        if (!isxdigit((unsigned char)character))
            return kf_fail(error, KF_ERR_CONFIGURATION, "%s: \"%s\" holds something else than digits", name,
                           digits);
        const char text[] = {'0', character, '\0'};
        uint8_t nibble;
        KF_TRY(kf_fail_plain(error, kf_hex_decode(text, &nibble, 1)));
        bytes[i / 2] = (uint8_t)(i % 2 == 0 ? (bytes[i / 2] & 0xF0U) | nibble
                                            : (bytes[i / 2] & 0x0FU) | (unsigned)nibble << 4);
    }
    return KF_OK;
}

/* EF.IMSI: length, then a nibble of parity and identity type before the digits. */
static kf_code write_imsi(softcard_state *state, const char *imsi, kf_error *error)
{
    uint8_t *file = state->files[SOFTCARD_EF_IMSI];
    memset(file, 0xFF, SOFTCARD_IMSI_SIZE);
    if (imsi == NULL || imsi[0] == '\0') return KF_OK;
    const char *parity = strlen(imsi) % 2 == 1 ? "9" : "1";
    KF_TRY(pack_swapped(imsi, "imsi", kf_view_of_text(parity), file + 1, SOFTCARD_IMSI_SIZE - 1, error));
    file[0] = (uint8_t)(strlen(imsi) / 2 + 1);
    return KF_OK;
}

/* EF.MSISDN (TS 31.102 4.2.26): no alpha identifier, then length, type of number, digits. */
static kf_code write_msisdn(softcard_state *state, const char *msisdn, kf_error *error)
{
    enum { ALPHA = SOFTCARD_MSISDN_RECORD - 14, DIGIT_BYTES = 10, INTERNATIONAL = 0x91 };
    uint8_t *file = state->files[SOFTCARD_EF_MSISDN];
    memset(file, 0xFF, (size_t)SOFTCARD_MSISDN_RECORD * SOFTCARD_MSISDN_RECORDS);
    if (msisdn == NULL || msisdn[0] == '\0') return KF_OK;
    const char *digits = msisdn[0] == '+' ? msisdn + 1 : msisdn;
    KF_TRY(pack_swapped(digits, "msisdn", kf_view_of(NULL, 0), file + ALPHA + 2, DIGIT_BYTES, error));
    file[ALPHA] = (uint8_t)(1 + (strlen(digits) + 1) / 2);
    file[ALPHA + 1] = INTERNATIONAL;
    return KF_OK;
}

static kf_code write_spn(softcard_state *state, const char *spn, kf_error *error)
{
    uint8_t *file = state->files[SOFTCARD_EF_SPN];
    size_t size = strlen(spn);
    if (size > SOFTCARD_SPN_SIZE - 1)
        return kf_fail(error, KF_ERR_CONFIGURATION, "spn: \"%s\" is longer than %d characters", spn,
                       SOFTCARD_SPN_SIZE - 1);
    memset(file, 0xFF, SOFTCARD_SPN_SIZE);
    file[0] = 0x01;
    memcpy(file + 1, spn, size);
    return KF_OK;
}

/* EF.DIR (TS 102 221 13.1): one application template, of the USIM. */
static void write_directory(softcard_state *state)
{
    uint8_t *file = state->files[SOFTCARD_EF_DIR];
    memset(file, 0xFF, SOFTCARD_DIR_RECORD);
    const uint8_t head[] = {0x61, (uint8_t)(2 + softcard_usim_aid.size + 6), 0x4F, softcard_usim_aid.size};
    const uint8_t label[] = {0x50, 0x04, 'U', 'S', 'I', 'M'};
    memcpy(file, head, sizeof head);
    memcpy(file + sizeof head, softcard_usim_aid.bytes, softcard_usim_aid.size);
    memcpy(file + sizeof head + softcard_usim_aid.size, label, sizeof label);
}

/* Sixteen hexadecimal digits are the eight bytes themselves; anything shorter is text padded with FF
 * (TS 102 221 9.5.1). */
static kf_code write_pin(softcard_pin *pin, const char *text, const char *name, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_secret_new_zero(SOFTCARD_PIN_SIZE, &pin->value)));
    uint8_t *value = kf_secret_expose_writable(pin->value);
    size_t size = strlen(text);
    if (size == 2 * SOFTCARD_PIN_SIZE && kf_hex_decode(text, value, SOFTCARD_PIN_SIZE) == KF_OK) return KF_OK;
    if (size == 0 || size > SOFTCARD_PIN_SIZE)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%s: %zu characters; 1 to %d, or %d hexadecimal digits, are a code", name, size,
                       SOFTCARD_PIN_SIZE, 2 * SOFTCARD_PIN_SIZE);
    memset(value, 0xFF, SOFTCARD_PIN_SIZE);
    memcpy(value, text, size);
    return KF_OK;
}

static kf_code write_files(const softcard_blueprint *blueprint, softcard_state *state, kf_error *error)
{
    memset(state->files, 0xFF, sizeof state->files);
    KF_TRY(pack_swapped(text_or(blueprint->iccid, ""), "iccid", kf_view_of(NULL, 0),
                        state->files[SOFTCARD_EF_ICCID], SOFTCARD_ICCID_SIZE, error));
    KF_TRY(write_imsi(state, blueprint->imsi, error));
    KF_TRY(write_msisdn(state, blueprint->msisdn, error));
    KF_TRY(write_spn(state, text_or(blueprint->spn, "keyfill"), error));
    write_directory(state);
    uint8_t pin1_tries = blueprint->pin1_tries != 0 ? blueprint->pin1_tries : SOFTCARD_DEFAULT_PIN1_TRIES;
    uint8_t adm1_tries = blueprint->adm1_tries != 0 ? blueprint->adm1_tries : SOFTCARD_DEFAULT_ADM1_TRIES;
    if (pin1_tries > 15 || adm1_tries > 15)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "pin1_tries, adm1_tries: 1 to 15 (a status word shows one digit)");
    state->pins[SOFTCARD_PIN1].tries_left = state->pins[SOFTCARD_PIN1].try_limit = pin1_tries;
    state->pins[SOFTCARD_ADM1].tries_left = state->pins[SOFTCARD_ADM1].try_limit = adm1_tries;
    KF_TRY(write_pin(&state->pins[SOFTCARD_PIN1], text_or(blueprint->pin1, "1234"), "pin1", error));
    return write_pin(&state->pins[SOFTCARD_ADM1], text_or(blueprint->adm1, "88888888"), "adm1", error);
}

/* Key diversification data and CPLC: as given, or made of the ICCID so that they differ from card to card. */
static kf_code write_identity(const softcard_blueprint *blueprint, softcard_state *state, kf_error *error)
{
    char digits[ICCID_DIGITS_MAX + 1];
    const char *iccid = text_or(blueprint->iccid, "");
    size_t count = strlen(iccid);
    memset(digits, 'F', ICCID_DIGITS_MAX);
    digits[ICCID_DIGITS_MAX] = '\0';
    memcpy(digits, iccid, count < ICCID_DIGITS_MAX ? count : ICCID_DIGITS_MAX);
    if (kf_hex_decode(text_or(blueprint->kdd, digits), state->kdd, sizeof state->kdd) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "kdd: \"%s\" is not %d bytes in hexadecimal",
                       text_or(blueprint->kdd, digits), SOFTCARD_KDD_SIZE);
    if (blueprint->cplc != NULL) {
        if (kf_hex_decode(blueprint->cplc, state->cplc, sizeof state->cplc) != KF_OK)
            return kf_fail(error, KF_ERR_CONFIGURATION, "cplc: not %d bytes in hexadecimal",
                           SOFTCARD_CPLC_SIZE);
        return KF_OK;
    }
    static const uint8_t fabricator_and_type[] = {0x47, 0x90, 0xD6, 0x00, 0x47, 0x00};
    memcpy(state->cplc, fabricator_and_type, sizeof fabricator_and_type);
    memcpy(state->cplc + 12, state->kdd + 6, 4); /* IC serial number */
    memcpy(state->cplc + 16, state->kdd + 4, 2); /* IC batch identifier */
    return KF_OK;
}

/* TCK is the exclusive or of everything behind TS (ISO/IEC 7816-3 8.2.5). */
static kf_code write_atr(const softcard_blueprint *blueprint, softcard_personality *personality,
                         kf_error *error)
{
    if (blueprint->atr == NULL) {
        uint8_t check = 0;
        memcpy(personality->atr, default_atr, sizeof default_atr);
        for (size_t i = 1; i < sizeof default_atr; i++)
            check ^= default_atr[i];
        personality->atr[sizeof default_atr] = check;
        personality->atr_size = sizeof default_atr + 1;
        return KF_OK;
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer atr = kf_buffer_with_limit(SOFTCARD_ATR_MAX);
    if (kf_hex_decode_append(blueprint->atr, &atr) != KF_OK || atr.size < 2)
        return kf_fail(error, KF_ERR_CONFIGURATION, "atr: \"%s\" is not 2 to %d bytes in hexadecimal",
                       blueprint->atr, SOFTCARD_ATR_MAX);
    memcpy(personality->atr, atr.data, atr.size);
    personality->atr_size = (uint8_t)atr.size;
    return KF_OK;
}

static kf_code write_personality(const softcard_blueprint *blueprint, softcard_personality *personality,
                                 kf_error *error)
{
    if (strcmp(text_or(blueprint->protocol, "03"), "03") != 0)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "scp: \"%s\" is not a secure channel that the card has: 03", blueprint->protocol);
    KF_TRY(read_byte(blueprint->parameter, "i", SOFTCARD_DEFAULT_PARAMETER, &personality->channel_parameter,
                     error));
    if (!softcard_parameter_is_supported(personality->channel_parameter))
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "i: %02X is none of 00, 10, 20, 30, 60, 70 (or 01 more for S16)",
                       personality->channel_parameter);
    personality->failure_limit =
        blueprint->failure_limit != 0 ? blueprint->failure_limit : SOFTCARD_DEFAULT_FAILURE_LIMIT;
    personality->counts_unfinished = blueprint->counts_unfinished;
    personality->imsi_needs_pin = blueprint->imsi_needs_pin;
    personality->msisdn_needs_pin = blueprint->msisdn_needs_pin;
    return write_atr(blueprint, personality, error);
}

/* A maker's master key and how the card's are made of it. */
typedef struct maker_key {
    const char *name; /* of the blueprint's member */
    const char *master_key;
    const char *diversification;
} maker_key;

static kf_code diversified_key(const softcard_blueprint *card, const maker_key *maker,
                               const softcard_state *state, uint8_t role, kf_secret **ret_key,
                               kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *master_key = NULL;
    KF_CLEANUP(kf_diversification_free) kf_diversification *diversification = NULL;
    char kdd[2 * SOFTCARD_KDD_SIZE + 1];
    KF_TRY(kf_fail_plain(error, kf_hex_encode(KF_VIEW(state->kdd), kdd, sizeof kdd)));
    if (kf_hex_decode_secret(maker->master_key, &master_key) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s: not a key in hexadecimal", maker->name);
    if (maker->diversification == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "diversification: missing beside %s; for example sp800-108-aes(role,kdd/hex)",
                       maker->name);
    KF_TRY(kf_diversification_parse(maker->diversification, &diversification, error));
    const kf_field fields[] = {{"kdd", kdd}, {"iccid", text_or(card->iccid, "")}};
    return kf_diversify(diversification, KF_AES, master_key,
                        (kf_fields){fields, sizeof fields / sizeof fields[0]}, (kf_key_role)role, ret_key,
                        error);
}

static kf_code write_diversified_adm1(const softcard_blueprint *blueprint, softcard_state *state,
                                      kf_error *error)
{
    const maker_key maker = {"adm1_master_key", blueprint->adm1_master_key, blueprint->adm1_diversification};
    if (maker.master_key == NULL && maker.diversification == NULL) return KF_OK;
    if (maker.master_key == NULL || blueprint->adm1 != NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "adm1_master_key goes with adm1_diversification, and not with adm1");
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(diversified_key(blueprint, &maker, state, KF_ROLE_SINGLE, &key, error));
    memcpy(kf_secret_expose_writable(state->pins[SOFTCARD_ADM1].value), kf_secret_expose(key).data,
           SOFTCARD_PIN_SIZE);
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

static kf_code write_keys(const softcard_blueprint *card, const softcard_domain_blueprint *blueprint,
                          const softcard_state *state, softcard_application *domain, kf_error *error)
{
    int ways = (blueprint->keys != NULL) + (blueprint->master_key != NULL) + blueprint->published_test_keys;
    if (ways == 0 && domain->kind == SOFTCARD_DOMAIN) return KF_OK;
    if (ways != 1)
        return kf_fail(
            error, KF_ERR_CONFIGURATION,
            "exactly one of keys, master_key and published-test-keys gives a domain its keys; %d do", ways);
    softcard_key_set *set = &domain->key_sets[0];
    KF_TRY(
        read_byte(blueprint->key_version, "key_version", SOFTCARD_DEFAULT_KEY_VERSION, &set->version, error));
    if (set->version == 0 || (set->version > 0x7F && set->version != SOFTCARD_KEY_VERSION_INITIAL))
        return kf_fail(error, KF_ERR_CONFIGURATION, "key_version: %02X is neither 01 to 7F nor FF",
                       set->version);
    domain->key_set_count = 1;
    const maker_key maker = {"master_key", blueprint->master_key, blueprint->diversification};
    static const uint8_t roles[] = {SOFTCARD_KEY_ENC, SOFTCARD_KEY_MAC, SOFTCARD_KEY_DEK};
    for (size_t i = 0; i < sizeof roles; i++) {
        const uint8_t role = roles[i];
        softcard_key *key = &set->keys[set->key_count];
        *key = (softcard_key){.identifier = role, .type = SOFTCARD_KEY_TYPE_AES};
        if (blueprint->master_key != NULL)
            KF_TRY(diversified_key(card, &maker, state, role, &key->value, error));
        else
            KF_TRY(written_key(text_or(blueprint->keys, published_test_key), role, &key->value, error));
        size_t size = kf_secret_size(key->value);
        set->key_count++;
        if (size != 16 && size != 24 && size != 32)
            return kf_fail(error, KF_ERR_CONFIGURATION, "keys: %zu bytes are not an AES key (16, 24 or 32)",
                           size);
    }
    return KF_OK;
}

static kf_code write_domain(const softcard_blueprint *card, const softcard_domain_blueprint *blueprint,
                            softcard_state *state, kf_error *error)
{
    softcard_application *domain = softcard_application_add(state);
    if (domain == NULL) return kf_fail(error, KF_ERR_CONFIGURATION, "domains: the card is full");
    bool is_issuer = state->application_count == 1;
    KF_CLEANUP(kf_buffer_clear) kf_buffer aid = KF_BUFFER_INIT;
    domain->kind = is_issuer ? SOFTCARD_ISSUER_DOMAIN : SOFTCARD_DOMAIN;
    if (blueprint->aid == NULL && is_issuer) {
        domain->aid = softcard_issuer_aid;
    } else if (blueprint->aid == NULL || kf_hex_decode_append(blueprint->aid, &aid) != KF_OK ||
               softcard_aid_of(kf_buffer_view(&aid), &domain->aid) != KF_OK) {
        return kf_fail(error, KF_ERR_CONFIGURATION, "aid: \"%s\" is not 5 to 16 bytes in hexadecimal",
                       text_or(blueprint->aid, ""));
    }
    if (softcard_application_find(state, &domain->aid) != domain)
        return kf_fail(error, KF_ERR_CONFIGURATION, "aid: %s is there twice", blueprint->aid);
    domain->domain = state->applications[0].aid;
    domain->life_cycle = is_issuer ? SOFTCARD_CARD_SECURED : SOFTCARD_SELECTABLE;
    if (!is_issuer) {
        domain->load_file = softcard_domain_load_file;
        domain->module = softcard_domain_module;
    }
    domain->privileges[0] = is_issuer ? ALL_PRIVILEGES_1 : SOFTCARD_PRIVILEGE_DOMAIN;
    domain->privileges[1] = is_issuer ? ALL_PRIVILEGES_2 : 0;
    domain->privileges[2] = is_issuer ? ALL_PRIVILEGES_3 : 0;
    KF_TRY(read_byte(blueprint->parameter, "i", state->personality.channel_parameter,
                     &domain->channel_parameter, error));
    if (!softcard_parameter_is_supported(domain->channel_parameter))
        return kf_fail(error, KF_ERR_CONFIGURATION, "i: %02X is not supported", domain->channel_parameter);
    KF_TRY(write_keys(card, blueprint, state, domain, error));
    if (!is_issuer && domain->key_set_count > 0) domain->life_cycle = SOFTCARD_PERSONALIZED;
    return KF_OK;
}

static kf_code write_load_file(softcard_state *state, const softcard_aid *aid, const softcard_aid *module)
{
    softcard_load_file *load_file = softcard_load_file_add(state);
    if (load_file == NULL) return KF_ERR_TOO_LONG;
    load_file->aid = *aid;
    load_file->domain = state->applications[0].aid;
    load_file->fixed = true;
    load_file->version[0] = 1;
    load_file->module_count = 1;
    load_file->modules[0] = *module;
    return KF_OK;
}

kf_code softcard_provision(const softcard_blueprint *blueprint, softcard_state **ret_state, kf_error *error)
{
    KF_CLEANUP(softcard_state_free) softcard_state *state = NULL;
    KF_TRY(kf_fail_plain(error, softcard_state_new(&state)));
    if (blueprint->iccid == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION, "iccid: missing; every card has one");
    if (blueprint->issuer == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "issuer: missing; its keys come from keys, master_key or published-test-keys");
    KF_TRY(write_personality(blueprint, &state->personality, error));
    KF_TRY(write_files(blueprint, state, error));
    KF_TRY(write_identity(blueprint, state, error));
    KF_TRY(write_diversified_adm1(blueprint, state, error));
    KF_TRY(write_domain(blueprint, blueprint->issuer, state, error));
    KF_TRY(kf_fail_plain(error, write_load_file(state, &softcard_domain_load_file, &softcard_domain_module)));
    KF_TRY(kf_fail_plain(error, write_load_file(state, &softcard_applet_load_file, &softcard_applet_module)));
    for (unsigned i = 0; i < blueprint->domains_count; i++)
        KF_TRY(write_domain(blueprint, &blueprint->domains[i], state, error));
    *ret_state = state;
    state = NULL;
    return KF_OK;
}
