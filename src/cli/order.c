#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "wire/http_client.h"
#include "wire/json.h"

#define KEY_CATEGORY 3120
#define KEY_NUMBER 3121
#define KEY_NUMBER_SOURCE 3122
#define KEY_WRITE_NUMBER 3123
#define KEY_FIELD 3124
#define KEY_PERSONALISE 3125

typedef struct new_order {
    const char *name;
    json_t *body;
} new_order;

static void set_member(const struct argp_state *state, json_t *object, const char *member, const char *text)
{
    if (kf_json_set_text(object, member, text) != KF_OK)
        kf_cli_usage(state, "%s '%.80s' is not UTF-8 text", member, text);
}

/* NAME=TEXT. */
static void set_field(const struct argp_state *state, json_t *body, char *assignment)
{
    char *value = strchr(assignment, '=');
    if (value == NULL || value == assignment)
        kf_cli_usage(state, "--field '%.80s': NAME=TEXT is wanted", assignment);
    *value = '\0';
    json_t *fields = json_object_get(body, "personalisation");
    if (fields == NULL) {
        fields = json_object();
        if (kf_json_set(body, "personalisation", fields) != KF_OK) kf_cli_usage(state, "out of memory");
    }
    set_member(state, fields, assignment, value + 1);
}

static error_t parse_put(int key, char *argument, struct argp_state *state)
{
    new_order *order = state->input;
    switch (key) {
    case KEY_CATEGORY: set_member(state, order->body, "category", argument); return 0;
    case KEY_NUMBER: set_member(state, order->body, "number", argument); return 0;
    case KEY_NUMBER_SOURCE: set_member(state, order->body, "number_source", argument); return 0;
    case KEY_PERSONALISE: set_member(state, order->body, "personalise", argument); return 0;
    case KEY_FIELD: set_field(state, order->body, argument); return 0;
    case KEY_WRITE_NUMBER:
        if (strcmp(argument, "yes") != 0 && strcmp(argument, "no") != 0)
            kf_cli_usage(state, "--write-number '%.40s': yes or no", argument);
        if (kf_json_set_boolean(order->body, "write_number", strcmp(argument, "yes") == 0) != KF_OK)
            kf_cli_usage(state, "out of memory");
        return 0;
    case ARGP_KEY_ARG:
        if (order->name != NULL) kf_cli_usage(state, "'%.40s': one NAME is wanted", argument);
        order->name = argument;
        return 0;
    case ARGP_KEY_END:
        if (order->name == NULL) kf_cli_usage(state, "the order's NAME is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code put(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"category", KEY_CATEGORY, "NAME", 0, "category of the cards", 1},
        {"number", KEY_NUMBER, "NUMBER", 0, "the number of the one card", 1},
        {"number-source", KEY_NUMBER_SOURCE, "SOURCE", 0, "pool or issuing-server", 1},
        {"write-number", KEY_WRITE_NUMBER, "yes|no", 0, "whether the number is written to the card", 1},
        {"field", KEY_FIELD, "NAME=TEXT", 0, "a personalisation field; may be given several times", 1},
        {"personalise", KEY_PERSONALISE, "WHEN", 0, "if-absent (default), always, never", 1},
        {0},
    };
    static const struct argp argp = {
        options, parse_put, "NAME", "Puts an order, in the place of one of the same name.", NULL, NULL, NULL};
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    if (body == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    new_order order = {NULL, body};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &order, error));
    kf_buffer_append_text(&path, "/v1/orders/");
    kf_http_escape(&path, order.name);
    const char *path_text = kf_buffer_text(&path);
    if (path_text == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "PUT", .path = path_text, .body = body}, &answer,
                            error));
    if (cli->json) return kf_cli_print_json(answer, error);
    (void)printf("order %s is put\n", order.name);
    return KF_OK;
}

static kf_code list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {NULL, NULL, NULL, "Lists the orders of the host.", NULL, NULL, NULL};
    static const char *const columns[] = {"name", "category", "number", "number_source", "personalise", NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, NULL, error));
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "GET", .path = "/v1/orders"}, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    kf_cli_print_table(json_object_get(answer, "orders"), columns);
    return KF_OK;
}

kf_code kf_cli_order(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"put", "put an order", put},
        {"list", "list orders", list},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Manages the orders at the issuing host.", argc, argv, error);
}
