/* `keyfill kmu-host`: which hosts the key management unit hears, and what they and their terminals may ask
 * for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "wire/http_client.h"
#include "wire/json.h"

enum { KEY_CATEGORIES = 3200, KEY_NUMBERS, KEY_DAILY, KEY_DISABLED, KEY_TERMINAL };

#define RANGE_TEXT_MAX 64

typedef struct host_arguments {
    const char *name;
    const char *terminal; /* NULL: the host itself */
    json_t *body;         /* of put; NULL: none is made */
} host_arguments;

static void check_memory(const struct argp_state *state, kf_code code)
{
    if (code != KF_OK) kf_cli_usage(state, "%s", kf_code_meaning(code));
}

/* "north,south" as an array. */
static void set_categories(const struct argp_state *state, json_t *body, const char *list)
{
    json_t *names = json_array();
    check_memory(state, kf_json_set(body, "categories", names));
    for (const char *item = list;;) {
        size_t size = strcspn(item, ",");
        if (size == 0)
            kf_cli_usage(state, "--categories '%.80s': names with commas between are wanted", list);
        check_memory(state, kf_json_append(names, json_stringn(item, size)));
        if (item[size] == '\0') return;
        item += size + 1;
    }
}

/* "86138000000-86138999999,…" as an array of objects. */
static void set_numbers(const struct argp_state *state, json_t *body, const char *list)
{
    json_t *ranges = json_array();
    check_memory(state, kf_json_set(body, "numbers", ranges));
    for (const char *item = list;;) {
        size_t size = strcspn(item, ",");
        size_t first = strcspn(item, "-");
        if (first == 0 || first + 1 >= size || size > RANGE_TEXT_MAX)
            kf_cli_usage(state, "--numbers '%.80s': FROM-TO is wanted, several with commas between", list);
        json_t *range = json_object();
        check_memory(state, kf_json_append(ranges, range));
        check_memory(state, kf_json_set(range, "from", json_stringn(item, first)));
        check_memory(state, kf_json_set(range, "to", json_stringn(item + first + 1, size - first - 1)));
        if (item[size] == '\0') return;
        item += size + 1;
    }
}

static void set_daily(const struct argp_state *state, json_t *body, const char *text)
{
    char *end = NULL;
    long long daily = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0')
        kf_cli_usage(state, "--daily '%.40s': a number of requests is wanted; 0 for any", text);
    check_memory(state, kf_json_set_integer(body, "daily", daily));
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    host_arguments *arguments = state->input;
    switch (key) {
    case KEY_CATEGORIES: set_categories(state, arguments->body, argument); return 0;
    case KEY_NUMBERS: set_numbers(state, arguments->body, argument); return 0;
    case KEY_DAILY: set_daily(state, arguments->body, argument); return 0;
    case KEY_DISABLED: check_memory(state, kf_json_set_boolean(arguments->body, "enabled", false)); return 0;
    case KEY_TERMINAL: arguments->terminal = argument; return 0;
    case ARGP_KEY_ARG:
        if (arguments->name != NULL) kf_cli_usage(state, "'%.40s': one NAME is wanted", argument);
        arguments->name = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->name == NULL) kf_cli_usage(state, "the host's NAME is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code call_host(kf_cli *cli, const char *method, const host_arguments *arguments,
                         json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    kf_buffer_append_text(&path, "/v1/hosts/");
    kf_http_escape(&path, arguments->name);
    if (arguments->terminal != NULL) {
        kf_buffer_append_text(&path, "/terminals/");
        kf_http_escape(&path, arguments->terminal);
    }
    const char *text = kf_buffer_text(&path);
    if (text == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    const kf_cli_call call = {.method = method, .path = text, .body = arguments->body};
    return kf_cli_call_unit(cli, &call, ret_answer, error);
}

static kf_code tell(const kf_cli *cli, const host_arguments *arguments, const json_t *answer,
                    const char *what, kf_error *error)
{
    if (cli->json) return kf_cli_print_json(answer, error);
    if (arguments->terminal != NULL)
        (void)printf("terminal %s of host %s: %s, from its next request on\n", arguments->terminal,
                     arguments->name, what);
    else
        (void)printf("host %s: %s, from its next request on\n", arguments->name, what);
    return KF_OK;
}

static const struct argp_option terminal_option[] = {
    {"terminal", KEY_TERMINAL, "TERMINAL", 0, "one of the host's terminals instead of the host", 0},
    {0},
};

static kf_code put(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"terminal", KEY_TERMINAL, "TERMINAL", 0, "one of the host's terminals instead of the host", 0},
        {"categories", KEY_CATEGORIES, "NAME,...", 0, "categories of cards (default: any)", 0},
        {"numbers", KEY_NUMBERS, "FROM-TO,...", 0, "ranges of card numbers (default: any)", 0},
        {"daily", KEY_DAILY, "N", 0, "requests a day, UTC (default: 0, any number)", 0},
        {"disabled", KEY_DISABLED, NULL, 0, "it is not heard until it is enabled", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "NAME",
        "Registers a host by the name in its certificate, with what it may ask for, in the place of what "
        "stood there; or one of its terminals, by the name that the host gives it.",
        NULL,
        NULL,
        NULL};
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    host_arguments arguments = {.body = body};
    if (body == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &arguments, error));
    KF_TRY(call_host(cli, "PUT", &arguments, &answer, error));
    return tell(cli, &arguments, answer, "registered", error);
}

