#include "cli/permit.h"

#include <string.h>

typedef struct permit_words {
    const kf_cli_permit_usage *usage;
    kf_cli_permit *permit;
} permit_words;

static bool takes_name(const kf_cli_permit_usage *usage)
{
    return strcmp(usage->arguments, "FILE") != 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    permit_words *words = state->input;
    kf_cli_permit *permit = words->permit;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &permit->officer; return 0;
    case ARGP_KEY_ARG:
        if (takes_name(words->usage) && permit->name == NULL)
            permit->name = argument;
        else if (permit->file == NULL)
            permit->file = argument;
        else
            kf_cli_usage(state, "'%.40s': that is one argument too many", argument);
        return 0;
    case ARGP_KEY_END:
        if (permit->file == NULL) kf_cli_usage(state, "%s: something is missing", words->usage->arguments);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

kf_code kf_cli_permit_parse(kf_cli *cli, const kf_cli_permit_usage *usage, int argc, char **argv,
                            kf_cli_permit *ret_permit, kf_error *error)
{
    static const struct argp_child children[] = {{&kf_cli_officer_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {NULL, parse, usage->arguments, usage->about, children, NULL, NULL};
    kf_cli_permit permit;
    memset(&permit, 0, sizeof permit);
    permit_words words = {usage, &permit};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &words, error));
    permit.permit.kind = usage->kind;
    permit.permit.allowed = usage->allowed;
    *ret_permit = permit;
    return KF_OK;
}

kf_code kf_cli_permit_propose(const kf_cli *cli, const kf_cli_permit *permit, kf_error *error)
{
    kf_proposal_act act;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_PERMIT;
    act.permit = permit->permit;
    return kf_cli_propose_and_print(cli, &permit->officer, &act, error);
}
