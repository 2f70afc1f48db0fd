#include <string.h>

#include "vault/procedure_plan.h"

static kf_code add_status(kf_gp_scope scope, size_t list, bool next, kf_session *session)
{
    kf_session_command *command = kf_session_append(session, next ? "GET STATUS next" : "GET STATUS", true);
    if (command == NULL) return KF_ERR_MEMORY;
    command->effect = KF_EFFECT_LISTED;
    command->list = list;
    command->list_scope = (uint8_t)scope;
    command->more_ends = true;
    command->also[0] = 0x6A88; /* referenced data not found: nothing of that scope */
    command->also[1] = 0x6A86; /* the card does not know this scope */
    command->also_count = 2;
    return kf_gp_get_status(scope, kf_view_of(NULL, 0), next, &command->apdu);
}

kf_code kf_command_lists(const kf_procedure_state *state, const kf_gp_scope *scopes, size_t count,
                         kf_session *session)
{
    for (size_t i = 0; i < count; i++) {
        KF_TRY(add_status(scopes[i], i, false, session));
        for (unsigned page = 0; page < state->list_pages[i]; page++)
            KF_TRY(add_status(scopes[i], i, true, session));
    }
    return KF_OK;
}

static kf_code load_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    const kf_cap_file *module = build->context->module;
    kf_view package = kf_cap_file_package_aid(module);
    kf_gp_install_load load = {.load_file_aid = package};
    kf_session_command *command = kf_session_append(session, "INSTALL for load", true);
    if (command == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_gp_install_for_load(&load, &command->apdu));
    KF_CLEANUP(kf_command_list_clear) kf_command_list blocks = {0};
    size_t mac_size = kf_secure_channel_mac_size(build->channel);
    size_t block = kf_secure_channel_plain_max(build->context->profile->security_level, mac_size);
    if (kf_gp_load(kf_cap_file_load_data(module), block, &blocks) != KF_OK)
        return kf_fail(error, KF_ERR_CAP_FILE, "module %s has %zu bytes of code, more than 256 blocks of %zu",
                       build->state->request.module, kf_cap_file_load_data(module).size, block);
    for (size_t i = 0; i < blocks.count; i++) {
        command = kf_session_append(session, "LOAD", true);
        if (command == NULL) return KF_ERR_MEMORY;
        kf_buffer_append(&command->apdu, kf_buffer_view(&blocks.items[i]));
        KF_TRY(kf_buffer_status(&command->apdu));
    }
    static const uint8_t no_privileges[1] = {0x00};
    for (size_t i = 0; i < kf_cap_file_applet_count(module); i++) {
        kf_view applet = kf_cap_file_applet_aid(module, i);
        kf_gp_install install = {
            .load_file_aid = package,
            .module_aid = applet,
            .application_aid = applet,
            .privileges = KF_VIEW(no_privileges),
        };
        command = kf_session_append(session, "INSTALL for install and make selectable", true);
        if (command == NULL) return KF_ERR_MEMORY;
        KF_TRY(kf_gp_install_for_install(&install, &command->apdu));
    }
    return KF_OK;
}

static kf_code unload_session(const kf_session_build *build, kf_session *session)
{
    kf_session_command *command = kf_session_append(session, "DELETE module", true);
    if (command == NULL) return KF_ERR_MEMORY;
    return kf_gp_delete(kf_cap_file_package_aid(build->context->module), true, &command->apdu);
}

static const kf_gp_scope listed[KF_LISTS_MAX] = {KF_GP_ISSUER_SECURITY_DOMAIN, KF_GP_LOAD_FILES_AND_MODULES,
                                                 KF_GP_APPLICATIONS};

kf_code kf_application_session(const kf_session_build *build, kf_session *session, kf_error *error)
{
    switch (build->step.kind) {
    case KF_SESSION_LOAD: return load_session(build, session, error);
    case KF_SESSION_UNLOAD: return unload_session(build, session);
    case KF_SESSION_LIST:
        return kf_command_lists(build->state, listed, sizeof listed / sizeof listed[0], session);
    case KF_SESSION_CREATE:
    case KF_SESSION_KEY:
    case KF_SESSION_APPLY:
    case KF_SESSION_PROOF:
    case KF_SESSION_DELETE:
    case KF_SESSION_ABSENCE:
    case KF_SESSION_RESTORE:
    case KF_SESSION_PROBE:
    default:
        return kf_fail(error, KF_ERR_INTERNAL, "application management has no session of kind %d",
                       (int)build->step.kind);
    }
}
