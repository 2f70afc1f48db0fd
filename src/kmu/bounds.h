/* What hosts may ask for, and the terminals behind each: categories, ranges of numbers, how many requests a
 * day, or nothing at all. A host is who its certificate says; a terminal is whom that host names, so that a
 * terminal's bounds hold as far as its host is honest, and the host's always.
 *
 * Asked in the database each time: a change takes effect at the next request. */
#ifndef KEYFILL_KMU_BOUNDS_H
#define KEYFILL_KMU_BOUNDS_H

#include "kmu/kmu.h"
#include "vault/card_record.h"

#define KF_BOUNDS_CATEGORIES_MAX 64 /* of one host or terminal */
#define KF_BOUNDS_RANGES_MAX 64     /* of numbers */
#define KF_BOUNDS_DAILY_MAX 1000000000

/* For the server: refuses a host that is disabled (KF_ERR_DISABLED), or that is not registered where only
 * registered ones are heard (KF_ERR_FORBIDDEN). */
kf_code kf_bounds_check_caller(void *context, const kf_peer *caller, kf_error *error);

/* One host, or with `terminal` one behind it. */
typedef struct kf_bounds_caller {
    const char *host;     /* "host:NAME", as on its certificate */
    const char *terminal; /* "": none is named */
} kf_bounds_caller;

/* Whether host and terminal are heard, and may work on cards of that category and number ("": not known yet).
 * KF_ERR_DISABLED, KF_ERR_FORBIDDEN. */
kf_code kf_bounds_check(const kf_kmu *kmu, const kf_bounds_caller *caller, const char *category,
                        const char *number, kf_error *error) KF_MUST_USE;
/* The same for a card as it is recorded. */
kf_code kf_bounds_check_card(const kf_kmu *kmu, const kf_bounds_caller *caller, const kf_card_record *record,
                             kf_error *error) KF_MUST_USE;
/* Inside the transaction that begins a request: counts it for host and terminal. KF_ERR_QUOTA where the day's
 * are used up: then the transaction is to fail. Days end at midnight UTC. */
kf_code kf_bounds_count(kf_database *database, const kf_bounds_caller *caller, int64_t now_ms,
                        kf_error *error) KF_MUST_USE;
/* Until a used-up quota is new again. */
unsigned kf_bounds_seconds_left(int64_t now_ms);

/* Routes. */
kf_code kf_handle_host_list(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error);
/* /v1/hosts/{name} and /v1/hosts/{name}/terminals/{terminal} alike. */
kf_code kf_handle_host_put(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error);
kf_code kf_handle_host_patch(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error);
kf_code kf_handle_host_delete(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error);

#endif
