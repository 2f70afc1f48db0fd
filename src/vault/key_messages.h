/* Payloads of the requests about keys, as both sides encode and decode them. Views point into the decoded
 * bytes. */
#ifndef KEYFILL_VAULT_KEY_MESSAGES_H
#define KEYFILL_VAULT_KEY_MESSAGES_H

#include "crypto/seal.h"
#include "vault/key_entry.h"
#include "vault/protocol.h"

#define KF_KEY_COMPONENTS_MIN 2
#define KF_KEY_COMPONENTS_MAX 9
#define KF_IMPORT_ID_SIZE 16         /* bytes; made by the officer's program */
#define KF_SEALED_PASSPHRASE_MAX 512 /* bytes */
#define KF_SEALED_COMPONENT_MAX 256  /* bytes */
#define KF_KEY_BLOCK_BATCH_MAX 64    /* messages of one export */

typedef struct kf_vault_status {
    kf_vault_unit unit;
    bool development;
    bool resumed;
    uint64_t revision;
    uint64_t last_receipt;
    uint32_t key_count;
    uint8_t box_public[KF_BOX_PUBLIC_SIZE];
} kf_vault_status;

void kf_vault_status_put(kf_buffer *bytes, const kf_vault_status *status);
kf_code kf_vault_status_take(kf_cursor *bytes, kf_vault_status *ret_status) KF_MUST_USE;

/* KF_VAULT_KEY_LIST: the request is the version byte alone; the answer this. `entries` is the caller's to
 * free(). */
typedef struct kf_key_list {
    uint64_t revision;
    kf_key_peer peers[KF_KEY_PEERS_MAX]; /* what has arrived over each pair of units */
    size_t peer_count;
    kf_key_entry *entries;
    size_t count;
} kf_key_list;

void kf_key_peers_put(kf_buffer *bytes, const kf_key_peer *peers, size_t count);
kf_code kf_key_peers_take(kf_cursor *bytes, kf_key_peer ret_peers[KF_KEY_PEERS_MAX],
                          size_t *ret_count) KF_MUST_USE;
void kf_key_list_request_put(kf_buffer *bytes);
kf_code kf_key_list_take(kf_cursor *bytes, kf_key_list *ret_list) KF_MUST_USE;
void kf_key_list_clear(kf_key_list *list);

typedef enum kf_key_act {
    KF_KEY_GENERATE = 1,
    KF_KEY_ROTATE = 2, /* generate; the policy of the version in force, which is deactivated */
    KF_KEY_IMPORT = 3, /* one component */
    KF_KEY_ACTIVATE = 4,
    KF_KEY_SUSPEND = 5,
    KF_KEY_DEACTIVATE = 6,
    KF_KEY_DESTROY = 7,
} kf_key_act;

typedef struct kf_key_act_request {
    kf_vault_actor actor;
    kf_key_act act;
    kf_key_entry entry; /* generate, import: what it is to be (version 0: the next); else purpose, category
                           and version (0: the one in force) */
    uint8_t import_id[KF_IMPORT_ID_SIZE]; /* import, all three: else zeros and nothing */
    uint8_t component_count;
    uint8_t component;   /* from 1 */
    kf_view sealed;      /* kf_key_component_seal */
    bool officer_signed; /* in the vault alone, not encoded: a signature proves the actor (proposal.h) */
} kf_key_act_request;

void kf_key_act_request_put(kf_buffer *bytes, const kf_key_act_request *request);
kf_code kf_key_act_request_take(kf_cursor *bytes, kf_key_act_request *ret_request) KF_MUST_USE;

typedef struct kf_key_act_answer {
    bool complete; /* `entry` holds; not so while components are missing */
    kf_key_entry entry;
    kf_kcv component_kcv; /* import */
    uint16_t present;     /* import: bit i - 1 for component i */
} kf_key_act_answer;

void kf_key_act_answer_put(kf_buffer *bytes, const kf_key_act_answer *answer);
kf_code kf_key_act_answer_take(kf_cursor *bytes, kf_key_act_answer *ret_answer) KF_MUST_USE;

const char *kf_key_act_name(kf_key_act act); /* "generate", "rotate", … */
kf_code kf_key_act_from_name(const char *name, kf_key_act *ret_act) KF_MUST_USE;

