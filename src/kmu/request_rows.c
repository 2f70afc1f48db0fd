#include <stdio.h>
#include <string.h>

#include "kmu/requests.h"

void kf_request_row_clear(kf_request_row *row)
{
    kf_buffer_clear(&row->body);
    kf_buffer_clear(&row->first_answer);
    kf_buffer_clear(&row->message);
}

static kf_code read_digest(kf_view digest, uint8_t ret_digest[KF_DIGEST_SIZE])
{
    if (digest.size != KF_DIGEST_SIZE) return KF_ERR_STORE;
    memcpy(ret_digest, digest.data, KF_DIGEST_SIZE);
    return KF_OK;
}

static kf_code read_count(int64_t value, uint16_t *ret_count)
{
    if (value < 0 || value > UINT16_MAX) return KF_ERR_STORE;
    *ret_count = (uint16_t)value;
    return KF_OK;
}

static kf_code read_row(kf_rows *rows, kf_request_row *row)
{
    row->found = true;
    KF_TRY(kf_text_copy(row->terminal, sizeof row->terminal, kf_rows_text(rows, 0)));
    KF_TRY(kf_text_copy(row->profile, sizeof row->profile, kf_rows_text(rows, 1)));
    KF_TRY(kf_text_copy(row->module, sizeof row->module, kf_rows_text(rows, 2)));
    KF_TRY(kf_text_copy(row->iccid, sizeof row->iccid, kf_rows_text(rows, 3)));
    KF_TRY(kf_text_copy(row->card, sizeof row->card, kf_rows_text(rows, 4)));
    KF_TRY(kf_text_copy(row->state, sizeof row->state, kf_rows_text(rows, 5)));
    KF_TRY(read_count(kf_rows_integer(rows, 6), &row->step));
    KF_TRY(read_count(kf_rows_integer(rows, 7), &row->attempt));
    row->stored_step = row->step;
    row->stored_attempt = row->attempt;
    KF_TRY(read_digest(kf_rows_blob(rows, 8), row->body_digest));
    kf_buffer_append(&row->body, kf_rows_blob(rows, 9));
    kf_buffer_append_text(&row->first_answer, kf_rows_text(rows, 10));
    KF_TRY(kf_text_copy(row->code, sizeof row->code, kf_rows_text(rows, 11)));
    kf_buffer_append_text(&row->message, kf_rows_text(rows, 12));
    KF_TRY(kf_text_copy(row->operation, sizeof row->operation, kf_rows_text(rows, 13)));
    KF_TRY(kf_rows_status(rows, NULL));
    KF_TRY(kf_buffer_status(&row->body));
    KF_TRY(kf_buffer_status(&row->first_answer));
    return kf_buffer_status(&row->message);
}

kf_code kf_request_row_find(kf_database *database, const char *caller, const char *id,
                            kf_request_row *ret_row, kf_error *error)
{
    kf_request_row row = {0};
    if (kf_text_copy(row.caller, sizeof row.caller, caller) != KF_OK)
        return kf_fail(error, KF_ERR_NOT_FOUND, "there is no caller %.40s…", caller);
    if (kf_text_copy(row.id, sizeof row.id, id) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD, "id: a request's id is 32 lower-case hexadecimal digits");
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database,
                             "SELECT terminal, profile, module, iccid, card, state, step, attempt, "
                             "body_digest, body, first_answer, code, message, operation "
                             "FROM requests WHERE caller = $1 AND id = $2",
                             KF_VALUES(kf_value_text(caller), kf_value_text(id)), &rows, error));
    bool found;
    KF_TRY(kf_rows_next(rows, &found, error));
    kf_code code = found ? read_row(rows, &row) : KF_OK;
    if (code != KF_OK) {
        kf_request_row_clear(&row);
        return kf_fail(error, code == KF_ERR_MEMORY ? code : KF_ERR_STORE,
                       "request %s of %s is damaged in the database", id, caller);
    }
    *ret_row = row;
    return KF_OK;
}

kf_code kf_request_row_insert(kf_database *database, const kf_request_row *row, int64_t now, kf_error *error)
{
    kf_code code = kf_database_execute(
        database,
        "INSERT INTO requests (caller, id, body_digest, body, operation, terminal, profile, module, iccid, "
        "card, state, step, attempt, first_answer, code, message, created, updated) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '', '', $15, $15)",
        KF_VALUES(kf_value_text(row->caller), kf_value_text(row->id),
                  kf_value_blob(KF_VIEW(row->body_digest)), kf_value_blob(kf_buffer_view(&row->body)),
                  kf_value_text(row->operation), kf_value_text(row->terminal), kf_value_text(row->profile),
                  kf_value_text(row->module), kf_value_text(row->iccid), kf_value_text(row->card),
                  kf_value_text(row->state), kf_value_integer(row->step), kf_value_integer(row->attempt),
                  kf_value_text_view(kf_buffer_view(&row->first_answer)), kf_value_integer(now)),
        NULL, error);
    if (code == KF_ERR_CONFLICT)
        return kf_fail(error, KF_ERR_BUSY, "request %s came twice at once; send it again", row->id);
    return code;
}

