#include "vault/receipt_check.h"

#include <string.h>

#include "vault/receipt.h"

static void compare(const kf_receipt *receipt, const kf_audit_row *row, kf_audit_verifier *verifier)
{
    const kf_audit_event *event = &row->event;
    const char *outcome = receipt->outcome == KF_OK ? "ok" : kf_code_name(receipt->outcome);
    if (strcmp(event->actor, receipt->actor.who) != 0 || strcmp(event->action, receipt->act) != 0 ||
        strcmp(event->subject, receipt->subject) != 0 || strcmp(event->outcome, outcome) != 0)
        kf_audit_verifier_find(verifier, row->seq,
                               "it says \"%.60s %.32s\", the vault's receipt says \"%.60s %.32s\"",
                               event->actor, event->action, receipt->actor.who, receipt->act);
}

void kf_receipt_check_row(kf_receipt_check *check, const kf_audit_row *row, kf_audit_verifier *verifier)
{
    kf_receipt receipt;
    kf_receipt_gap gap;
    if (row->event.receipt.size == 0) return;
    if (kf_receipt_decode(row->event.receipt, &receipt) != KF_OK) {
        kf_audit_verifier_find(verifier, row->seq, "its receipt is none");
        return;
    }
    check->count++;
    compare(&receipt, row, verifier);
    if (kf_receipt_order_take(&check->order, receipt.number, &gap) == KF_RECEIPT_REPEATED)
        kf_audit_verifier_find(verifier, row->seq, "receipt %llu comes twice, or long after higher ones",
                               (unsigned long long)receipt.number);
    if (gap.count > 0)
        kf_audit_verifier_find(verifier, row->seq, "before it %llu receipts are missing, from number %llu",
                               (unsigned long long)gap.count, (unsigned long long)gap.first);
    if (strcmp(receipt.act, "key.restore") == 0 && receipt.outcome == KF_OK) check->restored = receipt.number;
}

void kf_receipt_check_end(const kf_receipt_check *check, kf_audit_verifier *verifier)
{
    kf_receipt_gap gap = kf_receipt_order_open_gap(&check->order);
    if (gap.count > 0)
        kf_audit_verifier_find(verifier, 0, "%llu receipts are missing, from number %llu",
                               (unsigned long long)gap.count, (unsigned long long)gap.first);
    /* What was given when a head was signed, and still is not there, is one that a front has kept back. */
    kf_verifier_result result = kf_audit_verifier_result(verifier);
    if (result.heads == 0) return;
    uint64_t given = result.last_head.receipts;
    if (given > check->order.newest + KF_RECEIPTS_APART)
        kf_audit_verifier_find(verifier, 0, "the vault has given receipts up to %llu, the log ends with %llu",
                               (unsigned long long)given, (unsigned long long)check->order.newest);
}
