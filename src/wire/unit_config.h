/* What the configurations of units that keep records and serve HTTPS have in common, and what follows from
 * it: the server, and clients of other units, under the unit's own certificate.
 *
 *     address: 127.0.0.1                             to listen on; the default
 *     port: 8442                                     0: a free one, which the log names
 *     ca: /etc/keyfill/ca.pem
 *     certificate: /etc/keyfill/kmu.pem
 *     private_key: /etc/keyfill/kmu.key
 *     crl: /etc/keyfill/crl.pem                      revocation lists, read again when the file changes and
 * on SIGHUP; absent: none database: sqlite:/var/lib/keyfill/kmu/records.db worker_threads: 8 log_level: info
 */
#ifndef KEYFILL_WIRE_UNIT_CONFIG_H
#define KEYFILL_WIRE_UNIT_CONFIG_H

#include "wire/config.h"
#include "wire/http_client.h"
#include "wire/http_server.h"

#define KF_UNIT_WORKER_THREADS_MAX 256

typedef struct kf_unit_config {
    char *address;
    uint16_t port;
    char *ca;
    char *certificate;
    char *private_key;
    char *crl; /* NULL: none */
    char *database;
    uint32_t worker_threads;
    char *log_level;
} kf_unit_config;

/* The rows of a schema for the member of `structure` that is called `unit`. */
#define KF_UNIT_CONFIG_FIELDS(structure)                                                                     \
    KF_CONFIG_OPTIONAL_TEXT("address", structure, unit.address),                                             \
        CYAML_FIELD_UINT("port", CYAML_FLAG_DEFAULT, structure, unit.port),                                  \
        KF_CONFIG_TEXT("ca", structure, unit.ca),                                                            \
        KF_CONFIG_TEXT("certificate", structure, unit.certificate),                                          \
        KF_CONFIG_TEXT("private_key", structure, unit.private_key),                                          \
        KF_CONFIG_OPTIONAL_TEXT("crl", structure, unit.crl),                                                 \
        KF_CONFIG_TEXT("database", structure, unit.database),                                                \
        KF_CONFIG_OPTIONAL_NUMBER("worker_threads", structure, unit.worker_threads),                         \
        KF_CONFIG_OPTIONAL_TEXT("log_level", structure, unit.log_level)

/* Fills in what the file leaves out and checks the rest; KF_ERR_CONFIGURATION names file (`path`) and key. */
kf_code kf_unit_config_fill_in(const char *path, kf_unit_config *unit, uint32_t worker_threads,
                               kf_error *error) KF_MUST_USE;

/* Who the unit is by its certificate; KF_ERR_CERTIFICATE where that is not of `role`. */
kf_code kf_unit_identify(const kf_unit_config *unit, kf_peer_role role, kf_peer *ret_self,
                         kf_error *error) KF_MUST_USE;
/* Starts the server of `options` (its routes and calls) where the configuration says. */
kf_code kf_unit_serve(const kf_unit_config *unit, const kf_http_server_options *options,
                      kf_http_server **ret_server, kf_error *error) KF_MUST_USE;
/* A client of another unit: `role` as its certificate must have it (KF_PEER_NONE: any), and `name` (NULL:
 * any).
 */
kf_http_client_options kf_unit_client(const kf_unit_config *unit, const char *url, kf_peer_role role,
                                      const char *name);

#endif
