/* What an administrator and an auditor ask of a unit: the program as a process, against a key management unit
 * that is a table of answers behind real TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <zip.h>

#include "../wire/certificates.h"
#include "base/file.h"
#include "wire/http_server.h"
#include "wire/json.h"

#define PATH_SIZE 160
#define COMMAND_SIZE 1024
#define OUTPUT_SIZE 16384

static const char audit_answer[] =
    "{\"rows\":[{\"seq\":7,\"time_ms\":1700000000123,\"actor\":\"officer:anna\",\"action\":\"key.generate\","
    "\"subject\":\"payment/north/1\",\"outcome\":\"KF_OK\",\"detail\":\"KCV A1B2C3\",\"previous\":\"00\","
    "\"hash\":\"01\"}]}";

static const char good_profile[] = "name: tiny\n"
                                   "issuer_domain: A000000151000000\n"
                                   "security_level: 0x33\n"
                                   "domain:\n"
                                   "  aid: A00000015153504B4601\n"
                                   "  key_version: 0x30\n"
                                   "  key_injection: preloaded\n";

typedef struct test_bench {
    test_certificates certificates;
    char ca[128];
    kf_http_server *server;
    char method[8];
    char name[80];
    char query[80];
    kf_buffer body;
    kf_code refusal; /* KF_OK: calls are answered */
} test_bench;

/* ---- the unit ---- */

static kf_code record(test_bench *bench, const kf_http_request *request, kf_error *error)
{
    (void)snprintf(bench->method, sizeof bench->method, "%s", request->method);
    kf_buffer_truncate(&bench->body, 0);
    if (request->json != NULL) KF_TRY(kf_json_write(request->json, &bench->body));
    if (bench->refusal != KF_OK) return kf_fail(error, bench->refusal, "refused, as the test wants");
    return KF_OK;
}

static kf_code handle_named(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    test_bench *bench = context;
    (void)snprintf(bench->name, sizeof bench->name, "%s", kf_http_path_parameter(request, "name"));
    KF_TRY(record(bench, request, error));
    response->json = json_pack("{s:s, s:s}", "name", bench->name, "digest", "C0FFEE");
    return KF_OK;
}

static kf_code answer_list(test_bench *bench, const kf_http_request *request, kf_http_response *response,
                           const char *member, kf_error *error)
{
    KF_TRY(record(bench, request, error));
    response->json = json_pack("{s:[{s:s, s:s, s:s, s:s}]}", member, "name", "one", "digest", "C0FFEE",
                               "package", "A00000006203010C01", "version", "1.0");
    return KF_OK;
}

static kf_code handle_categories(void *context, const kf_http_request *request, kf_http_response *response,
                                 kf_error *error)
{
    return answer_list(context, request, response, "categories", error);
}

static kf_code handle_profiles(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    return answer_list(context, request, response, "profiles", error);
}

static kf_code handle_modules(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    return answer_list(context, request, response, "modules", error);
}

static kf_code handle_audit(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    test_bench *bench = context;
    const char *limit = kf_http_query_parameter(request, "limit");
    (void)snprintf(bench->query, sizeof bench->query, "after %s, limit %s",
                   kf_http_query_parameter(request, "after"), limit != NULL ? limit : "none");
    KF_TRY(record(bench, request, error));
    return kf_json_parse(kf_view_of_text(audit_answer), &response->json, error);
}

#define ADMINISTRATOR KF_PEER_BIT(KF_PEER_ADMINISTRATOR)
static const kf_http_route routes[] = {
    {"GET", "/v1/categories", ADMINISTRATOR, 0, handle_categories},
    {"PUT", "/v1/categories/{name}", ADMINISTRATOR, 65536, handle_named},
    {"GET", "/v1/profiles", ADMINISTRATOR, 0, handle_profiles},
    {"PUT", "/v1/profiles/{name}", ADMINISTRATOR, 65536, handle_named},
    {"GET", "/v1/modules", ADMINISTRATOR, 0, handle_modules},
    {"PUT", "/v1/modules/{name}", ADMINISTRATOR, 65536, handle_named},
    {"DELETE", "/v1/modules/{name}", ADMINISTRATOR, 0, handle_named},
    {"GET", "/v1/audit", ADMINISTRATOR, 0, handle_audit},
};

