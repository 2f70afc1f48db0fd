/* `keyfill gp install`, `make-selectable`, `extradite`, `update` and `delete`: what is on the card. */
#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/tlv.h>

#include "cli/client.h"
#include "cli/gp.h"
#include "wire/json.h"

#define TAG_APPLICATION_PARAMETERS 0xC9
#define TAG_SYSTEM_PARAMETERS 0xEF

static const kf_view none = {NULL, 0};

kf_code kf_gp_print(const kf_gp_options *options, json_t *answer, const char *text, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *owned = answer;
    if (owned == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (options->cli->json) return kf_cli_print_json(owned, error);
    printf("%s\n", text);
    return KF_OK;
}

kf_code kf_gp_print_aid(const kf_gp_options *options, const char *act, kf_view aid, kf_error *error)
{
    char text[128];
    kf_hex_text shown = kf_hex_show(aid);
    (void)snprintf(text, sizeof text, "%s: %.40s", act, shown.text);
    return kf_gp_print(options, json_pack("{s:s, s:s}", "done", act, "aid", shown.text), text, error);
}

static kf_code read_privileges(const kf_gp_options *options, kf_buffer *privileges, kf_error *error)
{
    KF_TRY(kf_gp_option_bytes(options, KF_GP_PRIVILEGES, privileges, error));
    if (privileges->size == 0 || privileges->size == 1 || privileges->size == 3) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "--privileges: 1 or 3 bytes are wanted, not %zu", privileges->size);
}

/* Table 11-49: C9 is mandatory, even if empty. */
static kf_code build_parameters(kf_gp_session *session, const kf_gp_installation *what, kf_buffer *field,
                                kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer own = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer of_system = KF_BUFFER_INIT;
    if (what->parameters != NULL)
        kf_buffer_append(&own, kf_buffer_view(what->parameters));
    else
        KF_TRY(kf_gp_secret_bytes(session->options, KF_GP_PARAMETERS, "parameters", &own, error));
    KF_TRY(kf_gp_option_bytes(session->options, KF_GP_SYSTEM_PARAMETERS, &of_system, error));
    kf_tlv_append(field, TAG_APPLICATION_PARAMETERS, kf_buffer_view(&own));
    if (of_system.size > 0) kf_tlv_append(field, TAG_SYSTEM_PARAMETERS, kf_buffer_view(&of_system));
    return kf_fail_plain(error, kf_buffer_status(field));
}

kf_code kf_gp_install_applet(kf_gp_session *session, const kf_gp_installation *what, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer privileges = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    if (what->privileges != NULL)
        kf_buffer_append(&privileges, kf_buffer_view(what->privileges));
    else
        KF_TRY(read_privileges(session->options, &privileges, error));
    if (privileges.size == 0) kf_buffer_append_u8(&privileges, 0);
    KF_TRY(build_parameters(session, what, &parameters, error));
    bool only = session->options->values[KF_GP_NOT_SELECTABLE] != NULL;
    const kf_view package = kf_aid_view(&what->package);
    const kf_view instance = kf_aid_view(&what->instance);
    const kf_view receipt_aids[] = {package, instance};
    const kf_gp_managed managed = {
        .label = only ? "INSTALL [for install]" : "INSTALL [for install and make selectable]",
        .form = {.purpose = KF_GP_INSTALL_INSTALL | (only ? 0 : KF_GP_INSTALL_MAKE_SELECTABLE),
                 .fields = {package, kf_aid_view(&what->applet), instance, kf_buffer_view(&privileges),
                            kf_buffer_view(&parameters)},
                 .field_count = 5},
        .receipt_aids = receipt_aids,
        .receipt_aid_count = 2};
    return kf_gp_send_install(session, &managed, error);
}

/* -- install, make-selectable -- */

kf_code kf_gp_run_install(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS |
                                                KF_GP_OPTIONS_PACKAGE | KF_GP_OPTIONS_APPLET |
                                                KF_GP_OPTIONS_AUTHORITY,
                                      .about = "Installs an applet of a package that is on the card."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    kf_gp_installation what = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_PACKAGE, &what.package, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_APPLET, &what.applet, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_INSTANCE, &what.instance, error));
    if (what.package.size == 0 || what.applet.size == 0)
        return kf_fail(error, KF_ERR_USAGE, "--package and --applet are needed; keyfill gp list shows them");
    if (what.instance.size == 0) what.instance = what.applet;
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    KF_TRY(kf_gp_install_applet(&session, &what, error));
    return kf_gp_print_aid(&options, "installed", kf_aid_view(&what.instance), error);
}

kf_code kf_gp_run_make_selectable(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_AUTHORITY | KF_GP_OPTIONS_REGISTRY,
        .arguments = "AID",
        .words_min = 1,
        .words_max = 1,
        .about = "Makes an application selectable that was installed by --not-selectable."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer privileges = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    kf_aid aid;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_aid_of_text(options.words[0], "AID", &aid, error));
    KF_TRY(read_privileges(&options, &privileges, error));
    KF_TRY(kf_gp_secret_bytes(&options, KF_GP_PARAMETERS, "parameters", &parameters, error));
    if (privileges.size == 0) kf_buffer_append_u8(&privileges, 0);
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    const kf_gp_managed managed = {
        .label = "INSTALL [for make selectable]",
        .form = {.purpose = KF_GP_INSTALL_MAKE_SELECTABLE,
                 .fields = {none, none, kf_aid_view(&aid), kf_buffer_view(&privileges),
                            kf_buffer_view(&parameters)},
                 .field_count = 5}};
    KF_TRY(kf_gp_send_install(&session, &managed, error));
    return kf_gp_print_aid(&options, "made selectable", kf_aid_view(&aid), error);
}

