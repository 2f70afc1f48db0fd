/* The base key store (21): entries with their policies, and the keys behind them, which nobody outside gets
 * to see: users ask for derivations. Where the key bytes are is the custody's affair (key_custody.h: this
 * process's memory; a token). Every change is durable before the function that makes it returns; a change
 * that cannot be made durable is undone. */
#ifndef KEYFILL_VAULT_KEY_STORE_H
#define KEYFILL_VAULT_KEY_STORE_H

#include "crypto/seal.h"
#include "vault/key_entry.h"

struct kf_derivation_cap; /* derivation_cap.h */

typedef struct kf_key_store kf_key_store;

#define KF_KEY_STORE_ENTRIES_MAX 4096

/* Where the sealed state is kept: two files, opened before the sandbox closes and held. */
typedef struct kf_key_slots {
    int descriptors[2];
} kf_key_slots;

/* Opens, or makes (mode 0600), DIRECTORY/keys.a and keys.b and locks them against a second vault.
 * KF_ERR_KEY_STORE with the reason where the folder or a file may be read or written by anyone but this
 * process's user. */
kf_code kf_key_slots_open(const char *directory, kf_key_slots *ret_slots, kf_error *error) KF_MUST_USE;
void kf_key_slots_close(kf_key_slots *slots);

/* Reads the newest whole state under the passphrase, or, where both slots are empty, makes a new one with
 * box, record, receipt and group key and writes it. Takes ownership of the slots' descriptors in success.
 * KF_ERR_KEY_STORE: wrong passphrase or damaged beyond the second copy. */
kf_code kf_key_store_open(kf_key_slots *slots, const kf_secret *passphrase, kf_passphrase_cost cost_of_new,
                          kf_key_store **ret_store, kf_error *error) KF_MUST_USE;
/* The same with base keys in a custody that outlives the store. KF_ERR_KEY_STORE where the state was written
 * with another one. */
typedef struct kf_key_store_terms {
    const kf_secret *passphrase;
    kf_passphrase_cost cost_of_new;
    const struct kf_key_custody *custody; /* NULL: this process's memory */
} kf_key_store_terms;
kf_code kf_key_store_open_with(kf_key_slots *slots, const kf_key_store_terms *terms, kf_key_store **ret_store,
                               kf_error *error) KF_MUST_USE;
void kf_key_store_free(kf_key_store **store);

/* The store's revision: rises by one with every change. */
uint64_t kf_key_store_revision(const kf_key_store *store);
size_t kf_key_store_count(const kf_key_store *store);
/* In the order of purpose, category, version. Valid until the next change. */
const kf_key_entry *kf_key_store_at(const kf_key_store *store, size_t index);
/* Version `version`, in whatever state; with version 0 the one in force at `now_seconds`: the highest that is
 * active and within its validity. NULL if there is none. Valid until the next change. */
const kf_key_entry *kf_key_store_find(const kf_key_store *store, kf_key_purpose purpose, const char *category,
                                      uint32_t version, uint64_t now_seconds);
/* The highest version there is, 0 if none. */
uint32_t kf_key_store_latest(const kf_key_store *store, kf_key_purpose purpose, const char *category);

/* A card's key from the base key of `entry` (one that find or at gave). KF_ERR_KEY_POLICY where the entry is
 * pre-active, suspended or destroyed, or its purpose makes no card keys; KF_ERR_DIVERSIFICATION as in
 * diversify.h. */
kf_code kf_key_store_derive(kf_key_store *store, const kf_key_entry *entry, kf_fields fields,
                            kf_key_role role, kf_secret **ret_key, kf_error *error) KF_MUST_USE;
/* The same for a secure channel's three keys, in one go: ENC, MAC, DEK. */
kf_code kf_key_store_derive_set(kf_key_store *store, const kf_key_entry *entry, kf_fields fields,
                                kf_secret *ret_keys[3], kf_error *error) KF_MUST_USE;
/* From now on derivations are counted: KF_ERR_RATE where a minute's are used up. Takes `cap` over. */
void kf_key_store_cap_derivations(kf_key_store *store, struct kf_derivation_cap *cap);
/* KF_ERR_RATE where a card has to wait, one that was not begun on sooner (kf_derivation_cap_check_room). */
kf_code kf_key_store_check_room(const kf_key_store *store, bool begun, kf_error *error) KF_MUST_USE;
/* Whether a derivation failed for a reason that says nothing about key or card: a token that does not answer,
 * a minute that is full. */
bool kf_derivation_fault_passes(kf_code code);
/* The parsed template of `entry`, owned by the store; NULL for transport and group keys. */
const kf_diversification *kf_key_store_diversification(const kf_key_store *store, const kf_key_entry *entry);

/* The vault's own keys; all owned by the store. Group keys seal the tokens: version 0 is the newest that is
 * active; NULL if there is no such version, or where it is suspended or destroyed. One that is pre-active
 * here opens what another unit of the group, where it is active already, has sealed. */
const kf_secret *kf_key_store_group_key(const kf_key_store *store, uint32_t version, uint32_t *ret_version);
const kf_secret *kf_key_store_record_key(const kf_key_store *store);  /* AES, 32 bytes */
const kf_secret *kf_key_store_receipt_key(const kf_key_store *store); /* AES, 32 bytes */
const kf_secret *
kf_key_store_audit_seed(const kf_key_store *store); /* Ed25519, 32 bytes: signs audit heads */
const kf_secret *kf_key_store_box_private(const kf_key_store *store);
const uint8_t *kf_key_store_box_public(const kf_key_store *store); /* KF_BOX_PUBLIC_SIZE bytes */

