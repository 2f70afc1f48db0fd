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
#include "vault/hsm_link.h"

typedef struct watched {
    const kf_monitor_program *program;
    pid_t process; /* 0: none */
    int status;    /* of the last end */
} watched;

typedef struct watch {
    watched vault;
    watched front;
    watched hsm;
    size_t hsm_connections; /* 0: no helper */
    int link;               /* over which the vault gets its connections to the helper; -1: none */
    uint64_t hsm_started_ms;
    uint64_t hsm_due_ms; /* when it is started again; 0: not planned */
    uint64_t hsm_backoff_ms;
    sigset_t signals;
    bool stopping;
} watch;

static uint64_t now_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void close_all(int *descriptors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kf_descriptor_close(&descriptors[i]);
}

static kf_code make_connections(size_t count, int *ret_vault_ends, int *ret_helper_ends, kf_error *error)
{
    for (size_t i = 0; i < count; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
            kf_code code = kf_fail(error, KF_ERR_SYSTEM, "no socketpair: %s", strerror(errno));
            close_all(ret_vault_ends, i);
            close_all(ret_helper_ends, i);
            return code;
        }
        ret_vault_ends[i] = ends[0];
        ret_helper_ends[i] = ends[1];
    }
    return KF_OK;
}

/* A vault that does not take its connections leaves the helper without one: it ends, and is started again. */
static kf_code start_helper(watch *both, kf_error *error)
{
    int vault_ends[KF_MONITOR_DESCRIPTORS_MAX] = {0};
    int helper_ends[KF_MONITOR_DESCRIPTORS_MAX] = {0};
    size_t count = both->hsm_connections;
    KF_TRY(make_connections(count, vault_ends, helper_ends, error));
    kf_code code = kf_monitor_start_child(both->hsm.program, helper_ends, count, &both->hsm.process, error);
    close_all(helper_ends, count);
    if (code == KF_OK && kf_hsm_link_send(both->link, vault_ends, count) != KF_OK)
        kf_log(KF_LOG_WARNING, "the vault does not take its connections to %s", both->hsm.program->name);
    close_all(vault_ends, count);
    KF_TRY(code);
    both->hsm.status = 0;
    both->hsm_started_ms = now_ms();
    both->hsm_due_ms = 0;
    kf_log(KF_LOG_INFO, "%s %ld started", both->hsm.program->name, (long)both->hsm.process);
    return KF_OK;
}

static kf_code start_vault(watch *both, int vault_end, kf_error *error)
{
    int link[2] = {-1, -1};
    if (both->hsm_connections > 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "no socketpair: %s", strerror(errno));
    const int descriptors[2] = {vault_end, link[1]};
    kf_code code = kf_monitor_start_child(both->vault.program, descriptors, link[1] >= 0 ? 2 : 1,
                                          &both->vault.process, error);
    kf_descriptor_close(&link[1]);
    both->link = link[0];
    return code;
}

static kf_code start_both(watch *both, kf_error *error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "no socketpair: %s", strerror(errno));
    KF_CLEANUP(kf_descriptor_close) int vault_end = ends[0];
    KF_CLEANUP(kf_descriptor_close) int front_end = ends[1];
    KF_TRY(start_vault(both, vault_end, error));
    kf_code code = kf_monitor_start_child(both->front.program, &front_end, 1, &both->front.process, error);
    if (code != KF_OK) return code;
    kf_log(KF_LOG_INFO, "vault %ld and front %ld started", (long)both->vault.process,
           (long)both->front.process);
    return both->hsm_connections > 0 ? start_helper(both, error) : KF_OK;
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
                         : process == both->hsm.process   ? &both->hsm
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
    /* With the vault its connections have closed. */
    wait_for_end(both, &both->hsm, KF_MONITOR_STOP_SECONDS);
    end_for_certain(both, &both->hsm);
    kf_descriptor_close(&both->link);
}

static int lasting_status(const watch *both)
{
    const watched *list[3] = {&both->vault, &both->front, &both->hsm};
    for (size_t i = 0; i < 3; i++) {
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

static uint64_t next_backoff(uint64_t backoff)
{
    return backoff * 2 < KF_MONITOR_BACKOFF_MOST_MS ? backoff * 2 : KF_MONITOR_BACKOFF_MOST_MS;
}

/* The helper alone is started again while front and vault go on. Returns how long to wait for that at most.
 */
static uint64_t look_after_helper(watch *both)
{
    kf_error error = {KF_OK, ""};
    if (both->hsm_connections == 0 || both->hsm.process != 0) return UINT64_MAX;
    uint64_t now = now_ms();
    if (both->hsm_due_ms == 0) {
        if (now - both->hsm_started_ms >= (uint64_t)KF_MONITOR_STEADY_SECONDS * 1000)
            both->hsm_backoff_ms = KF_MONITOR_BACKOFF_FIRST_MS;
        both->hsm_due_ms = now + both->hsm_backoff_ms;
        kf_log(KF_LOG_WARNING, "%s is started again in %llu ms", both->hsm.program->name,
               (unsigned long long)both->hsm_backoff_ms);
        both->hsm_backoff_ms = next_backoff(both->hsm_backoff_ms);
    }
    if (now < both->hsm_due_ms) return both->hsm_due_ms - now;
    if (start_helper(both, &error) == KF_OK) return UINT64_MAX;
    kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    both->hsm_due_ms = now + both->hsm_backoff_ms;
    both->hsm_backoff_ms = next_backoff(both->hsm_backoff_ms);
    return both->hsm_due_ms - now;
}

/* One life of the pair. */
static kf_code run_once(watch *both, uint64_t *ret_lived_ms, kf_error *error)
{
    uint64_t started = now_ms();
    both->vault.status = 0;
    both->front.status = 0;
    both->hsm.status = 0;
    both->hsm_due_ms = 0;
    both->hsm_backoff_ms = KF_MONITOR_BACKOFF_FIRST_MS;
    kf_code code = start_both(both, error);
    while (code == KF_OK && !both->stopping && both->vault.process != 0 && both->front.process != 0 &&
           lasting_status(both) == KF_EXIT_OK)
        wait_for_signal(both, look_after_helper(both));
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
                           "front, vault or keyfill-hsm cannot work as configured; see the line before");
        }
        if (lived_ms >= (uint64_t)KF_MONITOR_STEADY_SECONDS * 1000) backoff = KF_MONITOR_BACKOFF_FIRST_MS;
        kf_log(KF_LOG_WARNING, "front and vault are started again in %llu ms", (unsigned long long)backoff);
        rest(both, backoff);
        backoff = next_backoff(backoff);
    }
    *ret_exit_status = KF_EXIT_OK;
    return KF_OK;
}

kf_code kf_monitor_run(const kf_monitor_plan *plan, int *ret_exit_status, kf_error *error)
{
    watch both = {.vault = {&plan->vault, 0, 0},
                  .front = {&plan->front, 0, 0},
                  .hsm = {&plan->hsm, 0, 0},
                  .hsm_connections = plan->hsm_connections,
                  .link = -1};
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
