/* A front's side of the socketpair to its vault. Thread-safe; any number of requests may be in flight:
 * whoever waits reads for all, whoever writes takes along what others have queued. */
#ifndef KEYFILL_VAULT_CLIENT_H
#define KEYFILL_VAULT_CLIENT_H

#include "vault/protocol.h"

typedef struct kf_vault_client kf_vault_client;

/* What the vault answered. Initialise with KF_VAULT_ANSWER_INIT. */
typedef struct kf_vault_answer {
    kf_buffer payload;
    kf_buffer receipts; /* u16 length and bytes, one after another; also where the act failed */
} kf_vault_answer;

#define KF_VAULT_ANSWER_INIT ((kf_vault_answer){KF_BUFFER_INIT, KF_BUFFER_INIT})
void kf_vault_answer_clear(kf_vault_answer *answer);

/* Takes ownership of `descriptor`, in success and in failure. */
kf_code kf_vault_client_new(int descriptor, kf_vault_client **ret_client, kf_error *error) KF_MUST_USE;
/* No call may be in flight. Closes, frees, sets NULL. */
void kf_vault_client_free(kf_vault_client **client);

/* Sends one request and waits for its answer. The vault's own code and message where it refuses; KF_ERR_VAULT
 * where it does not answer within KF_VAULT_PATIENCE_SECONDS or has ended; after that every call fails so.
 * `answer` is cleared first. */
#define KF_VAULT_PATIENCE_SECONDS 60
kf_code kf_vault_call(kf_vault_client *client, kf_vault_kind kind, kf_view payload, kf_vault_answer *answer,
                      kf_error *error) KF_MUST_USE;
/* Whether the vault is still there, as far as is known without asking it. */
bool kf_vault_client_alive(kf_vault_client *client);

/* For waiting until the other end closes (POLLRDHUP); not for reading. */
int kf_vault_client_descriptor(const kf_vault_client *client);

/* The next receipt of an answer: start with a cursor over answer->receipts; KF_ERR_TRUNCATED at the end. */
kf_code kf_vault_answer_next_receipt(kf_cursor *receipts, kf_view *ret_receipt) KF_MUST_USE;

#endif
