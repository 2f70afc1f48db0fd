/* The monitor with real processes: keyfill-kmud, keyfill-vault and a front that reports. Arguments: the three
 * programs. As root they run under two users that need no entry in /etc/passwd; otherwise under one, as in
 * development. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define VAULT_USER 20001
#define FRONT_USER 20002
#define PATIENCE_MS 30000
#define PROGRAM_MAX ((size_t)256 * 1024 * 1024)

static const char *monitor_program;
static const char *vault_program;
static const char *front_program;

typedef struct test_place {
    char folder[64];
    int pipe;
    pid_t monitor;
} test_place;

typedef struct front_report {
    long front;
    long vault;
    char line[512];
} front_report;

static void path_in(const test_place *place, const char *name, char ret_path[128])
{
    (void)snprintf(ret_path, 128, "%s/%s", place->folder, name);
}

static bool is_root(void)
{
    return geteuid() == 0;
}

static void give(const char *path, uid_t user)
{
    if (is_root()) assert_int_equal(chown(path, user, user), 0);
}

static void write_file(const test_place *place, const char *name, const char *text, mode_t mode)
{
    char path[128];
    kf_error error;
    path_in(place, name, path);
    assert_int_equal(kf_file_replace(path, kf_view_of_text(text), mode, &error), KF_OK);
}

static void copy_program(const test_place *place, const char *from, const char *name)
{
    char path[128];
    kf_error error;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = kf_buffer_with_limit(PROGRAM_MAX);
    path_in(place, name, path);
    assert_int_equal(kf_file_read(from, PROGRAM_MAX, &bytes, &error), KF_OK);
    assert_int_equal(kf_file_replace(path, kf_buffer_view(&bytes), 0755, &error), KF_OK);
}

static void write_config(const test_place *place, const char *vault_user, const char *front_user,
                         const char *more)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "development: %s\nprograms: %s\nvault: {user: \"%s\", directory: %s/keys, "
                   "passphrase_file: %s/passphrase}\n"
                   "front: {user: \"%s\", config: %s/front}\n%s",
                   is_root() ? "false" : "true", place->folder, vault_user, place->folder, place->folder,
                   front_user, place->folder, more);
    write_file(place, "kmud.yaml", text, 0644);
}

static int make_place(void **state)
{
    test_place *place = calloc(1, sizeof *place);
    char path[128];
    char text[512];
    assert_non_null(place);
    strcpy(place->folder, "/tmp/keyfill-monitor.XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    assert_int_equal(chmod(place->folder, 0755), 0);
    copy_program(place, vault_program, "keyfill-vault");
    copy_program(place, front_program, "keyfill-kmu-front");
    path_in(place, "keys", path);
    assert_int_equal(mkdir(path, 0700), 0);
    give(path, VAULT_USER);
    write_file(place, "passphrase", "a passphrase for tests\n", 0600);
    path_in(place, "passphrase", path);
    give(path, VAULT_USER);
    (void)snprintf(text, sizeof text, "%s/pipe\n%s/keys\n%s/passphrase\n", place->folder, place->folder,
                   place->folder);
    write_file(place, "front", text, 0644);
    path_in(place, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    give(path, FRONT_USER);
    place->pipe = open(path, O_RDWR | O_CLOEXEC);
    assert_true(place->pipe >= 0);
    write_config(place, "20001", "20002", "");
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    test_place *place = *state;
    static const char *const names[] = {"keys/keys.a",       "keys/keys.b",   "keys/vault.pub", "keys",
                                        "passphrase",        "front",         "pipe",           "kmud.yaml",
                                        "keyfill-kmu-front", "keyfill-vault", "keyfill-hsm"};
    char path[128];
    if (place->monitor > 0) {
        kill(place->monitor, SIGKILL);
        waitpid(place->monitor, NULL, 0);
    }
    close(place->pipe);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_in(place, names[i], path);
        (void)remove(path);
    }
    (void)rmdir(place->folder);
    free(place);
    return 0;
}

static void start_monitor(test_place *place)
{
    char path[128];
    path_in(place, "kmud.yaml", path);
    place->monitor = fork();
    assert_true(place->monitor >= 0);
    if (place->monitor > 0) return;
    execl(monitor_program, "keyfill-kmud", "--config", path, (char *)NULL);
    _exit(127);
}

static int end_of_monitor(test_place *place)
{
    int status = 0;
    assert_int_equal(waitpid(place->monitor, &status, 0), place->monitor);
    place->monitor = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void next_report(const test_place *place, front_report *ret_report)
{
    size_t size = 0;
    for (;;) {
        struct pollfd wait = {.fd = place->pipe, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
        assert_int_equal(read(place->pipe, ret_report->line + size, 1), 1);
        if (ret_report->line[size] == '\n') break;
        size++;
        assert_true(size + 1 < sizeof ret_report->line);
    }
    ret_report->line[size] = '\0';
    assert_int_equal(sscanf(ret_report->line, "front=%ld vault=%ld", &ret_report->front, &ret_report->vault),
                     2);
}

static void expect(const front_report *report, const char *what)
{
    if (strstr(report->line, what) == NULL) print_error("%s\n  lacks %s\n", report->line, what);
    assert_non_null(strstr(report->line, what));
}

/* Waits for the end of a process that is not ours. */
static void expect_end(long process)
{
    int descriptor = (int)syscall(SYS_pidfd_open, (pid_t)process, 0);
    if (descriptor < 0) {
        assert_int_equal(errno, ESRCH);
        return;
    }
    struct pollfd wait = {.fd = descriptor, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    close(descriptor);
}

static void the_front_has_its_user_its_socket_and_nothing_else(void **state)
{
    test_place *place = *state;
    front_report report;
    start_monitor(place);
    next_report(place, &report);
    expect(&report, "status=KF_OK");
    expect(&report, "environment=0");
    /* Standard input, output, error, and the socket. */
    expect(&report, "descriptors=4");
    expect(&report, "no_new_privs=1");
    if (!is_root()) return;
    expect(&report, "uid=20002 gid=20002 groups=0");
}

static void the_front_cannot_read_trace_or_signal_the_vault_nor_read_its_files(void **state)
{
    if (!is_root()) skip();
    test_place *place = *state;
    front_report report;
    start_monitor(place);
    next_report(place, &report);
    expect(&report, "memory=denied");
    expect(&report, "environ=denied");
    expect(&report, "signal=denied");
    expect(&report, "keys=denied");
    expect(&report, "passphrase=denied");
}

/* So that the test before can fail: with one user for both, the files can be read. */
static void what_the_front_reports_as_open_it_can_read(void **state)
{
    test_place *place = *state;
    front_report report;
    char path[128];
    path_in(place, "passphrase", path);
    if (is_root()) assert_int_equal(chmod(place->folder, 0755), 0);
    write_file(place, "readable", "x\n", 0644);
    char text[512];
    char readable[128];
    path_in(place, "readable", readable);
    (void)snprintf(text, sizeof text, "%s/pipe\n%s/keys\n%s\n", place->folder, place->folder, readable);
    write_file(place, "front", text, 0644);
    start_monitor(place);
    next_report(place, &report);
    expect(&report, "passphrase=open");
    assert_int_equal(unlink(readable), 0);
}

static void a_killed_vault_is_started_again_with_its_front(void **state)
{
    test_place *place = *state;
    front_report first;
    front_report second;
    start_monitor(place);
    next_report(place, &first);
    assert_int_equal(kill((pid_t)first.vault, SIGKILL), 0);
    next_report(place, &second);
    assert_int_not_equal(first.vault, second.vault);
    assert_int_not_equal(first.front, second.front);
    expect(&second, "status=KF_OK");
}

static void a_killed_front_is_started_again_with_its_vault(void **state)
{
    test_place *place = *state;
    front_report first;
    front_report second;
    start_monitor(place);
    next_report(place, &first);
    assert_int_equal(kill((pid_t)first.front, SIGKILL), 0);
    next_report(place, &second);
    assert_int_not_equal(first.vault, second.vault);
    assert_int_not_equal(first.front, second.front);
    expect(&second, "status=KF_OK");
}

static void a_hang_up_signal_goes_on_to_the_front(void **state)
{
    test_place *place = *state;
    front_report first;
    front_report again;
    start_monitor(place);
    next_report(place, &first);
    assert_int_equal(kill(place->monitor, SIGHUP), 0);
    next_report(place, &again);
    assert_int_equal(first.front, again.front);
    assert_int_equal(first.vault, again.vault);
}

/* The front, not the monitor, knows when the unit is ready. */
static void the_front_tells_the_service_manager(void **state)
{
    test_place *place = *state;
    front_report report;
    char text[128] = "";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", place->folder);
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(manager, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(chmod(address.sun_path, 0777), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    start_monitor(place);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    next_report(place, &report);
    expect(&report, "environment=1");
    struct pollfd wait = {.fd = manager, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    assert_true(recv(manager, text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, "READY=1\nSTATUS=reported");
    close(manager);
    assert_int_equal(unlink(address.sun_path), 0);
}

/* Only root reads it, in a folder that nobody else enters; the vault gets it opened. */
static void a_credential_that_only_the_monitor_reads_opens_the_vault(void **state)
{
    test_place *place = *state;
    front_report report;
    char folder[128];
    char file[160];
    char config[1024];
    kf_error error;
    path_in(place, "credentials", folder);
    (void)snprintf(file, sizeof file, "%s/passphrase", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(kf_file_replace(file, kf_view_of_text("a passphrase for tests\n"), 0400, &error), KF_OK);
    (void)snprintf(config, sizeof config,
                   "development: %s\nprograms: %s\nvault: {user: \"20001\", directory: %s/keys, "
                   "passphrase_file: \"credential:passphrase\"}\n"
                   "front: {user: \"20002\", config: %s/front}\n",
                   is_root() ? "false" : "true", place->folder, place->folder, place->folder);
    write_file(place, "kmud.yaml", config, 0644);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    start_monitor(place);
    next_report(place, &report);
    expect(&report, "status=KF_OK");
    expect(&report, "environment=0");
    expect(&report, "descriptors=4");
    assert_int_equal(kill(place->monitor, SIGTERM), 0);
    assert_int_equal(end_of_monitor(place), 0);
    /* It is needed, and it is read: without it, and with another one, nothing starts. */
    assert_int_equal(unlink(file), 0);
    start_monitor(place);
    assert_int_equal(end_of_monitor(place), KF_EXIT_USAGE);
    assert_int_equal(kf_file_replace(file, kf_view_of_text("another passphrase\n"), 0400, &error), KF_OK);
    start_monitor(place);
    assert_int_equal(end_of_monitor(place), KF_EXIT_REFUSED);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    start_monitor(place);
    assert_int_equal(end_of_monitor(place), KF_EXIT_USAGE);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void stopping_the_monitor_stops_both(void **state)
{
    test_place *place = *state;
    front_report report;
    start_monitor(place);
    next_report(place, &report);
    assert_int_equal(kill(place->monitor, SIGTERM), 0);
    assert_int_equal(end_of_monitor(place), 0);
    expect_end(report.front);
    expect_end(report.vault);
}

static void killing_the_monitor_ends_both(void **state)
{
    test_place *place = *state;
    front_report report;
    start_monitor(place);
    next_report(place, &report);
    assert_int_equal(kill(place->monitor, SIGKILL), 0);
    assert_int_equal(waitpid(place->monitor, NULL, 0), place->monitor);
    place->monitor = 0;
    expect_end(report.front);
    expect_end(report.vault);
}

static void a_key_folder_or_passphrase_that_others_may_read_stops_the_start(void **state)
{
    test_place *place = *state;
    char path[128];
    path_in(place, "keys", path);
    assert_int_equal(chmod(path, 0755), 0);
    start_monitor(place);
    assert_int_equal(end_of_monitor(place), KF_EXIT_REFUSED);
    assert_int_equal(chmod(path, 0700), 0);
    path_in(place, "passphrase", path);
    assert_int_equal(chmod(path, 0644), 0);
    start_monitor(place);
    assert_int_equal(end_of_monitor(place), KF_EXIT_REFUSED);
    assert_int_equal(chmod(path, 0600), 0);
    if (!is_root()) return;
    give(path, FRONT_USER);
    start_monitor(place);
    assert_int_equal(end_of_monitor(place), KF_EXIT_REFUSED);
}

static void expect_refused_config(test_place *place)
{
    start_monitor(place);
    assert_int_equal(end_of_monitor(place), KF_EXIT_USAGE);
}

static void a_configuration_that_cannot_be_meant_stops_the_start(void **state)
{
    test_place *place = *state;
    char path[128];
    write_config(place, "20001", "20002", "unknown_key: 1\n");
    expect_refused_config(place);
    write_file(place, "kmud.yaml", "development: true\n", 0644);
    expect_refused_config(place);
    write_config(place, "20001", "20002", "");
    path_in(place, "kmud.yaml", path);
    assert_int_equal(chmod(path, 0666), 0);
    expect_refused_config(place);
    assert_int_equal(unlink(path), 0);
    expect_refused_config(place);
    path_in(place, "keyfill-vault", path);
    assert_int_equal(unlink(path), 0);
    write_config(place, "20001", "20002", "");
    expect_refused_config(place);
}

static void users_that_protect_nothing_are_refused(void **state)
{
    if (!is_root()) skip();
    test_place *place = *state;
    write_config(place, "20001", "20001", "");
    expect_refused_config(place);
    write_config(place, "0", "20002", "");
    expect_refused_config(place);
    write_config(place, "no-such-user", "20002", "");
    expect_refused_config(place);
    char text[512];
    (void)snprintf(text, sizeof text,
                   "programs: %s\nvault: {directory: %s/keys, passphrase_file: %s/passphrase}\nfront: "
                   "{config: %s/front}\n",
                   place->folder, place->folder, place->folder, place->folder);
    write_file(place, "kmud.yaml", text, 0644);
    expect_refused_config(place);
}

/* -- the helper with the token -- */

#define HSM_USER "20003"

static void write_hsm_config(const test_place *place, const char *user, const char *more)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "hsm: {user: \"%s\", uri: \"pkcs11:token=none\", pin_file: %s/passphrase%s}\n", user,
                   place->folder, more);
    write_config(place, "20001", "20002", text);
}

/* A helper that does nothing. */
static void put_idle_helper(const test_place *place)
{
    write_file(place, "keyfill-hsm", "#!/bin/sh\nexec /bin/sleep 1000\n", 0755);
}

/* The monitor's child that is neither vault nor front; 0: there is none. */
static long find_helper(const test_place *place, const front_report *report)
{
    char path[64];
    long process = 0;
    long found = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)place->monitor,
                   (long)place->monitor);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%ld", &process) == 1)
        if (process != report->front && process != report->vault) found = process;
    (void)fclose(file);
    return found;
}

/* Another one than `before`. */
static long wait_for_helper(const test_place *place, const front_report *report, long before)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
        long helper = find_helper(place, report);
        if (helper != 0 && helper != before) return helper;
        (void)poll(NULL, 0, 10); /* nothing tells of it */
    }
    fail_msg("no helper was started");
    return 0;
}

static void a_killed_helper_is_started_again_while_front_and_vault_go_on(void **state)
{
    test_place *place = *state;
    front_report report;
    put_idle_helper(place);
    write_hsm_config(place, HSM_USER, ", environment: [NAME=VALUE]");
    start_monitor(place);
    next_report(place, &report);
    long before = wait_for_helper(place, &report, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kill((pid_t)before, SIGKILL), 0);
        expect_end(before);
        before = wait_for_helper(place, &report, before);
    }
    assert_int_equal(kill((pid_t)report.vault, 0), 0);
    assert_int_equal(kill((pid_t)report.front, 0), 0);
    assert_int_equal(kill(place->monitor, SIGKILL), 0);
    expect_end(before);
}