/* What else is sealed with the keys, so that nobody without the passphrase can change it: a blob each, whose
 * form is its owner's affair. Never a secret. */
typedef enum kf_key_section {
    KF_SECTION_ROSTER = 0,    /* officers and quorum */
    KF_SECTION_PROPOSALS = 1, /* proposals that were acted on and have not expired */
    KF_SECTION_PERMITTED = 2, /* digests of profiles and modules that officers approved */
    KF_SECTION_CUSTODY = 3,   /* what finds a token's keys again */
    KF_SECTIONS = 4,
} kf_key_section;
#define KF_KEY_SECTION_MAX ((size_t)128 * 1024) /* bytes */

/* Empty where nothing was written. Valid until the next change. */
kf_view kf_key_store_section(const kf_key_store *store, kf_key_section section);
/* Durable when it returns KF_OK; raises the revision. KF_ERR_TOO_LONG. */
kf_code kf_key_store_write_section(kf_key_store *store, kf_key_section section, kf_view bytes,
                                   kf_error *error) KF_MUST_USE;

/* Adds a key. `entry` gives category, purpose, algorithm, size, state, validity, policy, and version (0: the
 * next); created, KCV and revision are filled in. `key` NULL: it is generated where it is kept. Refused:
 * KF_ERR_FIELD for a wrong name, KF_ERR_KEY_SIZE, KF_ERR_DIVERSIFICATION for a template that does not parse,
 * KF_ERR_KEY_POLICY for a payment template without generation, KF_ERR_CONFLICT where the version exists,
 * KF_ERR_KEY_STORE when full. */
kf_code kf_key_store_add(kf_key_store *store, const kf_key_entry *entry, const kf_secret *key,
                         uint64_t now_seconds, const kf_key_entry **ret_entry, kf_error *error) KF_MUST_USE;
/* Moves a key to another state. KF_ERR_STATE where SP 800-57 has no such transition; destroying wipes the
 * key. */
kf_code kf_key_store_set_state(kf_key_store *store, const kf_key_entry *entry, kf_key_state state,
                               const kf_key_entry **ret_entry, kf_error *error) KF_MUST_USE;
/* The checks of kf_key_store_add on the template and sizes alone. */
kf_code kf_key_policy_check(const kf_key_entry *entry, kf_error *error) KF_MUST_USE;

/* Key blocks (key_transfer.c): the last revision accepted from, and the wrapping for, the other unit. */
uint64_t kf_key_store_peer_revision(const kf_key_store *store, const char *peer);
/* All of them; owned by the store. */
const kf_key_peer *kf_key_store_peers(const kf_key_store *store, size_t *ret_count);
/* A key as it arrived: its bytes, or wrapped for this unit's token under a transport key; neither for a
 * destroyed one. */
typedef struct kf_arriving_key {
    const kf_secret *key;
    const kf_key_entry *transport;
    kf_view wrapped;
} kf_arriving_key;
/* What arrived over a pair of units: entry as stated and authenticated there (its revision is the peer's).
 * Adds or replaces, and remembers the revision. KF_ERR_CHECK_VALUE where the key is another than stated. */
kf_code kf_key_store_accept(kf_key_store *store, const kf_key_entry *entry, const kf_arriving_key *source,
                            const kf_key_entry **ret_entry, kf_error *error) KF_MUST_USE;

/* Whether base keys are in a token. */
bool kf_key_store_has_token(const kf_key_store *store);
/* Under the transport key of a pair of units (key_custody.h). With a token: wrapped by it; its MAC over an
 * envelope. */
kf_code kf_key_store_wrap(const kf_key_store *store, const kf_key_entry *transport, const kf_key_entry *entry,
                          kf_buffer *wrapped, kf_error *error) KF_MUST_USE;
kf_code kf_key_store_authenticate(const kf_key_store *store, const kf_key_entry *transport, kf_view message,
                                  uint8_t *ret_mac, kf_error *error) KF_MUST_USE;
/* The bytes of a base key for a key block under `transport`. */
kf_code kf_key_store_translate(const kf_key_store *store, const kf_key_entry *transport,
                               const kf_key_entry *entry, kf_secret **ret_key, kf_error *error) KF_MUST_USE;
/* The bytes of a key, only for a key block or a backup inside this process. KF_ERR_KEY_POLICY where it is
 * destroyed; KF_ERR_UNSUPPORTED where the custody does not give keys out. */
kf_code kf_key_store_expose_key(const kf_key_store *store, const kf_key_entry *entry, kf_secret **ret_key,
                                kf_error *error) KF_MUST_USE;

/* Everything, for a backup under another passphrase; and the reverse, onto a store that has no base keys
 * (else KF_ERR_CONFLICT). */
kf_code kf_key_store_backup(const kf_key_store *store, const kf_secret *passphrase, kf_passphrase_cost cost,
                            kf_buffer *sealed, kf_error *error) KF_MUST_USE;
kf_code kf_key_store_restore(kf_key_store *store, const kf_secret *passphrase, kf_view sealed,
                             kf_error *error) KF_MUST_USE;

#endif
