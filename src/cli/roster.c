#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/proposal.h"
#include "cli/words.h"
#include "wire/json.h"

static kf_code fetch_roster(const kf_cli *cli, json_t **ret_answer, kf_error *error)
{
    const kf_cli_call call = {.method = "GET", .path = "/v1/roster"};
    return kf_cli_call_unit(cli, &call, ret_answer, error);
}

static kf_code roster_show(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Shows the officers, the quorums, and what they permitted."};
    static const char *const officer_columns[] = {"name", "fingerprint", "key", NULL};
    static const char *const permit_columns[] = {"kind", "name", "digest", NULL};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    KF_TRY(fetch_roster(cli, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    if (!json_is_true(json_object_get(answer, "present"))) {
        printf("this vault has no roster\n");
        return KF_OK;
    }
    printf("revision %" JSON_INTEGER_FORMAT "; acts on keys, profiles and modules take %" JSON_INTEGER_FORMAT
           " officers, changes of the roster %" JSON_INTEGER_FORMAT "\n\n",
           json_integer_value(json_object_get(answer, "revision")),
           json_integer_value(json_object_get(answer, "quorum_keys")),
           json_integer_value(json_object_get(answer, "quorum_roster")));
    kf_cli_print_table(json_object_get(answer, "officers"), officer_columns);
    if (json_array_size(json_object_get(answer, "permits")) == 0) return KF_OK;
    printf("\n");
    kf_cli_print_table(json_object_get(answer, "permits"), permit_columns);
    return KF_OK;
}

/* One command that proposes a change: its words and how they become the change. */
typedef struct roster_command {
    const char *arguments;
    size_t word_count;
    const char *about;
    kf_roster_act act;
} roster_command;

#define ROSTER_WORDS_MAX 2

typedef struct roster_words {
    const roster_command *command;
    const char *words[ROSTER_WORDS_MAX];
    kf_cli_officer_options officer;
} roster_words;

static error_t parse(int key, char *argument, struct argp_state *state)
{
    roster_words *words = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &words->officer; return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num >= words->command->word_count)
            kf_cli_usage(state, "'%.40s': that is one argument too many", argument);
        words->words[state->arg_num] = argument;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < words->command->word_count)
            kf_cli_usage(state, "%s: something is missing", words->command->arguments);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code read_quorum(const char *text, uint8_t *ret_quorum, kf_error *error)
{
    if (text[0] < '0' + KF_QUORUM_MIN || text[0] > '0' + KF_QUORUM_MAX || text[1] != '\0')
        return kf_fail(error, KF_ERR_USAGE, "a quorum of '%.20s': take %d to %d", text, KF_QUORUM_MIN,
                       KF_QUORUM_MAX);
    *ret_quorum = (uint8_t)(text[0] - '0');
    return KF_OK;
}

static kf_code make_change(const roster_words *words, kf_roster_change *change, kf_error *error)
{
    const char *first = words->words[0];
    change->act = words->command->act;
    switch (change->act) {
    case KF_ROSTER_ADD:
    case KF_ROSTER_REPLACE_KEY: {
        KF_CLEANUP(kf_buffer_clear) kf_buffer line = KF_BUFFER_INIT;
        kf_buffer_format(&line, "officer %s %s", first, words->words[1]);
        KF_TRY(kf_fail_plain(error, kf_buffer_status(&line)));
        return kf_officer_parse(kf_buffer_view(&line), &change->officer, error);
    }
    case KF_ROSTER_REMOVE:
        KF_TRY(kf_category_check(first, error));
        memcpy(change->officer.name, first, strlen(first) + 1);
        return KF_OK;
    case KF_ROSTER_QUORUM:
        KF_TRY(read_quorum(first, &change->quorum_keys, error));
        return read_quorum(words->words[1], &change->quorum_roster, error);
    }
    return kf_fail_plain(error, KF_ERR_INTERNAL);
}

static kf_code propose(kf_cli *cli, const roster_command *command, int argc, char **argv, kf_error *error)
{
    static const struct argp_child children[] = {{&kf_cli_officer_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {NULL, parse, command->arguments, command->about, children, NULL, NULL};
    roster_words words = {.command = command};
    KF_CLEANUP(kf_json_free) json_t *roster = NULL;
    kf_proposal_act act;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_ROSTER;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &words, error));
    KF_TRY(make_change(&words, &act.roster, error));
    KF_TRY(fetch_roster(cli, &roster, error));
    act.roster.base = (uint64_t)json_integer_value(json_object_get(roster, "revision"));
    return kf_cli_propose_and_print(cli, &words.officer, &act, error);
}

static kf_code propose_add(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const roster_command command = {
        "NAME KEY", 2,
        "Proposes NAME as an officer; KEY is the last word of the line that the officer's program "
        "printed. Compare the fingerprint with the officer.",
        KF_ROSTER_ADD};
    return propose(cli, &command, argc, argv, error);
}

static kf_code propose_remove(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const roster_command command = {"NAME", 1, "Proposes that NAME is an officer no longer.",
                                           KF_ROSTER_REMOVE};
    return propose(cli, &command, argc, argv, error);
}

static kf_code propose_key(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const roster_command command = {"NAME KEY", 2, "Proposes another key of officer NAME.",
                                           KF_ROSTER_REPLACE_KEY};
    return propose(cli, &command, argc, argv, error);
}

static kf_code propose_quorum(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const roster_command command = {
        "KEYS ROSTER", 2,
        "Proposes how many officers acts on keys, profiles and modules take, and changes of the roster.",
        KF_ROSTER_QUORUM};
    return propose(cli, &command, argc, argv, error);
}

kf_code kf_cli_roster(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"show", "show officers, quorums and permits", roster_show},
        {"propose-add", "propose a new officer", propose_add},
        {"propose-remove", "propose to take an officer off", propose_remove},
        {"propose-key", "propose another key of an officer", propose_key},
        {"propose-quorum", "propose other quorums", propose_quorum},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Who the officers of a unit are; its vault keeps the roster sealed with the keys.",
                           argc, argv, error);
}
