#include "vault/key_table.h"

#include <stdlib.h>
#include <string.h>

#include "vault/key_messages.h"

kf_code kf_key_table_draft(const kf_key_table *table, kf_key_table *ret_draft)
{
    kf_key_table draft = *table;
    draft.records = calloc(table->count + 1, sizeof *draft.records);
    if (draft.records == NULL) return KF_ERR_MEMORY;
    for (size_t i = 0; i < table->count; i++)
        draft.records[i] = table->records[i];
    *ret_draft = draft;
    return KF_OK;
}

void kf_key_table_drop(kf_key_table *table)
{
    free(table->records);
    table->records = NULL;
    table->count = 0;
}

static int compare(const kf_key_entry *entry, kf_key_purpose purpose, const char *category, uint32_t version)
{
    if (entry->purpose != purpose) return entry->purpose < purpose ? -1 : 1;
    int order = strcmp(entry->category, category);
    if (order != 0) return order;
    if (entry->version != version) return entry->version < version ? -1 : 1;
    return 0;
}

size_t kf_key_table_position(const kf_key_table *table, kf_key_purpose purpose, const char *category,
                             uint32_t version)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&table->records[middle]->entry, purpose, category, version) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

kf_key_record *kf_key_table_find(const kf_key_table *table, kf_key_purpose purpose, const char *category,
                                 uint32_t version)
{
    size_t position = kf_key_table_position(table, purpose, category, version);
    if (position == table->count) return NULL;
    kf_key_record *record = table->records[position];
    return compare(&record->entry, purpose, category, version) == 0 ? record : NULL;
}

kf_code kf_key_table_insert(kf_key_table *draft, kf_key_record *record)
{
    const kf_key_entry *entry = &record->entry;
    if (draft->count >= KF_KEY_STORE_ENTRIES_MAX) return KF_ERR_KEY_STORE;
    size_t position = kf_key_table_position(draft, entry->purpose, entry->category, entry->version);
    for (size_t i = draft->count; i > position; i--)
        draft->records[i] = draft->records[i - 1];
    draft->records[position] = record;
    draft->count++;
    return KF_OK;
}

void kf_key_table_replace(kf_key_table *draft, const kf_key_record *old, kf_key_record *record)
{
    for (size_t i = 0; i < draft->count; i++)
        if (draft->records[i] == old) draft->records[i] = record;
}

uint64_t kf_key_table_peer(const kf_key_table *table, const char *name)
{
    for (size_t i = 0; i < table->peer_count; i++)
        if (strcmp(table->peers[i].name, name) == 0) return table->peers[i].revision;
    return 0;
}

kf_code kf_key_table_set_peer(kf_key_table *draft, const char *name, uint64_t revision)
{
    size_t i = 0;
    while (i < draft->peer_count && strcmp(draft->peers[i].name, name) != 0)
        i++;
    if (i == KF_KEY_PEERS_MAX) return KF_ERR_KEY_STORE;
    if (i == draft->peer_count) {
        strncpy(draft->peers[i].name, name, sizeof draft->peers[i].name - 1);
        draft->peer_count++;
    }
    draft->peers[i].revision = revision;
    return KF_OK;
}

