/* The sandbox of units, entered by children: what they then can do they say by their exit status. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "wire/sandbox.h"
#include "wire/system_calls.h"

#define POSSIBLE 0
#define CANNOT_ENTER 100
#define ENDED_BY_FILTER (-SIGSYS)

typedef struct test_place {
    char folder[64];
    char own[96];     /* a folder that it may write */
    char shown[96];   /* a folder that it may read */
    char foreign[96]; /* a file outside of both */
} test_place;

typedef int (*attempt)(const test_place *place);

static int make_place(void **state)
{
    test_place *place = calloc(1, sizeof *place);
    char path[128];
    kf_error error;
    assert_non_null(place);
    strcpy(place->folder, "/tmp/keyfill-sandbox.XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->own, sizeof place->own, "%s/own", place->folder);
    (void)snprintf(place->shown, sizeof place->shown, "%s/shown", place->folder);
    (void)snprintf(place->foreign, sizeof place->foreign, "%s/foreign", place->folder);
    assert_int_equal(mkdir(place->own, 0700), 0);
    assert_int_equal(mkdir(place->shown, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/certificate", place->shown);
    assert_int_equal(kf_file_replace(path, kf_view_of_text("old"), 0600, &error), KF_OK);
    assert_int_equal(kf_file_replace(place->foreign, kf_view_of_text("secret"), 0600, &error), KF_OK);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    test_place *place = *state;
    static const char *const names[] = {"own/database",      "own/socket", "own",
                                        "shown/certificate", "shown",      "foreign"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", place->folder, names[i]);
        (void)remove(path);
    }
    (void)rmdir(place->folder);
    free(place);
    return 0;
}

static kf_code enter(const test_place *place)
{
    kf_error error;
    char certificate[128];
    KF_CLEANUP(kf_sandbox_end) kf_sandbox sandbox = KF_SANDBOX_INIT;
    (void)snprintf(certificate, sizeof certificate, "%s/certificate", place->shown);
    KF_TRY(kf_sandbox_begin(KF_LANDLOCK_BIND | KF_LANDLOCK_CONNECT, &sandbox, &error));
    KF_TRY(kf_sandbox_allow_folder(&sandbox, place->own, KF_LANDLOCK_WRITE, &error));
    KF_TRY(kf_sandbox_allow_file(&sandbox, certificate, KF_LANDLOCK_READ, &error));
    KF_TRY(kf_sandbox_allow_bind(&sandbox, 0, &error));
    KF_TRY(kf_sandbox_allow_connect(&sandbox, "https://127.0.0.1:9", &error));
    return kf_sandbox_enter(&sandbox, &error);
}

/* The child's exit status: POSSIBLE, the errno of what it tried, or minus the signal that ended it. */
static int outcome(const test_place *place, attempt try, bool limited)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (limited && enter(place) != KF_OK) _exit(CANNOT_ENTER);
        _exit(try(place) == 0 ? POSSIBLE : errno);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Each attempt is possible without the sandbox: else its failure inside shows nothing. */
static void expect(const test_place *place, attempt try, int inside)
{
    assert_int_equal(outcome(place, try, false), POSSIBLE);
    assert_int_equal(outcome(place, try, true), inside);
}

static void leave_out_under_sanitizers(void)
{
    if (KF_UNDER_SANITIZER) skip();
}

static unsigned landlock_version(void)
{
    kf_landlock_rules rules;
    kf_error error;
    assert_int_equal(kf_landlock_begin(0, &rules, &error), KF_OK);
    kf_landlock_end(&rules);
    return rules.version;
}

static void need_landlock(unsigned version)
{
    leave_out_under_sanitizers();
    if (landlock_version() < version) skip();
}

/* -- files -- */

static int open_and_close(const char *path, int flags)
{
    int descriptor = open(path, flags | O_CLOEXEC, 0600);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int keep_a_database(const test_place *place)
{
    char path[128];
    char other[128];
    (void)snprintf(path, sizeof path, "%s/database-wal", place->own);
    (void)snprintf(other, sizeof other, "%s/database", place->own);
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || pwrite(descriptor, "x", 1, 0) != 1 || fsync(descriptor) != 0 ||
        ftruncate(descriptor, 0) != 0 || close(descriptor) != 0)
        return -1;
    return rename(path, other) != 0 ? -1 : unlink(other);
}

static int read_a_certificate_put_in_place_anew(const test_place *place)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/certificate", place->shown);
    return open_and_close(path, O_RDONLY);
}

static int write_a_certificate(const test_place *place)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/certificate", place->shown);
    return open_and_close(path, O_WRONLY);
}

static int read_a_foreign_file(const test_place *place)
{
    return open_and_close(place->foreign, O_RDONLY);
}

static int list_a_foreign_folder(const test_place *place)
{
    return open_and_close(place->folder, O_RDONLY | O_DIRECTORY);
}

static int cut_a_foreign_file(const test_place *place)
{
    return truncate(place->foreign, 6);
}

static int read_its_own_memory(const test_place *place)
{
    (void)place;
    return open_and_close("/proc/self/mem", O_RDWR);
}

static void its_own_folders_can_be_used(void **state)
{
    need_landlock(1);
    expect(*state, keep_a_database, POSSIBLE);
    expect(*state, read_a_certificate_put_in_place_anew, POSSIBLE);
}

static void a_certificate_that_replaces_another_can_be_read(void **state)
{
    need_landlock(1);
    const test_place *place = *state;
    char path[128];
    int ends[2];
    (void)snprintf(path, sizeof path, "%s/certificate", place->shown);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char go;
        close(ends[1]);
        if (enter(place) != KF_OK || read(ends[0], &go, 1) != 1) _exit(CANNOT_ENTER);
        _exit(open_and_close(path, O_RDONLY) == 0 ? POSSIBLE : errno);
    }
    kf_error error;
    close(ends[0]);
    assert_int_equal(kf_file_replace(path, kf_view_of_text("new"), 0600, &error), KF_OK);
    assert_int_equal(write(ends[1], "x", 1), 1);
    close(ends[1]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), POSSIBLE);
}

