/* The vault's state, as the handlers of its requests see it. Most requests have it for themselves; procedures
 * run side by side, each with a face of its own (serve_threads.h). */
#ifndef KEYFILL_VAULT_VAULT_H
#define KEYFILL_VAULT_VAULT_H

#include <pthread.h>

#include "vault/key_store.h"
#include "vault/receipt.h"
#include "vault/receipt_journal.h"

struct kf_key_ceremony;     /* components that have arrived so far (key_ceremony.h) */
struct kf_vault_procedures; /* profiles, modules, sessions at hand (procedure_*.h) */

typedef struct kf_vault {
    kf_vault_unit unit;
    bool development;
    kf_key_store *keys;
    uint64_t (*clock)(void); /* milliseconds since 1970; tests give their own */
    struct kf_key_ceremony *ceremony;
    struct kf_vault_procedures *procedures; /* NULL at a base key management unit */

    kf_cipher *receipt_key;
    bool resumed;           /* the front has handed over its last receipt */
    uint64_t last_receipt;  /* number */
    kf_buffer receipts;     /* of the request in hand: u16 length and bytes each */
    uint16_t receipt_count; /* in `receipts` */

    kf_receipt_journal *journal; /* NULL: receipts that a front loses are gone */
    kf_audit_note note;          /* as in the journal; with holds no act is done but accepting key blocks */

    struct kf_vault *shared;      /* of a face: whose it is; NULL: this is the vault itself */
    pthread_mutex_t receipt_lock; /* the vault's: of receipt_key, last_receipt, journal and note while
                                     procedures run */
} kf_vault;

/* What one thread sees of the vault while procedures run: receipts and profiles at hand of its own, the rest
 * as it was at the last refresh. The vault outlives it. */
void kf_vault_face_make(kf_vault *vault, kf_vault *ret_face);
void kf_vault_face_refresh(kf_vault *face);
void kf_vault_face_clear(kf_vault *face);

/* Handles one request: reads its payload, appends the answer's. On failure what was appended is dropped;
 * receipts made by then still go out. */
typedef kf_code (*kf_vault_handler)(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);

/* Takes ownership of `keys` in success. `clock` NULL: the machine's. */
kf_code kf_vault_new(kf_vault_unit unit, kf_key_store *keys, bool development, uint64_t (*clock)(void),
                     kf_vault **ret_vault, kf_error *error) KF_MUST_USE;
/* Wipes, frees, sets NULL. */
void kf_vault_free(kf_vault **vault);
/* Before the first request: keeps each receipt in `journal` from now on, and takes it over. */
void kf_vault_keep_receipts(kf_vault *vault, kf_receipt_journal *journal);

/* What an act was, for its receipt. `kcv` may be NULL. */
typedef struct kf_vault_act {
    const kf_vault_actor *actor;
    const char *act;
    const char *subject;
    const char *kcv;
    kf_code outcome;
} kf_vault_act;

/* Numbers, MACs and queues a receipt for the answer in hand. KF_ERR_STATE before KF_VAULT_RESUME; then the
 * act must not be done: ask kf_vault_ready first. */
kf_code kf_vault_receipt(kf_vault *vault, const kf_vault_act *act, kf_error *error) KF_MUST_USE;
/* Whether an act may be done: a receipt can be given, and nothing was put back (KF_ERR_HELD). */
kf_code kf_vault_ready(const kf_vault *vault, kf_error *error) KF_MUST_USE;
/* Whether a receipt can be given: enough for what is served in any case, key blocks from elsewhere. */
kf_code kf_vault_ready_for_key_blocks(const kf_vault *vault, kf_error *error) KF_MUST_USE;

/* Answers one request frame, as serving does, into `answers`. A code other than KF_OK means that the sender
 * broke the protocol and the vault must end (the message says how); a refused request is KF_OK here. */
kf_code kf_vault_answer_frame(kf_vault *vault, const kf_vault_frame *frame, kf_buffer *answers,
                              kf_error *error) KF_MUST_USE;
/* Serves until the other side closes (KF_OK) or breaks the protocol (KF_ERR_MALFORMED, KF_ERR_TOO_LONG: the
 * caller logs and ends). */
kf_code kf_vault_serve(kf_vault *vault, int descriptor, kf_error *error) KF_MUST_USE;

#endif
