/* What the fronts of both kinds of unit have in common: how they are started, and how what the vault says
 * gets into the audit log. */
#ifndef KEYFILL_VAULT_FRONT_H
#define KEYFILL_VAULT_FRONT_H

#include <argp.h>
#include <jansson.h>

#include "audit/chain.h"
#include "vault/client.h"
#include "wire/tls_identity.h"

/* A front's options beside those of every daemon: --vault-descriptor N [--development], as the monitor gives
 * them. */
typedef struct kf_front_options {
    int vault_descriptor; /* negative: not given */
    bool development;
} kf_front_options;

#define KF_FRONT_OPTIONS_INIT                                                                                \
    {                                                                                                        \
        .vault_descriptor = -1                                                                               \
    }
/* For kf_daemon.options; its input is a kf_front_options. */
extern const struct argp kf_front_argp;

/* "officer:alice" */
void kf_front_actor(const kf_peer *caller, const char *request, kf_vault_actor *ret_actor);

/* Receipts that the database refused, until it takes them: none may be missing from the audit log. */
typedef struct kf_owed_receipts kf_owed_receipts;
kf_code kf_owed_receipts_new(kf_owed_receipts **ret_owed, kf_error *error) KF_MUST_USE;
/* NULL and pointers to NULL are fine; sets NULL. */
void kf_owed_receipts_free(kf_owed_receipts **owed);

/* How far the audit log was read, for the heads that the vault signs. */
typedef struct kf_front_log kf_front_log;

/* The vault, and where its receipts are kept. */
typedef struct kf_front {
    kf_vault_client *vault;
    kf_database *database;   /* with the tables of kf_audit_migrations and kf_key_peers_migrations */
    uint64_t (*clock)(void); /* milliseconds since 1970 */
    kf_owed_receipts *owed;  /* NULL: receipts that the database refuses are lost */
    kf_front_log *log;       /* made by kf_front_resume; kf_front_log_free */
    /* Adds to each payment key of a JSON array how many cards have keys of it; NULL: the unit has no cards.
     */
    kf_code (*count_cards)(kf_database *database, json_t *keys, kf_error *error);
} kf_front;

/* Sets `front->vault`; KF_ERR_USAGE where no descriptor was given. */
kf_code kf_front_meet_vault(const kf_front_options *options, kf_front *front, kf_error *error) KF_MUST_USE;
/* Sets `front->database`, with every front's tables and the unit's `own`, and calls kf_front_resume. */
kf_code kf_front_open_records(kf_front *front, const char *url, const kf_migrations *own,
                              kf_error *error) KF_MUST_USE;
/* For GET /readyz: the database can be read and the vault is there. */
kf_code kf_front_check_ready(const kf_front *front, kf_error *error) KF_MUST_USE;
/* KF_ERR_HELD where the vault does no act because something was put back (audit_head.h). */
kf_code kf_front_check_held(const kf_front *front, kf_error *error) KF_MUST_USE;
/* The first thing a front does then: tells the vault how far the audit log reaches, so that the numbers go
 * on, and writes the receipts that the vault has and the log has not. Logs what the vault found to be put
 * back (audit_head.h). */
kf_code kf_front_resume(kf_front *front, kf_error *error) KF_MUST_USE;
/* NULL and pointers to NULL are fine; sets NULL. */
void kf_front_log_free(kf_front_log **log);
/* Appends an audit row for each receipt, inside the caller's transaction. `detail` may be NULL: then a
 * sentence is made of the receipt. */
kf_code kf_front_audit_receipts(kf_database *database, const kf_buffer *receipts, const char *detail,
                                kf_error *error) KF_MUST_USE;
/* Writes what is owed. Called before the vault is asked for an act: while the database refuses, nothing is
 * done that could not be audited. */
kf_code kf_front_settle(const kf_front *front, kf_error *error) KF_MUST_USE;
/* The same in a transaction of its own, for receipts of an act whose transaction was given up; where that
 * fails too, they are owed. */
kf_code kf_front_keep_receipts(const kf_front *front, const kf_buffer *receipts, const char *detail,
                               kf_error *error) KF_MUST_USE;
/* kf_vault_call, and its receipts made durable, also those of a refusal. */
kf_code kf_front_ask(const kf_front *front, kf_vault_kind kind, kf_view payload, kf_vault_answer *answer,
                     kf_error *error) KF_MUST_USE;

#endif
