/* The configuration of `keyfill-hostd`: what every unit has (wire/unit_config.h), and
 *
 *     terminal_authority_certificate: /etc/keyfill/terminal-authority.pem
 *     terminal_authority_key: /etc/keyfill/terminal-authority.key
 *     kmu: https://kmu.example:8442
 *     kmu_name: main                                 the name in its certificate; absent: any
 *     issuing_server: https://numbers.example/hook   absent: none
 *     issuing_server_ca: /etc/keyfill/operator.pem   absent: `ca`
 *     number_source: pool                            or issuing-server: where neither request nor order says
 *     reservation_minutes: 15                        a number waits so long for a request that says nothing
 *     enrolment_minutes: 60                          a one-time code is valid so long
 *     terminal_certificate_days: 825
 *     request_retention_days: 30                     a finished request is kept so long
 */
#ifndef KEYFILL_HOST_HOST_CONFIG_H
#define KEYFILL_HOST_HOST_CONFIG_H

#include "wire/unit_config.h"

typedef struct kf_host_config {
    kf_unit_config unit;
    char *terminal_authority_certificate;
    char *terminal_authority_key;
    char *kmu;
    char *kmu_name;       /* NULL: any */
    char *issuing_server; /* NULL: none */
    char *issuing_server_ca;
    char *number_source;
    uint32_t reservation_minutes;
    uint32_t enrolment_minutes;
    uint32_t terminal_certificate_days;
    uint32_t request_retention_days;
} kf_host_config;

/* Defaults are filled in. KF_ERR_CONFIGURATION names file and key. */
kf_code kf_host_config_load(const char *path, kf_host_config **ret_config, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_host_config_free(kf_host_config **config);

#endif
