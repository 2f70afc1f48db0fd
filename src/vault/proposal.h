/* Proposals: an act in canonical bytes, which officers sign with keys of their own and the vault verifies
 * against its roster. A front that was taken over can neither make one nor change one, nor have one done
 * twice.
 *
 * Bytes: "keyfill-proposal-1", 32 bytes vault (SHA-256 of its box public key), 16 bytes id, u64 created and
 * u64 expires (seconds since 1970), text proposer, u8 kind, blob payload; nothing behind. Text and blob as in
 * protocol.h. A signature is ECDSA with P-256 and SHA-256 over exactly these bytes, r and s of 32 bytes each.
 */
#ifndef KEYFILL_VAULT_PROPOSAL_H
#define KEYFILL_VAULT_PROPOSAL_H

#include "crypto/digest.h"
#include "vault/audit_head.h"
#include "vault/key_messages.h"
#include "vault/roster.h"

#define KF_PROPOSAL_ID_SIZE 16                                 /* bytes, random */
#define KF_PROPOSAL_ID_TEXT_SIZE (2 * KF_PROPOSAL_ID_SIZE + 1) /* hexadecimal, with its zero */
#define KF_VAULT_IDENTITY_SIZE KF_DIGEST_SIZE
#define KF_PROPOSAL_SIZE_MAX ((size_t)8192)                /* bytes of a proposal */
#define KF_PROPOSAL_LIFE_DEFAULT ((uint64_t)3 * 24 * 3600) /* seconds */
#define KF_PROPOSAL_LIFE_MAX ((uint64_t)31 * 24 * 3600)    /* seconds from created to expires */
#define KF_PROPOSAL_CLOCK_SKEW ((uint64_t)300)             /* seconds by which `created` may lie ahead */
#define KF_PROPOSAL_SIGNATURES_MAX KF_QUORUM_MAX
#define KF_OFFICER_SIGNATURE_SIZE 64 /* bytes */

typedef enum kf_proposal_kind {
    KF_PROPOSAL_KEY_ACT = 1,    /* kf_key_act_request, its actor empty */
    KF_PROPOSAL_ROSTER = 2,     /* kf_roster_change */
    KF_PROPOSAL_PERMIT = 3,     /* kf_permit */
    KF_PROPOSAL_BACKUP = 4,     /* sealed passphrase */
    KF_PROPOSAL_RESTORE = 5,    /* sealed passphrase, SHA-256 of the backup, which goes as attachment */
    KF_PROPOSAL_EXPORT = 6,     /* kf_key_export_act */
    KF_PROPOSAL_ACCEPT_LOG = 7, /* u8 what was found (kf_audit_hold), text why it is accepted */
} kf_proposal_kind;

typedef struct kf_proposal {
    uint8_t vault[KF_VAULT_IDENTITY_SIZE];
    uint8_t id[KF_PROPOSAL_ID_SIZE];
    uint64_t created;
    uint64_t expires;
    char proposer[KF_OFFICER_NAME_SIZE];
    kf_proposal_kind kind;
    kf_view payload;
} kf_proposal;

kf_code kf_vault_identity(const uint8_t box_public[KF_BOX_PUBLIC_SIZE],
                          uint8_t ret_identity[KF_VAULT_IDENTITY_SIZE]) KF_MUST_USE;
void kf_proposal_put(kf_buffer *bytes, const kf_proposal *proposal);
/* The payload points into `bytes`. */
kf_code kf_proposal_take(kf_view bytes, kf_proposal *ret_proposal) KF_MUST_USE;

/* What officers approved for use on cards. */
typedef enum kf_permit_kind { KF_PERMIT_PROFILE = 1, KF_PERMIT_MODULE = 2 } kf_permit_kind;
#define KF_PERMIT_NAME_SIZE 65
#define KF_PERMITS_MAX 1024

typedef struct kf_permit {
    kf_permit_kind kind;
    bool allowed; /* false: takes an earlier approval back */
    char name[KF_PERMIT_NAME_SIZE];
    uint8_t digest[KF_DIGEST_SIZE]; /* SHA-256 of the profile's text or the CAP file */
} kf_permit;

void kf_permit_put(kf_buffer *bytes, const kf_permit *permit);
kf_code kf_permit_take(kf_cursor *bytes, kf_permit *ret_permit) KF_MUST_USE;

