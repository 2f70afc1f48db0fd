/* kf_daemon_run in a child process, seen as a service manager and an administrator see it; and the thread
 * that keeps house. */
#include "wire/daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/housekeeper.h"

#define PATIENCE_MS 20000
#define TEXT_SIZE 512

/* What the daemon's functions do, and whether they were called, told to the parent through a pipe. */
typedef struct test_service {
    int told;
    int watched;
    kf_code load_code;
    kf_code start_code;
    kf_code reload_code;
} test_service;

static void tell(const test_service *service, char what)
{
    if (write(service->told, &what, 1) != 1) _exit(99);
}

static kf_code load(void *context, const char *config_path, const char **ret_log_level, kf_error *error)
{
    const test_service *service = context;
    tell(service, strcmp(config_path, "/etc/test.yaml") == 0 ? 'L' : 'l');
    *ret_log_level = "info";
    return service->load_code == KF_OK ? KF_OK : kf_fail(error, service->load_code, "line 3 is wrong");
}

static kf_code start(void *context, char ret_ready[KF_DAEMON_READY_SIZE], kf_error *error)
{
    const test_service *service = context;
    tell(service, 'S');
    (void)snprintf(ret_ready, KF_DAEMON_READY_SIZE, "listening here");
    return service->start_code == KF_OK ? KF_OK : kf_fail(error, service->start_code, "no");
}

static kf_code reload(void *context, kf_error *error)
{
    const test_service *service = context;
    tell(service, 'R');
    return service->reload_code == KF_OK ? KF_OK : kf_fail(error, service->reload_code, "no");
}

static int watched(void *context)
{
    return ((const test_service *)context)->watched;
}

static void end(void *context)
{
    tell(context, 'E');
}

typedef struct running {
    char folder[64];
    char path[96];
    int manager; /* the service manager's socket */
    int told;
    pid_t process;
} running;

static void open_manager(running *run)
{
    strcpy(run->folder, "/tmp/keyfill-daemon-XXXXXX");
    assert_non_null(mkdtemp(run->folder));
    (void)snprintf(run->path, sizeof run->path, "%s/notify", run->folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, run->path, strlen(run->path) + 1);
    run->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(run->manager >= 0);
    assert_int_equal(bind(run->manager, (const struct sockaddr *)&address, sizeof address), 0);
}

/* A daemon of these functions and options (ended by NULL). */
static void run_daemon(running *run, test_service service, const char *const *options)
{
    int ends[2];
    open_manager(run);
    assert_int_equal(pipe(ends), 0);
    run->process = fork();
    assert_true(run->process >= 0);
    if (run->process == 0) {
        char *arguments[8] = {(char[]){"test-daemon"}};
        int count = 1;
        for (; options[count - 1] != NULL; count++)
            arguments[count] = strdup(options[count - 1]);
        service.told = ends[1];
        (void)setenv("NOTIFY_SOCKET", run->path, 1);
        const kf_daemon daemon = {.program = "test-daemon",
                                  .about = "For tests.",
                                  .default_config = "/etc/test.yaml",
                                  .service = &service,
                                  .load = load,
                                  .start = start,
                                  .reload = reload,
                                  .watched = watched,
                                  .end = end};
        exit(kf_daemon_run(&daemon, count, arguments));
    }
    close(ends[1]);
    run->told = ends[0];
}

