#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "softcard/file_system.h"
#include "softcard/provision_parts.h"
#include "softcard/registry.h"

/* TS = 3B, T=1 (TD1, TD2), IFSC of 254, block waiting integers, then historical bytes "KEYFILL" and TCK. */
static const uint8_t default_atr[] = {0x3B, 0xF7, 0x13, 0x00, 0x00, 0x81, 0x31, 0xFE,
                                      0x45, 'K',  'E',  'Y',  'F',  'I',  'L',  'L'};

enum { ICCID_DIGITS_MAX = 20 };

const char *softcard_text_or(const char *text, const char *otherwise)
{
    return text == NULL || text[0] == '\0' ? otherwise : text;
}

kf_code softcard_read_byte(const char *text, const char *name, uint8_t *ret_byte, kf_error *error)
{
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
    KF_TRY(pack_swapped(softcard_text_or(blueprint->iccid, ""), "iccid", kf_view_of(NULL, 0),
                        state->files[SOFTCARD_EF_ICCID], SOFTCARD_ICCID_SIZE, error));
    KF_TRY(write_imsi(state, blueprint->imsi, error));
    KF_TRY(write_msisdn(state, blueprint->msisdn, error));
    KF_TRY(write_spn(state, softcard_text_or(blueprint->spn, "keyfill"), error));
    write_directory(state);
    uint8_t pin1_tries = blueprint->pin1_tries != 0 ? blueprint->pin1_tries : SOFTCARD_DEFAULT_PIN1_TRIES;
    uint8_t adm1_tries = blueprint->adm1_tries != 0 ? blueprint->adm1_tries : SOFTCARD_DEFAULT_ADM1_TRIES;
    if (pin1_tries > 15 || adm1_tries > 15)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "pin1_tries, adm1_tries: 1 to 15 (a status word shows one digit)");
    state->pins[SOFTCARD_PIN1].tries_left = state->pins[SOFTCARD_PIN1].try_limit = pin1_tries;
    state->pins[SOFTCARD_ADM1].tries_left = state->pins[SOFTCARD_ADM1].try_limit = adm1_tries;
    KF_TRY(write_pin(&state->pins[SOFTCARD_PIN1], softcard_text_or(blueprint->pin1, "1234"), "pin1", error));
    return write_pin(&state->pins[SOFTCARD_ADM1], softcard_text_or(blueprint->adm1, "88888888"), "adm1",
                     error);
}

/* Key diversification data and CPLC: as given, or made of the ICCID so that they differ from card to card. */
static kf_code write_identity(const softcard_blueprint *blueprint, softcard_state *state, kf_error *error)
{
    char digits[ICCID_DIGITS_MAX + 1];
    const char *iccid = softcard_text_or(blueprint->iccid, "");
    size_t count = strlen(iccid);
    memset(digits, 'F', ICCID_DIGITS_MAX);
    digits[ICCID_DIGITS_MAX] = '\0';
    memcpy(digits, iccid, count < ICCID_DIGITS_MAX ? count : ICCID_DIGITS_MAX);
    if (kf_hex_decode(softcard_text_or(blueprint->kdd, digits), state->kdd, sizeof state->kdd) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "kdd: \"%s\" is not %d bytes in hexadecimal",
                       softcard_text_or(blueprint->kdd, digits), SOFTCARD_KDD_SIZE);
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

static void append_check_byte(kf_buffer *atr)
{
    uint8_t check = 0;
    for (size_t i = 1; i < atr->size; i++)
        check ^= atr->data[i];
    kf_buffer_append_u8(atr, check);
}

/* TCK is the exclusive or of everything behind TS (ISO/IEC 7816-3 8.2.5); an ATR that is given has its own.
 */
static kf_code write_atr(const softcard_provisioning *provisioning, softcard_personality *personality,
                         kf_error *error)
{
    const char *given = provisioning->blueprint->atr;
    KF_CLEANUP(kf_buffer_clear) kf_buffer atr = kf_buffer_with_limit(SOFTCARD_ATR_MAX);
    if (given != NULL) {
        if (kf_hex_decode_append(given, &atr) != KF_OK || atr.size < 2)
            return kf_fail(error, KF_ERR_CONFIGURATION, "atr: \"%s\" is not 2 to %d bytes in hexadecimal",
                           given, SOFTCARD_ATR_MAX);
    } else {
        if (provisioning->kind->atr == NULL)
            kf_buffer_append(&atr, KF_VIEW(default_atr));
        else
            KF_TRY(kf_fail_plain(error, kf_hex_decode_append(provisioning->kind->atr, &atr)));
        append_check_byte(&atr);
    }
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&atr)));
    memcpy(personality->atr, atr.data, atr.size);
    personality->atr_size = (uint8_t)atr.size;
    return KF_OK;
}