/* -- extradite, update -- */

kf_code kf_gp_run_extradite(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_AUTHORITY | KF_GP_OPTIONS_MOVE,
        .arguments = "AID",
        .words_min = 1,
        .words_max = 1,
        .about = "Puts an application or package under another security domain."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    kf_aid aid;
    kf_aid target;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_aid_of_text(options.words[0], "AID", &aid, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_TO, &target, error));
    if (target.size == 0)
        return kf_fail(error, KF_ERR_USAGE, "--to is needed: the AID of the new security domain");
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    const kf_view receipt_aids[] = {kf_gp_present_domain(&session), kf_aid_view(&aid), kf_aid_view(&target)};
    const kf_gp_managed managed = {.label = "INSTALL [for extradition]",
                                   .form = {.purpose = KF_GP_INSTALL_EXTRADITION,
                                            .fields = {kf_aid_view(&target), none, kf_aid_view(&aid)},
                                            .field_count = 5},
                                   .receipt_aids = receipt_aids,
                                   .receipt_aid_count = 3};
    KF_TRY(kf_gp_send_install(&session, &managed, error));
    return kf_gp_print_aid(&options, "extradited", kf_aid_view(&aid), error);
}

kf_code kf_gp_run_update(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_AUTHORITY | KF_GP_OPTIONS_MOVE |
                  KF_GP_OPTIONS_REGISTRY,
        .arguments = "AID",
        .words_min = 1,
        .words_max = 1,
        .about = "Changes an application's privileges, parameters or security domain (registry update)."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer privileges = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    kf_aid aid;
    kf_aid target;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_aid_of_text(options.words[0], "AID", &aid, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_TO, &target, error));
    KF_TRY(read_privileges(&options, &privileges, error));
    KF_TRY(kf_gp_secret_bytes(&options, KF_GP_PARAMETERS, "parameters", &parameters, error));
    if (target.size == 0 && privileges.size == 0 && parameters.size == 0)
        return kf_fail(error, KF_ERR_USAGE,
                       "nothing is to be changed: give --privileges, --parameters or --to");
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    const kf_gp_managed managed = {
        .label = "INSTALL [for registry update]",
        .form = {.purpose = KF_GP_INSTALL_REGISTRY_UPDATE,
                 .fields = {kf_aid_view(&target), none, kf_aid_view(&aid), kf_buffer_view(&privileges),
                            kf_buffer_view(&parameters)},
                 .field_count = 5}};
    KF_TRY(kf_gp_send_install(&session, &managed, error));
    return kf_gp_print_aid(&options, "updated", kf_aid_view(&aid), error);
}

/* -- delete -- */

static kf_code delete_keys(kf_gp_session *session, uint8_t key_version, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    uint8_t present = kf_secure_channel_answer(session->channel)->key_version;
    if (key_version == present)
        return kf_fail(
            error, KF_ERR_KEY_POLICY,
            "key version %02X is the one that opened this channel, and no other has been shown to be "
            "yours: open it with another by --key-version, then delete this one",
            (unsigned)key_version);
    KF_TRY(kf_fail_plain(error, kf_gp_delete_key(key_version, 0, &apdu)));
    const kf_gp_message message = {.label = "DELETE [key]", .command = kf_buffer_view(&apdu)};
    return kf_gp_send_expecting_success(session, &message, NULL, error);
}

/* With the token that the options give; what the card confirms is checked (C.4.7, C.5.3). */
static kf_code delete_content(kf_gp_session *session, const kf_aid *aid, kf_error *error)
{
    const kf_gp_options *options = session->options;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_gp_delete_request request = {.aid = kf_aid_view(aid),
                                    .related = options->values[KF_GP_RELATED] != NULL};
    KF_TRY(kf_fail_plain(error, kf_gp_delete_with(&request, &apdu)));
    KF_TRY(kf_gp_token_for(session, kf_buffer_view(&apdu), &token, error));
    request.token = kf_buffer_view(&token);
    kf_buffer_truncate(&apdu, 0);
    KF_TRY(kf_fail_plain(error, kf_gp_delete_with(&request, &apdu)));
    const kf_gp_message message = {.label = "DELETE", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send_expecting_success(session, &message, &answer, error));
    const kf_view receipt_aids[] = {kf_aid_view(aid)};
    return kf_gp_check_receipt(session, kf_buffer_view(&answer), receipt_aids, 1, error);
}

kf_code kf_gp_run_delete(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_DELETE | KF_GP_OPTIONS_AUTHORITY,
        .arguments = "[AID]",
        .words_max = 1,
        .about = "Deletes an application or package, or by --keys a key version."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    uint8_t key_version = 0;
    kf_aid aid = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_option_byte(&options, KF_GP_DELETED_VERSION, 0, &key_version, error));
    bool keys = options.values[KF_GP_DELETED_VERSION] != NULL;
    if (keys == (options.word_count > 0))
        return kf_fail(error, KF_ERR_USAGE, "give an AID, or --keys and a key version");
    if (keys && key_version == 0)
        return kf_fail(error, KF_ERR_USAGE, "--keys 00: a key version from 01 is wanted");
    if (!keys) KF_TRY(kf_gp_aid_of_text(options.words[0], "AID", &aid, error));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    if (keys) {
        KF_TRY(delete_keys(&session, key_version, error));
        return kf_gp_print_aid(&options, "deleted key version", kf_view_of(&key_version, 1), error);
    }
    KF_TRY(delete_content(&session, &aid, error));
    return kf_gp_print_aid(&options, "deleted", kf_aid_view(&aid), error);
}
