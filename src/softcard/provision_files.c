#include <ctype.h>
#include <string.h>

#include <keyfill/hex.h>

#include "softcard/file_table.h"
#include "softcard/provision_parts.h"

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

/* EF.DIR (TS 102 221 13.1): an application template for each application with files. */
static void write_directory(softcard_state *state)
{
    static const struct {
        const softcard_aid *aid;
        char label[4];
    } applications[SOFTCARD_DIR_RECORDS] = {{&softcard_usim_aid, {'U', 'S', 'I', 'M'}},
                                            {&softcard_isim_aid, {'I', 'S', 'I', 'M'}}};
    memset(state->files[SOFTCARD_EF_DIR], 0xFF, SOFTCARD_DIR_RECORD * SOFTCARD_DIR_RECORDS);
    for (size_t i = 0; i < SOFTCARD_DIR_RECORDS; i++) {
        const softcard_aid *aid = applications[i].aid;
        uint8_t *record = state->files[SOFTCARD_EF_DIR] + i * SOFTCARD_DIR_RECORD;
        const uint8_t head[] = {0x61, (uint8_t)(2 + aid->size + 6), 0x4F, aid->size};
        const uint8_t label[] = {0x50, sizeof applications[i].label};
        memcpy(record, head, sizeof head);
        memcpy(record + sizeof head, aid->bytes, aid->size);
        memcpy(record + sizeof head + aid->size, label, sizeof label);
        memcpy(record + sizeof head + aid->size + sizeof label, applications[i].label,
               sizeof applications[i].label);
    }
}

/* Services count from 1, low bit first (TS 31.102 4.2.8). */
static void write_usim_services(softcard_state *state)
{
    /* SMS parameters, group identifiers, service provider name, networks with access technology, MSISDN,
     * enabled services, equivalent home networks, EPS location. */
    static const uint8_t services[] = {12, 17, 18, 19, 20, 21, 33, 34, 42, 43, 71, 85};
    uint8_t *file = state->files[SOFTCARD_EF_USIM_SERVICES];
    memset(file, 0, SOFTCARD_SERVICES_SIZE);
    for (size_t i = 0; i < sizeof services; i++)
        file[(services[i] - 1) / 8] |= (uint8_t)(1U << (services[i] - 1) % 8);
}

/* Two bits each: allocated, activated (TS 51.011 10.3.7). */
static void write_sim_services(softcard_state *state)
{
    /* Disabling of CHV1, abbreviated numbers, PLMN selector, MSISDN, SMS parameters, group identifiers,
     * service provider name, networks with access technology. */
    static const uint8_t services[] = {1, 2, 7, 9, 12, 15, 16, 17, 43, 44, 45};
    uint8_t *file = state->files[SOFTCARD_EF_SIM_SERVICES];
    memset(file, 0, SOFTCARD_SERVICES_SIZE);
    for (size_t i = 0; i < sizeof services; i++)
        file[(services[i] - 1) / 4] |= (uint8_t)(3U << (services[i] - 1) % 4 * 2);
}

/* Country and network as TS 24.008 10.5.1.13 codes them, networks of two digits; no access technology but
 * what the home network has. */
static void write_networks(softcard_state *state, const char *imsi)
{
    static const uint8_t lists[] = {SOFTCARD_EF_USER_NETWORKS, SOFTCARD_EF_OPERATOR_NETWORKS,
                                    SOFTCARD_EF_HOME_NETWORKS};
    static const uint8_t none[] = {0xFF, 0xFF, 0xFF, 0x00, 0x00};
    static const uint8_t all_technologies[] = {0xC0, 0x80};
    for (size_t list = 0; list < sizeof lists; list++)
        for (size_t place = 0; place < SOFTCARD_NETWORKS_SIZE; place += sizeof none)
            memcpy(state->files[lists[list]] + place, none, sizeof none);
    if (strlen(imsi) < 5) return;
    uint8_t digits[5];
    for (size_t i = 0; i < sizeof digits; i++)
        digits[i] = (uint8_t)((unsigned)imsi[i] & 0x0FU);
    const uint8_t home[] = {(uint8_t)(digits[1] << 4 | digits[0]), (uint8_t)(0xF0U | digits[2]),
                            (uint8_t)(digits[4] << 4 | digits[3])};
    memcpy(state->files[SOFTCARD_EF_EQUIVALENT_HOME_NETWORKS], home, sizeof home);
    memcpy(state->files[SOFTCARD_EF_HOME_NETWORKS], home, sizeof home);
    memcpy(state->files[SOFTCARD_EF_HOME_NETWORKS] + sizeof home, all_technologies, sizeof all_technologies);
}

