/* A real server and a real client, on loopback and on a local socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/file.h"
#include "certificates.h"
#include "wire/http_client.h"
#include "wire/http_server.h"
#include "wire/json.h"

#define DAY ((time_t)86400)
#define BODY_LIMIT 64

typedef struct fixture {
    test_certificates certificates;
    char ca[128];
    char foreign_ca[128];
    test_identity kmu;
    test_identity host;
    test_identity terminal;
    kf_http_server *server;
    atomic_bool disabled; /* host:h1 */
    atomic_int refused;
    atomic_int answered;
    atomic_long clock_offset;
    /* The slow route waits until it is let go. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting;
    int returned; /* slow calls that have their answer */
    bool let_go;
} fixture;

static fixture shared;

/* ---- the server ---- */

static kf_code whoami(void *context, const kf_http_request *request, kf_http_response *response,
                      kf_error *error)
{
    (void)context;
    (void)error;
    const char *colour = kf_http_query_parameter(request, "colour");
    response->json = json_pack("{s:s, s:s, s:s, s:s*}", "role", kf_peer_role_name(request->caller->role),
                               "name", request->caller->name, "method", request->method, "colour", colour);
    return KF_OK;
}

static kf_code echo(void *context, const kf_http_request *request, kf_http_response *response,
                    kf_error *error)
{
    (void)context;
    if (request->json == NULL) return kf_fail(error, KF_ERR_FIELD, "a body is needed");
    response->status = 201;
    response->json = json_pack("{s:s, s:O, s:i}", "id", kf_http_path_parameter(request, "id"), "body",
                               request->json, "size", (int)request->body.size);
    return KF_OK;
}

static kf_code fail_loudly(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    (void)context;
    (void)request;
    (void)snprintf(response->request_id, sizeof response->request_id, "6f00");
    return kf_fail(error, KF_ERR_STATE, "card kdd:00: it is filled; ask for refill \xff\"or clear\"");
}

static kf_code fail_silently(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    (void)context;
    (void)request;
    (void)response;
    (void)error;
    return KF_ERR_STORE_BUSY;
}

static kf_code slow(void *context, const kf_http_request *request, kf_http_response *response,
                    kf_error *error)
{
    fixture *state = context;
    (void)request;
    (void)error;
    (void)pthread_mutex_lock(&state->lock);
    state->waiting++;
    (void)pthread_cond_broadcast(&state->changed);
    while (!state->let_go)
        (void)pthread_cond_wait(&state->changed, &state->lock);
    (void)pthread_mutex_unlock(&state->lock);
    response->json = json_pack("{s:b}", "slow", 1);
    return KF_OK;
}

static kf_code long_answer(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    (void)context;
    (void)request;
    (void)error;
    kf_buffer_append_text(&response->body, "{\"x\":\"");
    kf_buffer_append_fill(&response->body, 'x', 5000);
    kf_buffer_append_text(&response->body, "\"}");
    response->content_type = "application/json";
    return KF_OK;
}

static kf_code nonsense(void *context, const kf_http_request *request, kf_http_response *response,
                        kf_error *error)
{
    (void)context;
    (void)request;
    (void)error;
    kf_buffer_append_text(&response->body, "<html>");
    response->content_type = "text/html";
    return KF_OK;
}

static kf_code empty(void *context, const kf_http_request *request, kf_http_response *response,
                     kf_error *error)
{
    (void)context;
    (void)request;
    (void)error;
    response->status = 204;
    return KF_OK;
}

#define HOSTS (KF_PEER_BIT(KF_PEER_HOST) | KF_PEER_BIT(KF_PEER_TERMINAL))

static const kf_http_route routes[] = {
    {"GET", "/healthz", KF_PEER_ANYONE, 0, whoami},
    {"GET", "/v1/who", HOSTS | KF_PEER_BIT(KF_PEER_LOCAL), 0, whoami},
    {"POST", "/v1/requests/{id}/messages", HOSTS, BODY_LIMIT, echo},
    {"GET", "/v1/requests/{id}", HOSTS, 0, whoami},
    {"PUT", "/v1/requests/{id}", KF_PEER_BIT(KF_PEER_OFFICER), BODY_LIMIT, whoami},
    {"GET", "/v1/state", HOSTS, 0, fail_loudly},
    {"GET", "/v1/silent", HOSTS, 0, fail_silently},
    {"GET", "/v1/slow", HOSTS, 0, slow},
    {"GET", "/v1/long", HOSTS, 0, long_answer},
    {"GET", "/v1/nonsense", HOSTS, 0, nonsense},
    {"DELETE", "/v1/empty", HOSTS, 0, empty},
    {"POST", "/v1/enrolments", KF_PEER_ANYONE, BODY_LIMIT, echo},
};

