#include "vault/permits.h"

#include <string.h>

static bool is_same(const kf_permit *permit, kf_permit_kind kind, const uint8_t *digest)
{
    return permit->kind == kind && memcmp(permit->digest, digest, KF_DIGEST_SIZE) == 0;
}

static kf_code open_section(const kf_key_store *keys, kf_cursor *ret_cursor, uint16_t *ret_count)
{
    kf_view section = kf_key_store_section(keys, KF_SECTION_PERMITTED);
    *ret_cursor = kf_cursor_of(section);
    *ret_count = 0;
    if (section.size == 0) return KF_OK;
    KF_TRY(kf_message_take_version(ret_cursor));
    return kf_cursor_u16(ret_cursor, ret_count);
}

kf_code kf_permit_find(const kf_key_store *keys, kf_permit_kind kind, const uint8_t digest[KF_DIGEST_SIZE],
                       bool *ret_found, kf_error *error)
{
    kf_cursor cursor;
    uint16_t count;
    KF_TRY(kf_fail_plain(error, open_section(keys, &cursor, &count)));
    bool found = false;
    for (uint16_t i = 0; i < count && !found; i++) {
        kf_permit permit;
        KF_TRY(kf_fail_plain(error, kf_permit_take(&cursor, &permit)));
        found = is_same(&permit, kind, digest);
    }
    *ret_found = found;
    return KF_OK;
}

/* All but the one of that digest; `ret_left_out` says whether there was one. */
static kf_code copy_others(const kf_key_store *keys, const kf_permit *permit, kf_buffer *others,
                           uint16_t *ret_count, bool *ret_left_out)
{
    kf_cursor cursor;
    uint16_t count;
    KF_TRY(open_section(keys, &cursor, &count));
    *ret_count = 0;
    *ret_left_out = false;
    for (uint16_t i = 0; i < count; i++) {
        kf_permit present;
        KF_TRY(kf_permit_take(&cursor, &present));
        if (is_same(&present, permit->kind, permit->digest)) {
            *ret_left_out = true;
            continue;
        }
        kf_permit_put(others, &present);
        ++*ret_count;
    }
    return kf_buffer_status(others);
}

kf_code kf_permit_write(kf_key_store *keys, const kf_permit *permit, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer others = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer section = KF_BUFFER_INIT;
    uint16_t count = 0;
    bool known = false;
    KF_TRY(kf_fail_plain(error, copy_others(keys, permit, &others, &count, &known)));
    if (!permit->allowed && !known)
        return kf_fail(error, KF_ERR_NOT_FOUND, "%s %s was not approved with this digest",
                       permit->kind == KF_PERMIT_PROFILE ? "profile" : "module", permit->name);
    if (permit->allowed && count >= KF_PERMITS_MAX)
        return kf_fail(error, KF_ERR_KEY_STORE, "%d profiles and modules are approved: forbid some first",
                       KF_PERMITS_MAX);
    kf_buffer_append_u8(&section, KF_MESSAGE_VERSION);
    kf_buffer_append_u16(&section, (uint16_t)(count + (permit->allowed ? 1 : 0)));
    kf_buffer_append(&section, kf_buffer_view(&others));
    if (permit->allowed) kf_permit_put(&section, permit);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&section)));
    return kf_key_store_write_section(keys, KF_SECTION_PERMITTED, kf_buffer_view(&section), error);
}
