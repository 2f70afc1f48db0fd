/* The vault's receipts in an audit log: that their numbers have no gap, and that the rows say what they say.
 * Whether they are the vault's only the vault can tell (KF_VAULT_VERIFY_RECEIPTS). */
#ifndef KEYFILL_VAULT_RECEIPT_CHECK_H
#define KEYFILL_VAULT_RECEIPT_CHECK_H

#include "audit/verifier.h"
#include "vault/receipt_order.h"

/* Initialise with zeros. */
typedef struct kf_receipt_check {
    kf_receipt_order order;
    uint64_t count;
    uint64_t restored; /* number of the newest receipt of a restored key store: those before it bear another
                          key's MAC */
} kf_receipt_check;

/* After kf_audit_verifier_row of the same row. */
void kf_receipt_check_row(kf_receipt_check *check, const kf_audit_row *row, kf_audit_verifier *verifier);
/* At the end of the log. */
void kf_receipt_check_end(const kf_receipt_check *check, kf_audit_verifier *verifier);

#endif
