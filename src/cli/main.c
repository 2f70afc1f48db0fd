#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/client.h"
#include "wire/json.h"

#define PROBLEM_TYPE_SIZE 96

#define CLI_ROW(name, text, help) {text, help, kf_cli_##name},
static const kf_cli_command commands[] = {KF_CLI_COMMANDS(CLI_ROW)};
#undef CLI_ROW

/* For programs the same problem document that a unit gives (docs/messages.md). */
static void print_failure(const kf_cli *cli, const kf_error *error)
{
    (void)fprintf(stderr, "keyfill: %s\n", kf_error_text(error));
    if (!cli->json) return;
    char type[PROBLEM_TYPE_SIZE];
    (void)snprintf(type, sizeof type, "urn:keyfill:error:%s", kf_code_name(error->code));
    KF_CLEANUP(kf_json_free)
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s}", "type", type, "title", kf_code_meaning(error->code),
                                "status", kf_code_http_status(error->code), "detail", kf_error_text(error));
    kf_code code = problem != NULL ? kf_cli_print_json(problem, NULL) : KF_ERR_MALFORMED;
    if (code != KF_OK) (void)fprintf(stderr, "keyfill: the problem cannot be written as JSON\n");
}

int main(int argc, char **argv)
{
    argp_program_version = "keyfill " KEYFILL_VERSION;
    char program[] = "keyfill";
    if (argc > 0) argv[0] = program;
    kf_log_start(program, KF_LOG_WARNING);
    kf_json_wipe_memory();
    kf_cli cli = {.config_path = getenv("KEYFILL_CONFIG"), .json = false};
    kf_error error = {KF_OK, ""};
    kf_code code =
        kf_cli_dispatch(&cli, commands, sizeof commands / sizeof commands[0],
                        "Loads payment keys into smart cards, renews and clears them.", argc, argv, &error);
    if (code != KF_OK) {
        (void)kf_fail_plain(&error, code);
        print_failure(&cli, &error);
        return kf_code_exit_status(code);
    }
    if (fflush(stdout) != 0) {
        perror("keyfill: standard output");
        return KF_EXIT_INTERNAL;
    }
    return KF_EXIT_OK;
}
