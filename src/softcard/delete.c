#include "softcard/card.h"
#include "softcard/content.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/signatures.h"
#include "softcard/tlv.h"

enum {
    TAG_AID = 0x4F,
    TAG_TOKEN = 0x9E,
    TAG_KEY_IDENTIFIER = 0xD0,
    TAG_KEY_VERSION = 0xD2,
    WITH_RELATED = 0x80,
};

/* 11.2.3.2: what is selected on some channel cannot go. */
static bool is_in_use(const softcard *card, const softcard_aid *aid)
{
    for (size_t i = 0; i < SOFTCARD_LOGICAL_CHANNELS_MAX; i++) {
        const softcard_channel *channel = &card->channels[i];
        if (channel->open && !channel->files_selected && softcard_aid_equal(&channel->application, aid))
            return true;
    }
    return false;
}

/* An application that comes from `aid` or belongs to it; NULL where none is left. */
static softcard_application *find_related(softcard_state *state, const softcard_aid *aid)
{
    for (size_t i = 1; i < state->application_count; i++) {
        softcard_application *application = &state->applications[i];
        bool itself = softcard_aid_equal(&application->aid, aid);
        if (!itself && (softcard_aid_equal(&application->load_file, aid) ||
                        softcard_aid_equal(&application->domain, aid)))
            return application;
    }
    return NULL;
}

/* Leaves first: a related domain may have related applications of its own. A state is small, so that the
 * depth is at most the number of applications. */
static softcard_status remove_related(softcard *card, const softcard_aid *aid, unsigned depth)
{
    if (depth > SOFTCARD_APPLICATIONS_MAX) return SW_CONDITIONS;
    softcard_application *related;
    while ((related = find_related(card->state, aid)) != NULL) {
        softcard_aid related_aid = related->aid;
        if (is_in_use(card, &related_aid)) return SW_CONDITIONS;
        softcard_status status = remove_related(card, &related_aid, depth + 1);
        if (status != SW_OK) return status;
        related = softcard_application_find(card->state, &related_aid);
        if (related == NULL) return SW_CONDITIONS;
        softcard_application_remove(card->state, related);
    }
    return SW_OK;
}

static bool owns_load_file(const softcard_state *state, const softcard_aid *domain)
{
    for (size_t i = 0; i < state->load_file_count; i++)
        if (softcard_aid_equal(&state->load_files[i].domain, domain)) return true;
    return false;
}

static softcard_status delete_object(softcard_request *request, const softcard_aid *aid)
{
    softcard *card = request->card;
    softcard_application *application = softcard_application_find(card->state, aid);
    const softcard_load_file *load_file = softcard_load_file_find(card->state, aid);
    if (application == NULL && load_file == NULL) return SW_REFERENCE_NOT_FOUND;
    if (application != NULL && (application->kind == SOFTCARD_ISSUER_DOMAIN || is_in_use(card, aid) ||
                                owns_load_file(card->state, aid)))
        return SW_CONDITIONS;
    if (load_file != NULL && load_file->fixed) return SW_CONDITIONS;
    if (request->command.p2 == WITH_RELATED) {
        softcard_status status = remove_related(card, aid, 0);
        if (status != SW_OK) return status;
    } else if (find_related(card->state, aid) != NULL) {
        return SW_CONDITIONS;
    }
    application = softcard_application_find(card->state, aid);
    if (application != NULL) softcard_application_remove(card->state, application);
    softcard_load_file *left = softcard_load_file_find(card->state, aid);
    if (left != NULL) softcard_load_file_remove(card->state, left);
    return SW_OK;
}

static softcard_status read_byte(kf_view data, uint16_t tag, uint8_t *ret_byte, bool *ret_present)
{
    kf_view value;
    kf_code code = softcard_tlv_find(data, tag, &value);
    *ret_present = code == KF_OK;
    if (code == KF_ERR_NOT_FOUND) return SW_OK;
    if (code != KF_OK || value.size != 1) return SW_WRONG_DATA;
    *ret_byte = value.data[0];
    return SW_OK;
}

/* 11.2.2.3.2 */
static softcard_status delete_key(softcard_request *request)
{
    uint8_t identifier = 0;
    uint8_t version = 0;
    bool has_identifier;
    bool has_version;
    kf_view data = request->command.data;
    softcard_status status = read_byte(data, TAG_KEY_IDENTIFIER, &identifier, &has_identifier);
    if (status == SW_OK) status = read_byte(data, TAG_KEY_VERSION, &version, &has_version);
    if (status != SW_OK) return status;
    if (!has_version && !has_identifier) return SW_WRONG_DATA;
    if ((has_identifier && identifier == 0) || (has_version && version == 0)) return SW_WRONG_DATA;
    return softcard_key_sets_delete(request->application, version, identifier);
}

/* 9.5: Authorized Management or Global Delete, or Delegated Management over what is the domain's own. */
static bool may_delete(softcard_request *request, const softcard_aid *aid)
{
    const softcard_application *domain = request->application;
    if (softcard_may_manage(domain) || softcard_has_privilege(domain, SOFTCARD_PRIVILEGE_GLOBAL_DELETE))
        return true;
    if (!softcard_has_privilege(domain, SOFTCARD_PRIVILEGE_DELEGATED)) return false;
    const softcard_application *application = softcard_application_find(request->card->state, aid);
    const softcard_load_file *load_file = softcard_load_file_find(request->card->state, aid);
    if (application != NULL) return softcard_aid_equal(&application->domain, &domain->aid);
    return load_file == NULL || softcard_aid_equal(&load_file->domain, &domain->aid);
}

/* 11.2.2.3.1: a token is the last object; where a domain with Delegated Management gives one, it must fit. */
static softcard_status check_token(softcard_request *request)
{
    kf_view data = request->command.data;
    kf_cursor cursor = kf_cursor_of(data);
    while (!kf_cursor_at_end(&cursor)) {
        softcard_tlv object;
        size_t before = data.size - cursor.rest.size;
        if (softcard_tlv_next(&cursor, &object) != KF_OK) return SW_WRONG_DATA;
        if (object.tag != TAG_TOKEN) continue;
        if (!kf_cursor_at_end(&cursor)) return SW_WRONG_DATA;
        if (softcard_may_manage(request->application)) return SW_OK;
        return softcard_check_token(request, kf_view_part(data, 0, before), object.value);
    }
    return SW_OK;
}

softcard_status softcard_delete(softcard_request *request)
{
    const softcard_command *command = &request->command;
    if (command->p1 != 0 || (command->p2 & (uint8_t)~WITH_RELATED) != 0) return SW_WRONG_P1P2;
    kf_view bytes;
    softcard_aid aid;
    softcard_status status;
    kf_code code = softcard_tlv_find(command->data, TAG_AID, &bytes);
    if (code == KF_ERR_NOT_FOUND) {
        status = delete_key(request);
    } else {
        if (code != KF_OK || softcard_aid_of(bytes, &aid) != KF_OK) return SW_WRONG_DATA;
        if (!may_delete(request, &aid)) return SW_CONDITIONS;
        status = check_token(request);
        if (status == SW_OK) status = delete_object(request, &aid);
        if (status == SW_OK) return softcard_confirm(request, &aid, 1);
    }
    if (status == SW_OK) kf_buffer_append_u8(request->response, 0);
    return status;
}
