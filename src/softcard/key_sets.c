#include "softcard/key_sets.h"

#include <string.h>

#include <keyfill/kcv.h>

#include "softcard/card.h"
#include "softcard/tlv.h"

enum { KEY_SIZE_MAX = 32, SCP02_KEY_SIZE = 16, VERSION_MAX = 0x7F };

bool softcard_key_type_is_des(uint8_t type)
{
    return type >= SOFTCARD_KEY_TYPE_DES && type <= SOFTCARD_KEY_TYPE_DES_MAX;
}

kf_algorithm softcard_key_algorithm(uint8_t type)
{
    return softcard_key_type_is_des(type) ? KF_TDES : KF_AES;
}

/* Single DES is refused: no protocol of this card uses it. */
softcard_status softcard_key_type_check(uint8_t type, size_t size)
{
    if (type == SOFTCARD_KEY_TYPE_AES) return size == 16 || size == 24 || size == 32 ? SW_OK : SW_WRONG_DATA;
    if (!softcard_key_type_is_des(type)) return SW_ALGORITHM;
    return size == 16 || size == 24 ? SW_OK : SW_WRONG_DATA;
}

static size_t padded_size(size_t size, size_t block)
{
    return (size + block - 1) / block * block;
}

const softcard_key *softcard_key_find(const softcard_key_set *set, uint8_t identifier)
{
    for (size_t i = 0; i < set->key_count; i++)
        if (set->keys[i].identifier == identifier) return &set->keys[i];
    return NULL;
}

softcard_key_set *softcard_key_set_find(softcard_application *domain, uint8_t version)
{
    for (size_t i = 0; i < domain->key_set_count; i++)
        if (domain->key_sets[i].version == version) return &domain->key_sets[i];
    return NULL;
}

uint8_t softcard_key_set_protocol(const softcard_key_set *set)
{
    size_t des = 0;
    size_t aes = 0;
    size_t size = 0;
    static const uint8_t roles[] = {SOFTCARD_KEY_ENC, SOFTCARD_KEY_MAC, SOFTCARD_KEY_DEK};
    for (size_t i = 0; i < sizeof roles; i++) {
        const softcard_key *key = softcard_key_find(set, roles[i]);
        if (key == NULL) return 0;
        if (size != 0 && kf_secret_size(key->value) != size) return 0;
        size = kf_secret_size(key->value);
        des += softcard_key_type_is_des(key->type);
        aes += key->type == SOFTCARD_KEY_TYPE_AES;
    }
    if (aes == sizeof roles) return SOFTCARD_SCP03;
    return des == sizeof roles && size == SCP02_KEY_SIZE ? SOFTCARD_SCP02 : 0;
}

static bool can_open_channel(const softcard_application *domain, const softcard_key_set *set)
{
    switch (softcard_key_set_protocol(set)) {
    case SOFTCARD_SCP02: return (domain->protocols & SOFTCARD_HAS_SCP02) != 0;
    case SOFTCARD_SCP03: return (domain->protocols & SOFTCARD_HAS_SCP03) != 0;
    default: return false;
    }
}

softcard_key_set *softcard_key_set_for_channel(softcard_application *domain, uint8_t version)
{
    for (size_t i = 0; i < domain->key_set_count; i++) {
        softcard_key_set *set = &domain->key_sets[i];
        if ((version == 0 || set->version == version) && can_open_channel(domain, set)) return set;
    }
    return NULL;
}

static void clear_set(softcard_key_set *set)
{
    for (size_t i = 0; i < set->key_count; i++)
        kf_secret_free(&set->keys[i].value);
    memset(set, 0, sizeof *set);
}

static void remove_set(softcard_application *domain, softcard_key_set *set)
{
    size_t index = (size_t)(set - domain->key_sets);
    clear_set(set);
    size_t behind = domain->key_set_count - index - 1;
    memmove(set, set + 1, behind * sizeof *set);
    domain->key_set_count--;
    memset(&domain->key_sets[domain->key_set_count], 0, sizeof *set);
}

void softcard_new_keys_clear(softcard_new_keys *keys)
{
    for (size_t i = 0; i < SOFTCARD_KEYS_MAX; i++)
        kf_secret_free(&keys->keys[i].value);
    keys->count = 0;
}

static kf_code decrypt_key(kf_cipher *key_encryption, kf_view cryptogram, uint8_t *ret_plain)
{
    if (kf_cipher_algorithm(key_encryption) == KF_TDES)
        return kf_cipher_decrypt_blocks(key_encryption, cryptogram, ret_plain);
    return kf_cipher_cbc_decrypt(key_encryption, NULL, cryptogram, ret_plain);
}

