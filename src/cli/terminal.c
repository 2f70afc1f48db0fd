#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "wire/http_client.h"
#include "wire/json.h"
#include "wire/pki.h"

#define KEY_HOST 3100
#define KEY_CA 3101
#define KEY_CODE 3102
#define KEY_CERTIFICATE 3103
#define KEY_PRIVATE_KEY 3104

typedef struct enrolment {
    const char *host;
    const char *ca;
    const char *code;
    const char *certificate;
    const char *private_key;
} enrolment;

static const struct argp_option enroll_options[] = {
    {"host", KEY_HOST, "URL", 0, "the issuing host: https://host.example:8443", 1},
    {"ca", KEY_CA, "FILE", 0, "the certificate authority that the host's certificate must come from", 1},
    {"code", KEY_CODE, "CODE", 0, "the one-time code from the host's administrator", 1},
    {"certificate", KEY_CERTIFICATE, "FILE", 0, "where the terminal's certificate is written", 1},
    {"private-key", KEY_PRIVATE_KEY, "FILE", 0, "where the terminal's key is written", 1},
    {0},
};

static error_t parse_enroll(int key, char *argument, struct argp_state *state)
{
    enrolment *given = state->input;
    switch (key) {
    case KEY_HOST: given->host = argument; return 0;
    case KEY_CA: given->ca = argument; return 0;
    case KEY_CODE: given->code = argument; return 0;
    case KEY_CERTIFICATE: given->certificate = argument; return 0;
    case KEY_PRIVATE_KEY: given->private_key = argument; return 0;
    case ARGP_KEY_ARG: kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
    case ARGP_KEY_END:
        if (given->host == NULL || given->ca == NULL || given->code == NULL || given->certificate == NULL ||
            given->private_key == NULL)
            kf_cli_usage(state, "--host, --ca, --code, --certificate and --private-key are all needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* Before the code is used up: the files can be written afterwards. */
static kf_code check_folder(const char *path, kf_error *error)
{
    char copy[4096];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return kf_fail(error, KF_ERR_FILE, "'%.80s…': the path is too long", path);
    const char *folder = dirname(copy);
    if (access(folder, W_OK | X_OK) != 0)
        return kf_fail(error, KF_ERR_FILE, "%s: the folder %s cannot be written to; nothing was sent", path,
                       folder);
    return KF_OK;
}

static kf_code ask_for_certificate(const enrolment *given, kf_buffer *request, json_t **ret_answer,
                                   kf_error *error)
{
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = NULL;
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    const char *text = kf_buffer_text(request);
    kf_code code = body != NULL && text != NULL ? KF_OK : KF_ERR_MEMORY;
    if (code == KF_OK) code = kf_json_set_text(body, "code", given->code);
    if (code == KF_OK) code = kf_json_set_text(body, "request", text);
    if (code != KF_OK) return kf_fail_plain(error, code);
    const kf_http_client_options options = {
        .base_url = given->host, .ca_file = given->ca, .expected_role = KF_PEER_HOST};
    KF_TRY(kf_http_client_new(&options, &client, error));
    const kf_http_call call = {.method = "POST", .path = "/v1/enrolments", .body = body};
    return kf_http_client_call(client, &call, ret_answer, error);
}

static kf_code enroll(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {enroll_options,
                                     parse_enroll,
                                     NULL,
                                     "Makes a key on this terminal and has the host certify it. The key "
                                     "never leaves the terminal; the name in "
                                     "the certificate is the one that the code was made for.",
                                     NULL,
                                     NULL,
                                     NULL};
    enrolment given = {0};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &given, error));
    KF_TRY(check_folder(given.certificate, error));
    KF_TRY(check_folder(given.private_key, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_pki_request_new("terminal", &request, &pair.key, error));
    KF_TRY(ask_for_certificate(&given, &request, &answer, error));
    const char *name = kf_cli_text(answer, "name");
    const char *certificate = kf_cli_text(answer, "certificate");
    if (name[0] == '\0' || certificate[0] == '\0')
        return kf_fail(error, KF_ERR_PEER, "the host's answer has no certificate");
    kf_buffer_append_text(&pair.certificate, certificate);
    kf_code code = kf_buffer_status(&pair.certificate);
    if (code != KF_OK) return kf_fail_plain(error, code);
    KF_TRY(kf_pki_pair_save(&pair, given.certificate, given.private_key, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    (void)printf("enrolled: terminal %s; certificate in %s, key in %s\n", name, given.certificate,
                 given.private_key);
    return KF_OK;
}

/* Commands that take one terminal's name. */
static error_t parse_name(int key, char *argument, struct argp_state *state)
{
    const char **name = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (*name != NULL) kf_cli_usage(state, "'%.40s': one NAME is wanted", argument);
        *name = argument;
        return 0;
    case ARGP_KEY_END:
        if (*name == NULL) kf_cli_usage(state, "the terminal's NAME is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code set_enabled(kf_cli *cli, const char *name, bool enabled, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    kf_buffer_append_text(&path, "/v1/terminals/");
    kf_http_escape(&path, name);
    const char *path_text = kf_buffer_text(&path);
    if (body == NULL || path_text == NULL || kf_json_set_boolean(body, "enabled", enabled) != KF_OK)
        return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "PATCH", .path = path_text, .body = body}, &answer,
                            error));
    if (cli->json) return kf_cli_print_json(answer, error);
    (void)printf("terminal %s is %s from its next request on\n", name, enabled ? "enabled" : "disabled");
    return KF_OK;
}

static kf_code enable(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {NULL, parse_name, "NAME", "Lets a terminal be heard again.",
                                     NULL, NULL,       NULL};
    const char *name = NULL;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &name, error));
    return set_enabled(cli, name, true, error);
}

