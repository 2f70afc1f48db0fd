/* A command that takes words only, no options of its own. */
#ifndef KEYFILL_CLI_WORDS_H
#define KEYFILL_CLI_WORDS_H

#include "cli/cli.h"

#define KF_CLI_WORDS_MAX 2

typedef struct kf_cli_words {
    const char *about; /* one sentence for the help */
    const char
        *names[KF_CLI_WORDS_MAX]; /* what each word is, in order; NULL: no more. All of them are needed */
    const char *words[KF_CLI_WORDS_MAX]; /* as given; they stand in argv */
} kf_cli_words;

/* kf_cli_parse; sets `words`. */
kf_code kf_cli_words_parse(kf_cli *cli, kf_cli_words *words, int argc, char **argv,
                           kf_error *error) KF_MUST_USE;

#endif
