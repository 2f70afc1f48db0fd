#include "store/database.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/driver.h"

struct kf_database {
    const kf_database_driver *driver;
    void *connection;
    pthread_mutex_t mutex; /* recursive: held by a transaction and by rows being read */
    bool in_transaction;
};

struct kf_rows {
    kf_database *database;
    void *cursor;
    kf_code status;
    bool on_row;
};

static const kf_database_driver *const drivers[] = {&kf_sqlite_driver};

kf_value kf_value_null(void)
{
    return (kf_value){KF_VALUE_NULL, 0, {NULL, 0}};
}

kf_value kf_value_integer(int64_t integer)
{
    return (kf_value){KF_VALUE_INTEGER, integer, {NULL, 0}};
}

kf_value kf_value_text(const char *text)
{
    return text == NULL ? kf_value_null() : kf_value_text_view(kf_view_of_text(text));
}

kf_value kf_value_text_view(kf_view text)
{
    return (kf_value){KF_VALUE_TEXT, 0, text};
}

kf_value kf_value_blob(kf_view bytes)
{
    return (kf_value){KF_VALUE_BLOB, 0, bytes};
}

static kf_code recursive_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0) return KF_ERR_MEMORY;
    kf_code code = KF_ERR_SYSTEM;
    if (pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) == 0 &&
        pthread_mutex_init(mutex, &attributes) == 0)
        code = KF_OK;
    pthread_mutexattr_destroy(&attributes);
    return code;
}

kf_code kf_database_open(const char *url, kf_database **ret_database, kf_error *error)
{
    const kf_database_driver *driver = NULL;
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0] && driver == NULL; i++)
        if (strncmp(url, drivers[i]->scheme, strlen(drivers[i]->scheme)) == 0) driver = drivers[i];
    if (driver == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "database '%s': no such kind of database; write sqlite:PATH", url);
    kf_database *database = calloc(1, sizeof *database);
    if (database == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_code code = recursive_mutex(&database->mutex);
    if (code != KF_OK) {
        free(database);
        return kf_fail_plain(error, code);
    }
    database->driver = driver;
    code = driver->open(url + strlen(driver->scheme), &database->connection, error);
    if (code != KF_OK) {
        kf_database_free(&database);
        return code;
    }
    *ret_database = database;
    return KF_OK;
}

void kf_database_free(kf_database **database)
{
    if (database == NULL || *database == NULL) return;
    if ((*database)->connection != NULL) {
        if ((*database)->in_transaction) (*database)->driver->rollback((*database)->connection);
        (*database)->driver->close((*database)->connection);
    }
    pthread_mutex_destroy(&(*database)->mutex);
    free(*database);
    *database = NULL;
}

static void lock(kf_database *database)
{
    (void)pthread_mutex_lock(&database->mutex); /* cannot fail: recursive, and far from its maximum depth */
}

static void unlock(kf_database *database)
{
    (void)pthread_mutex_unlock(&database->mutex);
}

static kf_code check_values(const char *sql, kf_values values, kf_error *error)
{
    if (values.count > KF_DATABASE_PARAMETERS_MAX)
        return kf_fail(error, KF_ERR_ARGUMENT, "%zu parameters for '%.80s': at most %d are allowed",
                       values.count, sql, KF_DATABASE_PARAMETERS_MAX);
    return KF_OK;
}

kf_code kf_database_execute(kf_database *database, const char *sql, kf_values values, uint64_t *ret_changed,
                            kf_error *error)
{
    KF_TRY(check_values(sql, values, error));
    uint64_t changed = 0;
    lock(database);
    kf_code code = database->driver->execute(database->connection, sql, values, &changed, error);
    unlock(database);
    if (code == KF_OK && ret_changed != NULL) *ret_changed = changed;
    return code;
}

kf_code kf_database_execute_script(kf_database *database, const char *sql, kf_error *error)
{
    lock(database);
    kf_code code = database->driver->script(database->connection, sql, error);
    unlock(database);
    return code;
}

kf_code kf_database_query(kf_database *database, const char *sql, kf_values values, kf_rows **ret_rows,
                          kf_error *error)
{
    KF_TRY(check_values(sql, values, error));
    kf_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    rows->database = database;
    lock(database);
    kf_code code = database->driver->query(database->connection, sql, values, &rows->cursor, error);
    if (code != KF_OK) {
        unlock(database);
        free(rows);
        return code;
    }
    *ret_rows = rows;
    return KF_OK;
}

