/* What goes over the wire: bodies, problems, many at once, local sockets. */
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

#include "base/file.h"
#include "http_fixture.h"

/* ---- bodies, paths, problems ---- */

static void a_body_comes_back_with_its_path_parameter(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    kf_buffer_append_text(&path, "/v1/requests/");
    kf_http_escape(&path, "a b:ü");
    kf_buffer_append_text(&path, "/messages");
    assert_int_equal(
        fixture_post(client, kf_buffer_text(&path), json_pack("{s:i}", "step", 1), &json, &error), KF_OK);
    assert_string_equal(fixture_text_in(json, "id"), "a b:ü");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "body"), "step")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "size")), 10);
    json_t *nothing = NULL;
    assert_int_equal(fixture_call(client, "DELETE", "/v1/empty", &nothing, &error), KF_OK);
    assert_null(nothing);
}

static void unknown_paths_and_methods_are_told_apart(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    const char *unknown[] = {
        "/",         "/v1/requests", "/v1/requests/", "/v1/requests/a/b", "/v1/requests/a/messages/",
        "/v1/who/x", "//v1/who"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(fixture_call(client, "GET", unknown[i], &json, &error), KF_ERR_NOT_FOUND);
        fixture_assert_says(&error, "there is no path");
    }
    assert_int_equal(fixture_call(client, "DELETE", "/v1/requests/abc", &json, &error), KF_ERR_METHOD);
    fixture_assert_says(&error, "it takes GET, PUT");
}

static void an_oversized_body_is_refused_and_the_connection_lives_on(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    static char text[3 * 1024 * 1024];
    const size_t sizes[] = {BODY_LIMIT, 100 * 1024, 1000 * 1024, sizeof text - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(text, 'x', sizes[i]);
        text[sizes[i]] = '\0';
        assert_int_equal(
            fixture_post(client, "/v1/requests/a/messages", json_pack("{s:s}", "x", text), &json, &error),
            KF_ERR_BODY_TOO_LARGE);
        fixture_assert_says(&error, "larger than the 64 bytes");
    }
    kf_http_call unwanted = {.method = "GET", .path = "/v1/who", .body = json_object()};
    assert_int_equal(kf_http_client_call(client, &unwanted, &json, &error), KF_ERR_BODY_TOO_LARGE);
    fixture_assert_says(&error, "takes no body");
    json_decref((json_t *)(uintptr_t)unwanted.body);
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &json, &error), KF_OK);
}

static void a_problem_comes_back_as_the_error_it_was(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    assert_int_equal(fixture_call(client, "GET", "/v1/state", &json, &error), KF_ERR_STATE);
    assert_string_equal(error.message, "card kdd:00: it is filled; ask for refill ?\"or clear\"");
    assert_int_equal(fixture_call(client, "GET", "/v1/silent", &json, &error), KF_ERR_STORE_BUSY);
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
        kf_code code = fixture_post(calls->client, path, json_pack("{s:i}", "i", (int)i), &json, &error);
        const char *id = json_string_value(json_object_get(json, "id"));
        if (code != KF_OK || id == NULL || strncmp(path + 13, id, strlen(id)) != 0) calls->failures++;
    }
    return NULL;
}

static void parallel_requests_get_their_own_answers(void **state)
{
    fixture *f = *state;
    kf_http_server_stop(&f->server);
    kf_http_server_options options = fixture_options_of(f);
    options.polling_threads = 2;
    fixture_start(f, &options);
    KF_CLEANUP(kf_http_client_free)
    kf_http_client *client =
        fixture_client_with(f, &f->host, (kf_http_client_options){.connection_limit = 4});
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
    slow_one->code = fixture_call(slow_one->client, "GET", "/v1/slow", &json, &slow_one->error);
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
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    slow_call slow_one = {.fixture = f, .client = client};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_slowly, &slow_one), 0);
    wait_for_slow(f, 1);
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &json, &error), KF_OK);
    let_go(f);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(slow_one.code, KF_OK);
}

