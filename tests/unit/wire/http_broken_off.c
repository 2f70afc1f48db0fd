/* A unit that ends in the middle cannot be reached: the same may be sent again. It is no refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http_fixture.h"

typedef struct ending_unit {
    int listener;
    bool reset;         /* the connection is torn down instead of closed */
    const char *answer; /* what is sent before the end */
    pthread_t thread;
} ending_unit;

/* Takes connections until the listener is shut down (the client may try again on a new one), each for as long
 * as it takes to read something. */
static void *end_every_connection(void *context)
{
    const ending_unit *unit = context;
    char bytes[4096];
    for (;;) {
        int connection = accept(unit->listener, NULL, NULL);
        if (connection < 0) return NULL;
        ssize_t got = recv(connection, bytes, sizeof bytes, 0);
        if (got > 0 && unit->answer != NULL)
            (void)send(connection, unit->answer, strlen(unit->answer), MSG_NOSIGNAL);
        const struct linger hard = {.l_onoff = 1, .l_linger = 0};
        if (unit->reset) (void)setsockopt(connection, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(connection);
    }
}

static void listen_at(ending_unit *unit, int family, const struct sockaddr *address, socklen_t size)
{
    unit->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(unit->listener >= 0);
    assert_int_equal(bind(unit->listener, address, size), 0);
    assert_int_equal(listen(unit->listener, 4), 0);
    assert_int_equal(pthread_create(&unit->thread, NULL, end_every_connection, unit), 0);
}

static void stop_unit(ending_unit *unit)
{
    (void)shutdown(unit->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(unit->thread, NULL), 0);
    close(unit->listener);
}

static void assert_unreachable(kf_http_client *client, const char *part)
{
    kf_error error;
    json_t *json = NULL;
    assert_int_equal(fixture_call(client, "GET", "/healthz", &json, &error), KF_ERR_UNREACHABLE);
    assert_null(json);
    fixture_assert_says(&error, part);
}

static void assert_handshake_is_unreachable(fixture *f, bool reset)
{
    ending_unit unit = {.reset = reset};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char url[64];
    listen_at(&unit, AF_INET, (const struct sockaddr *)&address, size);
    assert_int_equal(getsockname(unit.listener, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    KF_CLEANUP(kf_http_client_free)
    kf_http_client *client = fixture_client_with(f, &f->host, (kf_http_client_options){.base_url = url});
    assert_unreachable(client, "is it running");
    stop_unit(&unit);
}

static void a_handshake_that_is_reset_is_unreachable(void **state)
{
    assert_handshake_is_unreachable(*state, true);
}

static void a_handshake_that_is_closed_is_unreachable(void **state)
{
    assert_handshake_is_unreachable(*state, false);
}

static void assert_answer_is_unreachable(const char *answer)
{
    ending_unit unit = {.answer = answer};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/keyfill-unit-wire-XXXXXX";
    assert_non_null(mkdtemp(folder));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/unit.sock", folder);
    listen_at(&unit, AF_UNIX, (const struct sockaddr *)&address, sizeof address);
    const kf_http_client_options options = {.base_url = "http://localhost", .unix_path = address.sun_path};
    kf_error error;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = NULL;
    assert_int_equal(kf_http_client_new(&options, &client, &error), KF_OK);
    assert_unreachable(client, "before its answer was there");
    stop_unit(&unit);
    unlink(address.sun_path);
    rmdir(folder);
}

static void no_answer_at_all_is_unreachable(void **state)
{
    (void)state;
    assert_answer_is_unreachable(NULL);
}

static void half_an_answer_is_unreachable(void **state)
{
    (void)state;
    assert_answer_is_unreachable(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_that_is_reset_is_unreachable),
        TEST(a_handshake_that_is_closed_is_unreachable),
        TEST(no_answer_at_all_is_unreachable),
        TEST(half_an_answer_is_unreachable),
    };
    return cmocka_run_group_tests_name("wire/http_broken_off", tests, fixture_set_up_group,
                                       fixture_tear_down_group);
}