static void write_identity_object(uint8_t *file, const char *text)
{
    enum { TAG_VALUE = 0x80 };
    size_t size = strlen(text);
    if (size > SOFTCARD_IMS_IDENTITY_SIZE - 2) return;
    file[0] = TAG_VALUE;
    file[1] = (uint8_t)size;
    memcpy(file + 2, text, size);
}

/* As a network derives them of the IMSI (TS 23.003 13). */
static kf_code write_ims(softcard_state *state, const char *imsi)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer domain = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer private_identity = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer public_identity = KF_BUFFER_INIT;
    if (strlen(imsi) < 5) return KF_OK;
    kf_buffer_format(&domain, "ims.mnc0%.2s.mcc%.3s.3gppnetwork.org", imsi + 3, imsi);
    const char *name = kf_buffer_text(&domain);
    if (name == NULL) return KF_ERR_MEMORY;
    kf_buffer_format(&private_identity, "%s@%s", imsi, name);
    kf_buffer_format(&public_identity, "sip:%s@%s", imsi, name);
    const char *private_text = kf_buffer_text(&private_identity);
    const char *public_text = kf_buffer_text(&public_identity);
    if (private_text == NULL || public_text == NULL) return KF_ERR_MEMORY;
    write_identity_object(state->files[SOFTCARD_EF_IMS_DOMAIN], name);
    write_identity_object(state->files[SOFTCARD_EF_IMS_PRIVATE_IDENTITY], private_text);
    write_identity_object(state->files[SOFTCARD_EF_IMS_PUBLIC_IDENTITY], public_text);
    return KF_OK;
}