static kf_code write_personality(const softcard_provisioning *provisioning, kf_error *error)
{
    const softcard_blueprint *blueprint = provisioning->blueprint;
    const softcard_kind_of_card *kind = provisioning->kind;
    softcard_personality *personality = &provisioning->state->personality;
    softcard_application usual = {.protocols = 0};
    KF_TRY(softcard_provision_protocols(provisioning, NULL, &usual, error));
    personality->protocols = usual.protocols;
    personality->channel_parameter = usual.channel_parameter;
    personality->scp02_parameter = usual.scp02_parameter;
    KF_TRY(softcard_read_byte(
        softcard_text_or(blueprint->remote_minimum_security, kind->remote_minimum_security),
        "ota_minimum_security", &personality->remote_minimum_security, error));
    personality->failure_limit =
        blueprint->failure_limit != 0 ? blueprint->failure_limit : kind->failure_limit;
    personality->logical_channels =
        blueprint->logical_channels != 0 ? blueprint->logical_channels : kind->logical_channels;
    if (personality->logical_channels > SOFTCARD_LOGICAL_CHANNELS_MAX)
        return kf_fail(error, KF_ERR_CONFIGURATION, "logical_channels: %u; 1 to %d, the basic one counted",
                       personality->logical_channels, SOFTCARD_LOGICAL_CHANNELS_MAX);
    personality->memory = blueprint->memory != 0 ? blueprint->memory : kind->memory;
    if (personality->memory > SOFTCARD_MEMORY_MAX)
        return kf_fail(error, KF_ERR_CONFIGURATION, "memory: %u bytes; at most %d", personality->memory,
                       SOFTCARD_MEMORY_MAX);
    personality->extended_length = blueprint->extended_length || kind->extended_length;
    personality->counts_unfinished = blueprint->counts_unfinished || kind->counts_unfinished;
    personality->imsi_needs_pin = blueprint->imsi_needs_pin;
    personality->msisdn_needs_pin = blueprint->msisdn_needs_pin;
    return write_atr(provisioning, personality, error);
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
    softcard_provisioning provisioning = {.blueprint = blueprint, .state = state};
    KF_TRY(softcard_kind_of_card_find(blueprint->personality, &provisioning.kind, error));
    KF_TRY(write_personality(&provisioning, error));
    KF_TRY(write_files(blueprint, state, error));
    KF_TRY(write_identity(blueprint, state, error));
    KF_TRY(softcard_provision_adm1(&provisioning, error));
    KF_TRY(softcard_provision_domain(&provisioning, blueprint->issuer, error));
    KF_TRY(kf_fail_plain(error, write_load_file(state, &softcard_domain_load_file, &softcard_domain_module)));
    KF_TRY(kf_fail_plain(error, write_load_file(state, &softcard_applet_load_file, &softcard_applet_module)));
    for (unsigned i = 0; i < blueprint->domains_count; i++)
        KF_TRY(softcard_provision_domain(&provisioning, &blueprint->domains[i], error));
    *ret_state = state;
    state = NULL;
    return KF_OK;
}