softcard_status softcard_new_key_add(softcard_new_keys *keys, kf_cipher *key_encryption,
                                     const softcard_key_cryptogram *arrived)
{
    if (keys->count == SOFTCARD_KEYS_MAX) return SW_NO_SPACE;
    softcard_status status = softcard_key_type_check(arrived->type, arrived->size);
    if (status != SW_OK) return status;
    if (key_encryption == NULL) return SW_CONDITIONS;
    if (arrived->data.size != padded_size(arrived->size, kf_cipher_block_size(key_encryption)))
        return SW_WRONG_DATA;
    if (arrived->identifier == 0 || arrived->identifier > VERSION_MAX) return SW_WRONG_DATA;
    KF_CLEANUP(kf_wipe_block32) uint8_t plain[KEY_SIZE_MAX];
    if (decrypt_key(key_encryption, arrived->data, plain) != KF_OK) return SW_INTERNAL;
    softcard_key *key = &keys->keys[keys->count];
    *key = (softcard_key){.identifier = arrived->identifier, .type = arrived->type};
    if (kf_secret_new(kf_view_of(plain, arrived->size), &key->value) != KF_OK) return SW_INTERNAL;
    keys->count++;
    return SW_OK;
}

static softcard_status add_keys(softcard_new_keys *keys, softcard_application *domain)
{
    softcard_key_set *set = softcard_key_set_find(domain, keys->version);
    softcard_key_set *initial = softcard_key_set_find(domain, SOFTCARD_KEY_VERSION_INITIAL);
    if (set != NULL) {
        if (set->key_count + keys->count > SOFTCARD_KEYS_MAX) return SW_NO_SPACE;
        for (size_t i = 0; i < keys->count; i++)
            if (softcard_key_find(set, keys->keys[i].identifier) != NULL) return SW_WRONG_DATA;
    } else {
        if (initial == NULL && domain->key_set_count == SOFTCARD_KEY_SETS_MAX) return SW_NO_SPACE;
    }
    if (initial != NULL) {
        remove_set(domain, initial);
        set = softcard_key_set_find(domain, keys->version);
    }
    if (set == NULL) {
        set = &domain->key_sets[domain->key_set_count++];
        set->version = keys->version;
    }
    for (size_t i = 0; i < keys->count; i++) {
        set->keys[set->key_count++] = keys->keys[i];
        keys->keys[i].value = NULL;
    }
    return SW_OK;
}

/* 11.8.2.3.3: the keys of one command are replaced together or not at all; algorithm and size stay. A set
 * that gets another version number is replaced as a whole. */
static softcard_status replace_keys(softcard_new_keys *keys, softcard_application *domain)
{
    softcard_key_set *set = softcard_key_set_find(domain, keys->replaced_version);
    if (set == NULL) return SW_REFERENCE_NOT_FOUND;
    if (keys->version != keys->replaced_version) {
        if (softcard_key_set_find(domain, keys->version) != NULL) return SW_WRONG_DATA;
        if (keys->count != set->key_count) return SW_WRONG_DATA;
    }
    for (size_t i = 0; i < keys->count; i++) {
        const softcard_key *present = softcard_key_find(set, keys->keys[i].identifier);
        if (present == NULL) return SW_REFERENCE_NOT_FOUND;
        if (present->type != keys->keys[i].type ||
            kf_secret_size(present->value) != kf_secret_size(keys->keys[i].value))
            return SW_WRONG_DATA;
    }
    for (size_t i = 0; i < keys->count; i++) {
        for (size_t place = 0; place < set->key_count; place++) {
            if (set->keys[place].identifier != keys->keys[i].identifier) continue;
            kf_secret_free(&set->keys[place].value);
            set->keys[place] = keys->keys[i];
            keys->keys[i].value = NULL;
        }
    }
    set->version = keys->version;
    set->sequence_counter = 0;
    set->failures = 0;
    memset(set->remote_counter, 0, sizeof set->remote_counter);
    return SW_OK;
}

softcard_status softcard_new_keys_commit(softcard_new_keys *keys, softcard_application *domain)
{
    if (keys->count == 0 || keys->version == 0 || keys->version > VERSION_MAX) return SW_WRONG_DATA;
    for (size_t i = 0; i < keys->count; i++)
        for (size_t other = i + 1; other < keys->count; other++)
            if (keys->keys[i].identifier == keys->keys[other].identifier) return SW_WRONG_DATA;
    softcard_status status =
        keys->replaced_version == 0 ? add_keys(keys, domain) : replace_keys(keys, domain);
    if (status == SW_OK && domain->kind == SOFTCARD_DOMAIN && domain->life_cycle == SOFTCARD_SELECTABLE)
        domain->life_cycle = SOFTCARD_PERSONALIZED;
    return status;
}

/* 11.2.2.3.2: by version and identifier, or a whole version. The issuer's last set stays: without it the card
 * could never be opened again. */