static void expect_notice(const running *run, const char *start_of_text)
{
    char text[TEXT_SIZE] = "";
    struct pollfd wait = {.fd = run->manager, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    ssize_t size = recv(run->manager, text, sizeof text - 1, 0);
    assert_true(size > 0);
    if (strncmp(text, start_of_text, strlen(start_of_text)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", text, start_of_text);
}

/* Waits for the end; nothing more may have been notified. */
static void expect_end(running *run, int exit_status, const char *calls)
{
    char told[16] = "";
    size_t size = 0;
    for (ssize_t got = 1; got > 0 && size < sizeof told - 1; size += (size_t)(got > 0 ? got : 0))
        got = read(run->told, told + size, sizeof told - 1 - size);
    int status = 0;
    assert_int_equal(waitpid(run->process, &status, 0), run->process);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), exit_status);
    assert_string_equal(told, calls);
    char more[TEXT_SIZE];
    assert_true(recv(run->manager, more, sizeof more, MSG_DONTWAIT) < 0);
    close(run->told);
    close(run->manager);
    assert_int_equal(unlink(run->path), 0);
    assert_int_equal(rmdir(run->folder), 0);
}

static const char *const no_options[] = {NULL};

static void a_daemon_tells_when_it_is_ready_reloads_and_ends(void **state)
{
    (void)state;
    running run;
    run_daemon(&run, (test_service){.watched = -1}, no_options);
    expect_notice(&run, "READY=1\nSTATUS=listening here");
    assert_int_equal(kill(run.process, SIGHUP), 0);
    expect_notice(&run, "RELOADING=1\nMONOTONIC_USEC=");
    expect_notice(&run, "READY=1\n");
    assert_int_equal(kill(run.process, SIGTERM), 0);
    expect_notice(&run, "STOPPING=1");
    expect_end(&run, KF_EXIT_OK, "LSRE");
}

static void a_failed_reload_leaves_it_running(void **state)
{
    (void)state;
    running run;
    run_daemon(&run, (test_service){.watched = -1, .reload_code = KF_ERR_CERTIFICATE}, no_options);
    expect_notice(&run, "READY=1");
    assert_int_equal(kill(run.process, SIGHUP), 0);
    expect_notice(&run, "RELOADING=1");
    expect_notice(&run, "READY=1");
    assert_int_equal(kill(run.process, SIGINT), 0);
    expect_notice(&run, "STOPPING=1");
    expect_end(&run, KF_EXIT_OK, "LSRE");
}

static void checking_the_configuration_starts_nothing(void **state)
{
    (void)state;
    running run;
    run_daemon(&run, (test_service){.watched = -1},
               (const char *const[]){"--check-config", "-c", "/etc/test.yaml", NULL});
    expect_end(&run, KF_EXIT_OK, "LE");
    run_daemon(&run, (test_service){.watched = -1, .load_code = KF_ERR_CONFIGURATION},
               (const char *const[]){"--check-config", "--config=other", NULL});
    expect_end(&run, KF_EXIT_USAGE, "lE");
}

static void what_cannot_start_says_so_in_its_exit_status_and_frees_everything(void **state)
{
    (void)state;
    running run;
    run_daemon(&run, (test_service){.watched = -1, .start_code = KF_ERR_STORE}, no_options);
    expect_end(&run, KF_EXIT_UNREACHABLE, "LSE");
    run_daemon(&run, (test_service){.watched = -1}, (const char *const[]){"--no-such-option", NULL});
    expect_end(&run, KF_EXIT_USAGE, "");
    run_daemon(&run, (test_service){.watched = -1}, (const char *const[]){"word", NULL});
    expect_end(&run, KF_EXIT_USAGE, "");
}

static void the_end_of_what_it_watches_ends_it(void **state)
{
    (void)state;
    running run;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    run_daemon(&run, (test_service){.watched = ends[0]}, no_options);
    expect_notice(&run, "READY=1");
    /* The child has a copy of both ends. */
    assert_int_equal(shutdown(ends[1], SHUT_RDWR), 0);
    expect_notice(&run, "STOPPING=1");
    expect_end(&run, KF_EXIT_UNREACHABLE, "LSE");
    close(ends[0]);
    close(ends[1]);
}

static void the_version_is_told(void **state)
{
    (void)state;
    running run;
    run_daemon(&run, (test_service){.watched = -1}, (const char *const[]){"--version", NULL});
    expect_end(&run, KF_EXIT_OK, "");
}

typedef struct chores {
    sem_t began;
    unsigned rounds;
    unsigned last;
} chores;

static unsigned one_round(void *context)
{
    chores *work = context;
    work->rounds++;
    (void)sem_post(&work->began);
    return work->rounds == work->last ? KF_HOUSEKEEPER_DONE : 3600;
}

static void house_is_kept_at_once_and_whenever_woken_until_it_is_done(void **state)
{
    (void)state;
    chores work = {.last = 3};
    assert_int_equal(sem_init(&work.began, 0, 0), 0);
    kf_housekeeper *housekeeper = NULL;
    assert_int_equal(kf_housekeeper_start(one_round, &work, &housekeeper, NULL), KF_OK);
    for (unsigned i = 0; i < work.last; i++) {
        assert_int_equal(sem_wait(&work.began), 0);
        kf_housekeeper_wake(housekeeper);
    }
    kf_housekeeper_stop(&housekeeper);
    assert_null(housekeeper);
    assert_int_equal(work.rounds, 3);
    kf_housekeeper_stop(&housekeeper);
    kf_housekeeper_wake(NULL);
    assert_int_equal(sem_destroy(&work.began), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_daemon_tells_when_it_is_ready_reloads_and_ends),
        cmocka_unit_test(a_failed_reload_leaves_it_running),
        cmocka_unit_test(checking_the_configuration_starts_nothing),
        cmocka_unit_test(what_cannot_start_says_so_in_its_exit_status_and_frees_everything),
        cmocka_unit_test(the_end_of_what_it_watches_ends_it),
        cmocka_unit_test(the_version_is_told),
        cmocka_unit_test(house_is_kept_at_once_and_whenever_woken_until_it_is_done),
    };
    return cmocka_run_group_tests_name("wire/daemon", tests, NULL, NULL);
}
