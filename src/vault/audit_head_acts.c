#include "vault/audit_head_acts.h"

#include <stdio.h>
#include <string.h>

#include "vault/proposal_acts.h"

static kf_code identity_of(const kf_vault *vault, uint8_t ret_identity[KF_DIGEST_SIZE])
{
    return kf_sha256(kf_view_of(kf_key_store_box_public(vault->keys), KF_BOX_PUBLIC_SIZE), ret_identity);
}

kf_code kf_vault_handle_audit_state(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_message_take_version(request)));
    KF_TRY(kf_fail_plain(error, kf_message_end(request)));
    kf_audit_state state = {.note = vault->note,
                            .revision = kf_key_store_revision(vault->keys),
                            .receipts = vault->last_receipt,
                            .resumed = vault->resumed};
    KF_TRY(kf_fail_plain(error, identity_of(vault, state.vault)));
    KF_TRY(kf_fail_plain(error, kf_ed25519_public(kf_key_store_audit_seed(vault->keys), state.public_key)));
    if (!vault->resumed && vault->journal != NULL) {
        kf_receipt_findings findings;
        KF_TRY(kf_fail_plain(error, kf_receipt_journal_read(vault->journal, vault->receipt_key, &findings)));
        state.note = findings.note;
        state.receipts = findings.newest;
    }
    kf_audit_state_put(answer, &state);
    return kf_buffer_status(answer);
}

/* What the log that the front has, the vault's own file and its key store say of each other. */
static unsigned compare(const kf_vault *vault, const kf_vault_resume *resume,
                        const kf_receipt_findings *findings)
{
    const kf_audit_note *note = &findings->note;
    if (!findings->sound) return resume->receipt.size > 0 ? KF_HOLD_RECEIPTS_GONE : 0U;
    unsigned holds = 0;
    if (resume->seq < note->seq || resume->written < note->written)
        holds |= KF_HOLD_LOG_OLDER;
    else if (note->seq > 0 && memcmp(resume->hash, note->hash, sizeof note->hash) != 0)
        holds |= KF_HOLD_LOG_DIFFERS;
    if (kf_key_store_revision(vault->keys) < note->revision) holds |= KF_HOLD_KEYS_OLDER;
    return holds;
}

