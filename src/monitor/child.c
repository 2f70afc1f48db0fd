#include "monitor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* In the child: says which step failed, and ends. Nothing is left that could be started again with success.
 */
static void give_up(const kf_monitor_program *program, const char *step) __attribute__((noreturn));
static void give_up(const kf_monitor_program *program, const char *step)
{
    kf_log(KF_LOG_ERROR, "%s cannot be started (%s, %s): %s", program->name, program->path, step,
           strerror(errno));
    _exit(KF_EXIT_USAGE);
}

/* A process of another user that locks all its memory does so by CAP_IPC_LOCK, which alone it keeps (ambient,
 * so that it outlives execve): raising RLIMIT_MEMLOCK would need CAP_SYS_RESOURCE here, which containers
 * lack. */
static void keep_memory_lock(const kf_monitor_program *program)
{
    const struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    if (program->locks_memory) {
        data[CAP_TO_INDEX(CAP_IPC_LOCK)].permitted = CAP_TO_MASK(CAP_IPC_LOCK);
        data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective = CAP_TO_MASK(CAP_IPC_LOCK);
        data[CAP_TO_INDEX(CAP_IPC_LOCK)].inheritable = CAP_TO_MASK(CAP_IPC_LOCK);
    }
    if (syscall(SYS_capset, &header, data) != 0) give_up(program, "giving up capabilities");
    if (program->locks_memory && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_IPC_LOCK, 0, 0) != 0)
        give_up(program, "CAP_IPC_LOCK");
}

static void become_user(const kf_monitor_program *program)
{
    if (!program->change_user) return;
    if (setgroups(0, NULL) != 0) give_up(program, "dropping groups");
    if (setresgid(program->group, program->group, program->group) != 0) give_up(program, "changing group");
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) give_up(program, "keeping CAP_IPC_LOCK");
    if (setresuid(program->user, program->user, program->user) != 0) give_up(program, "changing user");
    keep_memory_lock(program);
    if (program->user != 0 && setuid(0) == 0) give_up(program, "giving up root");
}

/* A file of the service manager's (systemd.exec(5), LoadCredential=), which the program's own user cannot
 * read. */
static int open_credential(const kf_monitor_program *program, const char *name)
{
    char path[PATH_MAX];
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL) {
        errno = ENOENT;
        give_up(program, "a credential without CREDENTIALS_DIRECTORY");
    }
    int size = snprintf(path, sizeof path, "%s/%s", folder, name);
    int descriptor =
        size > 0 && (size_t)size < sizeof path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (descriptor < 0) give_up(program, name);
    return descriptor;
}

static const char *credential_of(const char *argument)
{
    return strncmp(argument, KF_MONITOR_CREDENTIAL, sizeof KF_MONITOR_CREDENTIAL - 1) == 0
               ? argument + sizeof KF_MONITOR_CREDENTIAL - 1
               : NULL;
}

/* First out of each other's way, then where they belong. */
static void place_descriptors(const kf_monitor_program *program, const int *descriptors, size_t count)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        give_up(program, "standard descriptors");
    int behind = KF_MONITOR_DESCRIPTOR + (int)count;
    int moved[KF_MONITOR_DESCRIPTORS_MAX + KF_MONITOR_ARGUMENTS_MAX];
    for (size_t i = 0; i < count; i++)
        if ((moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, behind)) < 0) give_up(program, "descriptor");
    for (size_t i = 0; i < count; i++)
        if (dup2(moved[i], KF_MONITOR_DESCRIPTOR + (int)i) < 0) give_up(program, "descriptor");
    if (close_range((unsigned)behind, ~0U, 0) != 0) give_up(program, "closing descriptors");
}

/* The sockets, and behind them the credentials in the order of the arguments. */
static void place_all(const kf_monitor_program *program, const int *descriptors, size_t count)
{
    int all[KF_MONITOR_DESCRIPTORS_MAX + KF_MONITOR_ARGUMENTS_MAX];
    memcpy(all, descriptors, count * sizeof all[0]);
    for (size_t i = 0; i < KF_MONITOR_ARGUMENTS_MAX && program->arguments[i] != NULL; i++) {
        const char *credential = credential_of(program->arguments[i]);
        if (credential != NULL) all[count++] = open_credential(program, credential);
    }
    place_descriptors(program, all, count);
}

static void fill_arguments(const kf_monitor_program *program, size_t sockets, char **arguments)
{
    int descriptor = KF_MONITOR_DESCRIPTOR + (int)sockets;
    for (size_t i = 0; i < KF_MONITOR_ARGUMENTS_MAX && program->arguments[i] != NULL; i++) {
        if (credential_of(program->arguments[i]) == NULL)
            arguments[i] = strdup(program->arguments[i]);
        else if (asprintf(&arguments[i], "descriptor:%d", descriptor++) < 0)
            arguments[i] = NULL;
        if (arguments[i] == NULL) give_up(program, "memory");
    }
}

/* What the program gets, and where the service manager is to be told. */
static void fill_environment(const kf_monitor_program *program, char **environment)
{
    size_t count = 0;
    for (; count < KF_MONITOR_ENVIRONMENT_MAX && program->environment[count] != NULL; count++)
        if ((environment[count] = strdup(program->environment[count])) == NULL) give_up(program, "memory");
    const char *manager = program->tells_ready ? getenv("NOTIFY_SOCKET") : NULL;
    if (manager != NULL && asprintf(&environment[count], "NOTIFY_SOCKET=%s", manager) < 0)
        give_up(program, "memory");
}

static void run_program(const kf_monitor_program *program, const int *descriptors, size_t count,
                        pid_t monitor) __attribute__((noreturn));
static void run_program(const kf_monitor_program *program, const int *descriptors, size_t count,
                        pid_t monitor)
{
    sigset_t none;
    sigemptyset(&none);
    place_all(program, descriptors, count);
    become_user(program);
    umask(0077);
    if (chdir("/") != 0) give_up(program, "folder /");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(program, "no_new_privs");
    /* After the change of user, which resets it (prctl(2)). */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != monitor) give_up(program, "parent");
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0) give_up(program, "signals");
    char *arguments[KF_MONITOR_ARGUMENTS_MAX + 1] = {NULL};
    fill_arguments(program, count, arguments);
    char *environment[KF_MONITOR_ENVIRONMENT_MAX + 2] = {NULL};
    fill_environment(program, environment);
    execve(program->path, arguments, environment);
    give_up(program, "running it");
}

kf_code kf_monitor_start_child(const kf_monitor_program *program, const int *descriptors, size_t count,
                               pid_t *ret_process, kf_error *error)
{
    if (count > KF_MONITOR_DESCRIPTORS_MAX) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    pid_t monitor = getpid();
    pid_t process = fork();
    if (process < 0)
        return kf_fail(error, KF_ERR_SYSTEM, "no process for the %s: %s", program->name, strerror(errno));
    if (process == 0) run_program(program, descriptors, count, monitor);
    *ret_process = process;
    return KF_OK;
}
