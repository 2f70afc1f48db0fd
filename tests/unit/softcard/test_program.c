/* The program itself: created, run on its socket, killed, torn, controlled. */
#include "fixture.h"

#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

typedef struct card_program {
    char folder[64];
    char state[96];
    char socket[96];
    char control[96];
    pid_t process;
    int reader;
} card_program;

static const char *executable_path;

/* Starts keyfill-softcard and waits for the first line of its output, or its end; the exit status, or -1
 * where it said `ready`. */
static int start(card_program *program, const char *const *arguments)
{
    enum { ARGUMENTS_MAX = 15 };
    char *copies[ARGUMENTS_MAX + 1] = {NULL};
    int output[2];
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++)
        copies[i] = strdup(arguments[i]);
    char line[16] = "";
    assert_int_equal(pipe(output), 0);
    program->process = fork();
    assert_true(program->process >= 0);
    if (program->process == 0) {
        dup2(output[1], STDOUT_FILENO);
        close(output[0]);
        close(output[1]);
        execv(executable_path, copies);
        _exit(127);
    }
    close(output[1]);
    for (size_t i = 0; i < ARGUMENTS_MAX; i++)
        free(copies[i]);
    size_t used = 0;
    ssize_t got;
    while (used < sizeof line - 1 && strchr(line, '\n') == NULL &&
           (got = read(output[0], line + used, sizeof line - 1 - used)) > 0)
        used += (size_t)got;
    close(output[0]);
    if (strcmp(line, "ready\n") == 0) return -1;
    int status;
    assert_int_equal(waitpid(program->process, &status, 0), program->process);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int create(card_program *program, const char *option)
{
    const char *const arguments[] = {"keyfill-softcard",      "create",  "--state",
                                     program->state,          "--iccid", "8988211000000430010",
                                     "--published-test-keys", option,    NULL};
    return start(program, arguments);
}

static void run(card_program *program)
{
    const char *const arguments[] = {
        "keyfill-softcard", "run", "--state", program->state, "--socket", program->socket, "--control",
        program->control,   NULL};
    assert_int_equal(start(program, arguments), -1);
}

static int end(card_program *program, int signal_number)
{
    int status;
    kf_descriptor_close(&program->reader);
    assert_int_equal(kill(program->process, signal_number), 0);
    assert_int_equal(waitpid(program->process, &status, 0), program->process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(connection >= 0);
    assert_int_equal(connect(connection, (const struct sockaddr *)&address, sizeof address), 0);
    return connection;
}

static void insert_into_reader(card_program *program)
{
    static const uint8_t power_on[] = {0, 1, 1};
    kf_descriptor_close(&program->reader);
    program->reader = dial(program->socket);
    assert_int_equal(kf_descriptor_write(program->reader, KF_VIEW(power_on)), KF_OK);
}

/* Whether an answer came; it is compared with `expected`. */
static bool exchange(card_program *program, const char *command, const char *expected)
{
    kf_buffer bytes = KF_BUFFER_INIT;
    uint8_t answer[300];
    uint8_t head[2];
    char text[601];
    kf_buffer_append_u16(&bytes, (uint16_t)(strlen(command) / 2));
    assert_int_equal(kf_hex_decode_append(command, &bytes), KF_OK);
    assert_int_equal(kf_descriptor_write(program->reader, kf_buffer_view(&bytes)), KF_OK);
    kf_buffer_clear(&bytes);
    if (kf_descriptor_read(program->reader, head, sizeof head) != KF_OK) return false;
    size_t size = (size_t)(head[0] << 8 | head[1]);
    assert_true(size <= sizeof answer);
    assert_int_equal(kf_descriptor_read(program->reader, answer, size), KF_OK);
    assert_int_equal(kf_hex_encode(kf_view_of(answer, size), text, sizeof text), KF_OK);
    assert_string_equal(text, expected);
    return true;
}

static void order(card_program *program, const char *line)
{
    char answer[3];
    KF_CLEANUP(kf_descriptor_close) int control = dial(program->control);
    assert_int_equal(kf_descriptor_write(control, kf_view_of_text(line)), KF_OK);
    assert_int_equal(kf_descriptor_read(control, answer, sizeof answer), KF_OK);
    assert_memory_equal(answer, "ok\n", sizeof answer);
}

static int set_up(void **state)
{
    card_program *made = calloc(1, sizeof *made);
    if (made == NULL) return -1;
    *made = (card_program){.folder = "/tmp/keyfill-softcard-XXXXXX", .reader = -1};
    if (mkdtemp(made->folder) == NULL) return -1;
    snprintf(made->state, sizeof made->state, "%s/state", made->folder);
    snprintf(made->socket, sizeof made->socket, "%s/card", made->folder);
    snprintf(made->control, sizeof made->control, "%s/control", made->folder);
    *state = made;
    return create(made, NULL) == 0 ? 0 : -1;
}

/* A kill may leave the file that was to become the state. */
static void empty_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) return;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.') unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

