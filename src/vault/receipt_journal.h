/* The vault's own file of its newest receipts, beside the key files: a ring of the last KF_RECEIPTS_KEPT, and
 * a note of how far the audit log reached when its head was last signed. It is mapped memory: what is written
 * outlives vault and front at once, and is synced where a key or a head is concerned. So
 * - a front that ends between the vault's answer and its own commit gets the receipts again
 *   (KF_VAULT_RESUME), and numbers never repeat;
 * - a log or a key store that is older than the note says was put back.
 *
 * The file: two notes (one is written, then the other), each with a MAC of its own, then the ring; receipts
 * bear theirs. The MAC key is that of the receipts. */
#ifndef KEYFILL_VAULT_RECEIPT_JOURNAL_H
#define KEYFILL_VAULT_RECEIPT_JOURNAL_H

#include <keyfill/cipher.h>

#include "vault/audit_head.h"

#define KF_RECEIPTS_KEPT 1024
#define KF_RECEIPT_JOURNAL_NAME "receipts"

typedef struct kf_receipt_journal kf_receipt_journal;

/* Opens, or makes (mode 0600), DIRECTORY/receipts. Nothing in it is believed before
 * kf_receipt_journal_read. KF_ERR_KEY_STORE. */
kf_code kf_receipt_journal_open(const char *directory, kf_receipt_journal **ret_journal,
                                kf_error *error) KF_MUST_USE;
/* NULL and pointers to NULL are fine; sets NULL. */
void kf_receipt_journal_free(kf_receipt_journal **journal);

typedef struct kf_receipt_findings {
    bool sound;         /* there is a whole note: without, the file is new, damaged, or another vault's */
    kf_audit_note note; /* zeros where not sound */
    uint64_t newest;    /* number of the newest receipt in the ring; 0: none */
} kf_receipt_findings;

/* Reads what verifies under `key`. */
kf_code kf_receipt_journal_read(kf_receipt_journal *journal, kf_cipher *key,
                                kf_receipt_findings *ret_findings) KF_MUST_USE;
/* Appends the ring's receipts above number `after` that verify, in order: u16 length and bytes each. */
kf_code kf_receipt_journal_list(const kf_receipt_journal *journal, kf_cipher *key, uint64_t after,
                                kf_buffer *receipts) KF_MUST_USE;

/* Takes the place of the oldest. No I/O, no failure: it is in the page cache. */
void kf_receipt_journal_keep(kf_receipt_journal *journal, uint64_t number, kf_view receipt);
/* Writes the note, and syncs the file. */
kf_code kf_receipt_journal_note(kf_receipt_journal *journal, kf_cipher *key, const kf_audit_note *note,
                                kf_error *error) KF_MUST_USE;

#endif
