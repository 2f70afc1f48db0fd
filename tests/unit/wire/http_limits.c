/* Past each limit of the server: connections, silence, headers, bodies. Over a local socket, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "http_fixture.h"

#define PATIENCE_MS 20000
#define ANSWER_SIZE 8192

static const kf_http_route routes[] = {
    {"GET", "/echo/{id}", KF_PEER_BIT(KF_PEER_LOCAL), 0, fixture_echo},
    {"POST", "/echo/{id}", KF_PEER_BIT(KF_PEER_LOCAL), BODY_LIMIT, fixture_echo}};

/* The server anew, at a local socket, with these limits. */
static void serve(fixture *f, kf_http_server_options limits)
{
    static char path[128];
    kf_http_server_stop(&f->server);
    test_path(&f->certificates, "limits", path);
    limits.unix_path = path;
    limits.routes = routes;
    limits.route_count = sizeof routes / sizeof routes[0];
    limits.context = f;
    fixture_start(f, &limits);
}

static int connect_to(fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[128];
    test_path(&f->certificates, "limits", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

static void send_text(int descriptor, const char *text)
{
    assert_int_equal(send(descriptor, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Bytes of the next part; 0: the end, in time. */
static size_t receive(int descriptor, char *ret_part, size_t size)
{
    struct pollfd wait = {.fd = descriptor, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    ssize_t got = recv(descriptor, ret_part, size, 0);
    return got > 0 ? (size_t)got : 0;
}

/* One answer whose body has a Content-Length. */
static void read_answer(int descriptor, char ret_answer[ANSWER_SIZE])
{
    size_t size = 0;
    for (;;) {
        size_t got = receive(descriptor, ret_answer + size, ANSWER_SIZE - 1 - size);
        if (got == 0) fail_msg("the connection ended after \"%.*s\"", (int)size, ret_answer);
        size += got;
        ret_answer[size] = '\0';
        const char *body = strstr(ret_answer, "\r\n\r\n");
        const char *length = strcasestr(ret_answer, "Content-Length:");
        if (body == NULL || length == NULL) continue;
        if (strlen(body + 4) >= strtoul(length + 15, NULL, 10)) return;
    }
}

static void assert_answer(int descriptor, const char *status, const char *part)
{
    char answer[ANSWER_SIZE];
    read_answer(descriptor, answer);
    if (strncmp(answer + 9, status, strlen(status)) != 0 || strstr(answer, part) == NULL)
        fail_msg("\"%s\" is no %s with %s", answer, status, part);
}

static void ask(int descriptor)
{
    send_text(descriptor, "GET /echo/1 HTTP/1.1\r\nHost: x\r\n\r\n");
}

static void past_the_connection_limit_a_caller_waits_until_another_is_gone(void **state)
{
    fixture *f = *state;
    serve(f, (kf_http_server_options){.connection_limit = 1});
    KF_CLEANUP(kf_descriptor_close) int first = connect_to(f);
    ask(first);
    assert_answer(first, "400", "a body is needed");
    KF_CLEANUP(kf_descriptor_close) int second = connect_to(f);
    ask(second);
    /* The first is served time and again, the second is not. */
    for (int i = 0; i < 50; i++) {
        ask(first);
        assert_answer(first, "400", "a body is needed");
    }
    char byte;
    ssize_t got = recv(second, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    assert_true(got < 0 && errno == EAGAIN);
    kf_descriptor_close(&first);
    assert_answer(second, "400", "a body is needed");
}

static void a_silent_connection_is_closed(void **state)
{
    fixture *f = *state;
    serve(f, (kf_http_server_options){.idle_timeout_seconds = 1});
    char byte;
    KF_CLEANUP(kf_descriptor_close) int nothing = connect_to(f);
    KF_CLEANUP(kf_descriptor_close) int half = connect_to(f);
    KF_CLEANUP(kf_descriptor_close) int kept = connect_to(f);
    send_text(half, "GET /echo/1 HTTP/1.1\r\nHo");
    ask(kept);
    assert_answer(kept, "400", "a body is needed");
    assert_int_equal(receive(nothing, &byte, 1), 0);
    assert_int_equal(receive(half, &byte, 1), 0);
    assert_int_equal(receive(kept, &byte, 1), 0);
}

static void send_header(int descriptor, size_t size)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    kf_buffer_append_text(&request, "GET /echo/1 HTTP/1.1\r\nHost: x\r\nX: ");
    kf_buffer_append_fill(&request, 'x', size);
    kf_buffer_append_text(&request, "\r\n\r\n");
    send_text(descriptor, kf_buffer_text(&request));
}

static void headers_past_the_limit_are_refused(void **state)
{
    fixture *f = *state;
    serve(f, (kf_http_server_options){.header_limit = 4096});
    KF_CLEANUP(kf_descriptor_close) int within = connect_to(f);
    send_header(within, 1000);
    assert_answer(within, "400", "a body is needed");
    KF_CLEANUP(kf_descriptor_close) int past = connect_to(f);
    send_header(past, 5000);
    assert_answer(past, "431", "");
}

/* Sends the whole body whatever comes back meanwhile; false where the server ended the connection first. */
static bool send_body(int descriptor, size_t size)
{
    static char part[64 * 1024];
    memset(part, 'x', sizeof part);
    while (size > 0) {
        size_t next = size < sizeof part ? size : sizeof part;
        ssize_t sent = send(descriptor, part, next, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        size -= (size_t)sent;
    }
    return true;
}

static void send_head(int descriptor, size_t size, const char *more)
{
    char head[256];
    (void)snprintf(head, sizeof head, "POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n",
                   size, more);
    send_text(descriptor, head);
}

static void a_body_of_several_megabytes_is_read_off_and_refused_and_the_connection_lives_on(void **state)
{
    fixture *f = *state;
    serve(f, (kf_http_server_options){.connection_limit = 0});
    const size_t sizes[] = {BODY_LIMIT + 1, 1024 * 1024 + 1, 5 * 1024 * 1024, 16 * 1024 * 1024};
    KF_CLEANUP(kf_descriptor_close) int descriptor = connect_to(f);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        send_head(descriptor, sizes[i], "");
        assert_true(send_body(descriptor, sizes[i]));
        assert_answer(descriptor, "413", "KF_ERR_BODY_TOO_LARGE");
    }
    ask(descriptor);
    assert_answer(descriptor, "400", "a body is needed");
}

static void what_is_too_long_to_be_read_off_is_answered_at_once(void **state)
{
    fixture *f = *state;
    char byte;
    serve(f, (kf_http_server_options){.connection_limit = 0});
    KF_CLEANUP(kf_descriptor_close) int descriptor = connect_to(f);
    send_head(descriptor, 16 * 1024 * 1024 + 1, "");
    assert_answer(descriptor, "413", "KF_ERR_BODY_TOO_LARGE");
    assert_int_equal(receive(descriptor, &byte, 1), 0);
}

static void a_chunked_body_without_end_is_cut_off(void **state)
{
    fixture *f = *state;
    serve(f, (kf_http_server_options){.connection_limit = 0});
    KF_CLEANUP(kf_descriptor_close) int descriptor = connect_to(f);
    send_text(descriptor, "POST /echo/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    bool cut = false;
    for (size_t sent = 0; !cut && sent < 64; sent++) {
        static const char chunk[] = "100000\r\n";
        cut = send(descriptor, chunk, strlen(chunk), MSG_NOSIGNAL) < 0 || !send_body(descriptor, 0x100000) ||
              send(descriptor, "\r\n", 2, MSG_NOSIGNAL) < 0;
    }
    assert_true(cut);
}

static void who_waits_to_be_told_to_send_is_told_of_the_refusal_instead(void **state)
{
    fixture *f = *state;
    serve(f, (kf_http_server_options){.connection_limit = 0});
    KF_CLEANUP(kf_descriptor_close) int refused = connect_to(f);
    send_head(refused, 1024 * 1024, "Expect: 100-continue\r\n");
    assert_answer(refused, "413", "KF_ERR_BODY_TOO_LARGE");
    KF_CLEANUP(kf_descriptor_close) int taken = connect_to(f);
    send_head(taken, 2, "Expect: 100-continue\r\n");
    char answer[64];
    size_t got = receive(taken, answer, sizeof answer - 1);
    answer[got] = '\0';
    assert_non_null(strstr(answer, "100 Continue"));
    send_text(taken, "{}");
    assert_answer(taken, "201", "\"id\":\"1\"");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(past_the_connection_limit_a_caller_waits_until_another_is_gone),
        TEST(a_silent_connection_is_closed),
        TEST(headers_past_the_limit_are_refused),
        TEST(a_body_of_several_megabytes_is_read_off_and_refused_and_the_connection_lives_on),
        TEST(what_is_too_long_to_be_read_off_is_answered_at_once),
        TEST(a_chunked_body_without_end_is_cut_off),
        TEST(who_waits_to_be_told_to_send_is_told_of_the_refusal_instead),
    };
    return cmocka_run_group_tests_name("wire/http_limits", tests, fixture_set_up_group,
                                       fixture_tear_down_group);
}
