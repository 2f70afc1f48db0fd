#include "vault/card_record.h"

#include <stdio.h>
#include <string.h>

#include <keyfill/cipher.h>

#include "vault/protocol.h"

#define RECORD_FORM 1

static const char *const state_names[] = {"blank", "filling", "filled", "refilling", "clearing", "unknown"};

const char *kf_card_state_name(kf_card_state state)
{
    return (size_t)state < sizeof state_names / sizeof state_names[0] ? state_names[state] : "unknown";
}

static void encode_key(const kf_card_key *key, kf_buffer *bytes)
{
    kf_buffer_append_u32(bytes, key->generation);
    kf_buffer_append_u32(bytes, key->base_key_version);
    kf_message_put_text(bytes, key->base_key);
    kf_buffer_append_u8(bytes, key->key_version);
}

static kf_code decode_key(kf_cursor *bytes, kf_card_key *ret_key)
{
    KF_TRY(kf_cursor_u32(bytes, &ret_key->generation));
    KF_TRY(kf_cursor_u32(bytes, &ret_key->base_key_version));
    KF_TRY(kf_message_take_text(bytes, ret_key->base_key, sizeof ret_key->base_key));
    return kf_cursor_u8(bytes, &ret_key->key_version);
}

void kf_card_record_encode(const kf_card_record *record, kf_buffer *bytes)
{
    kf_buffer_append_u8(bytes, RECORD_FORM);
    kf_message_put_text(bytes, record->identity);
    kf_buffer_append_u8(bytes, (uint8_t)record->state);
    kf_message_put_text(bytes, record->category);
    kf_message_put_text(bytes, record->profile);
    kf_buffer_append_bytes(bytes, record->profile_digest, sizeof record->profile_digest);
    kf_buffer_append_u8(bytes, (uint8_t)record->domain.size);
    kf_buffer_append(bytes, kf_aid_view(&record->domain));
    kf_message_put_text(bytes, record->number);
    kf_message_put_text(bytes, record->iccid);
    encode_key(&record->present, bytes);
    encode_key(&record->pending, bytes);
    encode_key(&record->previous, bytes);
    kf_buffer_append_u32(bytes, record->last_generation);
    kf_message_put_bool(bytes, record->number_written);
    kf_named_values_encode(&record->derivation, bytes);
    kf_message_put_text(bytes, record->personalised);
    kf_buffer_append_u64(bytes, record->sequence);
}

/* Empty where the card was never filled. */
static kf_code decode_domain(kf_cursor *bytes, kf_aid *domain)
{
    uint8_t size;
    kf_view aid;
    KF_TRY(kf_cursor_u8(bytes, &size));
    if (size == 0) return KF_OK;
    KF_TRY(kf_cursor_take(bytes, size, &aid));
    return kf_aid_from_view(aid, domain) == KF_OK ? KF_OK : KF_ERR_MALFORMED;
}

static kf_code decode_record(kf_cursor *bytes, kf_card_record *record)
{
    uint8_t form;
    uint8_t state;
    KF_TRY(kf_cursor_u8(bytes, &form));
    if (form != RECORD_FORM) return KF_ERR_MALFORMED;
    KF_TRY(kf_message_take_text(bytes, record->identity, sizeof record->identity));
    KF_TRY(kf_cursor_u8(bytes, &state));
    if (state > KF_CARD_UNKNOWN) return KF_ERR_MALFORMED;
    record->state = (kf_card_state)state;
    KF_TRY(kf_message_take_text(bytes, record->category, sizeof record->category));
    KF_TRY(kf_message_take_text(bytes, record->profile, sizeof record->profile));
    KF_TRY(kf_cursor_copy(bytes, record->profile_digest, sizeof record->profile_digest));
    KF_TRY(decode_domain(bytes, &record->domain));
    KF_TRY(kf_message_take_text(bytes, record->number, sizeof record->number));
    KF_TRY(kf_message_take_text(bytes, record->iccid, sizeof record->iccid));
    KF_TRY(decode_key(bytes, &record->present));
    KF_TRY(decode_key(bytes, &record->pending));
    KF_TRY(decode_key(bytes, &record->previous));
    KF_TRY(kf_cursor_u32(bytes, &record->last_generation));
    KF_TRY(kf_message_take_bool(bytes, &record->number_written));
    KF_TRY(kf_named_values_decode(bytes, &record->derivation));
    KF_TRY(kf_message_take_text(bytes, record->personalised, sizeof record->personalised));
    return kf_cursor_u64(bytes, &record->sequence);
}

