/* The vault's doors, closed by children; what they then can do they say by their exit status. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "vault/hardening.h"
#include "wire/landlock.h"
#include "wire/system_calls.h"

#define POSSIBLE 0
#define CANNOT_CLOSE 100
#define ENDED_BY_FILTER (-SIGSYS)

typedef struct test_place {
    char keys[64];
    char passphrase[96];
    char foreign[96];
    int held; /* a key file, open */
} test_place;

typedef int (*attempt)(const test_place *place);

static int make_place(void **state)
{
    test_place *place = calloc(1, sizeof *place);
    kf_error error;
    assert_non_null(place);
    strcpy(place->keys, "/tmp/keyfill-doors.XXXXXX");
    assert_non_null(mkdtemp(place->keys));
    (void)snprintf(place->passphrase, sizeof place->passphrase, "%s.passphrase", place->keys);
    (void)snprintf(place->foreign, sizeof place->foreign, "%s.foreign", place->keys);
    assert_int_equal(kf_file_replace(place->passphrase, kf_view_of_text("x"), 0600, &error), KF_OK);
    assert_int_equal(kf_file_replace(place->foreign, kf_view_of_text("x"), 0600, &error), KF_OK);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/keys.a", place->keys);
    place->held = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(place->held >= 0);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    test_place *place = *state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/keys.a", place->keys);
    close(place->held);
    (void)remove(path);
    (void)remove(place->keys);
    (void)remove(place->passphrase);
    (void)remove(place->foreign);
    free(place);
    return 0;
}

typedef enum stage { BEFORE, FILES_KEPT, FILES_CLOSED, DOORS_CLOSED } stage;

static kf_code go_to(const test_place *place, stage wanted)
{
    kf_error error;
    const kf_vault_files files = {place->keys, place->passphrase, NULL};
    if (wanted >= FILES_KEPT) {
        KF_TRY(kf_vault_harden_process(true, &error));
        KF_TRY(kf_vault_warm_up(&error));
        KF_TRY(kf_vault_keep_files(&files, &error));
    }
    if (wanted >= FILES_CLOSED) KF_TRY(kf_vault_close_files(&error));
    return wanted >= DOORS_CLOSED ? kf_vault_close_doors(&error) : KF_OK;
}

/* POSSIBLE, the errno of what was tried, or minus the signal that ended it. */
static int outcome(const test_place *place, stage wanted, attempt try)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (dup2(place->held, STDERR_FILENO) < 0 || go_to(place, wanted) != KF_OK) _exit(CANNOT_CLOSE);
        _exit(try(place) == 0 ? POSSIBLE : errno);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Each attempt is possible before the doors close: else its failure behind them shows nothing. */
static void expect(const test_place *place, stage wanted, attempt try, int inside)
{
    assert_int_equal(outcome(place, BEFORE, try), POSSIBLE);
    assert_int_equal(outcome(place, wanted, try), inside);
}

static bool has_landlock(void)
{
    kf_landlock_rules rules;
    kf_error error;
    assert_int_equal(kf_landlock_begin(0, &rules, &error), KF_OK);
    bool there = rules.descriptor >= 0;
    kf_landlock_end(&rules);
    return there;
}

static int open_and_close(const char *path, int flags)
{
    int descriptor = open(path, flags | O_CLOEXEC);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int open_the_passphrase(const test_place *place)
{
    return open_and_close(place->passphrase, O_RDONLY);
}

static int open_a_key_file(const test_place *place)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/keys.a", place->keys);
    return open_and_close(path, O_RDWR);
}

static int open_a_foreign_file(const test_place *place)
{
    return open_and_close(place->foreign, O_RDONLY);
}

static int write_a_held_file(const test_place *place)
{
    return pwrite(place->held, "x", 1, 0) == 1 && fdatasync(place->held) == 0 &&
                   ftruncate(place->held, 0) == 0
               ? 0
               : -1;
}

/* To a file, as where a service's log is one: stdio asks where it stands. */
static int write_to_the_log(const test_place *place)
{
    (void)place;
    kf_log(KF_LOG_ERROR, "a frame that is malformed");
    kf_log(KF_LOG_ERROR, "and another");
    return 0;
}

static void *nothing(void *argument)
{
    return argument;
}

static int make_a_thread(const test_place *place)
{
    pthread_t thread;
    (void)place;
    errno = pthread_create(&thread, NULL, nothing, NULL);
    if (errno == 0) errno = pthread_join(thread, NULL);
    return errno != 0 ? -1 : 0;
}

