#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/audit.h"
#include "cli/client.h"
#include "wire/json.h"

#define KEY_AFTER 3200
#define KEY_LIMIT 3201
#define PATH_SIZE 96
#define TIME_TEXT_SIZE 40

typedef struct list_query {
    long long after;
    long long limit; /* 0: the unit's */
} list_query;

static long long number_of(const char *option, const char *text, const struct argp_state *state)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0')
        kf_cli_usage(state, "%s '%.40s': a number from 0 is wanted", option, text);
    return number;
}

static error_t parse_list(int key, char *argument, struct argp_state *state)
{
    list_query *query = state->input;
    switch (key) {
    case KEY_AFTER: query->after = number_of("--after", argument, state); return 0;
    case KEY_LIMIT: query->limit = number_of("--limit", argument, state); return 0;
    case ARGP_KEY_ARG: kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* Adds "time" to each row: what a person reads of "time_ms". */
static kf_code add_times(json_t *rows, kf_error *error)
{
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        json_int_t milliseconds = json_integer_value(json_object_get(row, "time_ms"));
        time_t seconds = (time_t)(milliseconds / 1000);
        struct tm parts;
        char day[TIME_TEXT_SIZE];
        char text[TIME_TEXT_SIZE + 8];
        if (gmtime_r(&seconds, &parts) == NULL || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
            return kf_fail(error, KF_ERR_PEER, "time_ms %" JSON_INTEGER_FORMAT " is no time", milliseconds);
        (void)snprintf(text, sizeof text, "%s.%03dZ", day, (int)(milliseconds % 1000));
        KF_TRY(kf_fail_plain(error, kf_json_set_text(row, "time", text)));
    }
    return KF_OK;
}

static kf_code list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"after", KEY_AFTER, "N", 0, "rows behind number N (default: 0, from the beginning)", 1},
        {"limit", KEY_LIMIT, "N", 0, "at most so many rows (default: as many as the unit gives at once)", 1},
        {0},
    };
    static const struct argp argp = {
        options, parse_list, NULL, "Lists the audit rows of the unit of the configuration, oldest first.",
        NULL,    NULL,       NULL};
    static const char *const columns[] = {"seq",     "time",    "actor",  "action",
                                          "subject", "outcome", "detail", NULL};
    list_query query = {0, 0};
    char path[PATH_SIZE];
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &query, error));
    int size = snprintf(path, sizeof path, "/v1/audit?after=%lld", query.after);
    if (query.limit != 0 && size > 0)
        (void)snprintf(path + size, sizeof path - (size_t)size, "&limit=%lld", query.limit);
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "GET", .path = path}, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    json_t *rows = json_object_get(answer, "rows");
    KF_TRY(add_times(rows, error));
    kf_cli_print_table(rows, columns);
    return KF_OK;
}

kf_code kf_cli_audit(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"list", "list audit rows", list},
        {"verify", "verify a unit's log, or an export", kf_cli_audit_verify},
        {"export", "write the whole log as JSON lines with signed heads", kf_cli_audit_export},
        {"accept", "accept that an older key store or log was put back", kf_cli_audit_accept},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Reads and verifies the audit log of a unit.", argc, argv, error);
}
