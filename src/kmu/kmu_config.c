#include "kmu/kmu_config.h"

#include "wire/config.h"

#define WORKER_THREADS_STANDARD 8
#define WORKER_THREADS_MAX 256

#define TEXT(key) CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER, kf_kmu_config, key, 1, CYAML_UNLIMITED)
#define OPTIONAL_TEXT(key)                                                                                   \
    CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, kf_kmu_config, key, 1,       \
                           CYAML_UNLIMITED)

static const cyaml_schema_field_t config_fields[] = {
    OPTIONAL_TEXT(address),
    CYAML_FIELD_UINT("port", CYAML_FLAG_DEFAULT, kf_kmu_config, port),
    TEXT(ca),
    TEXT(certificate),
    TEXT(private_key),
    TEXT(database),
    OPTIONAL_TEXT(bkmu),
    OPTIONAL_TEXT(bkmu_name),
    OPTIONAL_TEXT(pair),
    CYAML_FIELD_UINT("worker_threads", CYAML_FLAG_OPTIONAL, kf_kmu_config, worker_threads),
    OPTIONAL_TEXT(log_level),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, kf_kmu_config, config_fields)};

void kf_kmu_config_free(kf_kmu_config **config)
{
    void *loaded = *config;
    kf_config_free(&config_schema, &loaded);
    *config = NULL;
}

static kf_code fill_in(const char *path, kf_kmu_config *config, kf_error *error)
{
    const kf_config_number worker_threads = {"worker_threads", &config->worker_threads,
                                             WORKER_THREADS_STANDARD, WORKER_THREADS_MAX};
    KF_TRY(kf_config_default_text(&config->address, "127.0.0.1", error));
    KF_TRY(kf_config_default_number(path, &worker_threads, error));
    KF_TRY(kf_config_default_log_level(path, &config->log_level, error));
    if (config->bkmu != NULL && config->pair == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%s: with a bkmu the key 'pair' is needed: which transport key the two units share",
                       path);
    return KF_OK;
}

kf_code kf_kmu_config_load(const char *path, kf_kmu_config **ret_config, kf_error *error)
{
    void *loaded = NULL;
    KF_TRY(kf_config_load(path, &config_schema, &loaded, error));
    KF_CLEANUP(kf_kmu_config_free) kf_kmu_config *config = loaded;
    KF_TRY(fill_in(path, config, error));
    *ret_config = config;
    config = NULL; /* the caller owns it now */
    return KF_OK;
}
