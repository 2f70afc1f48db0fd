#include "kmu/kmu_config.h"

#include <string.h>

#define WORKER_THREADS_STANDARD 8
#define RETENTION_DAYS_STANDARD 30
#define RETENTION_DAYS_MAX 36500
#define POLL_SECONDS_STANDARD 300
#define POLL_SECONDS_MAX 86400
#define GRACE_SECONDS_STANDARD 86400
#define GRACE_SECONDS_MAX (366 * 86400)

static const cyaml_schema_field_t config_fields[] = {
    KF_UNIT_CONFIG_FIELDS(kf_kmu_config),
    KF_CONFIG_OPTIONAL_TEXT("bkmu", kf_kmu_config, bkmu),
    KF_CONFIG_OPTIONAL_TEXT("bkmu_name", kf_kmu_config, bkmu_name),
    KF_CONFIG_OPTIONAL_TEXT("pair", kf_kmu_config, pair),
    KF_CONFIG_OPTIONAL_TEXT("hosts", kf_kmu_config, hosts),
    KF_CONFIG_OPTIONAL_NUMBER("request_retention_days", kf_kmu_config, request_retention_days),
    KF_CONFIG_OPTIONAL_NUMBER("bkmu_poll_seconds", kf_kmu_config, bkmu_poll_seconds),
    KF_CONFIG_OPTIONAL_NUMBER("bkmu_grace_seconds", kf_kmu_config, bkmu_grace_seconds),
    KF_AUDIT_CONFIG_FIELD(kf_kmu_config),
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
    const kf_config_number retention = {"request_retention_days", &config->request_retention_days,
                                        RETENTION_DAYS_STANDARD, RETENTION_DAYS_MAX};
    KF_TRY(kf_unit_config_fill_in(path, &config->unit, WORKER_THREADS_STANDARD, error));
    const kf_config_number poll = {"bkmu_poll_seconds", &config->bkmu_poll_seconds, POLL_SECONDS_STANDARD,
                                   POLL_SECONDS_MAX};
    const kf_config_number grace = {"bkmu_grace_seconds", &config->bkmu_grace_seconds, GRACE_SECONDS_STANDARD,
                                    GRACE_SECONDS_MAX};
    KF_TRY(kf_config_default_number(path, &retention, error));
    KF_TRY(kf_config_default_text(&config->hosts, "registered", error));
    if (strcmp(config->hosts, "registered") != 0 && strcmp(config->hosts, "open") != 0)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s: hosts '%s' is neither registered nor open", path,
                       config->hosts);
    KF_TRY(kf_config_default_number(path, &poll, error));
    KF_TRY(kf_config_default_number(path, &grace, error));
    KF_TRY(kf_audit_config_fill_in(path, config->audit, error));
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