static bool is_disabled(void *context, kf_peer_role role, const char *name)
{
    fixture *state = context;
    return role == KF_PEER_HOST && strcmp(name, "h1") == 0 && atomic_load(&state->disabled);
}

static void note_refused(void *context, const kf_http_request *request, const kf_error *error)
{
    fixture *state = context;
    assert_non_null(request->caller);
    assert_true(error->message[0] != '\0');
    atomic_fetch_add(&state->refused, 1);
}

static void note_answered(void *context, const kf_http_request *request, int status, unsigned microseconds)
{
    fixture *state = context;
    (void)request;
    (void)microseconds;
    assert_in_range(status, 200, 599);
    atomic_fetch_add(&state->answered, 1);
}

static time_t shifted_now(void *context)
{
    fixture *state = context;
    return time(NULL) + (time_t)atomic_load(&state->clock_offset);
}

static kf_http_server_options options_of(fixture *state)
{
    return (kf_http_server_options){.ca_file = state->ca,
                                    .certificate_file = state->kmu.certificate,
                                    .key_file = state->kmu.key,
                                    .routes = routes,
                                    .route_count = sizeof routes / sizeof routes[0],
                                    .context = state,
                                    .is_disabled = is_disabled,
                                    .refused = note_refused,
                                    .answered = note_answered,
                                    .now = shifted_now};
}

static void start(fixture *state, const kf_http_server_options *options)
{
    kf_error error = {KF_OK, ""};
    kf_code code = kf_http_server_start(options, &state->server, &error);
    if (code != KF_OK) fail_msg("%s", error.message);
}

static int set_up_group(void **state)
{
    memset(&shared, 0, sizeof shared);
    test_certificates_make(&shared.certificates);
    test_path(&shared.certificates, "ca.pem", shared.ca);
    test_path(&shared.certificates, "foreign-ca.pem", shared.foreign_ca);
    shared.kmu = test_identity_make(&shared.certificates, &shared.certificates.root, KF_PEER_KMU, "k1");
    shared.host = test_identity_make(&shared.certificates, &shared.certificates.root, KF_PEER_HOST, "h1");
    shared.terminal =
        test_identity_make(&shared.certificates, &shared.certificates.authority, KF_PEER_TERMINAL, "t1");
    (void)pthread_mutex_init(&shared.lock, NULL);
    (void)pthread_cond_init(&shared.changed, NULL);
    *state = &shared;
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    test_certificates_remove(&shared.certificates);
    return 0;
}

static int set_up(void **state)
{
    fixture *f = *state;
    atomic_store(&f->disabled, false);
    atomic_store(&f->refused, 0);
    atomic_store(&f->answered, 0);
    atomic_store(&f->clock_offset, 0);
    f->waiting = 0;
    f->returned = 0;
    f->let_go = false;
    kf_http_server_options options = options_of(f);
    start(f, &options);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    kf_http_server_stop(&f->server);
    return 0;
}

/* ---- the client ---- */

static kf_http_client *client_with(fixture *f, const test_identity *identity, kf_http_client_options options)
{
    static char url[64];
    kf_error error = {KF_OK, ""};
    kf_http_client *client = NULL;
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u", kf_http_server_port(f->server));
    if (options.base_url == NULL && options.unix_path == NULL) options.base_url = url;
    if (options.ca_file == NULL) options.ca_file = f->ca;
    if (identity != NULL) options.certificate_file = identity->certificate;
    if (identity != NULL) options.key_file = identity->key;
    kf_code code = kf_http_client_new(&options, &client, &error);
    if (code != KF_OK) fail_msg("%s", error.message);
    return client;
}

static kf_http_client *client_of(fixture *f, const test_identity *identity)
{
    return client_with(f, identity,
                       (kf_http_client_options){.expected_role = KF_PEER_KMU, .expected_name = "k1"});
}

