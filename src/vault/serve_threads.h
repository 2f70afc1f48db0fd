/* Serving with several threads: whoever has nothing to do reads for all; procedures run side by side, all
 * other requests alone; answers are written in batches. The threads exist before the doors close. */
#ifndef KEYFILL_VAULT_SERVE_THREADS_H
#define KEYFILL_VAULT_SERVE_THREADS_H

#include "vault/vault.h"

typedef struct kf_vault_threads kf_vault_threads;

#define KF_VAULT_THREADS_MAX 64

/* The processors, at least 2. */
size_t kf_vault_threads_usual(void);
/* Starts count - 1 threads, which wait; the one that serves is the last of them. The vault outlives them. */
kf_code kf_vault_threads_new(kf_vault *vault, size_t count, kf_vault_threads **ret_threads,
                             kf_error *error) KF_MUST_USE;
/* As kf_vault_serve, once; all other threads have ended when it returns. */
kf_code kf_vault_threads_serve(kf_vault_threads *threads, int descriptor, kf_error *error) KF_MUST_USE;
/* Ends threads that still wait; frees, sets NULL. */
void kf_vault_threads_free(kf_vault_threads **threads);

#endif