softcard_status softcard_key_sets_delete(softcard_application *domain, uint8_t version, uint8_t identifier)
{
    softcard_key_set *set = softcard_key_set_find(domain, version);
    if (set == NULL) return SW_REFERENCE_NOT_FOUND;
    bool last = domain->key_set_count == 1 && domain->kind == SOFTCARD_ISSUER_DOMAIN;
    if (last) return SW_CONDITIONS;
    if (identifier == 0) {
        remove_set(domain, set);
        return SW_OK;
    }
    for (size_t i = 0; i < set->key_count; i++) {
        if (set->keys[i].identifier != identifier) continue;
        kf_secret_free(&set->keys[i].value);
        memmove(&set->keys[i], &set->keys[i + 1], (set->key_count - i - 1) * sizeof set->keys[0]);
        set->key_count--;
        memset(&set->keys[set->key_count], 0, sizeof set->keys[0]);
        if (set->key_count == 0) remove_set(domain, set);
        return SW_OK;
    }
    return SW_REFERENCE_NOT_FOUND;
}

/* Card makers' tools write a key in two ways: with the clear length before the cryptogram (Amendment D 7.2:
 * `88 11 10 …`), and without (`88 10 …`, `80 10 …`). */
static void split_key_data(kf_view field, size_t block, softcard_key_cryptogram *arrived)
{
    arrived->size = field.size;
    arrived->data = field;
    if (field.size % block != 1) return;
    arrived->size = field.data[0];
    arrived->data = kf_view_part(field, 1, field.size - 1);
}

kf_code softcard_key_check_value(const softcard_key *key, kf_buffer *output)
{
    kf_kcv value;
    KF_TRY(kf_kcv_compute(softcard_key_algorithm(key->type), key->value, KF_KCV_GLOBALPLATFORM, &value));
    kf_buffer_append_bytes(output, value.bytes, sizeof value.bytes);
    return kf_buffer_status(output);
}

static softcard_status check_key_check_value(const softcard_key *key, kf_view given)
{
    if (given.size == 0) return SW_OK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
    if (softcard_key_check_value(key, &value) != KF_OK) return SW_INTERNAL;
    return kf_view_equal(given, kf_buffer_view(&value)) ? SW_OK : SW_CHECK_VALUE;
}

/* One key data field (11.8.2.3.1): type, length, data, length of the check value, check value. */
static softcard_status read_key(kf_cursor *cursor, uint8_t identifier, kf_cipher *key_encryption,
                                softcard_new_keys *keys)
{
    softcard_key_cryptogram arrived = {.identifier = identifier};
    kf_view field;
    kf_view check_value;
    if (kf_cursor_u8(cursor, &arrived.type) != KF_OK || softcard_counted_next(cursor, &field) != KF_OK ||
        softcard_counted_next(cursor, &check_value) != KF_OK)
        return SW_WRONG_DATA;
    if (key_encryption == NULL) return SW_CONDITIONS;
    split_key_data(field, kf_cipher_block_size(key_encryption), &arrived);
    softcard_status status = softcard_new_key_add(keys, key_encryption, &arrived);
    if (status == SW_OK) status = check_key_check_value(&keys->keys[keys->count - 1], check_value);
    return status;
}

softcard_status softcard_put_key(softcard_request *request)
{
    const softcard_command *command = &request->command;
    bool several = (command->p2 & 0x80U) != 0;
    uint8_t identifier = command->p2 & 0x7FU;
    /* A key that goes on in a further command (b8 of P1) would be longer than any that this card takes. */
    if ((command->p1 & 0x80U) != 0 || identifier == 0) return SW_WRONG_P1P2;
    KF_CLEANUP(softcard_new_keys_clear) softcard_new_keys keys = {.replaced_version = command->p1};
    kf_cursor cursor = kf_cursor_of(command->data);
    if (kf_cursor_u8(&cursor, &keys.version) != KF_OK) return SW_WRONG_DATA;
    do {
        softcard_status status =
            read_key(&cursor, identifier, request->channel->secure.key_encryption, &keys);
        if (status != SW_OK) return status;
        identifier++;
    } while (several && !kf_cursor_at_end(&cursor));
    if (!kf_cursor_at_end(&cursor)) return SW_WRONG_DATA;
    kf_buffer_append_u8(request->response, keys.version);
    for (size_t i = 0; i < keys.count; i++)
        if (softcard_key_check_value(&keys.keys[i], request->response) != KF_OK) return SW_INTERNAL;
    return softcard_new_keys_commit(&keys, request->application);
}

void softcard_key_information(const softcard_application *domain, kf_buffer *output)
{
    for (size_t i = 0; i < domain->key_set_count; i++) {
        const softcard_key_set *set = &domain->key_sets[i];
        for (size_t key = 0; key < set->key_count; key++) {
            const uint8_t structure[] = {0xC0,
                                         4,
                                         set->keys[key].identifier,
                                         set->version,
                                         set->keys[key].type,
                                         (uint8_t)kf_secret_size(set->keys[key].value)};
            kf_buffer_append(output, KF_VIEW(structure));
        }
    }
}
