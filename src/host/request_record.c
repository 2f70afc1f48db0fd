#include "host/request_record.h"

#include <stdio.h>
#include <string.h>

#include "wire/json.h"

static const char *const state_names[] = {"new", "open", "failing", "failed", "expired", "done"};

const char *kf_request_state_name(kf_request_state state)
{
    return state_names[state];
}

static kf_code state_from_name(const char *name, kf_request_state *ret_state, kf_error *error)
{
    for (size_t i = 0; i < sizeof state_names / sizeof state_names[0]; i++)
        if (strcmp(state_names[i], name) == 0) {
            *ret_state = (kf_request_state)i;
            return KF_OK;
        }
    return kf_fail(error, KF_ERR_STORE, "the database holds a request in the state '%.40s'", name);
}

void kf_request_key(const char *terminal, const char *id, char ret_key[KF_REQUEST_KEY_SIZE])
{
    (void)snprintf(ret_key, KF_REQUEST_KEY_SIZE, "%.*s/%.*s", KF_PEER_NAME_MAX, terminal, KF_REQUEST_ID_SIZE,
                   id);
}

static void copy_column(kf_rows *rows, size_t column, char *ret_text, size_t size)
{
    (void)snprintf(ret_text, size, "%s", kf_rows_text(rows, column));
}

static kf_code read_columns(kf_rows *rows, kf_request_record *record, kf_error *error)
{
    copy_column(rows, 0, record->key, sizeof record->key);
    KF_TRY(state_from_name(kf_rows_text(rows, 1), &record->state, error));
    kf_view digest = kf_rows_blob(rows, 2);
    if (digest.size != sizeof record->digest)
        return kf_fail(error, KF_ERR_STORE, "the database holds a digest of %zu bytes", digest.size);
    memcpy(record->digest, digest.data, digest.size);
    copy_column(rows, 3, record->operation, sizeof record->operation);
    copy_column(rows, 4, record->number, sizeof record->number);
    copy_column(rows, 5, record->card_reference, sizeof record->card_reference);
    record->asked_issuing_server = kf_rows_integer(rows, 6) != 0;
    record->expires_ms = kf_rows_integer(rows, 7);
    record->error.code = kf_rows_is_null(rows, 10) ? KF_OK : kf_code_from_name(kf_rows_text(rows, 10));
    copy_column(rows, 11, record->error.message, sizeof record->error.message);
    KF_TRY(kf_json_parse(kf_view_of_text(kf_rows_text(rows, 8)), &record->card, error));
    if (!kf_rows_is_null(rows, 9))
        KF_TRY(kf_json_parse(kf_view_of_text(kf_rows_text(rows, 9)), &record->added, error));
    return kf_rows_status(rows, error);
}

kf_code kf_request_record_read(kf_database *database, const char *key, kf_request_record *ret_record,
                               kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(
        database,
        "SELECT key, state, digest, operation, number, card_reference, asked_issuing_server,"
        " expires_ms, card, added, error_name, error_text FROM request WHERE key = $1",
        KF_VALUES(kf_value_text(key)), &rows, error));
    char what[KF_REQUEST_KEY_SIZE + 10];
    (void)snprintf(what, sizeof what, "request %s", key);
    KF_TRY(kf_rows_need(rows, what, error));
    KF_CLEANUP(kf_request_record_clear) kf_request_record record = {0};
    KF_TRY(read_columns(rows, &record, error));
    *ret_record = record;
    record = (kf_request_record){0}; /* the caller owns what it holds now */
    return KF_OK;
}

kf_code kf_request_record_insert(kf_database *database, const kf_request_record *record, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer card = KF_BUFFER_INIT;
    kf_code code = kf_json_write(record->card, &card);
    if (code != KF_OK) return kf_fail_plain(error, code);
    const kf_values values = KF_VALUES(
        kf_value_text(record->key), kf_value_text(kf_request_state_name(record->state)),
        kf_value_blob(KF_VIEW(record->digest)), kf_value_text(record->operation),
        kf_value_text_view(kf_buffer_view(&card)), kf_value_text(record->card_reference),
        kf_value_integer(record->asked_issuing_server ? 1 : 0), kf_value_integer(record->expires_ms));
    return kf_database_execute(database,
                               "INSERT INTO request (key, state, digest, operation, card, card_reference,"
                               " asked_issuing_server, expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                               values, NULL, error);
}

kf_code kf_request_record_update(kf_database *database, const kf_request_record *record, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer added = KF_BUFFER_INIT;
    if (record->added != NULL) {
        kf_code code = kf_json_write(record->added, &added);
        if (code != KF_OK) return kf_fail_plain(error, code);
    }
    const bool failed = record->error.code != KF_OK;
    const kf_values values = KF_VALUES(
        kf_value_text(record->key), kf_value_text(kf_request_state_name(record->state)),
        kf_value_text(record->number[0] != '\0' ? record->number : NULL),
        kf_value_integer(record->asked_issuing_server ? 1 : 0),
        record->added != NULL ? kf_value_text_view(kf_buffer_view(&added)) : kf_value_null(),
        kf_value_text(failed ? kf_code_name(record->error.code) : NULL),
        kf_value_text(failed ? kf_error_text(&record->error) : NULL), kf_value_integer(record->expires_ms));
    return kf_database_execute(
        database,
        "UPDATE request SET state = $2, number = $3, asked_issuing_server = $4, added = $5,"
        " error_name = $6, error_text = $7, expires_ms = $8 WHERE key = $1",
        values, NULL, error);
}

void kf_request_record_clear(kf_request_record *record)
{
    kf_json_free(&record->card);
    kf_json_free(&record->added);
}

kf_code kf_request_record_next_due(kf_database *database, int64_t now_ms, const char *after,
                                   char ret_key[KF_REQUEST_KEY_SIZE], kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database,
                             "SELECT key FROM request WHERE key > $2 AND (state = 'failing'"
                             " OR (state IN ('new', 'open') AND expires_ms <= $1)) ORDER BY key LIMIT 1",
                             KF_VALUES(kf_value_integer(now_ms), kf_value_text(after)), &rows, error));
    KF_TRY(kf_rows_need(rows, "request that is due", error));
    copy_column(rows, 0, ret_key, KF_REQUEST_KEY_SIZE);
    return kf_rows_status(rows, error);
}

static bool is_active(const kf_host *host, const char *key)
{
    for (const kf_active_request *item = host->active; item != NULL; item = item->next)
        if (strcmp(item->key, key) == 0) return true;
    return false;
}

void kf_request_enter(kf_host *host, const char *key, kf_active_request *active)
{
    (void)pthread_mutex_lock(&host->active_mutex);
    while (is_active(host, key))
        (void)pthread_cond_wait(&host->active_changed, &host->active_mutex);
    active->key = key;
    active->next = host->active;
    host->active = active;
    (void)pthread_mutex_unlock(&host->active_mutex);
}

void kf_request_leave(kf_host *host, kf_active_request *active)
{
    (void)pthread_mutex_lock(&host->active_mutex);
    kf_active_request **place = &host->active;
    while (*place != NULL && *place != active)
        place = &(*place)->next;
    if (*place == active) *place = active->next;
    (void)pthread_cond_broadcast(&host->active_changed);
    (void)pthread_mutex_unlock(&host->active_mutex);
}
