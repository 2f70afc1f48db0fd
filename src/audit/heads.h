/* Signed heads that a unit keeps: its own, and those that other units show it. The newest of another unit is
 * what it must not fall behind: who comes with an older one has put back an old key store or log. The tables
 * are among kf_audit_migrations (chain.h). */
#ifndef KEYFILL_AUDIT_HEADS_H
#define KEYFILL_AUDIT_HEADS_H

#include "audit/signed_head.h"
#include "store/database.h"

#define KF_AUDIT_OWN ""          /* the unit whose heads are this one's own */
#define KF_AUDIT_UNIT_MAX 96     /* bytes of "kmu:main" */
#define KF_AUDIT_FINDING_MAX 400 /* bytes */

/* Keeps a head of `unit`, inside the caller's transaction or outside. One that says the same as
 * the newest, but for the time, is not kept. */
kf_code kf_audit_heads_keep(kf_database *database, const char *unit, const kf_signed_head *head,
                            kf_error *error) KF_MUST_USE;
/* The newest of `unit`; `*ret_found` false where none is kept. */
kf_code kf_audit_heads_newest(kf_database *database, const char *unit, bool *ret_found,
                              kf_signed_head *ret_head, kf_error *error) KF_MUST_USE;

/* This unit's own heads become those of `unit`: another key signs from now on. Inside the caller's
 * transaction. */
kf_code kf_audit_heads_set_aside(kf_database *database, const char *unit, kf_error *error) KF_MUST_USE;

/* Heads of `unit` that came behind number `after` of this table, oldest first. */
typedef struct kf_kept_head {
    int64_t number; /* 1, 2, 3 …, over all units */
    kf_signed_head head;
} kf_kept_head;
typedef struct kf_heads_range {
    const char *unit;
    int64_t after;
    size_t limit;
} kf_heads_range;
kf_code kf_audit_heads_list(kf_database *database, const kf_heads_range *range, kf_kept_head *ret_heads,
                            size_t *ret_count, kf_error *error) KF_MUST_USE;

/* What is known of another unit. */
typedef struct kf_audit_peer {
    bool found;
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE]; /* the first that it showed, or that was accepted */
    kf_signed_head newest;                      /* what it must not fall behind */
    int64_t seen_ms;                            /* when it last showed one that did not */
    char finding[KF_AUDIT_FINDING_MAX + 1];     /* what is wrong with what it showed last; "" */
} kf_audit_peer;

kf_code kf_audit_peer_find(kf_database *database, const char *unit, kf_audit_peer *ret_peer,
                           kf_error *error) KF_MUST_USE;
typedef struct kf_audit_peer_row {
    const char *unit;
    kf_audit_peer peer;
} kf_audit_peer_row;
typedef kf_code (*kf_audit_take_peer)(const kf_audit_peer_row *row, void *context);
/* All of them, by name; `take` does not use the database. */
kf_code kf_audit_peers_list(kf_database *database, kf_audit_take_peer take, void *context,
                            kf_error *error) KF_MUST_USE;
/* Whatever `unit` shows next is believed again, and becomes what later ones are compared with; heads that
 * were kept stay. Inside the caller's transaction. */
kf_code kf_audit_peer_forget(kf_database *database, const char *unit, kf_error *error) KF_MUST_USE;

/* What another unit shows. */
typedef struct kf_shown_head {
    const char *unit;
    const kf_signed_head *head;
    const uint8_t *public_key; /* KF_ED25519_PUBLIC_SIZE bytes */
    int64_t now_ms;
} kf_shown_head;

/* Compares it with what is known. `ret_peer` is what was known before, but for `finding`: why what is shown
 * is older or another, "" where all is well; only then it is kept and becomes what is known. `*ret_new`:
 * whether the finding is another than the last time. KF_ERR_AUTHENTICATION where it is not signed by the key
 * that comes with it: nothing is noted. Inside the caller's transaction. */
kf_code kf_audit_peer_show(kf_database *database, const kf_shown_head *shown, kf_audit_peer *ret_peer,
                           bool *ret_new, kf_error *error) KF_MUST_USE;

#endif
