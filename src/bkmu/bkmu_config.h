/* The configuration of keyfill-bkm-front, as keyfill-bkmd starts it.
 *
 *     address: 127.0.0.1                             to listen on; the default
 *     port: 8441                                     0: a free one, which the log names
 *     ca: /etc/keyfill/ca.pem
 *     certificate: /etc/keyfill/bkmu.pem
 *     private_key: /etc/keyfill/bkmu.key
 *     database: sqlite:/var/lib/keyfill/bkmu/bkmu.db
 *     worker_threads: 4
 *     log_level: info
 */
#ifndef KEYFILL_BKMU_BKMU_CONFIG_H
#define KEYFILL_BKMU_BKMU_CONFIG_H

#include <stdint.h>

#include <keyfill/error.h>

typedef struct kf_bkmu_config {
    char *address; /* NULL: 127.0.0.1 */
    uint16_t port;
    char *ca;
    char *certificate;
    char *private_key;
    char *database;
    uint32_t worker_threads; /* 0: the server's default */
    char *log_level;         /* NULL: info */
} kf_bkmu_config;

kf_code kf_bkmu_config_load(const char *path, kf_bkmu_config **ret_config, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_bkmu_config_free(kf_bkmu_config **config);

#endif
