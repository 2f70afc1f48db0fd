/* What the vault's process gives up, so that neither an error in it nor another process of the machine gets
 * at its keys. */
#ifndef KEYFILL_VAULT_HARDENING_H
#define KEYFILL_VAULT_HARDENING_H

#include <keyfill/error.h>

/* First thing in the program: no core dumps, no tracing, and no reading of /proc/PID/mem by others of the
 * same user (prctl(2), PR_SET_DUMPABLE); all memory, present and future, locked. Where memory cannot be
 * locked: KF_ERR_SECRET_MEMORY, in development a warning. */
kf_code kf_vault_harden_process(bool development, kf_error *error) KF_MUST_USE;

/* Runs what libraries open files or load code for on first use, while that is still possible. */
kf_code kf_vault_warm_up(kf_error *error) KF_MUST_USE;

typedef struct kf_vault_files {
    const char *directory; /* of the key files */
    const char *passphrase;
    const char *roster; /* NULL: none */
} kf_vault_files;

/* From here on this thread and those that it makes open those files alone, and no port (Landlock). Says so in
 * the log where the kernel has no Landlock. */
kf_code kf_vault_keep_files(const kf_vault_files *files, kf_error *error) KF_MUST_USE;

/* From here on this thread and those that it makes open no file at all; to be called before the threads that
 * answer requests are made. */
kf_code kf_vault_close_files(kf_error *error) KF_MUST_USE;

/* From here on the process has the system calls of memory, time, randomness and of the descriptors it holds;
 * none that opens, connects, starts or traces. A call that libraries try and do without gets EPERM; any other
 * ends the process. All threads that there are; none can be made afterwards. */
kf_code kf_vault_close_doors(kf_error *error) KF_MUST_USE;

#endif
