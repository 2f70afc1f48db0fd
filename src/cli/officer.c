#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/key.h"
#include "cli/officer_key.h"
#include "crypto/signing_key.h"
#include "wire/json.h"

#define PASSPHRASE_MIN 12 /* bytes */

typedef struct new_officer {
    const char *name;
    const char *file;
    const char *passphrase_file;
} new_officer;

enum { NEW_PASSPHRASE_FILE = 4200, NEW_FILE };

static const struct argp_option new_options[] = {
    {"out", NEW_FILE, "FILE", 0, "where the key goes (default: NAME.officer)", 1},
    {"officer-passphrase-file", NEW_PASSPHRASE_FILE, "FILE", 0,
     "the passphrase that seals it (-: a line of standard input); default: typed twice", 1},
    {0},
};

static error_t parse_new(int key, char *argument, struct argp_state *state)
{
    new_officer *officer = state->input;
    switch (key) {
    case NEW_FILE: officer->file = argument; return 0;
    case NEW_PASSPHRASE_FILE: officer->passphrase_file = argument; return 0;
    case ARGP_KEY_ARG:
        if (officer->name != NULL) kf_cli_usage(state, "'%.40s': one NAME is wanted", argument);
        officer->name = argument;
        return 0;
    case ARGP_KEY_END:
        if (officer->name == NULL) kf_cli_usage(state, "the NAME is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code read_passphrase(const new_officer *officer, kf_secret **ret_passphrase, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *first = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *second = NULL;
    KF_TRY(kf_cli_secret_line(officer->passphrase_file, "passphrase of the new key", &first, error));
    if (kf_secret_size(first) < PASSPHRASE_MIN)
        return kf_fail(error, KF_ERR_USAGE, "the passphrase has %zu bytes: take %d or more",
                       kf_secret_size(first), PASSPHRASE_MIN);
    if (officer->passphrase_file == NULL) {
        KF_TRY(kf_cli_secret_line(NULL, "the same again", &second, error));
        if (!kf_secret_equal(first, second))
            return kf_fail(error, KF_ERR_USAGE, "the two differ: nothing was made");
    }
    *ret_passphrase = first;
    first = NULL; /* the caller owns it now */
    return KF_OK;
}

static kf_code make_key(const kf_secret *passphrase, kf_buffer *pem, kf_officer *officer)
{
    KF_CLEANUP(kf_private_key_free) kf_private_key *key = NULL;
    KF_CLEANUP(kf_public_key_free) kf_public_key *public_key = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer spki = kf_buffer_with_limit(KF_OFFICER_KEY_MAX);
    KF_TRY(kf_signing_key_new(&key));
    KF_TRY(kf_signing_key_write(key, passphrase, pem));
    KF_TRY(kf_public_key_of(key, &public_key));
    KF_TRY(kf_signing_public_write(public_key, &spki));
    memcpy(officer->key, spki.data, spki.size);
    officer->key_size = spki.size;
    return KF_OK;
}

/* What goes into the roster. `file` NULL: the key was there before. */
static kf_code print_officer(const kf_cli *cli, const kf_officer *officer, const char *file, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer line = KF_BUFFER_INIT;
    kf_officer_line(officer, &line);
    const char *text = kf_buffer_text(&line);
    if (text == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_officer_fingerprint fingerprint = kf_officer_fingerprint_of(officer);
    if (!cli->json) {
        if (file != NULL) (void)fprintf(stderr, "keyfill: the key is in %s\n", file);
        (void)fprintf(stderr,
                      "keyfill: its fingerprint is %s\n"
                      "keyfill: this line goes into the founding roster, or to an officer who proposes it:\n",
                      fingerprint.text);
        printf("%s\n", text);
        return KF_OK;
    }
    KF_CLEANUP(kf_json_free)
    json_t *shown = json_pack("{s:s, s:s*, s:s, s:s}", "name", officer->name, "file", file, "line", text,
                              "fingerprint", fingerprint.text);
    if (shown == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    return kf_cli_print_json(shown, error);
}

static kf_code officer_new(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    const struct argp argp = {
        new_options,
        parse_new,
        "NAME",
        "Makes an officer's own key, sealed under a passphrase, and prints the line for "
        "the roster. Asks no unit.",
        NULL,
        NULL,
        NULL};
    new_officer wanted = {.name = NULL};
    kf_officer officer;
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer pem = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer own_file = KF_BUFFER_INIT;
    memset(&officer, 0, sizeof officer);
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &wanted, error));
    KF_TRY(kf_category_check(wanted.name, error));
    memcpy(officer.name, wanted.name, strlen(wanted.name) + 1);
    kf_buffer_format(&own_file, "%s.officer", wanted.name);
    const char *file = wanted.file != NULL ? wanted.file : kf_buffer_text(&own_file);
    if (file == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (access(file, F_OK) == 0)
        return kf_fail(error, KF_ERR_FILE, "%s exists: a key is not written over another", file);
    KF_TRY(read_passphrase(&wanted, &passphrase, error));
    KF_TRY(kf_fail_plain(error, make_key(passphrase, &pem, &officer)));
    KF_TRY(kf_file_replace(file, kf_buffer_view(&pem), 0600, error));
    return print_officer(cli, &officer, file, error);
}

static error_t parse_show(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    if (key != ARGP_KEY_INIT) return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

static kf_code officer_show(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_child children[] = {{&kf_cli_officer_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        NULL,
        parse_show,
        NULL,
        "Prints the roster's line of a key that is there, in a file or on a PKCS#11 token. "
        "Asks no unit.",
        children,
        NULL,
        NULL};
    kf_cli_officer_options options = {.key = NULL};
    KF_CLEANUP(kf_cli_signer_clear) kf_cli_signer signer = {.key = NULL};
    kf_officer officer;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &options, error));
    KF_TRY(kf_cli_signer_find(cli, &options, &signer, error));
    if (signer.key == NULL) return kf_fail(error, KF_ERR_USAGE, "--officer-key is missing");
    KF_TRY(kf_cli_signer_public(&signer, &officer, error));
    return print_officer(cli, &officer, NULL, error);
}

kf_code kf_cli_officer(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"new", "make an officer's own key", officer_new},
        {"show", "print the roster's line of one that is there", officer_show},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "The keys with which officers sign. keyfill roster has who they are.", argc, argv,
                           error);
}