static void past_the_queue_limit_the_unit_is_busy(void **state)
{
    fixture *f = *state;
    kf_http_server_stop(&f->server);
    kf_http_server_options options = fixture_options_of(f);
    options.worker_threads = 1;
    options.queue_limit = 1;
    fixture_start(f, &options);
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
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
    fixture_assert_says(&turned_away->error, "too many requests wait");
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
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    KF_CLEANUP(kf_http_client_free) kf_http_client *late = fixture_client_of(f, &f->host);
    slow_call slow_one = {.fixture = f, .client = client};
    pthread_t thread;
    pthread_t stopper;
    assert_int_equal(pthread_create(&thread, NULL, call_slowly, &slow_one), 0);
    wait_for_slow(f, 1);
    assert_int_equal(pthread_create(&stopper, NULL, stop_server, f), 0);
    /* New calls are turned away from some moment on. */
    kf_error error;
    json_t *json = NULL;
    while (fixture_call(late, "GET", "/v1/who", &json, &error) == KF_OK)
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
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
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
    kf_http_server_options options = fixture_options_of(f);
    options.unix_path = path;
    options.unix_mode = 0660;
    fixture_start(f, &options);
    assert_int_equal(kf_http_server_port(f->server), 0);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777U, 0660);
    KF_CLEANUP(kf_http_client_free)
    kf_http_client *client = fixture_client_with(f, NULL, (kf_http_client_options){.unix_path = path});
    if (fixture_call(client, "GET", "/v1/who", &json, &error) != KF_OK) fail_msg("%s", error.message);
    (void)snprintf(name, sizeof name, "uid-%u", (unsigned)getuid());
    assert_string_equal(fixture_text_in(json, "role"), "local");
    assert_string_equal(fixture_text_in(json, "name"), name);
    json_t *none = NULL;
    assert_int_equal(fixture_call(client, "GET", "/v1/state", &none, &error), KF_ERR_FORBIDDEN);
    assert_int_equal(kf_http_server_start(&options, &second, &error), KF_ERR_CONFIGURATION);
    fixture_assert_says(&error, "another process listens on it");
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
    kf_http_server_options options = fixture_options_of(f);
    options.unix_path = path;
    fixture_start(f, &options);
}

/* Sends bytes as they are to a local socket, and gives what comes back. */
static void exchange_raw(fixture *f, const char *request, kf_buffer *response)
{
    char path[128];
    kf_http_server_stop(&f->server);
    test_path(&f->certificates, "raw", path);
    kf_http_server_options options = fixture_options_of(f);
    static kf_http_route local_routes[] = {
        {"POST", "/echo/{id}", KF_PEER_BIT(KF_PEER_LOCAL), BODY_LIMIT, fixture_echo}};
    options.routes = local_routes;
    options.route_count = 1;
    options.unix_path = path;
    fixture_start(f, &options);
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
    assert_raw(f, "", "400 Bad Request", "the body is missing");
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
    kf_http_server_options options = fixture_options_of(f);
    options.port = kf_http_server_port(f->server);
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CONFIGURATION);
    fixture_assert_says(&error, "Address already in use");
    options = fixture_options_of(f);
    options.address = "nowhere";
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CONFIGURATION);
    fixture_assert_says(&error, "\"nowhere\" is no address");
    options = fixture_options_of(f);
    options.key_file = f->host.key;
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CERTIFICATE);
    fixture_assert_says(&error, "cannot be used together");
    options = fixture_options_of(f);
    options.ca_file = f->host.key;
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CERTIFICATE);
    fixture_assert_says(&error, "holds no CA certificate");
    options = fixture_options_of(f);
    options.certificate_file = "/nonexistent/x.pem";
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_FILE);
    options = fixture_options_of(f);
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
    kf_http_server_options options = fixture_options_of(f);
    options.inherited = true;
    assert_int_equal(kf_http_listen(NULL, 0, &options.listen_descriptor, &error), KF_OK);
    fixture_start(f, &options);
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &json, &error), KF_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    return cmocka_run_group_tests_name("wire/http_traffic", tests, fixture_set_up_group,
                                       fixture_tear_down_group);
}
