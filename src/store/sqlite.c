#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "store/driver.h"

typedef struct cached_statement {
    sqlite3_stmt *statement; /* NULL: a free place */
    uint64_t used_at;
    bool in_use;
} cached_statement;

typedef struct sqlite_connection {
    sqlite3 *handle;
    char *path;
    uint64_t uses;
    cached_statement cache[KF_DATABASE_STATEMENTS_CACHED];
} sqlite_connection;

typedef struct sqlite_cursor {
    sqlite_connection *connection;
    sqlite3_stmt *statement;
} sqlite_cursor;

static kf_code fail_sqlite(const sqlite_connection *connection, int result, const char *sql, kf_error *error)
{
    kf_code code = KF_ERR_STORE;
    int primary = result & 0xFF; /* the rest of the bits are the extended code */
    /* A trigger's RAISE is no constraint of a table. */
    if (primary == SQLITE_CONSTRAINT && result != SQLITE_CONSTRAINT_TRIGGER) code = KF_ERR_CONFLICT;
    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) code = KF_ERR_STORE_BUSY;
    return kf_fail(error, code, "database %s: %s (SQLite %d, in '%.100s')", connection->path,
                   sqlite3_errmsg(connection->handle), result, sql);
}

/* The file is made here and not by SQLite, so that it, and the WAL that takes its mode, are the owner's
 * alone. */
static kf_code make_file(const char *path, kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close)
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0)
        return kf_fail(error, KF_ERR_STORE, "database file %s: cannot be opened: %s", path, strerror(errno));
    return KF_OK;
}

