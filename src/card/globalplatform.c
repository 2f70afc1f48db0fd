#include <keyfill/globalplatform.h>

#include <string.h>

#include <keyfill/tlv.h>

#define CLASS_ISO 0x00
#define CLASS_GP 0x80

#define INS_INITIALIZE_UPDATE 0x50
#define INS_SELECT 0xA4
#define INS_GET_DATA 0xCA
#define INS_STORE_DATA 0xE2
#define INS_DELETE 0xE4
#define INS_INSTALL 0xE6
#define INS_LOAD 0xE8
#define INS_SET_STATUS 0xF0
#define INS_GET_STATUS 0xF2

/* P1 of INSTALL (table 11-41). */
#define INSTALL_FOR_LOAD 0x02
#define INSTALL_FOR_INSTALL 0x04
#define INSTALL_FOR_MAKE_SELECTABLE 0x08
#define INSTALL_FOR_EXTRADITION 0x10
#define INSTALL_FOR_PERSONALIZATION 0x20

#define TAG_AID 0x4F
#define TAG_KEY_IDENTIFIER 0xD0
#define TAG_KEY_VERSION 0xD2
#define TAG_LOAD_FILE_DATA_BLOCK 0xC4
#define TAG_APPLICATION_PARAMETERS 0xC9
#define TAG_SYSTEM_PARAMETERS 0xEF

#define LOAD_BLOCKS_MAX 256

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

static bool is_aid(kf_view aid)
{
    return aid.size >= KF_AID_MIN && aid.size <= KF_AID_MAX;
}

static bool is_aid_or_empty(kf_view aid)
{
    return aid.size == 0 || is_aid(aid);
}

