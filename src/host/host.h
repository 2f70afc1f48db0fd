/* The issuing host: what its parts share. It keeps terminals, numbers and orders, and relays requests to the
 * key management unit. No key of a card is ever in it. */
#ifndef KEYFILL_HOST_HOST_H
#define KEYFILL_HOST_HOST_H

#include <pthread.h>

#include "audit/chain.h"
#include "host/link.h"
#include "store/database.h"
#include "wire/names.h"
#include "wire/pki.h"

#define KF_NUMBER_MIN 3       /* digits */
#define KF_NUMBER_MAX 20      /* digits: E.164 allows 15; private plans take more */
#define KF_CATEGORY_MAX 64    /* bytes of a category's name */
#define KF_ORDER_NAME_MAX 64  /* bytes */
#define KF_MODULE_NAME_MAX 64 /* bytes */
#define KF_REQUEST_ID_SIZE 32 /* digits */
#define KF_REQUEST_KEY_SIZE (KF_PEER_NAME_MAX + 1 + KF_REQUEST_ID_SIZE + 1) /* with the zero */
#define KF_CARD_REFERENCE_SIZE 160 /* with the zero: "kdd:" and 64 bytes in hexadecimal at most */
#define KF_PERSONALISATION_MAX 32  /* fields */
#define KF_PERSONALISATION_NAME_MAX 32
#define KF_PERSONALISATION_VALUE_MAX 1024

typedef struct kf_host_settings {
    int64_t reservation_ms;           /* a number is kept for a request that says nothing for so long */
    int64_t retention_ms;             /* a finished request is kept for so long */
    int64_t enrolment_ms;             /* a one-time code is valid for so long */
    unsigned certificate_days;        /* of a terminal */
    bool numbers_from_issuing_server; /* where order and request do not say */
} kf_host_settings;

/* Requests that are being worked on, so that the same one sent twice is done one after the other. */
typedef struct kf_active_request {
    const char *key;
    struct kf_active_request *next;
} kf_active_request;

typedef struct kf_host {
    kf_database *database;
    kf_link kmu;
    kf_link issuing_server; /* `call` NULL: none */
    kf_pki_pair terminal_authority;
    kf_host_settings settings;
    int64_t (*now_ms)(void *clock_context);
    void *clock_context;
    pthread_mutex_t active_mutex;
    pthread_cond_t active_changed;
    kf_active_request *active;
} kf_host;

/* Makes the tables that are missing and the rest of `host`, whose public members are set. */
kf_code kf_host_start(kf_host *host, kf_error *error) KF_MUST_USE;
/* Ends what kf_host_start made, and clears the authority's key; database and links are the caller's. */
void kf_host_end(kf_host *host);

int64_t kf_host_now(const kf_host *host);

/* Adds an audit row in the caller's transaction. `actor` as "terminal:NAME". */
kf_code kf_host_audit(kf_host *host, const kf_audit_event *event, kf_error *error) KF_MUST_USE;
/* One row in a transaction of its own. */
kf_code kf_host_audit_alone(kf_host *host, const kf_audit_event *event, kf_error *error) KF_MUST_USE;

/* KF_ERR_NUMBER unless `number` is KF_NUMBER_MIN to KF_NUMBER_MAX digits. */
kf_code kf_number_check(const char *number, kf_error *error) KF_MUST_USE;
/* Checks the members "personalisation" (texts) and "personalise" of an order or a request. */
kf_code kf_personalisation_check(const json_t *object, kf_error *error) KF_MUST_USE;

#endif
