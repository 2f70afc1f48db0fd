/* The program itself, started as a process, against a terminal that is a table of answers on a local socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "wire/http_server.h"
#include "wire/json.h"

#define PATH_SIZE 160
#define COMMAND_SIZE 1024
#define OUTPUT_SIZE 16384

static const char card_answer[] =
    "{\"reader\":\"Reader 1\",\"card\":{\"atr\":\"3B00\",\"iccid\":\"89860102030405060708\","
    "\"key_information\":\"E006C00401018810\"},"
    "\"readable\":{\"imsi\":\"not readable: PIN1 needed\"},"
    "\"record\":{\"known\":true,\"card\":\"kdd:00AA\",\"state\":\"filled\",\"generation\":3,\"personalised\":"
    "true}}";

static const char operation_answer[] =
    "{\"operation\":\"fill\",\"text\":\"filled: number 8613800000001\",\"kcv\":\"A1B2C3\",\"generation\":1,"
    "\"personalised\":[\"plan\"],\"round_trips\":4,\"apdus\":11,\"milliseconds\":83,"
    "\"trace\":[{\"round_trip\":1,\"label\":\"SELECT issuer security domain\",\"status_word\":\"9000\","
    "\"milliseconds\":1.25}]}";

typedef struct test_bench {
    char folder[64];
    char socket_path[PATH_SIZE];
    char config_path[PATH_SIZE];
    kf_http_server *server;
    kf_buffer asked; /* the last operation's body */
    kf_code refusal; /* KF_OK: operations are answered */
} test_bench;

static kf_code handle_card(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    (void)context;
    (void)request;
    return kf_json_parse(kf_view_of_text(card_answer), &response->json, error);
}

static kf_code handle_operation(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error)
{
    test_bench *bench = context;
    kf_buffer_truncate(&bench->asked, 0);
    KF_TRY(kf_json_write(request->json, &bench->asked));
    if (bench->refusal != KF_OK) return kf_fail(error, bench->refusal, "refused, as the test wants");
    return kf_json_parse(kf_view_of_text(operation_answer), &response->json, error);
}

static const kf_http_route routes[] = {
    {"GET", "/v1/card", KF_PEER_BIT(KF_PEER_LOCAL), 0, handle_card},
    {"POST", "/v1/operations", KF_PEER_BIT(KF_PEER_LOCAL), 4096, handle_operation},
};

static int start(void **state)
{
    static test_bench bench;
    memset(&bench, 0, sizeof bench);
    (void)snprintf(bench.folder, sizeof bench.folder, "/tmp/keyfill-unit-cli-XXXXXX");
    assert_non_null(mkdtemp(bench.folder));
    (void)snprintf(bench.socket_path, PATH_SIZE, "%s/terminal.sock", bench.folder);
    (void)snprintf(bench.config_path, PATH_SIZE, "%s/client.yaml", bench.folder);
    char config[2 * PATH_SIZE];
    (void)snprintf(config, sizeof config, "terminal_socket: %s\n", bench.socket_path);
    assert_int_equal(kf_file_replace(bench.config_path, kf_view_of_text(config), 0600, NULL), KF_OK);
    const kf_http_server_options options = {
        .unix_path = bench.socket_path, .routes = routes, .route_count = 2, .context = &bench};
    assert_int_equal(kf_http_server_start(&options, &bench.server, NULL), KF_OK);
    assert_int_equal(setenv("KEYFILL_CONFIG", bench.config_path, 1), 0);
    *state = &bench;
    return 0;
}

static int stop(void **state)
{
    test_bench *bench = *state;
    kf_http_server_stop(&bench->server);
    kf_buffer_clear(&bench->asked);
    unlink(bench->socket_path);
    unlink(bench->config_path);
    return rmdir(bench->folder);
}

