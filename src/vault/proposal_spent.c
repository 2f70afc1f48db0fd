#include "vault/proposal_spent.h"

#include <string.h>

#define ENTRY_SIZE (KF_PROPOSAL_ID_SIZE + 8)

typedef struct spent_entry {
    uint8_t id[KF_PROPOSAL_ID_SIZE];
    uint64_t expires;
} spent_entry;

static kf_code open_section(const kf_key_store *keys, kf_cursor *ret_cursor)
{
    *ret_cursor = kf_cursor_of(kf_key_store_section(keys, KF_SECTION_PROPOSALS));
    return kf_cursor_at_end(ret_cursor) ? KF_OK : kf_message_take_version(ret_cursor);
}

static kf_code take_entry(kf_cursor *cursor, spent_entry *ret_entry)
{
    KF_TRY(kf_cursor_copy(cursor, ret_entry->id, sizeof ret_entry->id));
    return kf_cursor_u64(cursor, &ret_entry->expires);
}

kf_code kf_proposal_check_spent(const kf_key_store *keys, const kf_proposal *proposal, kf_error *error)
{
    kf_cursor cursor;
    KF_TRY(kf_fail_plain(error, open_section(keys, &cursor)));
    while (!kf_cursor_at_end(&cursor)) {
        spent_entry entry;
        KF_TRY(kf_fail_plain(error, take_entry(&cursor, &entry)));
        if (memcmp(entry.id, proposal->id, sizeof entry.id) == 0)
            return kf_fail(error, KF_ERR_SPENT,
                           "this proposal was acted on already; to do it again, propose it again");
    }
    return KF_OK;
}

static void put_entry(kf_buffer *bytes, const uint8_t *id, uint64_t expires)
{
    kf_buffer_append_bytes(bytes, id, KF_PROPOSAL_ID_SIZE);
    kf_buffer_append_u64(bytes, expires);
}

kf_code kf_proposal_spend(kf_key_store *keys, const kf_proposal *proposal, uint64_t now_seconds,
                          kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer kept = KF_BUFFER_INIT;
    kf_cursor cursor;
    KF_TRY(kf_fail_plain(error, open_section(keys, &cursor)));
    kf_buffer_append_u8(&kept, KF_MESSAGE_VERSION);
    while (!kf_cursor_at_end(&cursor)) {
        spent_entry entry;
        KF_TRY(kf_fail_plain(error, take_entry(&cursor, &entry)));
        if (entry.expires > now_seconds) put_entry(&kept, entry.id, entry.expires);
    }
    put_entry(&kept, proposal->id, proposal->expires);
    if (kept.size > KF_KEY_SECTION_MAX)
        return kf_fail(error, KF_ERR_BUSY,
                       "%zu proposals were acted on that have not expired yet: wait until some have",
                       KF_KEY_SECTION_MAX / ENTRY_SIZE);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&kept)));
    return kf_key_store_write_section(keys, KF_SECTION_PROPOSALS, kf_buffer_view(&kept), error);
}
