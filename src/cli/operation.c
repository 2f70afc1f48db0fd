#include "cli/plain_request.h"

kf_code kf_cli_operation(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_plain_request plain = {.about = "Asks for an operation by its name, as the key management unit "
                                           "knows it; one that it does not know is "
                                           "refused there.",
                                  .word_name = "OPERATION"};
    return kf_cli_plain_request_run(cli, &plain, argc, argv, error);
}
