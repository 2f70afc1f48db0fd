#include <string.h>

#include "audit/chain.h"

/* A number, most significant byte first. */
typedef struct number_bytes {
    uint8_t bytes[8];
} number_bytes;

static number_bytes bytes_of(uint64_t number)
{
    number_bytes result;
    for (size_t i = 0; i < sizeof result.bytes; i++)
        result.bytes[i] = (uint8_t)(number >> (8 * (sizeof result.bytes - 1 - i)));
    return result;
}

kf_code kf_audit_row_hash(const kf_audit_row *row, uint8_t ret_hash[KF_DIGEST_SIZE])
{
    enum { ITEMS = 6, NUMBERS = 2 };
    static const char domain[] = "keyfill-audit-1";
    const kf_audit_event *event = &row->event;
    const char *texts[ITEMS - 1] = {event->actor, event->action, event->subject, event->outcome,
                                    event->detail};
    const number_bytes numbers[NUMBERS] = {bytes_of((uint64_t)row->seq), bytes_of((uint64_t)event->time_ms)};
    number_bytes sizes[ITEMS];
    kf_view parts[1 + NUMBERS + 2 * ITEMS + 1];
    size_t count = 0;
    parts[count++] = kf_view_of_text(domain);
    for (size_t i = 0; i < NUMBERS; i++)
        parts[count++] = KF_VIEW(numbers[i].bytes);
    for (size_t i = 0; i < ITEMS; i++) {
        kf_view item = event->receipt;
        if (i < ITEMS - 1) item = kf_view_of_text(texts[i] != NULL ? texts[i] : "");
        sizes[i] = bytes_of(item.size);
        parts[count++] = kf_view_of(sizes[i].bytes + 4, 4);
        parts[count++] = item;
    }
    parts[count++] = KF_VIEW(row->previous);
    return kf_sha256_parts(parts, count, ret_hash);
}
