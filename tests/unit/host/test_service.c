/* The host as it runs: real TLS on loopback between terminal, host, a key management unit that is played, and
 * an issuing server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../wire/certificates.h"
#include "base/file.h"
#include "host/host_config.h"
#include "host/service.h"
#include "issuing_server.h"
#include "wire/http_client.h"
#include "wire/json.h"

#define ID "6f1c0000000000000000000000000001"
#define WAIT_MS 20000 /* the host delivers within seconds */

typedef struct world {
    test_certificates certificates;
    char ca[128];
    char database[160];
    char url[64];
    char kmu_url[64];
    char hook_url[64];
    test_identity host;
    test_identity terminal; /* where its files are put by enrolment */
    char authority_certificate[128];
    char authority_key[128];
    kf_http_server *kmu;
    issuing_server *issuing;
    kf_host_service *service;
    kf_http_client *administrator;
    kf_error error;
} world;

/* ---- the key management unit ---- */

static kf_code kmu_begin(void *context, const kf_http_request *request, kf_http_response *response,
                         kf_error *error)
{
    (void)context;
    (void)error;
    const char *number = json_string_value(json_object_get(request->json, "number"));
    const char *terminal = json_string_value(json_object_get(request->json, "terminal"));
    response->json =
        json_pack("{s:O, s:s, s:i, s:i, s:s, s:[{s:s, s:s, s:[{s:s}]}]}", "id",
                  json_object_get(request->json, "id"), "state", "continue", "step", 1, "attempt", 1, "token",
                  number, "script", "command", "00A4040000", "label", terminal, "accept", "sw", "9000");
    return KF_OK;
}

static kf_code kmu_message(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    (void)context;
    if (json_object_get(request->json, "stopped") != NULL)
        return kf_fail(error, KF_ERR_CARD_REMOVED, "the card was removed");
    /* The played token is the number. */
    response->json =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:O, s:s}}", "id", kf_http_path_parameter(request, "id"), "state",
                  "done", "result", "operation", "fill", "card", "kdd:01", "number",
                  json_object_get(request->json, "token"), "text", "filled");
    return KF_OK;
}

static kf_code kmu_lookup(void *context, const kf_http_request *request, kf_http_response *response,
                          kf_error *error)
{
    (void)context;
    (void)request;
    (void)error;
    response->json = json_pack("{s:b}", "known", 0);
    return KF_OK;
}

static kf_code kmu_modules(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    (void)context;
    (void)request;
    (void)error;
    response->json = json_pack("{s:[{s:s}]}", "modules", "name", "wallet");
    return KF_OK;
}

static const kf_http_route kmu_routes[] = {
    {"POST", "/v1/requests", KF_PEER_BIT(KF_PEER_HOST), 65536, kmu_begin},
    {"POST", "/v1/requests/{id}/messages", KF_PEER_BIT(KF_PEER_HOST), 65536, kmu_message},
    {"POST", "/v1/cards/lookup", KF_PEER_BIT(KF_PEER_HOST), 65536, kmu_lookup},
    {"GET", "/v1/modules", KF_PEER_BIT(KF_PEER_HOST), 0, kmu_modules},
};

/* ---- the world ---- */

static void start_kmu(world *made)
{
    test_identity identity =
        test_identity_make(&made->certificates, &made->certificates.root, KF_PEER_KMU, "k1");
    const kf_http_server_options options = {.ca_file = made->ca,
                                            .certificate_file = identity.certificate,
                                            .key_file = identity.key,
                                            .routes = kmu_routes,
                                            .route_count = sizeof kmu_routes / sizeof kmu_routes[0]};
    assert_int_equal(kf_http_server_start(&options, &made->kmu, &made->error), KF_OK);
    (void)snprintf(made->kmu_url, sizeof made->kmu_url, "https://127.0.0.1:%u",
                   (unsigned)kf_http_server_port(made->kmu));
}

