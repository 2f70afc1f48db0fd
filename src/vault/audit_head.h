/* What a front and its vault say to each other about the audit log: how far it reaches, and which receipts it
 * lacks. */
#ifndef KEYFILL_VAULT_AUDIT_HEAD_H
#define KEYFILL_VAULT_AUDIT_HEAD_H

#include "audit/signed_head.h"
#include "vault/protocol.h"

/* What the vault remembers of the log beside its keys (receipt_journal.h). */
typedef struct kf_audit_note {
    int64_t seq;                  /* newest row of the last head that it signed; 0: none yet */
    uint8_t hash[KF_DIGEST_SIZE]; /* that row's */
    uint64_t written;             /* each receipt up to this number was in the log then */
    uint64_t revision;            /* of the key store, when it was last noted */
    unsigned holds;               /* kf_audit_hold, found and not accepted yet */
} kf_audit_note;

/* Why the vault does no act but accepting key blocks, until officers accept it: bits. */
typedef enum kf_audit_hold {
    KF_HOLD_LOG_OLDER = 1,     /* the log ends before the head that was signed last */
    KF_HOLD_LOG_DIFFERS = 2,   /* its row of that number is another */
    KF_HOLD_KEYS_OLDER = 4,    /* the key store's revision is lower than it was */
    KF_HOLD_RECEIPTS_GONE = 8, /* the log has receipts, the vault's file of them is gone or damaged */
} kf_audit_hold;
#define KF_HOLDS_ALL 15U

/* The sentence for a person: what is wrong, in the order of the bits; "" for none. */
#define KF_HOLD_TEXT_SIZE 400
void kf_audit_hold_text(unsigned holds, char ret_text[KF_HOLD_TEXT_SIZE]);
/* "log-older,keys-older" */
typedef struct kf_hold_names {
    char text[64];
} kf_hold_names;
kf_hold_names kf_audit_hold_names(unsigned holds);
/* KF_ERR_FIELD for a name that is none of them. */
kf_code kf_audit_holds_from_names(const char *names, unsigned *ret_holds) KF_MUST_USE;

/* KF_VAULT_AUDIT_STATE: the request is the version byte alone; may be asked at any time. */
typedef struct kf_audit_state {
    uint8_t vault[KF_DIGEST_SIZE];
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE]; /* that verifies its signatures */
    kf_audit_note note;
    uint64_t revision; /* of the key store, now */
    uint64_t receipts; /* number of the newest receipt, as far as is known */
    bool resumed;
} kf_audit_state;

void kf_audit_state_put(kf_buffer *bytes, const kf_audit_state *state);
kf_code kf_audit_state_take(kf_cursor *bytes, kf_audit_state *ret_state) KF_MUST_USE;

/* KF_VAULT_RESUME: how far the log reaches. The answer is a kf_vault_resumed. */
typedef struct kf_vault_resume {
    kf_view receipt;              /* the newest that the log holds; or empty */
    uint64_t written;             /* each receipt up to this number is in the log */
    int64_t seq;                  /* of the log's newest row */
    uint8_t hash[KF_DIGEST_SIZE]; /* of the row with the noted number (kf_audit_note); zeros without */
} kf_vault_resume;

void kf_vault_resume_put(kf_buffer *bytes, const kf_vault_resume *resume);
kf_code kf_vault_resume_take(kf_cursor *bytes, kf_vault_resume *ret_resume) KF_MUST_USE;

/* `lost`: receipts above `written`, as answers have them (u16 length and bytes), oldest first: the front may
 * have some of them already. */
typedef struct kf_vault_resumed {
    uint64_t receipts;
    unsigned holds;
    kf_view lost;
} kf_vault_resumed;

void kf_vault_resumed_put(kf_buffer *bytes, const kf_vault_resumed *resumed);
kf_code kf_vault_resumed_take(kf_cursor *bytes, kf_vault_resumed *ret_resumed) KF_MUST_USE;

/* KF_VAULT_SIGN_HEAD: the answer is a version byte and a kf_signed_head. KF_ERR_AUDIT where the log would go
 * back behind a head that was signed before, or the front claims receipts that were never given. */
typedef struct kf_sign_head_request {
    int64_t seq;
    uint8_t hash[KF_DIGEST_SIZE];
    uint64_t written;
} kf_sign_head_request;

void kf_sign_head_request_put(kf_buffer *bytes, const kf_sign_head_request *request);
kf_code kf_sign_head_request_take(kf_cursor *bytes, kf_sign_head_request *ret_request) KF_MUST_USE;
kf_code kf_signed_head_answer_take(kf_cursor *bytes, kf_signed_head *ret_head) KF_MUST_USE;

/* KF_VAULT_VERIFY_RECEIPTS: the request is a version byte and a blob of receipts (u16 length and bytes), at
 * most KF_VERIFY_RECEIPTS_MAX of them. The answer says which are this vault's, over its signature, so that an
 * auditor need not believe the front that passes it on. */
#define KF_VERIFY_RECEIPTS_MAX 1000
#define KF_VERIFY_RECEIPTS_SIZE ((size_t)1024 * 1024) /* bytes */

typedef struct kf_receipt_verdict {
    uint8_t digest[KF_DIGEST_SIZE]; /* SHA-256 of the blob */
    uint32_t count;                 /* receipts in it */
    uint32_t bad;                   /* of these are not this vault's, or altered */
    uint64_t first_bad;             /* the number that the first of them claims; 0: none */
    uint8_t signature[KF_ED25519_SIGNATURE_SIZE];
} kf_receipt_verdict;

/* Over "keyfill-receipts-1" and the fields in their order. */
kf_code kf_receipt_verdict_sign(const kf_secret *seed, kf_receipt_verdict *verdict) KF_MUST_USE;
kf_code kf_receipt_verdict_verify(const kf_receipt_verdict *verdict,
                                  const uint8_t public_key[KF_ED25519_PUBLIC_SIZE]) KF_MUST_USE;
void kf_receipt_verdict_put(kf_buffer *bytes, const kf_receipt_verdict *verdict);
kf_code kf_receipt_verdict_take(kf_cursor *bytes, kf_receipt_verdict *ret_verdict) KF_MUST_USE;

/* KF_VAULT_ACCEPT_LOG: what was found is accepted as it is, and the vault acts again. The receipt
 * "audit.accept" says what was accepted; the answer is a version byte. */
#define KF_ACCEPT_REASON_SIZE 121 /* with its zero */
typedef struct kf_accept_log_request {
    kf_vault_actor actor;
    unsigned holds; /* what is accepted: KF_ERR_CONFLICT where it is not what was found */
    char reason[KF_ACCEPT_REASON_SIZE];
} kf_accept_log_request;

void kf_accept_log_request_put(kf_buffer *bytes, const kf_accept_log_request *request);
kf_code kf_accept_log_request_take(kf_cursor *bytes, kf_accept_log_request *ret_request) KF_MUST_USE;

#endif
