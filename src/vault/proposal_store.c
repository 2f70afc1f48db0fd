#include "vault/proposal_store.h"

#include <stdio.h>
#include <string.h>

static const kf_migration steps[] = {
    {1, "CREATE TABLE proposals ("
        " id TEXT PRIMARY KEY,"
        " bytes BYTEA NOT NULL,"
        " act TEXT NOT NULL,"
        " subject TEXT NOT NULL,"
        " proposer TEXT NOT NULL,"
        " state TEXT NOT NULL,"
        " created BIGINT NOT NULL,"
        " expires BIGINT NOT NULL,"
        " attachment BYTEA NOT NULL,"
        " result BYTEA NOT NULL,"
        " message TEXT NOT NULL);"
        "CREATE INDEX proposals_state ON proposals (state);"
        "CREATE TABLE proposal_signatures ("
        " id TEXT NOT NULL,"
        " position BIGINT NOT NULL,"
        " officer TEXT NOT NULL,"
        " signature BYTEA NOT NULL,"
        " PRIMARY KEY (id, officer));"},
};

const kf_migrations kf_proposals_migrations = {"proposals", steps, sizeof steps / sizeof steps[0]};

void kf_proposal_row_clear(kf_proposal_row *row)
{
    kf_buffer_clear(&row->bytes);
    kf_buffer_clear(&row->attachment);
    kf_buffer_clear(&row->result);
}

kf_code kf_proposals_expire(kf_database *database, uint64_t now_seconds, kf_error *error)
{
    kf_value now = kf_value_integer((int64_t)now_seconds);
    kf_value nothing = kf_value_blob(kf_view_of("", 0));
    KF_TRY(kf_database_execute(database,
                               "UPDATE proposals SET state = 'expired', attachment = $2 "
                               "WHERE state = 'pending' AND expires <= $1",
                               KF_VALUES(now, nothing), NULL, error));
    /* A backup that was not fetched by then. */
    return kf_database_execute(database,
                               "UPDATE proposals SET result = $2 WHERE act = 'key.backup' AND expires <= $1",
                               KF_VALUES(now, nothing), NULL, error);
}

static kf_code check_room(kf_database *database, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT COUNT(*) FROM proposals WHERE state = 'pending'", KF_NO_VALUES,
                             &rows, error));
    KF_TRY(kf_rows_need(rows, "proposals", error));
    if (kf_rows_integer(rows, 0) < KF_PROPOSALS_PENDING_MAX) return kf_rows_status(rows, error);
    return kf_fail(error, KF_ERR_BUSY,
                   "%d proposals are pending: approve or withdraw some first (keyfill proposal list)",
                   KF_PROPOSALS_PENDING_MAX);
}

kf_code kf_proposals_add(kf_database *database, const kf_proposal_row *row, kf_error *error)
{
    KF_TRY(check_room(database, error));
    kf_proposal proposal;
    KF_TRY(kf_fail_plain(error, kf_proposal_take(kf_buffer_view(&row->bytes), &proposal)));
    return kf_database_execute(
        database,
        "INSERT INTO proposals (id, bytes, act, subject, proposer, state, created, expires, attachment, "
        "result, "
        "message) VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9, '')",
        KF_VALUES(kf_value_text(row->id), kf_value_blob(kf_buffer_view(&row->bytes)), kf_value_text(row->act),
                  kf_value_text(row->subject), kf_value_text(row->proposer),
                  kf_value_integer((int64_t)proposal.created), kf_value_integer((int64_t)proposal.expires),
                  kf_value_blob(kf_buffer_view(&row->attachment)), kf_value_blob(kf_view_of("", 0))),
        NULL, error);
}

static void read_row(kf_rows *rows, kf_proposal_row *row)
{
    (void)snprintf(row->id, sizeof row->id, "%s", kf_rows_text(rows, 0));
    (void)snprintf(row->act, sizeof row->act, "%s", kf_rows_text(rows, 1));
    (void)snprintf(row->subject, sizeof row->subject, "%s", kf_rows_text(rows, 2));
    (void)snprintf(row->proposer, sizeof row->proposer, "%s", kf_rows_text(rows, 3));
    (void)snprintf(row->state, sizeof row->state, "%s", kf_rows_text(rows, 4));
    row->expires = (uint64_t)kf_rows_integer(rows, 5);
    (void)snprintf(row->message, sizeof row->message, "%s", kf_rows_text(rows, 6));
    kf_buffer_append(&row->bytes, kf_rows_blob(rows, 7));
    kf_buffer_append(&row->attachment, kf_rows_blob(rows, 8));
    kf_buffer_append(&row->result, kf_rows_blob(rows, 9));
}

