/* What a database has to be able to do to stand behind database.h. The functions are called by one thread at
 * a time. */
#ifndef KEYFILL_STORE_DRIVER_H
#define KEYFILL_STORE_DRIVER_H

#include "store/database.h"

typedef struct kf_database_driver {
    const char *scheme; /* of the URL, with its colon */
    kf_code (*open)(const char *location, void **ret_connection, kf_error *error);
    void (*close)(void *connection);
    kf_code (*execute)(void *connection, const char *sql, kf_values values, uint64_t *ret_changed,
                       kf_error *error);
    kf_code (*script)(void *connection, const char *sql, kf_error *error);
    kf_code (*query)(void *connection, const char *sql, kf_values values, void **ret_cursor, kf_error *error);
    kf_code (*next)(void *cursor, bool *ret_row, kf_error *error);
    /* NULL for columns that there are not; the bytes live until the next row. Text has a zero behind it. */
    kf_value (*column)(void *cursor, size_t column);
    void (*finish)(void *cursor);
    kf_code (*begin)(void *connection, kf_error *error);
    kf_code (*commit)(void *connection, kf_error *error);
    void (*rollback)(void *connection);
} kf_database_driver;

extern const kf_database_driver kf_sqlite_driver;

#endif
