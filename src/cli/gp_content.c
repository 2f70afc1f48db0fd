/* `keyfill gp load`, `install`, `delete`, `lock` and `unlock`: what is on the card. */
#include <stdio.h>
#include <string.h>

#include <keyfill/cap_file.h>
#include <keyfill/delegated_management.h>
#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/client.h"
#include "cli/gp.h"
#include "wire/json.h"

#define CARD_LOCKED 0x7Fu  /* table 11-6 */
#define CARD_SECURED 0x0Fu /* what unlocking a card gives back (§5.1.1.4) */

kf_code kf_gp_print(const kf_gp_options *options, json_t *answer, const char *text, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *owned = answer;
    if (owned == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (options->cli->json) return kf_cli_print_json(owned, error);
    printf("%s\n", text);
    return KF_OK;
}

static kf_code print_aid(const kf_gp_options *options, const char *act, kf_view aid, kf_error *error)
{
    char text[128];
    kf_hex_text shown = kf_hex_show(aid);
    (void)snprintf(text, sizeof text, "%s: %.40s", act, shown.text);
    return kf_gp_print(options, json_pack("{s:s, s:s}", "done", act, "aid", shown.text), text, error);
}

typedef struct installation {
    kf_aid package;
    kf_aid applet;
    kf_aid instance;
} installation;

/* Parameters may hold codes and keys: the trace shows their length. */
static kf_code install_applet(kf_gp_session *session, const installation *what, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer privileges = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(kf_gp_option_bytes(session->options, KF_GP_PRIVILEGES, &privileges, error));
    KF_TRY(kf_gp_option_bytes(session->options, KF_GP_PARAMETERS, &parameters, error));
    if (privileges.size == 0) kf_buffer_append_u8(&privileges, 0);
    if (privileges.size != 1 && privileges.size != 3)
        return kf_fail(error, KF_ERR_USAGE, "--privileges: 1 or 3 bytes are wanted, not %zu",
                       privileges.size);
    const kf_gp_install install = {.load_file_aid = kf_aid_view(&what->package),
                                   .module_aid = kf_aid_view(&what->applet),
                                   .application_aid = kf_aid_view(&what->instance),
                                   .privileges = kf_buffer_view(&privileges),
                                   .parameters = kf_buffer_view(&parameters)};
    kf_code code = kf_gp_install_for_install(&install, &apdu);
    if (code != KF_OK)
        return kf_fail(error, code, "INSTALL cannot be built: %zu bytes of parameters do not fit",
                       parameters.size);
    char instead[128];
    (void)snprintf(instead, sizeof instead, "%.32s with parameters *** (%zu bytes)",
                   kf_hex_show(kf_aid_view(&what->instance)).text, parameters.size);
    const kf_gp_message message = {.label = "INSTALL [for install and make selectable]",
                                   .command = kf_buffer_view(&apdu),
                                   .instead = parameters.size > 0 ? instead : NULL};
    return kf_gp_send_expecting_success(session, &message, NULL, error);
}

/* -- load -- */

static kf_code read_cap_file(const char *path, kf_cap_file **ret_cap_file, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer archive = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(path, KF_CAP_FILE_MAX, &archive, error));
    kf_code code = kf_cap_file_parse(kf_buffer_view(&archive), ret_cap_file, error);
    return code == KF_OK ? KF_OK : kf_error_prefix(error, "%.200s", path);
}

/* Which applet of the file; decided before the card is touched. */
static kf_code choose_applet(const kf_gp_options *options, const kf_cap_file *cap_file,
                             installation *ret_installation, kf_error *error)
{
    installation chosen = {0};
    KF_TRY(kf_fail_plain(error, kf_aid_from_view(kf_cap_file_package_aid(cap_file), &chosen.package)));
    KF_TRY(kf_gp_option_aid(options, KF_GP_APPLET, &chosen.applet, error));
    size_t count = kf_cap_file_applet_count(cap_file);
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found = found || kf_view_equal(kf_cap_file_applet_aid(cap_file, i), kf_aid_view(&chosen.applet));
    if (chosen.applet.size == 0 && count == 1) {
        KF_TRY(kf_fail_plain(error, kf_aid_from_view(kf_cap_file_applet_aid(cap_file, 0), &chosen.applet)));
    } else if (!found) {
        return kf_fail(error, KF_ERR_USAGE, "the file has %zu applets: --applet must name one of them",
                       count);
    }
    KF_TRY(kf_gp_option_aid(options, KF_GP_INSTANCE, &chosen.instance, error));
    if (chosen.instance.size == 0) chosen.instance = chosen.applet;
    *ret_installation = chosen;
    return KF_OK;
}

static kf_code hash_of(const kf_gp_options *options, kf_view load_data, kf_buffer *hash, kf_error *error)
{
    static const struct {
        const char *name;
        kf_hash_algorithm algorithm;
    } names[] = {{"sha1", KF_HASH_SHA1},
                 {"sha256", KF_HASH_SHA256},
                 {"sha384", KF_HASH_SHA384},
                 {"sha512", KF_HASH_SHA512}};
    const char *wanted = options->values[KF_GP_HASH];
    if (wanted == NULL) return KF_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, wanted) == 0)
            return kf_fail_plain(error, kf_gp_load_file_hash(names[i].algorithm, load_data, hash));
    return kf_fail(error, KF_ERR_USAGE, "--hash %.20s: sha1, sha256, sha384 or sha512", wanted);
}

