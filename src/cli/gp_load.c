/* `keyfill gp load` and `cap`: CAP files. */
#include <stdio.h>
#include <string.h>

#include <keyfill/cap_file.h>
#include <keyfill/delegated_management.h>
#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/client.h"
#include "cli/gp.h"
#include "wire/json.h"

#define BLOCKS_MAX 256          /* LOAD commands */
#define HEADERS_MAX ((size_t)8) /* bytes of C4 and its length, and more */

static kf_code read_cap_file(const char *path, kf_cap_file **ret_cap_file, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer archive = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(path, KF_CAP_FILE_MAX, &archive, error));
    kf_code code = kf_cap_file_parse(kf_buffer_view(&archive), ret_cap_file, error);
    return code == KF_OK ? KF_OK : kf_error_prefix(error, "%.200s", path);
}

/* Which applet of the file; decided before the card is touched. */
static kf_code choose_applet(const kf_gp_options *options, const kf_cap_file *cap_file,
                             kf_gp_installation *ret_installation, kf_error *error)
{
    kf_gp_installation chosen = {0};
    KF_TRY(kf_fail_plain(error, kf_aid_from_view(kf_cap_file_package_aid(cap_file), &chosen.package)));
    KF_TRY(kf_gp_option_aid(options, KF_GP_APPLET, &chosen.applet, error));
    size_t count = kf_cap_file_applet_count(cap_file);
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found = found || kf_view_equal(kf_cap_file_applet_aid(cap_file, i), kf_aid_view(&chosen.applet));
    if (chosen.applet.size == 0 && count == 1) {
        KF_TRY(kf_fail_plain(error, kf_aid_from_view(kf_cap_file_applet_aid(cap_file, 0), &chosen.applet)));
    } else if (!found) {
        return kf_fail(error, KF_ERR_USAGE,
                       count == 0
                           ? "the file has no applet: it is a library; load it without --install"
                           : "the file has %zu applets: --applet must name one of them; keyfill gp cap "
                             "shows them",
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

/* What the options say of a DAP block; `ret_dap->signature.size` is 0 where they say nothing. */
static kf_code make_dap(const kf_gp_session *session, kf_view hash, kf_aid *domain, kf_buffer *signature,
                        kf_error *error)
{
    const kf_gp_options *options = session->options;
    bool made = options->values[KF_GP_DAP_KEY_FILE] != NULL;
    bool given = options->values[KF_GP_DAP_SIGNATURE] != NULL;
    KF_TRY(kf_gp_option_aid(options, KF_GP_DAP_DOMAIN, domain, error));
    if (!made && !given && domain->size == 0) return KF_OK;
    if (made == given || domain->size == 0 || hash.size == 0)
        return kf_fail(
            error, KF_ERR_USAGE,
            "a signed load file needs --dap-domain, --hash, and --dap-key-file or --dap-signature");
    if (given) return kf_gp_option_bytes(options, KF_GP_DAP_SIGNATURE, signature, error);
    KF_CLEANUP(kf_gp_signer_clear) kf_gp_signer signer = {0};
    KF_TRY(kf_gp_signer_read(options, KF_GP_DAP_KEY_FILE, &signer, error));
    return kf_gp_sign(session, &signer, hash, signature, error);
}

/* Short commands as long as they are enough: extended ones where the load file needs them, or --block-size
 * asks for them. */
static kf_code choose_block_size(const kf_gp_session *session, size_t total, kf_gp_load_plan *plan,
                                 kf_error *error)
{
    size_t short_max = kf_gp_session_data_max(session);
    size_t extended_max = kf_gp_session_extended_max(session);
    size_t most = extended_max > short_max ? extended_max : short_max;
    unsigned long block_size = short_max;
    size_t needed = (total + BLOCKS_MAX - 1) / BLOCKS_MAX;
    if (needed > short_max) block_size = needed;
    KF_TRY(kf_gp_option_number(session->options, KF_GP_BLOCK_SIZE, most, &block_size, error));
    if (needed > block_size || block_size > most)
        return kf_fail(error, KF_ERR_TOO_LONG, "%zu bytes do not fit %d blocks of %lu bytes; %s", total,
                       BLOCKS_MAX, block_size > most ? (unsigned long)most : block_size,
                       needed <= most ? "a larger --block-size is needed"
                                      : "the card takes no larger ones in this channel");
    plan->block_size = block_size;
    plan->extended = block_size > short_max;
    return KF_OK;
}

static kf_code send_blocks(kf_gp_session *session, const kf_gp_load_plan *plan, kf_view package,
                           kf_error *error)
{
    KF_CLEANUP(kf_command_list_clear) kf_command_list blocks = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_gp_load_commands(plan, &blocks)));
    for (size_t i = 0; i < blocks.count; i++) {
        char label[64];
        (void)snprintf(label, sizeof label, "LOAD block %zu of %zu", i + 1, blocks.count);
        kf_buffer_truncate(&answer, 0);
        const kf_gp_message message = {.label = label, .command = kf_buffer_view(&blocks.items[i])};
        KF_TRY(kf_gp_send_expecting_success(session, &message, &answer, error));
    }
    const kf_view receipt_aids[] = {package, kf_gp_present_domain(session)};
    return kf_gp_check_receipt(session, kf_buffer_view(&answer), receipt_aids, 2, error);
}

static kf_code load_package(kf_gp_session *session, const kf_cap_file *cap_file, kf_view hash,
                            kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer signature = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    kf_aid dap_domain = {0};
    kf_view load_data = kf_cap_file_load_data(cap_file);
    kf_view package = kf_cap_file_package_aid(cap_file);
    KF_TRY(kf_gp_option_bytes(session->options, KF_GP_LOAD_PARAMETERS, &parameters, error));
    KF_TRY(make_dap(session, hash, &dap_domain, &signature, error));
    const kf_gp_dap dap = {kf_aid_view(&dap_domain), kf_buffer_view(&signature)};
    kf_gp_load_plan plan = {.daps = &dap, .dap_count = signature.size > 0, .load_file_data = load_data};
    KF_TRY(choose_block_size(session,
                             load_data.size + HEADERS_MAX + (signature.size > 0 ? signature.size + 32 : 0),
                             &plan, error));
    const kf_gp_managed managed = {.label = "INSTALL [for load]",
                                   .form = {.purpose = KF_GP_INSTALL_LOAD,
                                            .fields = {package, kf_aid_view(&session->security_domain), hash,
                                                       kf_buffer_view(&parameters)},
                                            .field_count = 4}};
    KF_TRY(kf_gp_send_install(session, &managed, error));
    return send_blocks(session, &plan, package, error);
}

kf_code kf_gp_run_load(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_LOAD |
                                                KF_GP_OPTIONS_APPLET | KF_GP_OPTIONS_AUTHORITY,
                                      .arguments = "FILE.cap",
                                      .words_min = 1,
                                      .words_max = 1,
                                      .about = "Loads a CAP file (a zip archive, or the components alone)."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap_file = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer hash = KF_BUFFER_INIT;
    kf_gp_installation what = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(read_cap_file(options.words[0], &cap_file, error));
    bool install = options.values[KF_GP_INSTALL] != NULL;
    KF_TRY(hash_of(&options, kf_cap_file_load_data(cap_file), &hash, error));
    if (install) KF_TRY(choose_applet(&options, cap_file, &what, error));
    if (install && options.values[KF_GP_TOKEN] != NULL)
        return kf_fail(
            error, KF_ERR_USAGE,
            "--token is for one command; --install needs two: load and install one after the other, "
            "or give --token-key-file");
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    KF_TRY(load_package(&session, cap_file, kf_buffer_view(&hash), error));
    if (install) {
        if (kf_gp_install_applet(&session, &what, error) != KF_OK)
            return kf_error_prefix(error, "the package is loaded, its applet is not installed");
        return kf_gp_print_aid(&options, "loaded and installed", kf_aid_view(&what.instance), error);
    }
    return kf_gp_print_aid(&options, "loaded", kf_cap_file_package_aid(cap_file), error);
}

/* -- cap -- */

static kf_code add_rows(const kf_cap_file *cap_file, json_t *report)
{
    json_t *applets = json_array();
    json_t *imports = json_array();
    kf_code code = kf_json_set(report, "applets", applets);
    KF_TRY(kf_json_set(report, "imports", imports));
    KF_TRY(code);
    for (size_t i = 0; i < kf_cap_file_applet_count(cap_file); i++) {
        kf_hex_text shown = kf_hex_show(kf_cap_file_applet_aid(cap_file, i));
        KF_TRY(kf_json_append(applets, json_string(shown.text)));
    }
    for (size_t i = 0; i < kf_cap_file_import_count(cap_file); i++) {
        const kf_cap_import *import = kf_cap_file_import(cap_file, i);
        json_t *row = json_object();
        char version[16];
        (void)snprintf(version, sizeof version, "%u.%u", (unsigned)import->major, (unsigned)import->minor);
        KF_TRY(kf_json_append(imports, row));
        KF_TRY(kf_json_set_hex(row, "package", kf_aid_view(&import->package_aid)));
        KF_TRY(kf_json_set_text(row, "version", version));
    }
    return KF_OK;
}

static kf_code describe(const kf_cap_file *cap_file, json_t *report)
{
    char version[16];
    char format[16];
    kf_cap_sizes sizes = kf_cap_file_sizes(cap_file);
    (void)snprintf(version, sizeof version, "%u.%u", (unsigned)kf_cap_file_package_major(cap_file),
                   (unsigned)kf_cap_file_package_minor(cap_file));
    (void)snprintf(format, sizeof format, "%u.%u", (unsigned)kf_cap_file_format_version(cap_file) >> 8,
                   (unsigned)kf_cap_file_format_version(cap_file) & 0xFFu);
    KF_TRY(kf_json_set_hex(report, "package", kf_cap_file_package_aid(cap_file)));
    KF_TRY(kf_json_set_text(report, "version", version));
    KF_TRY(kf_json_set_text(report, "format", format));
    KF_TRY(kf_json_set_integer(report, "load_bytes", (int64_t)sizes.load_data));
    KF_TRY(kf_json_set_integer(report, "code_bytes", (int64_t)sizes.code));
    KF_TRY(kf_json_set_integer(report, "on_card_bytes", (int64_t)sizes.on_card));
    static const struct {
        const char *member;
        kf_hash_algorithm algorithm;
    } hashes[] = {{"sha1", KF_HASH_SHA1}, {"sha256", KF_HASH_SHA256}};
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer hash = KF_BUFFER_INIT;
        KF_TRY(kf_gp_load_file_hash(hashes[i].algorithm, kf_cap_file_load_data(cap_file), &hash));
        KF_TRY(kf_json_set_hex(report, hashes[i].member, kf_buffer_view(&hash)));
    }
    return add_rows(cap_file, report);
}

