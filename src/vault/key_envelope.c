#include "vault/key_envelope.h"

#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/secret.h>

#include "vault/protocol.h"

#define MARK "KFE1"
#define LABEL "keyfill-envelope-1"
#define MAC_SIZE 16
#define WRAPPED_MAX 64 /* bytes */

bool kf_key_is_envelope(kf_view text)
{
    return kf_view_starts_with(text, kf_view_of_text(MARK));
}

static kf_code compute_mac(const kf_key_store *store, const kf_key_entry *transport, kf_view content,
                           uint8_t ret_mac[MAC_SIZE], kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    kf_buffer_append_bytes(&message, LABEL, sizeof LABEL);
    kf_buffer_append(&message, content);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&message)));
    return kf_key_store_authenticate(store, transport, kf_buffer_view(&message), ret_mac, error);
}

kf_code kf_key_envelope_wrap(const kf_key_store *store, const kf_key_envelope_plan *plan, kf_buffer *text,
                             kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
    uint8_t mac[MAC_SIZE];
    kf_key_entry entry = *plan->entry;
    if (!entry.policy.exportable)
        return kf_fail(error, KF_ERR_KEY_POLICY, "base key %s does not leave this unit",
                       kf_key_label_of(&entry).text);
    memcpy(entry.origin, plan->transport->category, sizeof entry.origin);
    if (entry.state != KF_KEY_DESTROYED)
        KF_TRY(kf_key_store_wrap(store, plan->transport, plan->entry, &wrapped, error));
    kf_key_entry_put(&bytes, &entry);
    kf_buffer_append_u64(&bytes, plan->after);
    kf_buffer_append_u32(&bytes, plan->transport->version);
    kf_buffer_append_bytes(&bytes, plan->transport->kcv.bytes, KF_KCV_SIZE);
    kf_message_put_blob(&bytes, kf_buffer_view(&wrapped));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&bytes)));
    KF_TRY(compute_mac(store, plan->transport, kf_buffer_view(&bytes), mac, error));
    kf_buffer_append_bytes(&bytes, mac, sizeof mac);
    kf_buffer_append_text(text, MARK);
    kf_buffer_append_hex(text, kf_buffer_view(&bytes));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&bytes)));
    return kf_fail_plain(error, kf_buffer_status(text));
}

typedef struct opened_envelope {
    kf_buffer bytes;
    kf_view content; /* what the MAC is over */
    kf_view mac;
} opened_envelope;

static kf_code read_text(kf_view text, opened_envelope *envelope)
{
    KF_CLEANUP(kf_free_pointer)
    char *digits = kf_text_of_view(kf_view_part(text, strlen(MARK), text.size - strlen(MARK)));
    if (digits == NULL) return KF_ERR_MEMORY;
    if (kf_hex_decode_append(digits, &envelope->bytes) != KF_OK || envelope->bytes.size < MAC_SIZE)
        return KF_ERR_KEY_BLOCK;
    kf_view all = kf_buffer_view(&envelope->bytes);
    envelope->content = kf_view_part(all, 0, all.size - MAC_SIZE);
    envelope->mac = kf_view_part(all, all.size - MAC_SIZE, MAC_SIZE);
    return KF_OK;
}

static kf_code find_transport(const kf_key_store *store, const char *pair, const opened_envelope *envelope,
                              const kf_key_entry **ret_transport, kf_error *error)
{
    bool any = false;
    for (uint32_t version = kf_key_store_latest(store, KF_PURPOSE_TRANSPORT, pair); version > 0; version--) {
        const kf_key_entry *transport = kf_key_store_find(store, KF_PURPOSE_TRANSPORT, pair, version, 0);
        uint8_t mac[MAC_SIZE];
        if (transport == NULL || transport->policy.key_blocks ||
            (transport->state != KF_KEY_ACTIVE && transport->state != KF_KEY_DEACTIVATED))
            continue;
        any = true;
        KF_TRY(compute_mac(store, transport, envelope->content, mac, error));
        if (!kf_equal_constant_time(mac, envelope->mac.data, sizeof mac)) continue;
        *ret_transport = transport;
        return KF_OK;
    }
    if (any)
        return kf_fail(
            error, KF_ERR_AUTHENTICATION,
            "the envelope does not verify under transport key %s: it was changed, or the other side "
            "has another transport key (compare KCVs)",
            pair);
    return kf_fail(error, KF_ERR_NO_KEY,
                   "there is no transport key %s for a token here: enter it (keyfill key transport enter)",
                   pair);
}

static kf_code read_content(kf_view content, kf_key_arrival *arrival)
{
    kf_cursor cursor = kf_cursor_of(content);
    kf_view wrapped;
    KF_TRY(kf_key_entry_take(&cursor, &arrival->entry));
    KF_TRY(kf_cursor_u64(&cursor, &arrival->after));
    KF_TRY(kf_cursor_skip(&cursor, 4 + KF_KCV_SIZE));
    KF_TRY(kf_message_take_blob(&cursor, WRAPPED_MAX, &wrapped));
    KF_TRY(kf_message_end(&cursor));
    const kf_key_entry *entry = &arrival->entry;
    bool base = entry->purpose == KF_PURPOSE_PAYMENT || entry->purpose == KF_PURPOSE_CARD_MANAGER ||
                entry->purpose == KF_PURPOSE_ADM;
    if (!base || !entry->policy.exportable || entry->version == 0 ||
        (entry->state == KF_KEY_DESTROYED) != (wrapped.size == 0))
        return KF_ERR_KEY_BLOCK;
    kf_buffer_append(&arrival->wrapped, wrapped);
    return kf_buffer_status(&arrival->wrapped);
}

static kf_code open_envelope(const kf_key_store *store, const char *pair, const opened_envelope *envelope,
                             kf_key_arrival *arrival, kf_error *error)
{
    KF_TRY(find_transport(store, pair, envelope, &arrival->transport, error));
    kf_code code = read_content(envelope->content, arrival);
    if (code == KF_OK && strcmp(arrival->entry.origin, pair) == 0) return KF_OK;
    return code < 0 ? kf_fail_plain(error, code)
                    : kf_fail(error, KF_ERR_KEY_BLOCK, "the envelope over %s does not hold a base key", pair);
}

kf_code kf_key_envelope_open(const kf_key_store *store, const char *pair, kf_view text,
                             kf_key_arrival *ret_arrival, kf_error *error)
{
    if (!kf_key_store_has_token(store))
        return kf_fail(
            error, KF_ERR_UNSUPPORTED,
            "the key over %s came wrapped for a token, and this unit has none: make the transport key "
            "with --key-blocks on the other side",
            pair);
    opened_envelope envelope = {.bytes = KF_BUFFER_INIT};
    kf_key_arrival arrival;
    memset(&arrival, 0, sizeof arrival);
    kf_code code = read_text(text, &envelope);
    if (code == KF_ERR_KEY_BLOCK) code = kf_fail(error, code, "the envelope is not of hexadecimal digits");
    if (code == KF_OK) code = open_envelope(store, pair, &envelope, &arrival, error);
    kf_buffer_clear(&envelope.bytes);
    if (code != KF_OK) {
        kf_key_arrival_clear(&arrival);
        return kf_fail_plain(error, code);
    }
    *ret_arrival = arrival;
    return KF_OK;
}