static void start_issuing_server(world *made)
{
    static const char *const numbers[] = {"8613900000001", "8613900000002"};
    test_identity identity =
        test_identity_make(&made->certificates, &made->certificates.root, KF_PEER_ISSUING_SERVER, "operator");
    const issuing_server_options options = {.ca_file = made->ca,
                                            .certificate_file = identity.certificate,
                                            .key_file = identity.key,
                                            .numbers = numbers,
                                            .number_count = 2};
    assert_int_equal(issuing_server_start(&options, &made->issuing, &made->error), KF_OK);
    (void)snprintf(made->hook_url, sizeof made->hook_url, "https://127.0.0.1:%u/hook",
                   (unsigned)issuing_server_port(made->issuing));
}

static void start_host(world *made)
{
    kf_host_config config = {.unit.address = (char[]){"127.0.0.1"},
                             .unit.ca = made->ca,
                             .unit.certificate = made->host.certificate,
                             .unit.private_key = made->host.key,
                             .terminal_authority_certificate = made->authority_certificate,
                             .terminal_authority_key = made->authority_key,
                             .unit.database = made->database,
                             .kmu = made->kmu_url,
                             .issuing_server = made->hook_url,
                             .issuing_server_ca = made->ca,
                             .number_source = (char[]){"pool"},
                             .reservation_minutes = 15,
                             .enrolment_minutes = 60,
                             .terminal_certificate_days = 30,
                             .request_retention_days = 30,
                             .unit.worker_threads = 4};
    if (kf_host_service_start(&config, &made->service, &made->error) != KF_OK)
        fail_msg("%s", kf_error_text(&made->error));
    (void)snprintf(made->url, sizeof made->url, "https://127.0.0.1:%u",
                   (unsigned)kf_host_service_port(made->service));
}

static kf_http_client *client_of(world *made, const test_identity *identity)
{
    kf_http_client *client = NULL;
    const kf_http_client_options options = {.base_url = made->url,
                                            .ca_file = made->ca,
                                            .certificate_file =
                                                identity != NULL ? identity->certificate : NULL,
                                            .key_file = identity != NULL ? identity->key : NULL,
                                            .expected_role = KF_PEER_HOST};
    assert_int_equal(kf_http_client_new(&options, &client, &made->error), KF_OK);
    return client;
}

static int set_up(void **state)
{
    world *made = calloc(1, sizeof *made);
    assert_non_null(made);
    test_certificates_make(&made->certificates);
    test_path(&made->certificates, "ca.pem", made->ca);
    test_path(&made->certificates, "authority.pem", made->authority_certificate);
    test_path(&made->certificates, "authority.key", made->authority_key);
    test_path(&made->certificates, "terminal.pem", made->terminal.certificate);
    test_path(&made->certificates, "terminal.key", made->terminal.key);
    (void)snprintf(made->database, sizeof made->database, "sqlite:%s/host.db", made->certificates.folder);
    assert_int_equal(kf_pki_pair_save(&made->certificates.authority, made->authority_certificate,
                                      made->authority_key, &made->error),
                     KF_OK);
    made->host = test_identity_make(&made->certificates, &made->certificates.root, KF_PEER_HOST, "h1");
    start_kmu(made);
    start_issuing_server(made);
    start_host(made);
    test_identity anna =
        test_identity_make(&made->certificates, &made->certificates.root, KF_PEER_ADMINISTRATOR, "anna");
    made->administrator = client_of(made, &anna);
    *state = made;
    return 0;
}

static int tear_down(void **state)
{
    world *made = *state;
    kf_http_client_free(&made->administrator);
    kf_host_service_stop(&made->service);
    issuing_server_stop(&made->issuing);
    kf_http_server_stop(&made->kmu);
    test_certificates_remove(&made->certificates);
    free(made);
    return 0;
}