kf_code kf_key_record_new(const kf_key_entry *entry, void *material, kf_key_record **ret_record,
                          kf_error *error)
{
    kf_key_record *record = calloc(1, sizeof *record);
    if (record == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    record->entry = *entry;
    if (entry->policy.diversification[0] != '\0') {
        kf_code code =
            kf_diversification_parse(entry->policy.diversification, &record->diversification, error);
        if (code != KF_OK) {
            kf_key_record_free(&record);
            return code;
        }
    }
    record->material = material;
    *ret_record = record;
    return KF_OK;
}

void kf_key_record_free(kf_key_record **record)
{
    if (*record == NULL) return;
    kf_diversification_free(&(*record)->diversification);
    free(*record);
    *record = NULL;
}

void kf_key_table_put(const kf_key_table *table, const kf_key_custody *custody, kf_buffer *bytes)
{
    kf_message_put_text(bytes, custody->name);
    kf_buffer_append_u64(bytes, table->revision);
    kf_key_peers_put(bytes, table->peers, table->peer_count);
    kf_buffer_append_u32(bytes, (uint32_t)table->count);
    for (size_t i = 0; i < table->count; i++) {
        const kf_key_record *record = table->records[i];
        kf_key_entry_put(bytes, &record->entry);
        KF_CLEANUP(kf_buffer_clear) kf_buffer material = KF_BUFFER_INIT;
        if (record->material != NULL) custody->encode(custody->context, record->material, &material);
        if (kf_buffer_status(&material) != KF_OK && bytes->status == KF_OK) bytes->status = material.status;
        kf_message_put_blob(bytes, kf_buffer_view(&material));
    }
    for (size_t i = 0; i < KF_SECTIONS; i++)
        kf_message_put_blob(bytes, kf_buffer_view(&table->sections[i]));
}

static kf_code take_record(kf_cursor *bytes, const kf_key_custody *custody, kf_key_table *table,
                           kf_error *error)
{
    kf_key_entry entry;
    kf_view bytes_of_material;
    void *material = NULL;
    KF_TRY(kf_key_entry_take(bytes, &entry));
    KF_TRY(kf_message_take_blob(bytes, KF_SECRET_MAX_SIZE, &bytes_of_material));
    if ((entry.state == KF_KEY_DESTROYED) != (bytes_of_material.size == 0)) return KF_ERR_MALFORMED;
    if (bytes_of_material.size > 0) KF_TRY(custody->decode(custody->context, bytes_of_material, &material));
    kf_key_record *record = NULL;
    kf_code code = kf_key_record_new(&entry, material, &record, error);
    if (code != KF_OK) {
        if (material != NULL) custody->release(custody->context, material);
        return code;
    }
    table->records[table->count] = record;
    table->count++;
    return KF_OK;
}

static kf_code take_sections(kf_cursor *bytes, kf_key_table *table)
{
    for (size_t i = 0; i < KF_SECTIONS; i++) {
        kf_view section;
        KF_TRY(kf_message_take_blob(bytes, KF_KEY_SECTION_MAX, &section));
        kf_buffer_append(&table->sections[i], section);
        KF_TRY(kf_buffer_status(&table->sections[i]));
    }
    return KF_OK;
}

static kf_code take_content(kf_cursor *bytes, const kf_key_custody *custody, kf_key_table *table,
                            kf_error *error)
{
    char name[32];
    uint32_t count;
    KF_TRY(kf_message_take_text(bytes, name, sizeof name));
    if (strcmp(name, custody->name) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE,
                       "the keys are kept by \"%s\", this vault keeps them by \"%s\"", name, custody->name);
    KF_TRY(kf_cursor_u64(bytes, &table->revision));
    KF_TRY(kf_key_peers_take(bytes, table->peers, &table->peer_count));
    KF_TRY(kf_cursor_u32(bytes, &count));
    if (count > KF_KEY_STORE_ENTRIES_MAX) return KF_ERR_MALFORMED;
    table->records = calloc((size_t)count + 1, sizeof *table->records);
    if (table->records == NULL) return KF_ERR_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        KF_TRY(take_record(bytes, custody, table, error));
    return take_sections(bytes, table);
}

kf_code kf_key_table_take(kf_cursor *bytes, const kf_key_custody *custody, kf_key_table *ret_table,
                          kf_error *error)
{
    kf_key_table table;
    memset(&table, 0, sizeof table);
    kf_code code = take_content(bytes, custody, &table, error);
    if (code != KF_OK) {
        kf_key_table_free(&table, custody);
        return kf_fail_plain(error, code);
    }
    *ret_table = table;
    return KF_OK;
}

void kf_key_table_free(kf_key_table *table, const kf_key_custody *custody)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->records[i]->material != NULL)
            custody->release(custody->context, table->records[i]->material);
        kf_key_record_free(&table->records[i]);
    }
    for (size_t i = 0; i < KF_SECTIONS; i++)
        kf_buffer_clear(&table->sections[i]);
    kf_key_table_drop(table);
}
