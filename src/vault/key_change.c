/* Changes of the key store: each is made to a draft, made durable, and only then there. */
#include <string.h>

#include "vault/key_store_state.h"

static kf_code unwrap_material(const kf_key_store *store, const kf_key_entry *entry,
                               const kf_arriving_key *source, void **ret_material, kf_error *error)
{
    const kf_key_custody *custody = store->custody;
    const kf_key_entry *transport = source->transport;
    const kf_key_record *record =
        kf_key_table_find(&store->table, transport->purpose, transport->category, transport->version);
    if (record == NULL || record->material == NULL || custody->unwrap == NULL)
        return kf_fail_plain(error, KF_ERR_ARGUMENT);
    return custody->unwrap(custody->context, record->material, entry, source->wrapped, ret_material, error);
}

static kf_code make_material(const kf_key_store *store, const kf_key_entry *entry,
                             const kf_arriving_key *source, void **ret_material, kf_error *error)
{
    const kf_key_custody *custody = store->custody;
    if (source->transport != NULL) return unwrap_material(store, entry, source, ret_material, error);
    if (source->key == NULL) return custody->generate(custody->context, entry, ret_material, error);
    return custody->import(custody->context, entry, source->key, ret_material, error);
}

/* Whether the custody can do what the template asks, before there is a key of it. */
static kf_code check_custody(const kf_key_store *store, const kf_key_entry *entry, kf_error *error)
{
    kf_diversification *parsed = NULL;
    if (entry->policy.diversification[0] != '\0')
        KF_TRY(kf_diversification_parse(entry->policy.diversification, &parsed, error));
    kf_code code = store->custody->check(store->custody->context, entry, parsed, error);
    kf_diversification_free(&parsed);
    return code;
}

static kf_code check_kcv(const kf_key_entry *entry, kf_kcv found, kf_error *error)
{
    if (memcmp(found.bytes, entry->kcv.bytes, KF_KCV_SIZE) == 0) return KF_OK;
    return kf_fail(error, KF_ERR_CHECK_VALUE, "the key of %s has KCV %s, %s was stated",
                   kf_key_label_of(entry).text, kf_kcv_show(found).text, kf_kcv_show(entry->kcv).text);
}

/* A record with a material of its own, from an entry and the key it is to have. */
static kf_code make_record(const kf_key_store *store, kf_key_entry *entry, const kf_arriving_key *source,
                           kf_key_record **ret_record, kf_error *error)
{
    const kf_key_custody *custody = store->custody;
    void *material = NULL;
    kf_kcv kcv;
    if (source->key != NULL && kf_secret_size(source->key) != entry->size)
        return kf_fail(error, KF_ERR_KEY_SIZE, "the key has %zu bytes, %zu were announced",
                       kf_secret_size(source->key), entry->size);
    KF_TRY(check_custody(store, entry, error));
    KF_TRY(make_material(store, entry, source, &material, error));
    kf_code code = custody->check_value(custody->context, material, entry, &kcv, error);
    /* What came over a pair of units states its own. */
    if (code == KF_OK && entry->origin[0] != '\0') code = check_kcv(entry, kcv, error);
    if (code == KF_OK) {
        entry->kcv = kcv;
        code = kf_key_record_new(entry, material, ret_record, error);
    }
    if (code != KF_OK) custody->destroy(custody->context, material);
    return code;
}

static void undo_record(const kf_key_store *store, kf_key_record *record)
{
    if (record->material != NULL) store->custody->destroy(store->custody->context, record->material);
    kf_key_record_free(&record);
}

static kf_code insert_and_commit(kf_key_store *store, kf_key_record *record, kf_error *error)
{
    kf_key_table draft;
    KF_TRY(kf_fail_plain(error, kf_key_table_draft(&store->table, &draft)));
    if (kf_key_table_insert(&draft, record) != KF_OK) {
        kf_key_table_drop(&draft);
        return kf_fail(error, KF_ERR_KEY_STORE, "the key store is full: it holds %d keys",
                       KF_KEY_STORE_ENTRIES_MAX);
    }
    if (record->entry.origin[0] != '\0') {
        kf_code code = kf_key_table_set_peer(&draft, record->entry.origin, record->entry.revision);
        if (code != KF_OK) {
            kf_key_table_drop(&draft);
            return kf_fail(error, code, "the key store knows %d pairs of units already", KF_KEY_PEERS_MAX);
        }
    }
    return kf_key_store_commit(store, &draft, error);
}

