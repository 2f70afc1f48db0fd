#include "vault/key_store.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "vault/derivation_cap.h"
#include "vault/key_store_state.h"
#include "vault/protocol.h"

void kf_vault_keys_clear(kf_vault_keys *keys)
{
    kf_secret_free(&keys->box_private);
    kf_secret_free(&keys->record);
    kf_secret_free(&keys->receipt);
    kf_secret_free(&keys->audit);
}

kf_code kf_key_state_put(const kf_vault_keys *own, const kf_key_table *table, const kf_key_custody *custody,
                         kf_buffer *plain)
{
    kf_buffer_append_u8(plain, KF_MESSAGE_VERSION);
    kf_buffer_append(plain, kf_secret_expose(own->box_private));
    kf_buffer_append(plain, kf_secret_expose(own->record));
    kf_buffer_append(plain, kf_secret_expose(own->receipt));
    kf_buffer_append(plain, kf_secret_expose(own->audit));
    kf_key_table_put(table, custody, plain);
    return kf_buffer_status(plain);
}

static kf_code take_own_key(kf_cursor *cursor, kf_secret **ret_key)
{
    kf_view bytes;
    KF_TRY(kf_cursor_take(cursor, KF_VAULT_KEY_SIZE, &bytes));
    return kf_secret_new(bytes, ret_key);
}

static kf_code take_own_keys(kf_cursor *cursor, kf_vault_keys *own)
{
    KF_TRY(kf_message_take_version(cursor));
    KF_TRY(take_own_key(cursor, &own->box_private));
    KF_TRY(take_own_key(cursor, &own->record));
    KF_TRY(take_own_key(cursor, &own->receipt));
    return take_own_key(cursor, &own->audit);
}

kf_code kf_key_state_take(kf_view plain, const kf_key_custody *custody, kf_vault_keys *ret_own,
                          kf_key_table *ret_table, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(plain);
    kf_vault_keys own = {NULL, NULL, NULL, NULL};
    kf_key_table table = {.records = NULL};
    kf_code code = take_own_keys(&cursor, &own);
    if (code == KF_OK) code = kf_key_table_take(&cursor, custody, &table, error);
    if (code == KF_OK) code = kf_message_end(&cursor);
    if (code != KF_OK) {
        kf_vault_keys_clear(&own);
        kf_key_table_free(&table, custody);
        return kf_fail_plain(error, code);
    }
    *ret_own = own;
    *ret_table = table;
    return KF_OK;
}

static kf_code persist(kf_key_store *store, const kf_key_table *table, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = kf_buffer_with_limit(KF_SEALED_FILE_MAX);
    KF_TRY(kf_fail_plain(error, kf_key_state_put(&store->own, table, store->custody, &plain)));
    return kf_key_journal_write(&store->journal, kf_buffer_view(&plain), error);
}

kf_code kf_key_store_commit(kf_key_store *store, kf_key_table *draft, kf_error *error)
{
    draft->revision = store->table.revision + 1;
    kf_code code = persist(store, draft, error);
    if (code != KF_OK) {
        kf_key_table_drop(draft);
        return code;
    }
    kf_key_table_drop(&store->table);
    store->table = *draft;
    return KF_OK;
}

static kf_code make_state(kf_key_store *store, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_box_new(store->box_public, &store->own.box_private)));
    KF_TRY(kf_fail_plain(error, kf_random_secret(KF_VAULT_KEY_SIZE, &store->own.record)));
    KF_TRY(kf_fail_plain(error, kf_random_secret(KF_VAULT_KEY_SIZE, &store->own.receipt)));
    KF_TRY(kf_fail_plain(error, kf_random_secret(KF_VAULT_KEY_SIZE, &store->own.audit)));
    store->table.records = calloc(1, sizeof(kf_key_record *));
    if (store->table.records == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_key_entry group = {.category = KF_CATEGORY_DEFAULT,
                          .purpose = KF_PURPOSE_GROUP,
                          .algorithm = KF_AES,
                          .size = KF_SEAL_KEY_SIZE,
                          .state = KF_KEY_ACTIVE};
    const kf_key_entry *added;
    return kf_key_store_add(store, &group, NULL, 0, &added, error);
}

