/* The front of the base key management unit (10): which key management units there are, and what each has
 * acknowledged. It holds no key: its vault does. */
#ifndef KEYFILL_BKMU_BKMU_H
#define KEYFILL_BKMU_BKMU_H

#include <pthread.h>

#include "vault/key_exchange.h"

#define KF_KMUS_MAX 64
#define KF_KMU_URL_MAX 256 /* bytes */
#define KF_KMU_ERROR_MAX 512

/* How this unit reaches others. */
typedef struct kf_bkmu_identity {
    const char *ca;
    const char *certificate;
    const char *private_key;
} kf_bkmu_identity;

typedef struct kf_pusher kf_pusher;

typedef struct kf_bkmu {
    kf_front front;
    kf_bkmu_identity identity;
    kf_pusher *pusher;
} kf_bkmu;

/* The tables of this folder. */
extern const kf_migrations kf_bkmu_migrations;

/* A registered key management unit. */
typedef struct kf_kmu_row {
    char name[KF_CATEGORY_SIZE];
    char url[KF_KMU_URL_MAX + 1];
    char pair[KF_CATEGORY_SIZE]; /* whose transport key */
    bool enabled;
    uint64_t acknowledged; /* revision */
    uint64_t contact_ms;   /* last; 0: never */
    char last_error[KF_KMU_ERROR_MAX];
} kf_kmu_row;

typedef struct kf_kmu_rows {
    size_t count;
    kf_kmu_row items[KF_KMUS_MAX];
} kf_kmu_rows;

kf_code kf_kmus_list(kf_database *database, kf_kmu_rows *ret_rows, kf_error *error) KF_MUST_USE;
/* KF_ERR_NOT_FOUND. */
kf_code kf_kmus_find(kf_database *database, const char *name, kf_kmu_row *ret_row,
                     kf_error *error) KF_MUST_USE;
/* Adds or changes name, URL, pair, enabled; another pair begins at revision 0. */
kf_code kf_kmus_put(const kf_front *front, const char *actor, const kf_kmu_row *row,
                    kf_error *error) KF_MUST_USE;
/* After a contact: what it acknowledged, or why it failed (`last_error` NULL: it did not). */
kf_code kf_kmus_note(const kf_front *front, const char *name, uint64_t acknowledged, const char *last_error,
                     kf_error *error) KF_MUST_USE;

/* The newest revision that goes out over a pair: the highest of exportable keys made here. */
uint64_t kf_bkmu_head(const kf_key_list *list, const char *pair);
/* What is missing behind `after`, from the vault. `answer` owns the bytes that the messages view; `export` is
 * large: not for the stack of many frames. */
kf_code kf_bkmu_export(const kf_bkmu *bkmu, const kf_key_export_request *wanted, kf_vault_answer *answer,
                       kf_key_export_answer *ret_export, kf_error *error) KF_MUST_USE;

/* One thread a key management unit, which sends it everything that it lacks, as soon as there is something,
 * and again later where it does not answer. */
kf_code kf_pusher_new(kf_bkmu *bkmu, kf_pusher **ret_pusher, kf_error *error) KF_MUST_USE;
/* Waits for calls under way; frees, sets NULL. */
void kf_pusher_free(kf_pusher **pusher);
/* Starts threads for units that have none yet, and wakes all: something changed. */
kf_code kf_pusher_wake(kf_pusher *pusher, kf_error *error) KF_MUST_USE;

extern const kf_http_route kf_bkmu_routes[];
extern const size_t kf_bkmu_route_count;
/* For the server's options; the context is the kf_bkmu. KF_ERR_DISABLED for a key management unit that is. */
kf_code kf_bkmu_check_caller(void *context, const kf_peer *caller, kf_error *error);
void kf_bkmu_refused(void *context, const kf_http_request *request, const kf_error *refusal);

#endif