static kf_code set_enabled(kf_cli *cli, host_arguments *arguments, bool enabled, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_fail_plain(error, kf_json_set_boolean(body, "enabled", enabled)));
    arguments->body = body;
    KF_TRY(call_host(cli, "PATCH", arguments, &answer, error));
    return tell(cli, arguments, answer, enabled ? "enabled" : "disabled", error);
}

static kf_code enable(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {terminal_option,
                                     parse,
                                     "NAME",
                                     "Lets a host, or a terminal of it, be heard again.",
                                     NULL,
                                     NULL,
                                     NULL};
    host_arguments arguments = {.name = NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &arguments, error));
    return set_enabled(cli, &arguments, true, error);
}

static kf_code disable(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {terminal_option,
                                     parse,
                                     "NAME",
                                     "Refuses a host, or a terminal of it, from its next request on.",
                                     NULL,
                                     NULL,
                                     NULL};
    host_arguments arguments = {.name = NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &arguments, error));
    return set_enabled(cli, &arguments, false, error);
}

static kf_code delete (kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {terminal_option,
                                     parse,
                                     "NAME",
                                     "Takes a host with its terminals, or one terminal, off the register.",
                                     NULL,
                                     NULL,
                                     NULL};
    host_arguments arguments = {.name = NULL};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &arguments, error));
    KF_TRY(call_host(cli, "DELETE", &arguments, &answer, error));
    return tell(cli, &arguments, answer, "deleted", error);
}

/* -- list -- */

static kf_code append_part(kf_buffer *text, const char *first, const char *second)
{
    kf_buffer_format(text, "%s%s%s%s", text->size > 0 ? "," : "", first, second[0] != '\0' ? "-" : "",
                     second);
    return kf_buffer_status(text);
}

/* Lists and counts as a line of a table has them. */
static kf_code flatten(json_t *row, const char *host)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer categories = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer numbers = KF_BUFFER_INIT;
    size_t index;
    const json_t *item;
    json_array_foreach(json_object_get(row, "categories"), index, item)
    {
        const char *name = json_string_value(item);
        KF_TRY(append_part(&categories, name != NULL ? name : "", ""));
    }
    json_array_foreach(json_object_get(row, "numbers"), index, item)
    {
        KF_TRY(append_part(&numbers, kf_cli_text(item, "from"), kf_cli_text(item, "to")));
    }
    const char *name = kf_cli_text(row, "name");
    KF_TRY(kf_json_set_text(row, "terminal", host != NULL ? name : ""));
    KF_TRY(kf_json_set_text(row, "host", host != NULL ? host : name));
    const char *list = categories.size > 0 ? kf_buffer_text(&categories) : "any";
    const char *ranges = numbers.size > 0 ? kf_buffer_text(&numbers) : "any";
    if (list == NULL || ranges == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_json_set_text(row, "categories", list));
    return kf_json_set_text(row, "numbers", ranges);
}

static kf_code collect(json_t *answer, json_t *rows)
{
    size_t index;
    json_t *host;
    json_array_foreach(json_object_get(answer, "hosts"), index, host)
    {
        size_t at;
        json_t *terminal;
        KF_TRY(flatten(host, NULL));
        KF_TRY(kf_json_append(rows, json_incref(host)));
        json_array_foreach(json_object_get(host, "terminals"), at, terminal)
        {
            KF_TRY(flatten(terminal, kf_cli_text(host, "name")));
            KF_TRY(kf_json_append(rows, json_incref(terminal)));
        }
    }
    return KF_OK;
}

static kf_code list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {
        NULL,
        NULL,
        NULL,
        "Lists the registered hosts and terminals with what they may ask for and how many "
        "requests they began today.",
        NULL,
        NULL,
        NULL};
    static const char *const columns[] = {"host",    "terminal", "enabled", "categories",
                                          "numbers", "daily",    "used",    NULL};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_CLEANUP(kf_json_free) json_t *rows = json_array();
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, NULL, error));
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "GET", .path = "/v1/hosts"}, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    KF_TRY(kf_fail_plain(error, collect(answer, rows)));
    kf_cli_print_table(rows, columns);
    if (json_is_true(json_object_get(answer, "open")))
        (void)printf("hosts: open: hosts that are not in this list may ask for everything\n");
    return KF_OK;
}

kf_code kf_cli_kmu_host(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"put", "register a host or terminal, with what it may ask for", put},
        {"list", "list hosts and terminals", list},
        {"enable", "let a host or terminal be heard again", enable},
        {"disable", "refuse a host or terminal", disable},
        {"delete", "take a host or terminal off the register", delete},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Registers issuing hosts and their terminals at the key management unit.", argc,
                           argv, error);
}
