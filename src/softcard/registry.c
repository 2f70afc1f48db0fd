#include "softcard/registry.h"

#include <string.h>

enum { AID_MIN = 5 };

const softcard_aid softcard_issuer_aid = {8, {0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00}};
const softcard_aid softcard_domain_load_file = {7, {0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50}};
const softcard_aid softcard_domain_module = {8, {0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x41}};
/* Proprietary (ISO/IEC 7816-4 8.2.1.2, category F): "KFPAY". */
const softcard_aid softcard_applet_load_file = {6, {0xF0, 'K', 'F', 'P', 'A', 'Y'}};
const softcard_aid softcard_applet_module = {7, {0xF0, 'K', 'F', 'P', 'A', 'Y', 0x01}};

kf_code softcard_aid_of(kf_view bytes, softcard_aid *ret_aid)
{
    if (bytes.size < AID_MIN || bytes.size > SOFTCARD_AID_MAX) return KF_ERR_CARD_DATA;
    softcard_aid aid = {.size = (uint8_t)bytes.size};
    memcpy(aid.bytes, bytes.data, bytes.size);
    *ret_aid = aid;
    return KF_OK;
}

kf_view softcard_aid_view(const softcard_aid *aid)
{
    return kf_view_of(aid->bytes, aid->size);
}

bool softcard_aid_equal(const softcard_aid *left, const softcard_aid *right)
{
    return kf_view_equal(softcard_aid_view(left), softcard_aid_view(right));
}

softcard_application *softcard_issuer(softcard_state *state)
{
    return &state->applications[0];
}

softcard_application *softcard_application_find(softcard_state *state, const softcard_aid *aid)
{
    for (size_t i = 0; i < state->application_count; i++)
        if (softcard_aid_equal(&state->applications[i].aid, aid)) return &state->applications[i];
    return NULL;
}

softcard_load_file *softcard_load_file_find(softcard_state *state, const softcard_aid *aid)
{
    for (size_t i = 0; i < state->load_file_count; i++)
        if (softcard_aid_equal(&state->load_files[i].aid, aid)) return &state->load_files[i];
    return NULL;
}

bool softcard_is_domain(const softcard_application *application)
{
    return application->kind != SOFTCARD_APPLET;
}

bool softcard_may_manage(const softcard_application *domain)
{
    return domain->kind == SOFTCARD_ISSUER_DOMAIN ||
           (softcard_is_domain(domain) && softcard_has_privilege(domain, SOFTCARD_PRIVILEGE_AUTHORIZED));
}

