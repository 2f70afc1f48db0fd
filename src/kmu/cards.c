#include "kmu/cards.h"

#include <string.h>

#include "kmu/bounds.h"
#include "wire/json.h"

#define CARD_COLUMNS "record, request, request_caller, request_terminal, request_time"

void kf_card_row_clear(kf_card_row *row)
{
    kf_buffer_clear(&row->sealed);
}

static kf_code read_row(kf_rows *rows, kf_card_row *row, kf_error *error)
{
    row->found = true;
    kf_view sealed = kf_rows_blob(rows, 0);
    if (kf_card_record_read_unverified(sealed, &row->record) != KF_OK)
        return kf_fail(error, KF_ERR_RECORD,
                       "a card's record in the database is damaged; restore the database");
    kf_buffer_append(&row->sealed, sealed);
    KF_TRY(kf_text_copy(row->request, sizeof row->request, kf_rows_text(rows, 1)));
    KF_TRY(kf_text_copy(row->request_caller, sizeof row->request_caller, kf_rows_text(rows, 2)));
    KF_TRY(kf_text_copy(row->request_terminal, sizeof row->request_terminal, kf_rows_text(rows, 3)));
    row->request_time = kf_rows_integer(rows, 4);
    KF_TRY(kf_rows_status(rows, error));
    return kf_buffer_status(&row->sealed);
}

static kf_code find(kf_database *database, const char *sql, const char *value, kf_card_row *row,
                    kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, sql, KF_VALUES(kf_value_text(value)), &rows, error));
    bool found;
    KF_TRY(kf_rows_next(rows, &found, error));
    return found ? read_row(rows, row, error) : KF_OK;
}

static kf_code find_by_identity(kf_database *database, const char *identity, kf_card_row *row,
                                kf_error *error)
{
    KF_TRY(find(database, "SELECT " CARD_COLUMNS " FROM cards WHERE identity = $1", identity, row, error));
    if (!row->found || strcmp(row->record.identity, identity) == 0) return KF_OK;
    return kf_fail(error, KF_ERR_RECORD,
                   "card %s: the database holds the record of card %s in its place; restore the database",
                   identity, row->record.identity);
}

static kf_code finish_row(kf_code code, kf_card_row *row, kf_card_row *ret_row, kf_error *error)
{
    if (code != KF_OK) {
        kf_card_row_clear(row);
        return kf_fail_plain(error, code);
    }
    *ret_row = *row;
    return KF_OK;
}

kf_code kf_card_by_identity(kf_database *database, const char *identity, kf_card_row *ret_row,
                            kf_error *error)
{
    kf_card_row row = {0};
    kf_code code = find_by_identity(database, identity, &row, error);
    return finish_row(code, &row, ret_row, error);
}

kf_code kf_card_by_report(kf_database *database, const kf_request_form *form, kf_card_row *ret_row,
                          kf_error *error)
{
    kf_card_row row = {0};
    kf_code code = KF_OK;
    if (form->identity[0] != '\0') code = find_by_identity(database, form->identity, &row, error);
    if (code == KF_OK && !row.found && form->request.iccid[0] != '\0')
        code = find(database, "SELECT " CARD_COLUMNS " FROM cards WHERE iccid = $1", form->request.iccid,
                    &row, error);
    return finish_row(code, &row, ret_row, error);
}

static kf_code insert_card(kf_database *database, const kf_card_change *change, const kf_card_record *record,
                           kf_error *error)
{
    kf_code code = kf_database_execute(
        database,
        "INSERT INTO cards (identity, iccid, number, category, state, generation, "
        "base_key_version, sequence, record, request, "
        "request_caller, request_terminal, request_time, updated, base_key, "
        "pending_base_key, pending_version) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '', '', 0, $10, $11, $12, $13)",
        KF_VALUES(
            kf_value_text(record->identity), kf_value_text(record->iccid), kf_value_text(record->number),
            kf_value_text(record->category), kf_value_text(kf_card_state_name(record->state)),
            kf_value_integer(record->present.generation), kf_value_integer(record->present.base_key_version),
            kf_value_integer((int64_t)record->sequence), kf_value_blob(change->sealed),
            kf_value_integer(change->now), kf_value_text(record->present.base_key),
            kf_value_text(record->pending.base_key), kf_value_integer(record->pending.base_key_version)),
        NULL, error);
    if (code == KF_ERR_CONFLICT)
        return kf_fail(error, code, "card %s was recorded by another request meanwhile; present it again",
                       record->identity);
    return code;
}

