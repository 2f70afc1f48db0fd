/* The messages on the socketpair between a front and its vault.
 *
 * A request is a frame:  u32 length of what follows, u16 kind, u64 correlation id, payload.
 * An answer is a frame:  u32 length, u16 kind, u64 id, i32 code, text message, u16 count and so many receipts
 * (each u16 length, bytes), payload; where the code is not KF_OK the payload is empty. Numbers are
 * big-endian. A payload starts with a version byte and has its fields in one fixed order; no field is
 * optional. The vault ends itself on any frame that is not of this form, of a kind that is not in its table
 * (requests.h), or longer than the kind's limit. */
#ifndef KEYFILL_VAULT_PROTOCOL_H
#define KEYFILL_VAULT_PROTOCOL_H

#include <keyfill/bytes.h>

typedef enum kf_vault_kind {
    KF_VAULT_STATUS = 1,
    KF_VAULT_KEY_LIST = 2,
    KF_VAULT_KEY_ACT = 3,
    KF_VAULT_KEY_BLOCK_EXPORT = 4, /* base key management unit */
    KF_VAULT_KEY_BLOCK_IMPORT = 5, /* key management unit */
    KF_VAULT_BACKUP = 6,
    KF_VAULT_RESTORE = 7,
    KF_VAULT_RESUME = 8,     /* the front's first request: the last receipt it holds */
    KF_VAULT_PROPOSAL = 9,   /* an act that officers signed */
    KF_VAULT_SIGN_HEAD = 10, /* how far the audit log reaches */
    KF_VAULT_ROSTER = 11,    /* who the officers are, and what they approved */
    KF_VAULT_VERIFY_RECEIPTS = 12,
    KF_VAULT_AUDIT_STATE = 13, /* before KF_VAULT_RESUME, too */
    KF_VAULT_ACCEPT_LOG = 14,
    KF_VAULT_PROCEDURE_BEGIN = 32,
    KF_VAULT_PROCEDURE_ADVANCE = 33,
} kf_vault_kind;

typedef enum kf_vault_unit {
    KF_VAULT_KMU = 1, /* bits: a table row names the units that may send it */
    KF_VAULT_BKMU = 2,
} kf_vault_unit;

#define KF_VAULT_FRAME_HEAD 14 /* bytes: length, kind, id */
#define KF_VAULT_PAYLOAD_MAX                                                                                 \
    ((size_t)4 * 1024 * 1024)      /* bytes: the largest payload of any kind, both ways                      \
                                    */
#define KF_VAULT_RECEIPTS_MAX 64   /* an answer */
#define KF_VAULT_RECEIPT_SIZE 1024 /* bytes: the longest receipt */
#define KF_MESSAGE_VERSION 1       /* the version byte of every payload */

typedef struct kf_vault_frame {
    uint16_t kind;
    uint64_t id;
    kf_view payload; /* of a request; of an answer everything behind the id */
} kf_vault_frame;

/* Appends a request. */
void kf_vault_frame_put(kf_buffer *bytes, uint16_t kind, uint64_t id, kf_view payload);
/* Takes one whole frame off the cursor; the payload points into its data. KF_ERR_TRUNCATED where more bytes
 * are to come (nothing is taken then), KF_ERR_MALFORMED for a length below the head's, KF_ERR_TOO_LONG above
 * the largest. */
kf_code kf_vault_frame_take(kf_cursor *bytes, kf_vault_frame *ret_frame) KF_MUST_USE;

typedef struct kf_vault_answer_parts {
    kf_code code;
    kf_view message;  /* text without zero */
    kf_view receipts; /* u16 length and bytes, one after another */
    uint16_t receipt_count;
    kf_view payload;
} kf_vault_answer_parts;

/* Appends an answer frame. */
void kf_vault_answer_put(kf_buffer *bytes, uint16_t kind, uint64_t id, const kf_vault_answer_parts *parts);
/* Splits an answer frame's payload; the views point into it. */
kf_code kf_vault_answer_take(kf_view frame_payload, kf_vault_answer_parts *ret_parts) KF_MUST_USE;

/* Fields of payloads. Text: u16 length and bytes; taking refuses zeros and control characters inside, and
 * more than fits `size` with a zero behind (KF_ERR_TOO_LONG, KF_ERR_MALFORMED). Blob: u32 length and bytes,
 * at most `limit`. */
void kf_message_put_text(kf_buffer *bytes, const char *text);
kf_code kf_message_take_text(kf_cursor *bytes, char *ret_text, size_t size) KF_MUST_USE;
void kf_message_put_blob(kf_buffer *bytes, kf_view blob);
kf_code kf_message_take_blob(kf_cursor *bytes, size_t limit, kf_view *ret_blob) KF_MUST_USE;
void kf_message_put_bool(kf_buffer *bytes, bool value);
/* KF_ERR_MALFORMED for a byte that is neither 0 nor 1. */
kf_code kf_message_take_bool(kf_cursor *bytes, bool *ret_value) KF_MUST_USE;
/* The version byte; KF_ERR_MALFORMED where it is another than KF_MESSAGE_VERSION. */
kf_code kf_message_take_version(kf_cursor *bytes) KF_MUST_USE;
/* KF_ERR_MALFORMED where bytes are left over. */
kf_code kf_message_end(const kf_cursor *bytes) KF_MUST_USE;

/* Who asks, as the front saw it on the certificate, and under which request id; goes into receipts. */
#define KF_ACTOR_SIZE 96      /* "officer:NAME" with its zero */
#define KF_REQUEST_ID_SIZE 72 /* with its zero */

typedef struct kf_vault_actor {
    char who[KF_ACTOR_SIZE];
    char request[KF_REQUEST_ID_SIZE]; /* empty where there is none */
} kf_vault_actor;

void kf_vault_actor_put(kf_buffer *bytes, const kf_vault_actor *actor);
kf_code kf_vault_actor_take(kf_cursor *bytes, kf_vault_actor *ret_actor) KF_MUST_USE;

#endif
