#include "softcard/key_sets.h"

#include <string.h>

#include <keyfill/kcv.h>
#include <keyfill/signature.h>

#include "softcard/public_keys.h"

enum { KEY_SIZE_MAX = 64, SCP02_KEY_SIZE = 16, VERSION_MAX = 0x7F };
enum { CHANNEL_VERSION_MAX = 0x6F, PSK_SIZE_MIN = 16 };

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
    if (type == SOFTCARD_KEY_TYPE_PSK)
        return size >= PSK_SIZE_MIN && size <= KEY_SIZE_MAX ? SW_OK : SW_WRONG_DATA;
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
    KF_CLEANUP(kf_wipe_block64) uint8_t plain[KEY_SIZE_MAX];
    if (decrypt_key(key_encryption, arrived->data, plain) != KF_OK) return SW_INTERNAL;
    softcard_key *key = &keys->keys[keys->count];
    *key = (softcard_key){.identifier = arrived->identifier, .type = arrived->type};
    if (kf_secret_new(kf_view_of(plain, arrived->size), &key->value) != KF_OK) return SW_INTERNAL;
    keys->count++;
    return SW_OK;
}

/* What a card maker left ends with the first keys that can open a channel in its place; keys for other
 * purposes (11.1.9) leave it. */
static bool takes_the_initial_place(const softcard_new_keys *keys)
{
    softcard_key_set made = {.key_count = keys->count};
    memcpy(made.keys, keys->keys, sizeof made.keys);
    return keys->version <= CHANNEL_VERSION_MAX && softcard_key_set_protocol(&made) != 0;
}

static softcard_status add_keys(softcard_new_keys *keys, softcard_application *domain)
{
    softcard_key_set *set = softcard_key_set_find(domain, keys->version);
    softcard_key_set *initial =
        takes_the_initial_place(keys) ? softcard_key_set_find(domain, SOFTCARD_KEY_VERSION_INITIAL) : NULL;
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
        bool same_size = kf_secret_size(present->value) == kf_secret_size(keys->keys[i].value);
        if (present->type != keys->keys[i].type ||
            (!same_size && !softcard_key_type_is_public(present->type)))
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

static void remove_key(softcard_application *domain, softcard_key_set *set, size_t place)
{
    kf_secret_free(&set->keys[place].value);
    memmove(&set->keys[place], &set->keys[place + 1], (set->key_count - place - 1) * sizeof set->keys[0]);
    set->key_count--;
    memset(&set->keys[set->key_count], 0, sizeof set->keys[0]);
    if (set->key_count == 0) remove_set(domain, set);
}

static bool remove_key_by_identifier(softcard_application *domain, softcard_key_set *set, uint8_t identifier)
{
    for (size_t i = 0; i < set->key_count; i++) {
        if (set->keys[i].identifier != identifier) continue;
        remove_key(domain, set, i);
        return true;
    }
    return false;
}

static bool opens_a_channel(const softcard_application *domain)
{
    for (size_t i = 0; i < domain->key_set_count; i++)
        if (can_open_channel(domain, &domain->key_sets[i])) return true;
    return false;
}

/* 11.2.2.3.2: by version and identifier, a whole version, or one identifier of all versions. The last keys
 * that open the issuer's channel stay: without them the card could never be opened again. */
softcard_status softcard_key_sets_delete(softcard_application *domain, uint8_t version, uint8_t identifier)
{
    bool found = false;
    for (size_t i = domain->key_set_count; i-- > 0;) {
        softcard_key_set *set = &domain->key_sets[i];
        if (version != 0 && set->version != version) continue;
        if (identifier == 0) {
            remove_set(domain, set);
            found = true;
        } else {
            found = remove_key_by_identifier(domain, set, identifier) || found;
        }
    }
    if (!found) return SW_REFERENCE_NOT_FOUND;
    return domain->kind == SOFTCARD_ISSUER_DOMAIN && !opens_a_channel(domain) ? SW_CONDITIONS : SW_OK;
}

kf_code softcard_key_check_value(const softcard_key *key, kf_buffer *output)
{
    kf_kcv value;
    if (softcard_key_type_is_public(key->type)) return KF_OK;
    if (key->type == SOFTCARD_KEY_TYPE_PSK) {
        /* Amendment B 3.9.1: the beginning of the SHA-1. */
        KF_CLEANUP(kf_buffer_clear) kf_buffer digest = KF_BUFFER_INIT;
        KF_TRY(kf_hash(KF_HASH_SHA1, kf_secret_expose(key->value), &digest));
        kf_buffer_append(output, kf_view_part(kf_buffer_view(&digest), 0, sizeof value.bytes));
        return kf_buffer_status(output);
    }
    KF_TRY(kf_kcv_compute(softcard_key_algorithm(key->type), key->value, KF_KCV_GLOBALPLATFORM, &value));
    kf_buffer_append_bytes(output, value.bytes, sizeof value.bytes);
    return kf_buffer_status(output);
}
