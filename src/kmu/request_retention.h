/* How long finished requests stay: with them goes what each of their messages was answered, so the same
 * message again is then a message of a request that is not known. One that is not finished stays. */
#ifndef KEYFILL_KMU_REQUEST_RETENTION_H
#define KEYFILL_KMU_REQUEST_RETENTION_H

#include "kmu/kmu.h"

#define KF_REQUESTS_PRUNE_SECONDS 3600 /* between two looks */
#define KF_REQUESTS_PRUNE_BATCH 64     /* requests in one transaction: those of cards wait only so long */

/* Removes what ended before `before_ms`; `*ret_count` requests went. */
kf_code kf_requests_prune(kf_database *database, int64_t before_ms, uint64_t *ret_count,
                          kf_error *error) KF_MUST_USE;
/* Removes what ended more than `days` ago, and logs how much it was or why it was not possible. */
void kf_requests_prune_and_log(kf_kmu *kmu, unsigned days);

#endif
