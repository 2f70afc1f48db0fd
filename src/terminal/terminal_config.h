/* The configuration of `keyfill-terminald`.
 *
 *     reader: "pcsc:"                                as reader.h names readers; the default
 *     socket: /run/keyfill/terminal.sock             the local socket; the default
 *     socket_group_access: false                     whether the socket's group may use it too
 *     host: https://host.example:8443
 *     host_name: main                                the name in the host's certificate; absent: any host's
 *     ca: /etc/keyfill/ca.pem
 *     certificate: /etc/keyfill/terminal.pem
 *     private_key: /etc/keyfill/terminal.key
 *     crl: /etc/keyfill/crl.pem             revocation lists; absent: none
 *     card_wait_milliseconds: 2000                   for a card that is just being inserted
 *     command_timeout_milliseconds: 20000            a command: key generation on a card takes its time
 *     host_timeout_milliseconds: 30000               a message to the host
 *     log_level: info
 */
#ifndef KEYFILL_TERMINAL_TERMINAL_CONFIG_H
#define KEYFILL_TERMINAL_TERMINAL_CONFIG_H

#include <stdint.h>

#include <keyfill/error.h>

typedef struct kf_terminal_config {
    char *reader;
    char *socket;
    bool socket_group_access;
    char *host;
    char *host_name; /* NULL: any */
    char *ca;
    char *certificate;
    char *private_key;
    char *crl; /* NULL: none */
    uint32_t card_wait_milliseconds;
    uint32_t command_timeout_milliseconds;
    uint32_t host_timeout_milliseconds;
    char *log_level;
} kf_terminal_config;

#define KF_TERMINAL_TIMEOUT_MAX 600000U /* milliseconds, each of the three */

/* Defaults are filled in. KF_ERR_CONFIGURATION names file and key. */
kf_code kf_terminal_config_load(const char *path, kf_terminal_config **ret_config,
                                kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_terminal_config_free(kf_terminal_config **config);

#endif