static void other_files_are_out_of_reach(void **state)
{
    need_landlock(1);
    expect(*state, write_a_certificate, EACCES);
    expect(*state, read_a_foreign_file, EACCES);
    expect(*state, list_a_foreign_folder, EACCES);
    expect(*state, read_its_own_memory, EACCES);
}

static void other_files_are_not_cut(void **state)
{
    need_landlock(3);
    const test_place *place = *state;
    /* truncate(2) by path is no call that a unit makes. */
    expect(place, cut_a_foreign_file, ENOSYS);
}

/* -- the network -- */

static int bind_port(in_port_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    return bind(descriptor, (const struct sockaddr *)(const void *)&address, sizeof address);
}

static int bind_its_own_port(const test_place *place)
{
    (void)place;
    return bind_port(0);
}

/* A port that is free: taken by the kernel's choice, and given back. */
static int bind_another_port(const test_place *place)
{
    (void)place;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Port 0 is allowed by a rule; the number that comes of it is not. */
    if (descriptor < 0 ||
        bind(descriptor, (const struct sockaddr *)(const void *)&address, sizeof address) != 0 ||
        getsockname(descriptor, (struct sockaddr *)(void *)&address, &size) != 0 || close(descriptor) != 0)
        return -1;
    return bind_port(ntohs(address.sin_port));
}

/* POSSIBLE where the kernel would have tried. */
static int connect_port(in_port_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    if (connect(descriptor, (const struct sockaddr *)(const void *)&address, sizeof address) == 0 ||
        errno == ECONNREFUSED)
        return 0;
    return -1;
}

static int connect_to_the_named_unit(const test_place *place)
{
    (void)place;
    return connect_port(9);
}

static int connect_elsewhere(const test_place *place)
{
    (void)place;
    return connect_port(7);
}

static int open_a_packet_socket(const test_place *place)
{
    (void)place;
    int descriptor = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return descriptor < 0 && errno != EAFNOSUPPORT ? -1 : 0;
}

static void only_its_own_ports_can_be_used(void **state)
{
    need_landlock(4);
    expect(*state, bind_its_own_port, POSSIBLE);
    expect(*state, bind_another_port, EACCES);
    expect(*state, connect_to_the_named_unit, POSSIBLE);
    expect(*state, connect_elsewhere, EACCES);
}