/* What an officer's program seals to the vault's public key, so that the front never sees it. A component is
 * bound to its import and place. */
kf_code kf_key_component_seal(const uint8_t box_public[KF_BOX_PUBLIC_SIZE],
                              const uint8_t import_id[KF_IMPORT_ID_SIZE], uint8_t component,
                              const kf_secret *bytes, kf_buffer *sealed) KF_MUST_USE;
kf_code kf_key_component_open(const kf_secret *box_private, const kf_key_act_request *request,
                              kf_secret **ret_component) KF_MUST_USE;
kf_code kf_key_passphrase_seal(const uint8_t box_public[KF_BOX_PUBLIC_SIZE], const kf_secret *passphrase,
                               kf_buffer *sealed) KF_MUST_USE;
kf_code kf_key_passphrase_open(const kf_secret *box_private, kf_view sealed,
                               kf_secret **ret_passphrase) KF_MUST_USE;

/* KF_VAULT_BACKUP (`backup` empty; the answer is a blob) and KF_VAULT_RESTORE (the answer is a
 * kf_vault_status). */
typedef struct kf_key_backup_request {
    kf_vault_actor actor;
    kf_view sealed_passphrase;
    kf_view backup;
} kf_key_backup_request;

void kf_key_backup_request_put(kf_buffer *bytes, const kf_key_backup_request *request);
kf_code kf_key_backup_request_take(kf_cursor *bytes, kf_key_backup_request *ret_request) KF_MUST_USE;

/* One revision of one key on its way from a base key management unit to a key management unit. All but the
 * block is a statement of the sender's front; the vault compares it with what the block authenticates. */
typedef struct kf_key_message {
    char pair[KF_CATEGORY_SIZE]; /* whose transport key protects it */
    char category[KF_CATEGORY_SIZE];
    kf_key_purpose purpose;
    uint32_t version;
    uint64_t revision;
    uint64_t after; /* the revision before it on this way; 0: it is the first */
    kf_view block;  /* X9.143 text */
} kf_key_message;

void kf_key_message_put(kf_buffer *bytes, const kf_key_message *message);
kf_code kf_key_message_take(kf_cursor *bytes, kf_key_message *ret_message) KF_MUST_USE;

/* KF_VAULT_KEY_BLOCK_EXPORT: everything behind revision `after`, oldest first. */
typedef struct kf_key_export_request {
    kf_vault_actor actor;
    char pair[KF_CATEGORY_SIZE];
    uint64_t after;
    uint16_t limit; /* 1 to KF_KEY_BLOCK_BATCH_MAX messages */
} kf_key_export_request;

void kf_key_export_request_put(kf_buffer *bytes, const kf_key_export_request *request);
kf_code kf_key_export_request_take(kf_cursor *bytes, kf_key_export_request *ret_request) KF_MUST_USE;

typedef struct kf_key_export_answer {
    uint64_t head; /* the newest revision that concerns the pair */
    size_t count;
    kf_key_message messages[KF_KEY_BLOCK_BATCH_MAX];
} kf_key_export_answer;

void kf_key_export_answer_put(kf_buffer *bytes, const kf_key_export_answer *answer);
kf_code kf_key_export_answer_take(kf_cursor *bytes, kf_key_export_answer *ret_answer) KF_MUST_USE;

/* KF_VAULT_KEY_BLOCK_IMPORT: actor and message; the answer: the revision now accepted over the pair, and the
 * entry. */
typedef struct kf_key_import_request {
    kf_vault_actor actor;
    kf_key_message message;
} kf_key_import_request;

void kf_key_import_request_put(kf_buffer *bytes, const kf_key_import_request *request);
kf_code kf_key_import_request_take(kf_cursor *bytes, kf_key_import_request *ret_request) KF_MUST_USE;

typedef struct kf_key_import_answer {
    uint64_t revision;
    kf_key_entry entry;
} kf_key_import_answer;

void kf_key_import_answer_put(kf_buffer *bytes, const kf_key_import_answer *answer);
kf_code kf_key_import_answer_take(kf_cursor *bytes, kf_key_import_answer *ret_answer) KF_MUST_USE;

#endif