static kf_code call(kf_http_client *client, const char *method, const char *path, json_t **ret_json,
                    kf_error *error)
{
    kf_http_call request = {.method = method, .path = path};
    *error = (kf_error){KF_OK, ""};
    return kf_http_client_call(client, &request, ret_json, error);
}

static kf_code post(kf_http_client *client, const char *path, json_t *body, json_t **ret_json,
                    kf_error *error)
{
    kf_http_call request = {.method = "POST", .path = path, .body = body};
    *error = (kf_error){KF_OK, ""};
    kf_code code = kf_http_client_call(client, &request, ret_json, error);
    json_decref(body);
    return code;
}

static void assert_says(const kf_error *error, const char *part)
{
    if (strstr(error->message, part) == NULL) fail_msg("\"%s\" does not say \"%s\"", error->message, part);
}

static void assert_refused(fixture *f, const test_identity *identity, kf_code expected, const char *part)
{
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, identity);
    assert_int_equal(call(client, "GET", "/v1/who", &json, &error), expected);
    assert_null(json);
    assert_says(&error, part);
    assert_int_equal(atomic_load(&f->refused), 1);
}

static const char *text_in(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    assert_non_null(text);
    return text;
}

/* ---- who may call ---- */

static void a_host_and_a_terminal_are_known_by_their_certificates(void **state)
{
    fixture *f = *state;
    const test_identity *identities[] = {&f->host, &f->terminal};
    const char *roles[] = {"host", "terminal"};
    const char *names[] = {"h1", "t1"};
    for (size_t i = 0; i < 2; i++) {
        kf_error error;
        KF_CLEANUP(kf_json_free) json_t *json = NULL;
        KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, identities[i]);
        if (call(client, "GET", "/v1/who?colour=light%20blue", &json, &error) != KF_OK)
            fail_msg("%s", error.message);
        assert_string_equal(text_in(json, "role"), roles[i]);
        assert_string_equal(text_in(json, "name"), names[i]);
        assert_string_equal(text_in(json, "colour"), "light blue");
    }
}

static void without_a_certificate_only_routes_for_anyone_answer(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, NULL);
    assert_int_equal(call(client, "GET", "/healthz", &json, &error), KF_OK);
    assert_string_equal(text_in(json, "role"), "none");
    assert_refused(f, NULL, KF_ERR_FORBIDDEN, "no client certificate was shown");
}

static void an_expired_certificate_is_refused(void **state)
{
    fixture *f = *state;
    test_identity old = test_identity_make_until(&f->certificates, &f->certificates.root, KF_PEER_HOST, "old",
                                                 time(NULL) - 5 * DAY);
    assert_refused(f, &old, KF_ERR_CERTIFICATE, "certificate urn:keyfill:host:old expired on 20");
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
    fixture *f = *state;
    test_identity other =
        test_identity_make(&f->certificates, &f->certificates.foreign_root, KF_PEER_HOST, "other");
    assert_refused(f, &other, KF_ERR_CERTIFICATE, "urn:keyfill:host:other");
}

static void a_certificate_without_uri_is_refused(void **state)
{
    fixture *f = *state;
    test_identity plain = test_identity_forge(&f->certificates, &f->certificates.root, NULL, "plain");
    assert_refused(f, &plain, KF_ERR_CERTIFICATE, "exactly one urn:keyfill:ROLE:NAME is needed");
}

static void another_role_under_the_terminal_authority_is_refused(void **state)
{
    fixture *f = *state;
    test_identity forged =
        test_identity_forge(&f->certificates, &f->certificates.authority, "urn:keyfill:host:evil", "evil");
    assert_refused(f, &forged, KF_ERR_CERTIFICATE, "under which only the role terminal is accepted");
}

static void a_terminal_under_the_root_is_refused(void **state)
{
    fixture *f = *state;
    test_identity forged =
        test_identity_forge(&f->certificates, &f->certificates.root, "urn:keyfill:terminal:t9", "t9");
    assert_refused(f, &forged, KF_ERR_CERTIFICATE, "was not issued by a terminal authority");
}