/* ---- the bench ---- */

static void write_file(const test_bench *bench, const char *name, const char *text, char ret_path[128])
{
    test_path(&bench->certificates, name, ret_path);
    assert_int_equal(kf_file_replace(ret_path, kf_view_of_text(text), 0600, NULL), KF_OK);
}

static int start(void **state)
{
    static test_bench bench;
    memset(&bench, 0, sizeof bench);
    test_certificates_make(&bench.certificates);
    test_path(&bench.certificates, "ca.pem", bench.ca);
    test_identity unit = test_identity_make(&bench.certificates, &bench.certificates.root, KF_PEER_KMU, "k1");
    test_identity person =
        test_identity_make(&bench.certificates, &bench.certificates.root, KF_PEER_ADMINISTRATOR, "bo");
    const kf_http_server_options options = {.ca_file = bench.ca,
                                            .certificate_file = unit.certificate,
                                            .key_file = unit.key,
                                            .routes = routes,
                                            .route_count = sizeof routes / sizeof routes[0],
                                            .context = &bench};
    assert_int_equal(kf_http_server_start(&options, &bench.server, NULL), KF_OK);
    char config[1024];
    char path[128];
    (void)snprintf(config, sizeof config,
                   "url: https://127.0.0.1:%u\nrole: kmu\nca: %s\ncertificate: %s\nprivate_key: %s\n",
                   (unsigned)kf_http_server_port(bench.server), bench.ca, person.certificate, person.key);
    write_file(&bench, "client.yaml", config, path);
    assert_int_equal(setenv("KEYFILL_CONFIG", path, 1), 0);
    *state = &bench;
    return 0;
}

static int stop(void **state)
{
    test_bench *bench = *state;
    kf_http_server_stop(&bench->server);
    kf_buffer_clear(&bench->body);
    test_certificates_remove(&bench->certificates);
    return 0;
}

static int forget(void **state)
{
    test_bench *bench = *state;
    bench->refusal = KF_OK;
    bench->method[0] = bench->name[0] = bench->query[0] = '\0';
    kf_buffer_truncate(&bench->body, 0);
    return 0;
}

/* Runs `keyfill ARGUMENTS FILE`; both outputs together must hold `text`. */
static void expect_output(const char *arguments, const char *file, int status, const char *text)
{
    char command[COMMAND_SIZE];
    char output[OUTPUT_SIZE];
    (void)snprintf(command, sizeof command, "%s %s %s 2>&1", KEYFILL_PROGRAM, arguments, file);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t size = fread(output, 1, OUTPUT_SIZE - 1, pipe);
    output[size] = '\0';
    int got = pclose(pipe);
    assert_true(WIFEXITED(got));
    if (WEXITSTATUS(got) != status || strstr(output, text) == NULL)
        print_error("%s: %d\n%s\n", command, WEXITSTATUS(got), output);
    assert_int_equal(WEXITSTATUS(got), status);
    assert_non_null(strstr(output, text));
}