static kf_code update_card(kf_database *database, const kf_card_change *change, const kf_card_record *record,
                           kf_error *error)
{
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(
        database,
        "UPDATE cards SET iccid = $1, number = $2, category = $3, state = $4, generation = $5, "
        "base_key_version = $6, "
        "sequence = $7, record = $8, updated = $9, base_key = $12, pending_base_key = $13, "
        "pending_version = $14 WHERE identity = $10 AND sequence = $11",
        KF_VALUES(
            kf_value_text(record->iccid), kf_value_text(record->number), kf_value_text(record->category),
            kf_value_text(kf_card_state_name(record->state)), kf_value_integer(record->present.generation),
            kf_value_integer(record->present.base_key_version), kf_value_integer((int64_t)record->sequence),
            kf_value_blob(change->sealed), kf_value_integer(change->now), kf_value_text(record->identity),
            kf_value_integer((int64_t)change->replaced), kf_value_text(record->present.base_key),
            kf_value_text(record->pending.base_key), kf_value_integer(record->pending.base_key_version)),
        &changed, error));
    if (changed == 1) return KF_OK;
    return kf_fail(error, KF_ERR_CONFLICT,
                   "card %s was changed by another request meanwhile; present it again", record->identity);
}

kf_code kf_number_check_free(kf_database *database, const char *number, const char *identity,
                             uint32_t *ret_floor, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT identity, last_generation FROM numbers WHERE number = $1",
                             KF_VALUES(kf_value_text(number)), &rows, error));
    bool found;
    KF_TRY(kf_rows_next(rows, &found, error));
    *ret_floor = 0;
    if (!found) return KF_OK;
    const char *owner = kf_rows_text(rows, 0);
    if (owner[0] != '\0' && (identity == NULL || strcmp(owner, identity) != 0))
        return kf_fail(error, KF_ERR_NUMBER_TAKEN,
                       "number %s belongs to card %s; clear that card first, or choose another number",
                       number, owner);
    *ret_floor = (uint32_t)kf_rows_integer(rows, 1);
    return KF_OK;
}

/* Whether this card has the number already, and the number's highest generation; 0 where it has none. */
static kf_code find_number(kf_database *database, const kf_card_record *record, bool *ret_bound,
                           uint32_t *ret_floor, kf_error *error)
{
    KF_TRY(kf_number_check_free(database, record->number, record->identity, ret_floor, error));
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT 1 FROM numbers WHERE number = $1 AND identity = $2",
                             KF_VALUES(kf_value_text(record->number), kf_value_text(record->identity)), &rows,
                             error));
    return kf_rows_next(rows, ret_bound, error);
}

/* A card has its number from the intent of its fill until it is cleared. The floor that the vault counted
 * from was read when the request began: if another card had the number since, its generation would come
 * again, and with it its key. */
static kf_code bind_number(kf_database *database, const kf_card_record *record, int64_t now, kf_error *error)
{
    KF_TRY(kf_database_execute(
        database, "UPDATE numbers SET identity = '', updated = $1 WHERE identity = $2 AND number <> $3",
        KF_VALUES(kf_value_integer(now), kf_value_text(record->identity), kf_value_text(record->number)),
        NULL, error));
    if (record->number[0] == '\0') return KF_OK;
    uint32_t floor;
    bool bound = false;
    KF_TRY(find_number(database, record, &bound, &floor, error));
    if (!bound && record->last_generation <= floor)
        return kf_fail(error, KF_ERR_CONFLICT,
                       "number %s was on another card meanwhile (generation %u); present card %s again",
                       record->number, (unsigned)floor, record->identity);
    uint32_t last = record->last_generation > floor ? record->last_generation : floor;
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(
        database, "UPDATE numbers SET identity = $1, last_generation = $2, updated = $3 WHERE number = $4",
        KF_VALUES(kf_value_text(record->identity), kf_value_integer(last), kf_value_integer(now),
                  kf_value_text(record->number)),
        &changed, error));
    if (changed == 1) return KF_OK;
    return kf_database_execute(
        database, "INSERT INTO numbers (number, identity, last_generation, updated) VALUES ($1, $2, $3, $4)",
        KF_VALUES(kf_value_text(record->number), kf_value_text(record->identity), kf_value_integer(last),
                  kf_value_integer(now)),
        NULL, error);
}

kf_code kf_card_write(kf_database *database, const kf_card_change *change, kf_error *error)
{
    kf_card_record record;
    if (kf_card_record_read_unverified(change->sealed, &record) != KF_OK)
        return kf_fail(error, KF_ERR_RECORD, "the vault gave a record that cannot be read");
    if (change->replaced == 0)
        KF_TRY(insert_card(database, change, &record, error));
    else
        KF_TRY(update_card(database, change, &record, error));
    return bind_number(database, &record, change->now, error);
}

