/* The roster: who may act on base keys, profiles, modules and on the roster itself, and how many of them it
 * takes. The vault keeps it sealed with the keys (KF_SECTION_ROSTER); a front and an officer's program read
 * it to say in advance what the vault will say. A certificate makes nobody an officer: a key in the roster
 * does. */
#ifndef KEYFILL_VAULT_ROSTER_H
#define KEYFILL_VAULT_ROSTER_H

#include <keyfill/signature.h>

#include "vault/key_entry.h"

#define KF_OFFICER_NAME_SIZE KF_CATEGORY_SIZE /* 1 to 64 of a-z A-Z 0-9 - _ . and a zero */
#define KF_OFFICERS_MAX 32
#define KF_OFFICER_KEY_MAX 128 /* bytes of SubjectPublicKeyInfo (RFC 5480): 91 for a P-256 key */
#define KF_QUORUM_MIN 2        /* signatures, the proposer's among them: dual control */
#define KF_QUORUM_MAX 8
#define KF_ROSTER_TEXT_MAX ((size_t)16 * 1024) /* bytes of a founding file */

typedef struct kf_officer {
    char name[KF_OFFICER_NAME_SIZE];
    uint8_t key[KF_OFFICER_KEY_MAX];
    size_t key_size;
} kf_officer;

typedef struct kf_roster {
    uint64_t revision;     /* 1 for the founding one, one more with every change */
    uint8_t quorum_keys;   /* officers that an act on keys, profiles and modules takes */
    uint8_t quorum_roster; /* officers that a change of the roster takes */
    size_t count;
    kf_officer officers[KF_OFFICERS_MAX];
} kf_roster;

/* Officers enough for both quorums, no name and no key twice, quorums within their bounds: KF_ERR_FIELD. */
kf_code kf_roster_check(const kf_roster *roster, kf_error *error) KF_MUST_USE;
/* NULL where there is none of that name. */
const kf_officer *kf_roster_find(const kf_roster *roster, const char *name);

/* Canonical bytes, and back with every cap and kf_roster_check. */
void kf_roster_put(kf_buffer *bytes, const kf_roster *roster);
kf_code kf_roster_take(kf_cursor *bytes, kf_roster *ret_roster) KF_MUST_USE;

/* The founding file. Lines; `#` begins a comment:
 *
 *     quorum keys 2
 *     quorum roster 2
 *     officer alice MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE…
 *
 * The last word is the officer's public key, as `keyfill officer new` prints it: SubjectPublicKeyInfo in
 * base64url. Quorums may be left out: 2. KF_ERR_FIELD with the line's number. */
kf_code kf_roster_parse(kf_view text, kf_roster *ret_roster, kf_error *error) KF_MUST_USE;
/* Appends the line of one officer, without a line end. */
void kf_officer_line(const kf_officer *officer, kf_buffer *text);
/* Reads such a line (or what stands behind the word officer). */
kf_code kf_officer_parse(kf_view line, kf_officer *ret_officer, kf_error *error) KF_MUST_USE;

/* What people compare over the telephone: the first 8 bytes of the key's SHA-256, "1A2B 3C4D 5E6F 7081". */
typedef struct kf_officer_fingerprint {
    char text[20];
} kf_officer_fingerprint;
kf_officer_fingerprint kf_officer_fingerprint_of(const kf_officer *officer);

/* One change of the roster. */
typedef enum kf_roster_act {
    KF_ROSTER_ADD = 1,
    KF_ROSTER_REMOVE = 2,
    KF_ROSTER_REPLACE_KEY = 3,
    KF_ROSTER_QUORUM = 4,
} kf_roster_act;

typedef struct kf_roster_change {
    uint64_t base; /* revision of the roster that it changes */
    kf_roster_act act;
    kf_officer officer; /* add, replace: name and key; remove: name */
    uint8_t quorum_keys;
    uint8_t quorum_roster; /* quorum */
} kf_roster_change;

void kf_roster_change_put(kf_buffer *bytes, const kf_roster_change *change);
kf_code kf_roster_change_take(kf_cursor *bytes, kf_roster_change *ret_change) KF_MUST_USE;
/* KF_ERR_CONFLICT where the roster is not the one that is changed, the officer is there already or not;
 * KF_ERR_FIELD where what would come out is no roster (too few officers for a quorum). The roster is
 * untouched then. */
kf_code kf_roster_apply(kf_roster *roster, const kf_roster_change *change, kf_error *error) KF_MUST_USE;

#endif