static kf_code read_signatures(kf_database *database, kf_proposal_row *row, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(
        database, "SELECT officer, signature FROM proposal_signatures WHERE id = $1 ORDER BY position",
        KF_VALUES(kf_value_text(row->id)), &rows, error));
    kf_proposal_signatures *signatures = &row->signatures;
    bool next = false;
    KF_TRY(kf_rows_next(rows, &next, error));
    while (next && signatures->count < KF_PROPOSAL_SIGNATURES_MAX) {
        kf_officer_signature *signature = &signatures->items[signatures->count];
        kf_view bytes = kf_rows_blob(rows, 1);
        if (bytes.size != sizeof signature->bytes)
            return kf_fail(error, KF_ERR_STORE, "a signature of proposal %s is damaged", row->id);
        memcpy(signature->bytes, bytes.data, bytes.size);
        (void)snprintf(signature->officer, sizeof signature->officer, "%s", kf_rows_text(rows, 0));
        signatures->count++;
        KF_TRY(kf_rows_next(rows, &next, error));
    }
    return kf_rows_status(rows, error);
}

static kf_code find_row(kf_database *database, const char *id, kf_proposal_row *row, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    bool found = false;
    KF_TRY(kf_database_query(database,
                             "SELECT id, act, subject, proposer, state, expires, message, bytes, attachment, "
                             "result FROM proposals WHERE id = $1",
                             KF_VALUES(kf_value_text(id)), &rows, error));
    KF_TRY(kf_rows_next(rows, &found, error));
    if (!found)
        return kf_fail(error, KF_ERR_NOT_FOUND, "there is no proposal %.40s; keyfill proposal list shows all",
                       id);
    read_row(rows, row);
    KF_TRY(kf_rows_status(rows, error));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&row->bytes)));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&row->attachment)));
    return kf_fail_plain(error, kf_buffer_status(&row->result));
}

kf_code kf_proposals_find(kf_database *database, const char *id, kf_proposal_row *ret_row, kf_error *error)
{
    kf_proposal_row row;
    memset(&row, 0, sizeof row);
    kf_code code = find_row(database, id, &row, error);
    if (code == KF_OK) code = read_signatures(database, &row, error);
    if (code != KF_OK) {
        kf_proposal_row_clear(&row);
        return code;
    }
    *ret_row = row;
    return KF_OK;
}

kf_code kf_proposals_sign(kf_database *database, const char *id, const kf_officer_signature *signature,
                          size_t position, kf_error *error)
{
    return kf_database_execute(
        database,
        "INSERT INTO proposal_signatures (id, position, officer, signature) VALUES ($1, $2, $3, $4)",
        KF_VALUES(kf_value_text(id), kf_value_integer((int64_t)position), kf_value_text(signature->officer),
                  kf_value_blob(kf_view_of(signature->bytes, sizeof signature->bytes))),
        NULL, error);
}

kf_code kf_proposals_end(kf_database *database, const char *id, const kf_proposal_outcome *outcome,
                         kf_error *error)
{
    return kf_database_execute(database,
                               "UPDATE proposals SET state = $2, result = $3, message = $4, attachment = $5 "
                               "WHERE id = $1 AND state = 'pending'",
                               KF_VALUES(kf_value_text(id), kf_value_text(outcome->state),
                                         kf_value_blob(outcome->result), kf_value_text(outcome->message),
                                         kf_value_blob(kf_view_of("", 0))),
                               NULL, error);
}

kf_code kf_proposals_list(kf_database *database, const char *state, kf_proposal_ids *ret_ids, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    ret_ids->count = 0;
    KF_TRY(kf_database_query(database,
                             "SELECT id FROM proposals WHERE state = $1 OR $2 = 1 ORDER BY created DESC, id "
                             "LIMIT $3",
                             KF_VALUES(kf_value_text(state != NULL ? state : ""),
                                       kf_value_integer(state == NULL ? 1 : 0),
                                       kf_value_integer(KF_PROPOSALS_LISTED_MAX)),
                             &rows, error));
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    while (row && ret_ids->count < KF_PROPOSALS_LISTED_MAX) {
        (void)snprintf(ret_ids->items[ret_ids->count++], KF_PROPOSAL_ID_TEXT_SIZE, "%s",
                       kf_rows_text(rows, 0));
        KF_TRY(kf_rows_next(rows, &row, error));
    }
    return kf_rows_status(rows, error);
}
