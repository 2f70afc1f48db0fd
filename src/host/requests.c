#include "host/requests.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "host/request_additions.h"
#include "host/request_outcome.h"
#include "wire/json.h"
#include "wire/request_json.h"

/* A request while a thread works on it. */
typedef struct work {
    kf_host *host;
    const kf_request_call *call;
    kf_request_record record;
    bool is_new;
} work;

static kf_code open_work(kf_database *database, void *context, kf_error *error)
{
    work *opening = context;
    opening->is_new = false;
    kf_request_record wanted = opening->record;
    kf_code code = kf_request_record_read(database, wanted.key, &opening->record, error);
    if (code != KF_ERR_NOT_FOUND) return code;
    opening->is_new = true;
    return kf_request_record_insert(database, &wanted, error);
}

/* Finds the record of the request, or makes it; KF_ERR_CONFLICT if it was made for another body. */
static kf_code open_record(work *opening, const kf_request_form *form, kf_error *error)
{
    kf_host *host = opening->host;
    kf_request_record wanted = {.state = KF_REQUEST_NEW,
                                .expires_ms = kf_host_now(host) + host->settings.reservation_ms};
    kf_request_key(opening->call->terminal, form->id, wanted.key);
    (void)snprintf(wanted.operation, sizeof wanted.operation, "%s", kf_operation_name(form->operation));
    memcpy(wanted.card_reference, form->card_reference, sizeof form->card_reference);
    kf_code code = kf_sha256(opening->call->body, wanted.digest);
    if (code != KF_OK) return kf_fail_plain(error, code);
    KF_CLEANUP(kf_json_free) json_t *card = json_deep_copy(form->card);
    if (card == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    wanted.card = card;
    opening->record = wanted;
    code = kf_database_write(host->database, open_work, opening, error);
    if (code == KF_OK && opening->is_new) {
        card = NULL; /* the record owns it now */
        return KF_OK;
    }
    if (opening->record.card == card) opening->record.card = NULL;
    KF_TRY(code);
    if (memcmp(opening->record.digest, wanted.digest, sizeof wanted.digest) != 0)
        return kf_fail(error, KF_ERR_CONFLICT,
                       "request %s: this id was used with another body; make a new id for a new request",
                       form->id);
    return KF_OK;
}

static kf_code repeat_failure(const kf_request_record *record, kf_error *error)
{
    return kf_fail(error, record->error.code, "%s", kf_error_text(&record->error));
}

/* `done` is noted; everything else passes. */
static kf_code take_answer(work *current, const json_t *answer, kf_error *error)
{
    const char *state = NULL;
    kf_error reason = {KF_OK, ""};
    if (answer == NULL || kf_json_text(answer, "state", 16, &state, &reason) != KF_OK)
        return kf_fail(error, KF_ERR_PEER, "the key management unit's answer is not understood: %s",
                       answer == NULL ? "it is empty" : kf_error_text(&reason));
    if (strcmp(state, "done") != 0 || current->record.state == KF_REQUEST_DONE) return KF_OK;
    return kf_request_finish(current->host, &current->record, answer, error);
}

static kf_code forward_begin(work *current, json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_deep_copy(current->call->json);
    if (body == NULL || json_object_update_recursive(body, current->record.added) != 0)
        return kf_fail_plain(error, KF_ERR_MEMORY);
    return kf_link_call(&current->host->kmu,
                        &(kf_http_call){.method = "POST", .path = "/v1/requests", .body = body}, ret_answer,
                        error);
}

static kf_code begin(work *current, const kf_request_form *form, json_t **ret_answer, kf_error *error)
{
    KF_TRY(open_record(current, form, error));
    kf_request_record *record = &current->record;
    if (record->state == KF_REQUEST_NEW)
        KF_TRY(kf_request_add(current->host, form, current->call->terminal, record, error));
    if (record->error.code != KF_OK) return repeat_failure(record, error);
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    kf_error failure = {KF_OK, ""};
    kf_code code = forward_begin(current, &answer, &failure);
    if (code == KF_OK) code = take_answer(current, answer, &failure);
    if (code == KF_OK) {
        *ret_answer = answer;
        answer = NULL; /* the caller owns it now */
        return KF_OK;
    }
    if (!kf_link_failure_is_passing(code) && record->state == KF_REQUEST_OPEN)
        KF_TRY(kf_request_refuse(current->host, record, &failure, error));
    return kf_fail(error, code, "%s", kf_error_text(&failure));
}

kf_code kf_requests_begin(kf_host *host, const kf_request_call *call, json_t **ret_answer, kf_error *error)
{
    kf_request_form form;
    KF_TRY(kf_request_form_read(call->json, &form, error));
    char key[KF_REQUEST_KEY_SIZE];
    kf_request_key(call->terminal, form.id, key);
    work current = {.host = host, .call = call};
    kf_active_request active;
    kf_request_enter(host, key, &active);
    kf_code code = begin(&current, &form, ret_answer, error);
    kf_request_leave(host, &active);
    kf_request_record_clear(&current.record);
    return code;
}

static kf_code extend_work(kf_database *database, void *context, kf_error *error)
{
    return kf_request_record_update(database, context, error);
}

/* A request that speaks does not expire. Written only when half of the time is over. */
static kf_code extend(work *current, kf_error *error)
{
    kf_request_record *record = &current->record;
    const int64_t time = current->host->settings.reservation_ms;
    const int64_t now = kf_host_now(current->host);
    if (record->state != KF_REQUEST_OPEN || record->expires_ms - now > time / 2) return KF_OK;
    record->expires_ms = now + time;
    return kf_database_write(current->host->database, extend_work, record, error);
}

/* Refusals of a single message, which do not end the request: the right message may still come. */
static bool ends_request(kf_code code)
{
    static const kf_code passing[] = {KF_ERR_TOKEN,          KF_ERR_FIELD,       KF_ERR_JSON,
                                      KF_ERR_BODY_TOO_LARGE, KF_ERR_IN_PROGRESS, KF_ERR_CONFLICT,
                                      KF_ERR_FORBIDDEN,      KF_ERR_NOT_FOUND};
    if (kf_link_failure_is_passing(code)) return false;
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (code == passing[i]) return false;
    return true;
}

static void settle_soon(work *current)
{
    kf_error error = {KF_OK, ""};
    if (kf_request_settle(current->host, &current->record, &error) != KF_OK)
        kf_log(KF_LOG_WARNING, "request %s: its number is settled later: %s", current->record.key,
               kf_error_text(&error));
}

static kf_code forward_message(work *current, json_t **ret_answer, kf_error *error)
{
    char path[64 + KF_REQUEST_ID_SIZE];
    (void)snprintf(path, sizeof path, "/v1/requests/%s/messages", current->call->id);
    return kf_link_call(&current->host->kmu,
                        &(kf_http_call){.method = "POST", .path = path, .body = current->call->json},
                        ret_answer, error);
}

static kf_code message(work *current, const char *key, json_t **ret_answer, kf_error *error)
{
    KF_TRY(kf_request_record_read(current->host->database, key, &current->record, error));
    kf_request_record *record = &current->record;
    if (record->state == KF_REQUEST_EXPIRED) return repeat_failure(record, error);
    if (record->state == KF_REQUEST_NEW)
        return kf_fail(error, KF_ERR_STATE, "request %s: it has not begun; send the request itself again",
                       current->call->id);
    KF_TRY(extend(current, error));
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    kf_error failure = {KF_OK, ""};
    kf_code code = forward_message(current, &answer, &failure);
    if (code == KF_OK) code = take_answer(current, answer, &failure);
    if (code == KF_OK) {
        *ret_answer = answer;
        answer = NULL; /* the caller owns it now */
        return KF_OK;
    }
    if (ends_request(code) && record->state == KF_REQUEST_OPEN) {
        KF_TRY(kf_request_break_off(current->host, record, &failure, error));
        settle_soon(current);
    }
    return kf_fail(error, code, "%s", kf_error_text(&failure));
}

kf_code kf_requests_message(kf_host *host, const kf_request_call *call, json_t **ret_answer, kf_error *error)
{
    KF_TRY(kf_request_id_check(call->id, error));
    KF_TRY(kf_request_message_check(call->json, error));
    char key[KF_REQUEST_KEY_SIZE];
    kf_request_key(call->terminal, call->id, key);
    work current = {.host = host, .call = call};
    kf_active_request active;
    kf_request_enter(host, key, &active);
    kf_code code = message(&current, key, ret_answer, error);
    kf_request_leave(host, &active);
    kf_request_record_clear(&current.record);
    return code;
}

/* Whether the request is due is asked again once no other thread works on it. */
static kf_code settle_one(kf_host *host, const char *key, kf_error *error)
{
    KF_CLEANUP(kf_request_record_clear) kf_request_record record = {0};
    KF_TRY(kf_request_record_read(host->database, key, &record, error));
    const bool waits = record.state == KF_REQUEST_NEW || record.state == KF_REQUEST_OPEN;
    if (record.state != KF_REQUEST_FAILING && !(waits && record.expires_ms <= kf_host_now(host)))
        return KF_OK;
    return kf_request_settle(host, &record, error);
}

kf_code kf_requests_settle(kf_host *host, kf_error *error)
{
    kf_code first_failure = KF_OK;
    char key[KF_REQUEST_KEY_SIZE] = "";
    for (;;) {
        char next[KF_REQUEST_KEY_SIZE];
        kf_error failure = {KF_OK, ""};
        kf_code code = kf_request_record_next_due(host->database, kf_host_now(host), key, next, &failure);
        if (code == KF_ERR_NOT_FOUND) return first_failure;
        if (code != KF_OK) return kf_fail(error, code, "%s", kf_error_text(&failure));
        memcpy(key, next, sizeof key);
        kf_active_request active;
        kf_request_enter(host, key, &active);
        code = settle_one(host, key, &failure);
        kf_request_leave(host, &active);
        if (code != KF_OK && first_failure == KF_OK)
            first_failure = kf_fail(error, code, "request %s: %s", key, kf_error_text(&failure));
        /* What cannot be reached for one is not reached for the others. */
        if (kf_link_failure_is_passing(code)) return first_failure;
    }
}
