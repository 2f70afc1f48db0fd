/* Backups: the whole state under a passphrase of their own. The box key stays with the machine; all others
 * come back. */
#include "vault/key_store_state.h"

#define BACKUP_MAGIC "KFBACK01"

kf_code kf_key_store_backup(const kf_key_store *store, const kf_secret *passphrase, kf_passphrase_cost cost,
                            kf_buffer *sealed, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = kf_buffer_with_limit(KF_SEALED_FILE_MAX);
    KF_TRY(kf_fail_plain(error, kf_key_state_put(&store->own, &store->table, store->custody, &plain)));
    KF_CLEANUP(kf_key_seal_clear) kf_key_seal seal = {.key = NULL};
    KF_TRY(kf_fail_plain(error, kf_key_seal_new(passphrase, cost, &seal)));
    return kf_fail_plain(error, kf_key_seal_close(&seal, BACKUP_MAGIC, store->journal.sequence,
                                                  kf_buffer_view(&plain), sealed));
}

/* A store that never held a base key: all it has is the group key it made itself. */
static bool is_empty(const kf_key_store *store)
{
    for (size_t i = 0; i < store->table.count; i++)
        if (store->table.records[i]->entry.purpose != KF_PURPOSE_GROUP) return false;
    return true;
}

/* Which proposals were acted on is the machine's own history, as its box key is, which they are bound to. A
 * backup from before there were officers does not do away with them. */
static kf_code keep_own_sections(const kf_key_store *store, kf_key_table *table)
{
    static const kf_key_section kept[] = {KF_SECTION_PROPOSALS, KF_SECTION_ROSTER};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        kf_buffer *section = &table->sections[kept[i]];
        if (kept[i] == KF_SECTION_ROSTER && section->size > 0) continue;
        kf_buffer_truncate(section, 0);
        kf_buffer_append(section, kf_buffer_view(&store->table.sections[kept[i]]));
        KF_TRY(kf_buffer_status(section));
    }
    return KF_OK;
}

static kf_code put_in_place(kf_key_store *store, kf_vault_keys *own, kf_key_table *table, kf_error *error)
{
    kf_key_table old_table = store->table;
    kf_vault_keys old_own = store->own;
    kf_secret_free(&own->box_private);
    own->box_private = old_own.box_private;
    store->own = *own;
    store->table = (kf_key_table){.revision = table->revision};
    kf_code code = kf_key_store_commit(store, table, error);
    if (code != KF_OK) {
        store->table = old_table;
        store->own = old_own;
        own->box_private = NULL;
        return code;
    }
    kf_key_table_free(&old_table, store->custody);
    kf_secret_free(&old_own.record);
    kf_secret_free(&old_own.receipt);
    kf_secret_free(&old_own.audit);
    *own = (kf_vault_keys){NULL, NULL, NULL, NULL};
    return KF_OK;
}

kf_code kf_key_store_restore(kf_key_store *store, const kf_secret *passphrase, kf_view sealed,
                             kf_error *error)
{
    if (!is_empty(store))
        return kf_fail(error, KF_ERR_CONFLICT,
                       "this vault holds keys already: a backup is restored onto an empty one only");
    kf_sealed_content content;
    kf_code code = kf_key_seal_open(passphrase, NULL, BACKUP_MAGIC, sealed, &content);
    if (code == KF_ERR_AUTHENTICATION)
        return kf_fail(error, code,
                       "the backup does not open: the passphrase is another one, or the file was changed");
    if (code > 0)
        return kf_fail(error, code, "the file is no backup of a key store: %s", kf_code_meaning(code));
    KF_TRY(kf_fail_plain(error, code));
    kf_vault_keys own;
    kf_key_table table;
    code = kf_key_state_take(kf_buffer_view(&content.plain), store->custody, &own, &table, error);
    kf_sealed_content_clear(&content);
    KF_TRY(code);
    code = kf_fail_plain(error, keep_own_sections(store, &table));
    if (code != KF_OK) {
        kf_key_table_free(&table, store->custody);
        kf_vault_keys_clear(&own);
        return code;
    }
    /* A draft is dropped on failure, its records are not: they are kept to be freed here. */
    kf_key_table draft;
    code = kf_fail_plain(error, kf_key_table_draft(&table, &draft));
    if (code == KF_OK) code = put_in_place(store, &own, &draft, error);
    if (code != KF_OK)
        kf_key_table_free(&table, store->custody);
    else
        kf_key_table_drop(&table);
    kf_vault_keys_clear(&own);
    return code;
}
