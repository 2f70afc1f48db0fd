#include "bkmu/bkmu_config.h"

#include "wire/config.h"

#define TEXT(key) CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER, kf_bkmu_config, key, 1, CYAML_UNLIMITED)
#define OPTIONAL_TEXT(key)                                                                                   \
    CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, kf_bkmu_config, key, 1,      \
                           CYAML_UNLIMITED)

static const cyaml_schema_field_t config_fields[] = {
    OPTIONAL_TEXT(address),
    CYAML_FIELD_UINT("port", CYAML_FLAG_DEFAULT, kf_bkmu_config, port),
    TEXT(ca),
    TEXT(certificate),
    TEXT(private_key),
    TEXT(database),
    CYAML_FIELD_UINT("worker_threads", CYAML_FLAG_OPTIONAL, kf_bkmu_config, worker_threads),
    OPTIONAL_TEXT(log_level),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, kf_bkmu_config, config_fields)};

kf_code kf_bkmu_config_load(const char *path, kf_bkmu_config **ret_config, kf_error *error)
{
    void *loaded = NULL;
    KF_TRY(kf_config_load(path, &config_schema, &loaded, error));
    kf_bkmu_config *config = loaded;
    if (config->worker_threads > 256) {
        kf_bkmu_config_free(&config);
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s: worker_threads: at most 256", path);
    }
    *ret_config = config;
    return KF_OK;
}

void kf_bkmu_config_free(kf_bkmu_config **config)
{
    void *loaded = *config;
    kf_config_free(&config_schema, &loaded);
    *config = NULL;
}
