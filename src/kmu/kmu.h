/* The front of the key management unit (20): HTTP and TLS, records and audit rows. It holds no key: the vault
 * does (src/vault). */
#ifndef KEYFILL_KMU_KMU_H
#define KEYFILL_KMU_KMU_H

#include "vault/front.h"
#include "vault/key_exchange.h"
#include "wire/http_client.h"
#include "wire/http_server.h"

#define KF_REQUEST_PATIENCE_MS                                                                               \
    (120 * 1000) /* without a message for so long, a request gives its card free                             \
                  */

typedef struct kf_categories kf_categories;

typedef struct kf_kmu {
    kf_front front; /* vault, database, clock */
    kf_categories *categories;
    kf_key_source bkmu; /* client NULL: this unit runs alone */
    bool development;
} kf_kmu;

/* "host:north-1", as receipts and audit rows have it. */
typedef struct kf_caller_text {
    char text[KF_ACTOR_SIZE];
} kf_caller_text;
kf_caller_text kf_caller_show(const kf_peer *caller);

/* Now, as tables have it. */
int64_t kf_kmu_now(const kf_kmu *kmu);

/* The receipts of an act whose own transaction was given up, in one of their own: none may be missing. */
kf_code kf_kmu_keep_receipts(kf_kmu *kmu, const kf_buffer *receipts, const char *detail,
                             kf_error *error) KF_MUST_USE;
/* One audit row of the front's own words, in a transaction of its own. */
kf_code kf_kmu_audit(kf_kmu *kmu, const kf_audit_event *event, kf_error *error) KF_MUST_USE;

/* The routes of docs/messages.md. */
extern const kf_http_route kf_kmu_routes[];
extern const size_t kf_kmu_route_count;

/* The table of base keys is a copy of what the vault says; made anew at start and after each change. */
kf_code kf_kmu_mirror_keys(kf_kmu *kmu, kf_error *error) KF_MUST_USE;
/* Asks the base key management unit for what is missing, and mirrors. `who` asked. */
kf_code kf_kmu_pull(kf_kmu *kmu, const char *who, size_t *ret_count, kf_error *error) KF_MUST_USE;

#endif