static void a_certificate_under_another_peers_certificate_is_refused(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair host = {KF_BUFFER_INIT, NULL};
    assert_int_equal(kf_pki_pair_load(f->host.certificate, f->host.key, &host, &error), KF_OK);
    test_identity forged = test_identity_forge(&f->certificates, &host, "urn:keyfill:officer:o1", "o1");
    assert_refused(f, &forged, KF_ERR_CERTIFICATE, "does not verify");
}

static void a_role_that_the_route_does_not_name_is_refused(void **state)
{
    fixture *f = *state;
    test_identity bank = test_identity_make(&f->certificates, &f->certificates.root, KF_PEER_BANK, "b1");
    assert_refused(f, &bank, KF_ERR_FORBIDDEN, "bank:b1 may not GET /v1/who: the role bank");
}

static void a_disabled_caller_is_refused_on_an_open_connection_too(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    assert_int_equal(call(client, "GET", "/v1/who", &json, &error), KF_OK);
    atomic_store(&f->disabled, true);
    kf_json_free(&json);
    assert_int_equal(call(client, "GET", "/v1/who", &json, &error), KF_ERR_DISABLED);
    assert_says(&error, "host:h1 is disabled");
    assert_int_equal(atomic_load(&f->refused), 1);
}

static void a_certificate_that_expires_on_an_open_connection_is_refused(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    assert_int_equal(call(client, "GET", "/v1/who", &json, &error), KF_OK);
    atomic_store(&f->clock_offset, (long)(400 * DAY));
    kf_json_free(&json);
    assert_int_equal(call(client, "GET", "/v1/who", &json, &error), KF_ERR_CERTIFICATE);
    assert_says(&error, "host:h1 expired on");
    assert_int_equal(call(client, "GET", "/healthz", &json, &error), KF_OK);
    assert_string_equal(text_in(json, "role"), "none");
}

/* ---- what the client refuses ---- */

static void assert_client_refuses(fixture *f, kf_http_client_options options, kf_code expected,
                                  const char *part)
{
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_with(f, &f->host, options);
    assert_int_equal(call(client, "GET", "/healthz", &json, &error), expected);
    assert_says(&error, part);
    assert_int_equal(atomic_load(&f->answered), 0);
}

static void a_server_of_another_role_or_name_is_refused_before_anything_is_sent(void **state)
{
    fixture *f = *state;
    assert_client_refuses(f, (kf_http_client_options){.expected_role = KF_PEER_HOST}, KF_ERR_TLS,
                          "is kmu:k1, and host:* is expected");
    assert_client_refuses(f, (kf_http_client_options){.expected_role = KF_PEER_KMU, .expected_name = "k2"},
                          KF_ERR_TLS, "is kmu:k1, and kmu:k2 is expected");
}

static void a_server_of_another_ca_is_refused(void **state)
{
    fixture *f = *state;
    assert_client_refuses(f, (kf_http_client_options){.ca_file = f->foreign_ca}, KF_ERR_TLS,
                          "/foreign-ca.pem");
}

static void a_server_whose_name_is_not_in_its_certificate_is_refused(void **state)
{
    fixture *f = *state;
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.2:%u", kf_http_server_port(f->server));
    kf_http_server_stop(&f->server);
    kf_http_server_options options = options_of(f);
    options.address = "0.0.0.0";
    start(f, &options);
    (void)snprintf(url, sizeof url, "https://127.0.0.2:%u", kf_http_server_port(f->server));
    assert_client_refuses(f, (kf_http_client_options){.base_url = url}, KF_ERR_TLS, "127.0.0.2");
}

static void an_expired_server_is_refused(void **state)
{
    fixture *f = *state;
    kf_http_server_stop(&f->server);
    test_identity old = test_identity_make_until(&f->certificates, &f->certificates.root, KF_PEER_KMU, "old",
                                                 time(NULL) - 5 * DAY);
    kf_http_server_options options = options_of(f);
    options.certificate_file = old.certificate;
    options.key_file = old.key;
    start(f, &options);
    assert_client_refuses(f, (kf_http_client_options){.expected_role = KF_PEER_KMU}, KF_ERR_TLS,
                          "has expired");
}

static void nobody_listening_is_unreachable(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    kf_http_server_stop(&f->server);
    assert_int_equal(call(client, "GET", "/healthz", &json, &error), KF_ERR_UNREACHABLE);
    assert_says(&error, "https://127.0.0.1:");
}

