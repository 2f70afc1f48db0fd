#include "cli/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "base/file.h"
#include "wire/http_client.h"
#include "wire/json.h"

#define ARGON_TIMEOUT_MS 120000
#define ACTS ((unsigned)KF_CLI_KEY_OFFICER | KF_CLI_KEY_KCV)

kf_code kf_cli_key_post(const kf_cli *cli, const json_t *body, json_t **ret_answer, kf_error *error)
{
    kf_cli_call call = {
        .method = "POST", .path = "/v1/keys", .body = body, .timeout_milliseconds = ARGON_TIMEOUT_MS};
    KF_TRY(kf_cli_call_unit(cli, &call, ret_answer, error));
    if (*ret_answer == NULL) return kf_fail(error, KF_ERR_PEER, "the unit gave an empty answer");
    return KF_OK;
}

static json_int_t number_in(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

void kf_cli_key_print_line(const json_t *key)
{
    printf("%s/%s version %" JSON_INTEGER_FORMAT ": %s, KCV %s, revision %" JSON_INTEGER_FORMAT "\n",
           kf_cli_text(key, "purpose"), kf_cli_text(key, "category"), number_in(key, "version"),
           kf_cli_text(key, "state"), kf_cli_text(key, "kcv"), number_in(key, "revision"));
}

kf_code kf_cli_key_print(const kf_cli *cli, const json_t *answer, kf_error *error)
{
    if (cli->json) return kf_cli_print_json(answer, error);
    kf_cli_key_print_line(json_object_get(answer, "key"));
    return KF_OK;
}

static kf_code run_act(kf_cli *cli, const char *act, const kf_cli_key_usage *usage, int argc, char **argv,
                       kf_error *error)
{
    kf_cli_key_options options;
    KF_TRY(kf_cli_key_parse(cli, usage, argc, argv, &options, error));
    return kf_cli_key_run_act(cli, &options, act, error);
}

static kf_code key_generate(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {KF_CLI_KEY_NEW | KF_CLI_KEY_OFFICER, NULL,
                                           "Makes a base key in the vault."};
    return run_act(cli, "generate", &usage, argc, argv, error);
}

static kf_code key_rotate(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {KF_CLI_KEY_TARGET | KF_CLI_KEY_VALIDITY | ACTS, NULL,
                                           "Makes the next version with the same policy; the one in force is "
                                           "deactivated: it proves what it made, and makes nothing new."};
    return run_act(cli, "rotate", &usage, argc, argv, error);
}

static kf_code key_suspend(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {KF_CLI_KEY_TARGET | ACTS, NULL,
                                           "Stops all use of a base key until it is activated again."};
    return run_act(cli, "suspend", &usage, argc, argv, error);
}

static kf_code key_activate(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {KF_CLI_KEY_TARGET | ACTS, NULL,
                                           "Takes a pre-active or suspended base key into use."};
    return run_act(cli, "activate", &usage, argc, argv, error);
}

static kf_code key_deactivate(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {
        KF_CLI_KEY_TARGET | ACTS, NULL,
        "Ends the making of new card keys; present ones can still be proven."};
    return run_act(cli, "deactivate", &usage, argc, argv, error);
}

static kf_code key_destroy(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {KF_CLI_KEY_TARGET | ACTS, NULL,
                                           "Wipes a base key, here and at units it was sent to. Cards under "
                                           "it can no longer be refilled or cleared."};
    return run_act(cli, "destroy", &usage, argc, argv, error);
}

/* "kmu:north A1B2C3, kmu:south -": what the others said that they have. */
static kf_code describe_peers(json_t *key)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    const json_t *peers = json_object_get(key, "peers");
    for (size_t i = 0; i < json_array_size(peers); i++) {
        const json_t *peer = json_array_get(peers, i);
        kf_buffer_format(&text, "%s%s %s%s", i > 0 ? ", " : "", kf_cli_text(peer, "name"),
                         kf_cli_text(peer, "state"),
                         json_is_true(json_object_get(peer, "same")) ? "" : " WITH ANOTHER KCV");
    }
    const char *shown = kf_buffer_text(&text);
    if (shown == NULL) return KF_ERR_MEMORY;
    return kf_json_set_text(key, "other side", shown[0] != '\0' ? shown : "-");
}

kf_code kf_cli_key_fetch(const kf_cli *cli, json_t **ret_answer, kf_error *error)
{
    kf_cli_call call = {.method = "GET", .path = "/v1/keys"};
    KF_TRY(kf_cli_call_unit(cli, &call, ret_answer, error));
    if (!json_is_array(json_object_get(*ret_answer, "keys")))
        return kf_fail(error, KF_ERR_PEER, "the unit's answer holds no keys");
    return KF_OK;
}

