#include <string.h>

#include <keyfill/cap_file.h>
#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/named_thing.h"
#include "cli/permit.h"
#include "cli/words.h"
#include "wire/json.h"

static kf_code put(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Registers the CAP file FILE as module NAME, in the place of one of the "
                                   "same name.",
                          .names = {"NAME", "FILE"}};
    KF_CLEANUP(kf_buffer_clear) kf_buffer archive = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer encoded = KF_BUFFER_INIT;
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap_file = NULL;
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    KF_TRY(kf_file_read(words.words[1], KF_CAP_FILE_MAX, &archive, error));
    if (kf_cap_file_parse(kf_buffer_view(&archive), &cap_file, error) != KF_OK)
        return kf_error_prefix(error, "%s", words.words[1]);
    kf_buffer_append_base64url(&encoded, kf_buffer_view(&archive));
    const char *content = kf_buffer_text(&encoded);
    if (content == NULL || kf_json_set_text(body, "content", content) != KF_OK)
        return kf_fail_plain(error, KF_ERR_MEMORY);
    const kf_cli_named_thing module = {
        .method = "PUT", .kind = "modules", .name = words.words[0], .body = body};
    return kf_cli_named_thing_call(cli, &module, "is registered", error);
}

static kf_code propose_permit(kf_cli *cli, const kf_cli_permit_usage *usage, int argc, char **argv,
                              kf_error *error)
{
    kf_cli_permit wanted;
    KF_CLEANUP(kf_buffer_clear) kf_buffer archive = KF_BUFFER_INIT;
    KF_TRY(kf_cli_permit_parse(cli, usage, argc, argv, &wanted, error));
    KF_TRY(kf_file_read(wanted.file, KF_CAP_FILE_MAX, &archive, error));
    if (strlen(wanted.name) >= sizeof wanted.permit.name)
        return kf_fail(error, KF_ERR_USAGE, "the name %.80s is longer than %zu bytes", wanted.name,
                       sizeof wanted.permit.name - 1);
    memcpy(wanted.permit.name, wanted.name, strlen(wanted.name) + 1);
    KF_TRY(kf_fail_plain(error, kf_sha256(kf_buffer_view(&archive), wanted.permit.digest)));
    return kf_cli_permit_propose(cli, &wanted, error);
}

static kf_code permit(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_permit_usage usage = {
        KF_PERMIT_MODULE, true, "NAME FILE",
        "Proposes to officers that the vault loads the CAP file FILE, registered as module NAME."};
    return propose_permit(cli, &usage, argc, argv, error);
}

static kf_code forbid(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_permit_usage usage = {KF_PERMIT_MODULE, false, "NAME FILE",
                                              "Proposes to officers that the vault no longer loads FILE."};
    return propose_permit(cli, &usage, argc, argv, error);
}

static kf_code list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Lists the modules that are registered at the key management unit."};
    static const char *const columns[] = {"name", "package", "version", "digest", NULL};
    KF_CLEANUP(kf_json_free) json_t *modules = NULL;
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    KF_TRY(kf_cli_named_thing_list(cli, "modules", &modules, error));
    if (modules != NULL) kf_cli_print_table(modules, columns);
    return KF_OK;
}

static kf_code delete (kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Takes the module NAME off the register. Cards that have it keep it.",
                          .names = {"NAME"}};
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    const kf_cli_named_thing module = {.method = "DELETE", .kind = "modules", .name = words.words[0]};
    return kf_cli_named_thing_call(cli, &module, "is no longer registered", error);
}

kf_code kf_cli_module(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"put", "register a CAP file", put},
        {"list", "list registered modules", list},
        {"permit", "propose that the vault loads one", permit},
        {"forbid", "propose that it no longer does", forbid},
        {"delete", "take a module off the register", delete},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Manages the application modules at the key management unit.", argc, argv, error);
}
