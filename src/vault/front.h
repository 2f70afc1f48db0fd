/* What the fronts of both kinds of unit have in common: how they are started, and how what the vault says
 * gets into the audit log. */
#ifndef KEYFILL_VAULT_FRONT_H
#define KEYFILL_VAULT_FRONT_H

#include "audit/chain.h"
#include "vault/client.h"
#include "wire/tls_identity.h"

/* PROGRAM --config FILE --vault-descriptor N [--development], as the monitor starts it. */
typedef struct kf_front_options {
    const char *config;
    int vault_descriptor;
    bool development;
} kf_front_options;

/* Exits with KF_EXIT_USAGE where they are wrong. `about` is one sentence for --help. */
void kf_front_parse(int argc, char **argv, const char *about, kf_front_options *ret_options);

/* Blocks SIGTERM and SIGINT in this thread and all that it makes from now on, ignores SIGPIPE: before any
 * other thread exists. */
kf_code kf_front_hold_signals(kf_error *error) KF_MUST_USE;
/* Waits for SIGTERM or SIGINT, or for the vault's end: then KF_ERR_VAULT. */
kf_code kf_front_wait(kf_vault_client *vault, kf_error *error) KF_MUST_USE;

/* "officer:alice" */
void kf_front_actor(const kf_peer *caller, const char *request, kf_vault_actor *ret_actor);

/* Receipts that the database refused, until it takes them: none may be missing from the audit log. */
typedef struct kf_owed_receipts kf_owed_receipts;
kf_code kf_owed_receipts_new(kf_owed_receipts **ret_owed, kf_error *error) KF_MUST_USE;
/* NULL and pointers to NULL are fine; sets NULL. */
void kf_owed_receipts_free(kf_owed_receipts **owed);

/* The vault, and where its receipts are kept. */
typedef struct kf_front {
    kf_vault_client *vault;
    kf_database *database;   /* with the tables of kf_audit_migrations and kf_key_peers_migrations */
    uint64_t (*clock)(void); /* milliseconds since 1970 */
    kf_owed_receipts *owed;  /* NULL: receipts that the database refuses are lost */
} kf_front;

/* The first thing a front does: hands the vault the newest receipt of the audit log, so that the numbers go
 * on. */
kf_code kf_front_resume(const kf_front *front, kf_error *error) KF_MUST_USE;
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
