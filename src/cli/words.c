#include "cli/words.h"

#include <stdio.h>

#define ARGUMENTS_TEXT_SIZE 80

static error_t parse(int key, char *argument, struct argp_state *state)
{
    kf_cli_words *words = state->input;
    size_t index = state->arg_num;
    switch (key) {
    case ARGP_KEY_ARG:
        if (index >= KF_CLI_WORDS_MAX || words->names[index] == NULL)
            kf_cli_usage(state, "'%.40s': %s", argument,
                         words->names[0] != NULL ? "that is one argument too many"
                                                 : "no arguments are taken");
        words->words[index] = argument;
        return 0;
    case ARGP_KEY_END:
        if (index < KF_CLI_WORDS_MAX && words->names[index] != NULL)
            kf_cli_usage(state, "the %s is missing", words->names[index]);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

kf_code kf_cli_words_parse(kf_cli *cli, kf_cli_words *words, int argc, char **argv, kf_error *error)
{
    char arguments[ARGUMENTS_TEXT_SIZE] = "";
    if (words->names[0] != NULL)
        (void)snprintf(arguments, sizeof arguments, "%s%s%s", words->names[0],
                       words->names[1] != NULL ? " " : "", words->names[1] != NULL ? words->names[1] : "");
    const struct argp argp = {NULL, parse, words->names[0] != NULL ? arguments : NULL, words->about, NULL,
                              NULL, NULL};
    return kf_cli_parse(cli, &argp, argc, argv, words, error);
}
