#include <string.h>

#include "softcard/card.h"
#include "softcard/content.h"
#include "softcard/registry.h"
#include "softcard/tlv.h"

/* P1 (table 11-42). */
enum {
    FOR_LOAD = 0x02,
    FOR_INSTALL = 0x04,
    FOR_MAKE_SELECTABLE = 0x08,
    FOR_PERSONALIZATION = 0x20,
};

enum { INSTALL_FIELDS_MAX = 6, TAG_PARAMETERS = 0xC9, TAG_SECURE_CHANNEL = 0x81, INSTALL_SECURE_CHANNEL = 2 };

typedef struct install_fields {
    kf_view items[INSTALL_FIELDS_MAX];
} install_fields;

static kf_code split_fields(kf_view data, size_t count, install_fields *ret_fields)
{
    kf_cursor cursor = kf_cursor_of(data);
    install_fields fields;
    memset(&fields, 0, sizeof fields);
    for (size_t i = 0; i < count; i++)
        KF_TRY(softcard_counted_next(&cursor, &fields.items[i]));
    if (!kf_cursor_at_end(&cursor)) return KF_ERR_TLV;
    *ret_fields = fields;
    return KF_OK;
}

/* A confirmation of length zero: no receipt (11.5.3.1). */
static softcard_status confirm(softcard_request *request)
{
    kf_buffer_append_u8(request->response, 0);
    return SW_OK;
}

/* 11.5.2.3.1: load file, domain, hash, parameters, token. */
static softcard_status install_for_load(softcard_request *request)
{
    enum { LOAD_FILE, DOMAIN_AID, HASH, PARAMETERS, TOKEN, FIELDS };
    install_fields fields;
    softcard_load_series series = {.active = true, .domain = request->application->aid};
    if (split_fields(request->command.data, FIELDS, &fields) != KF_OK) return SW_WRONG_DATA;
    if (softcard_aid_of(fields.items[LOAD_FILE], &series.load_file) != KF_OK) return SW_WRONG_DATA;
    if (fields.items[DOMAIN_AID].size > 0 &&
        softcard_aid_of(fields.items[DOMAIN_AID], &series.domain) != KF_OK)
        return SW_WRONG_DATA;
    softcard_state *state = request->card->state;
    const softcard_application *domain = softcard_application_find(state, &series.domain);
    if (domain == NULL || !softcard_is_domain(domain)) return SW_REFERENCE_NOT_FOUND;
    if (fields.items[HASH].size != 0 && fields.items[HASH].size != sizeof series.hash) return SW_WRONG_DATA;
    if (fields.items[HASH].size != 0) {
        series.has_hash = true;
        memcpy(series.hash, fields.items[HASH].data, sizeof series.hash);
    }
    if (softcard_load_file_find(state, &series.load_file) != NULL ||
        softcard_application_find(state, &series.load_file) != NULL)
        return SW_CONDITIONS;
    if (state->load_file_count == SOFTCARD_LOAD_FILES_MAX) return SW_NO_SPACE;
    kf_buffer_clear(&request->channel->load.bytes);
    series.bytes = kf_buffer_with_limit(SOFTCARD_LOAD_MAX);
    request->channel->load = series;
    return confirm(request);
}

static softcard_status choose_protocol(uint8_t protocol, uint8_t parameter, softcard_application *domain)
{
    if (protocol == SOFTCARD_SCP02 && softcard_scp02_parameter_is_supported(parameter)) {
        domain->protocols = SOFTCARD_HAS_SCP02;
        domain->scp02_parameter = parameter;
        return SW_OK;
    }
    if (protocol != SOFTCARD_SCP03 || !softcard_parameter_is_supported(parameter)) return SW_WRONG_DATA;
    domain->protocols = SOFTCARD_HAS_SCP03;
    domain->channel_parameter = parameter;
    return SW_OK;
}

/* C9 of a domain may name its secure channel protocol: 81 02, 02 or 03, i. */
static softcard_status read_parameters(kf_view field, softcard_application *application)
{
    kf_view parameters;
    kf_view channel;
    if (field.size == 0) return SW_OK;
    kf_code code = softcard_tlv_find(field, TAG_PARAMETERS, &parameters);
    if (code != KF_OK) return SW_WRONG_DATA;
    if (application->kind != SOFTCARD_DOMAIN || parameters.size == 0) return SW_OK;
    code = softcard_tlv_find(parameters, TAG_SECURE_CHANNEL, &channel);
    if (code == KF_ERR_NOT_FOUND) return SW_OK;
    if (code != KF_OK || channel.size != INSTALL_SECURE_CHANNEL) return SW_WRONG_DATA;
    return choose_protocol(channel.data[0], channel.data[1], application);
}

static bool has_module(const softcard_load_file *load_file, const softcard_aid *module)
{
    for (size_t i = 0; i < load_file->module_count; i++)
        if (softcard_aid_equal(&load_file->modules[i], module)) return true;
    return false;
}