static void an_answer_longer_than_the_cap_is_refused(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free)
    kf_http_client *client = client_with(f, &f->host, (kf_http_client_options){.response_limit = 4096});
    assert_int_equal(call(client, "GET", "/v1/long", &json, &error), KF_ERR_PEER);
    assert_says(&error, "longer than the 4096 bytes");
    assert_int_equal(call(client, "GET", "/v1/nonsense", &json, &error), KF_ERR_PEER);
    assert_says(&error, "malformed JSON");
    KF_CLEANUP(kf_json_free) json_t *after = NULL;
    assert_int_equal(call(client, "GET", "/v1/who", &after, &error), KF_OK);
}

/* ---- bodies, paths, problems ---- */

static void a_body_comes_back_with_its_path_parameter(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    kf_buffer_append_text(&path, "/v1/requests/");
    kf_http_escape(&path, "a b:ü");
    kf_buffer_append_text(&path, "/messages");
    assert_int_equal(post(client, kf_buffer_text(&path), json_pack("{s:i}", "step", 1), &json, &error),
                     KF_OK);
    assert_string_equal(text_in(json, "id"), "a b:ü");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "body"), "step")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "size")), 10);
    json_t *nothing = NULL;
    assert_int_equal(call(client, "DELETE", "/v1/empty", &nothing, &error), KF_OK);
    assert_null(nothing);
}

static void unknown_paths_and_methods_are_told_apart(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    const char *unknown[] = {
        "/",         "/v1/requests", "/v1/requests/", "/v1/requests/a/b", "/v1/requests/a/messages/",
        "/v1/who/x", "//v1/who"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(call(client, "GET", unknown[i], &json, &error), KF_ERR_NOT_FOUND);
        assert_says(&error, "there is no path");
    }
    assert_int_equal(call(client, "DELETE", "/v1/requests/abc", &json, &error), KF_ERR_METHOD);
    assert_says(&error, "it takes GET, PUT");
}

static void an_oversized_body_is_refused_and_the_connection_lives_on(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    static char text[3 * 1024 * 1024];
    const size_t sizes[] = {BODY_LIMIT, 100 * 1024, 1000 * 1024, sizeof text - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(text, 'x', sizes[i]);
        text[sizes[i]] = '\0';
        assert_int_equal(
            post(client, "/v1/requests/a/messages", json_pack("{s:s}", "x", text), &json, &error),
            KF_ERR_BODY_TOO_LARGE);
        assert_says(&error, "larger than the 64 bytes");
    }
    kf_http_call unwanted = {.method = "GET", .path = "/v1/who", .body = json_object()};
    assert_int_equal(kf_http_client_call(client, &unwanted, &json, &error), KF_ERR_BODY_TOO_LARGE);
    assert_says(&error, "takes no body");
    json_decref((json_t *)(uintptr_t)unwanted.body);
    assert_int_equal(call(client, "GET", "/v1/who", &json, &error), KF_OK);
}

static void a_problem_comes_back_as_the_error_it_was(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    assert_int_equal(call(client, "GET", "/v1/state", &json, &error), KF_ERR_STATE);
    assert_string_equal(error.message, "card kdd:00: it is filled; ask for refill ?\"or clear\"");
    assert_int_equal(call(client, "GET", "/v1/silent", &json, &error), KF_ERR_STORE_BUSY);
    assert_string_equal(error.message, kf_code_meaning(KF_ERR_STORE_BUSY));
}

/* ---- many at once ---- */

typedef struct many_calls {
    kf_http_client *client;
    unsigned failures;
    unsigned number;
} many_calls;

#define CALLS_A_THREAD 100

static void *call_often(void *context)
{
    many_calls *calls = context;
    for (unsigned i = 0; i < CALLS_A_THREAD; i++) {
        kf_error error;
        char path[64];
        KF_CLEANUP(kf_json_free) json_t *json = NULL;
        (void)snprintf(path, sizeof path, "/v1/requests/t%u-%u/messages", calls->number, i);
        kf_code code = post(calls->client, path, json_pack("{s:i}", "i", (int)i), &json, &error);
        const char *id = json_string_value(json_object_get(json, "id"));
        if (code != KF_OK || id == NULL || strncmp(path + 13, id, strlen(id)) != 0) calls->failures++;
    }
    return NULL;
}

