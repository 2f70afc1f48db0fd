/* What the host notes of a request: `new` until its number is found, then `open`; `done`, `failed` or
 * `expired` at the end; `failing` while it is not settled whether the number of a failed one is on the card.
 */
#ifndef KEYFILL_HOST_REQUEST_RECORD_H
#define KEYFILL_HOST_REQUEST_RECORD_H

#include "host/host.h"

typedef enum kf_request_state {
    KF_REQUEST_NEW,
    KF_REQUEST_OPEN,
    KF_REQUEST_FAILING,
    KF_REQUEST_FAILED,
    KF_REQUEST_EXPIRED,
    KF_REQUEST_DONE,
} kf_request_state;

typedef struct kf_request_record {
    char key[KF_REQUEST_KEY_SIZE];
    kf_request_state state;
    uint8_t digest[KF_DIGEST_SIZE];
    char operation[16];
    char number[KF_NUMBER_MAX + 1]; /* "" where it has none */
    char card_reference[KF_CARD_REFERENCE_SIZE];
    bool asked_issuing_server;
    int64_t expires_ms;
    json_t *card;
    json_t *added;  /* NULL while new */
    kf_error error; /* of a failed one */
} kf_request_record;

const char *kf_request_state_name(kf_request_state state);
/* TERMINAL/ID. */
void kf_request_key(const char *terminal, const char *id, char ret_key[KF_REQUEST_KEY_SIZE]);

/* KF_ERR_NOT_FOUND. The caller clears the record. */
kf_code kf_request_record_read(kf_database *database, const char *key, kf_request_record *ret_record,
                               kf_error *error) KF_MUST_USE;
/* A new one; the rest inside the caller's transaction. */
kf_code kf_request_record_insert(kf_database *database, const kf_request_record *record,
                                 kf_error *error) KF_MUST_USE;
/* Writes state, number, additions, error and expiry. */
kf_code kf_request_record_update(kf_database *database, const kf_request_record *record,
                                 kf_error *error) KF_MUST_USE;
/* Frees what it holds. Fits KF_CLEANUP. */
void kf_request_record_clear(kf_request_record *record);

/* Keys of requests to be settled at `now_ms`: those that are `failing`, and new or open ones that have
 * expired. Behind `after` ("" at first), one at a time; KF_ERR_NOT_FOUND after the last. */
kf_code kf_request_record_next_due(kf_database *database, int64_t now_ms, const char *after,
                                   char ret_key[KF_REQUEST_KEY_SIZE], kf_error *error) KF_MUST_USE;

/* One request is worked on by one thread: enters when no other is in it. `active` is the caller's and lives
 * until the leaving. */
void kf_request_enter(kf_host *host, const char *key, kf_active_request *active);
void kf_request_leave(kf_host *host, kf_active_request *active);

#endif
