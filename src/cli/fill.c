#include <stdlib.h>
#include <string.h>

#include "cli/card_request.h"
#include "wire/json.h"

#define KEY_NUMBER 3000
#define KEY_ALLOCATE 3001
#define KEY_FROM_CARD 3002
#define KEY_PLAN 3003
#define KEY_APPLICATION_DATA 3004
#define KEY_PERSONALISE 3005

static const struct argp_option fill_options[] = {
    {NULL, 0, NULL, 0, "Where the number comes from (one of):", 1},
    {"number", KEY_NUMBER, "NUMBER", 0, "this number, chosen by the customer", 1},
    {"allocate", KEY_ALLOCATE, NULL, 0, "the host finds a new one, in its pool or at the issuing server", 1},
    {"number-from-card", KEY_FROM_CARD, NULL, 0, "the number that is on the card", 1},
    {NULL, 0, NULL, 0, "Personalisation:", 2},
    {"plan", KEY_PLAN, "TEXT", 0, "type of plan", 2},
    {"application-data", KEY_APPLICATION_DATA, "TEXT", 0, "application data", 2},
    {"personalise", KEY_PERSONALISE, "WHEN", 0, "if-absent (default), always, never", 2},
    {NULL, 0, NULL, 0, "Further:", 10},
    {0},
};

static void set_source(const struct argp_state *state, json_t *request, const char *source)
{
    if (json_object_get(request, "number_source") != NULL)
        kf_cli_usage(state, "only one of --number, --allocate and --number-from-card can be");
    kf_cli_request_set(state, request, "number_source", source);
}

static void set_personalisation(const struct argp_state *state, json_t *request, const char *field,
                                const char *text)
{
    json_t *personalisation = json_object_get(request, "personalisation");
    if (personalisation == NULL) {
        personalisation = json_object();
        if (kf_json_set(request, "personalisation", personalisation) != KF_OK)
            kf_cli_usage(state, "out of memory");
    }
    kf_cli_request_set(state, personalisation, field, text);
}

static void set_when(const struct argp_state *state, json_t *request, const char *when)
{
    if (strcmp(when, "if-absent") != 0 && strcmp(when, "always") != 0 && strcmp(when, "never") != 0)
        kf_cli_usage(state, "--personalise '%.40s': if-absent, always or never is wanted", when);
    kf_cli_request_set(state, request, "personalise", when);
}

static error_t parse_fill(int key, char *argument, struct argp_state *state)
{
    json_t *request = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = request; return 0;
    case KEY_NUMBER:
        set_source(state, request, "typed");
        kf_cli_request_set(state, request, "number", argument);
        return 0;
    case KEY_ALLOCATE: set_source(state, request, "allocate"); return 0;
    case KEY_FROM_CARD: set_source(state, request, "card"); return 0;
    case KEY_PLAN: set_personalisation(state, request, "plan", argument); return 0;
    case KEY_APPLICATION_DATA: set_personalisation(state, request, "application_data", argument); return 0;
    case KEY_PERSONALISE: set_when(state, request, argument); return 0;
    case ARGP_KEY_ARG: kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
    case ARGP_KEY_END:
        if (json_object_get(request, "number_source") == NULL)
            kf_cli_usage(
                state, "where does the number come from? --number NUMBER, --allocate or --number-from-card");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

kf_code kf_cli_fill(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_child children[] = {{&kf_cli_request_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        fill_options, parse_fill,
        NULL,         "Writes a payment key and personalisation data to the card in the reader.",
        children,     NULL,
        NULL};
    KF_CLEANUP(kf_json_free) json_t *request = json_object();
    if (request == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, request, error));
    return kf_cli_request_run(cli, "fill", request, error);
}
