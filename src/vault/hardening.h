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

/* From here on the process has the system calls of memory, time, randomness and of the descriptors it holds;
 * none that opens, connects, starts or traces. A call that libraries try and do without gets EPERM; any other
 * ends the process. */
kf_code kf_vault_close_doors(kf_error *error) KF_MUST_USE;

#endif
