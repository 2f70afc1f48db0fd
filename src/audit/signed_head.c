#include "audit/signed_head.h"

static void put_fields(kf_buffer *bytes, const kf_signed_head *head)
{
    kf_buffer_append(bytes, KF_VIEW(head->vault));
    kf_buffer_append_u64(bytes, (uint64_t)head->seq);
    kf_buffer_append(bytes, KF_VIEW(head->hash));
    kf_buffer_append_u64(bytes, head->revision);
    kf_buffer_append_u64(bytes, head->receipts);
    kf_buffer_append_u64(bytes, head->written);
    kf_buffer_append_u64(bytes, head->time_ms);
}

static kf_code make_message(const kf_signed_head *head, kf_buffer *message)
{
    kf_buffer_append_text(message, "keyfill-audit-head-1");
    put_fields(message, head);
    return kf_buffer_status(message);
}

kf_code kf_signed_head_sign(const kf_secret *seed, kf_signed_head *head)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    KF_TRY(make_message(head, &message));
    return kf_ed25519_sign(seed, kf_buffer_view(&message), head->signature);
}

kf_code kf_signed_head_verify(const kf_signed_head *head, const uint8_t public_key[KF_ED25519_PUBLIC_SIZE])
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    KF_TRY(make_message(head, &message));
    return kf_ed25519_verify(public_key, kf_buffer_view(&message), head->signature);
}

void kf_signed_head_put(kf_buffer *bytes, const kf_signed_head *head)
{
    put_fields(bytes, head);
    kf_buffer_append(bytes, KF_VIEW(head->signature));
}

kf_code kf_signed_head_take(kf_cursor *bytes, kf_signed_head *ret_head)
{
    kf_cursor cursor = *bytes;
    kf_signed_head head;
    uint64_t seq;
    KF_TRY(kf_cursor_copy(&cursor, head.vault, sizeof head.vault));
    KF_TRY(kf_cursor_u64(&cursor, &seq));
    if (seq > INT64_MAX) return KF_ERR_MALFORMED;
    head.seq = (int64_t)seq;
    KF_TRY(kf_cursor_copy(&cursor, head.hash, sizeof head.hash));
    KF_TRY(kf_cursor_u64(&cursor, &head.revision));
    KF_TRY(kf_cursor_u64(&cursor, &head.receipts));
    KF_TRY(kf_cursor_u64(&cursor, &head.written));
    KF_TRY(kf_cursor_u64(&cursor, &head.time_ms));
    KF_TRY(kf_cursor_copy(&cursor, head.signature, sizeof head.signature));
    *bytes = cursor;
    *ret_head = head;
    return KF_OK;
}
