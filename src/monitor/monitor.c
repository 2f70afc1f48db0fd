#include "monitor/monitor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "monitor/child.h"

typedef struct watched {
    const kf_monitor_program *program;
    pid_t process; /* 0: none */
    int status;    /* of the last end */
} watched;

typedef struct watch {
    watched vault;
    watched front;
    sigset_t signals;
    bool stopping;
} watch;

static uint64_t now_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static kf_code start_both(watch *both, kf_error *error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "no socketpair: %s", strerror(errno));
    KF_CLEANUP(kf_descriptor_close) int vault_end = ends[0];
    KF_CLEANUP(kf_descriptor_close) int front_end = ends[1];
    KF_TRY(kf_monitor_start_child(both->vault.program, vault_end, &both->vault.process, error));
    kf_code code = kf_monitor_start_child(both->front.program, front_end, &both->front.process, error);
    if (code == KF_OK)
        kf_log(KF_LOG_INFO, "vault %ld and front %ld started", (long)both->vault.process,
               (long)both->front.process);
    return code;
}

static void log_end(const watched *ended, pid_t process)
{
    if (WIFSIGNALED(ended->status))
        kf_log(KF_LOG_WARNING, "%s %ld was ended by signal %d", ended->program->name, (long)process,
               WTERMSIG(ended->status));
    else
        kf_log(KF_LOG_INFO, "%s %ld ended with status %d", ended->program->name, (long)process,
               WEXITSTATUS(ended->status));
}

static void reap(watch *both)
{
    int status;
    pid_t process;
    while ((process = waitpid(-1, &status, WNOHANG)) > 0) {
        watched *ended = process == both->vault.process   ? &both->vault
                         : process == both->front.process ? &both->front
                                                          : NULL;
        if (ended == NULL) continue;
        ended->process = 0;
        ended->status = status;
        log_end(ended, process);
    }
}

/* Waits for one signal, at most `wait_ms` (UINT64_MAX: without end), and takes note of what it says. */
static void wait_for_signal(watch *both, uint64_t wait_ms)
{
    struct timespec limit = {(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * 1000000};
    int number = wait_ms == UINT64_MAX ? sigwaitinfo(&both->signals, NULL)
                                       : sigtimedwait(&both->signals, NULL, &limit);
    if (number == SIGTERM || number == SIGINT) both->stopping = true;
    reap(both);
    if (number == SIGHUP && both->front.process != 0) (void)kill(both->front.process, SIGHUP);
}

static void wait_for_end(watch *both, const watched *one, unsigned seconds)
{
    uint64_t deadline = now_ms() + (uint64_t)seconds * 1000;
    for (uint64_t now = now_ms(); one->process != 0 && now < deadline; now = now_ms())
        wait_for_signal(both, deadline - now);
}

static void end_for_certain(watch *both, watched *one)
{
    if (one->process == 0) return;
    kf_log(KF_LOG_WARNING, "%s %ld does not end; it is killed", one->program->name, (long)one->process);
    kill(one->process, SIGKILL);
    while (one->process != 0)
        wait_for_signal(both, 1000);
}

/* The front first: it answers what is under way, for which it needs the vault; the vault ends when the socket
 * closes. */
static void stop_both(watch *both)
{
    if (both->front.process != 0) {
        kill(both->front.process, SIGTERM);
        wait_for_end(both, &both->front,
                     both->vault.process != 0 ? KF_MONITOR_DRAIN_SECONDS : KF_MONITOR_STOP_SECONDS);
        end_for_certain(both, &both->front);
    }
    wait_for_end(both, &both->vault, KF_MONITOR_STOP_SECONDS);
    end_for_certain(both, &both->vault);
}

static int lasting_status(const watch *both)
{
    const watched *list[2] = {&both->vault, &both->front};
    for (size_t i = 0; i < 2; i++) {
        if (!WIFEXITED(list[i]->status)) continue;
        int status = WEXITSTATUS(list[i]->status);
        if (status == KF_EXIT_USAGE || status == KF_EXIT_REFUSED) return status;
    }
    return KF_EXIT_OK;
}

static void rest(watch *both, uint64_t milliseconds)
{
    uint64_t deadline = now_ms() + milliseconds;
    for (uint64_t now = now_ms(); !both->stopping && now < deadline; now = now_ms())
        wait_for_signal(both, deadline - now);
}

/* One life of the pair. */
static kf_code run_once(watch *both, uint64_t *ret_lived_ms, kf_error *error)
{
    uint64_t started = now_ms();
    both->vault.status = 0;
    both->front.status = 0;
    kf_code code = start_both(both, error);
    while (code == KF_OK && !both->stopping && both->vault.process != 0 && both->front.process != 0)
        wait_for_signal(both, UINT64_MAX);
    stop_both(both);
    *ret_lived_ms = now_ms() - started;
    return code;
}

static kf_code watch_until_stopped(watch *both, int *ret_exit_status, kf_error *error)
{
    uint64_t backoff = KF_MONITOR_BACKOFF_FIRST_MS;
    while (!both->stopping) {
        uint64_t lived_ms = 0;
        KF_TRY(run_once(both, &lived_ms, error));
        if (both->stopping) break;
        int status = lasting_status(both);
        if (status != KF_EXIT_OK) {
            *ret_exit_status = status;
            return kf_fail(error, KF_ERR_CONFIGURATION,
                           "front or vault cannot work as configured; see the line before");
        }
        if (lived_ms >= (uint64_t)KF_MONITOR_STEADY_SECONDS * 1000) backoff = KF_MONITOR_BACKOFF_FIRST_MS;
        kf_log(KF_LOG_WARNING, "front and vault are started again in %llu ms", (unsigned long long)backoff);
        rest(both, backoff);
        backoff = backoff * 2 < KF_MONITOR_BACKOFF_MOST_MS ? backoff * 2 : KF_MONITOR_BACKOFF_MOST_MS;
    }
    *ret_exit_status = KF_EXIT_OK;
    return KF_OK;
}

kf_code kf_monitor_run(const kf_monitor_plan *plan, int *ret_exit_status, kf_error *error)
{
    watch both = {.vault = {&plan->vault, 0, 0}, .front = {&plan->front, 0, 0}, .stopping = false};
    sigset_t before;
    sigemptyset(&both.signals);
    sigaddset(&both.signals, SIGCHLD);
    sigaddset(&both.signals, SIGTERM);
    sigaddset(&both.signals, SIGINT);
    sigaddset(&both.signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &both.signals, &before) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "signals cannot be held back: %s", strerror(errno));
    kf_code code = watch_until_stopped(&both, ret_exit_status, error);
    if (sigprocmask(SIG_SETMASK, &before, NULL) != 0) return kf_fail_plain(error, KF_ERR_SYSTEM);
    return code;
}
