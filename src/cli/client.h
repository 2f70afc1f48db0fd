/* The client configuration of `keyfill`, and calls by it: to a unit over mutual TLS, to the terminal's local
 * socket.
 *
 *     url: https://kmu.example:8443         the unit: key management unit, base key management unit or host
 *     role: kmu                             what its certificate must say (bkmu, kmu, host); absent: any
 *     ca: /etc/keyfill/ca.pem
 *     certificate: /etc/keyfill/officer.pem
 *     private_key: /etc/keyfill/officer.key
 *     crl: /etc/keyfill/crl.pem             revocation lists; absent: none
 *     vault_key: base64url                  the vault's public key, pinned
 *     officer_key: /home/a/a.officer        the officer's own key, which signs; or pkcs11:URI
 *     officer_passphrase_file: FILE         its passphrase; absent: typed
 *     terminal_socket: /run/keyfill/terminal.sock
 *
 * Every key may be absent; a command that needs one says so.
 */
#ifndef KEYFILL_CLI_CLIENT_H
#define KEYFILL_CLI_CLIENT_H

#include <jansson.h>

#include "cli/cli.h"

#define KF_CLI_CONFIG_PATH "/etc/keyfill/client.yaml"
#define KF_CLI_TERMINAL_SOCKET "/run/keyfill/terminal.sock"

/* Texts are NULL where absent, but for terminal_socket. */
typedef struct kf_cli_config {
    char *url;
    char *role;
    char *ca;
    char *certificate;
    char *private_key;
    char *crl;
    char *vault_key;
    char *officer_key;
    char *officer_passphrase_file;
    char *terminal_socket;
} kf_cli_config;

/* From cli->config_path, else KF_CLI_CONFIG_PATH if that is there, else nothing but the default socket. */
kf_code kf_cli_config_load(const kf_cli *cli, kf_cli_config **ret_config, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_cli_config_free(kf_cli_config **config);
/* KF_ERR_CONFIGURATION naming `key` and the file, where `value` is NULL. */
kf_code kf_cli_config_need(const kf_cli *cli, const char *key, const char *value,
                           kf_error *error) KF_MUST_USE;

typedef struct kf_cli_call {
    const char *method;
    const char *path;
    const json_t *body;            /* NULL: none; stays the caller's */
    unsigned timeout_milliseconds; /* 0: the client's */
} kf_cli_call;

/* One call to the unit of the configuration. A problem comes back as the kf_error that the unit gave. The
 * caller frees `*ret_json` (kf_json_free); NULL for an empty answer. */
kf_code kf_cli_call_unit(const kf_cli *cli, const kf_cli_call *call, json_t **ret_json,
                         kf_error *error) KF_MUST_USE;
/* The same to the terminal's local socket. */
kf_code kf_cli_call_terminal(const kf_cli *cli, const kf_cli_call *call, json_t **ret_json,
                             kf_error *error) KF_MUST_USE;

/* Indented JSON to standard output. */
kf_code kf_cli_print_json(const json_t *json, kf_error *error) KF_MUST_USE;
/* For texts that came from elsewhere: the member as text, or "" where it is absent or no text; owned by
 * `object`. */
const char *kf_cli_text(const json_t *object, const char *member);
/* A table: `columns` ended by NULL name the members and are the headings; a member may be text, number or
 * truth. Rows are objects. */
void kf_cli_print_table(const json_t *rows, const char *const *columns);

#endif
