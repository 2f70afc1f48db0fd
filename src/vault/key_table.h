/* The key store's state in memory: sorted records, and the revisions of other units. Changes are made to a
 * draft, a copy of the list that shares its records, so that nothing happens until the draft is durable. */
#ifndef KEYFILL_VAULT_KEY_TABLE_H
#define KEYFILL_VAULT_KEY_TABLE_H

#include "vault/key_custody.h"
#include "vault/key_store.h"

typedef struct kf_key_record {
    kf_key_entry entry; /* first, so that an entry given out leads back to its record */
    void *material;     /* the custody's; NULL once destroyed */
    kf_diversification *diversification;
} kf_key_record;

typedef struct kf_key_table {
    kf_key_record **records; /* by purpose, category, version */
    size_t count;
    kf_key_peer peers[KF_KEY_PEERS_MAX];
    size_t peer_count;
    uint64_t revision;
    kf_buffer sections[KF_SECTIONS];
} kf_key_table;

/* A copy that shares records and sections. */
kf_code kf_key_table_draft(const kf_key_table *table, kf_key_table *ret_draft) KF_MUST_USE;
/* Frees the list alone. */
void kf_key_table_drop(kf_key_table *table);
/* Inserts in order; the draft had room made for one more. */
kf_code kf_key_table_insert(kf_key_table *draft, kf_key_record *record) KF_MUST_USE;
void kf_key_table_replace(kf_key_table *draft, const kf_key_record *old, kf_key_record *record);
/* Where the record is, or would be inserted. */
size_t kf_key_table_position(const kf_key_table *table, kf_key_purpose purpose, const char *category,
                             uint32_t version);
kf_key_record *kf_key_table_find(const kf_key_table *table, kf_key_purpose purpose, const char *category,
                                 uint32_t version);
uint64_t kf_key_table_peer(const kf_key_table *table, const char *name);
/* KF_ERR_KEY_STORE past the cap. */
kf_code kf_key_table_set_peer(kf_key_table *draft, const char *name, uint64_t revision) KF_MUST_USE;

/* A record with its template parsed; takes `material` in success. */
kf_code kf_key_record_new(const kf_key_entry *entry, void *material, kf_key_record **ret_record,
                          kf_error *error) KF_MUST_USE;
/* Frees the record alone, not its material. */
void kf_key_record_free(kf_key_record **record);

void kf_key_table_put(const kf_key_table *table, const kf_key_custody *custody, kf_buffer *bytes);
/* On failure nothing is left behind. */
kf_code kf_key_table_take(kf_cursor *bytes, const kf_key_custody *custody, kf_key_table *ret_table,
                          kf_error *error) KF_MUST_USE;
/* Frees list, records and gives the materials back. */
void kf_key_table_free(kf_key_table *table, const kf_key_custody *custody);

#endif
