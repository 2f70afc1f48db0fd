#include "cli/plain_request.h"

kf_code kf_cli_clear(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_plain_request plain = {.operation = "clear",
                                  .about = "Deletes payment key and personalisation data from the card in "
                                           "the reader, once the card has proven "
                                           "the key. A blank card stays as it is."};
    return kf_cli_plain_request_run(cli, &plain, argc, argv, error);
}