static kf_code add_record(kf_key_store *store, kf_key_entry *entry, const kf_arriving_key *source,
                          const kf_key_entry **ret_entry, kf_error *error)
{
    if (kf_key_table_find(&store->table, entry->purpose, entry->category, entry->version) != NULL)
        return kf_fail(error, KF_ERR_CONFLICT, "base key %s exists", kf_key_label_of(entry).text);
    kf_key_record *record = NULL;
    KF_TRY(make_record(store, entry, source, &record, error));
    kf_code code = insert_and_commit(store, record, error);
    if (code != KF_OK) {
        undo_record(store, record);
        return code;
    }
    *ret_entry = &record->entry;
    return KF_OK;
}

kf_code kf_key_store_add(kf_key_store *store, const kf_key_entry *entry, const kf_secret *key,
                         uint64_t now_seconds, const kf_key_entry **ret_entry, kf_error *error)
{
    kf_key_entry made = *entry;
    if (made.version == 0) made.version = kf_key_store_latest(store, made.purpose, made.category) + 1;
    if (made.state != KF_KEY_ACTIVE && made.state != KF_KEY_PRE_ACTIVE)
        return kf_fail(error, KF_ERR_STATE, "a new key is active or pre-active, not %s",
                       kf_key_state_name(made.state));
    KF_TRY(kf_key_policy_check(&made, error));
    made.created = now_seconds;
    made.revision = store->table.revision + 1;
    made.origin[0] = '\0';
    const kf_arriving_key source = {.key = key};
    return add_record(store, &made, &source, ret_entry, error);
}

/* SP 800-57 Part 1, 7.2 and figure 3, without the compromised states. */
static bool may_follow(kf_key_state from, kf_key_state to)
{
    switch (to) {
    case KF_KEY_ACTIVE: return from == KF_KEY_PRE_ACTIVE || from == KF_KEY_SUSPENDED;
    case KF_KEY_SUSPENDED: return from == KF_KEY_ACTIVE;
    case KF_KEY_DEACTIVATED: return from == KF_KEY_ACTIVE || from == KF_KEY_SUSPENDED;
    case KF_KEY_DESTROYED: return from != KF_KEY_DESTROYED;
    case KF_KEY_PRE_ACTIVE: return false;
    }
    return false;
}

/* A key is not said to be destroyed while the token that holds it is away. */
static kf_code check_reach(const kf_key_store *store, const kf_key_entry *entry, kf_error *error)
{
    kf_error reason = {KF_OK, ""};
    kf_code code = store->custody->check(store->custody->context, entry, NULL, &reason);
    return code == KF_ERR_UNAVAILABLE ? kf_fail(error, code, "%s", kf_error_text(&reason)) : KF_OK;
}

/* Puts `entry` in the place of `old`; `remember` names a pair of units whose revision it carries. */
static kf_code replace_record(kf_key_store *store, kf_key_record *old, const kf_key_entry *entry,
                              const kf_key_entry **ret_entry, kf_error *error)
{
    void *material = old->material;
    bool destroyed = entry->state == KF_KEY_DESTROYED;
    kf_key_record *record = NULL;
    if (destroyed && material != NULL) KF_TRY(check_reach(store, &old->entry, error));
    KF_TRY(kf_key_record_new(entry, destroyed ? NULL : material, &record, error));
    kf_key_table draft;
    kf_code code = kf_fail_plain(error, kf_key_table_draft(&store->table, &draft));
    if (code == KF_OK) {
        kf_key_table_replace(&draft, old, record);
        if (entry->origin[0] != '\0' && entry->revision > kf_key_table_peer(&draft, entry->origin))
            code = kf_fail_plain(error, kf_key_table_set_peer(&draft, entry->origin, entry->revision));
        if (code == KF_OK)
            code = kf_key_store_commit(store, &draft, error);
        else
            kf_key_table_drop(&draft);
    }
    if (code != KF_OK) {
        kf_key_record_free(&record);
        return code;
    }
    if (destroyed && material != NULL) store->custody->destroy(store->custody->context, material);
    kf_key_record_free(&old);
    *ret_entry = &record->entry;
    return KF_OK;
}

