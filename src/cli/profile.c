#include "vault/profile.h"

#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/named_thing.h"
#include "cli/permit.h"
#include "cli/words.h"
#include "wire/json.h"

static const char *const injection_names[] = {
    [KF_INJECT_PUT_KEY] = "put-key",
    [KF_INJECT_STORE_DATA] = "store-data",
    [KF_INJECT_PRELOADED] = "preloaded",
};

static kf_code read_profile(const char *path, kf_buffer *text, kf_profile *ret_profile, kf_error *error)
{
    KF_TRY(kf_file_read(path, KF_PROFILE_TEXT_MAX, text, error));
    return kf_profile_parse(kf_buffer_view(text), ret_profile, error);
}

static kf_code put(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Puts the profile in FILE, in the place of one of the same name.",
                          .names = {"FILE"}};
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_profile profile;
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    KF_TRY(read_profile(words.words[0], &text, &profile, error));
    return kf_cli_named_thing_put_text(cli, "profiles", profile.name, &text, error);
}

static kf_code list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Lists the profiles of the key management unit."};
    static const char *const columns[] = {"name", "digest", NULL};
    KF_CLEANUP(kf_json_free) json_t *profiles = NULL;
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    KF_TRY(kf_cli_named_thing_list(cli, "profiles", &profiles, error));
    if (profiles != NULL) kf_cli_print_table(profiles, columns);
    return KF_OK;
}

static kf_code propose_permit(kf_cli *cli, const kf_cli_permit_usage *usage, int argc, char **argv,
                              kf_error *error)
{
    kf_cli_permit wanted;
    kf_profile profile;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_TRY(kf_cli_permit_parse(cli, usage, argc, argv, &wanted, error));
    KF_TRY(read_profile(wanted.file, &text, &profile, error));
    KF_TRY(kf_fail_plain(error, kf_text_copy(wanted.permit.name, sizeof wanted.permit.name, profile.name)));
    memcpy(wanted.permit.digest, profile.digest, sizeof wanted.permit.digest);
    return kf_cli_permit_propose(cli, &wanted, error);
}

static kf_code permit(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_permit_usage usage = {
        KF_PERMIT_PROFILE, true, "FILE",
        "Proposes to officers that the vault follows the profile in FILE, as it is."};
    return propose_permit(cli, &usage, argc, argv, error);
}

static kf_code forbid(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_permit_usage usage = {
        KF_PERMIT_PROFILE, false, "FILE",
        "Proposes to officers that the vault no longer follows the profile in FILE."};
    return propose_permit(cli, &usage, argc, argv, error);
}

static kf_code check(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Reads the profile in FILE as the vault would, and says what it is. Asks "
                                   "no unit.",
                          .names = {"FILE"}};
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_profile profile;
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    KF_TRY(read_profile(words.words[0], &text, &profile, error));
    kf_hex_text digest = kf_hex_show(KF_VIEW(profile.digest));
    const char *injection = injection_names[profile.key_injection];
    if (cli->json) {
        KF_CLEANUP(kf_json_free)
        json_t *shown = json_pack("{s:s, s:s, s:s, s:I}", "name", profile.name, "digest", digest.text,
                                  "key_injection", injection, "fields", (json_int_t)profile.field_count);
        if (shown == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
        return kf_cli_print_json(shown, error);
    }
    (void)printf("%s: key injection %s, %zu personalisation fields\nSHA-256 %s\n", profile.name, injection,
                 profile.field_count, digest.text);
    return KF_OK;
}

kf_code kf_cli_profile(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"put", "put a profile", put},
        {"list", "list profiles with their digests", list},
        {"permit", "propose that the vault follows one", permit},
        {"forbid", "propose that it no longer does", forbid},
        {"check", "read a profile here, without a unit", check},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Manages the profiles at the key management unit: what kinds of cards there are.",
                           argc, argv, error);
}