static kf_code key_list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {0, NULL,
                                           "Lists the base keys, and which of them the other side has."};
    static const char *const columns[] = {"purpose", "category", "version", "algorithm",  "size", "state",
                                          "kcv",     "revision", "origin",  "other side", NULL};
    kf_cli_key_options options;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_cli_key_fetch(cli, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    json_t *keys = json_object_get(answer, "keys");
    for (size_t i = 0; i < json_array_size(keys); i++)
        KF_TRY(kf_fail_plain(error, describe_peers(json_array_get(keys, i))));
    kf_cli_print_table(keys, columns);
    return KF_OK;
}

static bool is_meant(const json_t *key, const kf_cli_key_options *options)
{
    const char *category = options->category != NULL ? options->category : KF_CATEGORY_DEFAULT;
    return (options->purpose == NULL || strcmp(kf_cli_text(key, "purpose"), options->purpose) == 0) &&
           strcmp(kf_cli_text(key, "category"), category) == 0 &&
           (options->version == 0 || number_in(key, "version") == options->version);
}

static kf_code key_show(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {KF_CLI_KEY_TARGET, NULL,
                                           "Shows all that is known of a base key: policy, validity, the "
                                           "other side, and how many cards have keys of it."};
    kf_cli_key_options options;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    kf_cli_call call = {.method = "GET", .path = "/v1/keys?cards=true"};
    KF_TRY(kf_cli_call_unit(cli, &call, &answer, error));
    const json_t *keys = json_object_get(answer, "keys");
    size_t shown = 0;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        if (!is_meant(key, &options)) continue;
        KF_TRY(kf_cli_print_json(key, error));
        shown++;
    }
    if (shown == 0)
        return kf_fail(error, KF_ERR_NO_KEY, "there is no such base key; keyfill key list shows all");
    return KF_OK;
}

static kf_code key_pull(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {
        0, NULL, "Has a key management unit ask its base key management unit for what is missing."};
    kf_cli_key_options options;
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    kf_cli_call call = {.method = "POST", .path = "/v1/key-pull", .body = body};
    KF_TRY(kf_cli_call_unit(cli, &call, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    printf("%" JSON_INTEGER_FORMAT " changes pulled\n", number_in(answer, "received"));
    return KF_OK;
}

static kf_code unit_list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {
        0, NULL, "Lists the key management units that this base key management unit sends keys to."};
    static const char *const columns[] = {"name",         "url",        "pair",       "enabled",
                                          "acknowledged", "up_to_date", "last_error", NULL};
    kf_cli_key_options options;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    kf_cli_call call = {.method = "GET", .path = "/v1/kmus"};
    KF_TRY(kf_cli_call_unit(cli, &call, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    kf_cli_print_table(json_object_get(answer, "kmus"), columns);
    return KF_OK;
}

static kf_code unit_put(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {
        KF_CLI_KEY_UNIT, "NAME",
        "Registers a key management unit, under the name in its certificate, or changes it."};
    kf_cli_key_options options;
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    if (options.url == NULL || options.pair == NULL)
        return kf_fail(error, KF_ERR_USAGE, "--url and --pair are needed");
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "url", options.url)));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "pair", options.pair)));
    KF_TRY(kf_fail_plain(error, kf_json_set_boolean(body, "enabled", !options.disabled)));
    kf_buffer_append_text(&path, "/v1/kmus/");
    kf_http_escape(&path, options.word);
    const char *text = kf_buffer_text(&path);
    if (text == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_cli_call call = {.method = "PUT", .path = text, .body = body};
    KF_TRY(kf_cli_call_unit(cli, &call, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    printf("%s: %s, transport key %s, %s\n", options.word, options.url, options.pair,
           options.disabled ? "disabled" : "enabled");
    return KF_OK;
}

static kf_code key_unit(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"list", "list them, and what each has acknowledged", unit_list},
        {"put", "register one, or change it", unit_put},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "The key management units that a base key management unit sends keys to.", argc,
                           argv, error);
}

kf_code kf_cli_key(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"generate", "make a base key in the vault", key_generate},
        {"import", "enter a base key as components", kf_cli_key_import},
        {"list", "list base keys, and what the other side has", key_list},
        {"show", "show one with its policy", key_show},
        {"rotate", "make the next version", key_rotate},
        {"suspend", "stop all use for a while", key_suspend},
        {"activate", "take into use", key_activate},
        {"deactivate", "make nothing new with it", key_deactivate},
        {"destroy", "wipe it", key_destroy},
        {"backup", "write all keys to a sealed file", kf_cli_key_backup},
        {"restore", "put a backup into an empty vault", kf_cli_key_restore},
        {"export", "give out an exportable key as a key block", kf_cli_key_export},
        {"pull", "fetch what is missing from the base key management unit", key_pull},
        {"transport", "transport keys between two units", kf_cli_key_transport},
        {"unit", "key management units that keys are sent to", key_unit},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Base keys of a key management unit or base key management unit.", argc, argv,
                           error);
}
