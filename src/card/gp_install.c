/* INSTALL and LOAD (Card Specification 11.5, 11.6). */
#include <keyfill/globalplatform.h>

#include "card/gp_command.h"
#include "card/gp_length.h"

#include <keyfill/tlv.h>

#define INS_INSTALL 0xE6
#define INS_LOAD 0xE8

#define TAG_AID 0x4F
#define TAG_SIGNATURE 0xC3
#define TAG_LOAD_FILE_DATA_BLOCK 0xC4
#define TAG_APPLICATION_PARAMETERS 0xC9
#define TAG_INITIAL_VECTOR 0xD3
#define TAG_CIPHERED_LOAD_FILE_DATA_BLOCK 0xD4
#define TAG_DAP_BLOCK 0xE2
#define TAG_SYSTEM_PARAMETERS 0xEF

#define LOAD_BLOCKS_MAX 256

static const kf_view none = {NULL, 0};

static kf_code build(const kf_gp_install_form *form, kf_buffer *data)
{
    if (form->purpose == 0 || (form->purpose & 0x80u) != 0) return KF_ERR_ARGUMENT;
    if (form->field_count < 4 || form->field_count > KF_GP_INSTALL_FIELDS_MAX) return KF_ERR_ARGUMENT;
    for (size_t i = 0; i < form->field_count; i++)
        KF_TRY(kf_gp_field_append(data, form->fields[i]));
    return kf_gp_field_append(data, form->token);
}

kf_code kf_gp_install_command(const kf_gp_install_form *form, bool extended, kf_buffer *apdu)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    KF_TRY(build(form, &data));
    uint16_t p1_p2 = (uint16_t)(((unsigned)form->purpose << 8) | (unsigned)form->process);
    if (!extended) return kf_gp_append_built(INS_INSTALL, p1_p2, &data, apdu);
    if (data.size > KF_COMMAND_EXTENDED_MAX) return KF_ERR_TOO_LONG;
    kf_command command = {KF_GP_CLASS,
                          INS_INSTALL,
                          form->purpose,
                          (uint8_t)form->process,
                          kf_buffer_view(&data),
                          true,
                          KF_COMMAND_EXTENDED_LE_MAX,
                          true};
    return kf_command_encode(&command, apdu);
}

kf_code kf_gp_install_commands(const kf_gp_install_form *form, size_t data_max, kf_command_list *commands)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    KF_TRY(build(form, &data));
    const kf_gp_chain chain = {INS_INSTALL, form->purpose, (uint8_t)form->process, kf_buffer_view(&data),
                               data_max};
    return kf_gp_append_chain(&chain, commands);
}

kf_code kf_gp_install_for_load(const kf_gp_install_load *install, kf_buffer *apdu)
{
    if (!kf_gp_is_aid(install->load_file_aid) || !kf_gp_is_aid_or_empty(install->security_domain_aid))
        return KF_ERR_ARGUMENT;
    const kf_gp_install_form form = {
        KF_GP_INSTALL_LOAD,
        KF_GP_PROCESS_NONE,
        {install->load_file_aid, install->security_domain_aid, install->hash, install->parameters},
        4,
        install->token};
    return kf_gp_install_command(&form, false, apdu);
}

kf_code kf_gp_install_for_install(const kf_gp_install *install, kf_buffer *apdu)
{
    if (!kf_gp_is_aid_or_empty(install->load_file_aid) || !kf_gp_is_aid(install->module_aid) ||
        !kf_gp_is_aid(install->application_aid))
        return KF_ERR_ARGUMENT;
    if (install->privileges.size != 1 && install->privileges.size != 3) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    /* Table 11-49: C9 is mandatory, even if empty. */
    kf_tlv_append(&parameters, TAG_APPLICATION_PARAMETERS, install->parameters);
    if (install->system_parameters.size > 0)
        kf_tlv_append(&parameters, TAG_SYSTEM_PARAMETERS, install->system_parameters);
    KF_TRY(kf_buffer_status(&parameters));
    unsigned purpose = KF_GP_INSTALL_INSTALL | (install->install_only ? 0u : KF_GP_INSTALL_MAKE_SELECTABLE);
    const kf_gp_install_form form = {(uint8_t)purpose,
                                     KF_GP_PROCESS_NONE,
                                     {install->load_file_aid, install->module_aid, install->application_aid,
                                      install->privileges, kf_buffer_view(&parameters)},
                                     5,
                                     install->token};
    return kf_gp_install_command(&form, false, apdu);
}

/* The forms that name an application and perhaps a domain. */
static kf_code append_form(uint8_t purpose, kf_view security_domain, kf_view application, kf_view privileges,
                           kf_buffer *apdu)
{
    const kf_gp_install_form form = {
        purpose, KF_GP_PROCESS_NONE, {security_domain, none, application, privileges, none}, 5, none};
    return kf_gp_install_command(&form, false, apdu);
}