static kf_code disable(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {NULL, parse_name, "NAME", "Refuses a terminal from its next request on.",
                                     NULL, NULL,       NULL};
    const char *name = NULL;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &name, error));
    return set_enabled(cli, name, false, error);
}

static kf_code make_code(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {
        NULL,   parse_name,
        "NAME", "Makes a one-time code with which a terminal of this name can be enrolled, also anew.",
        NULL,   NULL,
        NULL};
    const char *name = NULL;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &name, error));
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    kf_code code = body != NULL ? kf_json_set_text(body, "name", name) : KF_ERR_MEMORY;
    if (code != KF_OK) return kf_fail_plain(error, code);
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "POST", .path = "/v1/terminals", .body = body},
                            &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    (void)printf("%s\n", kf_cli_text(answer, "code"));
    return KF_OK;
}

/* Adds "last_contact", for people. */
static kf_code describe_contact(json_t *terminal)
{
    char text[sizeof "2026-01-01T00:00:00Z"] = "never";
    const json_t *contact = json_object_get(terminal, "last_contact_ms");
    const time_t seconds = (time_t)(json_integer_value(contact) / 1000);
    struct tm parts;
    if (contact != NULL && (gmtime_r(&seconds, &parts) == NULL ||
                            strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0))
        return KF_ERR_MALFORMED;
    return kf_json_set_text(terminal, "last_contact", text);
}

static kf_code list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {NULL, NULL, NULL, "Lists the terminals of the host.", NULL, NULL, NULL};
    static const char *const columns[] = {"name", "state", "last_contact", "address", NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, NULL, error));
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "GET", .path = "/v1/terminals"}, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    size_t index;
    json_t *terminal;
    json_array_foreach(json_object_get(answer, "terminals"), index, terminal)
    {
        kf_code code = describe_contact(terminal);
        if (code != KF_OK) return kf_fail_plain(error, code);
    }
    kf_cli_print_table(json_object_get(answer, "terminals"), columns);
    return KF_OK;
}

kf_code kf_cli_terminal(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"code", "make a one-time code for a terminal", make_code},
        {"enroll", "on the terminal: make a key and have it certified", enroll},
        {"list", "list terminals with state and last contact", list},
        {"enable", "let a terminal be heard again", enable},
        {"disable", "refuse a terminal", disable},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Enrols terminals and manages them at the issuing host.", argc, argv, error);
}