static void make_cap_file(const test_bench *bench, char ret_path[128])
{
    static const struct {
        const char *name;
        uint8_t bytes[24];
        size_t size;
    } parts[] = {
        {"a/Header.cap",
         {1, 0, 20, 0xDE, 0xCA, 0xFF, 0xED, 1, 2, 4, 0, 1, 9, 0xA0, 0, 0, 0, 0x62, 3, 1, 0x0C, 1, 1},
         23},
        {"a/Directory.cap", {2, 0, 1, 0}, 4},
        {"a/Import.cap", {4, 0, 1, 0}, 4},
        {"a/Class.cap", {6, 0, 1, 0}, 4},
        {"a/Method.cap", {7, 0, 1, 0}, 4},
        {"a/StaticField.cap", {8, 0, 1, 0}, 4},
        {"a/ConstantPool.cap", {5, 0, 1, 0}, 4},
        {"a/RefLocation.cap", {9, 0, 1, 0}, 4},
    };
    int reason = 0;
    test_path(&bench->certificates, "wallet.cap", ret_path);
    zip_t *archive = zip_open(ret_path, ZIP_CREATE | ZIP_TRUNCATE, &reason);
    assert_non_null(archive);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        zip_source_t *source = zip_source_buffer(archive, parts[i].bytes, parts[i].size, 0);
        assert_non_null(source);
        assert_true(zip_file_add(archive, parts[i].name, source, 0) >= 0);
    }
    assert_int_equal(zip_close(archive), 0);
}

/* ---- tests ---- */

static void a_category_is_put_under_its_own_name(void **state)
{
    test_bench *bench = *state;
    char path[128];
    write_file(bench, "north.yaml", "name: north\nprofile: tiny\nnumber: {prefixes: [\"86138\"]}\n", path);
    expect_output("category put", path, KF_EXIT_OK, "north is put\n");
    assert_string_equal(bench->method, "PUT");
    assert_string_equal(bench->name, "north");
    assert_string_equal(
        kf_buffer_text(&bench->body),
        "{\"text\":\"name: north\\nprofile: tiny\\nnumber: {prefixes: [\\\"86138\\\"]}\\n\"}");
}

static void a_category_without_a_name_or_with_a_strange_key_is_not_sent(void **state)
{
    test_bench *bench = *state;
    char path[128];
    write_file(bench, "nameless.yaml", "profile: tiny\n", path);
    expect_output("category put", path, KF_EXIT_USAGE, "nameless.yaml");
    write_file(bench, "strange.yaml", "name: north\nprofile: tiny\ncolour: red\n", path);
    expect_output("category put", path, KF_EXIT_USAGE, "colour");
    expect_output("category put", "/nonexistent.yaml", KF_EXIT_USAGE, "/nonexistent.yaml");
    expect_output("category put", "", KF_EXIT_USAGE, "the FILE is missing");
    expect_output("category put a", "b", KF_EXIT_USAGE, "'b': that is one argument too many");
    assert_string_equal(bench->method, "");
}

static void a_profile_is_read_here_before_it_is_put(void **state)
{
    test_bench *bench = *state;
    char path[128];
    write_file(bench, "bad.yaml", "name: tiny\n", path);
    expect_output("profile put", path, KF_EXIT_USAGE, "profile");
    assert_string_equal(bench->method, "");
    write_file(bench, "good.yaml", good_profile, path);
    expect_output("profile put", path, KF_EXIT_OK, "tiny is put\nSHA-256 C0FFEE\n");
    assert_string_equal(bench->method, "PUT");
    assert_string_equal(bench->name, "tiny");
}

static void a_profile_is_checked_without_a_unit(void **state)
{
    test_bench *bench = *state;
    char path[128];
    write_file(bench, "good.yaml", good_profile, path);
    expect_output("profile check --config=/nonexistent.yaml", path, KF_EXIT_OK,
                  "tiny: key injection preloaded, 0 personalisation fields\nSHA-256 ");
    expect_output("--json profile check", path, KF_EXIT_OK, "\"key_injection\": \"preloaded\"");
    write_file(bench, "bad.yaml", "name: tiny\nissuer_domain: 12\n", path);
    expect_output("profile check", path, KF_EXIT_USAGE, "issuer_domain");
    assert_string_equal(bench->method, "");
}

