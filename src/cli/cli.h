/* The program `keyfill`: one table of subcommands, one file a subcommand.
 *
 * To add a subcommand NAME: write src/cli/NAME.c with the function kf_cli_NAME (a dash in the name is an
 * underscore in C), name the file in src/cli/meson.build, and add one line to KF_CLI_COMMANDS below. A
 * subcommand parses its arguments by kf_cli_parse, which adds the common options, and returns a kf_code with
 * its sentence in `error`; main prints it and makes the exit status of it. A subcommand with actions of its
 * own (`key transport create`) hands a table of the same form to kf_cli_dispatch.
 */
#ifndef KEYFILL_CLI_CLI_H
#define KEYFILL_CLI_CLI_H

#include <argp.h>
#include <stddef.h>

#include <keyfill/error.h>

/* X(name in C, name on the command line, one-line help) */
#define KF_CLI_COMMANDS(X)                                                                                   \
    X(card, "card", "show the card in the reader and what is recorded of it")                                \
    X(fill, "fill", "write a payment key and personalisation data to a card")                                \
    X(refill, "refill", "replace the payment key of a filled card by a new generation")                      \
    X(refill_list, "refill-list", "write which cards still have a key of a base key's version")              \
    X(clear, "clear", "delete payment key and personalisation data from a card")                             \
    X(app, "app", "load, list or delete application modules on a card")                                      \
    X(gp, "gp", "manage a card in a reader here with its own keys")                                          \
    X(category, "category", "manage card categories at the key management unit")                             \
    X(profile, "profile", "manage profiles at the key management unit, check one here")                      \
    X(module, "module", "manage application modules at the key management unit")                             \
    X(audit, "audit", "read and verify the audit log of a unit")                                             \
    X(pki, "pki", "a private certificate authority: make it, issue, revoke, show")                           \
    X(key, "key", "base keys: make, enter, list, send, back up")                                             \
    X(officer, "officer", "the keys with which officers sign")                                               \
    X(roster, "roster", "who the officers of a unit are")                                                    \
    X(proposal, "proposal", "acts that one officer proposes and others approve")                             \
    X(operation, "operation", "ask for an operation by its name")                                            \
    X(kmu_host, "kmu-host", "register hosts at the key management unit, with what they may ask for")         \
    X(terminal, "terminal", "enrol terminals and manage them at the issuing host")                           \
    X(number, "number", "manage the numbers that the issuing host gives out")                                \
    X(order, "order", "manage the orders at the issuing host")

/* What the common options said. */
typedef struct kf_cli {
    const char *config_path; /* --config, else $KEYFILL_CONFIG, else NULL: see kf_cli_config */
    bool json;               /* --json: print the answer as it came, for programs */
} kf_cli;

/* argv[0] is the whole command so far ("keyfill key transport"), for usage messages. */
typedef kf_code (*kf_cli_function)(kf_cli *cli, int argc, char **argv, kf_error *error);

typedef struct kf_cli_command {
    const char *name;
    const char *help;
    kf_cli_function run;
} kf_cli_command;

#define KF_CLI_DECLARE(name, text, help) kf_code kf_cli_##name(kf_cli *, int, char **, kf_error *);
KF_CLI_COMMANDS(KF_CLI_DECLARE)
#undef KF_CLI_DECLARE

/* Reads the common options up to the first word, and runs the command of that name with the rest. Without a
 * word, or with an unknown one: KF_ERR_USAGE, which lists the names. `--help` lists them with their help and
 * exits. `about` is one sentence for the help. */
kf_code kf_cli_dispatch(kf_cli *cli, const kf_cli_command *commands, size_t count, const char *about,
                        int argc, char **argv, kf_error *error) KF_MUST_USE;

/* argp_parse with the common options added. `argp` describes the command's own options and arguments; its
 * parser finds `input` in state->input. A parser reports what is wrong by kf_cli_usage. */
kf_code kf_cli_parse(kf_cli *cli, const struct argp *argp, int argc, char **argv, void *input,
                     kf_error *error) KF_MUST_USE;
/* For parsers: prints the sentence and how to get help, and exits with KF_EXIT_USAGE. */
void kf_cli_usage(const struct argp_state *state, const char *format, ...) KF_PRINTF(2, 3)
    __attribute__((noreturn));

#endif
