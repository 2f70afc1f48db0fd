#include <string.h>

#include "crypto/digest.h"
#include "softcard/card.h"
#include "softcard/content.h"
#include "softcard/registry.h"
#include "softcard/signatures.h"
#include "softcard/tlv.h"

enum {
    TAG_DAP_BLOCK = 0xE2,
    TAG_DAP_DOMAIN = 0x4F,
    TAG_DAP_SIGNATURE = 0xC3,
    DAP_BLOCKS_MAX = 8,
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

typedef struct dap_block {
    softcard_aid domain;
    kf_view signature;
} dap_block;

typedef struct load_parts {
    size_t block_count;
    dap_block blocks[DAP_BLOCKS_MAX];
    kf_view data;
} load_parts;

static kf_code read_dap_block(kf_view bytes, dap_block *block)
{
    kf_view domain;
    KF_TRY(softcard_tlv_find(bytes, TAG_DAP_DOMAIN, &domain));
    KF_TRY(softcard_tlv_find(bytes, TAG_DAP_SIGNATURE, &block->signature));
    return softcard_aid_of(domain, &block->domain);
}

/* 11.6.2.3: DAP blocks may stand before the load file data block. */
static kf_code split_load_file(kf_view bytes, load_parts *parts)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    for (;;) {
        softcard_tlv object;
        KF_TRY(softcard_tlv_next(&cursor, &object));
        if (object.tag == TAG_DAP_BLOCK) {
            if (parts->block_count == DAP_BLOCKS_MAX) return KF_ERR_TOO_LONG;
            KF_TRY(read_dap_block(object.value, &parts->blocks[parts->block_count++]));
            continue;
        }
        if (object.tag != TAG_LOAD_FILE_DATA || !kf_cursor_at_end(&cursor)) return KF_ERR_TLV;
        parts->data = object.value;
        return KF_OK;
    }
}

static bool has_block_of(const load_parts *parts, const softcard_aid *domain)
{
    for (size_t i = 0; i < parts->block_count; i++)
        if (softcard_aid_equal(&parts->blocks[i].domain, domain)) return true;
    return false;
}

/* 9.2.1: a block is asked for by every domain with mandated DAP verification, and by the load file's own with
 * DAP verification. */
static bool has_all_blocks(softcard_request *request, const load_parts *parts)
{
    softcard_state *state = request->card->state;
    const softcard_aid *target = &request->channel->load.domain;
    for (size_t i = 0; i < state->application_count; i++) {
        const softcard_application *domain = &state->applications[i];
        bool asks = softcard_has_privilege(domain, SOFTCARD_PRIVILEGE_DAP) &&
                    (softcard_has_privilege(domain, SOFTCARD_PRIVILEGE_MANDATED_DAP) ||
                     softcard_aid_equal(&domain->aid, target));
        if (asks && !has_block_of(parts, &domain->aid)) return false;
    }
    return true;
}

/* C.3: the signature is over the hash that INSTALL [for load] gave. */
static softcard_status check_dap_blocks(softcard_request *request, const load_parts *parts)
{
    const softcard_load_series *series = &request->channel->load;
    if (!has_all_blocks(request, parts)) return SW_CONDITIONS;
    if (parts->block_count > 0 && series->hash_size == 0) return SW_CONDITIONS;
    for (size_t i = 0; i < parts->block_count; i++) {
        softcard_application *domain =
            softcard_application_find(request->card->state, &parts->blocks[i].domain);
        if (domain == NULL || !softcard_has_privilege(domain, SOFTCARD_PRIVILEGE_DAP))
            return SW_REFERENCE_NOT_FOUND;
        kf_code code = softcard_dap_check(domain, kf_view_of(series->hash, series->hash_size),
                                          parts->blocks[i].signature);
        if (code == KF_ERR_NOT_FOUND) return SW_REFERENCE_NOT_FOUND;
        if (code != KF_OK) return SW_SECURITY_STATUS;
    }
    return SW_OK;
}

bool softcard_load_file_hash_find(size_t size, kf_hash_algorithm *ret_algorithm)
{
    static const kf_hash_algorithm algorithms[] = {KF_HASH_SHA1, KF_HASH_SHA256, KF_HASH_SHA384,
                                                   KF_HASH_SHA512};
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (kf_hash_size(algorithms[i]) != size) continue;
        *ret_algorithm = algorithms[i];
        return true;
    }
    return false;
}

/* The hash of the load file data block; its length says which (C.2). */
static softcard_status check_hash(const softcard_load_series *series, kf_view data)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer hash = KF_BUFFER_INIT;
    kf_hash_algorithm algorithm;
    if (series->hash_size == 0) return SW_OK;
    if (!softcard_load_file_hash_find(series->hash_size, &algorithm)) return SW_INTERNAL;
    if (kf_hash(algorithm, data, &hash) != KF_OK) return SW_INTERNAL;
    kf_view given = kf_view_of(series->hash, series->hash_size);
    return kf_view_equal(given, kf_buffer_view(&hash)) ? SW_OK : SW_WRONG_DATA;
}

static softcard_status register_load_file(softcard_request *request)
{
    const softcard_load_series *series = &request->channel->load;
    softcard_load_file load_file;
    load_parts parts = {.block_count = 0};
    if (split_load_file(kf_buffer_view(&series->bytes), &parts) != KF_OK) return SW_WRONG_DATA;
    softcard_status status = check_hash(series, parts.data);
    if (status == SW_OK) status = check_dap_blocks(request, &parts);
    if (status != SW_OK) return status;
    if (softcard_load_file_parse(parts.data, &load_file) != KF_OK) return SW_WRONG_DATA;
    if (!softcard_aid_equal(&load_file.aid, &series->load_file)) return SW_WRONG_DATA;
    softcard_load_file *place = softcard_load_file_add(request->card->state);
    if (place == NULL) return SW_NO_SPACE;
    load_file.domain = series->domain;
    *place = load_file;
    kf_buffer_append(&place->code, parts.data);
    if (kf_buffer_status(&place->code) != KF_OK) return SW_INTERNAL;
    const softcard_aid names[] = {load_file.aid, load_file.domain};
    return softcard_confirm(request, names, sizeof names / sizeof names[0]);
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
    if (!series->active) return SW_CONDITIONS;
    if ((command->p1 & (uint8_t)~LAST_BLOCK) != 0 || command->p2 != series->next_block) {
        end_series(series);
        return SW_WRONG_P1P2;
    }
    kf_buffer_append(&series->bytes, command->data);
    if (kf_buffer_status(&series->bytes) != KF_OK ||
        series->bytes.size > softcard_memory_free(request->card->state)) {
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