static void parallel_requests_get_their_own_answers(void **state)
{
    fixture *f = *state;
    kf_http_server_stop(&f->server);
    kf_http_server_options options = options_of(f);
    options.polling_threads = 2;
    start(f, &options);
    KF_CLEANUP(kf_http_client_free)
    kf_http_client *client = client_with(f, &f->host, (kf_http_client_options){.connection_limit = 4});
    pthread_t threads[8];
    many_calls calls[8];
    for (unsigned i = 0; i < 8; i++) {
        calls[i] = (many_calls){.client = client, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &calls[i]), 0);
    }
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(calls[i].failures, 0);
    }
    assert_int_equal(atomic_load(&f->answered), 8 * CALLS_A_THREAD);
}

typedef struct slow_call {
    fixture *fixture;
    kf_http_client *client;
    kf_code code;
    kf_error error;
} slow_call;

static void *call_slowly(void *context)
{
    slow_call *slow_one = context;
    json_t *json = NULL;
    slow_one->code = call(slow_one->client, "GET", "/v1/slow", &json, &slow_one->error);
    kf_json_free(&json);
    (void)pthread_mutex_lock(&slow_one->fixture->lock);
    slow_one->fixture->returned++;
    (void)pthread_cond_broadcast(&slow_one->fixture->changed);
    (void)pthread_mutex_unlock(&slow_one->fixture->lock);
    return NULL;
}

static void wait_for_slow(fixture *f, int count)
{
    (void)pthread_mutex_lock(&f->lock);
    while (f->waiting < count)
        (void)pthread_cond_wait(&f->changed, &f->lock);
    (void)pthread_mutex_unlock(&f->lock);
}

static void let_go(fixture *f)
{
    (void)pthread_mutex_lock(&f->lock);
    f->let_go = true;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
}

static void a_slow_handler_blocks_nobody_else(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    slow_call slow_one = {.fixture = f, .client = client};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_slowly, &slow_one), 0);
    wait_for_slow(f, 1);
    assert_int_equal(call(client, "GET", "/v1/who", &json, &error), KF_OK);
    let_go(f);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(slow_one.code, KF_OK);
}

static void past_the_queue_limit_the_unit_is_busy(void **state)
{
    fixture *f = *state;
    kf_http_server_stop(&f->server);
    kf_http_server_options options = options_of(f);
    options.worker_threads = 1;
    options.queue_limit = 1;
    start(f, &options);
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    slow_call first = {.fixture = f, .client = client};
    slow_call more[2] = {{.fixture = f, .client = client}, {.fixture = f, .client = client}};
    pthread_t thread;
    pthread_t others[2];
    assert_int_equal(pthread_create(&thread, NULL, call_slowly, &first), 0);
    wait_for_slow(f, 1);
    /* The worker is taken: one of these waits in the queue, the other is turned away, whichever comes first.
     */
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&others[i], NULL, call_slowly, &more[i]), 0);
    (void)pthread_mutex_lock(&f->lock);
    while (f->returned == 0)
        (void)pthread_cond_wait(&f->changed, &f->lock);
    (void)pthread_mutex_unlock(&f->lock);
    let_go(f);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(first.code, KF_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(others[i], NULL), 0);
    const slow_call *turned_away = more[0].code == KF_ERR_BUSY ? &more[0] : &more[1];
    const slow_call *served = turned_away == &more[0] ? &more[1] : &more[0];
    assert_int_equal(turned_away->code, KF_ERR_BUSY);
    assert_says(&turned_away->error, "too many requests wait");
    assert_int_equal(served->code, KF_OK);
}

static void *stop_server(void *context)
{
    fixture *f = context;
    kf_http_server_stop(&f->server);
    return NULL;
}

