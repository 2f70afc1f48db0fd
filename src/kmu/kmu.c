#include "kmu/kmu.h"

#include <stdio.h>

#include "vault/receipt.h"

kf_caller_text kf_caller_show(const kf_peer *caller)
{
    kf_caller_text shown;
    (void)snprintf(shown.text, sizeof shown.text, "%s:%s", kf_peer_role_name(caller->role), caller->name);
    return shown;
}

kf_code kf_kmu_audit_receipts(kf_kmu *kmu, const kf_buffer *receipts, const char *detail, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(receipts));
    kf_view bytes;
    while (kf_vault_answer_next_receipt(&cursor, &bytes) == KF_OK) {
        kf_receipt receipt;
        if (kf_receipt_decode(bytes, &receipt) != KF_OK)
            return kf_fail(error, KF_ERR_VAULT, "the vault gave a receipt that cannot be read");
        const kf_audit_event event = {
            .time_ms = (int64_t)receipt.time,
            .actor = receipt.actor.who,
            .action = receipt.act,
            .subject = receipt.subject,
            .outcome = kf_code_name(receipt.outcome),
            .detail = detail,
            .receipt = bytes,
        };
        KF_TRY(kf_audit_append(kmu->database, &event, NULL, error));
    }
    return KF_OK;
}

typedef struct receipts_work {
    kf_kmu *kmu;
    const kf_buffer *receipts;
    const char *detail;
} receipts_work;

static kf_code append_receipts(kf_database *database, void *context, kf_error *error)
{
    (void)database;
    const receipts_work *work = context;
    return kf_kmu_audit_receipts(work->kmu, work->receipts, work->detail, error);
}

kf_code kf_kmu_keep_receipts(kf_kmu *kmu, const kf_buffer *receipts, const char *detail, kf_error *error)
{
    if (receipts->size == 0) return KF_OK;
    receipts_work work = {kmu, receipts, detail};
    return kf_database_write(kmu->database, append_receipts, &work, error);
}

static kf_code append_event(kf_database *database, void *context, kf_error *error)
{
    return kf_audit_append(database, context, NULL, error);
}

kf_code kf_kmu_audit(kf_kmu *kmu, const kf_audit_event *event, kf_error *error)
{
    kf_audit_event copy = *event;
    return kf_database_write(kmu->database, append_event, &copy, error);
}