static uint64_t higher(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

/* The key store changed, and front and vault ended before the receipt was made: it is made good. */
static kf_code witness_change(kf_vault *vault, const kf_receipt_findings *findings, kf_error *error)
{
    static const kf_vault_actor nobody = {"vault", ""};
    uint64_t revision = kf_key_store_revision(vault->keys);
    char subject[KF_RECEIPT_SUBJECT_SIZE];
    if (!findings->sound || findings->note.revision == 0 || revision <= findings->note.revision) return KF_OK;
    (void)snprintf(subject, sizeof subject, "key store revision %llu, noted was %llu",
                   (unsigned long long)revision, (unsigned long long)findings->note.revision);
    kf_vault_act act = {&nobody, "key.unwitnessed", subject, NULL, KF_ERR_AUDIT};
    return kf_vault_receipt(vault, &act, error);
}

static kf_code take_up_journal(kf_vault *vault, const kf_vault_resume *resume, uint64_t in_log,
                               kf_buffer *lost, kf_error *error)
{
    kf_receipt_findings findings;
    KF_TRY(kf_fail_plain(error, kf_receipt_journal_read(vault->journal, vault->receipt_key, &findings)));
    vault->last_receipt = higher(higher(in_log, findings.newest), findings.note.written);
    KF_TRY(kf_fail_plain(error,
                         kf_receipt_journal_list(vault->journal, vault->receipt_key, resume->written, lost)));
    vault->note = findings.note;
    vault->note.holds |= compare(vault, resume, &findings);
    vault->resumed = true;
    if (vault->note.holds == 0) {
        KF_TRY(witness_change(vault, &findings, error));
        vault->note.revision = kf_key_store_revision(vault->keys);
    }
    return kf_receipt_journal_note(vault->journal, vault->receipt_key, &vault->note, error);
}

kf_code kf_vault_handle_resume(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_vault_resume resume;
    KF_TRY(kf_fail_plain(error, kf_vault_resume_take(request, &resume)));
    if (vault->resumed)
        return kf_fail(error, KF_ERR_STATE,
                       "the vault was told of the last receipt already: that happens once, at start");
    kf_receipt receipt;
    memset(&receipt, 0, sizeof receipt);
    if (resume.receipt.size > 0 && kf_receipt_verify(vault->receipt_key, resume.receipt, &receipt) != KF_OK)
        return kf_fail(error, KF_ERR_AUTHENTICATION,
                       "the last receipt in the audit log is not this vault's: database and key store do not "
                       "belong together");
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    vault->last_receipt = receipt.number;
    if (vault->journal != NULL) KF_TRY(take_up_journal(vault, &resume, receipt.number, &lost, error));
    vault->resumed = true;
    kf_vault_resumed resumed = {vault->last_receipt, vault->note.holds, kf_buffer_view(&lost)};
    kf_vault_resumed_put(answer, &resumed);
    return kf_buffer_status(answer);
}

static kf_code check_head(const kf_vault *vault, const kf_sign_head_request *wanted, kf_error *error)
{
    const kf_audit_note *note = &vault->note;
    if (wanted->written > vault->last_receipt)
        return kf_fail(error, KF_ERR_AUDIT, "the log is said to hold receipt %llu, the newest given is %llu",
                       (unsigned long long)wanted->written, (unsigned long long)vault->last_receipt);
    /* What is held is signed as it is, and does not become what later ones are compared with. */
    if (vault->note.holds != 0) return KF_OK;
    bool same_row = wanted->seq == note->seq;
    if (wanted->seq < note->seq || wanted->written < note->written ||
        (same_row && note->seq > 0 && memcmp(wanted->hash, note->hash, sizeof note->hash) != 0))
        return kf_fail(
            error, KF_ERR_AUDIT,
            "row %lld with receipts to %llu does not follow on row %lld with receipts to %llu, which "
            "was signed before: the log was replaced",
            (long long)wanted->seq, (unsigned long long)wanted->written, (long long)note->seq,
            (unsigned long long)note->written);
    return KF_OK;
}

static kf_code note_head(kf_vault *vault, const kf_signed_head *head, kf_error *error)
{
    if (vault->note.holds != 0) return KF_OK;
    bool changed = vault->note.seq != head->seq || vault->note.revision != head->revision;
    vault->note.seq = head->seq;
    vault->note.written = head->written;
    vault->note.revision = head->revision;
    memcpy(vault->note.hash, head->hash, sizeof vault->note.hash);
    if (vault->journal == NULL || !changed) return KF_OK;
    return kf_receipt_journal_note(vault->journal, vault->receipt_key, &vault->note, error);
}

kf_code kf_vault_handle_sign_head(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_sign_head_request wanted;
    KF_TRY(kf_fail_plain(error, kf_sign_head_request_take(request, &wanted)));
    KF_TRY(kf_vault_ready_for_key_blocks(vault, error));
    KF_TRY(check_head(vault, &wanted, error));
    kf_signed_head head = {.seq = wanted.seq,
                           .revision = kf_key_store_revision(vault->keys),
                           .receipts = vault->last_receipt,
                           .written = wanted.written,
                           .time_ms = vault->clock()};
    memcpy(head.hash, wanted.hash, sizeof head.hash);
    KF_TRY(kf_fail_plain(error, identity_of(vault, head.vault)));
    KF_TRY(kf_fail_plain(error, kf_signed_head_sign(kf_key_store_audit_seed(vault->keys), &head)));
    KF_TRY(note_head(vault, &head, error));
    kf_buffer_append_u8(answer, KF_MESSAGE_VERSION);
    kf_signed_head_put(answer, &head);
    return kf_buffer_status(answer);
}

/* The number that bytes claim which do not verify; 0 where they are no receipt at all. */
static uint64_t claimed_number(kf_view bytes)
{
    kf_receipt receipt;
    return kf_receipt_decode(bytes, &receipt) == KF_OK ? receipt.number : 0;
}

static kf_code judge(kf_vault *vault, kf_view receipts, kf_receipt_verdict *verdict, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(receipts);
    while (!kf_cursor_at_end(&cursor)) {
        uint16_t size;
        kf_view bytes;
        kf_receipt receipt;
        KF_TRY(kf_fail_plain(error, kf_cursor_u16(&cursor, &size)));
        KF_TRY(kf_fail_plain(error, kf_cursor_take(&cursor, size, &bytes)));
        if (++verdict->count > KF_VERIFY_RECEIPTS_MAX)
            return kf_fail(error, KF_ERR_TOO_LONG, "at most %d receipts are verified at once",
                           KF_VERIFY_RECEIPTS_MAX);
        if (kf_receipt_verify(vault->receipt_key, bytes, &receipt) == KF_OK) continue;
        if (verdict->bad++ == 0) verdict->first_bad = claimed_number(bytes);
    }
    return KF_OK;
}

kf_code kf_vault_handle_verify_receipts(kf_vault *vault, kf_cursor *request, kf_buffer *answer,
                                        kf_error *error)
{
    kf_view receipts;
    KF_TRY(kf_fail_plain(error, kf_message_take_version(request)));
    KF_TRY(kf_fail_plain(error, kf_message_take_blob(request, KF_VERIFY_RECEIPTS_SIZE, &receipts)));
    KF_TRY(kf_fail_plain(error, kf_message_end(request)));
    kf_receipt_verdict verdict;
    memset(&verdict, 0, sizeof verdict);
    KF_TRY(judge(vault, receipts, &verdict, error));
    KF_TRY(kf_fail_plain(error, kf_sha256(receipts, verdict.digest)));
    KF_TRY(kf_fail_plain(error, kf_receipt_verdict_sign(kf_key_store_audit_seed(vault->keys), &verdict)));
    kf_receipt_verdict_put(answer, &verdict);
    return kf_buffer_status(answer);
}

kf_code kf_vault_accept_log(kf_vault *vault, const kf_accept_log_request *request, kf_error *error)
{
    char subject[KF_RECEIPT_SUBJECT_SIZE];
    KF_TRY(kf_vault_ready_for_key_blocks(vault, error));
    if (vault->note.holds == 0)
        return kf_fail(error, KF_ERR_STATE, "nothing was put back: there is nothing to accept");
    if (request->holds != vault->note.holds)
        return kf_fail(error, KF_ERR_CONFLICT, "what was found is not what is accepted: look at it again");
    (void)snprintf(subject, sizeof subject, "%s: %s", kf_audit_hold_names(vault->note.holds).text,
                   request->reason);
    kf_vault_act act = {&request->actor, "audit.accept", subject, NULL, KF_OK};
    kf_audit_note before = vault->note;
    memset(&vault->note, 0, sizeof vault->note);
    /* The receipt writes the note as well, with the key store's revision as it is. */
    kf_code code = kf_vault_receipt(vault, &act, error);
    if (code == KF_OK) return KF_OK;
    vault->note = before;
    return code;
}

kf_code kf_vault_handle_accept_log(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_accept_log_request wanted;
    KF_TRY(kf_fail_plain(error, kf_accept_log_request_take(request, &wanted)));
    KF_TRY(kf_vault_certificate_suffices(vault, error));
    KF_TRY(kf_vault_accept_log(vault, &wanted, error));
    kf_buffer_append_u8(answer, KF_MESSAGE_VERSION);
    return kf_buffer_status(answer);
}
