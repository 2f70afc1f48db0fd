#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/bytes.h>

#define COMMAND_NAME_SIZE 80 /* "keyfill key transport create" and the like */
#define KEY_JSON 1000
#define KEY_CONFIG 1001

static const struct argp_option common_options[] = {
    {"config", KEY_CONFIG, "FILE", 0,
     "client configuration (default: $KEYFILL_CONFIG, else /etc/keyfill/client.yaml)", 90},
    {"json", KEY_JSON, NULL, 0, "print JSON", 90},
    {0},
};

/* What the parsers of this file share: the common options, and the input of the command's own parser. */
typedef struct parse_input {
    kf_cli *cli;
    bool has_child; /* a command's own parser, whose input this is: */
    void *own_input;
    const char *word_of_command; /* dispatch: the first word, where it stands and how many follow */
    int word_index;
} parse_input;

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
    parse_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        if (input->has_child) state->child_inputs[0] = input->own_input;
        return 0;
    case KEY_CONFIG: input->cli->config_path = argument; return 0;
    case KEY_JSON: input->cli->json = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

void kf_cli_usage(const struct argp_state *state, const char *format, ...)
{
    char message[KF_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0) message[0] = '\0';
    va_end(arguments);
    argp_error(state, "%s", message);
    exit(KF_EXIT_USAGE);
}

kf_code kf_cli_parse(kf_cli *cli, const struct argp *argp, int argc, char **argv, void *input,
                     kf_error *error)
{
    argp_err_exit_status = KF_EXIT_USAGE;
    const struct argp_child children[] = {{argp, 0, NULL, 0}, {0}};
    const struct argp with_common = {common_options, parse_common, NULL, NULL, children, NULL, NULL};
    parse_input inputs = {.cli = cli, .has_child = true, .own_input = input};
    error_t failure = argp_parse(&with_common, argc, argv, 0, NULL, &inputs);
    if (failure != 0)
        return kf_fail(error, KF_ERR_USAGE, "the arguments cannot be parsed: %s", strerror(failure));
    return KF_OK;
}

static error_t parse_to_word(int key, char *argument, struct argp_state *state)
{
    parse_input *input = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        /* What follows belongs to the command. */
        input->word_of_command = argument;
        input->word_index = state->next - 1;
        state->next = state->argc;
        return 0;
    default: return parse_common(key, argument, state);
    }
}

static void append_names(kf_buffer *text, const kf_cli_command *commands, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0) kf_buffer_append_text(text, ", ");
        kf_buffer_append_text(text, commands[i].name);
    }
}

/* For argp's `doc`: what stands behind the vertical tab is printed after the options. */
static void append_help(kf_buffer *text, const char *about, const kf_cli_command *commands, size_t count)
{
    kf_buffer_format(text, "%s\vCommands:\n", about);
    for (size_t i = 0; i < count; i++)
        kf_buffer_format(text, "  %-16s %s\n", commands[i].name, commands[i].help);
    kf_buffer_append_text(text, "\nEach command has its own --help.");
}

static const kf_cli_command *command_named(const kf_cli_command *commands, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

kf_code kf_cli_dispatch(kf_cli *cli, const kf_cli_command *commands, size_t count, const char *about,
                        int argc, char **argv, kf_error *error)
{
    argp_err_exit_status = KF_EXIT_USAGE;
    KF_CLEANUP(kf_buffer_clear) kf_buffer help = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer names = KF_BUFFER_INIT;
    append_help(&help, about, commands, count);
    append_names(&names, commands, count);
    const char *help_text = kf_buffer_text(&help);
    const char *name_list = kf_buffer_text(&names);
    if (help_text == NULL || name_list == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);

    const struct argp argp = {common_options, parse_to_word, "COMMAND [OPTION...]", help_text, NULL,
                              NULL,           NULL};
    parse_input input = {.cli = cli};
    error_t failure = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &input);
    if (failure != 0)
        return kf_fail(error, KF_ERR_USAGE, "the arguments cannot be parsed: %s", strerror(failure));
    if (input.word_of_command == NULL)
        return kf_fail(error, KF_ERR_USAGE, "a command is missing behind '%s'; it is one of: %s (see --help)",
                       argv[0], name_list);
    const kf_cli_command *command = command_named(commands, count, input.word_of_command);
    if (command == NULL)
        return kf_fail(error, KF_ERR_USAGE, "there is no command '%s %.40s'; it is one of: %s (see --help)",
                       argv[0], input.word_of_command, name_list);

    char whole_name[COMMAND_NAME_SIZE];
    (void)snprintf(whole_name, sizeof whole_name, "%s %s", argv[0], command->name);
    char **rest = argv + input.word_index;
    rest[0] = whole_name;
    return command->run(cli, argc - input.word_index, rest, error);
}