static void stopping_lets_a_running_request_end(void **state)
{
    fixture *f = *state;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    KF_CLEANUP(kf_http_client_free) kf_http_client *late = client_of(f, &f->host);
    slow_call slow_one = {.fixture = f, .client = client};
    pthread_t thread;
    pthread_t stopper;
    assert_int_equal(pthread_create(&thread, NULL, call_slowly, &slow_one), 0);
    wait_for_slow(f, 1);
    assert_int_equal(pthread_create(&stopper, NULL, stop_server, f), 0);
    /* New calls are turned away from some moment on. */
    kf_error error;
    json_t *json = NULL;
    while (call(late, "GET", "/v1/who", &json, &error) == KF_OK)
        kf_json_free(&json);
    let_go(f);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_int_equal(slow_one.code, KF_OK);
}

static void a_call_that_takes_too_long_times_out(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    kf_http_call request = {.method = "GET", .path = "/v1/slow", .timeout_milliseconds = 50};
    assert_int_equal(kf_http_client_call(client, &request, &json, &error), KF_ERR_TIMEOUT);
    let_go(f);
}

/* ---- local sockets and raw bytes ---- */

static void a_local_socket_serves_without_certificates(void **state)
{
    fixture *f = *state;
    kf_error error;
    char path[128];
    char name[32];
    struct stat file;
    kf_http_server *second = NULL;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    kf_http_server_stop(&f->server);
    test_path(&f->certificates, "socket", path);
    kf_http_server_options options = options_of(f);
    options.unix_path = path;
    options.unix_mode = 0660;
    start(f, &options);
    assert_int_equal(kf_http_server_port(f->server), 0);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777U, 0660);
    KF_CLEANUP(kf_http_client_free)
    kf_http_client *client = client_with(f, NULL, (kf_http_client_options){.unix_path = path});
    if (call(client, "GET", "/v1/who", &json, &error) != KF_OK) fail_msg("%s", error.message);
    (void)snprintf(name, sizeof name, "uid-%u", (unsigned)getuid());
    assert_string_equal(text_in(json, "role"), "local");
    assert_string_equal(text_in(json, "name"), name);
    json_t *none = NULL;
    assert_int_equal(call(client, "GET", "/v1/state", &none, &error), KF_ERR_FORBIDDEN);
    assert_int_equal(kf_http_server_start(&options, &second, &error), KF_ERR_CONFIGURATION);
    assert_says(&error, "another process listens on it");
    kf_http_server_stop(&f->server);
    assert_int_equal(stat(path, &file), -1);
}

static void a_socket_file_left_behind_is_replaced(void **state)
{
    fixture *f = *state;
    char path[128];
    kf_http_server_stop(&f->server);
    test_path(&f->certificates, "left-behind", path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    kf_descriptor_close(&descriptor);
    kf_http_server_options options = options_of(f);
    options.unix_path = path;
    start(f, &options);
}

/* Sends bytes as they are to a local socket, and gives what comes back. */
static void exchange_raw(fixture *f, const char *request, kf_buffer *response)
{
    char path[128];
    kf_http_server_stop(&f->server);
    test_path(&f->certificates, "raw", path);
    kf_http_server_options options = options_of(f);
    static kf_http_route local_routes[] = {
        {"POST", "/echo/{id}", KF_PEER_BIT(KF_PEER_LOCAL), BODY_LIMIT, echo}};
    options.routes = local_routes;
    options.route_count = 1;
    options.unix_path = path;
    start(f, &options);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    KF_CLEANUP(kf_descriptor_close) int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(kf_descriptor_write(descriptor, kf_view_of_text(request)), KF_OK);
    char part[512];
    ssize_t got = 0;
    while ((got = read(descriptor, part, sizeof part)) > 0)
        kf_buffer_append_bytes(response, part, (size_t)got);
    assert_non_null(kf_buffer_text(response));
}

static void assert_raw(fixture *f, const char *body, const char *status, const char *part)
{
    char request[1024];
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    (void)snprintf(request, sizeof request,
                   "POST /echo/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    exchange_raw(f, request, &response);
    const char *text = kf_buffer_text(&response);
    if (strstr(text, status) == NULL || strstr(text, part) == NULL)
        fail_msg("%s\ndoes not hold %s and %s", text, status, part);
}

static void bad_json_is_refused_with_its_place(void **state)
{
    fixture *f = *state;
    assert_raw(f, "{\"a\": 1}", "201 Created", "\"id\":\"7\"");
    assert_raw(f, "{\"a\":\n  oops}", "400 Bad Request", "line 2, column 6");
    assert_raw(f, "{\"a\": 1, \"a\": 2}", "400 Bad Request", "duplicate object key");
    assert_raw(f, "[1]", "400 Bad Request", "not an object");
    assert_raw(f, "{} x", "400 Bad Request", "KF_ERR_JSON");
    assert_raw(f, "", "400 Bad Request", "a body is needed");
}

static void a_chunked_body_is_capped_too(void **state)
{
    fixture *f = *state;
    char request[1024];
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    (void)snprintf(
        request, sizeof request,
        "POST /echo/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "28\r\n%040d\r\n28\r\n%040d\r\n0\r\n\r\n",
        1, 2);
    exchange_raw(f, request, &response);
    assert_non_null(strstr(kf_buffer_text(&response), "KF_ERR_BODY_TOO_LARGE"));
    assert_non_null(strstr(kf_buffer_text(&response), "application/problem+json"));
}

static void a_wrong_start_is_explained(void **state)
{
    fixture *f = *state;
    kf_error error;
    kf_http_server *server = NULL;
    kf_http_server_options options = options_of(f);
    options.port = kf_http_server_port(f->server);
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CONFIGURATION);
    assert_says(&error, "Address already in use");
    options = options_of(f);
    options.address = "nowhere";
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CONFIGURATION);
    assert_says(&error, "\"nowhere\" is no address");
    options = options_of(f);
    options.key_file = f->host.key;
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CERTIFICATE);
    assert_says(&error, "cannot be used together");
    options = options_of(f);
    options.ca_file = f->host.key;
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CERTIFICATE);
    assert_says(&error, "holds no CA certificate");
    options = options_of(f);
    options.certificate_file = "/nonexistent/x.pem";
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_FILE);
    options = options_of(f);
    options.key_file = NULL;
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CONFIGURATION);
    assert_null(server);
}

