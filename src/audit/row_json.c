#include "audit/row_json.h"

#include <string.h>

#include "wire/json.h"

static kf_code put_row(const kf_audit_row *row, json_t *item)
{
    KF_TRY(kf_json_set_integer(item, "seq", row->seq));
    KF_TRY(kf_json_set_integer(item, "time_ms", row->event.time_ms));
    KF_TRY(kf_json_set_text(item, "actor", row->event.actor));
    KF_TRY(kf_json_set_text(item, "action", row->event.action));
    KF_TRY(kf_json_set_text(item, "subject", row->event.subject));
    KF_TRY(kf_json_set_text(item, "outcome", row->event.outcome));
    KF_TRY(kf_json_set_text(item, "detail", row->event.detail));
    if (row->event.receipt.size != 0) KF_TRY(kf_json_set_hex(item, "receipt", row->event.receipt));
    KF_TRY(kf_json_set_hex(item, "previous", KF_VIEW(row->previous)));
    return kf_json_set_hex(item, "hash", KF_VIEW(row->hash));
}

kf_code kf_audit_row_to_json(const kf_audit_row *row, json_t **ret_json)
{
    KF_CLEANUP(kf_json_free) json_t *item = json_object();
    KF_TRY(put_row(row, item));
    *ret_json = item;
    item = NULL;
    return KF_OK;
}

/* Unlike kf_json_text: what stands in a row may be empty, and hold anything. */
static kf_code take_text(const json_t *json, const char *member, size_t limit, const char **ret_text,
                         kf_error *error)
{
    const json_t *value = json_object_get(json, member);
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) != json_string_length(value) || strlen(text) > limit)
        return kf_fail(error, KF_ERR_FIELD, "\"%s\" is missing, no text, or longer than %zu bytes", member,
                       limit);
    *ret_text = text;
    return KF_OK;
}

kf_code kf_audit_row_from_json(const json_t *json, kf_audit_row *ret_row, kf_buffer *receipt, kf_error *error)
{
    static const char *const members[] = {"seq",    "time_ms", "actor",    "action", "subject", "outcome",
                                          "detail", "receipt", "previous", "hash",   NULL};
    static const kf_json_range numbers = {INT64_MIN, INT64_MAX};
    kf_audit_row row;
    kf_audit_event *event = &row.event;
    memset(&row, 0, sizeof row);
    kf_buffer_truncate(receipt, 0);
    KF_TRY(kf_json_only(json, members, error));
    KF_TRY(kf_json_integer(json, "seq", numbers, &row.seq, error));
    KF_TRY(kf_json_integer(json, "time_ms", numbers, &event->time_ms, error));
    KF_TRY(take_text(json, "actor", KF_AUDIT_NAME_MAX, &event->actor, error));
    KF_TRY(take_text(json, "action", KF_AUDIT_NAME_MAX, &event->action, error));
    KF_TRY(take_text(json, "subject", KF_AUDIT_NAME_MAX, &event->subject, error));
    KF_TRY(take_text(json, "outcome", KF_AUDIT_NAME_MAX, &event->outcome, error));
    KF_TRY(take_text(json, "detail", KF_AUDIT_DETAIL_MAX, &event->detail, error));
    KF_TRY(kf_json_hex_optional(json, "receipt", KF_AUDIT_RECEIPT_MAX, receipt, error));
    KF_TRY(kf_json_hex_exactly(json, "previous", sizeof row.previous, row.previous, error));
    KF_TRY(kf_json_hex_exactly(json, "hash", sizeof row.hash, row.hash, error));
    event->receipt = kf_buffer_view(receipt);
    *ret_row = row;
    return KF_OK;
}

static kf_code put_head(const kf_signed_head *head, json_t *item)
{
    KF_TRY(kf_json_set_hex(item, "vault", KF_VIEW(head->vault)));
    KF_TRY(kf_json_set_integer(item, "seq", head->seq));
    KF_TRY(kf_json_set_hex(item, "hash", KF_VIEW(head->hash)));
    KF_TRY(kf_json_set_integer(item, "revision", (int64_t)head->revision));
    KF_TRY(kf_json_set_integer(item, "receipts", (int64_t)head->receipts));
    KF_TRY(kf_json_set_integer(item, "written", (int64_t)head->written));
    KF_TRY(kf_json_set_integer(item, "time_ms", (int64_t)head->time_ms));
    return kf_json_set_hex(item, "signature", KF_VIEW(head->signature));
}

kf_code kf_signed_head_to_json(const kf_signed_head *head, json_t **ret_json)
{
    KF_CLEANUP(kf_json_free) json_t *item = json_object();
    KF_TRY(put_head(head, item));
    *ret_json = item;
    item = NULL;
    return KF_OK;
}

static kf_code take_number(const json_t *json, const char *member, uint64_t *ret_number, kf_error *error)
{
    int64_t number = 0;
    KF_TRY(kf_json_integer(json, member, (kf_json_range){0, INT64_MAX}, &number, error));
    *ret_number = (uint64_t)number;
    return KF_OK;
}

kf_code kf_signed_head_from_json(const json_t *json, kf_signed_head *ret_head, kf_error *error)
{
    static const char *const members[] = {"vault",   "seq",     "hash",      "revision", "receipts",
                                          "written", "time_ms", "signature", NULL};
    kf_signed_head head;
    if (!json_is_object(json)) return kf_fail(error, KF_ERR_FIELD, "a signed head is an object");
    KF_TRY(kf_json_only(json, members, error));
    KF_TRY(kf_json_hex_exactly(json, "vault", sizeof head.vault, head.vault, error));
    KF_TRY(kf_json_integer(json, "seq", (kf_json_range){0, INT64_MAX}, &head.seq, error));
    KF_TRY(kf_json_hex_exactly(json, "hash", sizeof head.hash, head.hash, error));
    KF_TRY(take_number(json, "revision", &head.revision, error));
    KF_TRY(take_number(json, "receipts", &head.receipts, error));
    KF_TRY(take_number(json, "written", &head.written, error));
    KF_TRY(take_number(json, "time_ms", &head.time_ms, error));
    KF_TRY(kf_json_hex_exactly(json, "signature", sizeof head.signature, head.signature, error));
    *ret_head = head;
    return KF_OK;
}