/* What a phone expects in files that it has not written yet. */
static void write_first_contents(softcard_state *state, const char *imsi)
{
    static const struct {
        uint8_t content;
        uint8_t offset;
        uint8_t size;
        uint8_t bytes[5];
    } rows[] = {
        {SOFTCARD_EF_PREFERRED_LANGUAGES, 0, 4, {'e', 'n', 'z', 'h'}},
        {SOFTCARD_EF_USIM_LANGUAGES, 0, 4, {'e', 'n', 'z', 'h'}},
        {SOFTCARD_EF_SIM_LANGUAGES, 0, 1, {0x01}},
        {SOFTCARD_EF_ADMINISTRATIVE_DATA, 0, 4, {0x00, 0x00, 0x00, 0x02}}, /* networks of two digits */
        {SOFTCARD_EF_SEARCH_PERIOD, 0, 1, {0x05}},
        {SOFTCARD_EF_LOCATION, 7, 4, {0x00, 0x00, 0xFF, 0x01}}, /* not updated */
        {SOFTCARD_EF_PACKET_LOCATION, 10, 4, {0x00, 0x00, 0xFF, 0x01}},
        {SOFTCARD_EF_EVOLVED_LOCATION, 15, 3, {0x00, 0x00, 0x01}},
        {SOFTCARD_EF_KEYS, 0, 1, {0x07}},
        {SOFTCARD_EF_PACKET_KEYS, 0, 1, {0x07}},
        {SOFTCARD_EF_CIPHERING_KEY, 8, 1, {0x07}},
        {SOFTCARD_EF_PHASE, 0, 1, {0x03}},
        {SOFTCARD_EF_ENABLED_SERVICES, 0, 1, {0x00}},
        {SOFTCARD_EF_ISIM_SERVICES, 0, 1, {0x00}},
        {SOFTCARD_EF_HYPERFRAME, 0, 3, {0xF0, 0x00, 0x00}},
        {SOFTCARD_EF_HYPERFRAME, 3, 3, {0xF0, 0x00, 0x00}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        memcpy(state->files[rows[i].content] + rows[i].offset, rows[i].bytes, rows[i].size);
    /* Access classes 0 to 9 go by the last digit (TS 22.011 4.2). */
    size_t length = strlen(imsi);
    unsigned access = length == 0 ? 1U : 1U << ((unsigned)imsi[length - 1] & 0x0FU);
    state->files[SOFTCARD_EF_ACCESS_CLASS][0] = (uint8_t)(access >> 8);
    state->files[SOFTCARD_EF_ACCESS_CLASS][1] = (uint8_t)access;
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

/* A card that is made without being told anything gets an identity that no network has. */
static const char default_iccid[] = "8988211000000000015";
static const char default_imsi[] = "001010000000001";

const char *softcard_provision_iccid(const softcard_blueprint *blueprint)
{
    return softcard_text_or(blueprint->iccid, default_iccid);
}

static kf_code write_pins(const softcard_blueprint *blueprint, softcard_state *state, kf_error *error)
{
    uint8_t pin1_tries = blueprint->pin1_tries != 0 ? blueprint->pin1_tries : SOFTCARD_DEFAULT_PIN1_TRIES;
    uint8_t adm1_tries = blueprint->adm1_tries != 0 ? blueprint->adm1_tries : SOFTCARD_DEFAULT_ADM1_TRIES;
    if (pin1_tries > 15 || adm1_tries > 15)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "pin1_tries, adm1_tries: 1 to 15 (a status word shows one digit)");
    state->pins[SOFTCARD_PIN1].tries_left = state->pins[SOFTCARD_PIN1].try_limit = pin1_tries;
    state->pins[SOFTCARD_ADM1].tries_left = state->pins[SOFTCARD_ADM1].try_limit = adm1_tries;
    state->pins[SOFTCARD_PUK1].tries_left = state->pins[SOFTCARD_PUK1].try_limit = SOFTCARD_PUK1_TRIES;
    KF_TRY(write_pin(&state->pins[SOFTCARD_PIN1], softcard_text_or(blueprint->pin1, "1234"), "pin1", error));
    KF_TRY(
        write_pin(&state->pins[SOFTCARD_PUK1], softcard_text_or(blueprint->puk1, "12345678"), "puk1", error));
    return write_pin(&state->pins[SOFTCARD_ADM1], softcard_text_or(blueprint->adm1, "88888888"), "adm1",
                     error);
}

kf_code softcard_provision_files(const softcard_provisioning *provisioning, kf_error *error)
{
    const softcard_blueprint *blueprint = provisioning->blueprint;
    softcard_state *state = provisioning->state;
    bool is_anonymous = blueprint->iccid == NULL && blueprint->imsi == NULL;
    const char *imsi = softcard_text_or(blueprint->imsi, is_anonymous ? default_imsi : "");
    memset(state->files, 0xFF, sizeof state->files);
    KF_TRY(pack_swapped(softcard_provision_iccid(blueprint), "iccid", kf_view_of(NULL, 0),
                        state->files[SOFTCARD_EF_ICCID], SOFTCARD_ICCID_SIZE, error));
    KF_TRY(write_imsi(state, imsi, error));
    KF_TRY(write_msisdn(state, blueprint->msisdn, error));
    KF_TRY(write_spn(state, softcard_text_or(blueprint->spn, "keyfill"), error));
    write_directory(state);
    write_usim_services(state);
    write_sim_services(state);
    write_networks(state, imsi);
    write_first_contents(state, imsi);
    KF_TRY(kf_fail_plain(error, write_ims(state, imsi)));
    return write_pins(blueprint, state, error);
}
