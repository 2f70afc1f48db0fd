#include <string.h>

#include "softcard/card.h"
#include "softcard/content.h"
#include "softcard/registry.h"
#include "softcard/signatures.h"
#include "softcard/tlv.h"

/* P1 (table 11-42). */
enum {
    FOR_LOAD = 0x02,
    FOR_INSTALL = 0x04,
    FOR_MAKE_SELECTABLE = 0x08,
    FOR_EXTRADITION = 0x10,
    FOR_PERSONALIZATION = 0x20,
    FOR_REGISTRY_UPDATE = 0x40,
};

enum { INSTALL_FIELDS_MAX = 6, INSTALL_SECURE_CHANNEL = 2 };

enum {
    TAG_PARAMETERS = 0xC9,
    TAG_SECURE_CHANNEL = 0x81,
    TAG_SYSTEM_PARAMETERS = 0xEF,
    TAG_CODE_SIZE = 0xC6,
    TAG_DATA_SIZE = 0xC8,
};

typedef struct install_fields {
    kf_view items[INSTALL_FIELDS_MAX];
    kf_view before_token; /* all but the last, as they came */
} install_fields;

static kf_code split_fields(kf_view data, size_t count, install_fields *ret_fields)
{
    kf_cursor cursor = kf_cursor_of(data);
    install_fields fields;
    memset(&fields, 0, sizeof fields);
    for (size_t i = 0; i < count; i++) {
        fields.before_token = kf_view_part(data, 0, data.size - cursor.rest.size);
        KF_TRY(softcard_field_next(&cursor, &fields.items[i]));
    }
    if (!kf_cursor_at_end(&cursor)) return KF_ERR_TLV;
    *ret_fields = fields;
    return KF_OK;
}

/* Sizes that the parameters ask for (table 11-48): two bytes, or four. */
static softcard_status check_quota(softcard_request *request, kf_view parameters, uint16_t tag)
{
    kf_view system;
    kf_view value;
    kf_code code = softcard_tlv_find(parameters, TAG_SYSTEM_PARAMETERS, &system);
    if (code == KF_OK) code = softcard_tlv_find(system, tag, &value);
    if (code == KF_ERR_NOT_FOUND) return SW_OK;
    if (code != KF_OK || (value.size != 2 && value.size != 4)) return SW_WRONG_DATA;
    size_t wanted = 0;
    for (size_t i = 0; i < value.size; i++)
        wanted = wanted << 8 | value.data[i];
    return wanted > softcard_memory_free(request->card->state) ? SW_NO_SPACE : SW_OK;
}

