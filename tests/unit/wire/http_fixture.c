/* One unit on loopback, and calls to it. */
#include "http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

kf_code fixture_echo(void *context, const kf_http_request *request, kf_http_response *response,
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
    {"POST", "/v1/requests/{id}/messages", HOSTS, BODY_LIMIT, fixture_echo},
    {"GET", "/v1/requests/{id}", HOSTS, 0, whoami},
    {"PUT", "/v1/requests/{id}", KF_PEER_BIT(KF_PEER_OFFICER), BODY_LIMIT, whoami},
    {"GET", "/v1/state", HOSTS, 0, fail_loudly},
    {"GET", "/v1/silent", HOSTS, 0, fail_silently},
    {"GET", "/v1/slow", HOSTS, 0, slow},
    {"GET", "/v1/long", HOSTS, 0, long_answer},
    {"GET", "/v1/nonsense", HOSTS, 0, nonsense},
    {"DELETE", "/v1/empty", HOSTS, 0, empty},
    {"POST", "/v1/enrolments", KF_PEER_ANYONE, BODY_LIMIT, fixture_echo},
};

static kf_code check_caller(void *context, const kf_peer *caller, kf_error *error)
{
    fixture *state = context;
    if (caller->role != KF_PEER_HOST || strcmp(caller->name, "h1") != 0 || !atomic_load(&state->disabled))
        return KF_OK;
    return kf_fail(error, KF_ERR_DISABLED, "host:%s is disabled", caller->name);
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

kf_http_server_options fixture_options_of(fixture *state)
{
    return (kf_http_server_options){.ca_file = state->ca,
                                    .certificate_file = state->kmu.certificate,
                                    .key_file = state->kmu.key,
                                    .routes = routes,
                                    .route_count = sizeof routes / sizeof routes[0],
                                    .context = state,
                                    .check_caller = check_caller,
                                    .refused = note_refused,
                                    .answered = note_answered,
                                    .now = shifted_now};
}

void fixture_start(fixture *state, const kf_http_server_options *options)
{
    kf_error error = {KF_OK, ""};
    kf_code code = kf_http_server_start(options, &state->server, &error);
    if (code != KF_OK) fail_msg("%s", error.message);
}

int fixture_set_up_group(void **state)
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

int fixture_tear_down_group(void **state)
{
    (void)state;
    test_certificates_remove(&shared.certificates);
    return 0;
}

int fixture_set_up(void **state)
{
    fixture *f = *state;
    atomic_store(&f->disabled, false);
    atomic_store(&f->refused, 0);
    atomic_store(&f->answered, 0);
    atomic_store(&f->clock_offset, 0);
    f->waiting = 0;
    f->returned = 0;
    f->let_go = false;
    kf_http_server_options options = fixture_options_of(f);
    fixture_start(f, &options);
    return 0;
}

int fixture_tear_down(void **state)
{
    fixture *f = *state;
    kf_http_server_stop(&f->server);
    return 0;
}

/* ---- the client ---- */

kf_http_client *fixture_client_with(fixture *f, const test_identity *identity, kf_http_client_options options)
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

kf_http_client *fixture_client_of(fixture *f, const test_identity *identity)
{
    return fixture_client_with(f, identity,
                               (kf_http_client_options){.expected_role = KF_PEER_KMU, .expected_name = "k1"});
}

kf_code fixture_call(kf_http_client *client, const char *method, const char *path, json_t **ret_json,
                     kf_error *error)
{
    kf_http_call request = {.method = method, .path = path};
    *error = (kf_error){KF_OK, ""};
    return kf_http_client_call(client, &request, ret_json, error);
}

kf_code fixture_post(kf_http_client *client, const char *path, json_t *body, json_t **ret_json,
                     kf_error *error)
{
    kf_http_call request = {.method = "POST", .path = path, .body = body};
    *error = (kf_error){KF_OK, ""};
    kf_code code = kf_http_client_call(client, &request, ret_json, error);
    json_decref(body);
    return code;
}

void fixture_assert_says(const kf_error *error, const char *part)
{
    if (strstr(error->message, part) == NULL) fail_msg("\"%s\" does not say \"%s\"", error->message, part);
}

const char *fixture_text_in(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    assert_non_null(text);
    return text;
}
