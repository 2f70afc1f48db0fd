#include "host/host_config.h"

#include <string.h>

#define WORKER_THREADS_STANDARD 16

#define TEXT(key) KF_CONFIG_TEXT(#key, kf_host_config, key)
#define OPTIONAL_TEXT(key) KF_CONFIG_OPTIONAL_TEXT(#key, kf_host_config, key)
#define OPTIONAL_NUMBER(key) KF_CONFIG_OPTIONAL_NUMBER(#key, kf_host_config, key)

static const cyaml_schema_field_t config_fields[] = {
    KF_UNIT_CONFIG_FIELDS(kf_host_config),
    TEXT(terminal_authority_certificate),
    TEXT(terminal_authority_key),
    TEXT(kmu),
    OPTIONAL_TEXT(kmu_name),
    OPTIONAL_TEXT(issuing_server),
    OPTIONAL_TEXT(issuing_server_ca),
    OPTIONAL_TEXT(number_source),
    OPTIONAL_NUMBER(reservation_minutes),
    OPTIONAL_NUMBER(enrolment_minutes),
    OPTIONAL_NUMBER(terminal_certificate_days),
    OPTIONAL_NUMBER(request_retention_days),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, kf_host_config, config_fields)};

void kf_host_config_free(kf_host_config **config)
{
    void *loaded = *config;
    kf_config_free(&config_schema, &loaded);
    *config = NULL;
}

static kf_code fill_in_numbers(const char *path, kf_host_config *config, kf_error *error)
{
    const kf_config_number rules[] = {
        {"reservation_minutes", &config->reservation_minutes, 15, 1440},
        {"enrolment_minutes", &config->enrolment_minutes, 60, 10080},
        {"terminal_certificate_days", &config->terminal_certificate_days, 825, 3650},
        {"request_retention_days", &config->request_retention_days, 30, 36500},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        KF_TRY(kf_config_default_number(path, &rules[i], error));
    return KF_OK;
}

static kf_code check_number_source(const char *path, const kf_host_config *config, kf_error *error)
{
    const bool hook = strcmp(config->number_source, "issuing-server") == 0;
    if (!hook && strcmp(config->number_source, "pool") != 0)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%s: number_source '%s' is neither pool nor issuing-server", path,
                       config->number_source);
    if (hook && config->issuing_server == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%s: number_source is issuing-server, but the key 'issuing_server' is missing", path);
    return KF_OK;
}

static kf_code fill_in(const char *path, kf_host_config *config, kf_error *error)
{
    KF_TRY(kf_unit_config_fill_in(path, &config->unit, WORKER_THREADS_STANDARD, error));
    KF_TRY(kf_config_default_text(&config->number_source, "pool", error));
    KF_TRY(kf_config_default_text(&config->issuing_server_ca, config->unit.ca, error));
    KF_TRY(fill_in_numbers(path, config, error));
    return check_number_source(path, config, error);
}

kf_code kf_host_config_load(const char *path, kf_host_config **ret_config, kf_error *error)
{
    void *loaded = NULL;
    KF_TRY(kf_config_load(path, &config_schema, &loaded, error));
    KF_CLEANUP(kf_host_config_free) kf_host_config *config = loaded;
    KF_TRY(fill_in(path, config, error));
    *ret_config = config;
    config = NULL; /* the caller owns it now */
    return KF_OK;
}
