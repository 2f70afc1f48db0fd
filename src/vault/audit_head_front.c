#include "vault/audit_head_front.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vault/receipt.h"
#include "vault/receipt_order.h"

/* Worker threads write receipts in no certain order: the newest, and whatever the vault may hand over again,
 * is among the last so many. */
#define RECENT_RECEIPTS ((size_t)2 * KF_RECEIPTS_APART)

struct kf_front_log {
    pthread_mutex_t lock;   /* over all below, and so that heads are signed one after the other */
    kf_receipt_order order; /* of rows 1 to `read` */
    uint64_t whole;         /* each receipt up to this number is in them */
    bool broken;            /* one is missing: `whole` stays below it */
    int64_t read;
    int64_t signed_seq;
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE]; /* that signs heads */
};

static kf_code log_new(kf_front_log **ret_log, kf_error *error)
{
    kf_front_log *log = calloc(1, sizeof *log);
    if (log == NULL || pthread_mutex_init(&log->lock, NULL) != 0) {
        free(log);
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    *ret_log = log;
    return KF_OK;
}

void kf_front_log_free(kf_front_log **log)
{
    if (log == NULL || *log == NULL) return;
    (void)pthread_mutex_destroy(&(*log)->lock);
    free(*log);
    *log = NULL;
}

static kf_code ask(const kf_front *front, kf_vault_kind kind, const kf_buffer *request,
                   kf_vault_answer *answer, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_buffer_status(request)));
    return kf_vault_call(front->vault, kind, kf_buffer_view(request), answer, error);
}

