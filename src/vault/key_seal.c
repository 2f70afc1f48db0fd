#include "vault/key_seal.h"

#include <string.h>

#include "crypto/random.h"

kf_code kf_key_seal_new(const kf_secret *passphrase, kf_passphrase_cost cost, kf_key_seal *ret_seal)
{
    kf_key_seal seal = {.key = NULL, .cost = cost};
    KF_TRY(kf_random_bytes(seal.salt, sizeof seal.salt));
    KF_TRY(kf_passphrase_key(passphrase, seal.salt, cost, &seal.key));
    *ret_seal = seal;
    return KF_OK;
}

void kf_key_seal_clear(kf_key_seal *seal)
{
    kf_secret_free(&seal->key);
}

kf_code kf_key_seal_close(const kf_key_seal *seal, const char *magic, uint64_t sequence, kf_view plain,
                          kf_buffer *file)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer head = KF_BUFFER_INIT;
    kf_buffer_append_bytes(&head, magic, KF_SEALED_MAGIC_SIZE);
    kf_buffer_append_u64(&head, seal->cost.operations);
    kf_buffer_append_u64(&head, seal->cost.memory);
    kf_buffer_append_bytes(&head, seal->salt, sizeof seal->salt);
    kf_buffer_append_u64(&head, sequence);
    kf_buffer_append_u32(&head, (uint32_t)(plain.size + KF_SEAL_OVERHEAD));
    KF_TRY(kf_buffer_status(&head));
    kf_buffer_append(file, kf_buffer_view(&head));
    KF_TRY(kf_seal(seal->key, kf_buffer_view(&head), plain, file));
    return kf_buffer_status(file);
}

typedef struct sealed_head {
    kf_passphrase_cost cost;
    uint8_t salt[KF_PASSPHRASE_SALT_SIZE];
    uint64_t sequence;
    kf_view bytes;
    kf_view sealed;
} sealed_head;

static kf_code read_head(const char *magic, kf_view file, sealed_head *ret_head)
{
    kf_cursor cursor = kf_cursor_of(file);
    sealed_head head;
    uint8_t found[KF_SEALED_MAGIC_SIZE];
    uint32_t size;
    if (file.size > KF_SEALED_FILE_MAX) return KF_ERR_TOO_LONG;
    KF_TRY(kf_cursor_copy(&cursor, found, sizeof found));
    if (memcmp(found, magic, sizeof found) != 0) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_u64(&cursor, &head.cost.operations));
    KF_TRY(kf_cursor_u64(&cursor, &head.cost.memory));
    if (head.cost.operations < 1 || head.cost.operations > KF_SEALED_OPERATIONS_MAX ||
        head.cost.memory > KF_PASSPHRASE_COST_MAX_MEMORY)
        return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_copy(&cursor, head.salt, sizeof head.salt));
    KF_TRY(kf_cursor_u64(&cursor, &head.sequence));
    KF_TRY(kf_cursor_u32(&cursor, &size));
    head.bytes = kf_view_part(file, 0, KF_SEALED_HEAD_SIZE);
    KF_TRY(kf_cursor_take(&cursor, size, &head.sealed));
    if (!kf_cursor_at_end(&cursor)) return KF_ERR_MALFORMED;
    *ret_head = head;
    return KF_OK;
}

static kf_code seal_for(const kf_secret *passphrase, const kf_key_seal *known, const sealed_head *head,
                        kf_key_seal *ret_seal)
{
    kf_key_seal seal = {.key = NULL, .cost = head->cost};
    memcpy(seal.salt, head->salt, sizeof seal.salt);
    bool same = known != NULL && known->cost.operations == head->cost.operations &&
                known->cost.memory == head->cost.memory &&
                memcmp(known->salt, head->salt, sizeof head->salt) == 0;
    KF_TRY(same ? kf_secret_copy(known->key, &seal.key)
                : kf_passphrase_key(passphrase, head->salt, head->cost, &seal.key));
    *ret_seal = seal;
    return KF_OK;
}

kf_code kf_key_seal_open(const kf_secret *passphrase, const kf_key_seal *known, const char *magic,
                         kf_view file, kf_sealed_content *ret_content)
{
    sealed_head head;
    KF_TRY(read_head(magic, file, &head));
    kf_sealed_content content = {.sequence = head.sequence,
                                 .plain = kf_buffer_with_limit(KF_SEALED_FILE_MAX)};
    KF_TRY(seal_for(passphrase, known, &head, &content.seal));
    kf_code code = kf_unseal(content.seal.key, head.bytes, head.sealed, &content.plain);
    if (code == KF_OK) code = kf_buffer_status(&content.plain);
    if (code != KF_OK) {
        kf_sealed_content_clear(&content);
        return code;
    }
    *ret_content = content;
    return KF_OK;
}

void kf_sealed_content_clear(kf_sealed_content *content)
{
    kf_buffer_clear(&content->plain);
    kf_key_seal_clear(&content->seal);
}
