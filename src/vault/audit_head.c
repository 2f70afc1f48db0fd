#include "vault/audit_head.h"

#include <stdio.h>
#include <string.h>

typedef struct hold_sentence {
    unsigned hold;
    const char *name;
    const char *sentence;
} hold_sentence;

static const hold_sentence sentences[] = {
    {KF_HOLD_LOG_OLDER, "log-older",
     "the audit log ends before the head that this vault signed last: an old database was put back"},
    {KF_HOLD_LOG_DIFFERS, "log-differs", "the audit log is another one than this vault signed"},
    {KF_HOLD_KEYS_OLDER, "keys-older", "the key store is older than it was: old key files were put back"},
    {KF_HOLD_RECEIPTS_GONE, "receipts-gone", "the vault's own file of receipts is gone or damaged"},
};

void kf_audit_hold_text(unsigned holds, char ret_text[KF_HOLD_TEXT_SIZE])
{
    size_t size = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        if ((holds & sentences[i].hold) == 0) continue;
        int written = snprintf(ret_text + size, KF_HOLD_TEXT_SIZE - size, "%s%s", size > 0 ? "; " : "",
                               sentences[i].sentence);
        if (written < 0 || (size_t)written >= KF_HOLD_TEXT_SIZE - size) return;
        size += (size_t)written;
    }
}

kf_hold_names kf_audit_hold_names(unsigned holds)
{
    kf_hold_names names = {""};
    size_t size = 0;
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        if ((holds & sentences[i].hold) == 0) continue;
        int written = snprintf(names.text + size, sizeof names.text - size, "%s%s", size > 0 ? "," : "",
                               sentences[i].name);
        if (written > 0) size += (size_t)written;
    }
    return names;
}

static unsigned hold_of(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++)
        if (strlen(sentences[i].name) == size && memcmp(sentences[i].name, name, size) == 0)
            return sentences[i].hold;
    return 0;
}

kf_code kf_audit_holds_from_names(const char *names, unsigned *ret_holds)
{
    unsigned holds = 0;
    for (const char *name = names;;) {
        size_t size = strcspn(name, ",");
        unsigned hold = hold_of(name, size);
        if (hold == 0) return KF_ERR_FIELD;
        holds |= hold;
        if (name[size] == '\0') break;
        name += size + 1;
    }
    *ret_holds = holds;
    return KF_OK;
}

static kf_code take_holds(kf_cursor *bytes, unsigned *ret_holds)
{
    uint8_t holds;
    KF_TRY(kf_cursor_u8(bytes, &holds));
    if (holds > KF_HOLDS_ALL) return KF_ERR_MALFORMED;
    *ret_holds = holds;
    return KF_OK;
}

static kf_code take_seq(kf_cursor *bytes, int64_t *ret_seq)
{
    uint64_t seq;
    KF_TRY(kf_cursor_u64(bytes, &seq));
    if (seq > INT64_MAX) return KF_ERR_MALFORMED;
    *ret_seq = (int64_t)seq;
    return KF_OK;
}

void kf_audit_state_put(kf_buffer *bytes, const kf_audit_state *state)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append(bytes, KF_VIEW(state->vault));
    kf_buffer_append(bytes, KF_VIEW(state->public_key));
    kf_buffer_append_u64(bytes, (uint64_t)state->note.seq);
    kf_buffer_append(bytes, KF_VIEW(state->note.hash));
    kf_buffer_append_u64(bytes, state->note.written);
    kf_buffer_append_u64(bytes, state->note.revision);
    kf_buffer_append_u64(bytes, state->revision);
    kf_buffer_append_u64(bytes, state->receipts);
    kf_buffer_append_u8(bytes, (uint8_t)state->note.holds);
    kf_message_put_bool(bytes, state->resumed);
}

kf_code kf_audit_state_take(kf_cursor *bytes, kf_audit_state *ret_state)
{
    kf_audit_state state;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_copy(bytes, state.vault, sizeof state.vault));
    KF_TRY(kf_cursor_copy(bytes, state.public_key, sizeof state.public_key));
    KF_TRY(take_seq(bytes, &state.note.seq));
    KF_TRY(kf_cursor_copy(bytes, state.note.hash, sizeof state.note.hash));
    KF_TRY(kf_cursor_u64(bytes, &state.note.written));
    KF_TRY(kf_cursor_u64(bytes, &state.note.revision));
    KF_TRY(kf_cursor_u64(bytes, &state.revision));
    KF_TRY(kf_cursor_u64(bytes, &state.receipts));
    KF_TRY(take_holds(bytes, &state.note.holds));
    KF_TRY(kf_message_take_bool(bytes, &state.resumed));
    KF_TRY(kf_message_end(bytes));
    *ret_state = state;
    return KF_OK;
}

void kf_vault_resume_put(kf_buffer *bytes, const kf_vault_resume *resume)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_message_put_blob(bytes, resume->receipt);
    kf_buffer_append_u64(bytes, resume->written);
    kf_buffer_append_u64(bytes, (uint64_t)resume->seq);
    kf_buffer_append(bytes, KF_VIEW(resume->hash));
}

