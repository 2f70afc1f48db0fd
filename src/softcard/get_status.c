#include "softcard/get_status.h"

#include "softcard/card.h"
#include "softcard/registry.h"
#include "softcard/tlv.h"

enum {
    SCOPE_ISSUER = 0x80,
    SCOPE_APPLICATIONS = 0x40,
    SCOPE_LOAD_FILES = 0x20,
    SCOPE_MODULES = 0x10,
    NEXT_OCCURRENCE = 0x01,
    TLV_FORM = 0x02,
    TAG_AID = 0x4F,
    TAG_TAG_LIST = 0x5C,
    TAG_ENTRY = 0xE3,
    TAG_MODULE = 0x84,
    TAG_LOAD_FILE = 0xC4,
    TAG_PRIVILEGES = 0xC5,
    TAG_DOMAIN = 0xCC,
    TAG_VERSION = 0xCE,
    TAG_LIFE_CYCLE = 0x9F70,
    /* What still fits one response when R-ENC pads it to 240 and an R-MAC of 8 or 16 follows. */
    ANSWER_MAX = 239,
};

typedef struct status_filter {
    kf_view aid;  /* the whole or its beginning */
    kf_view tags; /* empty: all */
} status_filter;

static kf_code read_filter(kf_view data, status_filter *ret_filter)
{
    status_filter filter = {{NULL, 0}, {NULL, 0}};
    kf_code code = softcard_tlv_find(data, TAG_AID, &filter.aid);
    if (code != KF_OK) return code;
    if (filter.aid.size > SOFTCARD_AID_MAX) return KF_ERR_TLV;
    code = softcard_tlv_find(data, TAG_TAG_LIST, &filter.tags);
    if (code != KF_OK && code != KF_ERR_NOT_FOUND) return code;
    *ret_filter = filter;
    return KF_OK;
}

static bool is_wanted(const status_filter *filter, uint16_t tag)
{
    kf_cursor cursor = kf_cursor_of(filter->tags);
    if (filter->tags.size == 0) return true;
    uint8_t byte;
    while (kf_cursor_u8(&cursor, &byte) == KF_OK) {
        uint16_t listed = byte;
        if ((byte & 0x1FU) == 0x1F) {
            if (kf_cursor_u8(&cursor, &byte) != KF_OK) return false;
            listed = (uint16_t)(listed << 8 | byte);
        }
        if (listed == tag) return true;
    }
    return false;
}

static void append_wanted(const status_filter *filter, kf_buffer *entry, uint16_t tag, kf_view value)
{
    if (is_wanted(filter, tag)) softcard_tlv_append(entry, tag, value);
}

/* Table 11-36. */
static void append_application(const softcard_application *application, const status_filter *filter,
                               kf_buffer *entry)
{
    softcard_tlv_append(entry, TAG_AID, softcard_aid_view(&application->aid));
    append_wanted(filter, entry, TAG_LIFE_CYCLE, kf_view_of(&application->life_cycle, 1));
    append_wanted(filter, entry, TAG_PRIVILEGES, KF_VIEW(application->privileges));
    if (application->load_file.size > 0)
        append_wanted(filter, entry, TAG_LOAD_FILE, softcard_aid_view(&application->load_file));
    append_wanted(filter, entry, TAG_DOMAIN, softcard_aid_view(&application->domain));
}

static void append_load_file(const softcard_load_file *load_file, uint8_t scope, const status_filter *filter,
                             kf_buffer *entry)
{
    static const uint8_t loaded = SOFTCARD_LOADED;
    softcard_tlv_append(entry, TAG_AID, softcard_aid_view(&load_file->aid));
    append_wanted(filter, entry, TAG_LIFE_CYCLE, kf_view_of(&loaded, 1));
    append_wanted(filter, entry, TAG_VERSION, KF_VIEW(load_file->version));
    for (size_t i = 0; scope == SCOPE_MODULES && i < load_file->module_count; i++)
        append_wanted(filter, entry, TAG_MODULE, softcard_aid_view(&load_file->modules[i]));
    append_wanted(filter, entry, TAG_DOMAIN, softcard_aid_view(&load_file->domain));
}

/* Table 11-37, the form before TLV: AID after its length, life cycle, privileges; of a load file also its
 * modules. */
static void append_plain_application(const softcard_application *application, kf_buffer *entry)
{
    kf_buffer_append_u8(entry, application->aid.size);
    kf_buffer_append(entry, softcard_aid_view(&application->aid));
    kf_buffer_append_u8(entry, application->life_cycle);
    kf_buffer_append_u8(entry, application->privileges[0]);
}

