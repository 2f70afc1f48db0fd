#include "kmu/listing.h"

#include "wire/json.h"

static kf_code item_of(kf_rows *rows, const kf_listed_column *columns, json_t *item)
{
    for (size_t i = 0; columns[i].member != NULL; i++) {
        if (columns[i].bytes)
            KF_TRY(kf_json_set_hex(item, columns[i].member, kf_rows_blob(rows, i)));
        else
            KF_TRY(kf_json_set_text(item, columns[i].member, kf_rows_text(rows, i)));
    }
    return KF_OK;
}

kf_code kf_listing_answer(kf_kmu *kmu, const char *name, const char *sql, const kf_listed_column *columns,
                          json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = json_object();
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    json_t *list = json_array();
    KF_TRY(kf_fail_plain(error, kf_json_set(answer, name, list)));
    KF_TRY(kf_database_query(kmu->front.database, sql, KF_NO_VALUES, &rows, error));
    for (;;) {
        bool row;
        KF_TRY(kf_rows_next(rows, &row, error));
        if (!row) break;
        json_t *item = json_object();
        KF_TRY(kf_fail_plain(error, kf_json_append(list, item)));
        KF_TRY(kf_fail_plain(error, item_of(rows, columns, item)));
    }
    *ret_answer = answer;
    answer = NULL; /* the caller owns it now */
    return KF_OK;
}
