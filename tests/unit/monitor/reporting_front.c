/* A front for the monitor's tests: says what it finds itself to be and what it can reach, one line into a
 * pipe, and waits. Its configuration holds three lines: the pipe, the key folder, the passphrase file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/front.h"
#include "vault/key_messages.h"
#include "wire/daemon.h"

extern char **environ;

typedef struct front_paths {
    char pipe[256];
    char keys[256];
    char passphrase[256];
} front_paths;

static const char *opened(const char *path, int flags)
{
    int descriptor = open(path, flags | O_CLOEXEC);
    if (descriptor < 0) return errno == EACCES || errno == EPERM ? "denied" : "missing";
    close(descriptor);
    return "open";
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    for (int i = 0; i < 1024; i++)
        if (fcntl(i, F_GETFD) >= 0) count++;
    return count;
}

/* The process of that name with the same parent; 0 if there is none. */
static long sibling(const char *name)
{
    DIR *folder = opendir("/proc");
    long found = 0;
    for (struct dirent *entry = folder != NULL ? readdir(folder) : NULL; entry != NULL;
         entry = readdir(folder)) {
        char path[300];
        char comm[64];
        long process;
        long parent;
        char state;
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '0' && entry->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (file == NULL) continue;
        if (fscanf(file, "%ld (%63[^)]) %c %ld", &process, comm, &state, &parent) == 4 &&
            strcmp(comm, name) == 0 && parent == (long)getppid())
            found = process;
        fclose(file);
    }
    if (folder != NULL) closedir(folder);
    return found;
}

static void report(const front_paths *paths, kf_vault_client *vault)
{
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_code code = kf_vault_call(vault, KF_VAULT_STATUS, kf_view_of("\1", 1), &answer, &error);
    long process = sibling("keyfill-vault");
    char memory[64];
    char slot[300];
    char environment[64];
    (void)snprintf(memory, sizeof memory, "/proc/%ld/mem", process);
    (void)snprintf(environment, sizeof environment, "/proc/%ld/environ", process);
    (void)snprintf(slot, sizeof slot, "%s/keys.a", paths->keys);
    const char *signalled = kill((pid_t)process, 0) == 0 ? "open" : errno == EPERM ? "denied" : "missing";
    int descriptor = open(paths->pipe, O_WRONLY | O_CLOEXEC);
    dprintf(descriptor,
            "front=%ld vault=%ld uid=%ld gid=%ld groups=%d environment=%d descriptors=%zu no_new_privs=%d "
            "status=%s memory=%s environ=%s "
            "signal=%s keys=%s passphrase=%s public=%s\n",
            (long)getpid(), process, (long)getuid(), (long)getgid(), getgroups(0, NULL),
            environ[0] == NULL ? 0 : 1, count_descriptors() - 1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
            kf_code_name(code), opened(memory, O_RDONLY), opened(environment, O_RDONLY), signalled,
            opened(slot, O_RDONLY), opened(paths->passphrase, O_RDONLY), "-");
    close(descriptor);
}

typedef struct reporting_program {
    kf_front_options options;
    kf_front front;
    front_paths paths;
} reporting_program;

static kf_code load(void *context, const char *config_path, const char **ret_log_level, kf_error *error)
{
    front_paths *paths = &((reporting_program *)context)->paths;
    FILE *file = fopen(config_path, "re");
    if (file == NULL) return kf_fail(error, KF_ERR_FILE, "%s cannot be read", config_path);
    int fields = fscanf(file, "%255s %255s %255s", paths->pipe, paths->keys, paths->passphrase);
    fclose(file);
    *ret_log_level = "info";
    return fields == 3 ? KF_OK : kf_fail(error, KF_ERR_CONFIGURATION, "%s: three lines", config_path);
}

static kf_code start(void *context, char ret_ready[KF_DAEMON_READY_SIZE], kf_error *error)
{
    reporting_program *program = context;
    KF_TRY(kf_front_meet_vault(&program->options, &program->front, error));
    report(&program->paths, program->front.vault);
    (void)snprintf(ret_ready, KF_DAEMON_READY_SIZE, "reported");
    return KF_OK;
}

static kf_code reload(void *context, kf_error *error)
{
    (void)error;
    reporting_program *program = context;
    report(&program->paths, program->front.vault);
    return KF_OK;
}

static int vault_of(void *context)
{
    return kf_vault_client_descriptor(((reporting_program *)context)->front.vault);
}

static void end(void *context)
{
    kf_vault_client_free(&((reporting_program *)context)->front.vault);
}

int main(int argc, char **argv)
{
    reporting_program program = {.options = KF_FRONT_OPTIONS_INIT};
    const kf_daemon daemon = {.program = "reporting-front",
                              .about = "A front for tests.",
                              .options = &kf_front_argp,
                              .options_input = &program.options,
                              .service = &program,
                              .load = load,
                              .start = start,
                              .reload = reload,
                              .watched = vault_of,
                              .end = end};
    return kf_daemon_run(&daemon, argc, argv);
}
