/* The PC/SC driver without readers: against no daemon, and against one that never answers. What it does with
 * cards is tested over the real pcscd in the integration tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "reader/reader.h"

/* libpcsclite reads where the daemon's socket is from here. */
#define SOCKET_VARIABLE "PCSCLITE_CSOCK_NAME"

static char folder[64];
static struct sockaddr_un address;
static int listener = -1;

/* A daemon that takes connections into its queue and never says a word. */
static int make_silent_daemon(void **unused)
{
    (void)unused;
    (void)snprintf(folder, sizeof folder, "/tmp/keyfill-unit-pcsc-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    address.sun_family = AF_UNIX;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/pcscd.comm", folder);
    return setenv(SOCKET_VARIABLE, address.sun_path, 1);
}

static int remove_silent_daemon(void **unused)
{
    (void)unused;
    if (listener >= 0) close(listener);
    unlink(address.sun_path);
    return rmdir(folder);
}

static void without_a_daemon_there_is_no_reader(void **unused)
{
    (void)unused;
    KF_CLEANUP(kf_reader_close) kf_reader *reader = NULL;
    kf_reader_names names;
    kf_answer_to_reset atr;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_reader_list(1000, &names, &error), KF_ERR_NO_READER);
    assert_non_null(strstr(error.message, "pcscd does not run"));
    assert_int_equal(kf_reader_open("pcsc:", &reader, NULL), KF_OK);
    assert_int_equal(kf_reader_wait_present(reader, 0, &error), KF_ERR_NO_READER);
    assert_int_equal(kf_reader_connect(reader, 1000, &atr, &error), KF_ERR_NO_READER);
    assert_false(kf_reader_is_connected(reader));
}

static long milliseconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

static void a_call_that_hangs_is_given_up_at_its_deadline(void **unused)
{
    (void)unused;
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    KF_CLEANUP(kf_reader_close) kf_reader *reader = NULL;
    kf_answer_to_reset atr;
    kf_error error = {KF_OK, ""};
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_int_equal(kf_reader_open("pcsc:", &reader, NULL), KF_OK);
    assert_int_equal(kf_reader_connect(reader, 100, &atr, &error), KF_ERR_READER_TIMEOUT);
    assert_in_range(milliseconds_since(&start), 90, 20000);
    /* The worker still hangs: the next call does not wait for it. */
    assert_int_equal(kf_reader_wait_present(reader, 100, NULL), KF_ERR_READER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_daemon_there_is_no_reader),
        cmocka_unit_test(a_call_that_hangs_is_given_up_at_its_deadline),
    };
    return cmocka_run_group_tests(tests, make_silent_daemon, remove_silent_daemon);
}
