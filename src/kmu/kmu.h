/* The front of the key management unit (20): HTTP and TLS, records and audit rows. It holds no key: the vault
 * does (src/vault). */
#ifndef KEYFILL_KMU_KMU_H
#define KEYFILL_KMU_KMU_H

#include <pthread.h>

#include "audit/chain.h"
#include "store/database.h"
#include "vault/client.h"
#include "wire/http_client.h"
#include "wire/http_server.h"

#define KF_REQUEST_PATIENCE_MS                                                                               \
    (120 * 1000) /* without a message for so long, a request gives its card free                             \
                  */

typedef struct kf_categories kf_categories;

typedef struct kf_kmu {
    const char *name;
    kf_database *database;
    kf_vault_client *vault;
    kf_categories *categories;
    kf_http_client *bkmu;    /* NULL: this unit runs alone */
    uint64_t (*clock)(void); /* milliseconds since 1970 */
} kf_kmu;

/* "host:north-1", as receipts and audit rows have it. */
typedef struct kf_caller_text {
    char text[KF_ACTOR_SIZE];
} kf_caller_text;
kf_caller_text kf_caller_show(const kf_peer *caller);

/* Appends an audit row for each receipt of a vault answer; inside the caller's transaction. */
kf_code kf_kmu_audit_receipts(kf_kmu *kmu, const kf_buffer *receipts, const char *detail,
                              kf_error *error) KF_MUST_USE;
/* The same in a transaction of its own, for an act whose own transaction was given up: no receipt may be
 * missing. */
kf_code kf_kmu_keep_receipts(kf_kmu *kmu, const kf_buffer *receipts, const char *detail,
                             kf_error *error) KF_MUST_USE;
/* One audit row of the front's own words, in a transaction of its own. */
kf_code kf_kmu_audit(kf_kmu *kmu, const kf_audit_event *event, kf_error *error) KF_MUST_USE;

#endif