kf_code kf_card_record_decode(kf_cursor *bytes, kf_card_record *ret_record)
{
    kf_card_record record = {0};
    KF_TRY(decode_record(bytes, &record));
    *ret_record = record;
    return KF_OK;
}

kf_code kf_card_record_seal(const kf_card_record *record, const kf_secret *record_key, kf_buffer *bytes)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer body = KF_BUFFER_INIT;
    kf_card_record_encode(record, &body);
    KF_TRY(kf_buffer_status(&body));
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, record_key, &cipher));
    uint8_t mac[KF_CARD_RECORD_MAC_SIZE];
    KF_TRY(kf_cmac(cipher, kf_buffer_view(&body), mac));
    kf_buffer_append(bytes, kf_buffer_view(&body));
    kf_buffer_append_bytes(bytes, mac, sizeof mac);
    return kf_buffer_status(bytes);
}

kf_code kf_card_record_read_unverified(kf_view bytes, kf_card_record *ret_record)
{
    if (bytes.size <= KF_CARD_RECORD_MAC_SIZE || bytes.size > KF_CARD_RECORD_MAX) return KF_ERR_RECORD;
    kf_cursor cursor = kf_cursor_of(kf_view_part(bytes, 0, bytes.size - KF_CARD_RECORD_MAC_SIZE));
    kf_card_record record = {0};
    if (kf_card_record_decode(&cursor, &record) != KF_OK || !kf_cursor_at_end(&cursor)) return KF_ERR_RECORD;
    *ret_record = record;
    return KF_OK;
}

kf_code kf_card_record_open(kf_view bytes, const kf_secret *record_key, kf_card_record *ret_record)
{
    if (bytes.size <= KF_CARD_RECORD_MAC_SIZE || bytes.size > KF_CARD_RECORD_MAX) return KF_ERR_RECORD;
    size_t body_size = bytes.size - KF_CARD_RECORD_MAC_SIZE;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, record_key, &cipher));
    kf_view mac = kf_view_part(bytes, body_size, KF_CARD_RECORD_MAC_SIZE);
    kf_code code = kf_cmac_verify(cipher, kf_view_part(bytes, 0, body_size), mac);
    if (code == KF_ERR_AUTHENTICATION) return KF_ERR_RECORD;
    KF_TRY(code);
    return kf_card_record_read_unverified(bytes, ret_record);
}

/* Where `name` stands as a whole item, or NULL. */
static const char *find_name(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; *at != '\0';) {
        size_t item = strcspn(at, ",");
        if (item == size && memcmp(at, name, size) == 0) return at;
        at += item;
        if (*at == ',') at++;
    }
    return NULL;
}

bool kf_name_list_has(const char *list, const char *name)
{
    return find_name(list, name) != NULL;
}

void kf_name_list_remove(char *list, const char *name)
{
    const char *found = find_name(list, name);
    if (found == NULL) return;
    size_t start = (size_t)(found - list);
    size_t end = start + strlen(name);
    /* The comma behind it goes too, or, at the list's end, the one before it. */
    if (list[end] == ',')
        end++;
    else if (start > 0)
        start--;
    memmove(list + start, list + end, strlen(list + end) + 1);
}

kf_code kf_name_list_add(char *list, size_t list_size, const char *name)
{
    if (kf_name_list_has(list, name)) return KF_OK;
    size_t used = strlen(list);
    int size = snprintf(list + used, list_size - used, "%s%s", used > 0 ? "," : "", name);
    if (size < 0 || (size_t)size >= list_size - used) {
        list[used] = '\0';
        return KF_ERR_TOO_LONG;
    }
    return KF_OK;
}
