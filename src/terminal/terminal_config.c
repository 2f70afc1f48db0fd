#include "terminal/terminal_config.h"

#include "wire/config.h"

#define DEFAULT_READER "pcsc:"
#define DEFAULT_SOCKET "/run/keyfill/terminal.sock"
#define DEFAULT_CARD_WAIT 2000U
#define DEFAULT_COMMAND_TIMEOUT 20000U
#define DEFAULT_HOST_TIMEOUT 30000U

#define TEXT(key) KF_CONFIG_TEXT(#key, kf_terminal_config, key)
#define OPTIONAL_TEXT(key) KF_CONFIG_OPTIONAL_TEXT(#key, kf_terminal_config, key)
#define OPTIONAL_NUMBER(key) KF_CONFIG_OPTIONAL_NUMBER(#key, kf_terminal_config, key)

static const cyaml_schema_field_t config_fields[] = {
    OPTIONAL_TEXT(reader),
    OPTIONAL_TEXT(socket),
    CYAML_FIELD_BOOL("socket_group_access", CYAML_FLAG_OPTIONAL, kf_terminal_config, socket_group_access),
    TEXT(host),
    OPTIONAL_TEXT(host_name),
    TEXT(ca),
    TEXT(certificate),
    TEXT(private_key),
    OPTIONAL_TEXT(crl),
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

static kf_code fill_in(const char *path, kf_terminal_config *config, kf_error *error)
{
    const kf_config_number times[] = {
        {"card_wait_milliseconds", &config->card_wait_milliseconds, DEFAULT_CARD_WAIT,
         KF_TERMINAL_TIMEOUT_MAX},
        {"command_timeout_milliseconds", &config->command_timeout_milliseconds, DEFAULT_COMMAND_TIMEOUT,
         KF_TERMINAL_TIMEOUT_MAX},
        {"host_timeout_milliseconds", &config->host_timeout_milliseconds, DEFAULT_HOST_TIMEOUT,
         KF_TERMINAL_TIMEOUT_MAX},
    };
    KF_TRY(kf_config_default_text(&config->reader, DEFAULT_READER, error));
    KF_TRY(kf_config_default_text(&config->socket, DEFAULT_SOCKET, error));
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        KF_TRY(kf_config_default_number(path, &times[i], error));
    return kf_config_default_log_level(path, &config->log_level, error);
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
