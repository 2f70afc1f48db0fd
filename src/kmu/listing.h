/* Lists of registered things: a table's rows as an answer. */
#ifndef KEYFILL_KMU_LISTING_H
#define KEYFILL_KMU_LISTING_H

#include "kmu/kmu.h"

/* A column of text, in its place among those that are selected; or of bytes, shown in hexadecimal. */
typedef struct kf_listed_column {
    const char *member; /* NULL ends the list */
    bool bytes;
} kf_listed_column;

/* {"NAME": [{"member": …}, …]} of what `sql` (without parameters) selects. */
kf_code kf_listing_answer(kf_kmu *kmu, const char *name, const char *sql, const kf_listed_column *columns,
                          json_t **ret_answer, kf_error *error) KF_MUST_USE;

#endif