/* Under R-MAC every command has an answer, so each asks for one. */
static kf_code append_command(uint8_t cla, uint8_t ins, uint16_t p1_p2, kf_view data, kf_buffer *apdu)
{
    if (data.size > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    kf_command command = {cla,  ins,  (uint8_t)(p1_p2 >> 8), (uint8_t)p1_p2,
                          data, true, KF_COMMAND_LE_MAX,     false};
    return kf_command_encode(&command, apdu);
}

static kf_code append_built(uint8_t ins, uint16_t p1_p2, const kf_buffer *data, kf_buffer *apdu)
{
    KF_TRY(kf_buffer_status(data));
    return append_command(CLASS_GP, ins, p1_p2, kf_buffer_view(data), apdu);
}

kf_code kf_gp_select(kf_view aid, kf_buffer *apdu)
{
    if (aid.size > KF_AID_MAX) return KF_ERR_ARGUMENT;
    return append_command(CLASS_ISO, INS_SELECT, 0x0400, aid, apdu);
}

kf_code kf_gp_initialize_update(uint8_t key_version, kf_view host_challenge, kf_buffer *apdu)
{
    if (host_challenge.size != 8 && host_challenge.size != 16) return KF_ERR_ARGUMENT;
    return append_command(CLASS_GP, INS_INITIALIZE_UPDATE, (uint16_t)(key_version << 8), host_challenge,
                          apdu);
}

kf_code kf_gp_get_data(uint16_t tag, kf_buffer *apdu)
{
    return append_command(CLASS_GP, INS_GET_DATA, tag, kf_view_of(NULL, 0), apdu);
}

kf_code kf_gp_get_status(kf_gp_scope scope, kf_view aid, bool next, kf_buffer *apdu)
{
    if (aid.size > KF_AID_MAX) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_tlv_append(&data, TAG_AID, aid);
    /* P2 bit 2: answers in TLV (table 11-34). */
    return append_built(INS_GET_STATUS, (uint16_t)(((unsigned)scope << 8) | (next ? 0x03u : 0x02u)), &data,
                        apdu);
}

kf_code kf_gp_set_status(kf_gp_scope scope, uint8_t state, kf_view aid, kf_buffer *apdu)
{
    if (scope != KF_GP_ISSUER_SECURITY_DOMAIN && scope != KF_GP_APPLICATIONS) return KF_ERR_ARGUMENT;
    if (!is_aid_or_empty(aid)) return KF_ERR_ARGUMENT;
    return append_command(CLASS_GP, INS_SET_STATUS, (uint16_t)(((unsigned)scope << 8) | state), aid, apdu);
}

/* A length of one byte and the value, as INSTALL has them. */
static kf_code append_field(kf_buffer *data, kf_view value)
{
    if (value.size > 0xFF) return KF_ERR_TOO_LONG;
    kf_buffer_append_u8(data, (uint8_t)value.size);
    kf_buffer_append(data, value);
    return KF_OK;
}

static kf_code append_fields(kf_buffer *data, const kf_view *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        KF_TRY(append_field(data, fields[i]));
    return KF_OK;
}

kf_code kf_gp_install_for_load(const kf_gp_install_load *install, kf_buffer *apdu)
{
    if (!is_aid(install->load_file_aid) || !is_aid_or_empty(install->security_domain_aid))
        return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    const kf_view fields[] = {install->load_file_aid, install->security_domain_aid, install->hash,
                              install->parameters, install->token};
    KF_TRY(append_fields(&data, fields, sizeof(fields) / sizeof(fields[0])));
    return append_built(INS_INSTALL, INSTALL_FOR_LOAD << 8, &data, apdu);
}

kf_code kf_gp_install_for_install(const kf_gp_install *install, kf_buffer *apdu)
{
    if (!is_aid_or_empty(install->load_file_aid) || !is_aid(install->module_aid) ||
        !is_aid(install->application_aid))
        return KF_ERR_ARGUMENT;
    if (install->privileges.size != 1 && install->privileges.size != 3) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    /* Table 11-49: C9 is mandatory, even if empty. */
    kf_tlv_append(&parameters, TAG_APPLICATION_PARAMETERS, install->parameters);
    if (install->system_parameters.size > 0)
        kf_tlv_append(&parameters, TAG_SYSTEM_PARAMETERS, install->system_parameters);
    KF_TRY(kf_buffer_status(&parameters));
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    const kf_view fields[] = {install->load_file_aid, install->module_aid,         install->application_aid,
                              install->privileges,    kf_buffer_view(&parameters), install->token};
    KF_TRY(append_fields(&data, fields, sizeof(fields) / sizeof(fields[0])));
    unsigned p1 = INSTALL_FOR_INSTALL | (install->install_only ? 0u : INSTALL_FOR_MAKE_SELECTABLE);
    return append_built(INS_INSTALL, (uint16_t)(p1 << 8), &data, apdu);
}

kf_code kf_gp_install_for_make_selectable(kf_view application_aid, kf_view privileges, kf_buffer *apdu)
{
    if (!is_aid(application_aid) || (privileges.size != 1 && privileges.size != 3)) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    const kf_view none = {NULL, 0};
    const kf_view fields[] = {none, none, application_aid, privileges, none, none};
    KF_TRY(append_fields(&data, fields, sizeof(fields) / sizeof(fields[0])));
    return append_built(INS_INSTALL, INSTALL_FOR_MAKE_SELECTABLE << 8, &data, apdu);
}

kf_code kf_gp_install_for_personalization(kf_view application_aid, kf_buffer *apdu)
{
    if (!is_aid(application_aid)) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    const kf_view none = {NULL, 0};
    const kf_view fields[] = {none, none, application_aid, none, none, none};
    KF_TRY(append_fields(&data, fields, sizeof(fields) / sizeof(fields[0])));
    return append_built(INS_INSTALL, INSTALL_FOR_PERSONALIZATION << 8, &data, apdu);
}

kf_code kf_gp_install_for_extradition(kf_view security_domain_aid, kf_view application_aid, kf_buffer *apdu)
{
    if (!is_aid(security_domain_aid) || !is_aid(application_aid)) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    const kf_view none = {NULL, 0};
    const kf_view fields[] = {security_domain_aid, none, application_aid, none, none, none};
    KF_TRY(append_fields(&data, fields, sizeof(fields) / sizeof(fields[0])));
    return append_built(INS_INSTALL, INSTALL_FOR_EXTRADITION << 8, &data, apdu);
}

void kf_gp_security_domain_parameters(uint8_t protocol, uint8_t options, kf_buffer *parameters)
{
    const uint8_t value[] = {protocol, options};
    kf_tlv_append(parameters, 0x81, KF_VIEW(value));
}

kf_code kf_gp_load_block(kf_view block, uint8_t number, bool last, kf_buffer *apdu)
{
    if (block.size == 0) return KF_ERR_ARGUMENT;
    return append_command(CLASS_GP, INS_LOAD, (uint16_t)((last ? 0x8000u : 0u) | number), block, apdu);
}

kf_code kf_gp_load(kf_view load_file_data, size_t block_size, kf_command_list *ret_commands)
{
    if (block_size == 0 || block_size > KF_COMMAND_DATA_MAX || load_file_data.size == 0)
        return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
    kf_tlv_append(&wrapped, TAG_LOAD_FILE_DATA_BLOCK, load_file_data);
    KF_TRY(kf_buffer_status(&wrapped));
    size_t count = (wrapped.size + block_size - 1) / block_size;
    if (count > LOAD_BLOCKS_MAX) return KF_ERR_TOO_LONG;
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    for (size_t i = 0; i < count; i++) {
        kf_buffer *apdu = kf_command_list_append(&commands);
        if (apdu == NULL) return KF_ERR_MEMORY;
        kf_view block = kf_view_part(kf_buffer_view(&wrapped), i * block_size, block_size);
        KF_TRY(kf_gp_load_block(block, (uint8_t)i, i == count - 1, apdu));
    }
    *ret_commands = commands;
    commands = (kf_command_list){0};
    return KF_OK;
}

kf_code kf_gp_delete(kf_view aid, bool related, kf_buffer *apdu)
{
    if (!is_aid(aid)) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_tlv_append(&data, TAG_AID, aid);
    return append_built(INS_DELETE, related ? 0x0080 : 0x0000, &data, apdu);
}

kf_code kf_gp_delete_key(uint8_t key_version, uint8_t key_identifier, kf_buffer *apdu)
{
    if (key_version == 0 || key_version > 0x7F || key_identifier > 0x7F) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    if (key_identifier != 0) kf_tlv_append_u8(&data, TAG_KEY_IDENTIFIER, key_identifier);
    kf_tlv_append_u8(&data, TAG_KEY_VERSION, key_version);
    return append_built(INS_DELETE, 0x0000, &data, apdu);
}

kf_code kf_gp_store_data(uint8_t options, bool last, uint8_t number, kf_view data, kf_buffer *apdu)
{
    if (options & 0x80u) return KF_ERR_ARGUMENT;
    unsigned p1 = options | (last ? 0x80u : 0u);
    return append_command(CLASS_GP, INS_STORE_DATA, (uint16_t)((p1 << 8) | number), data, apdu);
}

static size_t dgi_size(const kf_dgi *dgi)
{
    return 2 + (dgi->value.size < 0xFF ? 1u : 3u) + dgi->value.size;
}

/* How many groupings from `first` on go into one command. */
static size_t groupings_that_fit(const kf_gp_store_data_plan *plan, size_t first)
{
    size_t size = 0;
    size_t count = 0;
    while (first + count < plan->dgi_count) {
        const kf_dgi *dgi = &plan->dgis[first + count];
        size += dgi_size(dgi);
        if (size > plan->data_max || dgi->encrypted != plan->dgis[first].encrypted) break;
        count++;
    }
    return count;
}

kf_code kf_gp_store_data_dgis(const kf_gp_store_data_plan *plan, kf_command_list *commands)
{
    if (plan->data_max > KF_COMMAND_DATA_MAX) return KF_ERR_ARGUMENT;
    unsigned number = plan->first_number;
    size_t first = 0;
    while (first < plan->dgi_count) {
        size_t count = groupings_that_fit(plan, first);
        if (count == 0 || number > 0xFF) return KF_ERR_TOO_LONG;
        KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
        for (size_t i = first; i < first + count; i++)
            KF_TRY(kf_dgi_append(&data, plan->dgis[i].identifier, plan->dgis[i].value));
        unsigned options = KF_STORE_DATA_DGI | (plan->dgis[first].encrypted ? KF_STORE_DATA_ENCRYPTED : 0u);
        kf_buffer *apdu = kf_command_list_append(commands);
        if (apdu == NULL) return KF_ERR_MEMORY;
        bool last = plan->finish && first + count == plan->dgi_count;
        KF_TRY(kf_gp_store_data((uint8_t)options, last, (uint8_t)number, kf_buffer_view(&data), apdu));
        number++;
        first += count;
    }
    return KF_OK;
}
