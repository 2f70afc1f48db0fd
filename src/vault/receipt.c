#include "vault/receipt.h"

static void put_fields(kf_buffer *bytes, const kf_receipt *receipt)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(bytes, receipt->number);
    kf_buffer_append_u64(bytes, receipt->time);
    kf_message_put_text(bytes, receipt->actor.who);
    kf_message_put_text(bytes, receipt->act);
    kf_message_put_text(bytes, receipt->subject);
    kf_message_put_text(bytes, receipt->kcv);
    kf_message_put_text(bytes, receipt->actor.request);
    kf_buffer_append_u32(bytes, (uint32_t)receipt->outcome);
}

kf_code kf_receipt_encode(kf_cipher *key, const kf_receipt *receipt, kf_buffer *bytes)
{
    KF_CLEANUP(kf_buffer_clear)
    kf_buffer fields = kf_buffer_with_limit(KF_VAULT_RECEIPT_SIZE - KF_RECEIPT_MAC_SIZE);
    put_fields(&fields, receipt);
    KF_TRY(kf_buffer_status(&fields));
    uint8_t mac[KF_BLOCK_MAX];
    KF_TRY(kf_cmac(key, kf_buffer_view(&fields), mac));
    kf_buffer_append(bytes, kf_buffer_view(&fields));
    kf_buffer_append_bytes(bytes, mac, KF_RECEIPT_MAC_SIZE);
    return kf_buffer_status(bytes);
}

kf_code kf_receipt_decode(kf_view bytes, kf_receipt *ret_receipt)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    kf_receipt receipt;
    uint32_t outcome;
    KF_TRY(kf_message_take_version(&cursor));
    KF_TRY(kf_cursor_u64(&cursor, &receipt.number));
    KF_TRY(kf_cursor_u64(&cursor, &receipt.time));
    KF_TRY(kf_message_take_text(&cursor, receipt.actor.who, sizeof receipt.actor.who));
    KF_TRY(kf_message_take_text(&cursor, receipt.act, sizeof receipt.act));
    KF_TRY(kf_message_take_text(&cursor, receipt.subject, sizeof receipt.subject));
    KF_TRY(kf_message_take_text(&cursor, receipt.kcv, sizeof receipt.kcv));
    KF_TRY(kf_message_take_text(&cursor, receipt.actor.request, sizeof receipt.actor.request));
    KF_TRY(kf_cursor_u32(&cursor, &outcome));
    receipt.outcome = (kf_code)(int32_t)outcome;
    KF_TRY(kf_cursor_skip(&cursor, KF_RECEIPT_MAC_SIZE));
    KF_TRY(kf_message_end(&cursor));
    *ret_receipt = receipt;
    return KF_OK;
}

kf_code kf_receipt_verify(kf_cipher *key, kf_view bytes, kf_receipt *ret_receipt)
{
    if (bytes.size <= KF_RECEIPT_MAC_SIZE || bytes.size > KF_VAULT_RECEIPT_SIZE) return KF_ERR_MALFORMED;
    kf_view fields = kf_view_part(bytes, 0, bytes.size - KF_RECEIPT_MAC_SIZE);
    KF_TRY(kf_cmac_verify(key, fields, kf_view_part(bytes, fields.size, KF_RECEIPT_MAC_SIZE)));
    return kf_receipt_decode(bytes, ret_receipt);
}