static int tear_down(void **state)
{
    card_program *made = *state;
    kf_descriptor_close(&made->reader);
    empty_folder(made->folder);
    int result = rmdir(made->folder);
    free(made);
    return result;
}

#define VERIFY_ADM1 "0020000A083838383838383838"
#define SELECT_OPERATOR_FILE "00A4080C047F106FE1"

static void an_answered_change_survives_a_kill(void **state)
{
    card_program *program = *state;
    for (unsigned round = 0; round < 20; round++) {
        char update[32];
        char read_back[16];
        run(program);
        insert_into_reader(program);
        snprintf(update, sizeof update, "00D6000002AA%02X", round);
        snprintf(read_back, sizeof read_back, "AA%02X9000", round);
        assert_true(exchange(program, VERIFY_ADM1, "9000"));
        assert_true(exchange(program, SELECT_OPERATOR_FILE, "9000"));
        assert_true(exchange(program, update, "9000"));
        assert_int_equal(end(program, SIGKILL), 128 + SIGKILL);
        run(program);
        insert_into_reader(program);
        assert_true(exchange(program, SELECT_OPERATOR_FILE, "9000"));
        assert_true(exchange(program, "00B0000002", read_back));
        assert_int_equal(end(program, SIGTERM), 0);
    }
}

/* The kill comes while a change is on its way: it is there as a whole or not at all, and the card lives. */
static void a_change_in_flight_is_kept_whole_or_not_at_all(void **state)
{
    static const uint8_t update[] = {0, 7, 0x00, 0xD6, 0x00, 0x00, 0x02, 0xBB, 0xBB};
    card_program *program = *state;
    for (unsigned round = 0; round < 20; round++) {
        uint8_t head[2];
        uint8_t answer[4];
        static const uint8_t read_back[] = {0, 5, 0x00, 0xB0, 0x00, 0x00, 0x02};
        run(program);
        insert_into_reader(program);
        assert_true(exchange(program, VERIFY_ADM1, "9000"));
        assert_true(exchange(program, SELECT_OPERATOR_FILE, "9000"));
        assert_true(exchange(program, "00D6000002AAAA", "9000"));
        assert_int_equal(kf_descriptor_write(program->reader, KF_VIEW(update)), KF_OK);
        for (unsigned turn = 0; turn < round; turn++)
            sched_yield();
        assert_int_equal(end(program, SIGKILL), 128 + SIGKILL);
        run(program);
        insert_into_reader(program);
        assert_true(exchange(program, SELECT_OPERATOR_FILE, "9000"));
        assert_int_equal(kf_descriptor_write(program->reader, KF_VIEW(read_back)), KF_OK);
        assert_int_equal(kf_descriptor_read(program->reader, head, sizeof head), KF_OK);
        assert_int_equal(kf_descriptor_read(program->reader, answer, sizeof answer), KF_OK);
        assert_int_equal(answer[0], answer[1]);
        assert_true(answer[0] == 0xAA || answer[0] == 0xBB);
        assert_int_equal(end(program, SIGTERM), 0);
    }
}

static void a_torn_card_gives_no_answer_and_can_be_powered_again(void **state)
{
    card_program *program = *state;
    run(program);
    order(program, "tear 2 before\n");
    insert_into_reader(program);
    assert_true(exchange(program, VERIFY_ADM1, "9000"));
    assert_false(exchange(program, SELECT_OPERATOR_FILE, ""));
    insert_into_reader(program);
    assert_true(exchange(program, SELECT_OPERATOR_FILE, "9000"));
    assert_true(exchange(program, "00D6000001AA", "6982"));
    assert_int_equal(end(program, SIGTERM), 0);
}

