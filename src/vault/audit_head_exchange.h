/* What units show each other with every poll and push: how far their audit logs reach and which revision
 * their key stores have, signed by their vaults. Who shows less than before has put something back.
 *
 * The member "audit" of a body: {"public_key", "head": {…}}; in the answer to a poll also "known": {"seq",
 * "hash"}, what was known of the asking unit before, and "finding", "" or why what it showed is older. */
#ifndef KEYFILL_VAULT_AUDIT_HEAD_EXCHANGE_H
#define KEYFILL_VAULT_AUDIT_HEAD_EXCHANGE_H

#include <jansson.h>

#include "vault/audit_head_front.h"

/* Adds the member "audit", with a head that is signed now. */
kf_code kf_audit_exchange_show(const kf_front *front, json_t *body, kf_error *error) KF_MUST_USE;
/* Reads the member "audit" of `body`, which may be missing, compares it with what is known of `unit`, and
 * keeps it. A finding that is new gets an audit row and a line in the log. `ret_before` (may be NULL): what
 * was known before, with the finding. KF_ERR_FIELD, KF_ERR_AUTHENTICATION. */
kf_code kf_audit_exchange_take(const kf_front *front, const char *unit, const json_t *body,
                               kf_audit_peer *ret_before, kf_error *error) KF_MUST_USE;
/* Adds "known" and "finding" to the member "audit" of `body`. */
kf_code kf_audit_exchange_tell(const kf_audit_peer *before, json_t *body) KF_MUST_USE;

/* What the base key management unit says of this unit. */
typedef struct kf_audit_verdict {
    bool given;
    char finding[KF_AUDIT_FINDING_MAX + 1]; /* "": key store and log are not older than it knows */
} kf_audit_verdict;

/* Reads what kf_audit_exchange_tell wrote, and compares "known" with this unit's own log. */
kf_code kf_audit_exchange_hear(const kf_front *front, const json_t *body, kf_audit_verdict *ret_verdict,
                               kf_error *error) KF_MUST_USE;

#endif
