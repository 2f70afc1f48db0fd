/* The configuration of the key management unit's front.
 *
 *     address: 127.0.0.1                              to listen on; the default
 *     port: 8442
 *     ca: /etc/keyfill/ca.pem
 *     certificate: /etc/keyfill/kmu.pem
 *     private_key: /etc/keyfill/kmu.key
 *     database: sqlite:/var/lib/keyfill/kmu/records.db
 *     bkmu: https://bkmu.example:8441                 absent: this unit runs alone
 *     bkmu_name: central                              in its certificate
 *     pair: north                                     the transport key that the two units share
 *     worker_threads: 8
 *     log_level: info
 */
#ifndef KEYFILL_KMU_KMU_CONFIG_H
#define KEYFILL_KMU_KMU_CONFIG_H

#include <stdint.h>

#include <keyfill/error.h>

typedef struct kf_kmu_config {
    char *address;
    uint16_t port;
    char *ca;
    char *certificate;
    char *private_key;
    char *database;
    char *bkmu;      /* NULL: none */
    char *bkmu_name; /* NULL: any */
    char *pair;
    uint32_t worker_threads;
    char *log_level;
} kf_kmu_config;

/* Defaults are filled in. KF_ERR_CONFIGURATION names file and key. */
kf_code kf_kmu_config_load(const char *path, kf_kmu_config **ret_config, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_kmu_config_free(kf_kmu_config **config);

#endif
