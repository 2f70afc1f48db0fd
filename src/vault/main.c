/* keyfill-vault: started by a monitor, with one end of a socketpair. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <keyfill/hex.h>

#include "base/file.h"
#include "base/log.h"
#include "vault/derivation_cap.h"
#include "vault/hardening.h"
#include "vault/key_custody_token.h"
#include "vault/passphrase_file.h"
#include "vault/roster_file.h"
#include "vault/serve_threads.h"
#include "vault/vault.h"

#define PASSPHRASE_MIN 12 /* bytes */

typedef struct vault_options {
    kf_vault_unit unit;
    const char *directory;
    const char *passphrase_file;
    const char *roster; /* NULL: none is named */
    int descriptor;
    int hsm_descriptor;   /* -1: none */
    uint32_t derivations; /* a minute */
    bool development;
} vault_options;

enum {
    OPTION_UNIT = 256,
    OPTION_DIRECTORY,
    OPTION_PASSPHRASE,
    OPTION_ROSTER,
    OPTION_DESCRIPTOR,
    OPTION_HSM_DESCRIPTOR,
    OPTION_DERIVATIONS,
    OPTION_DEVELOPMENT
};

static const struct argp_option option_table[] = {
    {"unit", OPTION_UNIT, "UNIT", 0, "kmu or bkmu", 0},
    {"directory", OPTION_DIRECTORY, "DIR", 0, "where the key files are; the vault's user's alone", 0},
    {"passphrase-file", OPTION_PASSPHRASE, "FILE", 0, "what opens them; the vault's user's alone", 0},
    {"roster", OPTION_ROSTER, "FILE", 0, "the founding roster, read while there is none", 0},
    {"descriptor", OPTION_DESCRIPTOR, "N", 0, "the socket to the front", 0},
    {"hsm-descriptor", OPTION_HSM_DESCRIPTOR, "N", 0,
     "the socket over which connections to keyfill-hsm come; absent: base keys are in the key files", 0},
    {"derivations-per-minute", OPTION_DERIVATIONS, "N", 0, "card keys derived in a minute (120000)", 0},
    {"development", OPTION_DEVELOPMENT, NULL, 0, "take what is for development only", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static int read_descriptor(const struct argp_state *state, const char *name, const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || number < 3 || number > 1023)
        argp_error(state, "--%s is a number from 3 to 1023, not %s", name, text);
    return (int)number;
}

static uint32_t read_derivations(const struct argp_state *state, const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || number < (long)KF_DERIVATIONS_MIN ||
        number > (long)KF_DERIVATIONS_MAX)
        argp_error(state, "--derivations-per-minute is a number from %u to %u, not %s", KF_DERIVATIONS_MIN,
                   KF_DERIVATIONS_MAX, text);
    return (uint32_t)number;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    vault_options *options = state->input;
    switch (key) {
    case OPTION_UNIT:
        if (strcmp(argument, "kmu") != 0 && strcmp(argument, "bkmu") != 0)
            argp_error(state, "--unit is kmu or bkmu, not %s", argument);
        options->unit = argument[0] == 'k' ? KF_VAULT_KMU : KF_VAULT_BKMU;
        return 0;
    case OPTION_DIRECTORY: options->directory = argument; return 0;
    case OPTION_PASSPHRASE: options->passphrase_file = argument; return 0;
    case OPTION_ROSTER: options->roster = argument; return 0;
    case OPTION_DESCRIPTOR: options->descriptor = read_descriptor(state, "descriptor", argument); return 0;
    case OPTION_HSM_DESCRIPTOR:
        options->hsm_descriptor = read_descriptor(state, "hsm-descriptor", argument);
        return 0;
    case OPTION_DERIVATIONS: options->derivations = read_derivations(state, argument); return 0;
    case OPTION_DEVELOPMENT: options->development = true; return 0;
    case ARGP_KEY_END:
        if (options->unit == 0 || options->directory == NULL || options->passphrase_file == NULL ||
            options->descriptor < 0)
            argp_error(state, "all of --unit, --directory, --passphrase-file and --descriptor are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code publish(const vault_options *options, const char *name, kf_view key, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_format(&path, "%s/%s", options->directory, name);
    kf_buffer_append_hex(&text, key);
    kf_buffer_append_u8(&text, '\n');
    const char *file = kf_buffer_text(&path);
    if (file == NULL || kf_buffer_status(&text) != KF_OK) return kf_fail_plain(error, KF_ERR_MEMORY);
    return kf_file_replace(file, kf_buffer_view(&text), 0644, error);
}

/* For officers who seal to the one, and whoever verifies heads of the audit log with the other: to be
 * compared with what the unit says over the network. */
static kf_code publish_keys(const vault_options *options, const kf_key_store *keys, kf_error *error)
{
    kf_view box = kf_view_of(kf_key_store_box_public(keys), KF_BOX_PUBLIC_SIZE);
    uint8_t audit[KF_ED25519_PUBLIC_SIZE];
    char box_text[2 * KF_BOX_PUBLIC_SIZE + 1];
    KF_TRY(kf_fail_plain(error, kf_ed25519_public(kf_key_store_audit_seed(keys), audit)));
    KF_TRY(kf_fail_plain(error, kf_hex_encode(box, box_text, sizeof box_text)));
    kf_log(KF_LOG_INFO, "public key %s, key store revision %llu", box_text,
           (unsigned long long)kf_key_store_revision(keys));
    KF_TRY(publish(options, "vault.pub", box, error));
    return publish(options, "vault.audit.pub", KF_VIEW(audit), error);
}

/* `custody` outlives the vault; NULL: memory. */
static kf_code open_vault(const vault_options *options, const kf_key_custody *custody, kf_vault **ret_vault,
                          kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_CLEANUP(kf_key_slots_close) kf_key_slots slots = {{-1, -1}};
    KF_CLEANUP(kf_key_store_free) kf_key_store *keys = NULL;
    KF_TRY(kf_key_slots_open(options->directory, &slots, error));
    static const kf_passphrase_rule rule = {"passphrase", PASSPHRASE_MIN, KF_PASSPHRASE_FILE_MAX};
    KF_TRY(kf_passphrase_file_read(options->passphrase_file, &rule, &passphrase, error));
    const kf_key_store_terms terms = {passphrase, KF_PASSPHRASE_COST_DEFAULT, custody};
    KF_TRY(kf_key_store_open_with(&slots, &terms, &keys, error));
    kf_derivation_cap *cap = NULL;
    KF_TRY(kf_derivation_cap_new(options->derivations, NULL, &cap, error));
    kf_key_store_cap_derivations(keys, cap);
    KF_TRY(kf_vault_read_founding_roster(options->roster, keys, error));
    KF_CLEANUP(kf_receipt_journal_free) kf_receipt_journal *receipts = NULL;
    KF_TRY(kf_receipt_journal_open(options->directory, &receipts, error));
    KF_TRY(publish_keys(options, keys, error));
    KF_TRY(kf_vault_new(options->unit, keys, options->development, NULL, ret_vault, error));
    keys = NULL;
    kf_vault_keep_receipts(*ret_vault, receipts);
    receipts = NULL;
    return KF_OK;
}

static kf_code run(const vault_options *options, kf_error *error)
{
    KF_TRY(kf_vault_harden_process(options->development, error));
    KF_TRY(kf_vault_warm_up(error));
    struct stat found;
    if (fstat(options->descriptor, &found) != 0 || !S_ISSOCK(found.st_mode))
        return kf_fail(error, KF_ERR_USAGE,
                       "descriptor %d is no socket: the vault is started by keyfill-kmud or keyfill-bkmd",
                       options->descriptor);
    const kf_vault_files files = {options->directory, options->passphrase_file, options->roster};
    KF_TRY(kf_vault_keep_files(&files, error));
    KF_CLEANUP(kf_hsm_client_free) kf_hsm_client *client = NULL;
    kf_key_custody custody;
    if (options->hsm_descriptor >= 0) {
        KF_TRY(kf_hsm_client_new(options->hsm_descriptor, &client, error));
        custody = kf_key_custody_token(client);
    }
    KF_CLEANUP(kf_vault_free) kf_vault *vault = NULL;
    KF_TRY(open_vault(options, client != NULL ? &custody : NULL, &vault, error));
    KF_TRY(kf_vault_close_files(error));
    KF_CLEANUP(kf_vault_threads_free) kf_vault_threads *threads = NULL;
    KF_TRY(kf_vault_threads_new(vault, kf_vault_threads_usual(), &threads, error));
    KF_TRY(kf_vault_close_doors(error));
    return kf_vault_threads_serve(threads, options->descriptor, error);
}

int main(int argc, char **argv)
{
    kf_log_start("keyfill-vault", KF_LOG_INFO);
    vault_options options = {.descriptor = -1, .hsm_descriptor = -1, .derivations = KF_DERIVATIONS_STANDARD};
    static const struct argp argp = {option_table, parse_option, NULL, "The vault of a key management unit.",
                                     NULL,         NULL,         NULL};
    argp_err_exit_status = KF_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return KF_EXIT_INTERNAL;
    kf_error error = {KF_OK, ""};
    kf_code code = run(&options, &error);
    if (code == KF_OK) return KF_EXIT_OK;
    kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    /* What breaks the protocol comes from the front, not from whoever set this up: the monitor starts both
     * again. */
    return code == KF_ERR_MALFORMED || code == KF_ERR_TOO_LONG ? KF_EXIT_INTERNAL : kf_code_exit_status(code);
}