static void other_families_of_sockets_are_not_there(void **state)
{
    leave_out_under_sanitizers();
    expect(*state, open_a_packet_socket, ENOSYS);
}

/* -- processes and memory -- */

static void *nothing(void *argument)
{
    return argument;
}

static int make_a_thread(const test_place *place)
{
    pthread_t thread;
    (void)place;
    errno = pthread_create(&thread, NULL, nothing, NULL);
    if (errno != 0) return -1;
    errno = pthread_join(thread, NULL);
    return errno != 0 ? -1 : 0;
}

static int fork_a_process(const test_place *place)
{
    (void)place;
    pid_t child = fork();
    if (child == 0) _exit(0);
    return child > 0 && waitpid(child, NULL, 0) == child ? 0 : -1;
}

static int start_a_program(const test_place *place)
{
    char *const none[] = {NULL};
    char name[] = "true";
    char *const arguments[] = {name, NULL};
    (void)place;
    return execve("/bin/true", arguments, none);
}

static int trace_a_process(const test_place *place)
{
    (void)place;
    return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int signal_its_parent(const test_place *place)
{
    (void)place;
    return kill(getppid(), 0);
}

static int run_written_memory(const test_place *place)
{
    (void)place;
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                   MAP_FAILED
               ? -1
               : 0;
}

static int make_written_memory_code(const test_place *place)
{
    (void)place;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? -1 : mprotect(memory, 4096, PROT_READ | PROT_EXEC);
}

static int allow_cores(const test_place *place)
{
    const struct rlimit limit = {0, 0};
    (void)place;
    return setrlimit(RLIMIT_CORE, &limit);
}

static int be_dumpable(const test_place *place)
{
    (void)place;
    return prctl(PR_GET_DUMPABLE) == 1 ? 0 : -1;
}

static void threads_can_be_made(void **state)
{
    expect(*state, make_a_thread, POSSIBLE);
}

static void no_program_starts(void **state)
{
    leave_out_under_sanitizers();
    expect(*state, start_a_program, ENDED_BY_FILTER);
    expect(*state, fork_a_process, ENOSYS);
}

static void other_processes_are_out_of_reach(void **state)
{
    leave_out_under_sanitizers();
    expect(*state, trace_a_process, ENDED_BY_FILTER);
    expect(*state, signal_its_parent, ENDED_BY_FILTER);
}

static void what_was_written_is_never_code(void **state)
{
    leave_out_under_sanitizers();
    expect(*state, run_written_memory, ENOSYS);
    expect(*state, make_written_memory_code, ENOSYS);
}

static void limits_stay(void **state)
{
    leave_out_under_sanitizers();
    expect(*state, allow_cores, ENOSYS);
    expect(*state, be_dumpable, ENOSYS);
}

static void a_url_without_a_port_that_can_be_known_is_refused(void **state)
{
    (void)state;
    kf_error error;
    KF_CLEANUP(kf_sandbox_end) kf_sandbox sandbox = KF_SANDBOX_INIT;
    assert_int_equal(kf_sandbox_allow_connect(&sandbox, "https://[", &error), KF_ERR_CONFIGURATION);
    assert_int_equal(kf_sandbox_allow_connect(&sandbox, NULL, &error), KF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_own_folders_can_be_used, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_certificate_that_replaces_another_can_be_read, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(other_files_are_out_of_reach, make_place, remove_place),
        cmocka_unit_test_setup_teardown(other_files_are_not_cut, make_place, remove_place),
        cmocka_unit_test_setup_teardown(only_its_own_ports_can_be_used, make_place, remove_place),
        cmocka_unit_test_setup_teardown(other_families_of_sockets_are_not_there, make_place, remove_place),
        cmocka_unit_test_setup_teardown(threads_can_be_made, make_place, remove_place),
        cmocka_unit_test_setup_teardown(no_program_starts, make_place, remove_place),
        cmocka_unit_test_setup_teardown(other_processes_are_out_of_reach, make_place, remove_place),
        cmocka_unit_test_setup_teardown(what_was_written_is_never_code, make_place, remove_place),
        cmocka_unit_test_setup_teardown(limits_stay, make_place, remove_place),
        cmocka_unit_test(a_url_without_a_port_that_can_be_known_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