static kf_code set_up(sqlite_connection *connection, kf_error *error)
{
    static const char settings[] = "PRAGMA journal_mode = WAL;"
                                   "PRAGMA synchronous = FULL;"
                                   "PRAGMA foreign_keys = ON;"
                                   "PRAGMA trusted_schema = OFF;"
                                   /* Sandboxed units have no folder for temporary files. */
                                   "PRAGMA temp_store = MEMORY;";
    sqlite3 *handle = connection->handle;
    (void)sqlite3_extended_result_codes(handle, 1);
    (void)sqlite3_busy_timeout(handle, KF_DATABASE_BUSY_MS);
    (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    int result = sqlite3_exec(handle, settings, NULL, NULL, NULL);
    if (result != SQLITE_OK) return fail_sqlite(connection, result, "setting up", error);
    return KF_OK;
}

static void sqlite_close(void *opened)
{
    sqlite_connection *connection = opened;
    for (size_t i = 0; i < KF_DATABASE_STATEMENTS_CACHED; i++)
        (void)sqlite3_finalize(connection->cache[i].statement);
    (void)sqlite3_close(connection->handle);
    free(connection->path);
    free(connection);
}

static kf_code sqlite_open(const char *path, void **ret_connection, kf_error *error)
{
    if (path[0] == '\0')
        return kf_fail(error, KF_ERR_CONFIGURATION, "database 'sqlite:': the path is missing");
    KF_TRY(make_file(path, error));
    sqlite_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    connection->path = strdup(path);
    kf_code code = KF_ERR_MEMORY;
    if (connection->path != NULL) {
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX;
        int result = sqlite3_open_v2(path, &connection->handle, flags, NULL);
        code = result == SQLITE_OK ? set_up(connection, error)
                                   : fail_sqlite(connection, result, "opening", error);
    }
    if (code != KF_OK) {
        sqlite_close(connection);
        return kf_fail_plain(error, code);
    }
    *ret_connection = connection;
    return KF_OK;
}

static kf_code prepare(sqlite_connection *connection, const char *sql, sqlite3_stmt **ret_statement,
                       kf_error *error)
{
    const char *tail = NULL;
    int result =
        sqlite3_prepare_v3(connection->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, &tail);
    if (result != SQLITE_OK) return fail_sqlite(connection, result, sql, error);
    if (*ret_statement == NULL || tail[0] != '\0') {
        (void)sqlite3_finalize(*ret_statement);
        return kf_fail(error, KF_ERR_ARGUMENT, "'%.100s': not exactly one SQL statement", sql);
    }
    return KF_OK;
}

/* The free place, or the one unused for longest; NULL where all are in use. */
static cached_statement *place_to_cache(sqlite_connection *connection)
{
    cached_statement *found = NULL;
    for (size_t i = 0; i < KF_DATABASE_STATEMENTS_CACHED; i++) {
        cached_statement *place = &connection->cache[i];
        if (place->in_use) continue;
        if (place->statement == NULL) return place;
        if (found == NULL || place->used_at < found->used_at) found = place;
    }
    return found;
}

static kf_code take_statement(sqlite_connection *connection, const char *sql, sqlite3_stmt **ret_statement,
                              kf_error *error)
{
    connection->uses++;
    for (size_t i = 0; i < KF_DATABASE_STATEMENTS_CACHED; i++) {
        cached_statement *place = &connection->cache[i];
        if (place->in_use || place->statement == NULL || strcmp(sqlite3_sql(place->statement), sql) != 0)
            continue;
        place->in_use = true;
        place->used_at = connection->uses;
        *ret_statement = place->statement;
        return KF_OK;
    }
    KF_TRY(prepare(connection, sql, ret_statement, error));
    cached_statement *place = place_to_cache(connection);
    if (place != NULL) {
        (void)sqlite3_finalize(place->statement);
        *place = (cached_statement){*ret_statement, connection->uses, true};
    }
    return KF_OK;
}

static void give_back_statement(sqlite_connection *connection, sqlite3_stmt *statement)
{
    for (size_t i = 0; i < KF_DATABASE_STATEMENTS_CACHED; i++) {
        if (connection->cache[i].statement != statement) continue;
        (void)sqlite3_reset(statement); /* repeats the error of the last step, which was told then */
        (void)sqlite3_clear_bindings(statement);
        connection->cache[i].in_use = false;
        return;
    }
    (void)sqlite3_finalize(statement);
}

static int bind_value(sqlite3_stmt *statement, int index, const kf_value *value)
{
    static const char nothing[] = "";
    if (value->bytes.size > INT_MAX) return SQLITE_TOOBIG;
    const void *data = value->bytes.size == 0 ? nothing : (const void *)value->bytes.data;
    int size = (int)value->bytes.size;
    switch (value->type) {
    case KF_VALUE_NULL: return sqlite3_bind_null(statement, index);
    case KF_VALUE_INTEGER: return sqlite3_bind_int64(statement, index, value->integer);
    case KF_VALUE_TEXT: return sqlite3_bind_text(statement, index, data, size, SQLITE_TRANSIENT);
    case KF_VALUE_BLOB: return sqlite3_bind_blob(statement, index, data, size, SQLITE_TRANSIENT);
    }
    return SQLITE_MISUSE;
}

/* SQLite numbers `$n` in the order in which they first stand in the text, so the name says which value it is.
 */
static kf_code bind_values(sqlite_connection *connection, sqlite3_stmt *statement, kf_values values,
                           kf_error *error)
{
    int count = sqlite3_bind_parameter_count(statement);
    for (int index = 1; index <= count; index++) {
        const char *name = sqlite3_bind_parameter_name(statement, index);
        char *end = NULL;
        unsigned long number = name != NULL && name[0] == '$' ? strtoul(name + 1, &end, 10) : 0;
        if (number < 1 || number > values.count || *end != '\0')
            return kf_fail(error, KF_ERR_ARGUMENT, "parameter %s of '%.100s': %zu values were given",
                           name != NULL ? name : "?", sqlite3_sql(statement), values.count);
        int result = bind_value(statement, index, &values.items[number - 1]);
        if (result != SQLITE_OK) return fail_sqlite(connection, result, sqlite3_sql(statement), error);
    }
    return KF_OK;
}

static kf_code sqlite_query(void *opened, const char *sql, kf_values values, void **ret_cursor,
                            kf_error *error)
{
    sqlite_connection *connection = opened;
    sqlite_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    cursor->connection = connection;
    kf_code code = take_statement(connection, sql, &cursor->statement, error);
    if (code == KF_OK) {
        code = bind_values(connection, cursor->statement, values, error);
        if (code != KF_OK) give_back_statement(connection, cursor->statement);
    }
    if (code != KF_OK) {
        free(cursor);
        return code;
    }
    *ret_cursor = cursor;
    return KF_OK;
}

static kf_code sqlite_next(void *opened, bool *ret_row, kf_error *error)
{
    sqlite_cursor *cursor = opened;
    int result = sqlite3_step(cursor->statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return fail_sqlite(cursor->connection, result, sqlite3_sql(cursor->statement), error);
    *ret_row = result == SQLITE_ROW;
    return KF_OK;
}

static kf_value sqlite_column(void *opened, size_t column)
{
    sqlite3_stmt *statement = ((sqlite_cursor *)opened)->statement;
    if (column >= (size_t)sqlite3_data_count(statement)) return kf_value_null();
    int index = (int)column;
    /* A type that nobody asks for: no memory for the text, or a number with a fraction, which no column of
     * ours has. */
    const kf_value unreadable = {(kf_value_type)-1, 0, {NULL, 0}};
    switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER: return kf_value_integer(sqlite3_column_int64(statement, index));
    case SQLITE_TEXT: {
        const void *text = sqlite3_column_text(statement, index);
        if (text == NULL) return unreadable;
        return kf_value_text_view(kf_view_of(text, (size_t)sqlite3_column_bytes(statement, index)));
    }
    case SQLITE_BLOB: {
        const void *bytes = sqlite3_column_blob(statement, index);
        return kf_value_blob(kf_view_of(bytes, (size_t)sqlite3_column_bytes(statement, index)));
    }
    case SQLITE_FLOAT: return unreadable;
    default: return kf_value_null();
    }
}

static void sqlite_finish(void *opened)
{
    sqlite_cursor *cursor = opened;
    give_back_statement(cursor->connection, cursor->statement);
    free(cursor);
}

static kf_code sqlite_execute(void *opened, const char *sql, kf_values values, uint64_t *ret_changed,
                              kf_error *error)
{
    sqlite_connection *connection = opened;
    sqlite3_stmt *statement = NULL;
    KF_TRY(take_statement(connection, sql, &statement, error));
    kf_code code = bind_values(connection, statement, values, error);
    sqlite3_int64 before = sqlite3_total_changes64(connection->handle);
    if (code == KF_OK) {
        int result = SQLITE_ROW;
        while (result == SQLITE_ROW)
            result = sqlite3_step(statement);
        if (result != SQLITE_DONE) code = fail_sqlite(connection, result, sql, error);
    }
    if (code == KF_OK && sqlite3_total_changes64(connection->handle) != before)
        *ret_changed = (uint64_t)sqlite3_changes64(connection->handle);
    give_back_statement(connection, statement);
    return code;
}

static kf_code sqlite_script(void *opened, const char *sql, kf_error *error)
{
    sqlite_connection *connection = opened;
    int result = sqlite3_exec(connection->handle, sql, NULL, NULL, NULL);
    if (result != SQLITE_OK) return fail_sqlite(connection, result, sql, error);
    return KF_OK;
}

static kf_code sqlite_begin(void *opened, kf_error *error)
{
    uint64_t changed = 0;
    return sqlite_execute(opened, "BEGIN IMMEDIATE", KF_NO_VALUES, &changed, error);
}

static kf_code sqlite_commit(void *opened, kf_error *error)
{
    sqlite_connection *connection = opened;
    if (sqlite3_get_autocommit(connection->handle) != 0)
        return kf_fail(error, KF_ERR_STORE, "database %s: the transaction was rolled back after an error",
                       connection->path);
    uint64_t changed = 0;
    return sqlite_execute(opened, "COMMIT", KF_NO_VALUES, &changed, error);
}

static void sqlite_rollback(void *opened)
{
    sqlite_connection *connection = opened;
    if (sqlite3_get_autocommit(connection->handle) != 0) return; /* SQLite has rolled back by itself */
    uint64_t changed = 0;
    /* A failure leaves the journal to roll back when the file is next opened. */
    (void)!sqlite_execute(opened, "ROLLBACK", KF_NO_VALUES, &changed, NULL);
}

const kf_database_driver kf_sqlite_driver = {
    .scheme = "sqlite:",
    .open = sqlite_open,
    .close = sqlite_close,
    .execute = sqlite_execute,
    .script = sqlite_script,
    .query = sqlite_query,
    .next = sqlite_next,
    .column = sqlite_column,
    .finish = sqlite_finish,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
};
