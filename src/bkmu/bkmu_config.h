/* The configuration of keyfill-bkm-front, as keyfill-bkmd starts it: what every unit has
 * (wire/unit_config.h). */
#ifndef KEYFILL_BKMU_BKMU_CONFIG_H
#define KEYFILL_BKMU_BKMU_CONFIG_H

#include "wire/unit_config.h"

typedef struct kf_bkmu_config {
    kf_unit_config unit;
} kf_bkmu_config;

/* Defaults are filled in. KF_ERR_CONFIGURATION names file and key. */
kf_code kf_bkmu_config_load(const char *path, kf_bkmu_config **ret_config, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_bkmu_config_free(kf_bkmu_config **config);

#endif
