/* The local socket of the terminal, with a reader whose card does not listen, and the configuration. */
#include "terminal/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "terminal/terminal_config.h"
#include "wire/http_client.h"
#include "wire/json.h"

#define PATH_SIZE 128

typedef struct test_terminal {
    char folder[64];
    char socket_path[PATH_SIZE];
    char reader_uri[PATH_SIZE];
    kf_host_link host;
    unsigned host_calls;
    kf_terminal_service *service;
    kf_http_client *client;
} test_terminal;

static kf_code host_post(void *context, const char *path, const json_t *body, json_t **ret_answer,
                         kf_error *error)
{
    test_terminal *terminal = context;
    (void)path;
    (void)body;
    (void)ret_answer;
    terminal->host_calls++;
    return kf_fail(error, KF_ERR_STATE, "not to be asked without a card");
}

static int start_terminal(void **state)
{
    static test_terminal terminal;
    memset(&terminal, 0, sizeof terminal);
    (void)snprintf(terminal.folder, sizeof terminal.folder, "/tmp/keyfill-unit-terminal-XXXXXX");
    assert_non_null(mkdtemp(terminal.folder));
    (void)snprintf(terminal.socket_path, PATH_SIZE, "%s/terminal.sock", terminal.folder);
    (void)snprintf(terminal.reader_uri, PATH_SIZE, "socket:%s/card", terminal.folder);
    terminal.host = (kf_host_link){.context = &terminal, .post = host_post};
    const kf_terminal_service_options options = {.reader_uri = terminal.reader_uri,
                                                 .socket_path = terminal.socket_path,
                                                 .socket_mode = 0600,
                                                 .name = "counter-1",
                                                 .host_url = "https://host.example",
                                                 .host = &terminal.host,
                                                 .card_wait = 1,
                                                 .command_timeout = 1000};
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_terminal_service_start(&options, &terminal.service, &error), KF_OK);
    const kf_http_client_options client_options = {.unix_path = terminal.socket_path};
    assert_int_equal(kf_http_client_new(&client_options, &terminal.client, &error), KF_OK);
    *state = &terminal;
    return 0;
}

static int stop_terminal(void **state)
{
    test_terminal *terminal = *state;
    kf_http_client_free(&terminal->client);
    kf_terminal_service_stop(&terminal->service);
    unlink(terminal->socket_path);
    return rmdir(terminal->folder);
}

static kf_code call(test_terminal *terminal, const char *method, const char *path, const char *body,
                    json_t **ret_json, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    if (body != NULL) assert_int_equal(kf_json_parse(kf_view_of_text(body), &json, NULL), KF_OK);
    const kf_http_call http_call = {.method = method, .path = path, .body = json};
    return kf_http_client_call(terminal->client, &http_call, ret_json, error);
}

static void status_tells_of_terminal_reader_and_host(void **state)
{
    test_terminal *terminal = *state;
    KF_CLEANUP(kf_json_free) json_t *status = NULL;
    assert_int_equal(call(terminal, "GET", "/v1/status", NULL, &status, NULL), KF_OK);
    assert_string_equal(json_string_value(json_object_get(status, "terminal")), "counter-1");
    assert_string_equal(json_string_value(json_object_get(status, "reader")), terminal->reader_uri);
    assert_true(json_is_false(json_object_get(status, "card")));
    assert_true(json_is_false(json_object_get(status, "busy")));
    assert_non_null(strstr(json_string_value(json_object_get(status, "detail")), "no card"));
}

static void without_a_card_nothing_is_asked(void **state)
{
    test_terminal *terminal = *state;
    kf_error error = {KF_OK, ""};
    json_t *answer = NULL;
    assert_int_equal(call(terminal, "GET", "/v1/card", NULL, &answer, &error), KF_ERR_NO_CARD);
    assert_non_null(strstr(error.message, "insert one"));
    assert_int_equal(call(terminal, "POST", "/v1/operations", "{\"operation\":\"fill\"}", &answer, &error),
                     KF_ERR_NO_CARD);
    assert_int_equal(terminal->host_calls, 0);
    assert_null(answer);
}

static void what_is_not_an_operation_is_refused(void **state)
{
    test_terminal *terminal = *state;
    kf_error error = {KF_OK, ""};
    json_t *answer = NULL;
    assert_int_equal(call(terminal, "POST", "/v1/operations", NULL, &answer, &error), KF_ERR_JSON);
    assert_int_equal(call(terminal, "POST", "/v1/operations", "{\"operaton\":\"fill\"}", &answer, &error),
                     KF_ERR_FIELD);
    assert_non_null(strstr(error.message, "operaton"));
    assert_int_equal(call(terminal, "GET", "/v1/nothing", NULL, &answer, &error), KF_ERR_NOT_FOUND);
}

static void only_the_owner_may_open_the_socket(void **state)
{
    const test_terminal *terminal = *state;
    struct stat status;
    assert_int_equal(stat(terminal->socket_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static kf_code load(const char *folder, const char *text, kf_terminal_config **ret_config, kf_error *error)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/terminal.yaml", folder);
    assert_int_equal(kf_file_replace(path, kf_view_of_text(text), 0600, NULL), KF_OK);
    kf_code code = kf_terminal_config_load(path, ret_config, error);
    unlink(path);
    return code;
}

#define NEEDED "host: https://h\nca: ca.pem\ncertificate: t.pem\nprivate_key: t.key\n"

static void a_configuration_gets_its_defaults(void **state)
{
    const test_terminal *terminal = *state;
    KF_CLEANUP(kf_terminal_config_free) kf_terminal_config *config = NULL;
    assert_int_equal(load(terminal->folder, NEEDED, &config, NULL), KF_OK);
    assert_string_equal(config->reader, "pcsc:");
    assert_string_equal(config->socket, "/run/keyfill/terminal.sock");
    assert_null(config->host_name);
    assert_int_equal(config->command_timeout_milliseconds, 20000);
}

static void a_wrong_configuration_names_what_is_wrong(void **state)
{
    const test_terminal *terminal = *state;
    static const char *const wrong[][2] = {
        {NEEDED "log_level: loud\n", "loud"},
        {NEEDED "readr: 'pcsc:'\n", "readr"},
        {NEEDED "card_wait_milliseconds: 9999999\n", "card_wait_milliseconds"},
        {"ca: ca.pem\n", "host"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kf_terminal_config *config = NULL;
        kf_error error = {KF_OK, ""};
        assert_int_equal(load(terminal->folder, wrong[i][0], &config, &error), KF_ERR_CONFIGURATION);
        assert_non_null(strstr(error.message, wrong[i][1]));
        assert_null(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_tells_of_terminal_reader_and_host),
        cmocka_unit_test(without_a_card_nothing_is_asked),
        cmocka_unit_test(what_is_not_an_operation_is_refused),
        cmocka_unit_test(only_the_owner_may_open_the_socket),
        cmocka_unit_test(a_configuration_gets_its_defaults),
        cmocka_unit_test(a_wrong_configuration_names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, start_terminal, stop_terminal);
}
