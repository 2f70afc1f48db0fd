#include "cli/card_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <keyfill/secret.h>

#include "wire/json.h"

#define KEY_CATEGORY 2000
#define KEY_ORDER 2001
#define KEY_PIN1 2002
/* A card may take minutes over a large module; the terminal bounds each of its steps. */
#define OPERATION_TIMEOUT 1800000U /* milliseconds */

static const struct argp_option request_options[] = {
    {"category", KEY_CATEGORY, "NAME", 0, "the card's category (default: found by number or ICCID)", 10},
    {"order", KEY_ORDER, "NAME", 0, "an order that is registered at the host", 10},
    {"pin1", KEY_PIN1, "PIN", OPTION_ARG_OPTIONAL,
     "the card's PIN1, where files need it; without PIN it is asked for. Never sent at the last try", 10},
    {0},
};

void kf_cli_request_set(const struct argp_state *state, json_t *request, const char *member, const char *text)
{
    if (text[0] == '\0') kf_cli_usage(state, "the %s is empty", member);
    if (kf_json_set_text(request, member, text) != KF_OK)
        kf_cli_usage(state, "the %s '%.80s' is not UTF-8 text", member, text);
}

static void ask_pin1(const struct argp_state *state, json_t *request)
{
    char *pin1 = getpass("PIN1 of the card: ");
    if (pin1 == NULL) kf_cli_usage(state, "PIN1 cannot be asked for without a terminal: write --pin1=PIN");
    kf_cli_request_set(state, request, "pin1", pin1);
    kf_wipe(pin1, strlen(pin1));
}

static error_t parse_request(int key, char *argument, struct argp_state *state)
{
    json_t *request = state->input;
    switch (key) {
    case KEY_CATEGORY: kf_cli_request_set(state, request, "category", argument); return 0;
    case KEY_ORDER: kf_cli_request_set(state, request, "order", argument); return 0;
    case KEY_PIN1:
        if (argument == NULL)
            ask_pin1(state, request);
        else
            kf_cli_request_set(state, request, "pin1", argument);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp kf_cli_request_argp = {request_options, parse_request, NULL, NULL, NULL, NULL, NULL};

static void print_value(const char *name, const char *value)
{
    if (value[0] != '\0') (void)printf("%-18s %s\n", name, value);
}

static void print_number(const json_t *result, const char *member, const char *name)
{
    const json_t *value = json_object_get(result, member);
    if (json_is_integer(value))
        (void)printf("%-18s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
}

static void print_list(const json_t *result, const char *member, const char *name)
{
    const json_t *list = json_object_get(result, member);
    size_t index;
    const json_t *item;
    if (json_array_size(list) == 0) return;
    (void)printf("%-18s ", name);
    json_array_foreach(list, index, item)(void)
        printf("%s%s", index > 0 ? ", " : "", json_is_string(item) ? json_string_value(item) : "?");
    (void)putchar('\n');
}

static void print_applications(const json_t *result)
{
    static const char *const columns[] = {"aid", "kind", "state", "privileges", NULL};
    const json_t *applications = json_object_get(result, "applications");
    if (json_is_array(applications)) kf_cli_print_table(applications, columns);
}

static void print_trace(const json_t *result)
{
    static const char *const columns[] = {"round_trip", "label", "status_word", "milliseconds", NULL};
    const json_t *trace = json_object_get(result, "trace");
    if (json_array_size(trace) == 0) return;
    (void)putchar('\n');
    kf_cli_print_table(trace, columns);
}

static void print_result(const json_t *result)
{
    const char *text = kf_cli_text(result, "text");
    (void)printf("%s\n", text[0] != '\0' ? text : "done");
    print_applications(result);
    print_value("card", kf_cli_text(result, "card"));
    print_value("ICCID", kf_cli_text(result, "iccid"));
    print_value("number", kf_cli_text(result, "number"));
    print_value("category", kf_cli_text(result, "category"));
    print_number(result, "generation", "key generation");
    print_number(result, "base_key_version", "base key version");
    print_value("KCV", kf_cli_text(result, "kcv"));
    print_list(result, "personalised", "personalised");
    print_list(result, "kept", "kept");
    print_value("request", kf_cli_text(result, "id"));
    print_number(result, "round_trips", "round trips");
    print_number(result, "apdus", "APDUs");
    print_number(result, "milliseconds", "milliseconds");
    print_trace(result);
}

kf_code kf_cli_request_run(const kf_cli *cli, const char *operation, json_t *request, kf_error *error)
{
    kf_code code = kf_json_set_text(request, "operation", operation);
    if (code != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "the operation '%.80s' is not UTF-8 text", operation);
    const kf_cli_call call = {.method = "POST",
                              .path = "/v1/operations",
                              .body = request,
                              .timeout_milliseconds = OPERATION_TIMEOUT};
    KF_CLEANUP(kf_json_free) json_t *result = NULL;
    KF_TRY(kf_cli_call_terminal(cli, &call, &result, error));
    if (result == NULL) return kf_fail(error, KF_ERR_PEER, "the terminal gave an empty answer");
    if (cli->json) return kf_cli_print_json(result, error);
    print_result(result);
    return KF_OK;
}