static int make_a_socket(const test_place *place)
{
    (void)place;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int start_a_program(const test_place *place)
{
    char name[] = "true";
    char *const none[] = {NULL};
    char *const arguments[] = {name, NULL};
    (void)place;
    return execve("/bin/true", arguments, none);
}

static int signal_its_parent(const test_place *place)
{
    (void)place;
    return kill(getppid(), 0);
}

static int make_code(const test_place *place)
{
    (void)place;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int allocate(const test_place *place)
{
    (void)place;
    void *large = malloc((size_t)8 << 20);
    if (large == NULL) return -1;
    memset(large, 1, (size_t)8 << 20);
    free(large);
    return 0;
}

static int leaves_a_core(const test_place *place)
{
    struct rlimit limit;
    (void)place;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return -1;
    errno = EPERM;
    return limit.rlim_max > 0 && prctl(PR_GET_DUMPABLE) == 1 ? 0 : -1;
}

/* The doors close for threads that are there. */
static int waiting_ends[2];

static void *open_when_told(void *argument)
{
    const test_place *place = argument;
    char go;
    if (read(waiting_ends[0], &go, 1) != 1) return NULL;
    return open_a_foreign_file(place) == 0 ? argument : NULL;
}

static void a_thread_that_was_there_opens_nothing(void **state)
{
    if (KF_UNDER_SANITIZER) skip();
    test_place *place = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pthread_t thread;
        void *opened = place;
        if (pipe(waiting_ends) != 0 || go_to(place, BEFORE) != KF_OK ||
            pthread_create(&thread, NULL, open_when_told, place) != 0 ||
            go_to(place, DOORS_CLOSED) != KF_OK || write(waiting_ends[1], "x", 1) != 1 ||
            pthread_join(thread, &opened) != 0)
            _exit(CANNOT_CLOSE);
        _exit(opened == NULL ? POSSIBLE : EEXIST);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), POSSIBLE);
}

static void while_it_starts_it_opens_its_key_files_and_passphrase_alone(void **state)
{
    if (KF_UNDER_SANITIZER || !has_landlock()) skip();
    expect(*state, FILES_KEPT, open_a_key_file, POSSIBLE);
    expect(*state, FILES_KEPT, open_the_passphrase, POSSIBLE);
    expect(*state, FILES_KEPT, open_a_foreign_file, EACCES);
}

static void after_its_start_it_opens_nothing(void **state)
{
    if (KF_UNDER_SANITIZER) skip();
    if (has_landlock()) {
        expect(*state, FILES_CLOSED, open_a_key_file, EACCES);
        expect(*state, FILES_CLOSED, open_the_passphrase, EACCES);
        expect(*state, FILES_CLOSED, make_a_thread, POSSIBLE);
    }
    expect(*state, DOORS_CLOSED, open_a_key_file, EPERM);
    expect(*state, DOORS_CLOSED, open_the_passphrase, EPERM);
}

static void what_it_holds_it_can_write(void **state)
{
    expect(*state, DOORS_CLOSED, write_a_held_file, POSSIBLE);
    expect(*state, DOORS_CLOSED, allocate, POSSIBLE);
    expect(*state, DOORS_CLOSED, write_to_the_log, POSSIBLE);
}

static void sockets_programs_threads_signals_and_code_end_it(void **state)
{
    if (KF_UNDER_SANITIZER) skip();
    expect(*state, DOORS_CLOSED, make_a_socket, ENDED_BY_FILTER);
    expect(*state, DOORS_CLOSED, start_a_program, ENDED_BY_FILTER);
    expect(*state, DOORS_CLOSED, make_a_thread, ENDED_BY_FILTER);
    expect(*state, DOORS_CLOSED, signal_its_parent, ENDED_BY_FILTER);
    expect(*state, DOORS_CLOSED, make_code, ENDED_BY_FILTER);
}

static void it_leaves_no_core(void **state)
{
    if (KF_UNDER_SANITIZER) skip();
    assert_int_equal(outcome(*state, FILES_KEPT, leaves_a_core), EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(while_it_starts_it_opens_its_key_files_and_passphrase_alone,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(after_its_start_it_opens_nothing, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_thread_that_was_there_opens_nothing, make_place, remove_place),
        cmocka_unit_test_setup_teardown(what_it_holds_it_can_write, make_place, remove_place),
        cmocka_unit_test_setup_teardown(sockets_programs_threads_signals_and_code_end_it, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(it_leaves_no_core, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
