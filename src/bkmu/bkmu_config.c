#include "bkmu/bkmu_config.h"

#define WORKER_THREADS_STANDARD 4

static const cyaml_schema_field_t config_fields[] = {
    KF_UNIT_CONFIG_FIELDS(kf_bkmu_config),
    KF_AUDIT_CONFIG_FIELD(kf_bkmu_config),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, kf_bkmu_config, config_fields)};

kf_code kf_bkmu_config_load(const char *path, kf_bkmu_config **ret_config, kf_error *error)
{
    void *loaded = NULL;
    KF_TRY(kf_config_load(path, &config_schema, &loaded, error));
    KF_CLEANUP(kf_bkmu_config_free) kf_bkmu_config *config = loaded;
    KF_TRY(kf_unit_config_fill_in(path, &config->unit, WORKER_THREADS_STANDARD, error));
    KF_TRY(kf_audit_config_fill_in(path, config->audit, error));
    *ret_config = config;
    config = NULL; /* the caller owns it now */
    return KF_OK;
}

void kf_bkmu_config_free(kf_bkmu_config **config)
{
    void *loaded = *config;
    kf_config_free(&config_schema, &loaded);
    *config = NULL;
}