kf_code kf_gp_install_for_make_selectable(kf_view application_aid, kf_view privileges, kf_buffer *apdu)
{
    if (!kf_gp_is_aid(application_aid) || (privileges.size != 1 && privileges.size != 3))
        return KF_ERR_ARGUMENT;
    return append_form(KF_GP_INSTALL_MAKE_SELECTABLE, none, application_aid, privileges, apdu);
}

kf_code kf_gp_install_for_personalization(kf_view application_aid, kf_buffer *apdu)
{
    if (!kf_gp_is_aid(application_aid)) return KF_ERR_ARGUMENT;
    return append_form(KF_GP_INSTALL_PERSONALIZATION, none, application_aid, none, apdu);
}

kf_code kf_gp_install_for_extradition(kf_view security_domain_aid, kf_view application_aid, kf_buffer *apdu)
{
    const kf_gp_extradition extradition = {.security_domain_aid = security_domain_aid,
                                           .application_aid = application_aid};
    return kf_gp_install_for_extradition_with(&extradition, apdu);
}

kf_code kf_gp_install_for_extradition_with(const kf_gp_extradition *extradition, kf_buffer *apdu)
{
    if (!kf_gp_is_aid(extradition->security_domain_aid) || !kf_gp_is_aid(extradition->application_aid))
        return KF_ERR_ARGUMENT;
    const kf_gp_install_form form = {
        KF_GP_INSTALL_EXTRADITION,
        KF_GP_PROCESS_NONE,
        {extradition->security_domain_aid, none, extradition->application_aid, none, extradition->parameters},
        5,
        extradition->token};
    return kf_gp_install_command(&form, false, apdu);
}

kf_code kf_gp_install_for_registry_update(const kf_gp_registry_update *update, kf_buffer *apdu)
{
    size_t privileges = update->privileges.size;
    if (!kf_gp_is_aid_or_empty(update->security_domain_aid) ||
        !kf_gp_is_aid_or_empty(update->application_aid) ||
        (privileges != 0 && privileges != 1 && privileges != 3))
        return KF_ERR_ARGUMENT;
    const kf_gp_install_form form = {
        KF_GP_INSTALL_REGISTRY_UPDATE,
        KF_GP_PROCESS_NONE,
        {update->security_domain_aid, none, update->application_aid, update->privileges, update->parameters},
        5,
        update->token};
    return kf_gp_install_command(&form, false, apdu);
}

/* Table 11-58: DAP blocks, then the load file data, in clear or ciphered behind its ICV. */
static kf_code build_load_file(const kf_gp_load_plan *plan, kf_buffer *file)
{
    for (size_t i = 0; i < plan->dap_count; i++) {
        if (!kf_gp_is_aid(plan->daps[i].security_domain_aid) || plan->daps[i].signature.size == 0)
            return KF_ERR_ARGUMENT;
        size_t mark = kf_tlv_begin(file, TAG_DAP_BLOCK);
        kf_tlv_append(file, TAG_AID, plan->daps[i].security_domain_aid);
        kf_tlv_append(file, TAG_SIGNATURE, plan->daps[i].signature);
        kf_tlv_end(file, mark);
    }
    if (plan->ciphered && plan->ciphered_vector.size > 0)
        kf_tlv_append(file, TAG_INITIAL_VECTOR, plan->ciphered_vector);
    kf_tlv_append(file, plan->ciphered ? TAG_CIPHERED_LOAD_FILE_DATA_BLOCK : TAG_LOAD_FILE_DATA_BLOCK,
                  plan->load_file_data);
    return kf_buffer_status(file);
}

static kf_code append_load_block(const kf_gp_load_plan *plan, kf_view block, size_t number, bool last,
                                 kf_command_list *commands)
{
    kf_buffer *apdu = kf_command_list_append(commands);
    if (apdu == NULL) return KF_ERR_MEMORY;
    if (!plan->extended) return kf_gp_load_block(block, (uint8_t)number, last, apdu);
    kf_command command = {KF_GP_CLASS, INS_LOAD, last ? 0x80 : 0x00,         (uint8_t)number,
                          block,       true,     KF_COMMAND_EXTENDED_LE_MAX, true};
    return kf_command_encode(&command, apdu);
}

kf_code kf_gp_load_commands(const kf_gp_load_plan *plan, kf_command_list *ret_commands)
{
    size_t block_max = plan->extended ? KF_COMMAND_EXTENDED_MAX : (size_t)KF_COMMAND_DATA_MAX;
    if (plan->block_size == 0 || plan->block_size > block_max || plan->load_file_data.size == 0)
        return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer file = KF_BUFFER_INIT;
    KF_TRY(build_load_file(plan, &file));
    size_t count = (file.size + plan->block_size - 1) / plan->block_size;
    if (count > LOAD_BLOCKS_MAX) return KF_ERR_TOO_LONG;
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    for (size_t i = 0; i < count; i++) {
        kf_view block = kf_view_part(kf_buffer_view(&file), i * plan->block_size, plan->block_size);
        KF_TRY(append_load_block(plan, block, i, i == count - 1, &commands));
    }
    *ret_commands = commands;
    commands = (kf_command_list){0};
    return KF_OK;
}