kf_code kf_front_audit_state(const kf_front *front, kf_audit_state *ret_state, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_buffer_append_u8(&request, KF_MESSAGE_VERSION);
    KF_TRY(ask(front, KF_VAULT_AUDIT_STATE, &request, &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    return kf_fail_plain(error, kf_audit_state_take(&cursor, ret_state));
}

kf_code kf_front_check_held(const kf_front *front, kf_error *error)
{
    kf_audit_state state;
    char found[KF_HOLD_TEXT_SIZE];
    KF_TRY(kf_front_audit_state(front, &state, error));
    if (state.note.holds == 0) return KF_OK;
    kf_audit_hold_text(state.note.holds, found);
    return kf_fail(error, KF_ERR_HELD,
                   "%s; only keys are pulled and the audit log read until officers accept it", found);
}

static kf_code take_row(const kf_audit_row *row, void *context)
{
    kf_front_log *log = context;
    kf_receipt receipt;
    kf_receipt_gap gap;
    log->read = row->seq;
    /* What is no receipt was changed: it counts as missing, which the vault then finds. */
    if (row->event.receipt.size == 0 || kf_receipt_decode(row->event.receipt, &receipt) != KF_OK)
        return KF_OK;
    (void)kf_receipt_order_take(&log->order, receipt.number, &gap);
    if (gap.count > 0 && !log->broken) {
        log->broken = true;
        log->whole = gap.first - 1;
    }
    if (!log->broken) log->whole = log->order.written;
    return KF_OK;
}

static kf_code read_on(kf_database *database, kf_front_log *log, kf_error *error)
{
    int64_t before;
    do {
        before = log->read;
        KF_TRY(kf_audit_list(database, (kf_audit_range){log->read, KF_AUDIT_LIST_MAX}, take_row, log, error));
    } while (log->read - before == KF_AUDIT_LIST_MAX);
    return KF_OK;
}

/* The newest rows' receipts. */
typedef struct recent_receipts {
    kf_buffer newest; /* the one of the highest number; empty where there is none */
    size_t count;
    uint64_t numbers[RECENT_RECEIPTS];
} recent_receipts;

static void recent_receipts_free(recent_receipts **recent)
{
    if (*recent != NULL) kf_buffer_clear(&(*recent)->newest);
    free(*recent);
}

static void add_recent(recent_receipts *recent, uint64_t *highest, kf_view bytes)
{
    kf_receipt receipt;
    if (kf_receipt_decode(bytes, &receipt) != KF_OK || recent->count == RECENT_RECEIPTS) return;
    recent->numbers[recent->count++] = receipt.number;
    if (receipt.number <= *highest) return;
    *highest = receipt.number;
    kf_buffer_truncate(&recent->newest, 0);
    kf_buffer_append(&recent->newest, bytes);
}

static kf_code find_recent(kf_database *database, recent_receipts *recent, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(
        database, "SELECT receipt FROM audit WHERE receipt <> $1 ORDER BY seq DESC LIMIT $2",
        KF_VALUES(kf_value_blob(kf_view_of("", 0)), kf_value_integer((int64_t)RECENT_RECEIPTS)), &rows,
        error));
    uint64_t highest = 0;
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    while (row) {
        add_recent(recent, &highest, kf_rows_blob(rows, 0));
        KF_TRY(kf_rows_next(rows, &row, error));
    }
    return kf_fail_plain(error, kf_buffer_status(&recent->newest));
}

static bool is_recent(const recent_receipts *recent, uint64_t number)
{
    for (size_t i = 0; i < recent->count; i++)
        if (recent->numbers[i] == number) return true;
    return false;
}

typedef struct setting_aside {
    uint64_t now_ms;
} setting_aside;

static kf_code write_aside(kf_database *database, void *context, kf_error *error)
{
    const setting_aside *work = context;
    char unit[KF_AUDIT_UNIT_MAX];
    (void)snprintf(unit, sizeof unit, "former:%llu", (unsigned long long)work->now_ms);
    const kf_audit_event event = {.time_ms = (int64_t)work->now_ms,
                                  .actor = "vault",
                                  .action = "audit.key-changed",
                                  .subject = unit,
                                  .outcome = "ok",
                                  .detail = "heads are signed by another key from now on: the key store was "
                                            "restored; those before are kept under this name"};
    KF_TRY(kf_audit_append(database, &event, NULL, error));
    return kf_audit_heads_set_aside(database, unit, error);
}

/* A restored key store brings another key: heads that it did not sign are not verified with it. */
static kf_code change_key(const kf_front *front, kf_front_log *log, kf_error *error)
{
    kf_audit_state state;
    setting_aside work = {front->clock()};
    KF_TRY(kf_front_audit_state(front, &state, error));
    if (memcmp(state.public_key, log->public_key, sizeof state.public_key) == 0)
        return kf_fail(error, KF_ERR_VAULT, "the vault does not sign with the key that it names");
    memcpy(log->public_key, state.public_key, sizeof log->public_key);
    return kf_database_write(front->database, write_aside, &work, error);
}

static kf_code start_log(const kf_front *front, kf_front_log *log, kf_error *error)
{
    kf_signed_head head;
    bool found = false;
    KF_TRY(kf_audit_heads_newest(front->database, KF_AUDIT_OWN, &found, &head, error));
    kf_audit_state state;
    KF_TRY(kf_front_audit_state(front, &state, error));
    memcpy(log->public_key, state.public_key, sizeof log->public_key);
    if (found && kf_signed_head_verify(&head, state.public_key) != KF_OK) {
        setting_aside work = {front->clock()};
        KF_TRY(kf_database_write(front->database, write_aside, &work, error));
    }
    log->whole = found ? head.written : 0;
    kf_receipt_order_start(&log->order, log->whole);
    log->read = found ? head.seq : 0;
    log->signed_seq = log->read;
    return read_on(front->database, log, error);
}

static kf_code make_resume(const kf_front *front, const recent_receipts *recent, kf_vault_resume *ret_resume,
                           kf_error *error)
{
    kf_audit_state state;
    kf_audit_head head;
    memset(ret_resume, 0, sizeof *ret_resume);
    KF_TRY(kf_front_audit_state(front, &state, error));
    KF_TRY(kf_audit_read_head(front->database, &head, error));
    ret_resume->receipt = kf_buffer_view(&recent->newest);
    ret_resume->written = front->log->whole;
    ret_resume->seq = head.seq;
    if (state.note.seq == 0) return KF_OK;
    kf_code code = kf_audit_hash_at(front->database, state.note.seq, ret_resume->hash, NULL);
    return code == KF_OK || code == KF_ERR_NOT_FOUND || code == KF_ERR_AUDIT ? KF_OK
                                                                             : kf_fail_plain(error, code);
}

/* Of what the vault has, what the log has not. */
static kf_code choose_lost(const recent_receipts *recent, kf_view given, kf_buffer *lost, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(given);
    while (!kf_cursor_at_end(&cursor)) {
        kf_view bytes;
        kf_receipt receipt;
        if (kf_vault_answer_next_receipt(&cursor, &bytes) != KF_OK ||
            kf_receipt_decode(bytes, &receipt) != KF_OK)
            return kf_fail(error, KF_ERR_VAULT, "the vault gave receipts that cannot be read");
        if (is_recent(recent, receipt.number)) continue;
        kf_buffer_append_u16(lost, (uint16_t)bytes.size);
        kf_buffer_append(lost, bytes);
    }
    return kf_fail_plain(error, kf_buffer_status(lost));
}

static kf_code take_resumed(const kf_front *front, const recent_receipts *recent,
                            const kf_vault_answer *answer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer lost = KF_BUFFER_INIT;
    kf_vault_resumed resumed;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer->payload));
    KF_TRY(kf_fail_plain(error, kf_vault_resumed_take(&cursor, &resumed)));
    KF_TRY(choose_lost(recent, resumed.lost, &lost, error));
    KF_TRY(kf_front_keep_receipts(front, &lost, "written at the next start: the unit ended before it was",
                                  error));
    KF_TRY(kf_front_keep_receipts(front, &answer->receipts, NULL, error));
    if (resumed.holds == 0) return KF_OK;
    char found[KF_HOLD_TEXT_SIZE];
    kf_audit_hold_text(resumed.holds, found);
    kf_log(KF_LOG_ERROR, "%s; only keys are pulled and the audit log read until officers accept it", found);
    return KF_OK;
}