static void a_module_is_registered_with_its_bytes(void **state)
{
    test_bench *bench = *state;
    char path[128];
    make_cap_file(bench, path);
    expect_output("module put wallet", path, KF_EXIT_OK, "wallet is registered\nSHA-256 C0FFEE\n");
    assert_string_equal(bench->name, "wallet");
    KF_CLEANUP(kf_json_free) json_t *body = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer sent = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer file = KF_BUFFER_INIT;
    assert_int_equal(kf_json_parse(kf_buffer_view(&bench->body), &body, NULL), KF_OK);
    assert_int_equal(kf_json_base64url(body, "content", 65536, &sent, NULL), KF_OK);
    assert_int_equal(kf_file_read(path, 65536, &file, NULL), KF_OK);
    assert_true(kf_view_equal(kf_buffer_view(&sent), kf_buffer_view(&file)));
}

static void what_is_no_cap_file_is_not_sent(void **state)
{
    test_bench *bench = *state;
    char path[128];
    write_file(bench, "wallet.txt", "no archive", path);
    expect_output("module put wallet", path, kf_code_exit_status(KF_ERR_CAP_FILE), "CAP file");
    assert_string_equal(bench->method, "");
}

static void a_module_is_deleted_by_its_name(void **state)
{
    test_bench *bench = *state;
    expect_output("module delete", "'a b'", KF_EXIT_OK, "a b is no longer registered\n");
    assert_string_equal(bench->method, "DELETE");
    assert_string_equal(bench->name, "a b");
}

static void lists_are_tables(void **unused)
{
    (void)unused;
    expect_output("category list", "", KF_EXIT_OK, "name\none\n");
    expect_output("profile list", "", KF_EXIT_OK, "name  digest\none   C0FFEE\n");
    expect_output("module list", "", KF_EXIT_OK, "one   A00000006203010C01  1.0      C0FFEE\n");
    expect_output("module list --json", "", KF_EXIT_OK, "\"modules\": [");
}

static void audit_rows_are_listed_with_their_time(void **state)
{
    test_bench *bench = *state;
    expect_output("audit list --after 6 --limit 10", "", KF_EXIT_OK,
                  "7    2023-11-14T22:13:20.123Z  officer:anna  key.generate  payment/north/1  KF_OK");
    assert_string_equal(bench->query, "after 6, limit 10");
    expect_output("audit list --json", "", KF_EXIT_OK, "\"time_ms\": 1700000000123");
    assert_string_equal(bench->query, "after 0, limit none");
    expect_output("audit list --after=-1", "", KF_EXIT_USAGE, "--after '-1'");
    expect_output("audit list x", "", KF_EXIT_USAGE, "'x': no arguments are taken");
}

static void a_refusal_keeps_its_code(void **state)
{
    test_bench *bench = *state;
    bench->refusal = KF_ERR_FORBIDDEN;
    expect_output("category list --json", "", kf_code_exit_status(KF_ERR_FORBIDDEN),
                  "\"type\": \"urn:keyfill:error:KF_ERR_FORBIDDEN\"");
    expect_output("module delete", "wallet", kf_code_exit_status(KF_ERR_FORBIDDEN),
                  "keyfill: refused, as the test wants\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_category_is_put_under_its_own_name, forget),
        cmocka_unit_test_setup(a_category_without_a_name_or_with_a_strange_key_is_not_sent, forget),
        cmocka_unit_test_setup(a_profile_is_read_here_before_it_is_put, forget),
        cmocka_unit_test_setup(a_profile_is_checked_without_a_unit, forget),
        cmocka_unit_test_setup(a_module_is_registered_with_its_bytes, forget),
        cmocka_unit_test_setup(what_is_no_cap_file_is_not_sent, forget),
        cmocka_unit_test_setup(a_module_is_deleted_by_its_name, forget),
        cmocka_unit_test_setup(lists_are_tables, forget),
        cmocka_unit_test_setup(audit_rows_are_listed_with_their_time, forget),
        cmocka_unit_test_setup(a_refusal_keeps_its_code, forget),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