kf_code kf_rows_status(const kf_rows *rows, kf_error *error)
{
    if (rows->status == KF_OK) return KF_OK;
    return kf_fail(error, rows->status, "the database holds a value of another type than its column's");
}

kf_code kf_rows_next(kf_rows *rows, bool *ret_row, kf_error *error)
{
    KF_TRY(kf_rows_status(rows, error));
    bool row = false;
    rows->on_row = false;
    KF_TRY(rows->database->driver->next(rows->cursor, &row, error));
    rows->on_row = row;
    *ret_row = row;
    return KF_OK;
}

kf_code kf_rows_need(kf_rows *rows, const char *what, kf_error *error)
{
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    if (!row) return kf_fail(error, KF_ERR_NOT_FOUND, "%s: no such thing is recorded", what);
    return KF_OK;
}

static kf_value column_of(const kf_rows *rows, size_t column)
{
    return rows->on_row ? rows->database->driver->column(rows->cursor, column) : kf_value_null();
}

static kf_value typed_column(kf_rows *rows, size_t column, kf_value_type type)
{
    kf_value value = column_of(rows, column);
    if (value.type == type || value.type == KF_VALUE_NULL) return value;
    rows->status = KF_ERR_STORE;
    return kf_value_null();
}

bool kf_rows_is_null(const kf_rows *rows, size_t column)
{
    return column_of(rows, column).type == KF_VALUE_NULL;
}

int64_t kf_rows_integer(kf_rows *rows, size_t column)
{
    return typed_column(rows, column, KF_VALUE_INTEGER).integer;
}

const char *kf_rows_text(kf_rows *rows, size_t column)
{
    kf_value value = typed_column(rows, column, KF_VALUE_TEXT);
    return value.type == KF_VALUE_NULL ? "" : (const char *)value.bytes.data;
}

kf_view kf_rows_blob(kf_rows *rows, size_t column)
{
    return typed_column(rows, column, KF_VALUE_BLOB).bytes;
}

void kf_rows_free(kf_rows **rows)
{
    if (rows == NULL || *rows == NULL) return;
    kf_database *database = (*rows)->database;
    database->driver->finish((*rows)->cursor);
    unlock(database);
    free(*rows);
    *rows = NULL;
}

kf_code kf_transaction_begin(kf_database *database, kf_transaction *ret_transaction, kf_error *error)
{
    lock(database);
    kf_code code = KF_ERR_INTERNAL;
    if (database->in_transaction)
        code = kf_fail(error, KF_ERR_ARGUMENT, "this thread is inside a transaction already");
    else
        code = database->driver->begin(database->connection, error);
    if (code != KF_OK) {
        unlock(database);
        return code;
    }
    database->in_transaction = true;
    ret_transaction->database = database;
    return KF_OK;
}

kf_code kf_transaction_commit(kf_transaction *transaction, kf_error *error)
{
    kf_database *database = transaction->database;
    if (database == NULL) return kf_fail(error, KF_ERR_ARGUMENT, "this transaction is over already");
    kf_code code = database->driver->commit(database->connection, error);
    if (code != KF_OK) {
        kf_transaction_end(transaction);
        return code;
    }
    database->in_transaction = false;
    transaction->database = NULL;
    unlock(database);
    return KF_OK;
}

void kf_transaction_end(kf_transaction *transaction)
{
    if (transaction == NULL || transaction->database == NULL) return;
    kf_database *database = transaction->database;
    database->driver->rollback(database->connection);
    database->in_transaction = false;
    transaction->database = NULL;
    unlock(database);
}

bool kf_database_in_transaction(kf_database *database)
{
    /* Whoever has the transaction has the mutex: if it is to be had, the transaction is this thread's. */
    if (pthread_mutex_trylock(&database->mutex) != 0) return false;
    bool inside = database->in_transaction;
    unlock(database);
    return inside;
}

kf_code kf_database_write(kf_database *database, kf_database_work work, void *context, kf_error *error)
{
    KF_CLEANUP(kf_transaction_end) kf_transaction transaction = KF_NO_TRANSACTION;
    KF_TRY(kf_transaction_begin(database, &transaction, error));
    KF_TRY(work(database, context, error));
    return kf_transaction_commit(&transaction, error);
}
