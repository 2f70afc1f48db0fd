#include <stdio.h>
#include <string.h>

#include "bkmu/bkmu.h"

static const kf_migration steps[] = {
    {1, "CREATE TABLE kmus ("
        " name TEXT PRIMARY KEY,"
        " url TEXT NOT NULL,"
        " pair TEXT NOT NULL,"
        " enabled BIGINT NOT NULL,"
        " acknowledged BIGINT NOT NULL,"
        " contact_ms BIGINT NOT NULL,"
        " last_error TEXT NOT NULL);"},
};

const kf_migrations kf_bkmu_migrations = {"bkmu", steps, sizeof steps / sizeof steps[0]};

#define ROW_COLUMNS "SELECT name, url, pair, enabled, acknowledged, contact_ms, last_error FROM kmus"

static void read_row(kf_rows *rows, kf_kmu_row *row)
{
    memset(row, 0, sizeof *row);
    (void)snprintf(row->name, sizeof row->name, "%s", kf_rows_text(rows, 0));
    (void)snprintf(row->url, sizeof row->url, "%s", kf_rows_text(rows, 1));
    (void)snprintf(row->pair, sizeof row->pair, "%s", kf_rows_text(rows, 2));
    row->enabled = kf_rows_integer(rows, 3) != 0;
    row->acknowledged = (uint64_t)kf_rows_integer(rows, 4);
    row->contact_ms = (uint64_t)kf_rows_integer(rows, 5);
    (void)snprintf(row->last_error, sizeof row->last_error, "%s", kf_rows_text(rows, 6));
}

kf_code kf_kmus_list(kf_database *database, kf_kmu_rows *ret_rows, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, ROW_COLUMNS " ORDER BY name", KF_NO_VALUES, &rows, error));
    ret_rows->count = 0;
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    while (row && ret_rows->count < KF_KMUS_MAX) {
        read_row(rows, &ret_rows->items[ret_rows->count]);
        ret_rows->count++;
        KF_TRY(kf_rows_next(rows, &row, error));
    }
    return kf_rows_status(rows, error);
}

kf_code kf_kmus_find(kf_database *database, const char *name, kf_kmu_row *ret_row, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    bool row = false;
    KF_TRY(kf_database_query(database, ROW_COLUMNS " WHERE name = $1", KF_VALUES(kf_value_text(name)), &rows,
                             error));
    KF_TRY(kf_rows_next(rows, &row, error));
    if (!row) return kf_fail(error, KF_ERR_NOT_FOUND, "no key management unit %s is registered here", name);
    read_row(rows, ret_row);
    return kf_rows_status(rows, error);
}

typedef struct row_change {
    const kf_kmu_row *row;
    const char *actor;
    uint64_t now_ms;
} row_change;

static kf_code count_rows(kf_database *database, int64_t *ret_count, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT COUNT(*) FROM kmus", KF_NO_VALUES, &rows, error));
    KF_TRY(kf_rows_need(rows, "kmus", error));
    *ret_count = kf_rows_integer(rows, 0);
    return kf_rows_status(rows, error);
}

static kf_code insert_row(kf_database *database, const kf_kmu_row *row, kf_error *error)
{
    int64_t count = 0;
    KF_TRY(count_rows(database, &count, error));
    if (count >= KF_KMUS_MAX)
        return kf_fail(error, KF_ERR_CONFLICT, "%d key management units are registered; no more are possible",
                       KF_KMUS_MAX);
    return kf_database_execute(
        database,
        "INSERT INTO kmus (name, url, pair, enabled, acknowledged, contact_ms, last_error) "
        "VALUES ($1, $2, $3, $4, 0, 0, '')",
        KF_VALUES(kf_value_text(row->name), kf_value_text(row->url), kf_value_text(row->pair),
                  kf_value_integer(row->enabled ? 1 : 0)),
        NULL, error);
}

static kf_code put_row(kf_database *database, void *context, kf_error *error)
{
    const row_change *change = context;
    const kf_kmu_row *row = change->row;
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(database,
                               "UPDATE kmus SET url = $2, enabled = $4, acknowledged = CASE WHEN pair = $3 "
                               "THEN acknowledged ELSE 0 END, pair = $3 "
                               "WHERE name = $1",
                               KF_VALUES(kf_value_text(row->name), kf_value_text(row->url),
                                         kf_value_text(row->pair), kf_value_integer(row->enabled ? 1 : 0)),
                               &changed, error));
    if (changed == 0) KF_TRY(insert_row(database, row, error));
    char detail[KF_KMU_URL_MAX + 128];
    (void)snprintf(detail, sizeof detail, "%s, transport key %s, %s", row->url, row->pair,
                   row->enabled ? "enabled" : "disabled");
    kf_audit_event event = {.time_ms = (int64_t)change->now_ms,
                            .actor = change->actor,
                            .action = "kmu.put",
                            .subject = row->name,
                            .outcome = "ok",
                            .detail = detail};
    return kf_audit_append(database, &event, NULL, error);
}

kf_code kf_kmus_put(const kf_front *front, const char *actor, const kf_kmu_row *row, kf_error *error)
{
    row_change change = {row, actor, front->clock()};
    return kf_database_write(front->database, put_row, &change, error);
}

typedef struct contact {
    const char *name;
    uint64_t acknowledged;
    const char *last_error;
    uint64_t now_ms;
} contact;

static kf_code note_contact(kf_database *database, void *context, kf_error *error)
{
    const contact *noted = context;
    if (noted->last_error != NULL)
        return kf_database_execute(database, "UPDATE kmus SET last_error = $2 WHERE name = $1",
                                   KF_VALUES(kf_value_text(noted->name), kf_value_text(noted->last_error)),
                                   NULL, error);
    return kf_database_execute(
        database, "UPDATE kmus SET acknowledged = $2, contact_ms = $3, last_error = '' WHERE name = $1",
        KF_VALUES(kf_value_text(noted->name), kf_value_integer((int64_t)noted->acknowledged),
                  kf_value_integer((int64_t)noted->now_ms)),
        NULL, error);
}

kf_code kf_kmus_note(const kf_front *front, const char *name, uint64_t acknowledged, const char *last_error,
                     kf_error *error)
{
    contact noted = {name, acknowledged, last_error, front->clock()};
    return kf_database_write(front->database, note_contact, &noted, error);
}
