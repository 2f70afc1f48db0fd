/* What officers seal to the vault's public key: components and passphrases. The first byte tells them apart,
 * so that one cannot be sent as the other. */
#include <string.h>

#include "vault/key_messages.h"

#define PART_COMPONENT 1
#define PART_PASSPHRASE 2

static kf_code seal_part(const uint8_t *box_public, const kf_buffer *head, const kf_secret *secret,
                         kf_buffer *sealed)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    kf_buffer_append(&plain, kf_buffer_view(head));
    kf_buffer_append(&plain, kf_secret_expose(secret));
    KF_TRY(kf_buffer_status(&plain));
    return kf_box_seal(box_public, kf_buffer_view(&plain), sealed);
}

kf_code kf_key_component_seal(const uint8_t box_public[KF_BOX_PUBLIC_SIZE],
                              const uint8_t import_id[KF_IMPORT_ID_SIZE], uint8_t component,
                              const kf_secret *bytes, kf_buffer *sealed)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer head = KF_BUFFER_INIT;
    kf_buffer_append_u8(&head, PART_COMPONENT);
    kf_buffer_append_bytes(&head, import_id, KF_IMPORT_ID_SIZE);
    kf_buffer_append_u8(&head, component);
    KF_TRY(kf_buffer_status(&head));
    return seal_part(box_public, &head, bytes, sealed);
}

kf_code kf_key_component_open(const kf_secret *box_private, const kf_key_act_request *request,
                              kf_secret **ret_component)
{
    KF_CLEANUP(kf_secret_free) kf_secret *plain = NULL;
    KF_TRY(kf_box_open(box_private, request->sealed, &plain));
    kf_cursor cursor = kf_cursor_of(kf_secret_expose(plain));
    uint8_t tag;
    uint8_t import_id[KF_IMPORT_ID_SIZE];
    uint8_t component;
    KF_TRY(kf_cursor_u8(&cursor, &tag));
    KF_TRY(kf_cursor_copy(&cursor, import_id, sizeof import_id));
    KF_TRY(kf_cursor_u8(&cursor, &component));
    if (tag != PART_COMPONENT || component != request->component ||
        memcmp(import_id, request->import_id, sizeof import_id) != 0 || kf_cursor_at_end(&cursor))
        return KF_ERR_MALFORMED;
    return kf_secret_new(cursor.rest, ret_component);
}

kf_code kf_key_passphrase_seal(const uint8_t box_public[KF_BOX_PUBLIC_SIZE], const kf_secret *passphrase,
                               kf_buffer *sealed)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer head = KF_BUFFER_INIT;
    kf_buffer_append_u8(&head, PART_PASSPHRASE);
    KF_TRY(kf_buffer_status(&head));
    return seal_part(box_public, &head, passphrase, sealed);
}

kf_code kf_key_passphrase_open(const kf_secret *box_private, kf_view sealed, kf_secret **ret_passphrase)
{
    KF_CLEANUP(kf_secret_free) kf_secret *plain = NULL;
    KF_TRY(kf_box_open(box_private, sealed, &plain));
    kf_cursor cursor = kf_cursor_of(kf_secret_expose(plain));
    uint8_t tag;
    KF_TRY(kf_cursor_u8(&cursor, &tag));
    if (tag != PART_PASSPHRASE || kf_cursor_at_end(&cursor)) return KF_ERR_MALFORMED;
    return kf_secret_new(cursor.rest, ret_passphrase);
}
