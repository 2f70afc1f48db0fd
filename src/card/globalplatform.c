#include <keyfill/globalplatform.h>

#include <string.h>

#include <keyfill/tlv.h>

#include "card/gp_command.h"

#define INS_INITIALIZE_UPDATE 0x50
#define INS_SELECT 0xA4
#define INS_GET_DATA 0xCA
#define INS_DELETE 0xE4
#define INS_LOAD 0xE8
#define INS_SET_STATUS 0xF0
#define INS_GET_STATUS 0xF2

#define TAG_AID 0x4F
#define TAG_SIGNATURE_TEMPLATE 0xB6
#define TAG_TOKEN 0x9E
#define TAG_LIST 0x5C
#define TAG_KEY_IDENTIFIER 0xD0
#define TAG_KEY_VERSION 0xD2

kf_code kf_aid_from_view(kf_view bytes, kf_aid *ret_aid)
{
    if (bytes.size < KF_AID_MIN || bytes.size > KF_AID_MAX) return KF_ERR_CARD_DATA;
    kf_aid aid = {.size = bytes.size};
    memcpy(aid.bytes, bytes.data, bytes.size);
    *ret_aid = aid;
    return KF_OK;
}

kf_view kf_aid_view(const kf_aid *aid)
{
    return kf_view_of(aid->bytes, aid->size);
}

bool kf_gp_is_aid(kf_view aid)
{
    return aid.size >= KF_AID_MIN && aid.size <= KF_AID_MAX;
}

bool kf_gp_is_aid_or_empty(kf_view aid)
{
    return aid.size == 0 || kf_gp_is_aid(aid);
}

/* Under R-MAC every command has an answer, so each asks for one. */
kf_code kf_gp_append_command(uint8_t cla, uint8_t ins, uint16_t p1_p2, kf_view data, kf_buffer *apdu)
{
    if (data.size > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    kf_command command = {cla,  ins,  (uint8_t)(p1_p2 >> 8), (uint8_t)p1_p2,
                          data, true, KF_COMMAND_LE_MAX,     false};
    return kf_command_encode(&command, apdu);
}

kf_code kf_gp_append_built(uint8_t ins, uint16_t p1_p2, const kf_buffer *data, kf_buffer *apdu)
{
    KF_TRY(kf_buffer_status(data));
    return kf_gp_append_command(KF_GP_CLASS, ins, p1_p2, kf_buffer_view(data), apdu);
}

kf_code kf_gp_append_chain(const kf_gp_chain *chain, kf_command_list *commands)
{
    if (chain->data_max == 0 || chain->data_max > KF_COMMAND_DATA_MAX || chain->data.size == 0)
        return KF_ERR_ARGUMENT;
    for (size_t offset = 0; offset < chain->data.size; offset += chain->data_max) {
        kf_view part = kf_view_part(chain->data, offset, chain->data_max);
        bool last = offset + part.size == chain->data.size;
        unsigned p1 = chain->p1 | (last ? 0u : 0x80u);
        kf_buffer *apdu = kf_command_list_append(commands);
        if (apdu == NULL) return KF_ERR_MEMORY;
        KF_TRY(kf_gp_append_command(KF_GP_CLASS, chain->ins, (uint16_t)((p1 << 8) | chain->p2), part, apdu));
    }
    return KF_OK;
}

kf_code kf_gp_select(kf_view aid, kf_buffer *apdu)
{
    if (aid.size > KF_AID_MAX) return KF_ERR_ARGUMENT;
    return kf_gp_append_command(KF_GP_CLASS_ISO, INS_SELECT, 0x0400, aid, apdu);
}

kf_code kf_gp_select_next(kf_view aid, kf_buffer *apdu)
{
    if (aid.size > KF_AID_MAX) return KF_ERR_ARGUMENT;
    return kf_gp_append_command(KF_GP_CLASS_ISO, INS_SELECT, 0x0402, aid, apdu);
}

kf_code kf_gp_initialize_update(uint8_t key_version, kf_view host_challenge, kf_buffer *apdu)
{
    if (host_challenge.size != 8 && host_challenge.size != 16) return KF_ERR_ARGUMENT;
    return kf_gp_append_command(KF_GP_CLASS, INS_INITIALIZE_UPDATE, (uint16_t)(key_version << 8),
                                host_challenge, apdu);
}

kf_code kf_gp_get_data(uint16_t tag, kf_buffer *apdu)
{
    return kf_gp_append_command(KF_GP_CLASS, INS_GET_DATA, tag, kf_view_of(NULL, 0), apdu);
}

kf_code kf_gp_get_status(kf_gp_scope scope, kf_view aid, bool next, kf_buffer *apdu)
{
    if (aid.size > KF_AID_MAX) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_tlv_append(&data, TAG_AID, aid);
    /* P2 bit 2: answers in TLV (table 11-34). */
    return kf_gp_append_built(INS_GET_STATUS, (uint16_t)(((unsigned)scope << 8) | (next ? 0x03u : 0x02u)),
                              &data, apdu);
}

kf_code kf_gp_set_status(kf_gp_scope scope, uint8_t state, kf_view aid, kf_buffer *apdu)
{
    if (scope != KF_GP_ISSUER_SECURITY_DOMAIN && scope != KF_GP_APPLICATIONS) return KF_ERR_ARGUMENT;
    if (!kf_gp_is_aid_or_empty(aid)) return KF_ERR_ARGUMENT;
    return kf_gp_append_command(KF_GP_CLASS, INS_SET_STATUS, (uint16_t)(((unsigned)scope << 8) | state), aid,
                                apdu);
}

kf_code kf_gp_set_status_with_applications(kf_view security_domain_aid, bool locked, kf_buffer *apdu)
{
    if (!kf_gp_is_aid(security_domain_aid)) return KF_ERR_ARGUMENT;
    return kf_gp_append_command(KF_GP_CLASS, INS_SET_STATUS, locked ? 0x6080 : 0x6000, security_domain_aid,
                                apdu);
}

/* Table 11-88 and 11.10.2.2: bit 8 locks; the other bits do not matter then. */
kf_code kf_gp_set_locked(kf_view aid, bool locked, kf_buffer *apdu)
{
    if (!kf_gp_is_aid(aid)) return KF_ERR_ARGUMENT;
    return kf_gp_set_status(KF_GP_APPLICATIONS, locked ? 0x80 : 0x00, aid, apdu);
}

kf_code kf_gp_get_status_older(kf_gp_scope scope, kf_view aid, bool next, kf_buffer *apdu)
{
    if (aid.size > KF_AID_MAX) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_tlv_append(&data, TAG_AID, aid);
    return kf_gp_append_built(INS_GET_STATUS, (uint16_t)(((unsigned)scope << 8) | (next ? 0x01u : 0x00u)),
                              &data, apdu);
}

kf_code kf_gp_get_applications(kf_buffer *apdu)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_tlv_append(&data, TAG_LIST, kf_view_of(NULL, 0));
    return kf_gp_append_built(INS_GET_DATA, 0x2F00, &data, apdu);
}