/* `body` NULL: none. The answer is the caller's. */
static kf_code send(world *made, kf_http_client *client, const char *method_and_path, const char *body,
                    json_t **ret_answer)
{
    char method[8];
    const char *path = strchr(method_and_path, ' ');
    assert_non_null(path);
    (void)snprintf(method, sizeof method, "%.*s", (int)(path - method_and_path), method_and_path);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    if (body != NULL) assert_int_equal(kf_json_parse(kf_view_of_text(body), &json, &made->error), KF_OK);
    const kf_http_call call = {.method = method, .path = path + 1, .body = json};
    return kf_http_client_call(client, &call, ret_answer, &made->error);
}

static kf_code tell(world *made, kf_http_client *client, const char *method_and_path, const char *body)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    return send(made, client, method_and_path, body, &answer);
}

/* Enrols over the wire, and gives a client that shows the certificate. */
static kf_http_client *enrolled_terminal(world *made)
{
    KF_CLEANUP(kf_json_free) json_t *invitation = NULL;
    KF_CLEANUP(kf_json_free) json_t *enrolment = NULL;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    assert_int_equal(send(made, made->administrator, "POST /v1/terminals", "{\"name\":\"t1\"}", &invitation),
                     KF_OK);
    assert_int_equal(kf_pki_request_new("terminal", &request, &pair.key, &made->error), KF_OK);
    enrolment = json_pack("{s:O, s:s}", "code", json_object_get(invitation, "code"), "request",
                          kf_buffer_text(&request));
    kf_http_client *nobody = client_of(made, NULL);
    const kf_http_call call = {.method = "POST", .path = "/v1/enrolments", .body = enrolment};
    assert_int_equal(kf_http_client_call(nobody, &call, &answer, &made->error), KF_OK);
    assert_int_equal(kf_http_client_call(nobody, &call, &answer, &made->error), KF_ERR_CODE);
    kf_http_client_free(&nobody);
    assert_string_equal(json_string_value(json_object_get(answer, "name")), "t1");
    kf_buffer_append_text(&pair.certificate, json_string_value(json_object_get(answer, "certificate")));
    assert_int_equal(kf_pki_pair_save(&pair, made->terminal.certificate, made->terminal.key, &made->error),
                     KF_OK);
    return client_of(made, &made->terminal);
}

#define FILL(id, rest)                                                                                       \
    "{\"id\":\"" id "\",\"operation\":\"fill\",\"card\":{\"iccid\":\"8986001234567890123F\"}" rest "}"
#define MESSAGE(token)                                                                                       \
    "{\"step\":1,\"attempt\":1,\"token\":\"" token "\",\"answers\":[{\"entry\":0,\"response\":\"9000\"}]}"

static void a_terminal_enrols_fills_and_is_disabled(void **state)
{
    world *made = *state;
    kf_http_client *terminal = enrolled_terminal(made);
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_CLEANUP(kf_json_free) json_t *list = NULL;
    KF_CLEANUP(kf_json_free) json_t *terminals = NULL;
    assert_int_equal(tell(made, made->administrator, "POST /v1/numbers",
                          "{\"first\":\"8613800000001\",\"last\":\"8613800000010\"}"),
                     KF_OK);
    assert_int_equal(
        send(made, terminal, "POST /v1/requests", FILL(ID, ",\"number_source\":\"allocate\""), &answer),
        KF_OK);
    assert_string_equal(json_string_value(json_object_get(answer, "token")), "8613800000001");
    assert_int_equal(tell(made, terminal, "POST /v1/requests/" ID "/messages", MESSAGE("8613800000001")),
                     KF_OK);
    assert_int_equal(send(made, made->administrator, "GET /v1/numbers?state=bound", NULL, &list), KF_OK);
    const json_t *bound = json_array_get(json_object_get(list, "numbers"), 0);
    assert_string_equal(json_string_value(json_object_get(bound, "number")), "8613800000001");
    assert_string_equal(json_string_value(json_object_get(bound, "card")), "kdd:01");
    assert_int_equal(send(made, made->administrator, "GET /v1/terminals", NULL, &terminals), KF_OK);
    const json_t *first = json_array_get(json_object_get(terminals, "terminals"), 0);
    assert_true(json_integer_value(json_object_get(first, "last_contact_ms")) > 0);

    assert_int_equal(tell(made, made->administrator, "PATCH /v1/terminals/t1", "{\"enabled\":false}"), KF_OK);
    assert_int_equal(tell(made, terminal, "GET /v1/modules", NULL), KF_ERR_DISABLED);
    assert_int_equal(tell(made, made->administrator, "PATCH /v1/terminals/t1", "{\"enabled\":true}"), KF_OK);
    assert_int_equal(tell(made, terminal, "GET /v1/modules", NULL), KF_OK);
    kf_http_client_free(&terminal);
}

