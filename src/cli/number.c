#include <stdio.h>

#include "cli/client.h"
#include "wire/http_client.h"
#include "wire/json.h"

#define KEY_CATEGORY 3110
#define KEY_FIRST 3111
#define KEY_LAST 3112
#define KEY_STATE 3113
#define KEY_AFTER 3114

static void set_member(const struct argp_state *state, json_t *body, const char *member, const char *text)
{
    if (kf_json_set_text(body, member, text) != KF_OK)
        kf_cli_usage(state, "%s '%.80s' is not UTF-8 text", member, text);
}

static error_t parse_add(int key, char *argument, struct argp_state *state)
{
    json_t *body = state->input;
    json_t *numbers = json_object_get(body, "numbers");
    switch (key) {
    case KEY_CATEGORY: set_member(state, body, "category", argument); return 0;
    case KEY_FIRST: set_member(state, body, "first", argument); return 0;
    case KEY_LAST: set_member(state, body, "last", argument); return 0;
    case ARGP_KEY_ARG:
        if (numbers == NULL) {
            numbers = json_array();
            if (kf_json_set(body, "numbers", numbers) != KF_OK) kf_cli_usage(state, "out of memory");
        }
        if (kf_json_append(numbers, json_string(argument)) != KF_OK)
            kf_cli_usage(state, "'%.80s' is not UTF-8 text", argument);
        return 0;
    case ARGP_KEY_END:
        if (numbers == NULL && json_object_get(body, "first") == NULL)
            kf_cli_usage(state, "give numbers, or a range by --first and --last");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code add(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"category", KEY_CATEGORY, "NAME", 0, "for cards of this category only", 1},
        {"first", KEY_FIRST, "NUMBER", 0, "the lower end of a range", 1},
        {"last", KEY_LAST, "NUMBER", 0, "its upper end, included", 1},
        {0},
    };
    static const struct argp argp = {
        options, parse_add, "[NUMBER...]", "Adds numbers to the host's pool: all of them, or none.",
        NULL,    NULL,      NULL};
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    if (body == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, body, error));
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "POST", .path = "/v1/numbers", .body = body},
                            &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    (void)printf("added: %" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(answer, "added")));
    return KF_OK;
}

typedef struct list_query {
    const char *state;
    const char *after;
} list_query;

static error_t parse_list(int key, char *argument, struct argp_state *state)
{
    list_query *query = state->input;
    switch (key) {
    case KEY_STATE: query->state = argument; return 0;
    case KEY_AFTER: query->after = argument; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void print_counts(const json_t *counts)
{
    const char *state;
    const json_t *count;
    /* jansson's iteration takes no pointer to const, but changes nothing. */
    KF_CLEANUP(kf_json_free) json_t *copy = json_deep_copy(counts);
    json_object_foreach(copy, state, count)(void)
        printf("%s: %" JSON_INTEGER_FORMAT "\n", state, json_integer_value(count));
}

static kf_code list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"state", KEY_STATE, "STATE", 0, "only free, reserved, kept, bound or released ones", 1},
        {"after", KEY_AFTER, "NUMBER", 0, "those behind this number; 1000 are listed at once", 1},
        {0},
    };
    static const struct argp argp = {options, parse_list, NULL, "Lists the numbers of the host.",
                                     NULL,    NULL,       NULL};
    static const char *const columns[] = {"number", "category", "source", "state", "card", "iccid", NULL};
    list_query query = {NULL, NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &query, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    kf_buffer_append_text(&path, "/v1/numbers?after=");
    kf_http_escape(&path, query.after != NULL ? query.after : "");
    if (query.state != NULL) {
        kf_buffer_append_text(&path, "&state=");
        kf_http_escape(&path, query.state);
    }
    const char *path_text = kf_buffer_text(&path);
    if (path_text == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "GET", .path = path_text}, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    kf_cli_print_table(json_object_get(answer, "numbers"), columns);
    print_counts(json_object_get(answer, "counts"));
    return KF_OK;
}

kf_code kf_cli_number(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"add", "add numbers to the pool", add},
        {"list", "list numbers with their state", list},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Manages the numbers that the issuing host gives out.", argc, argv, error);
}