static kf_code load_package(kf_gp_session *session, const kf_cap_file *cap_file, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer hash = KF_BUFFER_INIT;
    KF_CLEANUP(kf_command_list_clear) kf_command_list blocks = {0};
    kf_view load_data = kf_cap_file_load_data(cap_file);
    unsigned long block_size = kf_gp_session_data_max(session);
    KF_TRY(kf_gp_option_number(session->options, KF_GP_BLOCK_SIZE, block_size, &block_size, error));
    KF_TRY(hash_of(session->options, load_data, &hash, error));
    const kf_gp_install_load install = {.load_file_aid = kf_cap_file_package_aid(cap_file),
                                        .security_domain_aid = kf_aid_view(&session->security_domain),
                                        .hash = kf_buffer_view(&hash)};
    KF_TRY(kf_fail_plain(error, kf_gp_install_for_load(&install, &apdu)));
    kf_code code = kf_gp_load(load_data, block_size, &blocks);
    if (code == KF_ERR_TOO_LONG)
        return kf_fail(error, code,
                       "%zu bytes do not fit 256 blocks of %lu bytes; a larger --block-size may help",
                       load_data.size, block_size);
    KF_TRY(kf_fail_plain(error, code));
    const kf_gp_message message = {.label = "INSTALL [for load]", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send_expecting_success(session, &message, NULL, error));
    return kf_gp_send_all(session, "LOAD block", &blocks, error);
}

kf_code kf_gp_run_load(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_LOAD |
                                                KF_GP_OPTIONS_APPLET,
                                      .arguments = "FILE.cap",
                                      .words_min = 1,
                                      .words_max = 1,
                                      .about = "Loads a CAP file."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap_file = NULL;
    installation what = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(read_cap_file(options.words[0], &cap_file, error));
    bool install = options.values[KF_GP_INSTALL] != NULL;
    if (install) KF_TRY(choose_applet(&options, cap_file, &what, error));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    KF_TRY(load_package(&session, cap_file, error));
    if (install) {
        if (install_applet(&session, &what, error) != KF_OK)
            return kf_error_prefix(error, "the package is loaded, its applet is not installed");
        return print_aid(&options, "loaded and installed", kf_aid_view(&what.instance), error);
    }
    return print_aid(&options, "loaded", kf_cap_file_package_aid(cap_file), error);
}

/* -- install -- */

kf_code kf_gp_run_install(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS |
                                                KF_GP_OPTIONS_PACKAGE | KF_GP_OPTIONS_APPLET,
                                      .about = "Installs an applet of a package that is on the card."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    installation what = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_PACKAGE, &what.package, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_APPLET, &what.applet, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_INSTANCE, &what.instance, error));
    if (what.package.size == 0 || what.applet.size == 0)
        return kf_fail(error, KF_ERR_USAGE, "--package and --applet are needed; keyfill gp list shows them");
    if (what.instance.size == 0) what.instance = what.applet;
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    KF_TRY(install_applet(&session, &what, error));
    return print_aid(&options, "installed", kf_aid_view(&what.instance), error);
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

kf_code kf_gp_run_delete(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_DELETE,
        .arguments = "[AID]",
        .words_max = 1,
        .about = "Deletes an application or package, or by --keys a key version."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
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
        return print_aid(&options, "deleted key version", kf_view_of(&key_version, 1), error);
    }
    KF_TRY(
        kf_fail_plain(error, kf_gp_delete(kf_aid_view(&aid), options.values[KF_GP_RELATED] != NULL, &apdu)));
    const kf_gp_message message = {.label = "DELETE", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send_expecting_success(&session, &message, NULL, error));
    return print_aid(&options, "deleted", kf_aid_view(&aid), error);
}

/* -- lock, unlock -- */

static kf_code build_set_status(const kf_gp_options *options, bool locked, const kf_aid *aid, kf_buffer *apdu)
{
    const kf_view none = {NULL, 0};
    if (options->values[KF_GP_CARD] != NULL)
        return kf_gp_set_status(KF_GP_ISSUER_SECURITY_DOMAIN, locked ? CARD_LOCKED : CARD_SECURED, none,
                                apdu);
    if (options->values[KF_GP_WITH_APPLICATIONS] != NULL)
        return kf_gp_set_status_with_applications(kf_aid_view(aid), locked, apdu);
    return kf_gp_set_locked(kf_aid_view(aid), locked, apdu);
}

static kf_code set_locked(kf_cli *cli, int argc, char **argv, bool locked, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_LOCK,
        .arguments = "[AID]",
        .words_max = 1,
        .about = "Locks or unlocks an application or security domain, or by --card the card."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_aid aid = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    bool card = options.values[KF_GP_CARD] != NULL;
    if (card == (options.word_count > 0)) return kf_fail(error, KF_ERR_USAGE, "give an AID, or --card");
    if (!card) KF_TRY(kf_gp_aid_of_text(options.words[0], "AID", &aid, error));
    KF_TRY(kf_fail_plain(error, build_set_status(&options, locked, &aid, &apdu)));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    const kf_gp_message message = {.label = "SET STATUS", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send_expecting_success(&session, &message, NULL, error));
    if (card)
        return kf_gp_print(&options, json_pack("{s:s}", "done", locked ? "card locked" : "card unlocked"),
                           locked ? "card locked" : "card unlocked", error);
    return print_aid(&options, locked ? "locked" : "unlocked", kf_aid_view(&aid), error);
}

kf_code kf_gp_run_lock(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    return set_locked(cli, argc, argv, true, error);
}

kf_code kf_gp_run_unlock(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    return set_locked(cli, argc, argv, false, error);
}
