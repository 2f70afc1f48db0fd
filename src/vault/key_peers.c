#include "vault/key_peers.h"

#include <string.h>

#include "wire/json.h"

static const kf_migration steps[] = {
    {1, "CREATE TABLE key_peer_holds ("
        " peer TEXT NOT NULL,"
        " purpose TEXT NOT NULL,"
        " category TEXT NOT NULL,"
        " version BIGINT NOT NULL,"
        " state TEXT NOT NULL,"
        " kcv TEXT NOT NULL,"
        " seen_ms BIGINT NOT NULL,"
        " PRIMARY KEY (peer, purpose, category, version));"},
    {2, "ALTER TABLE key_peer_holds ADD COLUMN cards BIGINT"}, /* NULL: not told */
};

const kf_migrations kf_key_peers_migrations = {"key-peers", steps, sizeof steps / sizeof steps[0]};

static bool goes_between_units(const kf_key_entry *entry)
{
    return entry->purpose == KF_PURPOSE_PAYMENT || entry->purpose == KF_PURPOSE_CARD_MANAGER ||
           entry->purpose == KF_PURPOSE_ADM;
}

static kf_code make_hold(const kf_key_entry *entry, json_t *holds)
{
    json_t *hold = json_object();
    KF_TRY(kf_json_append(holds, hold));
    KF_TRY(kf_json_set_text(hold, "purpose", kf_key_purpose_name(entry->purpose)));
    KF_TRY(kf_json_set_text(hold, "category", entry->category));
    KF_TRY(kf_json_set_integer(hold, "version", entry->version));
    KF_TRY(kf_json_set_text(hold, "state", kf_key_state_name(entry->state)));
    return kf_json_set_text(hold, "kcv", kf_kcv_show(entry->kcv).text);
}

kf_code kf_key_holds_make(const kf_key_list *list, json_t **ret_holds)
{
    KF_CLEANUP(kf_json_free) json_t *holds = json_array();
    if (holds == NULL) return KF_ERR_MEMORY;
    for (size_t i = 0; i < list->count; i++)
        if (goes_between_units(&list->entries[i])) KF_TRY(make_hold(&list->entries[i], holds));
    *ret_holds = holds;
    holds = NULL;
    return KF_OK;
}

typedef struct peer_hold {
    const char *purpose;
    const char *category;
    int64_t version;
    const char *state;
    const char *kcv;
    bool counted;
    int64_t cards;
} peer_hold;

static kf_code read_hold(const json_t *json, peer_hold *ret_hold, kf_error *error)
{
    static const char *const members[] = {"purpose", "category", "version",       "state",
                                          "kcv",     "cards",    "cards_pending", NULL};
    if (!json_is_object(json)) return kf_fail(error, KF_ERR_FIELD, "holds: each item is an object");
    KF_TRY(kf_json_only(json, members, error));
    KF_TRY(kf_json_text(json, "purpose", 16, &ret_hold->purpose, error));
    KF_TRY(kf_json_text(json, "category", KF_CATEGORY_SIZE - 1, &ret_hold->category, error));
    KF_TRY(kf_json_integer(json, "version", (kf_json_range){1, UINT32_MAX}, &ret_hold->version, error));
    KF_TRY(kf_json_text(json, "state", 16, &ret_hold->state, error));
    KF_TRY(kf_json_text(json, "kcv", 16, &ret_hold->kcv, error));
    ret_hold->counted = json_object_get(json, "cards") != NULL;
    ret_hold->cards = 0;
    if (ret_hold->counted)
        KF_TRY(kf_json_integer(json, "cards", (kf_json_range){0, INT64_MAX}, &ret_hold->cards, error));
    return kf_category_check(ret_hold->category, error);
}

typedef struct hold_recording {
    const char *peer;
    const json_t *holds;
    uint64_t now_ms;
} hold_recording;

static kf_code record(kf_database *database, void *context, kf_error *error)
{
    const hold_recording *recording = context;
    KF_TRY(kf_database_execute(database, "DELETE FROM key_peer_holds WHERE peer = $1",
                               KF_VALUES(kf_value_text(recording->peer)), NULL, error));
    for (size_t i = 0; i < json_array_size(recording->holds); i++) {
        peer_hold hold;
        KF_TRY(read_hold(json_array_get(recording->holds, i), &hold, error));
        KF_TRY(kf_database_execute(database,
                                   "INSERT INTO key_peer_holds (peer, purpose, category, version, state, "
                                   "kcv, seen_ms, cards) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                                   KF_VALUES(kf_value_text(recording->peer), kf_value_text(hold.purpose),
                                             kf_value_text(hold.category), kf_value_integer(hold.version),
                                             kf_value_text(hold.state), kf_value_text(hold.kcv),
                                             kf_value_integer((int64_t)recording->now_ms),
                                             hold.counted ? kf_value_integer(hold.cards) : kf_value_null()),
                                   NULL, error));
    }
    return KF_OK;
}

kf_code kf_key_peers_record(kf_database *database, const char *peer, const json_t *holds, uint64_t now_ms,
                            kf_error *error)
{
    if (json_array_size(holds) > KF_KEY_HOLDS_MAX)
        return kf_fail(error, KF_ERR_FIELD, "holds: %zu items, at most %d", json_array_size(holds),
                       KF_KEY_HOLDS_MAX);
    hold_recording recording = {peer, holds, now_ms};
    return kf_database_write(database, record, &recording, error);
}

static kf_code annotate_one(kf_database *database, json_t *key, kf_error *error)
{
    const char *purpose = json_string_value(json_object_get(key, "purpose"));
    const char *category = json_string_value(json_object_get(key, "category"));
    const char *kcv = json_string_value(json_object_get(key, "kcv"));
    json_int_t version = json_integer_value(json_object_get(key, "version"));
    json_t *peers = json_array();
    KF_TRY(kf_json_set(key, "peers", peers));
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(
        database,
        "SELECT peer, state, kcv, seen_ms, cards FROM key_peer_holds WHERE purpose = $1 AND category = $2 "
        "AND "
        "version = $3 ORDER BY peer",
        KF_VALUES(kf_value_text(purpose), kf_value_text(category), kf_value_integer(version)), &rows, error));
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    while (row) {
        json_t *peer = json_object();
        KF_TRY(kf_json_append(peers, peer));
        KF_TRY(kf_json_set_text(peer, "name", kf_rows_text(rows, 0)));
        KF_TRY(kf_json_set_text(peer, "state", kf_rows_text(rows, 1)));
        KF_TRY(kf_json_set_text(peer, "kcv", kf_rows_text(rows, 2)));
        KF_TRY(kf_json_set_boolean(peer, "same", kcv != NULL && strcmp(kcv, kf_rows_text(rows, 2)) == 0));
        KF_TRY(kf_json_set_integer(peer, "seen", kf_rows_integer(rows, 3)));
        if (!kf_rows_is_null(rows, 4)) KF_TRY(kf_json_set_integer(peer, "cards", kf_rows_integer(rows, 4)));
        KF_TRY(kf_rows_next(rows, &row, error));
    }
    return KF_OK;
}

kf_code kf_key_peers_annotate(kf_database *database, json_t *keys, kf_error *error)
{
    for (size_t i = 0; i < json_array_size(keys); i++)
        KF_TRY(kf_fail_plain(error, annotate_one(database, json_array_get(keys, i), error)));
    return KF_OK;
}