kf_code kf_vault_resume_take(kf_cursor *bytes, kf_vault_resume *ret_resume)
{
    kf_vault_resume resume;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_message_take_blob(bytes, KF_VAULT_RECEIPT_SIZE, &resume.receipt));
    KF_TRY(kf_cursor_u64(bytes, &resume.written));
    KF_TRY(take_seq(bytes, &resume.seq));
    KF_TRY(kf_cursor_copy(bytes, resume.hash, sizeof resume.hash));
    KF_TRY(kf_message_end(bytes));
    *ret_resume = resume;
    return KF_OK;
}

void kf_vault_resumed_put(kf_buffer *bytes, const kf_vault_resumed *resumed)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(bytes, resumed->receipts);
    kf_buffer_append_u8(bytes, (uint8_t)resumed->holds);
    kf_message_put_blob(bytes, resumed->lost);
}

kf_code kf_vault_resumed_take(kf_cursor *bytes, kf_vault_resumed *ret_resumed)
{
    kf_vault_resumed resumed;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u64(bytes, &resumed.receipts));
    KF_TRY(take_holds(bytes, &resumed.holds));
    KF_TRY(kf_message_take_blob(bytes, KF_VAULT_PAYLOAD_MAX, &resumed.lost));
    KF_TRY(kf_message_end(bytes));
    *ret_resumed = resumed;
    return KF_OK;
}

void kf_sign_head_request_put(kf_buffer *bytes, const kf_sign_head_request *request)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(bytes, (uint64_t)request->seq);
    kf_buffer_append(bytes, KF_VIEW(request->hash));
    kf_buffer_append_u64(bytes, request->written);
}

kf_code kf_sign_head_request_take(kf_cursor *bytes, kf_sign_head_request *ret_request)
{
    kf_sign_head_request request;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(take_seq(bytes, &request.seq));
    KF_TRY(kf_cursor_copy(bytes, request.hash, sizeof request.hash));
    KF_TRY(kf_cursor_u64(bytes, &request.written));
    KF_TRY(kf_message_end(bytes));
    *ret_request = request;
    return KF_OK;
}

kf_code kf_signed_head_answer_take(kf_cursor *bytes, kf_signed_head *ret_head)
{
    kf_signed_head head;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_signed_head_take(bytes, &head));
    KF_TRY(kf_message_end(bytes));
    *ret_head = head;
    return KF_OK;
}

static kf_code verdict_message(const kf_receipt_verdict *verdict, kf_buffer *message)
{
    kf_buffer_append_text(message, "keyfill-receipts-1");
    kf_buffer_append(message, KF_VIEW(verdict->digest));
    kf_buffer_append_u32(message, verdict->count);
    kf_buffer_append_u32(message, verdict->bad);
    kf_buffer_append_u64(message, verdict->first_bad);
    return kf_buffer_status(message);
}

kf_code kf_receipt_verdict_sign(const kf_secret *seed, kf_receipt_verdict *verdict)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    KF_TRY(verdict_message(verdict, &message));
    return kf_ed25519_sign(seed, kf_buffer_view(&message), verdict->signature);
}

kf_code kf_receipt_verdict_verify(const kf_receipt_verdict *verdict,
                                  const uint8_t public_key[KF_ED25519_PUBLIC_SIZE])
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    KF_TRY(verdict_message(verdict, &message));
    return kf_ed25519_verify(public_key, kf_buffer_view(&message), verdict->signature);
}

void kf_receipt_verdict_put(kf_buffer *bytes, const kf_receipt_verdict *verdict)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append(bytes, KF_VIEW(verdict->digest));
    kf_buffer_append_u32(bytes, verdict->count);
    kf_buffer_append_u32(bytes, verdict->bad);
    kf_buffer_append_u64(bytes, verdict->first_bad);
    kf_buffer_append(bytes, KF_VIEW(verdict->signature));
}

kf_code kf_receipt_verdict_take(kf_cursor *bytes, kf_receipt_verdict *ret_verdict)
{
    kf_receipt_verdict verdict;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_copy(bytes, verdict.digest, sizeof verdict.digest));
    KF_TRY(kf_cursor_u32(bytes, &verdict.count));
    KF_TRY(kf_cursor_u32(bytes, &verdict.bad));
    KF_TRY(kf_cursor_u64(bytes, &verdict.first_bad));
    KF_TRY(kf_cursor_copy(bytes, verdict.signature, sizeof verdict.signature));
    KF_TRY(kf_message_end(bytes));
    *ret_verdict = verdict;
    return KF_OK;
}

void kf_accept_log_request_put(kf_buffer *bytes, const kf_accept_log_request *request)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_vault_actor_put(bytes, &request->actor);
    kf_buffer_append_u8(bytes, (uint8_t)request->holds);
    kf_message_put_text(bytes, request->reason);
}

kf_code kf_accept_log_request_take(kf_cursor *bytes, kf_accept_log_request *ret_request)
{
    kf_accept_log_request request;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_vault_actor_take(bytes, &request.actor));
    KF_TRY(take_holds(bytes, &request.holds));
    KF_TRY(kf_message_take_text(bytes, request.reason, sizeof request.reason));
    KF_TRY(kf_message_end(bytes));
    *ret_request = request;
    return KF_OK;
}
