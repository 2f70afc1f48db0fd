/* The front of the key management unit (20): HTTP and TLS, records and audit rows. It holds no key: the vault
 * does (src/vault). */
#ifndef KEYFILL_KMU_KMU_H
#define KEYFILL_KMU_KMU_H

#include <pthread.h>

#include "vault/front.h"
#include "vault/key_exchange.h"
#include "wire/http_client.h"
#include "wire/http_server.h"

/* Without a message for so long, a request gives its card free. */
#define KF_REQUEST_PATIENCE_MS (120 * 1000)

typedef struct kf_categories kf_categories;
typedef struct kf_rollback kf_rollback;

typedef struct kf_kmu {
    kf_front front; /* vault, database, clock */
    kf_categories *categories;
    kf_key_source bkmu; /* client NULL: this unit runs alone */
    bool development;
    bool hosts_open;        /* hosts that are not registered (bounds.h) are heard too */
    kf_rollback *rollback;  /* rollback.h; NULL: nothing holds this unit back */
    pthread_mutex_t mirror; /* held while the table of base keys is made anew */
} kf_kmu;

/* Makes what the zeroes of a designated initialiser do not: front.owed and the lock. */
kf_code kf_kmu_init(kf_kmu *kmu, kf_error *error) KF_MUST_USE;
/* Ends what kf_kmu_init made; the rest is the caller's. */
void kf_kmu_end(kf_kmu *kmu);

/* "host:north-1", as receipts and audit rows have it. */
typedef struct kf_caller_text {
    char text[KF_ACTOR_SIZE];
} kf_caller_text;
kf_caller_text kf_caller_show(const kf_peer *caller);

/* Now, as tables have it. */
int64_t kf_kmu_now(const kf_kmu *kmu);

/* Appends an audit row of the front's own words inside the caller's transaction; the time is now. */
kf_code kf_kmu_append_audit(kf_kmu *kmu, kf_database *database, const kf_audit_event *event,
                            kf_error *error) KF_MUST_USE;
/* The same in a transaction of its own. */
kf_code kf_kmu_audit(kf_kmu *kmu, const kf_audit_event *event, kf_error *error) KF_MUST_USE;

/* The routes of docs/messages.md. */
extern const kf_http_route kf_kmu_routes[];
extern const size_t kf_kmu_route_count;

/* The table of base keys is a copy of what the vault says; made anew at start and after each change. */
kf_code kf_kmu_mirror_keys(kf_kmu *kmu, kf_error *error) KF_MUST_USE;
/* Asks the base key management unit for what is missing, and mirrors. `who` asked. */
kf_code kf_kmu_pull(kf_kmu *kmu, const char *who, size_t *ret_count, kf_error *error) KF_MUST_USE;

#endif
