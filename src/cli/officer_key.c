#include "cli/officer_key.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/key.h"
#include "crypto/signing_key.h"
#include "vault/hsm_officer.h"
#include "wire/tls_identity.h"

enum { OFFICER_KEY = 4000, OFFICER_PASSPHRASE_FILE, OFFICER_NAME };

static const struct argp_option options[] = {
    {"officer-key", OFFICER_KEY, "FILE", 0,
     "your own key, which signs: a file of keyfill officer new, or pkcs11:URI (default: officer_key of the "
     "configuration)",
     5},
    {"officer-passphrase-file", OFFICER_PASSPHRASE_FILE, "FILE", 0,
     "the key's passphrase or PIN (-: a line of standard input); default: typed", 5},
    {"officer", OFFICER_NAME, "NAME", 0, "your name in the roster (default: that in your certificate)", 5},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    kf_cli_officer_options *officer = state->input;
    switch (key) {
    case OFFICER_KEY: officer->key = argument; return 0;
    case OFFICER_PASSPHRASE_FILE: officer->passphrase_file = argument; return 0;
    case OFFICER_NAME: officer->name = argument; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp kf_cli_officer_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

static kf_code find_name(const kf_cli *cli, const kf_cli_config *config, const char *given,
                         kf_cli_signer *officer, kf_error *error)
{
    kf_peer peer;
    if (given == NULL) {
        KF_TRY(kf_cli_config_need(cli, "certificate", config->certificate, error));
        KF_TRY(kf_peer_of_file(config->certificate, &peer, error));
        given = peer.name;
    }
    KF_TRY(kf_category_check(given, error));
    memcpy(officer->name, given, strlen(given) + 1);
    return KF_OK;
}

static kf_code copy_text(const char *given, const char *configured, char **ret_text)
{
    const char *text = given != NULL ? given : configured;
    if (text == NULL) return KF_OK;
    *ret_text = strdup(text);
    return *ret_text != NULL ? KF_OK : KF_ERR_MEMORY;
}

kf_code kf_cli_signer_find(const kf_cli *cli, const kf_cli_officer_options *given, kf_cli_signer *ret_officer,
                           kf_error *error)
{
    KF_CLEANUP(kf_cli_config_free) kf_cli_config *config = NULL;
    KF_CLEANUP(kf_cli_signer_clear) kf_cli_signer officer = {.name = "", .key = NULL};
    KF_TRY(kf_cli_config_load(cli, &config, error));
    KF_TRY(kf_fail_plain(error, copy_text(given->key, config->officer_key, &officer.key)));
    KF_TRY(kf_fail_plain(
        error, copy_text(given->passphrase_file, config->officer_passphrase_file, &officer.passphrase_file)));
    if (officer.key != NULL) KF_TRY(find_name(cli, config, given->name, &officer, error));
    *ret_officer = officer;
    officer = (kf_cli_signer){.key = NULL}; /* the caller owns it now */
    return KF_OK;
}

void kf_cli_signer_clear(kf_cli_signer *officer)
{
    free(officer->key);
    free(officer->passphrase_file);
    officer->key = NULL;
    officer->passphrase_file = NULL;
}

static kf_code read_key(const kf_cli_signer *officer, kf_private_key **ret_key, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer pem = KF_BUFFER_INIT;
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_TRY(kf_file_read(officer->key, KF_SIGNING_KEY_PEM_MAX, &pem, error));
    kf_code code = KF_OK;
    if (kf_signing_key_is_encrypted(kf_buffer_view(&pem)))
        code = kf_cli_secret_line(officer->passphrase_file, "passphrase of your officer key", &passphrase,
                                  error);
    if (code == KF_OK) code = kf_signing_key_read(kf_buffer_view(&pem), passphrase, ret_key);
    kf_wipe(pem.data, pem.size);
    if (code == KF_ERR_AUTHENTICATION)
        return kf_fail(error, code, "%s does not open: the passphrase is another one", officer->key);
    if (code == KF_ERR_MALFORMED)
        return kf_fail(error, code, "%s holds no key of P-256; keyfill officer new makes one", officer->key);
    return kf_fail_plain(error, code);
}

static bool is_on_token(const kf_cli_signer *officer)
{
    return strncmp(officer->key, "pkcs11:", 7) == 0;
}

static kf_code read_pin(const kf_cli_signer *officer, kf_secret **ret_pin, kf_error *error)
{
    return kf_cli_secret_line(officer->passphrase_file, "PIN of your token", ret_pin, error);
}

static kf_code sign_with_token(const kf_cli_signer *officer, kf_view bytes, kf_buffer *signature,
                               kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *pin = NULL;
    KF_TRY(read_pin(officer, &pin, error));
    return kf_hsm_officer_sign(officer->key, pin, bytes, signature, error);
}

static kf_code public_of_file(const kf_cli_signer *officer, kf_buffer *spki, kf_error *error)
{
    KF_CLEANUP(kf_private_key_free) kf_private_key *key = NULL;
    KF_CLEANUP(kf_public_key_free) kf_public_key *public_key = NULL;
    KF_TRY(read_key(officer, &key, error));
    KF_TRY(kf_fail_plain(error, kf_public_key_of(key, &public_key)));
    return kf_fail_plain(error, kf_signing_public_write(public_key, spki));
}

static kf_code public_of_token(const kf_cli_signer *officer, kf_buffer *spki, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *pin = NULL;
    KF_TRY(read_pin(officer, &pin, error));
    return kf_hsm_officer_public(officer->key, pin, spki, error);
}

kf_code kf_cli_signer_public(const kf_cli_signer *signer, kf_officer *ret_officer, kf_error *error)
{
    kf_officer officer;
    KF_CLEANUP(kf_buffer_clear) kf_buffer spki = kf_buffer_with_limit(KF_OFFICER_KEY_MAX);
    memset(&officer, 0, sizeof officer);
    if (is_on_token(signer))
        KF_TRY(public_of_token(signer, &spki, error));
    else
        KF_TRY(public_of_file(signer, &spki, error));
    memcpy(officer.name, signer->name, sizeof officer.name);
    memcpy(officer.key, spki.data, spki.size);
    officer.key_size = spki.size;
    *ret_officer = officer;
    return KF_OK;
}

static kf_code sign_with_file(const kf_cli_signer *officer, kf_view bytes, kf_buffer *signature,
                              kf_error *error)
{
    KF_CLEANUP(kf_private_key_free) kf_private_key *key = NULL;
    KF_TRY(read_key(officer, &key, error));
    return kf_fail_plain(error, kf_sign(key, KF_SIGNATURE_ECDSA_SHA256, bytes, signature));
}

kf_code kf_cli_signer_sign(const kf_cli_signer *officer, kf_view bytes, kf_officer_signature *ret_signature,
                           kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer made = KF_BUFFER_INIT;
    kf_officer_signature signature;
    memset(&signature, 0, sizeof signature);
    if (is_on_token(officer))
        KF_TRY(sign_with_token(officer, bytes, &made, error));
    else
        KF_TRY(sign_with_file(officer, bytes, &made, error));
    if (made.size != sizeof signature.bytes) return kf_fail_plain(error, KF_ERR_CRYPTO);
    memcpy(signature.bytes, made.data, made.size);
    memcpy(signature.officer, officer->name, sizeof signature.officer);
    *ret_signature = signature;
    return KF_OK;
}
