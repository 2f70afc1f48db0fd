/* Durable records. One interface and one SQL text for every database behind it: parameters are `$1`, `$2` …;
 * the types are BIGINT (also for truth values and times, which are milliseconds since 1970), TEXT and BYTEA,
 * which SQLite and PostgreSQL 15 both take as they stand. No AUTOINCREMENT, no ON CONFLICT, no RETURNING.
 *
 * A database may be used by many threads. It has one connection: a transaction, and rows that are being read,
 * belong to the thread that began them until they end, and the others wait. Rows and transactions end in the
 * thread that began them.
 *
 * Errors of all functions: KF_ERR_CONFLICT where a unique, primary key, foreign key, check or not-null
 * constraint is broken, KF_ERR_STORE_BUSY where another process held the database too long, KF_ERR_STORE for
 * the rest; the message says what the database said.
 */
#ifndef KEYFILL_STORE_DATABASE_H
#define KEYFILL_STORE_DATABASE_H

#include <keyfill/bytes.h>

typedef struct kf_database kf_database;
typedef struct kf_rows kf_rows;

#define KF_DATABASE_PARAMETERS_MAX 32     /* of one statement */
#define KF_DATABASE_STATEMENTS_CACHED 128 /* prepared statements kept */
#define KF_DATABASE_BUSY_MS 10000         /* how long another process may hold the database */

typedef enum kf_value_type { KF_VALUE_NULL, KF_VALUE_INTEGER, KF_VALUE_TEXT, KF_VALUE_BLOB } kf_value_type;

/* A parameter. Points to the caller's bytes, which need to live until the call returns. */
typedef struct kf_value {
    kf_value_type type;
    int64_t integer;
    kf_view bytes;
} kf_value;

kf_value kf_value_null(void);
kf_value kf_value_integer(int64_t integer);
/* NULL where `text` is NULL. */
kf_value kf_value_text(const char *text);
kf_value kf_value_text_view(kf_view text);
/* An empty view is an empty blob, not NULL. */
kf_value kf_value_blob(kf_view bytes);

typedef struct kf_values {
    const kf_value *items;
    size_t count;
} kf_values;

/* The parameters $1, $2 … of one call: KF_VALUES(kf_value_text(name), kf_value_integer(7)). */
#define KF_VALUES(...)                                                                                       \
    ((kf_values){(const kf_value[]){__VA_ARGS__}, sizeof((const kf_value[]){__VA_ARGS__}) / sizeof(kf_value)})
#define KF_NO_VALUES ((kf_values){NULL, 0})

/* `url`: "sqlite:PATH"; the file is made, readable by its owner alone, where it is missing.
 * KF_ERR_CONFIGURATION for another scheme. The caller frees. */
kf_code kf_database_open(const char *url, kf_database **ret_database, kf_error *error) KF_MUST_USE;
/* Rolls back what is open, closes, sets NULL. Fits KF_CLEANUP. */
void kf_database_free(kf_database **database);

/* One statement that gives no rows. `ret_changed` (may be NULL): rows inserted, updated or deleted. */
kf_code kf_database_execute(kf_database *database, const char *sql, kf_values values, uint64_t *ret_changed,
                            kf_error *error) KF_MUST_USE;
/* Several statements without parameters, for schemas. */
kf_code kf_database_execute_script(kf_database *database, const char *sql, kf_error *error) KF_MUST_USE;

/* One statement that gives rows: while kf_rows_next gives true, the columns (from 0) of a row can be had. The
 * database is the thread's until kf_rows_free. */
kf_code kf_database_query(kf_database *database, const char *sql, kf_values values, kf_rows **ret_rows,
                          kf_error *error) KF_MUST_USE;
kf_code kf_rows_next(kf_rows *rows, bool *ret_row, kf_error *error) KF_MUST_USE;
/* Like kf_rows_next where a row has to be there: KF_ERR_NOT_FOUND without, with the message "WHAT: no such
 * thing is recorded". */
kf_code kf_rows_need(kf_rows *rows, const char *what, kf_error *error) KF_MUST_USE;
bool kf_rows_is_null(const kf_rows *rows, size_t column);
/* NULL columns are 0, "" and empty. Text and blob stay valid until the next row. A column of another type is
 * the same as NULL, and remembered: kf_rows_next and kf_rows_status then give KF_ERR_STORE. */
int64_t kf_rows_integer(kf_rows *rows, size_t column);
const char *kf_rows_text(kf_rows *rows, size_t column);
kf_view kf_rows_blob(kf_rows *rows, size_t column);
/* KF_OK, or KF_ERR_STORE after a column was not of the type asked for. */
kf_code kf_rows_status(const kf_rows *rows, kf_error *error) KF_MUST_USE;
/* NULL and pointers to NULL are fine. Fits KF_CLEANUP. */
void kf_rows_free(kf_rows **rows);

/* A transaction of the calling thread, which writes: the only one at a time.
 *     KF_CLEANUP(kf_transaction_end) kf_transaction transaction = KF_NO_TRANSACTION;
 *     KF_TRY(kf_transaction_begin(database, &transaction, error));
 *     …
 *     return kf_transaction_commit(&transaction, error); */
typedef struct kf_transaction {
    kf_database *database; /* NULL when over */
} kf_transaction;

#define KF_NO_TRANSACTION ((kf_transaction){NULL})

/* KF_ERR_ARGUMENT where the thread has one already. */
kf_code kf_transaction_begin(kf_database *database, kf_transaction *ret_transaction,
                             kf_error *error) KF_MUST_USE;
/* KF_OK only when everything is durable. After a failure it is rolled back and over. */
kf_code kf_transaction_commit(kf_transaction *transaction, kf_error *error) KF_MUST_USE;
/* Rolls back, unless it was committed. Fits KF_CLEANUP. */
void kf_transaction_end(kf_transaction *transaction);
/* Whether the calling thread is inside a transaction. */
bool kf_database_in_transaction(kf_database *database);

/* Work to be done in one transaction: statements on `database`, nothing that waits for the network; no begin
 * and no commit. What it gives other than KF_OK rolls back. It may be run again after a rollback, so it
 * changes nothing else but its own results. */
typedef kf_code (*kf_database_work)(kf_database *database, void *context, kf_error *error);

/* Runs `work` inside one transaction and returns after the commit is durable, with the first error of the
 * two. The way to write: a later writer may put the work of several callers into one commit. Not to be called
 * inside a transaction (KF_ERR_ARGUMENT). */
kf_code kf_database_write(kf_database *database, kf_database_work work, void *context,
                          kf_error *error) KF_MUST_USE;

#endif
