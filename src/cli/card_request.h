/* Operations on the card in the reader: what their subcommands share. */
#ifndef KEYFILL_CLI_CARD_REQUEST_H
#define KEYFILL_CLI_CARD_REQUEST_H

#include "cli/client.h"

/* Options that every operation takes: --category, --order, --pin1. Add kf_cli_request_argp as a child of the
 * subcommand's argp, and give it the request (a JSON object) as its input. */
extern const struct argp kf_cli_request_argp;

/* For parsers: sets a text member. Ends the program where the text is not UTF-8 or memory is short. */
void kf_cli_request_set(const struct argp_state *state, json_t *request, const char *member,
                        const char *text);

/* Sends `request` as operation `operation` to the terminal, and prints its result: for people as sentence,
 * values, and the table of commands sent; with --json as it came. */
kf_code kf_cli_request_run(const kf_cli *cli, const char *operation, json_t *request,
                           kf_error *error) KF_MUST_USE;

#endif
