/* The audit log: rows that are only ever appended, each holding the hash of the one before, so that a row
 * that was changed, inserted, removed or moved is found. The newest row is also noted in a table of its own,
 * so that rows cut off at the end are found too; what replaces log and note together is found by whoever
 * keeps an older head (kf_audit_hash_at). */
#ifndef KEYFILL_AUDIT_CHAIN_H
#define KEYFILL_AUDIT_CHAIN_H

#include "crypto/digest.h"
#include "store/migrations.h"

#define KF_AUDIT_NAME_MAX 256     /* bytes of actor, action, subject, outcome */
#define KF_AUDIT_DETAIL_MAX 4096  /* bytes */
#define KF_AUDIT_RECEIPT_MAX 4096 /* bytes */
#define KF_AUDIT_LIST_MAX 1000    /* rows of one listing */

/* Tables `audit` and `audit_head`, and those of signed heads (heads.h). A unit that keeps an audit log runs
 * kf_database_migrate(database, &kf_audit_migrations, error) beside its own. */
extern const kf_migrations kf_audit_migrations;

/* What happened. Texts are UTF-8, NULL stands for "". */
typedef struct kf_audit_event {
    int64_t time_ms;     /* since 1970 */
    const char *actor;   /* role and name: "host:north-1" */
    const char *action;  /* "request.fill", "key.create", "route.forbidden" */
    const char *subject; /* what it was done to: a card, a key, a route */
    const char *outcome; /* "ok", or a code's name: "KF_ERR_STATE" */
    const char *detail;  /* the sentence for a person; never a secret */
    kf_view receipt;     /* the vault's, or empty */
} kf_audit_event;

/* A row as recorded. */
typedef struct kf_audit_row {
    int64_t seq; /* 1, 2, 3 … */
    kf_audit_event event;
    uint8_t previous[KF_DIGEST_SIZE]; /* zeros in row 1 */
    uint8_t hash[KF_DIGEST_SIZE];
} kf_audit_row;

/* SHA-256 over "keyfill-audit-1", seq and time (8 bytes each), the five texts and the receipt (each with its
 * length in 4 bytes before it), and the previous hash; numbers big-endian. */
kf_code kf_audit_row_hash(const kf_audit_row *row, uint8_t ret_hash[KF_DIGEST_SIZE]) KF_MUST_USE;

/* Appends inside the caller's transaction (KF_ERR_ARGUMENT without one): the row is durable when that is.
 * KF_ERR_TOO_LONG past the sizes above, nothing appended; a detail may be longer and is cut. `ret_seq` may be
 * NULL. */
kf_code kf_audit_append(kf_database *database, const kf_audit_event *event, int64_t *ret_seq,
                        kf_error *error) KF_MUST_USE;

typedef struct kf_audit_head {
    int64_t seq; /* 0: no row */
    uint8_t hash[KF_DIGEST_SIZE];
} kf_audit_head;

typedef struct kf_audit_report {
    bool intact;
    int64_t rows;       /* read until the end or the first bad one */
    int64_t first_bad;  /* seq of the first row that is wrong or missing; 0 where intact */
    char why[160];      /* a sentence; "" where intact */
    kf_audit_head head; /* of the rows that verify */
} kf_audit_report;

/* Reads the whole chain. KF_OK also for a broken one: the report says so. */
kf_code kf_audit_verify(kf_database *database, kf_audit_report *ret_report, kf_error *error) KF_MUST_USE;
/* The newest row as noted. */
kf_code kf_audit_read_head(kf_database *database, kf_audit_head *ret_head, kf_error *error) KF_MUST_USE;
/* The recorded hash of row `seq`, to be compared with a head seen earlier. KF_ERR_NOT_FOUND. */
kf_code kf_audit_hash_at(kf_database *database, int64_t seq, uint8_t ret_hash[KF_DIGEST_SIZE],
                         kf_error *error) KF_MUST_USE;

/* Gives rows with seq > `after` in order, at most `limit` (1 to KF_AUDIT_LIST_MAX), to `take`; what it gives
 * other than KF_OK ends the listing. The row's texts are valid during the call; `take` does not use the
 * database. */
typedef kf_code (*kf_audit_take)(const kf_audit_row *row, void *context);
typedef struct kf_audit_range {
    int64_t after;
    int64_t limit;
} kf_audit_range;
kf_code kf_audit_list(kf_database *database, kf_audit_range range, kf_audit_take take, void *context,
                      kf_error *error) KF_MUST_USE;

#endif
