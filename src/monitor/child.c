#include "monitor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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

static void place_descriptors(const kf_monitor_program *program, int descriptor)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        give_up(program, "standard descriptors");
    if (descriptor == KF_MONITOR_DESCRIPTOR) {
        if (fcntl(descriptor, F_SETFD, 0) != 0) give_up(program, "descriptor");
    } else if (dup2(descriptor, KF_MONITOR_DESCRIPTOR) < 0) {
        give_up(program, "descriptor");
    }
    if (close_range(KF_MONITOR_DESCRIPTOR + 1, ~0U, 0) != 0) give_up(program, "closing descriptors");
}

static void run_program(const kf_monitor_program *program, int descriptor, pid_t monitor)
    __attribute__((noreturn));
static void run_program(const kf_monitor_program *program, int descriptor, pid_t monitor)
{
    sigset_t none;
    sigemptyset(&none);
    place_descriptors(program, descriptor);
    become_user(program);
    umask(0077);
    if (chdir("/") != 0) give_up(program, "folder /");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(program, "no_new_privs");
    /* After the change of user, which resets it (prctl(2)). */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != monitor) give_up(program, "parent");
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0) give_up(program, "signals");
    char *arguments[KF_MONITOR_ARGUMENTS_MAX + 1] = {NULL};
    for (size_t i = 0; i < KF_MONITOR_ARGUMENTS_MAX && program->arguments[i] != NULL; i++) {
        arguments[i] = strdup(program->arguments[i]);
        if (arguments[i] == NULL) give_up(program, "memory");
    }
    char *environment[] = {NULL, NULL};
    const char *manager = program->tells_ready ? getenv("NOTIFY_SOCKET") : NULL;
    if (manager != NULL && asprintf(&environment[0], "NOTIFY_SOCKET=%s", manager) < 0)
        give_up(program, "memory");
    execve(program->path, arguments, environment);
    give_up(program, "running it");
}

kf_code kf_monitor_start_child(const kf_monitor_program *program, int descriptor, pid_t *ret_process,
                               kf_error *error)
{
    pid_t monitor = getpid();
    pid_t process = fork();
    if (process < 0)
        return kf_fail(error, KF_ERR_SYSTEM, "no process for the %s: %s", program->name, strerror(errno));
    if (process == 0) run_program(program, descriptor, monitor);
    *ret_process = process;
    return KF_OK;
}
