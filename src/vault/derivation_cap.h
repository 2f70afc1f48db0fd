/* How many card keys a vault derives in a minute: a front that was taken over cannot have the keys of a whole
 * range of numbers computed faster than this, and who reads the audit log sees it while it lasts. */
#ifndef KEYFILL_VAULT_DERIVATION_CAP_H
#define KEYFILL_VAULT_DERIVATION_CAP_H

#include <stdbool.h>
#include <stdint.h>

#include <keyfill/error.h>

#define KF_DERIVATIONS_STANDARD 120000U /* a minute: some 200 fills a second */
#define KF_DERIVATIONS_MIN 60U          /* one fill takes up to a dozen */
#define KF_DERIVATIONS_MAX 100000000U
#define KF_DERIVATIONS_A_STEP 12U /* of a procedure, unless its profile derives many values */

typedef struct kf_derivation_cap kf_derivation_cap;

/* `per_minute` derivations in any 60 seconds. `clock` gives seconds that never run backwards; NULL: those of
 * the machine since it started. A new one behaves as if its minute had been used up evenly: a vault that ends
 * and is started again, as a front can bring about, has won nothing. May be used by many threads. */
kf_code kf_derivation_cap_new(uint32_t per_minute, uint64_t (*clock)(void), kf_derivation_cap **ret_cap,
                              kf_error *error) KF_MUST_USE;
/* NULL and pointers to NULL are fine. Fits KF_CLEANUP. */
void kf_derivation_cap_free(kf_derivation_cap **cap);

/* Counts one; KF_ERR_RATE with how long to wait where the minute is full. */
kf_code kf_derivation_cap_take(kf_derivation_cap *cap, kf_error *error) KF_MUST_USE;
/* KF_ERR_RATE where fewer are left than one step of a procedure takes, so that steps that are tried again do
 * not use up, each time, what the next would need. Cards that are not `begun` on leave the last tenth to
 * those that are. Counts nothing. */
kf_code kf_derivation_cap_check_room(kf_derivation_cap *cap, bool begun, kf_error *error) KF_MUST_USE;

#endif