kf_code kf_front_resume(kf_front *front, kf_error *error)
{
    KF_CLEANUP(recent_receipts_free) recent_receipts *recent = calloc(1, sizeof *recent);
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_vault_resume resume;
    if (recent == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (front->log == NULL) KF_TRY(log_new(&front->log, error));
    KF_TRY(start_log(front, front->log, error));
    KF_TRY(find_recent(front->database, recent, error));
    KF_TRY(make_resume(front, recent, &resume, error));
    kf_vault_resume_put(&request, &resume);
    KF_TRY(ask(front, KF_VAULT_RESUME, &request, &answer, error));
    return take_resumed(front, recent, &answer, error);
}

static kf_code sign(const kf_front *front, kf_front_log *log, kf_signed_head *ret_head, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_TRY(read_on(front->database, log, error));
    kf_sign_head_request wanted = {.seq = log->read, .written = log->whole};
    if (wanted.seq > 0) KF_TRY(kf_audit_hash_at(front->database, wanted.seq, wanted.hash, error));
    kf_sign_head_request_put(&request, &wanted);
    KF_TRY(ask(front, KF_VAULT_SIGN_HEAD, &request, &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    kf_signed_head head;
    KF_TRY(kf_fail_plain(error, kf_signed_head_answer_take(&cursor, &head)));
    if (kf_signed_head_verify(&head, log->public_key) != KF_OK) KF_TRY(change_key(front, log, error));
    KF_TRY(kf_audit_heads_keep(front->database, KF_AUDIT_OWN, &head, error));
    log->signed_seq = head.seq;
    *ret_head = head;
    return KF_OK;
}

kf_code kf_front_sign_head(const kf_front *front, kf_signed_head *ret_head, kf_error *error)
{
    if (front->log == NULL) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    (void)pthread_mutex_lock(&front->log->lock);
    kf_code code = sign(front, front->log, ret_head, error);
    (void)pthread_mutex_unlock(&front->log->lock);
    return code;
}

kf_code kf_front_log_length(const kf_front *front, int64_t *ret_rows, int64_t *ret_signed, kf_error *error)
{
    kf_audit_head head;
    KF_TRY(kf_audit_read_head(front->database, &head, error));
    (void)pthread_mutex_lock(&front->log->lock);
    *ret_signed = front->log->signed_seq;
    (void)pthread_mutex_unlock(&front->log->lock);
    *ret_rows = head.seq;
    return KF_OK;
}

kf_code kf_front_verify_receipts(const kf_front *front, kf_view receipts, kf_receipt_verdict *ret_verdict,
                                 kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_buffer_append_u8(&request, KF_MESSAGE_VERSION);
    kf_message_put_blob(&request, receipts);
    KF_TRY(ask(front, KF_VAULT_VERIFY_RECEIPTS, &request, &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    return kf_fail_plain(error, kf_receipt_verdict_take(&cursor, ret_verdict));
}

kf_code kf_front_accept_log(const kf_front *front, const kf_accept_log_request *request, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_accept_log_request_put(&bytes, request);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&bytes)));
    return kf_front_ask(front, KF_VAULT_ACCEPT_LOG, kf_buffer_view(&bytes), &answer, error);
}
