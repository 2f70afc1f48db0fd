#include "cli/plain_request.h"

kf_code kf_cli_refill(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_plain_request plain = {.operation = "refill",
                                  .about = "Replaces the payment key of the card in the reader by the next "
                                           "generation, once the card has proven "
                                           "the present one."};
    return kf_cli_plain_request_run(cli, &plain, argc, argv, error);
}