static void the_issuing_server_learns_what_it_missed_while_it_was_down(void **state)
{
    world *made = *state;
    kf_http_client *terminal = enrolled_terminal(made);
    assert_int_equal(
        tell(made, made->administrator, "PUT /v1/orders/shop", "{\"number_source\":\"issuing-server\"}"),
        KF_OK);
    assert_int_equal(tell(made, terminal, "POST /v1/requests", FILL(ID, ",\"order\":\"shop\"")), KF_OK);
    assert_string_equal(issuing_server_state_of(made->issuing, "8613900000001"), "reserved");
    issuing_server_set_mode(made->issuing, ISSUING_UNAVAILABLE);
    assert_int_equal(tell(made, terminal, "POST /v1/requests/" ID "/messages", MESSAGE("8613900000001")),
                     KF_OK);
    assert_string_equal(issuing_server_state_of(made->issuing, "8613900000001"), "reserved");
    issuing_server_set_mode(made->issuing, ISSUING_GOOD);
    assert_true(issuing_server_wait_for(made->issuing, "8613900000001", "bound", WAIT_MS));
    kf_http_client_free(&terminal);
}

static void a_removed_card_gives_its_number_back_to_the_issuing_server(void **state)
{
    world *made = *state;
    kf_http_client *terminal = enrolled_terminal(made);
    assert_int_equal(
        tell(made, made->administrator, "PUT /v1/orders/shop", "{\"number_source\":\"issuing-server\"}"),
        KF_OK);
    assert_int_equal(tell(made, terminal, "POST /v1/requests", FILL(ID, ",\"order\":\"shop\"")), KF_OK);
    assert_int_equal(
        tell(made, terminal, "POST /v1/requests/" ID "/messages",
             "{\"step\":1,\"attempt\":1,\"token\":\"x\",\"answers\":[],\"stopped\":\"card-removed\"}"),
        KF_ERR_CARD_REMOVED);
    assert_true(issuing_server_wait_for(made->issuing, "8613900000001", "free", WAIT_MS));
    kf_http_client_free(&terminal);
}

static void a_host_stopped_and_started_again_goes_on(void **state)
{
    world *made = *state;
    kf_http_client *terminal = enrolled_terminal(made);
    assert_int_equal(tell(made, made->administrator, "POST /v1/numbers", "{\"numbers\":[\"8613800000001\"]}"),
                     KF_OK);
    assert_int_equal(tell(made, terminal, "POST /v1/requests", FILL(ID, "")), KF_OK);
    kf_http_client_free(&terminal);
    kf_host_service_stop(&made->service);
    start_host(made);
    terminal = client_of(made, &made->terminal);
    KF_CLEANUP(kf_json_free) json_t *again = NULL;
    assert_int_equal(send(made, terminal, "POST /v1/requests", FILL(ID, ""), &again), KF_OK);
    assert_string_equal(json_string_value(json_object_get(again, "token")), "8613800000001");
    assert_int_equal(tell(made, terminal, "POST /v1/requests/" ID "/messages", MESSAGE("8613800000001")),
                     KF_OK);
    kf_http_client_free(&terminal);
}