/* 11.5.2.3.2: load file, module, application, privileges, parameters, token. */
static softcard_status install_for_install(softcard_request *request)
{
    enum { LOAD_FILE, MODULE, APPLICATION, PRIVILEGES, PARAMETERS, TOKEN, FIELDS };
    softcard_state *state = request->card->state;
    install_fields fields;
    softcard_application made = {.domain = request->application->aid,
                                 .life_cycle = SOFTCARD_INSTALLED,
                                 .kind = SOFTCARD_APPLET,
                                 .protocols = state->personality.protocols,
                                 .channel_parameter = state->personality.channel_parameter,
                                 .scp02_parameter = state->personality.scp02_parameter};
    if (split_fields(request->command.data, FIELDS, &fields) != KF_OK) return SW_WRONG_DATA;
    if (softcard_aid_of(fields.items[LOAD_FILE], &made.load_file) != KF_OK ||
        softcard_aid_of(fields.items[MODULE], &made.module) != KF_OK ||
        softcard_aid_of(fields.items[APPLICATION], &made.aid) != KF_OK)
        return SW_WRONG_DATA;
    const softcard_load_file *load_file = softcard_load_file_find(state, &made.load_file);
    if (load_file == NULL || !has_module(load_file, &made.module)) return SW_REFERENCE_NOT_FOUND;
    if (load_file->fixed && softcard_aid_equal(&made.module, &softcard_domain_module))
        made.kind = SOFTCARD_DOMAIN;
    softcard_status status = softcard_privileges_read(fields.items[PRIVILEGES], &made);
    if (status == SW_OK) status = read_parameters(fields.items[PARAMETERS], &made);
    if (status != SW_OK) return status;
    if (softcard_application_find(state, &made.aid) != NULL ||
        softcard_load_file_find(state, &made.aid) != NULL)
        return SW_CONDITIONS;
    if ((request->command.p1 & FOR_MAKE_SELECTABLE) != 0) made.life_cycle = SOFTCARD_SELECTABLE;
    softcard_application *place = softcard_application_add(state);
    if (place == NULL) return SW_NO_SPACE;
    *place = made;
    return confirm(request);
}

/* 11.5.2.3.3: two empty fields, application, privileges, parameters, token. */
static softcard_status install_for_make_selectable(softcard_request *request)
{
    enum { EMPTY_1, EMPTY_2, APPLICATION, PRIVILEGES, PARAMETERS, TOKEN, FIELDS };
    install_fields fields;
    softcard_aid aid;
    if (split_fields(request->command.data, FIELDS, &fields) != KF_OK) return SW_WRONG_DATA;
    if (softcard_aid_of(fields.items[APPLICATION], &aid) != KF_OK) return SW_WRONG_DATA;
    softcard_application *application = softcard_application_find(request->card->state, &aid);
    if (application == NULL) return SW_REFERENCE_NOT_FOUND;
    if (application->life_cycle != SOFTCARD_INSTALLED) return SW_CONDITIONS;
    application->life_cycle = SOFTCARD_SELECTABLE;
    return confirm(request);
}

/* 11.5.2.3.6: two empty fields, application, three empty fields. What follows by STORE DATA goes to it; it
 * must belong to the selected domain (7.3.3). */
static softcard_status install_for_personalization(softcard_request *request)
{
    enum { EMPTY_1, EMPTY_2, APPLICATION, EMPTY_3, EMPTY_4, EMPTY_5, FIELDS };
    install_fields fields;
    softcard_aid aid;
    if (split_fields(request->command.data, FIELDS, &fields) != KF_OK) return SW_WRONG_DATA;
    if (softcard_aid_of(fields.items[APPLICATION], &aid) != KF_OK) return SW_WRONG_DATA;
    const softcard_application *application = softcard_application_find(request->card->state, &aid);
    if (application == NULL) return SW_REFERENCE_NOT_FOUND;
    if (!softcard_aid_equal(&application->domain, &request->application->aid) ||
        (application->life_cycle & SOFTCARD_LOCKED) != 0)
        return SW_CONDITIONS;
    softcard_store_series_end(&request->channel->store);
    request->channel->personalised = aid;
    return confirm(request);
}

softcard_status softcard_install(softcard_request *request)
{
    uint8_t p1 = request->command.p1;
    if (request->command.p2 != 0) return SW_WRONG_P1P2;
    if (p1 == FOR_PERSONALIZATION) return install_for_personalization(request);
    if (!softcard_may_manage(request->application)) return SW_CONDITIONS;
    switch (p1) {
    case FOR_LOAD: return install_for_load(request);
    case FOR_INSTALL:
    case FOR_INSTALL | FOR_MAKE_SELECTABLE: return install_for_install(request);
    case FOR_MAKE_SELECTABLE: return install_for_make_selectable(request);
    default: return SW_WRONG_P1P2;
    }
}
