/* `keyfill gp`: the table of its subcommands. */
#include "cli/gp.h"

#define GP_ROW(name, text, help) {text, help, kf_gp_run_##name},

kf_code kf_cli_gp(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {KF_GP_COMMANDS(GP_ROW)};
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Manages a card in a reader of this machine with the card's own keys.", argc, argv,
                           error);
}
