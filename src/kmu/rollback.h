/* Whether this unit may work: not where its key store or audit log is older than the base key management unit
 * knows, than its own vault noted, or where that unit was not reached for too long. Then it serves `keyfill
 * key pull` and the audit log alone. */
#ifndef KEYFILL_KMU_ROLLBACK_H
#define KEYFILL_KMU_ROLLBACK_H

#include "kmu/kmu.h"

/* `grace_seconds`: how long the unit works without having reached its base key management unit. */
kf_code kf_rollback_new(uint32_t grace_seconds, kf_rollback **ret_rollback, kf_error *error) KF_MUST_USE;
/* NULL and pointers to NULL are fine; sets NULL. */
void kf_rollback_free(kf_rollback **rollback);

/* What the base key management unit said. */
kf_code kf_rollback_hear(kf_kmu *kmu, const kf_audit_verdict *verdict, kf_error *error) KF_MUST_USE;
/* It was not reached: looks how long ago it was. */
kf_code kf_rollback_missed(kf_kmu *kmu, kf_error *error) KF_MUST_USE;
/* KF_ERR_HELD with the reason. What the vault found, it refuses itself. */
kf_code kf_rollback_check(const kf_kmu *kmu, kf_error *error) KF_MUST_USE;
/* For the server's options: whether this request is one that is served in any case. */
kf_code kf_rollback_admit(void *context, const kf_http_request *request, kf_error *error) KF_MUST_USE;

#endif
