#include <stdio.h>
#include <string.h>

#include "kmu/requests.h"

void kf_request_row_clear(kf_request_row *row)
{
    kf_buffer_clear(&row->body);
    kf_buffer_clear(&row->first_answer);
    kf_buffer_clear(&row->answer);
}

static kf_code read_digest(kf_view digest, uint8_t ret_digest[KF_DIGEST_SIZE])
{
    if (digest.size != KF_DIGEST_SIZE) return KF_ERR_STORE;
    memcpy(ret_digest, digest.data, KF_DIGEST_SIZE);
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
    row->step = (uint16_t)kf_rows_integer(rows, 6);
    row->attempt = (uint16_t)kf_rows_integer(rows, 7);
    row->stored_step = row->step;
    row->stored_attempt = row->attempt;
    KF_TRY(read_digest(kf_rows_blob(rows, 8), row->body_digest));
    KF_TRY(read_digest(kf_rows_blob(rows, 9), row->answers_digest));
    kf_buffer_append(&row->body, kf_rows_blob(rows, 10));
    kf_buffer_append_text(&row->first_answer, kf_rows_text(rows, 11));
    kf_buffer_append_text(&row->answer, kf_rows_text(rows, 12));
    KF_TRY(kf_text_copy(row->code, sizeof row->code, kf_rows_text(rows, 13)));
    KF_TRY(kf_text_copy(row->operation, sizeof row->operation, kf_rows_text(rows, 14)));
    KF_TRY(kf_buffer_status(&row->body));
    KF_TRY(kf_buffer_status(&row->first_answer));
    return kf_buffer_status(&row->answer);
}

kf_code kf_request_row_find(kf_database *database, const char *caller, const char *id,
                            kf_request_row *ret_row, kf_error *error)
{
    kf_request_row row = {0};
    KF_TRY(kf_text_copy(row.caller, sizeof row.caller, caller));
    if (kf_text_copy(row.id, sizeof row.id, id) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD, "id: a request's id is 32 lower-case hexadecimal digits");
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(
        kf_database_query(database,
                          "SELECT terminal, profile, module, iccid, card, state, step, attempt, body_digest, "
                          "answers_digest, body, "
                          "first_answer, answer, code, operation FROM requests WHERE caller = $1 AND id = $2",
                          KF_VALUES(kf_value_text(caller), kf_value_text(id)), &rows, error));
    bool found;
    KF_TRY(kf_rows_next(rows, &found, error));
    kf_code code = found ? read_row(rows, &row) : KF_OK;
    if (code != KF_OK) {
        kf_request_row_clear(&row);
        return kf_fail(error, code, "request %s of %s is damaged in the database", id, caller);
    }
    *ret_row = row;
    return KF_OK;
}

kf_code kf_request_row_insert(kf_database *database, const kf_request_row *row, int64_t now, kf_error *error)
{
    return kf_database_execute(
        database,
        "INSERT INTO requests (caller, id, body_digest, body, operation, terminal, profile, module, iccid, "
        "card, state, step, "
        "attempt, answers_digest, first_answer, answer, code, message, created, updated) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, '', '', $17, $17)",
        KF_VALUES(kf_value_text(row->caller), kf_value_text(row->id),
                  kf_value_blob(KF_VIEW(row->body_digest)), kf_value_blob(kf_buffer_view(&row->body)),
                  kf_value_text(row->operation), kf_value_text(row->terminal), kf_value_text(row->profile),
                  kf_value_text(row->module), kf_value_text(row->iccid), kf_value_text(row->card),
                  kf_value_text(row->state), kf_value_integer(row->step), kf_value_integer(row->attempt),
                  kf_value_blob(KF_VIEW(row->answers_digest)),
                  kf_value_text_view(kf_buffer_view(&row->first_answer)),
                  kf_value_text_view(kf_buffer_view(&row->answer)), kf_value_integer(now)),
        NULL, error);
}

kf_code kf_request_row_update(kf_database *database, const kf_request_row *row, int64_t now, kf_error *error)
{
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(
        database,
        "UPDATE requests SET card = $1, state = $2, step = $3, attempt = $4, answers_digest = $5, answer = "
        "$6, code = $7, "
        "updated = $8 WHERE caller = $9 AND id = $10 AND step = $11 AND attempt = $12 AND state = 'open'",
        KF_VALUES(kf_value_text(row->card), kf_value_text(row->state), kf_value_integer(row->step),
                  kf_value_integer(row->attempt), kf_value_blob(KF_VIEW(row->answers_digest)),
                  kf_value_text_view(kf_buffer_view(&row->answer)), kf_value_text(row->code),
                  kf_value_integer(now), kf_value_text(row->caller), kf_value_text(row->id),
                  kf_value_integer(row->stored_step), kf_value_integer(row->stored_attempt)),
        &changed, error));
    if (changed == 1) return KF_OK;
    return kf_fail(error, KF_ERR_BUSY, "another message of request %s is in hand; send this one again",
                   row->id);
}

bool kf_request_fault_passes(kf_code code)
{
    switch ((int)code) {
    case KF_ERR_VAULT:
    case KF_ERR_STORE:
    case KF_ERR_STORE_BUSY:
    case KF_ERR_MEMORY:
    case KF_ERR_SECRET_MEMORY:
    case KF_ERR_BUSY:
    case KF_ERR_TOKEN: /* a message that is not this request's does not end it */
    case KF_ERR_FIELD: return true;
    default: return false;
    }
}

typedef struct failure_work {
    kf_kmu *kmu;
    kf_request_row *row;
    const kf_vault_answer *vault_answer;
    const kf_error *failure;
} failure_work;

static kf_code write_failure(kf_database *database, void *context, kf_error *error)
{
    const failure_work *work = context;
    kf_request_row *row = work->row;
    int64_t now = kf_kmu_now(work->kmu);
    KF_TRY(kf_request_row_update(database, row, now, error));
    if (row->card[0] != '\0') KF_TRY(kf_card_release(database, row->card, row->id, error));
    if (work->vault_answer != NULL && work->vault_answer->receipts.size > 0)
        return kf_front_audit_receipts(database, &work->vault_answer->receipts, kf_error_text(work->failure),
                                       error);
    char action[32];
    (void)snprintf(action, sizeof action, "request.%s", row->operation);
    const kf_audit_event event = {
        .time_ms = now,
        .actor = row->caller,
        .action = action,
        .subject = row->id,
        .outcome = kf_code_name(work->failure->code),
        .detail = kf_error_text(work->failure),
    };
    return kf_audit_append(database, &event, NULL, error);
}

kf_code kf_request_fail(kf_kmu *kmu, kf_request_row *row, const kf_vault_answer *vault_answer,
                        const kf_error *failure, kf_error *error)
{
    kf_error kept = *failure;
    KF_TRY(kf_text_copy(row->state, sizeof row->state, "failed"));
    KF_TRY(kf_text_copy(row->code, sizeof row->code, kf_code_name(kept.code)));
    kf_buffer_clear(&row->answer);
    kf_buffer_append_text(&row->answer, kf_error_text(&kept));
    KF_TRY(kf_buffer_status(&row->answer));
    failure_work work = {kmu, row, vault_answer, &kept};
    KF_TRY(kf_database_write(kmu->front.database, write_failure, &work, error));
    return kf_fail(error, kept.code, "%s", kf_error_text(&kept));
}
