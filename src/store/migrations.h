/* Schemas, from the first version on: each unit of records has an ordered list of steps, and the database
 * remembers which it has had. */
#ifndef KEYFILL_STORE_MIGRATIONS_H
#define KEYFILL_STORE_MIGRATIONS_H

#include "store/database.h"

typedef struct kf_migration {
    int64_t version; /* 1, 2, 3 … without gaps */
    const char *sql; /* one or more statements; never changed once released */
} kf_migration;

typedef struct kf_migrations {
    const char *unit; /* "kmu", "audit": whose tables these are; one database may hold several units' */
    const kf_migration *items;
    size_t count;
} kf_migrations;

/* Applies what is missing, each step in one transaction with its version row. KF_ERR_STORE_VERSION where the
 * database is newer than this program: nothing is changed then. KF_ERR_ARGUMENT for versions out of order. */
kf_code kf_database_migrate(kf_database *database, const kf_migrations *migrations,
                            kf_error *error) KF_MUST_USE;

#endif