static uint32_t privileges_of(const uint8_t bytes[3])
{
    return (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
}

bool softcard_has_privilege(const softcard_application *application, uint32_t privileges)
{
    return (privileges_of(application->privileges) & privileges) == privileges;
}

softcard_status softcard_privileges_read(kf_view field, softcard_application *application)
{
    const uint32_t of_domains = SOFTCARD_PRIVILEGE_DAP | SOFTCARD_PRIVILEGE_DELEGATED |
                                SOFTCARD_PRIVILEGE_MANDATED_DAP | SOFTCARD_PRIVILEGE_AUTHORIZED |
                                SOFTCARD_PRIVILEGE_TOKEN_VERIFICATION | SOFTCARD_PRIVILEGE_RECEIPTS;
    uint8_t bytes[3] = {0};
    if (field.size != 1 && field.size != sizeof bytes) return SW_WRONG_DATA;
    memcpy(bytes, field.data, field.size);
    uint32_t wanted = privileges_of(bytes);
    bool is_domain = (wanted & SOFTCARD_PRIVILEGE_DOMAIN) != 0;
    if (is_domain != softcard_is_domain(application)) return SW_WRONG_DATA;
    if (!is_domain && (wanted & of_domains) != 0) return SW_WRONG_DATA;
    bool mandated = (wanted & SOFTCARD_PRIVILEGE_MANDATED_DAP) != 0;
    if (mandated && (wanted & SOFTCARD_PRIVILEGE_DAP) == 0) return SW_WRONG_DATA;
    bool delegated = (wanted & SOFTCARD_PRIVILEGE_DELEGATED) != 0;
    if (delegated && (wanted & SOFTCARD_PRIVILEGE_AUTHORIZED) != 0) return SW_WRONG_DATA;
    memcpy(application->privileges, bytes, sizeof bytes);
    return SW_OK;
}

void softcard_give_card_reset(softcard_state *state, softcard_application *application)
{
    const uint8_t bit = SOFTCARD_PRIVILEGE_CARD_RESET >> 16;
    for (size_t i = 0; i < state->application_count; i++)
        state->applications[i].privileges[0] &= (uint8_t)~bit;
    application->privileges[0] |= bit;
}

softcard_application *softcard_default_application(softcard_state *state)
{
    for (size_t i = 1; i < state->application_count; i++)
        if (softcard_has_privilege(&state->applications[i], SOFTCARD_PRIVILEGE_CARD_RESET))
            return &state->applications[i];
    return softcard_issuer(state);
}

bool softcard_is_ancestor(softcard_state *state, const softcard_application *domain,
                          const softcard_application *application)
{
    const softcard_application *here = application;
    for (size_t depth = 0; depth < SOFTCARD_APPLICATIONS_MAX; depth++) {
        const softcard_application *above = softcard_application_find(state, &here->domain);
        if (above == NULL || above == here) return false;
        if (above == domain) return true;
        here = above;
    }
    return false;
}

/* What an entry of the registry, a key and a data object cost beside their own bytes: near what a Java Card
 * spends. */
enum { ENTRY_COST = 256, KEY_COST = 48, DATUM_COST = 16 };

size_t softcard_memory_used(const softcard_state *state)
{
    size_t used = 0;
    for (size_t i = 1; i < state->application_count; i++) {
        const softcard_application *application = &state->applications[i];
        used += ENTRY_COST;
        for (size_t set = 0; set < application->key_set_count; set++)
            used += KEY_COST * application->key_sets[set].key_count;
        for (size_t datum = 0; datum < application->datum_count; datum++)
            used += DATUM_COST + application->data[datum].value.size;
    }
    for (size_t i = 0; i < state->load_file_count; i++)
        if (!state->load_files[i].fixed) used += ENTRY_COST + state->load_files[i].code.size;
    return used;
}

size_t softcard_memory_free(const softcard_state *state)
{
    size_t used = softcard_memory_used(state);
    return used < state->personality.memory ? state->personality.memory - used : 0;
}

softcard_application *softcard_key_domain(softcard_state *state, softcard_application *application)
{
    softcard_application *here = application;
    for (size_t depth = 0; depth < SOFTCARD_APPLICATIONS_MAX; depth++) {
        if (softcard_is_domain(here) && here->key_set_count > 0) return here;
        softcard_application *above = softcard_application_find(state, &here->domain);
        if (above == NULL || above == here) break;
        here = above;
    }
    return softcard_issuer(state);
}

softcard_application *softcard_application_add(softcard_state *state)
{
    if (state->application_count == SOFTCARD_APPLICATIONS_MAX) return NULL;
    return &state->applications[state->application_count++];
}

void softcard_application_remove(softcard_state *state, softcard_application *application)
{
    for (size_t set = 0; set < SOFTCARD_KEY_SETS_MAX; set++)
        for (size_t key = 0; key < SOFTCARD_KEYS_MAX; key++)
            kf_secret_free(&application->key_sets[set].keys[key].value);
    for (size_t datum = 0; datum < SOFTCARD_DATA_MAX; datum++)
        kf_buffer_clear(&application->data[datum].value);
    size_t index = (size_t)(application - state->applications);
    memmove(application, application + 1, (state->application_count - index - 1) * sizeof *application);
    state->application_count--;
    memset(&state->applications[state->application_count], 0, sizeof *application);
}

softcard_load_file *softcard_load_file_add(softcard_state *state)
{
    if (state->load_file_count == SOFTCARD_LOAD_FILES_MAX) return NULL;
    return &state->load_files[state->load_file_count++];
}

void softcard_load_file_remove(softcard_state *state, softcard_load_file *load_file)
{
    kf_buffer_clear(&load_file->code);
    size_t index = (size_t)(load_file - state->load_files);
    memmove(load_file, load_file + 1, (state->load_file_count - index - 1) * sizeof *load_file);
    state->load_file_count--;
    memset(&state->load_files[state->load_file_count], 0, sizeof *load_file);
}

const softcard_datum *softcard_datum_find(const softcard_application *application, uint16_t tag)
{
    for (size_t i = 0; i < application->datum_count; i++)
        if (application->data[i].tag == tag) return &application->data[i];
    return NULL;
}

kf_code softcard_datum_set(softcard_application *application, uint16_t tag, kf_view value)
{
    if (value.size > SOFTCARD_DATUM_MAX) return KF_ERR_TOO_LONG;
    size_t place = 0;
    while (place < application->datum_count && application->data[place].tag != tag)
        place++;
    if (place == SOFTCARD_DATA_MAX) return KF_ERR_TOO_LONG;
    kf_buffer content = KF_BUFFER_INIT;
    kf_buffer_append(&content, value);
    KF_TRY(kf_buffer_status(&content));
    kf_buffer_clear(&application->data[place].value);
    application->data[place] = (softcard_datum){tag, content};
    if (place == application->datum_count) application->datum_count++;
    return KF_OK;
}
