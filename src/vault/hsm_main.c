/* keyfill-hsm: started by a monitor, with one end of each socketpair to the vault. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vault/hardening.h"
#include "vault/hsm_serve.h"
#include "vault/passphrase_file.h"

typedef struct hsm_options {
    const char *uri;
    const char *module;
    const char *pin_file;
    const char *officer_pin_file;
    int descriptor;
    size_t connections;
    bool development;
} hsm_options;

enum {
    OPTION_URI = 256,
    OPTION_MODULE,
    OPTION_PIN,
    OPTION_OFFICER_PIN,
    OPTION_DESCRIPTOR,
    OPTION_CONNECTIONS,
    OPTION_DEVELOPMENT,
};

static const struct argp_option option_table[] = {
    {"uri", OPTION_URI, "URI", 0, "the token: pkcs11:token=NAME", 0},
    {"module", OPTION_MODULE, "FILE", 0, "the PKCS#11 module; absent: those that p11-kit knows", 0},
    {"pin-file", OPTION_PIN, "FILE", 0, "the user's PIN; the helper's user's alone", 0},
    {"so-pin-file", OPTION_OFFICER_PIN, "FILE", 0, "the security officer's PIN, for trusted wrapping keys",
     0},
    {"descriptor", OPTION_DESCRIPTOR, "N", 0, "the first of the sockets to the vault", 0},
    {"connections", OPTION_CONNECTIONS, "N", 0, "how many they are", 0},
    {"development", OPTION_DEVELOPMENT, NULL, 0, "take what is for development only", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static int read_number(const struct argp_state *state, const char *name, const char *text, long least,
                       long most)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || number < least || number > most)
        argp_error(state, "--%s is a number from %ld to %ld, not %s", name, least, most, text);
    return (int)number;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    hsm_options *options = state->input;
    switch (key) {
    case OPTION_URI: options->uri = argument; return 0;
    case OPTION_MODULE: options->module = argument; return 0;
    case OPTION_PIN: options->pin_file = argument; return 0;
    case OPTION_OFFICER_PIN: options->officer_pin_file = argument; return 0;
    case OPTION_DESCRIPTOR:
        options->descriptor = read_number(state, "descriptor", argument, 3, 1023);
        return 0;
    case OPTION_CONNECTIONS:
        options->connections = (size_t)read_number(state, "connections", argument, 1, KF_HSM_CONNECTIONS_MAX);
        return 0;
    case OPTION_DEVELOPMENT: options->development = true; return 0;
    case ARGP_KEY_END:
        if (options->uri == NULL || options->pin_file == NULL || options->descriptor < 0 ||
            options->connections == 0)
            argp_error(state, "all of --uri, --pin-file, --descriptor and --connections are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code run(const hsm_options *options, kf_error *error)
{
    static const kf_passphrase_rule rule = {"PIN", 4, 255};
    KF_CLEANUP(kf_secret_free) kf_secret *pin = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *officer_pin = NULL;
    KF_TRY(kf_vault_harden_process(options->development, error));
    KF_TRY(kf_passphrase_file_read(options->pin_file, &rule, &pin, error));
    if (options->officer_pin_file != NULL)
        KF_TRY(kf_passphrase_file_read(options->officer_pin_file, &rule, &officer_pin, error));
    const kf_hsm_token_options token_options = {options->uri, options->module, pin, officer_pin};
    KF_CLEANUP(kf_hsm_token_free) kf_hsm_token *token = NULL;
    KF_TRY(kf_hsm_token_new(&token_options, &token, error));
    return kf_hsm_serve(token, options->descriptor, options->connections, error);
}

int main(int argc, char **argv)
{
    kf_log_start("keyfill-hsm", KF_LOG_INFO);
    hsm_options options = {.descriptor = -1};
    static const struct argp argp = {
        option_table, parse_option, NULL, "Holds the PKCS#11 module for a vault.", NULL, NULL, NULL};
    argp_err_exit_status = KF_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return KF_EXIT_INTERNAL;
    kf_error error = {KF_OK, ""};
    kf_code code = run(&options, &error);
    if (code == KF_OK) return KF_EXIT_OK;
    kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    return code == KF_ERR_MALFORMED ? KF_EXIT_INTERNAL : kf_code_exit_status(code);
}
