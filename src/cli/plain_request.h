/* Operations that take one word at most besides the options of all operations. */
#ifndef KEYFILL_CLI_PLAIN_REQUEST_H
#define KEYFILL_CLI_PLAIN_REQUEST_H

#include "cli/card_request.h"

typedef struct kf_cli_plain_request {
    const char *operation; /* NULL: the word is the operation */
    const char *about;     /* a sentence for --help */
    const char *word_name; /* "MODULE": the word that must be given; NULL: none is taken */
    const char *member;    /* of the request, which gets the word; NULL: none */
    /* Filled in while parsing. */
    const char *word;
    json_t *request;
} kf_cli_plain_request;

kf_code kf_cli_plain_request_run(kf_cli *cli, kf_cli_plain_request *plain, int argc, char **argv,
                                 kf_error *error) KF_MUST_USE;

#endif
