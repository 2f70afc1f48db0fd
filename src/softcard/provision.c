#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

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

/* Key diversification data and CPLC: as given, or made of the ICCID so that they differ from card to card. */
static kf_code write_identity(const softcard_blueprint *blueprint, softcard_state *state, kf_error *error)
{
    char digits[ICCID_DIGITS_MAX + 1];
    const char *iccid = softcard_provision_iccid(blueprint);
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
    personality->tells_management_data = kind->tells_management_data;
    if (kf_hex_decode(kind->platform_version, personality->platform_version,
                      sizeof personality->platform_version) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "personality: \"%s\" has no version", kind->name);
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
    if (blueprint->issuer == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "issuer: missing; its keys come from keys, master_key or published-test-keys");
    softcard_provisioning provisioning = {.blueprint = blueprint, .state = state};
    KF_TRY(softcard_kind_of_card_find(blueprint->personality, &provisioning.kind, error));
    KF_TRY(write_personality(&provisioning, error));
    KF_TRY(softcard_provision_files(&provisioning, error));
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