static kf_code load_state(kf_key_store *store, kf_view plain, kf_error *error)
{
    KF_TRY(kf_key_state_take(plain, store->custody, &store->own, &store->table, error));
    return kf_fail_plain(error, kf_box_public(store->own.box_private, store->box_public));
}

kf_code kf_key_store_open(kf_key_slots *slots, const kf_secret *passphrase, kf_passphrase_cost cost_of_new,
                          kf_key_store **ret_store, kf_error *error)
{
    const kf_key_store_terms terms = {passphrase, cost_of_new, NULL};
    return kf_key_store_open_with(slots, &terms, ret_store, error);
}

kf_code kf_key_store_open_with(kf_key_slots *slots, const kf_key_store_terms *terms, kf_key_store **ret_store,
                               kf_error *error)
{
    kf_key_store *store = calloc(1, sizeof *store);
    if (store == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    store->custody = terms->custody != NULL ? terms->custody : &kf_key_custody_memory;
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = kf_buffer_with_limit(KF_SEALED_FILE_MAX);
    kf_code code =
        kf_key_journal_open(slots, terms->passphrase, terms->cost_of_new, &store->journal, &plain, error);
    if (code != KF_OK) {
        free(store);
        return code;
    }
    code = plain.size == 0 ? make_state(store, error) : load_state(store, kf_buffer_view(&plain), error);
    if (code != KF_OK) {
        kf_key_store_free(&store);
        return code;
    }
    *ret_store = store;
    return KF_OK;
}

void kf_key_store_free(kf_key_store **store)
{
    if (*store == NULL) return;
    kf_key_table_free(&(*store)->table, (*store)->custody);
    kf_vault_keys_clear(&(*store)->own);
    kf_key_journal_close(&(*store)->journal);
    kf_derivation_cap_free(&(*store)->cap);
    free(*store);
    *store = NULL;
}

uint64_t kf_key_store_revision(const kf_key_store *store)
{
    return store->table.revision;
}

size_t kf_key_store_count(const kf_key_store *store)
{
    return store->table.count;
}

const kf_key_entry *kf_key_store_at(const kf_key_store *store, size_t index)
{
    return index < store->table.count ? &store->table.records[index]->entry : NULL;
}

static bool is_in_force(const kf_key_entry *entry, uint64_t now_seconds)
{
    return entry->state == KF_KEY_ACTIVE && entry->valid_from <= now_seconds &&
           (entry->valid_until == 0 || now_seconds < entry->valid_until);
}

const kf_key_entry *kf_key_store_find(const kf_key_store *store, kf_key_purpose purpose, const char *category,
                                      uint32_t version, uint64_t now_seconds)
{
    const kf_key_table *table = &store->table;
    if (version != 0) {
        const kf_key_record *record = kf_key_table_find(table, purpose, category, version);
        return record != NULL ? &record->entry : NULL;
    }
    const kf_key_entry *newest = NULL;
    for (size_t i = kf_key_table_position(table, purpose, category, 1); i < table->count; i++) {
        const kf_key_entry *entry = &table->records[i]->entry;
        if (entry->purpose != purpose || strcmp(entry->category, category) != 0) break;
        if (is_in_force(entry, now_seconds)) newest = entry;
    }
    return newest;
}

uint32_t kf_key_store_latest(const kf_key_store *store, kf_key_purpose purpose, const char *category)
{
    const kf_key_table *table = &store->table;
    size_t behind = kf_key_table_position(table, purpose, category, UINT32_MAX);
    if (behind == 0) return 0;
    const kf_key_entry *entry = &table->records[behind - 1]->entry;
    return entry->purpose == purpose && strcmp(entry->category, category) == 0 ? entry->version : 0;
}

/* An entry that was given out is the first member of its record; the table says whether it is one of ours. */
static kf_key_record *record_of(const kf_key_store *store, const kf_key_entry *entry)
{
    kf_key_record *record = kf_key_table_find(&store->table, entry->purpose, entry->category, entry->version);
    return record != NULL && &record->entry == entry ? record : NULL;
}

static kf_code derive(kf_key_store *store, const kf_key_entry *entry, kf_key_derivation *derivation,
                      kf_secret *ret_keys[KF_KEY_ROLES_MAX], kf_error *error)
{
    const kf_key_record *record = record_of(store, entry);
    if (record == NULL) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    if (record->diversification == NULL)
        return kf_fail(error, KF_ERR_KEY_POLICY, "%s makes no card keys", kf_key_label_of(entry).text);
    if (entry->state != KF_KEY_ACTIVE && entry->state != KF_KEY_DEACTIVATED)
        return kf_fail(error, KF_ERR_KEY_POLICY, "base key %s is %s: no key is derived from it",
                       kf_key_label_of(entry).text, kf_key_state_name(entry->state));
    if (store->cap != NULL) KF_TRY(kf_derivation_cap_take(store->cap, error));
    derivation->diversification = record->diversification;
    derivation->algorithm = entry->algorithm;
    derivation->size = entry->size;
    return store->custody->derive(store->custody->context, record->material, derivation, ret_keys, error);
}

kf_code kf_key_store_derive(kf_key_store *store, const kf_key_entry *entry, kf_fields fields,
                            kf_key_role role, kf_secret **ret_key, kf_error *error)
{
    kf_secret *keys[KF_KEY_ROLES_MAX] = {NULL};
    kf_key_derivation derivation = {.fields = fields, .role_count = 1, .roles = {role}};
    KF_TRY(derive(store, entry, &derivation, keys, error));
    *ret_key = keys[0];
    return KF_OK;
}

kf_code kf_key_store_derive_set(kf_key_store *store, const kf_key_entry *entry, kf_fields fields,
                                kf_secret *ret_keys[3], kf_error *error)
{
    kf_key_derivation derivation = {
        .fields = fields, .role_count = 3, .roles = {KF_ROLE_ENC, KF_ROLE_MAC, KF_ROLE_DEK}};
    return derive(store, entry, &derivation, ret_keys, error);
}

void kf_key_store_cap_derivations(kf_key_store *store, struct kf_derivation_cap *cap)
{
    kf_derivation_cap_free(&store->cap);
    store->cap = cap;
}

kf_code kf_key_store_check_room(const kf_key_store *store, bool begun, kf_error *error)
{
    return store->cap != NULL ? kf_derivation_cap_check_room(store->cap, begun, error) : KF_OK;
}

bool kf_derivation_fault_passes(kf_code code)
{
    return (int)code < 0 || code == KF_ERR_RATE;
}

const kf_diversification *kf_key_store_diversification(const kf_key_store *store, const kf_key_entry *entry)
{
    const kf_key_record *record = record_of(store, entry);
    return record != NULL ? record->diversification : NULL;
}

const kf_secret *kf_key_store_group_key(const kf_key_store *store, uint32_t version, uint32_t *ret_version)
{
    const kf_key_table *table = &store->table;
    const kf_key_record *record = NULL;
    uint32_t latest = kf_key_store_latest(store, KF_PURPOSE_GROUP, KF_CATEGORY_DEFAULT);
    for (uint32_t i = version != 0 ? version : latest; i > 0 && record == NULL; i--) {
        record = kf_key_table_find(table, KF_PURPOSE_GROUP, KF_CATEGORY_DEFAULT, i);
        if (version != 0) break;
        if (record != NULL && record->entry.state != KF_KEY_ACTIVE) record = NULL;
    }
    if (record == NULL || record->material == NULL || record->entry.state == KF_KEY_SUSPENDED) return NULL;
    if (ret_version != NULL) *ret_version = record->entry.version;
    return store->custody->borrow(store->custody->context, record->material);
}

const kf_secret *kf_key_store_record_key(const kf_key_store *store)
{
    return store->own.record;
}

const kf_secret *kf_key_store_receipt_key(const kf_key_store *store)
{
    return store->own.receipt;
}

const kf_secret *kf_key_store_audit_seed(const kf_key_store *store)
{
    return store->own.audit;
}

const kf_secret *kf_key_store_box_private(const kf_key_store *store)
{
    return store->own.box_private;
}

const uint8_t *kf_key_store_box_public(const kf_key_store *store)
{
    return store->box_public;
}

kf_view kf_key_store_section(const kf_key_store *store, kf_key_section section)
{
    return kf_buffer_view(&store->table.sections[section]);
}

uint64_t kf_key_store_peer_revision(const kf_key_store *store, const char *peer)
{
    return kf_key_table_peer(&store->table, peer);
}

const kf_key_peer *kf_key_store_peers(const kf_key_store *store, size_t *ret_count)
{
    *ret_count = store->table.peer_count;
    return store->table.peers;
}

kf_code kf_key_store_expose_key(const kf_key_store *store, const kf_key_entry *entry, kf_secret **ret_key,
                                kf_error *error)
{
    const kf_key_record *record = record_of(store, entry);
    if (record == NULL) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    if (record->material == NULL)
        return kf_fail(error, KF_ERR_KEY_POLICY, "base key %s is destroyed", kf_key_label_of(entry).text);
    return store->custody->expose(store->custody->context, record->material, ret_key, error);
}

bool kf_key_store_has_token(const kf_key_store *store)
{
    return store->custody->wrap != NULL;
}

/* Both records, neither destroyed. */
static kf_code find_pair(const kf_key_store *store, const kf_key_entry *transport, const kf_key_entry *entry,
                         const kf_key_record *ret_records[2], kf_error *error)
{
    const kf_key_entry *const entries[2] = {transport, entry};
    for (size_t i = 0; i < 2; i++) {
        ret_records[i] = record_of(store, entries[i]);
        if (ret_records[i] == NULL) return kf_fail_plain(error, KF_ERR_ARGUMENT);
        if (ret_records[i]->material == NULL)
            return kf_fail(error, KF_ERR_KEY_POLICY, "base key %s is destroyed",
                           kf_key_label_of(entries[i]).text);
    }
    return KF_OK;
}

kf_code kf_key_store_wrap(const kf_key_store *store, const kf_key_entry *transport, const kf_key_entry *entry,
                          kf_buffer *wrapped, kf_error *error)
{
    const kf_key_record *records[2];
    const kf_key_custody *custody = store->custody;
    KF_TRY(find_pair(store, transport, entry, records, error));
    if (custody->wrap == NULL) return kf_fail_plain(error, KF_ERR_UNSUPPORTED);
    return custody->wrap(custody->context, records[0]->material, records[1]->material, wrapped, error);
}

kf_code kf_key_store_authenticate(const kf_key_store *store, const kf_key_entry *transport, kf_view message,
                                  uint8_t *ret_mac, kf_error *error)
{
    const kf_key_record *records[2];
    const kf_key_custody *custody = store->custody;
    KF_TRY(find_pair(store, transport, transport, records, error));
    if (custody->authenticate == NULL) return kf_fail_plain(error, KF_ERR_UNSUPPORTED);
    return custody->authenticate(custody->context, records[0]->material, message, ret_mac, error);
}

kf_code kf_key_store_translate(const kf_key_store *store, const kf_key_entry *transport,
                               const kf_key_entry *entry, kf_secret **ret_key, kf_error *error)
{
    const kf_key_record *records[2];
    const kf_key_custody *custody = store->custody;
    KF_TRY(find_pair(store, transport, entry, records, error));
    return custody->translate(custody->context, records[0]->material, records[1]->material, ret_key, error);
}