/* 9.3.5: the target is the domain itself, or one below it that has come so far. */
static bool can_receive(softcard_request *request, softcard_application *domain)
{
    if ((domain->life_cycle & SOFTCARD_LOCKED) != 0 && domain->kind != SOFTCARD_ISSUER_DOMAIN) return false;
    if (domain == request->application || domain->kind == SOFTCARD_ISSUER_DOMAIN) return true;
    return softcard_may_manage(request->application) && domain->life_cycle >= SOFTCARD_SELECTABLE;
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
    softcard_application *domain = softcard_application_find(state, &series.domain);
    if (domain == NULL || !softcard_is_domain(domain)) return SW_REFERENCE_NOT_FOUND;
    softcard_status status = softcard_authorise(request, fields.before_token, fields.items[TOKEN]);
    if (status == SW_OK && !can_receive(request, domain)) status = SW_CONDITIONS;
    if (status == SW_OK) status = check_quota(request, fields.items[PARAMETERS], TAG_CODE_SIZE);
    if (status != SW_OK) return status;
    size_t hash_size = fields.items[HASH].size;
    kf_hash_algorithm hash;
    if (hash_size != 0 && !softcard_load_file_hash_find(hash_size, &hash)) return SW_WRONG_DATA;
    if (hash_size > 0) memcpy(series.hash, fields.items[HASH].data, hash_size);
    series.hash_size = (uint8_t)hash_size;
    if (softcard_load_file_find(state, &series.load_file) != NULL ||
        softcard_application_find(state, &series.load_file) != NULL)
        return SW_CONDITIONS;
    if (state->load_file_count == SOFTCARD_LOAD_FILES_MAX) return SW_NO_SPACE;
    kf_buffer_clear(&request->channel->load.bytes);
    series.bytes = kf_buffer_with_limit(SOFTCARD_LOAD_MAX);
    request->channel->load = series;
    kf_buffer_append_u8(request->response, 0); /* the receipt comes with the last block */
    return SW_OK;
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
    /* One byte is older cards' own: whether the domain takes what is extradited to it. */
    if (parameters.size == 1) return SW_OK;
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
    softcard_status status = softcard_authorise(request, fields.before_token, fields.items[TOKEN]);
    if (status == SW_OK && !softcard_may_manage(request->application) &&
        !softcard_aid_equal(&load_file->domain, &request->application->aid))
        status = SW_CONDITIONS;
    if (status == SW_OK) status = softcard_privileges_read(fields.items[PRIVILEGES], &made);
    if (status == SW_OK) status = read_parameters(fields.items[PARAMETERS], &made);
    if (status == SW_OK) status = check_quota(request, fields.items[PARAMETERS], TAG_DATA_SIZE);
    if (status != SW_OK) return status;
    if (softcard_application_find(state, &made.aid) != NULL ||
        softcard_load_file_find(state, &made.aid) != NULL)
        return SW_CONDITIONS;
    if ((request->command.p1 & FOR_MAKE_SELECTABLE) != 0) made.life_cycle = SOFTCARD_SELECTABLE;
    softcard_application *place = softcard_application_add(state);
    if (place == NULL) return SW_NO_SPACE;
    *place = made;
    if (softcard_has_privilege(place, SOFTCARD_PRIVILEGE_CARD_RESET)) softcard_give_card_reset(state, place);
    const softcard_aid names[] = {made.load_file, made.aid};
    return softcard_confirm(request, names, sizeof names / sizeof names[0]);
}

/* Whether the selected domain may change what has `aid` and belongs to `owner`: with Authorized Management
 * always, with Delegated Management what is its own (9.1.3). */
static bool governs(const softcard_request *request, const softcard_aid *aid, const softcard_aid *owner)
{
    const softcard_aid *domain = &request->application->aid;
    return softcard_may_manage(request->application) || softcard_aid_equal(owner, domain) ||
           softcard_aid_equal(aid, domain);
}

static bool asks_for_card_reset(kf_view privileges)
{
    return privileges.size > 0 && (privileges.data[0] & SOFTCARD_PRIVILEGE_CARD_RESET >> 16) != 0;
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
    softcard_status status = softcard_authorise(request, fields.before_token, fields.items[TOKEN]);
    if (status != SW_OK) return status;
    if (!governs(request, &application->aid, &application->domain)) return SW_CONDITIONS;
    /* Also for what can be selected already, to select it at every reset (6.6.2.4). */
    bool for_reset = asks_for_card_reset(fields.items[PRIVILEGES]);
    bool is_selectable =
        application->life_cycle >= SOFTCARD_SELECTABLE && (application->life_cycle & SOFTCARD_LOCKED) == 0;
    if (application->life_cycle != SOFTCARD_INSTALLED && !(for_reset && is_selectable)) return SW_CONDITIONS;
    if (for_reset) softcard_give_card_reset(request->card->state, application);
    if (!is_selectable) application->life_cycle = SOFTCARD_SELECTABLE;
    const softcard_aid names[] = {application->load_file, application->aid};
    return softcard_confirm(request, names, sizeof names / sizeof names[0]);
}

/* 9.4.1: another owner. It must be there, personalised and not locked, and not stand below what it gets. */
static softcard_status extradite(softcard_request *request, const softcard_aid *aid,
                                 const softcard_aid *target)
{
    softcard_state *state = request->card->state;
    softcard_application *application = softcard_application_find(state, aid);
    softcard_load_file *load_file = softcard_load_file_find(state, aid);
    softcard_application *domain = softcard_application_find(state, target);
    if (domain == NULL || (application == NULL && load_file == NULL)) return SW_REFERENCE_NOT_FOUND;
    bool is_ready = domain->kind == SOFTCARD_ISSUER_DOMAIN || domain->life_cycle == SOFTCARD_PERSONALIZED;
    if (!softcard_is_domain(domain) || !is_ready) return SW_CONDITIONS;
    softcard_aid *owner = application != NULL ? &application->domain : &load_file->domain;
    if (!governs(request, aid, owner)) return SW_CONDITIONS;
    if (load_file != NULL && load_file->fixed) return SW_CONDITIONS;
    if (application != NULL &&
        (application->kind == SOFTCARD_ISSUER_DOMAIN || softcard_is_ancestor(state, application, domain)))
        return SW_CONDITIONS;
    const softcard_aid names[] = {*owner, *aid, *target};
    *owner = *target;
    return softcard_confirm(request, names, sizeof names / sizeof names[0]);
}