static void every_route_refuses_the_wrong_role_and_notes_it(void **state)
{
    world *made = *state;
    kf_http_client *terminal = enrolled_terminal(made);
    test_identity paul =
        test_identity_make(&made->certificates, &made->certificates.root, KF_PEER_AUDITOR, "paul");
    kf_http_client *auditor = client_of(made, &paul);
    static const char *const for_terminals[] = {"POST /v1/requests", "POST /v1/requests/" ID "/messages",
                                                "POST /v1/cards/lookup"};
    static const char *const for_administrators[] = {"GET /v1/terminals", "GET /v1/numbers",
                                                     "GET /v1/orders"};
    int64_t refusals = 0;
    for (size_t i = 0; i < sizeof for_terminals / sizeof for_terminals[0]; i++, refusals++)
        assert_int_equal(tell(made, auditor, for_terminals[i], "{}"), KF_ERR_FORBIDDEN);
    for (size_t i = 0; i < sizeof for_administrators / sizeof for_administrators[0]; i++, refusals++)
        assert_int_equal(tell(made, terminal, for_administrators[i], NULL), KF_ERR_FORBIDDEN);
    assert_int_equal(tell(made, made->administrator, "GET /v1/audit", NULL), KF_ERR_FORBIDDEN);
    refusals++;
    KF_CLEANUP(kf_json_free) json_t *audit = NULL;
    assert_int_equal(send(made, auditor, "GET /v1/audit", NULL, &audit), KF_OK);
    int64_t found = 0;
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(audit, "rows"), index, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "action")), "route.forbidden") == 0) found++;
    }
    assert_int_equal(found, refusals);
    kf_http_client_free(&auditor);
    kf_http_client_free(&terminal);
}

static void a_terminal_certificate_that_was_not_made_by_enrolment_is_refused(void **state)
{
    world *made = *state;
    test_identity forged =
        test_identity_make(&made->certificates, &made->certificates.authority, KF_PEER_TERMINAL, "t9");
    kf_http_client *terminal = client_of(made, &forged);
    assert_int_equal(tell(made, terminal, "GET /v1/modules", NULL), KF_ERR_FORBIDDEN);
    kf_http_client_free(&terminal);
}

static void relays_health_and_bad_bodies_answer_as_they_should(void **state)
{
    world *made = *state;
    kf_http_client *terminal = enrolled_terminal(made);
    kf_http_client *nobody = client_of(made, NULL);
    KF_CLEANUP(kf_json_free) json_t *known = NULL;
    KF_CLEANUP(kf_json_free) json_t *modules = NULL;
    assert_int_equal(tell(made, nobody, "GET /healthz", NULL), KF_OK);
    assert_int_equal(tell(made, nobody, "GET /readyz", NULL), KF_OK);
    assert_int_equal(send(made, terminal, "POST /v1/cards/lookup", "{\"card\":{}}", &known), KF_OK);
    assert_true(json_is_false(json_object_get(known, "known")));
    assert_int_equal(send(made, terminal, "GET /v1/modules", NULL, &modules), KF_OK);
    assert_int_equal(json_array_size(json_object_get(modules, "modules")), 1);
    assert_int_equal(tell(made, terminal, "POST /v1/cards/lookup", "{\"card\":{\"eid\":\"1\"}}"),
                     KF_ERR_FIELD);
    assert_int_equal(tell(made, terminal, "POST /v1/requests", NULL), KF_ERR_JSON);
    assert_int_equal(tell(made, made->administrator, "POST /v1/numbers", "{}"), KF_ERR_FIELD);
    assert_int_equal(tell(made, made->administrator, "POST /v1/numbers", "{\"numbers\":[]}"), KF_ERR_FIELD);
    assert_int_equal(tell(made, made->administrator, "POST /v1/numbers", "{\"numbers\":[\"123\",7]}"),
                     KF_ERR_FIELD);
    assert_int_equal(
        tell(made, made->administrator, "POST /v1/numbers", "{\"numbers\":[\"123456\",\"123456\"]}"),
        KF_ERR_CONFLICT);
    KF_CLEANUP(kf_json_free) json_t *list = NULL;
    assert_int_equal(send(made, made->administrator, "GET /v1/numbers", NULL, &list), KF_OK);
    assert_int_equal(json_array_size(json_object_get(list, "numbers")), 0);
    assert_int_equal(tell(made, made->administrator, "GET /v1/numbers?limit=none", NULL), KF_ERR_FIELD);
    assert_int_equal(tell(made, made->administrator, "PATCH /v1/terminals/t1", "{\"enabled\":1}"),
                     KF_ERR_FIELD);
    assert_int_equal(tell(made, made->administrator, "POST /v1/terminals", "{\"name\":\"a b\"}"),
                     KF_ERR_FIELD);
    assert_int_equal(tell(made, nobody, "POST /v1/enrolments", "{\"code\":\"X\",\"request\":7}"),
                     KF_ERR_FIELD);
    kf_http_client_free(&nobody);
    kf_http_client_free(&terminal);
}