/* A key that leaves a base key management unit as X9.143 text, for a key file or an outside party. */
typedef struct kf_key_export_act {
    kf_key_purpose purpose;
    char category[KF_CATEGORY_SIZE];
    uint32_t version;
    kf_kcv kcv;                  /* of the key that is meant */
    char pair[KF_CATEGORY_SIZE]; /* whose transport key protects it */
} kf_key_export_act;

/* A payload, decoded: the member of its kind holds. Views point into the proposal's bytes. */
typedef struct kf_proposal_act {
    kf_proposal_kind kind;
    kf_key_act_request key;
    kf_roster_change roster;
    kf_permit permit;
    kf_key_export_act export;
    kf_view sealed_passphrase;             /* backup, restore */
    uint8_t backup_digest[KF_DIGEST_SIZE]; /* restore */
    kf_accept_log_request accept_log;      /* its actor empty */
} kf_proposal_act;

void kf_proposal_act_put(kf_buffer *payload, const kf_proposal_act *act);
/* KF_ERR_MALFORMED, KF_ERR_TRUNCATED, KF_ERR_TOO_LONG where the payload is not what its kind says. */
kf_code kf_proposal_act_take(const kf_proposal *proposal, kf_proposal_act *ret_act) KF_MUST_USE;

/* "key.generate", "roster.add", "profile.permit": the act in receipts and lists. Static. */
const char *kf_proposal_act_name(const kf_proposal_act *act);
/* What it is done to: "payment/cn-north/1", an officer, a profile; for receipts. */
typedef struct kf_proposal_subject {
    char text[160];
} kf_proposal_subject;
kf_proposal_subject kf_proposal_subject_of(const kf_proposal_act *act);
/* The whole act in words, a line each, from the signed bytes alone. */
kf_code kf_proposal_describe(const kf_proposal *proposal, const kf_proposal_act *act,
                             kf_buffer *text) KF_MUST_USE;

/* How many officers an act takes: the roster's quorum; one for a component, whose key waits pre-active for
 * an activation that takes the quorum. */
unsigned kf_proposal_quorum(const kf_roster *roster, const kf_proposal_act *act);

typedef struct kf_officer_signature {
    char officer[KF_OFFICER_NAME_SIZE];
    uint8_t bytes[KF_OFFICER_SIGNATURE_SIZE];
} kf_officer_signature;

typedef struct kf_proposal_signatures {
    size_t count;
    kf_officer_signature items[KF_PROPOSAL_SIGNATURES_MAX]; /* the proposer's first */
} kf_proposal_signatures;

/* Whether each signature is that of another officer of the roster over these bytes, the proposer's first.
 * KF_ERR_OFFICERS with what is wrong: an unknown officer, a wrong signature, the same officer twice, the
 * proposer as approver, none of the proposer. */
kf_code kf_proposal_check_signatures(const kf_roster *roster, kf_view bytes, const kf_proposal *proposal,
                                     const kf_proposal_signatures *signatures, kf_error *error) KF_MUST_USE;

/* KF_VAULT_PROPOSAL: actor (the caller that the front saw, for refusals), proposal, signatures, attachment (a
 * backup, or empty). The answer is a version byte and a blob: what the act gives (kf_key_act_answer; a
 * backup; kf_vault_status; X9.143 text; for the others nothing). */
typedef struct kf_proposal_request {
    kf_vault_actor actor;
    kf_view proposal;
    kf_proposal_signatures signatures;
    kf_view attachment;
} kf_proposal_request;

void kf_proposal_request_put(kf_buffer *bytes, const kf_proposal_request *request);
kf_code kf_proposal_request_take(kf_cursor *bytes, kf_proposal_request *ret_request) KF_MUST_USE;

/* KF_VAULT_ROSTER: the request is the version byte alone; the answer: what the vault demands of officers.
 * kf_dual_control_clear. */
typedef struct kf_dual_control {
    bool present; /* `roster` holds */
    kf_roster roster;
    kf_permit *permits;
    size_t permit_count;
} kf_dual_control;

void kf_permits_put(kf_buffer *bytes, const kf_permit *permits, size_t count);
kf_code kf_permits_take(kf_cursor *bytes, kf_permit **ret_permits, size_t *ret_count) KF_MUST_USE;
kf_code kf_dual_control_take(kf_cursor *bytes, kf_dual_control *ret_control) KF_MUST_USE;
void kf_dual_control_clear(kf_dual_control *control);

#endif
