#include "audit/chain.h"

#include <stdio.h>
#include <string.h>

static const kf_migration steps[] = {
    {1, "CREATE TABLE audit ("
        " seq BIGINT PRIMARY KEY,"
        " time_ms BIGINT NOT NULL,"
        " actor TEXT NOT NULL,"
        " action TEXT NOT NULL,"
        " subject TEXT NOT NULL,"
        " outcome TEXT NOT NULL,"
        " detail TEXT NOT NULL,"
        " receipt BYTEA NOT NULL,"
        " previous_hash BYTEA NOT NULL,"
        " hash BYTEA NOT NULL);"
        "CREATE TABLE audit_head (id BIGINT PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL, hash BYTEA NOT "
        "NULL);"},
    /* heads.h, outside.h */
    {2, "CREATE TABLE audit_heads ("
        " number BIGINT PRIMARY KEY,"
        " unit TEXT NOT NULL,"
        " seq BIGINT NOT NULL,"
        " head BYTEA NOT NULL);"
        "CREATE INDEX audit_heads_unit ON audit_heads (unit, number);"
        "CREATE TABLE audit_peers ("
        " unit TEXT PRIMARY KEY,"
        " public_key BYTEA NOT NULL,"
        " newest BYTEA NOT NULL,"
        " seen_ms BIGINT NOT NULL,"
        " finding TEXT NOT NULL);"
        "CREATE TABLE audit_copies (place TEXT PRIMARY KEY, number BIGINT NOT NULL);"},
};

const kf_migrations kf_audit_migrations = {"audit", steps, sizeof steps / sizeof steps[0]};

static const char row_columns[] =
    "SELECT seq, time_ms, actor, action, subject, outcome, detail, receipt, previous_hash, hash FROM audit";

static kf_code copy_hash(kf_rows *rows, size_t column, uint8_t ret_hash[KF_DIGEST_SIZE], kf_error *error)
{
    kf_view hash = kf_rows_blob(rows, column);
    KF_TRY(kf_rows_status(rows, error));
    if (hash.size != KF_DIGEST_SIZE)
        return kf_fail(error, KF_ERR_AUDIT, "a hash of the audit log has %zu bytes, not %d", hash.size,
                       KF_DIGEST_SIZE);
    memcpy(ret_hash, hash.data, KF_DIGEST_SIZE);
    return KF_OK;
}

kf_code kf_audit_read_head(kf_database *database, kf_audit_head *ret_head, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT seq, hash FROM audit_head WHERE id = 1", KF_NO_VALUES, &rows,
                             error));
    kf_audit_head head = {0};
    bool found = false;
    KF_TRY(kf_rows_next(rows, &found, error));
    if (found) {
        head.seq = kf_rows_integer(rows, 0);
        KF_TRY(copy_hash(rows, 1, head.hash, error));
    }
    *ret_head = head;
    return KF_OK;
}

static kf_code check_size(const char *what, const char *text, kf_error *error)
{
    if (text == NULL || strlen(text) <= KF_AUDIT_NAME_MAX) return KF_OK;
    return kf_fail(error, KF_ERR_TOO_LONG, "audit row: %s has %zu bytes, at most %d are allowed", what,
                   strlen(text), KF_AUDIT_NAME_MAX);
}