kf_code kf_request_row_update(kf_database *database, const kf_request_row *row, int64_t now, kf_error *error)
{
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(
        database,
        "UPDATE requests SET profile = $1, card = $2, state = $3, step = $4, attempt = $5, code = $6, "
        "message = $7, updated = $8 "
        "WHERE caller = $9 AND id = $10 AND step = $11 AND attempt = $12 AND state = 'open'",
        KF_VALUES(kf_value_text(row->profile), kf_value_text(row->card), kf_value_text(row->state),
                  kf_value_integer(row->step), kf_value_integer(row->attempt), kf_value_text(row->code),
                  kf_value_text_view(kf_buffer_view(&row->message)), kf_value_integer(now),
                  kf_value_text(row->caller), kf_value_text(row->id), kf_value_integer(row->stored_step),
                  kf_value_integer(row->stored_attempt)),
        &changed, error));
    if (changed == 1) return KF_OK;
    return kf_fail(error, KF_ERR_BUSY, "another message of request %s is in hand; send this one again",
                   row->id);
}

kf_code kf_request_answer_find(kf_database *database, const kf_request_row *row, const uint8_t *digest,
                               bool *ret_found, kf_buffer *text, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(
        database, "SELECT answer FROM request_answers WHERE caller = $1 AND id = $2 AND message_digest = $3",
        KF_VALUES(kf_value_text(row->caller), kf_value_text(row->id),
                  kf_value_blob(kf_view_of(digest, KF_DIGEST_SIZE))),
        &rows, error));
    KF_TRY(kf_rows_next(rows, ret_found, error));
    if (!*ret_found) return KF_OK;
    const char *answer = kf_rows_text(rows, 0);
    KF_TRY(kf_rows_status(rows, error));
    if (answer[0] == '\0')
        return kf_fail(error, kf_code_from_name(row->code), "%.*s", (int)row->message.size,
                       (const char *)row->message.data);
    kf_buffer_append_text(text, answer);
    return kf_fail_plain(error, kf_buffer_status(text));
}

kf_code kf_request_answer_insert(kf_database *database, const kf_request_row *row, const uint8_t *digest,
                                 kf_view text, kf_error *error)
{
    return kf_database_execute(
        database, "INSERT INTO request_answers (caller, id, message_digest, answer) VALUES ($1, $2, $3, $4)",
        KF_VALUES(kf_value_text(row->caller), kf_value_text(row->id),
                  kf_value_blob(kf_view_of(digest, KF_DIGEST_SIZE)), kf_value_text_view(text)),
        NULL, error);
}

bool kf_request_fault_passes(kf_code code)
{
    if ((int)code < 0) return true; /* ours or the machine's: no verdict on card or request */
    switch ((int)code) {
    case KF_ERR_BUSY:
    case KF_ERR_HELD:
    case KF_ERR_RATE:
    case KF_ERR_TOKEN:
    case KF_ERR_IN_PROGRESS:
    case KF_ERR_FIELD: return true;
    default: return false;
    }
}

typedef struct failure_work {
    kf_kmu *kmu;
    const kf_request_row *row;
    const kf_request_failure *failure;
} failure_work;

static kf_code append_failure(kf_kmu *kmu, kf_database *database, const kf_request_row *row,
                              const kf_request_failure *failure, kf_error *error)
{
    char action[32];
    (void)snprintf(action, sizeof action, "request.%s", row->operation);
    const kf_audit_event event = {
        .actor = row->caller,
        .action = action,
        .subject = row->id,
        .outcome = kf_code_name(failure->cause != KF_OK ? failure->cause : failure->reason.code),
        .detail = kf_error_text(&failure->reason),
    };
    return kf_kmu_append_audit(kmu, database, &event, error);
}

static kf_code write_failure(kf_database *database, void *context, kf_error *error)
{
    const failure_work *work = context;
    const kf_request_row *row = work->row;
    const kf_request_failure *failure = work->failure;
    const kf_card_claim claim = {row->card, row->id, row->caller, row->terminal, kf_kmu_now(work->kmu)};
    KF_TRY(kf_request_row_update(database, row, claim.now, error));
    KF_TRY(kf_request_answer_insert(database, row, failure->digest, kf_view_of_text(""), error));
    KF_TRY(kf_card_release(database, &claim, error));
    KF_TRY(kf_front_audit_receipts(database, failure->receipts, kf_error_text(&failure->reason), error));
    if (failure->told_by_vault) return KF_OK;
    return append_failure(work->kmu, database, row, failure, error);
}

kf_code kf_request_fail(kf_kmu *kmu, kf_request_row *row, const kf_request_failure *failure, kf_error *error)
{
    const kf_error *reason = &failure->reason;
    KF_TRY(kf_text_copy(row->state, sizeof row->state, "failed"));
    KF_TRY(kf_text_copy(row->code, sizeof row->code, kf_code_name(reason->code)));
    kf_buffer_clear(&row->message);
    kf_buffer_append_text(&row->message, kf_error_text(reason));
    failure_work work = {kmu, row, failure};
    kf_error refusal = {KF_OK, ""};
    kf_code code = kf_buffer_status(&row->message);
    if (code == KF_OK) code = kf_database_write(kmu->front.database, write_failure, &work, &refusal);
    if (code == KF_OK) return kf_fail(error, reason->code, "%s", kf_error_text(reason));
    (void)kf_fail_plain(&refusal, code);
    /* What the database refuses now is owed; the fault that is told is the first. */
    (void)!kf_front_keep_receipts(&kmu->front, failure->receipts, kf_error_text(reason), NULL);
    return kf_fail(error, code, "%s", kf_error_text(&refusal));
}