static void an_inherited_socket_is_served(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    kf_http_server_stop(&f->server);
    kf_http_server_options options = options_of(f);
    options.inherited = true;
    assert_int_equal(kf_http_listen(NULL, 0, &options.listen_descriptor, &error), KF_OK);
    start(f, &options);
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(f, &f->host);
    assert_int_equal(call(client, "GET", "/v1/who", &json, &error), KF_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_host_and_a_terminal_are_known_by_their_certificates),
        TEST(without_a_certificate_only_routes_for_anyone_answer),
        TEST(an_expired_certificate_is_refused),
        TEST(a_certificate_of_another_ca_is_refused),
        TEST(a_certificate_without_uri_is_refused),
        TEST(another_role_under_the_terminal_authority_is_refused),
        TEST(a_terminal_under_the_root_is_refused),
        TEST(a_certificate_under_another_peers_certificate_is_refused),
        TEST(a_role_that_the_route_does_not_name_is_refused),
        TEST(a_disabled_caller_is_refused_on_an_open_connection_too),
        TEST(a_certificate_that_expires_on_an_open_connection_is_refused),
        TEST(a_server_of_another_role_or_name_is_refused_before_anything_is_sent),
        TEST(a_server_of_another_ca_is_refused),
        TEST(a_server_whose_name_is_not_in_its_certificate_is_refused),
        TEST(an_expired_server_is_refused),
        TEST(nobody_listening_is_unreachable),
        TEST(an_answer_longer_than_the_cap_is_refused),
        TEST(a_body_comes_back_with_its_path_parameter),
        TEST(unknown_paths_and_methods_are_told_apart),
        TEST(an_oversized_body_is_refused_and_the_connection_lives_on),
        TEST(a_problem_comes_back_as_the_error_it_was),
        TEST(parallel_requests_get_their_own_answers),
        TEST(a_slow_handler_blocks_nobody_else),
        TEST(past_the_queue_limit_the_unit_is_busy),
        TEST(stopping_lets_a_running_request_end),
        TEST(a_call_that_takes_too_long_times_out),
        TEST(a_local_socket_serves_without_certificates),
        TEST(a_socket_file_left_behind_is_replaced),
        TEST(bad_json_is_refused_with_its_place),
        TEST(a_chunked_body_is_capped_too),
        TEST(a_wrong_start_is_explained),
        TEST(an_inherited_socket_is_served),
    };
    return cmocka_run_group_tests_name("wire/http", tests, set_up_group, tear_down_group);
}