static void a_removed_card_answers_nobody_until_it_is_inserted(void **state)
{
    card_program *program = *state;
    uint8_t byte;
    run(program);
    insert_into_reader(program);
    order(program, "remove\n");
    assert_int_equal(kf_descriptor_read(program->reader, &byte, 1), KF_ERR_TRUNCATED);
    kf_descriptor_close(&program->reader);
    program->reader = dial(program->socket);
    assert_int_equal(kf_descriptor_read(program->reader, &byte, 1), KF_ERR_TRUNCATED);
    order(program, "insert\n");
    insert_into_reader(program);
    assert_true(exchange(program, "00A4000C022FE2", "9000"));
    order(program, "quit\n");
    int status;
    assert_int_equal(waitpid(program->process, &status, 0), program->process);
    assert_int_equal(status, 0);
    assert_int_not_equal(access(program->socket, F_OK), 0);
}

static void a_card_in_use_is_neither_run_twice_nor_replaced(void **state)
{
    card_program *program = *state;
    char second[128];
    pid_t first;
    snprintf(second, sizeof second, "%s2", program->socket);
    assert_int_equal(create(program, NULL), KF_EXIT_USAGE);
    run(program);
    first = program->process;
    const char *const again[] = {"keyfill-softcard", "run",  "--state", program->state,
                                 "--socket",         second, NULL};
    assert_int_equal(start(program, again), KF_EXIT_UNREACHABLE);
    assert_int_equal(create(program, "--force"), KF_EXIT_UNREACHABLE);
    program->process = first;
    insert_into_reader(program);
    assert_true(exchange(program, "00A4000C022FE2", "9000"));
    assert_int_equal(end(program, SIGTERM), 0);
    assert_int_equal(create(program, "--force"), 0);
}

static void wrong_command_lines_say_so(void **state)
{
    card_program *program = *state;
    const char *const no_state[] = {"keyfill-softcard", "run", NULL};
    const char *const no_attachment[] = {"keyfill-softcard", "run", "--state", program->state, NULL};
    const char *const no_command[] = {"keyfill-softcard", "dance", "--state", program->state, NULL};
    const char *const wrong_tear[] = {"keyfill-softcard", "run",      "--state",
                                      program->state,     "--socket", program->socket,
                                      "--tear",           "x",        NULL};
    const char *const no_port[] = {"keyfill-softcard", "run",         "--state", program->folder,
                                   "--vpcd",           "127.0.0.1:1", NULL};
    assert_int_equal(start(program, no_state), KF_EXIT_USAGE);
    assert_int_equal(start(program, no_attachment), KF_EXIT_USAGE);
    assert_int_equal(start(program, no_command), KF_EXIT_USAGE);
    assert_int_equal(start(program, wrong_tear), KF_EXIT_USAGE);
    assert_int_equal(start(program, no_port), KF_EXIT_USAGE);
    char lock[96];
    snprintf(lock, sizeof lock, "%s.lock", program->folder);
    unlink(lock);
}

/* The test plays vpcd: it listens, the card comes, is torn, and comes back when it is inserted. */
static void a_card_comes_to_vpcd_and_comes_again(void **state)
{
    card_program *program = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char place[32];
    uint8_t byte;
    static const uint8_t power_on[] = {0, 1, 1};
    KF_CLEANUP(kf_descriptor_close) int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(place, sizeof place, "127.0.0.1:%u", ntohs(address.sin_port));
    const char *const arguments[] = {"keyfill-softcard", "run",     "--state",   program->state,
                                     "--vpcd",           place,     "--control", program->control,
                                     "--tear",           "2:after", NULL};
    assert_int_equal(start(program, arguments), -1);
    program->reader = accept(listener, NULL, NULL);
    assert_int_equal(kf_descriptor_write(program->reader, KF_VIEW(power_on)), KF_OK);
    assert_true(exchange(program, "00A4000C022FE2", "9000"));
    assert_false(exchange(program, "00B0000001", ""));
    assert_int_equal(kf_descriptor_read(program->reader, &byte, 1), KF_ERR_TRUNCATED);
    kf_descriptor_close(&program->reader);
    order(program, "insert\n");
    program->reader = accept(listener, NULL, NULL);
    assert_int_equal(kf_descriptor_write(program->reader, KF_VIEW(power_on)), KF_OK);
    assert_true(exchange(program, "00A4000C022FE2", "9000"));
    assert_int_equal(end(program, SIGTERM), 0);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) return 2;
    executable_path = arguments[1];
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answered_change_survives_a_kill, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_in_flight_is_kept_whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_torn_card_gives_no_answer_and_can_be_powered_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_removed_card_answers_nobody_until_it_is_inserted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_card_in_use_is_neither_run_twice_nor_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_command_lines_say_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_card_comes_to_vpcd_and_comes_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
