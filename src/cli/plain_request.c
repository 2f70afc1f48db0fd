#include "cli/plain_request.h"

#include "wire/json.h"

static error_t parse_plain(int key, char *argument, struct argp_state *state)
{
    kf_cli_plain_request *plain = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = plain->request; return 0;
    case ARGP_KEY_ARG:
        if (plain->word_name == NULL) kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
        if (plain->word != NULL) kf_cli_usage(state, "'%.40s': one %s is wanted", argument, plain->word_name);
        plain->word = argument;
        return 0;
    case ARGP_KEY_END:
        if (plain->word_name != NULL && plain->word == NULL)
            kf_cli_usage(state, "the %s is missing", plain->word_name);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

kf_code kf_cli_plain_request_run(kf_cli *cli, kf_cli_plain_request *plain, int argc, char **argv,
                                 kf_error *error)
{
    static const struct argp_child children[] = {{&kf_cli_request_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {NULL, parse_plain, plain->word_name, plain->about, children, NULL, NULL};
    KF_CLEANUP(kf_json_free) json_t *request = json_object();
    if (request == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    plain->request = request;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, plain, error));
    if (plain->word != NULL && plain->member != NULL &&
        kf_json_set_text(request, plain->member, plain->word) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "the %s '%.80s' is not UTF-8 text", plain->word_name,
                       plain->word);
    return kf_cli_request_run(cli, plain->operation != NULL ? plain->operation : plain->word, request, error);
}
