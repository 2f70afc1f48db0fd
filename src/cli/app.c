#include "cli/plain_request.h"

static kf_code app_load(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_plain_request plain = {
        .operation = "app-load",
        .about = "Loads and installs a module that is registered at the key management unit.",
        .word_name = "MODULE",
        .member = "module"};
    return kf_cli_plain_request_run(cli, &plain, argc, argv, error);
}

static kf_code app_list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_plain_request plain = {.operation = "app-list",
                                  .about = "Lists what is on the card in the reader."};
    return kf_cli_plain_request_run(cli, &plain, argc, argv, error);
}

static kf_code app_delete(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_plain_request plain = {
        .operation = "app-delete",
        .about = "Deletes a registered module and its applications from the card in the reader.",
        .word_name = "MODULE",
        .member = "module"};
    return kf_cli_plain_request_run(cli, &plain, argc, argv, error);
}

kf_code kf_cli_app(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"load", "load and install a registered module", app_load},
        {"list", "list security domains, applications and load files", app_list},
        {"delete", "delete a registered module", app_delete},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Manages application modules on the card in the reader.", argc, argv, error);
}