static void append_plain_load_file(const softcard_load_file *load_file, uint8_t scope, kf_buffer *entry)
{
    kf_buffer_append_u8(entry, load_file->aid.size);
    kf_buffer_append(entry, softcard_aid_view(&load_file->aid));
    kf_buffer_append_u8(entry, SOFTCARD_LOADED);
    kf_buffer_append_u8(entry, 0);
    if (scope != SCOPE_MODULES) return;
    kf_buffer_append_u8(entry, (uint8_t)load_file->module_count);
    for (size_t i = 0; i < load_file->module_count; i++) {
        kf_buffer_append_u8(entry, load_file->modules[i].size);
        kf_buffer_append(entry, softcard_aid_view(&load_file->modules[i]));
    }
}

/* A domain without management sees itself and what belongs to it. */
static bool is_listed(const softcard_request *request, const status_filter *filter, const softcard_aid *aid,
                      const softcard_aid *domain)
{
    const softcard_application *viewer = request->application;
    if (!kf_view_starts_with(softcard_aid_view(aid), filter->aid)) return false;
    return softcard_may_manage(viewer) ||
           softcard_has_privilege(viewer, SOFTCARD_PRIVILEGE_GLOBAL_REGISTRY) ||
           softcard_aid_equal(&viewer->aid, aid) || softcard_aid_equal(&viewer->aid, domain);
}

/* The content of the entry of place `index`, empty where it does not belong to the answer. */
static void append_entry(const softcard_request *request, size_t index, const status_filter *filter,
                         kf_buffer *entry)
{
    const softcard_state *state = request->card->state;
    uint8_t scope = request->command.p1;
    bool plain = (request->command.p2 & TLV_FORM) == 0;
    if (scope == SCOPE_ISSUER || scope == SCOPE_APPLICATIONS) {
        const softcard_application *application = &state->applications[index];
        if ((scope == SCOPE_ISSUER) != (application->kind == SOFTCARD_ISSUER_DOMAIN)) return;
        if (!is_listed(request, filter, &application->aid, &application->domain)) return;
        if (plain)
            append_plain_application(application, entry);
        else
            append_application(application, filter, entry);
        return;
    }
    const softcard_load_file *load_file = &state->load_files[index];
    if (!is_listed(request, filter, &load_file->aid, &load_file->domain)) return;
    if (plain)
        append_plain_load_file(load_file, scope, entry);
    else
        append_load_file(load_file, scope, filter, entry);
}

static size_t place_count(const softcard_request *request)
{
    uint8_t scope = request->command.p1;
    const softcard_state *state = request->card->state;
    return scope == SCOPE_ISSUER || scope == SCOPE_APPLICATIONS ? state->application_count
                                                                : state->load_file_count;
}

softcard_status softcard_get_status(softcard_request *request)
{
    const softcard_command *command = &request->command;
    softcard_status_listing *listing = &request->channel->listing;
    status_filter filter;
    bool scope_known = command->p1 == SCOPE_ISSUER || command->p1 == SCOPE_APPLICATIONS ||
                       command->p1 == SCOPE_LOAD_FILES || command->p1 == SCOPE_MODULES;
    if (!scope_known || (command->p2 & (uint8_t) ~(NEXT_OCCURRENCE | TLV_FORM)) != 0) return SW_WRONG_P1P2;
    if (read_filter(command->data, &filter) != KF_OK) return SW_WRONG_DATA;
    bool goes_on = (command->p2 & NEXT_OCCURRENCE) != 0;
    if (goes_on && listing->scope != command->p1) return SW_CONDITIONS;
    size_t start = goes_on ? listing->next : 0;
    *listing = (softcard_status_listing){0, 0};
    for (size_t i = start; i < place_count(request); i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer entry = KF_BUFFER_INIT;
        append_entry(request, i, &filter, &content);
        if (content.size == 0) continue;
        if ((command->p2 & TLV_FORM) != 0)
            softcard_tlv_append(&entry, TAG_ENTRY, kf_buffer_view(&content));
        else
            kf_buffer_append(&entry, kf_buffer_view(&content));
        if (kf_buffer_status(&content) != KF_OK || kf_buffer_status(&entry) != KF_OK) return SW_INTERNAL;
        if (request->response->size + entry.size > ANSWER_MAX) {
            *listing = (softcard_status_listing){command->p1, i};
            return request->response->size == 0 ? SW_CONDITIONS : SW_MORE_DATA;
        }
        kf_buffer_append(request->response, kf_buffer_view(&entry));
    }
    return request->response->size == 0 ? SW_REFERENCE_NOT_FOUND : SW_OK;
}
