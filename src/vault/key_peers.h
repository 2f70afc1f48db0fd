/* What the other side has: which versions, in which state, with which check values, as it last said. For
 * officers to see; the vaults do not rely on it. */
#ifndef KEYFILL_VAULT_KEY_PEERS_H
#define KEYFILL_VAULT_KEY_PEERS_H

#include <jansson.h>

#include "store/migrations.h"
#include "vault/key_messages.h"

#define KF_KEY_HOLDS_MAX 4096 /* entries of one statement */

extern const kf_migrations kf_key_peers_migrations;

/* [{"purpose", "category", "version", "state", "kcv"}], and "cards" where the unit counts them
 * (kf_front.count_cards): the base keys of `list` that go between units. The
 * caller frees. */
kf_code kf_key_holds_make(const kf_key_list *list, json_t **ret_holds) KF_MUST_USE;
/* Replaces what is recorded of `peer` ("kmu:north-1"). KF_ERR_FIELD where `holds` is not of that form. */
kf_code kf_key_peers_record(kf_database *database, const char *peer, const json_t *holds, uint64_t now_ms,
                            kf_error *error) KF_MUST_USE;
/* Adds to each object of `keys` (purpose, category, version, kcv) a member "peers": [{"name", "state", "kcv",
 * "same", "seen"}], and "cards" where the other side said how many have keys of it. */
kf_code kf_key_peers_annotate(kf_database *database, json_t *keys, kf_error *error) KF_MUST_USE;

#endif