static void a_helper_that_cannot_work_as_configured_ends_the_unit(void **state)
{
    test_place *place = *state;
    write_file(place, "keyfill-hsm", "#!/bin/sh\nexit 1\n", 0755);
    write_hsm_config(place, HSM_USER, "");
    start_monitor(place);
    assert_int_equal(end_of_monitor(place), KF_EXIT_REFUSED);
}

static void a_helper_that_is_configured_wrongly_stops_the_start(void **state)
{
    test_place *place = *state;
    write_hsm_config(place, HSM_USER, "");
    expect_refused_config(place); /* the program is missing */
    put_idle_helper(place);
    write_hsm_config(place, HSM_USER, ", module: libsofthsm2.so");
    expect_refused_config(place);
    write_hsm_config(place, HSM_USER, ", environment: [NAME]");
    expect_refused_config(place);
    if (!is_root()) return;
    write_hsm_config(place, "20001", "");
    expect_refused_config(place);
    write_hsm_config(place, "20002", "");
    expect_refused_config(place);
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    monitor_program = argv[1];
    vault_program = argv[2];
    front_program = argv[3];
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        IN_PLACE(the_front_has_its_user_its_socket_and_nothing_else),
        IN_PLACE(the_front_cannot_read_trace_or_signal_the_vault_nor_read_its_files),
        IN_PLACE(what_the_front_reports_as_open_it_can_read),
        IN_PLACE(a_killed_vault_is_started_again_with_its_front),
        IN_PLACE(a_killed_front_is_started_again_with_its_vault),
        IN_PLACE(a_hang_up_signal_goes_on_to_the_front),
        IN_PLACE(the_front_tells_the_service_manager),
        IN_PLACE(a_credential_that_only_the_monitor_reads_opens_the_vault),
        IN_PLACE(stopping_the_monitor_stops_both),
        IN_PLACE(killing_the_monitor_ends_both),
        IN_PLACE(a_key_folder_or_passphrase_that_others_may_read_stops_the_start),
        IN_PLACE(a_configuration_that_cannot_be_meant_stops_the_start),
        IN_PLACE(users_that_protect_nothing_are_refused),
        IN_PLACE(a_killed_helper_is_started_again_while_front_and_vault_go_on),
        IN_PLACE(a_helper_that_cannot_work_as_configured_ends_the_unit),
        IN_PLACE(a_helper_that_is_configured_wrongly_stops_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
