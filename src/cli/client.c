#include "cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/config.h"
#include "wire/http_client.h"
#include "wire/json.h"

#define OPTIONAL_TEXT(key)                                                                                   \
    CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, kf_cli_config, key, 1,       \
                           CYAML_UNLIMITED)

static const cyaml_schema_field_t config_fields[] = {
    OPTIONAL_TEXT(url),
    OPTIONAL_TEXT(role),
    OPTIONAL_TEXT(ca),
    OPTIONAL_TEXT(certificate),
    OPTIONAL_TEXT(private_key),
    OPTIONAL_TEXT(crl),
    OPTIONAL_TEXT(vault_key),
    OPTIONAL_TEXT(officer_key),
    OPTIONAL_TEXT(officer_passphrase_file),
    OPTIONAL_TEXT(terminal_socket),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, kf_cli_config, config_fields)};

static const char *config_path(const kf_cli *cli)
{
    return cli->config_path != NULL ? cli->config_path : KF_CLI_CONFIG_PATH;
}

kf_code kf_cli_config_load(const kf_cli *cli, kf_cli_config **ret_config, kf_error *error)
{
    void *loaded = NULL;
    if (cli->config_path == NULL && access(KF_CLI_CONFIG_PATH, F_OK) != 0)
        KF_TRY(kf_config_parse("no configuration", kf_view_of_text("{}"), &config_schema, &loaded, error));
    else
        KF_TRY(kf_config_load(config_path(cli), &config_schema, &loaded, error));
    KF_CLEANUP(kf_cli_config_free) kf_cli_config *config = loaded;
    if (config->terminal_socket == NULL) config->terminal_socket = strdup(KF_CLI_TERMINAL_SOCKET);
    if (config->terminal_socket == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    *ret_config = config;
    config = NULL; /* the caller owns it now */
    return KF_OK;
}

void kf_cli_config_free(kf_cli_config **config)
{
    void *loaded = *config;
    kf_config_free(&config_schema, &loaded);
    *config = NULL;
}

kf_code kf_cli_config_need(const kf_cli *cli, const char *key, const char *value, kf_error *error)
{
    if (value != NULL) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "%s: the key '%s' is missing; this command needs it",
                   config_path(cli), key);
}

static kf_code call_with(const kf_http_client_options *options, const kf_cli_call *call, json_t **ret_json,
                         kf_error *error)
{
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = NULL;
    KF_TRY(kf_http_client_new(options, &client, error));
    return kf_http_client_call(client,
                               &(kf_http_call){.method = call->method,
                                               .path = call->path,
                                               .body = call->body,
                                               .timeout_milliseconds = call->timeout_milliseconds},
                               ret_json, error);
}

kf_code kf_cli_call_unit(const kf_cli *cli, const kf_cli_call *call, json_t **ret_json, kf_error *error)
{
    KF_CLEANUP(kf_cli_config_free) kf_cli_config *config = NULL;
    KF_TRY(kf_cli_config_load(cli, &config, error));
    KF_TRY(kf_cli_config_need(cli, "url", config->url, error));
    KF_TRY(kf_cli_config_need(cli, "ca", config->ca, error));
    KF_TRY(kf_cli_config_need(cli, "certificate", config->certificate, error));
    KF_TRY(kf_cli_config_need(cli, "private_key", config->private_key, error));
    kf_http_client_options options = {.base_url = config->url,
                                      .ca_file = config->ca,
                                      .certificate_file = config->certificate,
                                      .key_file = config->private_key,
                                      .crl_file = config->crl};
    if (config->role != NULL) KF_TRY(kf_peer_role_from_name(config->role, &options.expected_role, error));
    return call_with(&options, call, ret_json, error);
}

kf_code kf_cli_call_terminal(const kf_cli *cli, const kf_cli_call *call, json_t **ret_json, kf_error *error)
{
    KF_CLEANUP(kf_cli_config_free) kf_cli_config *config = NULL;
    KF_TRY(kf_cli_config_load(cli, &config, error));
    return call_with(&(kf_http_client_options){.unix_path = config->terminal_socket}, call, ret_json, error);
}

kf_code kf_cli_print_json(const json_t *json, kf_error *error)
{
    if (json_dumpf(json, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        return kf_fail(error, KF_ERR_FILE, "the answer cannot be written to standard output");
    return KF_OK;
}

const char *kf_cli_text(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text != NULL ? text : "";
}