static void print_description(const json_t *report)
{
    size_t index;
    const json_t *item;
    printf("package %s, version %s, format %s\n", kf_cli_text(report, "package"),
           kf_cli_text(report, "version"), kf_cli_text(report, "format"));
    printf("%" JSON_INTEGER_FORMAT " bytes to load, %" JSON_INTEGER_FORMAT
           " of them code; about %" JSON_INTEGER_FORMAT " stay on the card\n",
           json_integer_value(json_object_get(report, "load_bytes")),
           json_integer_value(json_object_get(report, "code_bytes")),
           json_integer_value(json_object_get(report, "on_card_bytes")));
    printf("load file hash: SHA-1 %s, SHA-256 %s\n", kf_cli_text(report, "sha1"),
           kf_cli_text(report, "sha256"));
    json_array_foreach(json_object_get(report, "applets"), index, item)
        printf("applet  %s\n", json_string_value(item));
    json_array_foreach(json_object_get(report, "imports"), index, item)
        printf("imports %s %s\n", kf_cli_text(item, "package"), kf_cli_text(item, "version"));
}

kf_code kf_gp_run_cap(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.arguments = "FILE.cap",
                                      .words_min = 1,
                                      .words_max = 1,
                                      .about = "Shows what a CAP file holds and needs. No card is asked."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap_file = NULL;
    KF_CLEANUP(kf_json_free) json_t *report = json_object();
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(read_cap_file(options.words[0], &cap_file, error));
    KF_TRY(kf_fail_plain(error, describe(cap_file, report)));
    if (cli->json) return kf_cli_print_json(report, error);
    print_description(report);
    return KF_OK;
}
