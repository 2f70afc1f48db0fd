#include <string.h>

#include "crypto/digest.h"
#include "softcard/card.h"
#include "softcard/content.h"
#include "softcard/registry.h"
#include "softcard/tlv.h"

enum {
    TAG_DAP_BLOCK = 0xE2,
    TAG_LOAD_FILE_DATA = 0xC4,
    COMPONENT_HEADER = 1,
    COMPONENT_APPLET = 3,
    LAST_BLOCK = 0x80,
};

static const uint8_t cap_magic[4] = {0xDE, 0xCA, 0xFF, 0xED};

/* Header (6.3): magic, CAP version, flags, then the package: version and AID. */
static kf_code parse_header(kf_view component, softcard_load_file *load_file)
{
    kf_cursor cursor = kf_cursor_of(component);
    kf_view magic;
    uint8_t version[2]; /* minor, major */
    uint8_t aid_size;
    kf_view aid;
    KF_TRY(kf_cursor_take(&cursor, sizeof cap_magic, &magic));
    if (!kf_view_equal(magic, KF_VIEW(cap_magic))) return KF_ERR_CAP_FILE;
    KF_TRY(kf_cursor_skip(&cursor, 3));
    KF_TRY(kf_cursor_copy(&cursor, version, sizeof version));
    KF_TRY(kf_cursor_u8(&cursor, &aid_size));
    KF_TRY(kf_cursor_take(&cursor, aid_size, &aid));
    load_file->version[0] = version[1];
    load_file->version[1] = version[0];
    return softcard_aid_of(aid, &load_file->aid);
}

/* Applet (6.5): count, then AID and the offset of its install method, each. */
static kf_code parse_applets(kf_view component, softcard_load_file *load_file)
{
    kf_cursor cursor = kf_cursor_of(component);
    uint8_t count;
    KF_TRY(kf_cursor_u8(&cursor, &count));
    if (count > SOFTCARD_MODULES_MAX) return KF_ERR_CAP_FILE;
    for (size_t i = 0; i < count; i++) {
        uint8_t aid_size;
        kf_view aid;
        KF_TRY(kf_cursor_u8(&cursor, &aid_size));
        KF_TRY(kf_cursor_take(&cursor, aid_size, &aid));
        KF_TRY(kf_cursor_skip(&cursor, 2));
        KF_TRY(softcard_aid_of(aid, &load_file->modules[i]));
    }
    load_file->module_count = count;
    return KF_OK;
}

kf_code softcard_load_file_parse(kf_view bytes, softcard_load_file *ret_load_file)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    softcard_load_file load_file;
    memset(&load_file, 0, sizeof load_file);
    bool has_header = false;
    while (!kf_cursor_at_end(&cursor)) {
        uint8_t tag;
        uint16_t size;
        kf_view component;
        if (kf_cursor_u8(&cursor, &tag) != KF_OK || kf_cursor_u16(&cursor, &size) != KF_OK ||
            kf_cursor_take(&cursor, size, &component) != KF_OK)
            return KF_ERR_CAP_FILE;
        if (!has_header && tag != COMPONENT_HEADER) return KF_ERR_CAP_FILE;
        if (tag == COMPONENT_HEADER) {
            if (has_header || parse_header(component, &load_file) != KF_OK) return KF_ERR_CAP_FILE;
            has_header = true;
        }
        if (tag == COMPONENT_APPLET && parse_applets(component, &load_file) != KF_OK) return KF_ERR_CAP_FILE;
    }
    if (!has_header) return KF_ERR_CAP_FILE;
    load_file.size = (uint32_t)bytes.size;
    if (kf_sha256(bytes, load_file.hash) != KF_OK) return KF_ERR_CRYPTO;
    *ret_load_file = load_file;
    return KF_OK;
}

/* 11.6.2.3: DAP blocks may stand before C4; this card asks for none and skips them. */
static kf_code take_load_file_data(kf_view bytes, kf_view *ret_data)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    for (;;) {
        softcard_tlv object;
        KF_TRY(softcard_tlv_next(&cursor, &object));
        if (object.tag == TAG_DAP_BLOCK) continue;
        if (object.tag != TAG_LOAD_FILE_DATA || !kf_cursor_at_end(&cursor)) return KF_ERR_TLV;
        *ret_data = object.value;
        return KF_OK;
    }
}

static softcard_status register_load_file(softcard_request *request)
{
    const softcard_load_series *series = &request->channel->load;
    softcard_load_file load_file;
    kf_view data;
    if (take_load_file_data(kf_buffer_view(&series->bytes), &data) != KF_OK) return SW_WRONG_DATA;
    if (softcard_load_file_parse(data, &load_file) != KF_OK) return SW_WRONG_DATA;
    if (!softcard_aid_equal(&load_file.aid, &series->load_file)) return SW_WRONG_DATA;
    if (series->has_hash && !kf_view_equal(KF_VIEW(series->hash), KF_VIEW(load_file.hash)))
        return SW_WRONG_DATA;
    softcard_load_file *place = softcard_load_file_add(request->card->state);
    if (place == NULL) return SW_NO_SPACE;
    load_file.domain = series->domain;
    *place = load_file;
    kf_buffer_append_u8(request->response, 0);
    return SW_OK;
}

static void end_series(softcard_load_series *series)
{
    kf_buffer_clear(&series->bytes);
    *series = (softcard_load_series){.active = false};
}

softcard_status softcard_load(softcard_request *request)
{
    softcard_load_series *series = &request->channel->load;
    const softcard_command *command = &request->command;
    if (!softcard_may_manage(request->application)) return SW_CONDITIONS;
    if (!series->active) return SW_CONDITIONS;
    if ((command->p1 & (uint8_t)~LAST_BLOCK) != 0 || command->p2 != series->next_block) {
        end_series(series);
        return SW_WRONG_P1P2;
    }
    kf_buffer_append(&series->bytes, command->data);
    if (kf_buffer_status(&series->bytes) != KF_OK) {
        end_series(series);
        return SW_NO_SPACE;
    }
    series->next_block++;
    if ((command->p1 & LAST_BLOCK) == 0) {
        kf_buffer_append_u8(request->response, 0);
        return SW_OK;
    }
    softcard_status status = register_load_file(request);
    end_series(series);
    return status;
}
