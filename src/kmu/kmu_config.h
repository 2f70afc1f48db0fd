/* The configuration of the key management unit's front: what every unit has (wire/unit_config.h), and
 *
 *     bkmu: https://bkmu.example:8441                 absent: this unit runs alone
 *     bkmu_name: central                              in its certificate
 *     pair: north                                     the transport key that the two units share
 *     hosts: registered                               or open: hosts that are not registered may ask for
 *                                                     everything (keyfill kmu-host)
 *     request_retention_days: 30                      a finished request and its answers are kept so long
 *     bkmu_poll_seconds: 300                          how often the bkmu is asked for what is missing
 *     bkmu_grace_seconds: 86400                       how long to work without having reached it (rollback.h)
 *     audit: …                                        vault/audit_head_keeper.h
 */
#ifndef KEYFILL_KMU_KMU_CONFIG_H
#define KEYFILL_KMU_KMU_CONFIG_H

#include "vault/audit_head_keeper.h"

typedef struct kf_kmu_config {
    kf_unit_config unit;
    char *bkmu;      /* NULL: none */
    char *bkmu_name; /* NULL: any */
    char *pair;
    char *hosts;
    uint32_t request_retention_days;
    uint32_t bkmu_poll_seconds;
    uint32_t bkmu_grace_seconds;
    kf_audit_config *audit; /* NULL: the defaults */
} kf_kmu_config;

/* Defaults are filled in. KF_ERR_CONFIGURATION names file and key. */
kf_code kf_kmu_config_load(const char *path, kf_kmu_config **ret_config, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_kmu_config_free(kf_kmu_config **config);

#endif