kf_code kf_card_check_claim(const kf_card_row *row, const kf_card_claim *claim, kf_error *error)
{
    bool same_caller = strcmp(row->request_caller, claim->caller) == 0;
    bool mine = same_caller && strcmp(row->request, claim->request) == 0;
    bool same_terminal = same_caller && strcmp(row->request_terminal, claim->terminal) == 0;
    bool idle = claim->now - row->request_time > KF_REQUEST_PATIENCE_MS;
    if (row->request[0] == '\0' || mine || same_terminal || idle) return KF_OK;
    return kf_fail(error, KF_ERR_IN_PROGRESS, "request %s of %s works on card %s; wait until it is over",
                   row->request, row->request_caller, row->record.identity);
}

kf_code kf_card_take(kf_database *database, const kf_card_claim *claim, kf_error *error)
{
    KF_CLEANUP(kf_card_row_clear) kf_card_row row = {0};
    KF_TRY(kf_card_by_identity(database, claim->identity, &row, error));
    if (!row.found) return KF_OK;
    KF_TRY(kf_card_check_claim(&row, claim, error));
    return kf_database_execute(database,
                               "UPDATE cards SET request = $1, request_caller = $2, request_terminal = $3, "
                               "request_time = $4 WHERE identity = $5",
                               KF_VALUES(kf_value_text(claim->request), kf_value_text(claim->caller),
                                         kf_value_text(claim->terminal), kf_value_integer(claim->now),
                                         kf_value_text(claim->identity)),
                               NULL, error);
}

kf_code kf_card_release(kf_database *database, const kf_card_claim *claim, kf_error *error)
{
    return kf_database_execute(
        database,
        "UPDATE cards SET request = '', request_caller = '', request_terminal = '', request_time = 0 "
        "WHERE identity = $1 AND request = $2 AND request_caller = $3",
        KF_VALUES(kf_value_text(claim->identity), kf_value_text(claim->request),
                  kf_value_text(claim->caller)),
        NULL, error);
}

/* A host sees no card that it may not work on. */
static kf_code check_lookup(kf_kmu *kmu, const kf_peer *caller, const kf_card_record *record, kf_error *error)
{
    if (caller->role != KF_PEER_HOST) return KF_OK;
    const kf_caller_text shown = kf_caller_show(caller);
    const kf_bounds_caller asking = {shown.text, ""};
    kf_error refusal = {KF_OK, ""};
    kf_code code = kf_bounds_check_card(kmu, &asking, record, &refusal);
    if (code == KF_OK) return KF_OK;
    (void)kf_fail_plain(&refusal, code);
    const kf_audit_event event = {.actor = shown.text,
                                  .action = "card.lookup",
                                  .subject = record->identity,
                                  .outcome = kf_code_name(code),
                                  .detail = kf_error_text(&refusal)};
    KF_TRY(kf_kmu_audit(kmu, &event, error));
    return kf_fail(error, code, "%s", kf_error_text(&refusal));
}

kf_code kf_handle_card_lookup(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    static const char *const members[] = {"card", NULL};
    kf_kmu *kmu = context;
    kf_request_form form = {0};
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_request_form_read_card(request->json, &form, error));
    KF_CLEANUP(kf_card_row_clear) kf_card_row row = {0};
    KF_TRY(kf_card_by_report(kmu->front.database, &form, &row, error));
    json_t *answer = response->json = json_object();
    KF_TRY(kf_json_set_boolean(answer, "known", row.found));
    if (!row.found) return KF_OK;
    KF_TRY(check_lookup(kmu, request->caller, &row.record, error));
    const kf_card_record *record = &row.record;
    KF_TRY(kf_json_set_text(answer, "card", record->identity));
    KF_TRY(kf_json_set_text(answer, "state", kf_card_state_name(record->state)));
    KF_TRY(kf_json_set_text(answer, "iccid", record->iccid[0] != '\0' ? record->iccid : NULL));
    KF_TRY(kf_json_set_text(answer, "number", record->number[0] != '\0' ? record->number : NULL));
    KF_TRY(kf_json_set_text(answer, "category", record->category[0] != '\0' ? record->category : NULL));
    KF_TRY(kf_json_set_integer(answer, "generation", record->present.generation));
    KF_TRY(kf_json_set_integer(answer, "base_key_version", record->present.base_key_version));
    return kf_json_set_boolean(answer, "personalised", record->personalised[0] != '\0');
}