static kf_code check_event(const kf_audit_event *event, kf_error *error)
{
    KF_TRY(check_size("actor", event->actor, error));
    KF_TRY(check_size("action", event->action, error));
    KF_TRY(check_size("subject", event->subject, error));
    KF_TRY(check_size("outcome", event->outcome, error));
    if (event->receipt.size > KF_AUDIT_RECEIPT_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "audit row: the receipt has %zu bytes, at most %d are allowed",
                       event->receipt.size, KF_AUDIT_RECEIPT_MAX);
    return KF_OK;
}

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static kf_code insert_row(kf_database *database, const kf_audit_row *row, kf_error *error)
{
    const kf_audit_event *event = &row->event;
    const kf_value values[] = {
        kf_value_integer(row->seq),
        kf_value_integer(event->time_ms),
        kf_value_text(event->actor),
        kf_value_text(event->action),
        kf_value_text(event->subject),
        kf_value_text(event->outcome),
        kf_value_text(event->detail),
        kf_value_blob(event->receipt),
        kf_value_blob(KF_VIEW(row->previous)),
        kf_value_blob(KF_VIEW(row->hash)),
    };
    KF_TRY(kf_database_execute(
        database,
        "INSERT INTO audit (seq, time_ms, actor, action, subject, outcome, detail, receipt,"
        " previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        (kf_values){values, sizeof values / sizeof values[0]}, NULL, error));
    const char *note = row->seq == 1 ? "INSERT INTO audit_head (id, seq, hash) VALUES (1, $1, $2)"
                                     : "UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1";
    return kf_database_execute(database, note,
                               KF_VALUES(kf_value_integer(row->seq), kf_value_blob(KF_VIEW(row->hash))), NULL,
                               error);
}

/* Cuts in front of a whole character, so that the text stays UTF-8. */
static void cut_detail(const char *detail, char ret_detail[KF_AUDIT_DETAIL_MAX + 1])
{
    size_t size = strlen(detail);
    if (size > KF_AUDIT_DETAIL_MAX) {
        size = KF_AUDIT_DETAIL_MAX;
        while (size > 0 && ((unsigned char)detail[size] & 0xC0) == 0x80)
            size--;
    }
    memcpy(ret_detail, detail, size);
    ret_detail[size] = '\0';
}

kf_code kf_audit_append(kf_database *database, const kf_audit_event *event, int64_t *ret_seq, kf_error *error)
{
    if (!kf_database_in_transaction(database))
        return kf_fail(error, KF_ERR_ARGUMENT, "an audit row is appended inside a transaction only");
    KF_TRY(check_event(event, error));
    kf_audit_head head;
    KF_TRY(kf_audit_read_head(database, &head, error));
    char detail[KF_AUDIT_DETAIL_MAX + 1];
    cut_detail(text_or_empty(event->detail), detail);
    kf_audit_row row = {.seq = head.seq + 1, .event = *event};
    row.event.actor = text_or_empty(event->actor);
    row.event.action = text_or_empty(event->action);
    row.event.subject = text_or_empty(event->subject);
    row.event.outcome = text_or_empty(event->outcome);
    row.event.detail = detail;
    memcpy(row.previous, head.hash, sizeof row.previous);
    kf_code code = kf_audit_row_hash(&row, row.hash);
    if (code != KF_OK) return kf_fail_plain(error, code);
    KF_TRY(insert_row(database, &row, error));
    if (ret_seq != NULL) *ret_seq = row.seq;
    return KF_OK;
}

/* The texts point into `rows`. */
static kf_code read_row(kf_rows *rows, kf_audit_row *ret_row, kf_error *error)
{
    kf_audit_row row = {
        .seq = kf_rows_integer(rows, 0),
        .event = {.time_ms = kf_rows_integer(rows, 1),
                  .actor = kf_rows_text(rows, 2),
                  .action = kf_rows_text(rows, 3),
                  .subject = kf_rows_text(rows, 4),
                  .outcome = kf_rows_text(rows, 5),
                  .detail = kf_rows_text(rows, 6),
                  .receipt = kf_rows_blob(rows, 7)},
    };
    KF_TRY(copy_hash(rows, 8, row.previous, error));
    KF_TRY(copy_hash(rows, 9, row.hash, error));
    *ret_row = row;
    return KF_OK;
}

static void report_break(kf_audit_report *report, int64_t seq, const char *why)
{
    report->intact = false;
    report->first_bad = seq;
    (void)snprintf(report->why, sizeof report->why, "row %lld: %s", (long long)seq, why);
}

/* Whether `row` follows the head of what was read before; writes into the report why not. */
static kf_code check_row(const kf_audit_row *row, kf_audit_report *report)
{
    uint8_t hash[KF_DIGEST_SIZE];
    KF_TRY(kf_audit_row_hash(row, hash));
    int64_t expected = report->head.seq + 1;
    if (row->seq > expected)
        report_break(report, expected, "it is missing: it was removed");
    else if (row->seq < expected)
        report_break(report, row->seq, "its number lies before the first row");
    else if (memcmp(hash, row->hash, sizeof hash) != 0)
        report_break(report, row->seq, "its content does not match its hash: it was changed");
    else if (memcmp(row->previous, report->head.hash, sizeof hash) != 0)
        report_break(report, row->seq,
                     "it does not follow the row before it: one of them was exchanged, inserted or moved");
    return KF_OK;
}

static kf_code verify_rows(kf_database *database, kf_audit_report *report, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    char sql[256];
    (void)snprintf(sql, sizeof sql, "%s ORDER BY seq", row_columns);
    KF_TRY(kf_database_query(database, sql, KF_NO_VALUES, &rows, error));
    bool more = false;
    KF_TRY(kf_rows_next(rows, &more, error));
    while (more && report->intact) {
        kf_audit_row row;
        kf_code code = read_row(rows, &row, error);
        report->rows++;
        if (code != KF_OK) {
            report_break(report, report->head.seq + 1,
                         "a column holds a value of another kind: it was changed");
            return KF_OK;
        }
        code = check_row(&row, report);
        if (code != KF_OK) return kf_fail_plain(error, code);
        if (!report->intact) return KF_OK;
        report->head.seq = row.seq;
        memcpy(report->head.hash, row.hash, sizeof row.hash);
        KF_TRY(kf_rows_next(rows, &more, error));
    }
    return KF_OK;
}

static kf_code verify_in_transaction(kf_database *database, void *context, kf_error *error)
{
    kf_audit_report *report = context;
    *report = (kf_audit_report){.intact = true};
    KF_TRY(verify_rows(database, report, error));
    if (!report->intact) return KF_OK;
    kf_audit_head noted;
    kf_code code = kf_audit_read_head(database, &noted, error);
    if (code == KF_ERR_AUDIT) {
        report_break(report, report->head.seq, "the note of the newest row is not readable");
        return KF_OK;
    }
    KF_TRY(code);
    if (noted.seq > report->head.seq)
        report_break(report, report->head.seq + 1, "it is missing: rows were cut off at the end");
    else if (noted.seq < report->head.seq)
        report_break(report, noted.seq + 1, "it was appended past the log's own note of its newest row");
    else if (memcmp(noted.hash, report->head.hash, sizeof noted.hash) != 0)
        report_break(report, noted.seq,
                     "it is not the row that was noted as the newest: the log was replaced");
    return KF_OK;
}

kf_code kf_audit_verify(kf_database *database, kf_audit_report *ret_report, kf_error *error)
{
    kf_audit_report report;
    /* A transaction, so that rows and note are of one moment. */
    KF_TRY(kf_database_write(database, verify_in_transaction, &report, error));
    *ret_report = report;
    return KF_OK;
}

kf_code kf_audit_hash_at(kf_database *database, int64_t seq, uint8_t ret_hash[KF_DIGEST_SIZE],
                         kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT hash FROM audit WHERE seq = $1",
                             KF_VALUES(kf_value_integer(seq)), &rows, error));
    char what[48];
    (void)snprintf(what, sizeof what, "audit row %lld", (long long)seq);
    KF_TRY(kf_rows_need(rows, what, error));
    return copy_hash(rows, 0, ret_hash, error);
}

kf_code kf_audit_list(kf_database *database, kf_audit_range range, kf_audit_take take, void *context,
                      kf_error *error)
{
    if (range.limit < 1 || range.limit > KF_AUDIT_LIST_MAX)
        return kf_fail(error, KF_ERR_FIELD, "limit %lld: 1 to %d rows can be listed at once",
                       (long long)range.limit, KF_AUDIT_LIST_MAX);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    char sql[256];
    (void)snprintf(sql, sizeof sql, "%s WHERE seq > $1 ORDER BY seq LIMIT $2", row_columns);
    KF_TRY(kf_database_query(database, sql,
                             KF_VALUES(kf_value_integer(range.after), kf_value_integer(range.limit)), &rows,
                             error));
    for (;;) {
        bool more = false;
        KF_TRY(kf_rows_next(rows, &more, error));
        if (!more) return KF_OK;
        kf_audit_row row;
        KF_TRY(read_row(rows, &row, error));
        kf_code code = take(&row, context);
        if (code != KF_OK) return kf_fail_plain(error, code);
    }
}
