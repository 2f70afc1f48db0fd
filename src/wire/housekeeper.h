/* A thread for what a unit does from time to time, beside its requests. */
#ifndef KEYFILL_WIRE_HOUSEKEEPER_H
#define KEYFILL_WIRE_HOUSEKEEPER_H

#include <keyfill/error.h>

typedef struct kf_housekeeper kf_housekeeper;

/* One round, which starts at once the first time. Returns how many seconds to wait until the next, or
 * KF_HOUSEKEEPER_DONE. */
typedef unsigned (*kf_housekeeper_round)(void *context);
#define KF_HOUSEKEEPER_DONE 0U

/* `context` outlives the housekeeper. */
kf_code kf_housekeeper_start(kf_housekeeper_round round, void *context, kf_housekeeper **ret_housekeeper,
                             kf_error *error) KF_MUST_USE;
/* The next round is due now; NULL is fine. In any thread. */
void kf_housekeeper_wake(kf_housekeeper *housekeeper);
/* Waits for the round that runs, frees, sets NULL. NULL and pointers to NULL are fine. Fits KF_CLEANUP. */
void kf_housekeeper_stop(kf_housekeeper **housekeeper);

#endif