void kf_gp_security_domain_parameters(uint8_t protocol, uint8_t options, kf_buffer *parameters)
{
    const uint8_t value[] = {protocol, options};
    kf_tlv_append(parameters, 0x81, KF_VIEW(value));
}

kf_code kf_gp_load_block(kf_view block, uint8_t number, bool last, kf_buffer *apdu)
{
    if (block.size == 0) return KF_ERR_ARGUMENT;
    return kf_gp_append_command(KF_GP_CLASS, INS_LOAD, (uint16_t)((last ? 0x8000u : 0u) | number), block,
                                apdu);
}

kf_code kf_gp_load(kf_view load_file_data, size_t block_size, kf_command_list *ret_commands)
{
    const kf_gp_load_plan plan = {.load_file_data = load_file_data, .block_size = block_size};
    return kf_gp_load_commands(&plan, ret_commands);
}

kf_code kf_gp_delete_with(const kf_gp_delete_request *request, kf_buffer *apdu)
{
    if (!kf_gp_is_aid(request->aid)) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_tlv_append(&data, TAG_AID, request->aid);
    if (request->signature_template.size > 0)
        kf_tlv_append(&data, TAG_SIGNATURE_TEMPLATE, request->signature_template);
    if (request->token.size > 0) kf_tlv_append(&data, TAG_TOKEN, request->token);
    return kf_gp_append_built(INS_DELETE, request->related ? 0x0080 : 0x0000, &data, apdu);
}

kf_code kf_gp_delete(kf_view aid, bool related, kf_buffer *apdu)
{
    if (!kf_gp_is_aid(aid)) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_tlv_append(&data, TAG_AID, aid);
    return kf_gp_append_built(INS_DELETE, related ? 0x0080 : 0x0000, &data, apdu);
}

kf_code kf_gp_delete_key(uint8_t key_version, uint8_t key_identifier, kf_buffer *apdu)
{
    if (key_version == 0 || key_version > 0x7F || key_identifier > 0x7F) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    if (key_identifier != 0) kf_tlv_append_u8(&data, TAG_KEY_IDENTIFIER, key_identifier);
    kf_tlv_append_u8(&data, TAG_KEY_VERSION, key_version);
    return kf_gp_append_built(INS_DELETE, 0x0000, &data, apdu);
}