/* 11.5.2.3.4: domain, empty, application or load file, empty, parameters, token. */
static softcard_status install_for_extradition(softcard_request *request)
{
    enum { DOMAIN_AID, EMPTY_1, OBJECT, EMPTY_2, PARAMETERS, TOKEN, FIELDS };
    install_fields fields;
    softcard_aid aid;
    softcard_aid target;
    if (split_fields(request->command.data, FIELDS, &fields) != KF_OK ||
        softcard_aid_of(fields.items[DOMAIN_AID], &target) != KF_OK ||
        softcard_aid_of(fields.items[OBJECT], &aid) != KF_OK || fields.items[EMPTY_1].size != 0 ||
        fields.items[EMPTY_2].size != 0)
        return SW_WRONG_DATA;
    softcard_status status = softcard_authorise(request, fields.before_token, fields.items[TOKEN]);
    return status == SW_OK ? extradite(request, &aid, &target) : status;
}

/* 11.5.2.3.5: domain or empty, empty, application, privileges or empty, parameters, token. */
static softcard_status install_for_registry_update(softcard_request *request)
{
    enum { DOMAIN_AID, EMPTY_1, APPLICATION, PRIVILEGES, PARAMETERS, TOKEN, FIELDS };
    install_fields fields;
    softcard_aid aid;
    softcard_aid target;
    if (split_fields(request->command.data, FIELDS, &fields) != KF_OK ||
        softcard_aid_of(fields.items[APPLICATION], &aid) != KF_OK || fields.items[EMPTY_1].size != 0)
        return SW_WRONG_DATA;
    bool moves = fields.items[DOMAIN_AID].size > 0;
    if (moves && softcard_aid_of(fields.items[DOMAIN_AID], &target) != KF_OK) return SW_WRONG_DATA;
    softcard_status status = softcard_authorise(request, fields.before_token, fields.items[TOKEN]);
    if (status != SW_OK) return status;
    softcard_application *application = softcard_application_find(request->card->state, &aid);
    if (application == NULL) return SW_REFERENCE_NOT_FOUND;
    if (application->kind == SOFTCARD_ISSUER_DOMAIN || !governs(request, &aid, &application->domain))
        return SW_CONDITIONS;
    if (fields.items[PRIVILEGES].size > 0)
        status = softcard_privileges_read(fields.items[PRIVILEGES], application);
    if (status != SW_OK) return status;
    if (asks_for_card_reset(fields.items[PRIVILEGES]))
        softcard_give_card_reset(request->card->state, application);
    if (moves) return extradite(request, &aid, &target);
    const softcard_aid names[] = {application->domain, aid, application->domain};
    return softcard_confirm(request, names, sizeof names / sizeof names[0]);
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
    kf_buffer_append_u8(request->response, 0);
    return SW_OK;
}

softcard_status softcard_install(softcard_request *request)
{
    uint8_t p1 = request->command.p1;
    if (request->command.p2 != 0) return SW_WRONG_P1P2;
    if (p1 == FOR_PERSONALIZATION) return install_for_personalization(request);
    switch (p1) {
    case FOR_LOAD: return install_for_load(request);
    case FOR_INSTALL:
    case FOR_INSTALL | FOR_MAKE_SELECTABLE: return install_for_install(request);
    case FOR_EXTRADITION: return install_for_extradition(request);
    case FOR_REGISTRY_UPDATE: return install_for_registry_update(request);
    case FOR_MAKE_SELECTABLE: return install_for_make_selectable(request);
    default: return SW_WRONG_P1P2;
    }
}
