/* The configuration of keyfill-bkm-front, as keyfill-bkmd starts it: what every unit has
 * (wire/unit_config.h), and `audit:` (vault/audit_head_keeper.h). */
#ifndef KEYFILL_BKMU_BKMU_CONFIG_H
#define KEYFILL_BKMU_BKMU_CONFIG_H

#include "vault/audit_head_keeper.h"

typedef struct kf_bkmu_config {
    kf_unit_config unit;
    kf_audit_config *audit; /* NULL: the defaults */
} kf_bkmu_config;

/* Defaults are filled in. KF_ERR_CONFIGURATION names file and key. */
kf_code kf_bkmu_config_load(const char *path, kf_bkmu_config **ret_config, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_bkmu_config_free(kf_bkmu_config **config);

#endif
