#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/cli.h"

#define CLI_ROW(name, text, help) {text, help, kf_cli_##name},
static const kf_cli_command commands[] = {KF_CLI_COMMANDS(CLI_ROW)};
#undef CLI_ROW

int main(int argc, char **argv)
{
    argp_program_version = "keyfill " KEYFILL_VERSION;
    char program[] = "keyfill";
    if (argc > 0) argv[0] = program;
    kf_log_start(program, KF_LOG_WARNING);
    kf_cli cli = {.config_path = getenv("KEYFILL_CONFIG"), .json = false};
    kf_error error = {KF_OK, ""};
    kf_code code =
        kf_cli_dispatch(&cli, commands, sizeof commands / sizeof commands[0],
                        "Loads payment keys into smart cards, renews and clears them.", argc, argv, &error);
    if (code != KF_OK) {
        (void)kf_fail_plain(&error, code);
        (void)fprintf(stderr, "keyfill: %s\n", kf_error_text(&error));
        return kf_code_exit_status(code);
    }
    if (fflush(stdout) != 0) {
        perror("keyfill: standard output");
        return KF_EXIT_INTERNAL;
    }
    return KF_EXIT_OK;
}
