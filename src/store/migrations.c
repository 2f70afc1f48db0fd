#include "store/migrations.h"

static const char versions_table[] =
    "CREATE TABLE IF NOT EXISTS schema_version (unit TEXT PRIMARY KEY, version BIGINT NOT NULL)";

static kf_code read_version(kf_database *database, const char *unit, int64_t *ret_version, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT version FROM schema_version WHERE unit = $1",
                             KF_VALUES(kf_value_text(unit)), &rows, error));
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    int64_t version = row ? kf_rows_integer(rows, 0) : 0;
    KF_TRY(kf_rows_status(rows, error));
    *ret_version = version;
    return KF_OK;
}

static kf_code write_version(kf_database *database, const char *unit, int64_t version, kf_error *error)
{
    const char *sql = version == 1 ? "INSERT INTO schema_version (unit, version) VALUES ($1, $2)"
                                   : "UPDATE schema_version SET version = $2 WHERE unit = $1";
    return kf_database_execute(database, sql, KF_VALUES(kf_value_text(unit), kf_value_integer(version)), NULL,
                               error);
}

typedef struct migration_step {
    const char *unit;
    const kf_migration *migration;
} migration_step;

static kf_code apply_step(kf_database *database, void *context, kf_error *error)
{
    const migration_step *step = context;
    int64_t present = 0;
    KF_TRY(read_version(database, step->unit, &present, error));
    /* Another process may have been here since the version was first read. */
    if (present >= step->migration->version) return KF_OK;
    KF_TRY(kf_database_execute_script(database, step->migration->sql, error));
    return write_version(database, step->unit, step->migration->version, error);
}

kf_code kf_database_migrate(kf_database *database, const kf_migrations *migrations, kf_error *error)
{
    for (size_t i = 0; i < migrations->count; i++)
        if (migrations->items[i].version != (int64_t)i + 1)
            return kf_fail(error, KF_ERR_ARGUMENT, "migrations of %s: step %zu has version %lld",
                           migrations->unit, i + 1, (long long)migrations->items[i].version);
    KF_TRY(kf_database_execute_script(database, versions_table, error));
    int64_t present = 0;
    KF_TRY(read_version(database, migrations->unit, &present, error));
    if (present > (int64_t)migrations->count)
        return kf_fail(error, KF_ERR_STORE_VERSION,
                       "the tables of %s have version %lld, this program knows %zu: start the newer program "
                       "that wrote them, or restore a backup made before it",
                       migrations->unit, (long long)present, migrations->count);
    for (size_t i = (size_t)present; i < migrations->count; i++) {
        migration_step step = {migrations->unit, &migrations->items[i]};
        if (kf_database_write(database, apply_step, &step, error) != KF_OK)
            return kf_error_prefix(error, "tables of %s, version %zu", migrations->unit, i + 1);
    }
    return KF_OK;
}
