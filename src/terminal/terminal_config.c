#include "terminal/terminal_config.h"

#include <string.h>

#include "base/log.h"
#include "wire/config.h"

#define DEFAULT_READER "pcsc:"
#define DEFAULT_SOCKET "/run/keyfill/terminal.sock"
#define DEFAULT_CARD_WAIT 2000U
#define DEFAULT_COMMAND_TIMEOUT 20000U
#define DEFAULT_HOST_TIMEOUT 30000U

#define TEXT(key)                                                                                            \
    CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER, kf_terminal_config, key, 1, CYAML_UNLIMITED)
#define OPTIONAL_TEXT(key)                                                                                   \
    CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, kf_terminal_config, key, 1,  \
                           CYAML_UNLIMITED)
#define OPTIONAL_NUMBER(key) CYAML_FIELD_UINT(#key, CYAML_FLAG_OPTIONAL, kf_terminal_config, key)

static const cyaml_schema_field_t config_fields[] = {
    OPTIONAL_TEXT(reader),
    OPTIONAL_TEXT(socket),
    CYAML_FIELD_BOOL("socket_group_access", CYAML_FLAG_OPTIONAL, kf_terminal_config, socket_group_access),
    TEXT(host),
    OPTIONAL_TEXT(host_name),
    TEXT(ca),
    TEXT(certificate),
    TEXT(private_key),
    OPTIONAL_NUMBER(card_wait_milliseconds),
    OPTIONAL_NUMBER(command_timeout_milliseconds),
    OPTIONAL_NUMBER(host_timeout_milliseconds),
    OPTIONAL_TEXT(log_level),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, kf_terminal_config, config_fields)};

void kf_terminal_config_free(kf_terminal_config **config)
{
    void *loaded = *config;
    kf_config_free(&config_schema, &loaded);
    *config = NULL;
}

static kf_code default_text(char **text, const char *value, kf_error *error)
{
    if (*text == NULL) *text = strdup(value);
    return *text != NULL ? KF_OK : kf_fail_plain(error, KF_ERR_MEMORY);
}

static kf_code default_time(const char *path, const char *key, uint32_t *milliseconds, uint32_t value,
                            kf_error *error)
{
    if (*milliseconds == 0) *milliseconds = value;
    if (*milliseconds <= KF_TERMINAL_TIMEOUT_MAX) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "%s: %s is %u; at most %u can be waited", path, key,
                   *milliseconds, KF_TERMINAL_TIMEOUT_MAX);
}

static kf_code fill_in(const char *path, kf_terminal_config *config, kf_error *error)
{
    kf_log_level level;
    KF_TRY(default_text(&config->reader, DEFAULT_READER, error));
    KF_TRY(default_text(&config->socket, DEFAULT_SOCKET, error));
    KF_TRY(default_text(&config->log_level, "info", error));
    KF_TRY(default_time(path, "card_wait_milliseconds", &config->card_wait_milliseconds, DEFAULT_CARD_WAIT,
                        error));
    KF_TRY(default_time(path, "command_timeout_milliseconds", &config->command_timeout_milliseconds,
                        DEFAULT_COMMAND_TIMEOUT, error));
    KF_TRY(default_time(path, "host_timeout_milliseconds", &config->host_timeout_milliseconds,
                        DEFAULT_HOST_TIMEOUT, error));
    if (kf_log_level_from_name(config->log_level, &level) != KF_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%s: log_level '%s' is none of error, warning, info, debug", path, config->log_level);
    return KF_OK;
}

kf_code kf_terminal_config_load(const char *path, kf_terminal_config **ret_config, kf_error *error)
{
    void *loaded = NULL;
    KF_TRY(kf_config_load(path, &config_schema, &loaded, error));
    KF_CLEANUP(kf_terminal_config_free) kf_terminal_config *config = loaded;
    KF_TRY(fill_in(path, config, error));
    *ret_config = config;
    config = NULL; /* the caller owns it now */
    return KF_OK;
}