/* ---- the configuration ---- */

#define FILES                                                                                                \
    "ca: a\ncertificate: b\nprivate_key: c\nterminal_authority_certificate: d\nterminal_authority_key: e\n"  \
    "database: sqlite:f\nkmu: https://k\n"

static kf_code load(const char *text, kf_host_config **ret_config, kf_error *error)
{
    char path[] = "/tmp/keyfill-host-config-XXXXXX";
    KF_CLEANUP(kf_descriptor_close) int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(kf_descriptor_write(descriptor, kf_view_of_text(text)), KF_OK);
    kf_code code = kf_host_config_load(path, ret_config, error);
    assert_int_equal(remove(path), 0);
    return code;
}

static void a_configuration_is_filled_in(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    kf_host_config *config = NULL;
    assert_int_equal(load(FILES "port: 8443\n", &config, &error), KF_OK);
    assert_string_equal(config->unit.address, "127.0.0.1");
    assert_int_equal(config->unit.port, 8443);
    assert_string_equal(config->number_source, "pool");
    assert_int_equal(config->reservation_minutes, 15);
    kf_host_config_free(&config);
    assert_null(config);
}

static void wrong_configurations_name_the_key(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {FILES "port: 1\nprot: 2\n", "prot"},
        {FILES "port: 1\nlog_level: loud\n", "loud"},
        {FILES "port: 1\nnumber_source: shop\n", "shop"},
        {FILES "port: 1\nnumber_source: issuing-server\n", "issuing_server"},
        {FILES "port: 1\nreservation_minutes: 100000\n", "reservation_minutes"},
        {FILES "port: 70000\n", "port"},
        {"port: 1\n", "missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kf_error error = {KF_OK, ""};
        kf_host_config *config = NULL;
        assert_int_equal(load(cases[i][0], &config, &error), KF_ERR_CONFIGURATION);
        if (strstr(error.message, cases[i][1]) == NULL) fail_msg("'%s' lacks %s", error.message, cases[i][1]);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_terminal_enrols_fills_and_is_disabled),
        TEST(the_issuing_server_learns_what_it_missed_while_it_was_down),
        TEST(a_removed_card_gives_its_number_back_to_the_issuing_server),
        TEST(a_host_stopped_and_started_again_goes_on),
        TEST(every_route_refuses_the_wrong_role_and_notes_it),
        TEST(a_terminal_certificate_that_was_not_made_by_enrolment_is_refused),
        TEST(relays_health_and_bad_bodies_answer_as_they_should),
        cmocka_unit_test(a_configuration_is_filled_in),
        cmocka_unit_test(wrong_configurations_name_the_key),
    };
    return cmocka_run_group_tests_name("host/service", tests, NULL, NULL);
}
