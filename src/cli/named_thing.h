/* What a unit keeps under a name, one route a kind: GET /v1/KIND, PUT and DELETE /v1/KIND/NAME. */
#ifndef KEYFILL_CLI_NAMED_THING_H
#define KEYFILL_CLI_NAMED_THING_H

#include <keyfill/bytes.h>

#include "cli/client.h"

typedef struct kf_cli_named_thing {
    const char *method;
    const char *kind; /* as in the route: "modules" */
    const char *name;
    const json_t *body; /* NULL: none; stays the caller's */
} kf_cli_named_thing;

/* One call about one of them; prints the answer with --json, else a line: `done` is what was done to it. */
kf_code kf_cli_named_thing_call(const kf_cli *cli, const kf_cli_named_thing *thing, const char *done,
                                kf_error *error) KF_MUST_USE;
/* Puts a YAML text, as {"text": …}. */
kf_code kf_cli_named_thing_put_text(const kf_cli *cli, const char *kind, const char *name, kf_buffer *text,
                                    kf_error *error) KF_MUST_USE;
/* The list as it came; the caller frees. With --json it is printed, and `*ret_list` is NULL. */
kf_code kf_cli_named_thing_list(const kf_cli *cli, const char *kind, json_t **ret_list,
                                kf_error *error) KF_MUST_USE;

#endif