/* Runs `keyfill ARGUMENTS`; what it prints on both outputs, and its exit status. */
static int run(const char *arguments, char output[OUTPUT_SIZE])
{
    char command[COMMAND_SIZE];
    (void)snprintf(command, sizeof command, "%s %s 2>&1", KEYFILL_PROGRAM, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t size = fread(output, 1, OUTPUT_SIZE - 1, pipe);
    output[size] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_output(const char *arguments, int status, const char *text)
{
    char output[OUTPUT_SIZE];
    int got = run(arguments, output);
    if (got != status || strstr(output, text) == NULL)
        print_error("keyfill %s: %d\n%s\n", arguments, got, output);
    assert_int_equal(got, status);
    assert_non_null(strstr(output, text));
}

static void expect_asked(test_bench *bench, const char *arguments, const char *asked)
{
    char output[OUTPUT_SIZE];
    assert_int_equal(run(arguments, output), KF_EXIT_OK);
    assert_string_equal(kf_buffer_text(&bench->asked), asked);
}

static void help_lists_the_commands(void **unused)
{
    (void)unused;
    expect_output("--help", KF_EXIT_OK, "  refill           replace the payment key");
    expect_output("app --help", KF_EXIT_OK, "  delete           ");
    expect_output("--version", KF_EXIT_OK, "keyfill 0.");
}

static void usage_errors_name_what_is_wrong(void **unused)
{
    (void)unused;
    expect_output("", KF_EXIT_USAGE, "a command is missing");
    expect_output("frobnicate", KF_EXIT_USAGE, "there is no command 'keyfill frobnicate'");
    expect_output("app frobnicate", KF_EXIT_USAGE, "there is no command 'keyfill app frobnicate'");
    expect_output("app load", KF_EXIT_USAGE, "the MODULE is missing");
    expect_output("app load a b", KF_EXIT_USAGE, "'b': one MODULE is wanted");
    expect_output("refill x", KF_EXIT_USAGE, "'x': no arguments are taken");
    expect_output("card x", KF_EXIT_USAGE, "'x': no arguments are taken");
    expect_output("fill --frobnicate", KF_EXIT_USAGE, "unrecognized option '--frobnicate'");
    expect_output("fill", KF_EXIT_USAGE, "where does the number come from?");
    expect_output("fill --allocate --number=1", KF_EXIT_USAGE, "only one of --number, --allocate");
    expect_output("fill --allocate --personalise=perhaps", KF_EXIT_USAGE, "'perhaps'");
    expect_output("fill --allocate --category=", KF_EXIT_USAGE, "the category is empty");
    expect_output("card --config=/nonexistent.yaml", KF_EXIT_USAGE, "/nonexistent.yaml");
}

static void a_fill_is_asked_as_the_options_say(void **state)
{
    test_bench *bench = *state;
    expect_asked(bench, "fill --allocate", "{\"number_source\":\"allocate\",\"operation\":\"fill\"}");
    expect_asked(
        bench, "fill --number-from-card --category=north --order=o-1",
        "{\"number_source\":\"card\",\"category\":\"north\",\"order\":\"o-1\",\"operation\":\"fill\"}");
    expect_asked(
        bench,
        "fill --number=8613800000001 --plan=5G-59 --application-data=x --personalise=always --pin1=1234",
        "{\"number_source\":\"typed\",\"number\":\"8613800000001\",\"personalisation\":{\"plan\":\"5G-59\","
        "\"application_data\":\"x\"},\"personalise\":\"always\",\"pin1\":\"1234\",\"operation\":\"fill\"}");
}

static void other_operations_are_asked_by_their_names(void **state)
{
    test_bench *bench = *state;
    expect_asked(bench, "refill", "{\"operation\":\"refill\"}");
    expect_asked(bench, "clear --category north", "{\"category\":\"north\",\"operation\":\"clear\"}");
    expect_asked(bench, "app load wallet", "{\"module\":\"wallet\",\"operation\":\"app-load\"}");
    expect_asked(bench, "app list", "{\"operation\":\"app-list\"}");
    expect_asked(bench, "app delete wallet", "{\"module\":\"wallet\",\"operation\":\"app-delete\"}");
    expect_asked(bench, "operation explode", "{\"operation\":\"explode\"}");
}

static void a_result_is_shown_with_its_trace(void **state)
{
    test_bench *bench = *state;
    bench->refusal = KF_OK;
    expect_output("fill --allocate", KF_EXIT_OK, "filled: number 8613800000001\n");
    expect_output("fill --allocate", KF_EXIT_OK, "KCV                A1B2C3\n");
    expect_output("fill --allocate", KF_EXIT_OK, "round trips        4\n");
    expect_output("fill --allocate", KF_EXIT_OK,
                  "round_trip  label                          status_word  milliseconds\n"
                  "1           SELECT issuer security domain  9000         1.2\n");
    expect_output("--json fill --allocate", KF_EXIT_OK, "\"kcv\": \"A1B2C3\"");
}

static void a_refusal_gives_its_sentence_and_exit_status(void **state)
{
    test_bench *bench = *state;
    static const kf_code refusals[] = {KF_ERR_STATE, KF_ERR_OPERATION, KF_ERR_UNREACHABLE, KF_ERR_NO_CARD,
                                       KF_ERR_INTERNAL};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        bench->refusal = refusals[i];
        expect_output("refill", kf_code_exit_status(refusals[i]), "keyfill: refused, as the test wants\n");
    }
    bench->refusal = KF_ERR_STATE;
    expect_output("refill --json", KF_EXIT_REFUSED, "\"type\": \"urn:keyfill:error:KF_ERR_STATE\"");
    bench->refusal = KF_OK;
}

static void a_card_is_shown_decoded(void **unused)
{
    (void)unused;
    expect_output("card", KF_EXIT_OK, "ICCID              89860102030405060708\n");
    expect_output("card", KF_EXIT_OK, "IMSI               (not readable: PIN1 needed)\n");
    expect_output("card", KF_EXIT_OK, "keys               version 01, identifier 01, type 88 of 16 bytes\n");
    expect_output("card", KF_EXIT_OK, "record             kdd:00AA, filled\n  key generation   3\n");
    expect_output("card --json", KF_EXIT_OK, "\"iccid\": \"89860102030405060708\"");
}

static void without_a_terminal_that_is_said(void **unused)
{
    (void)unused;
    char path[] = "/tmp/keyfill-unit-cli-XXXXXX";
    KF_CLEANUP(kf_descriptor_close) int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(
        kf_descriptor_write(descriptor, kf_view_of_text("terminal_socket: /nonexistent/socket\n")), KF_OK);
    char arguments[PATH_SIZE];
    (void)snprintf(arguments, sizeof arguments, "card --config=%s", path);
    expect_output(arguments, KF_EXIT_UNREACHABLE, "/nonexistent/socket");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_lists_the_commands),
        cmocka_unit_test(usage_errors_name_what_is_wrong),
        cmocka_unit_test(a_fill_is_asked_as_the_options_say),
        cmocka_unit_test(other_operations_are_asked_by_their_names),
        cmocka_unit_test(a_result_is_shown_with_its_trace),
        cmocka_unit_test(a_refusal_gives_its_sentence_and_exit_status),
        cmocka_unit_test(a_card_is_shown_decoded),
        cmocka_unit_test(without_a_terminal_that_is_said),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