kf_code kf_key_store_set_state(kf_key_store *store, const kf_key_entry *entry, kf_key_state state,
                               const kf_key_entry **ret_entry, kf_error *error)
{
    kf_key_record *old = kf_key_table_find(&store->table, entry->purpose, entry->category, entry->version);
    if (old == NULL || &old->entry != entry) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    if (entry->origin[0] != '\0' && state != KF_KEY_DESTROYED)
        return kf_fail(error, KF_ERR_STATE,
                       "%s came over %s: change its state at the base key management unit; here it can only "
                       "be destroyed",
                       kf_key_label_of(entry).text, entry->origin);
    if (!may_follow(entry->state, state))
        return kf_fail(error, KF_ERR_STATE, "%s is %s and cannot become %s", kf_key_label_of(entry).text,
                       kf_key_state_name(entry->state), kf_key_state_name(state));
    kf_key_entry changed = *entry;
    changed.state = state;
    if (entry->origin[0] == '\0') changed.revision = store->table.revision + 1;
    return replace_record(store, old, &changed, ret_entry, error);
}

static kf_code accept_again(kf_key_store *store, kf_key_record *old, const kf_key_entry *entry,
                            const kf_key_entry **ret_entry, kf_error *error)
{
    if (strcmp(old->entry.origin, entry->origin) != 0)
        return kf_fail(error, KF_ERR_CONFLICT, "base key %s is here already and did not come over %s",
                       kf_key_label_of(entry).text, entry->origin);
    if (memcmp(old->entry.kcv.bytes, entry->kcv.bytes, KF_KCV_SIZE) != 0 ||
        old->entry.algorithm != entry->algorithm || old->entry.size != entry->size)
        return kf_fail(error, KF_ERR_CONFLICT,
                       "base key %s is here with KCV %s, %s arrived: a version's key never changes",
                       kf_key_label_of(entry).text, kf_kcv_show(old->entry.kcv).text,
                       kf_kcv_show(entry->kcv).text);
    kf_key_entry changed = *entry;
    /* What was destroyed here stays so: its bytes are gone by someone's decision. */
    if (old->entry.state == KF_KEY_DESTROYED) changed.state = KF_KEY_DESTROYED;
    return replace_record(store, old, &changed, ret_entry, error);
}

static kf_code accept_destroyed(kf_key_store *store, const kf_key_entry *entry,
                                const kf_key_entry **ret_entry, kf_error *error)
{
    kf_key_record *record = NULL;
    KF_TRY(kf_key_record_new(entry, NULL, &record, error));
    kf_code code = insert_and_commit(store, record, error);
    if (code != KF_OK) {
        kf_key_record_free(&record);
        return code;
    }
    *ret_entry = &record->entry;
    return KF_OK;
}

kf_code kf_key_store_accept(kf_key_store *store, const kf_key_entry *entry, const kf_arriving_key *source,
                            const kf_key_entry **ret_entry, kf_error *error)
{
    kf_key_entry accepted = *entry;
    KF_TRY(kf_category_check(accepted.origin, error));
    KF_TRY(kf_key_policy_check(&accepted, error));
    uint64_t known = kf_key_table_peer(&store->table, accepted.origin);
    if (accepted.revision <= known)
        return kf_fail(error, KF_ERR_REVISION,
                       "revision %llu of %s is not newer than revision %llu, which is here",
                       (unsigned long long)accepted.revision, accepted.origin, (unsigned long long)known);
    accepted.policy.exportable = false;
    if (source->key != NULL) {
        kf_kcv found;
        KF_TRY(kf_fail_plain(error, kf_key_entry_kcv(accepted.algorithm, source->key, &found)));
        KF_TRY(check_kcv(&accepted, found, error));
    }
    kf_key_record *old =
        kf_key_table_find(&store->table, accepted.purpose, accepted.category, accepted.version);
    if (old != NULL) return accept_again(store, old, &accepted, ret_entry, error);
    if (accepted.state == KF_KEY_DESTROYED) return accept_destroyed(store, &accepted, ret_entry, error);
    if (source->key == NULL && source->transport == NULL) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    return add_record(store, &accepted, source, ret_entry, error);
}

kf_code kf_key_store_write_section(kf_key_store *store, kf_key_section section, kf_view bytes,
                                   kf_error *error)
{
    if (bytes.size > KF_KEY_SECTION_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "the key store keeps at most %zu bytes of a kind, not %zu",
                       KF_KEY_SECTION_MAX, bytes.size);
    kf_buffer written = KF_BUFFER_INIT;
    kf_buffer_append(&written, bytes);
    kf_code code = kf_buffer_status(&written);
    kf_key_table draft;
    if (code == KF_OK) code = kf_key_table_draft(&store->table, &draft);
    if (code != KF_OK) {
        kf_buffer_clear(&written);
        return kf_fail_plain(error, code);
    }
    kf_buffer old = draft.sections[section];
    draft.sections[section] = written;
    code = kf_key_store_commit(store, &draft, error);
    kf_buffer_clear(code == KF_OK ? &old : &written);
    return code;
}
