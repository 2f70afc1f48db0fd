#include "host/issuing_server.h"

#include <stdio.h>
#include <string.h>

#include "wire/json.h"

typedef struct hook_call {
    const char *action;
    const char *request;
    const char *number;
    const char *category;
    const char *iccid;
} hook_call;

static const char *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static kf_code make_body(const hook_call *call, json_t **ret_body)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    if (body == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_json_set_text(body, "request", call->request));
    KF_TRY(kf_json_set_text(body, "number", text_or_null(call->number)));
    KF_TRY(kf_json_set_text(body, "category", text_or_null(call->category)));
    KF_TRY(kf_json_set_text(body, "iccid", text_or_null(call->iccid)));
    *ret_body = body;
    body = NULL; /* the caller owns it now */
    return KF_OK;
}

static kf_code call_hook(kf_host *host, const hook_call *call, json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = NULL;
    kf_code code = make_body(call, &body);
    if (code != KF_OK) return kf_fail_plain(error, code);
    char path[32];
    (void)snprintf(path, sizeof path, "/%s", call->action);
    /* Once: a clerk's terminal asks again by itself, and what is delivered has its own times. */
    return host->issuing_server.call(host->issuing_server.context,
                                     &(kf_http_call){.method = "POST", .path = path, .body = body},
                                     ret_answer, error);
}

kf_code kf_issuing_server_reserve(kf_host *host, const kf_issuing_request *request,
                                  char ret_number[KF_NUMBER_MAX + 1], kf_error *error)
{
    if (host->issuing_server.call == NULL)
        return kf_fail(error, KF_ERR_NO_NUMBER,
                       "the number is to come from the issuing server, but none is configured");
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    const hook_call call = {.action = "reserve",
                            .request = request->request,
                            .category = request->category,
                            .iccid = request->iccid};
    kf_code code = call_hook(host, &call, &answer, error);
    if (code == KF_ERR_NOT_FOUND || code == KF_ERR_CONFLICT || code == KF_ERR_NO_NUMBER) {
        kf_error said = *error;
        return kf_fail(error, KF_ERR_NO_NUMBER, "the issuing server has no number: %s", kf_error_text(&said));
    }
    if (code != KF_OK) {
        (void)kf_error_prefix(error, "issuing server");
        return code;
    }
    const char *number = NULL;
    kf_error reason = {KF_OK, ""};
    if (answer == NULL || kf_json_text(answer, "number", KF_NUMBER_MAX, &number, &reason) != KF_OK ||
        kf_number_check(number, &reason) != KF_OK)
        return kf_fail(error, KF_ERR_PEER, "the issuing server answered without a usable number: %s",
                       kf_error_text(&reason));
    memcpy(ret_number, number, strlen(number) + 1);
    return KF_OK;
}

static kf_code next_seq(kf_database *database, int64_t *ret_seq, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT coalesce(max(seq), 0) + 1 FROM issuing_call", KF_NO_VALUES,
                             &rows, error));
    KF_TRY(kf_rows_need(rows, "sequence", error));
    *ret_seq = kf_rows_integer(rows, 0);
    return kf_rows_status(rows, error);
}

kf_code kf_issuing_server_note(kf_host *host, const char *action, const kf_number_change *change,
                               kf_error *error)
{
    int64_t seq = 0;
    KF_TRY(next_seq(host->database, &seq, error));
    const kf_values values =
        KF_VALUES(kf_value_integer(seq), kf_value_text(action), kf_value_text(change->request),
                  kf_value_text(text_or_null(change->number)), kf_value_text(text_or_null(change->category)),
                  kf_value_text(text_or_null(change->iccid)), kf_value_integer(kf_host_now(host)));
    return kf_database_execute(
        host->database,
        "INSERT INTO issuing_call (seq, action, request, number, category, iccid, state,"
        " tries, next_try_ms) VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, $7)",
        values, NULL, error);
}

/* A row of issuing_call, copied so that the database is free while the server is called. */
typedef struct waiting_call {
    bool found;
    int64_t seq;
    int64_t tries;
    int64_t next_try_ms;
    char action[16];
    char request[KF_REQUEST_KEY_SIZE];
    char number[KF_NUMBER_MAX + 1];
    char category[KF_CATEGORY_MAX + 1];
    char iccid[KF_NUMBER_MAX + 4];
} waiting_call;

static kf_code first_waiting(kf_database *database, waiting_call *ret_call, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database,
                             "SELECT seq, tries, next_try_ms, action, request, number, category, iccid"
                             " FROM issuing_call WHERE state = 'waiting' ORDER BY seq LIMIT 1",
                             KF_NO_VALUES, &rows, error));
    waiting_call call = {0};
    KF_TRY(kf_rows_next(rows, &call.found, error));
    if (call.found) {
        call.seq = kf_rows_integer(rows, 0);
        call.tries = kf_rows_integer(rows, 1);
        call.next_try_ms = kf_rows_integer(rows, 2);
        (void)snprintf(call.action, sizeof call.action, "%s", kf_rows_text(rows, 3));
        (void)snprintf(call.request, sizeof call.request, "%s", kf_rows_text(rows, 4));
        (void)snprintf(call.number, sizeof call.number, "%s", kf_rows_text(rows, 5));
        (void)snprintf(call.category, sizeof call.category, "%s", kf_rows_text(rows, 6));
        (void)snprintf(call.iccid, sizeof call.iccid, "%s", kf_rows_text(rows, 7));
        KF_TRY(kf_rows_status(rows, error));
    }
    *ret_call = call;
    return KF_OK;
}

typedef struct delivery {
    kf_host *host;
    const waiting_call *call;
    const kf_error *failure; /* KF_OK: taken */
    int64_t next_try_ms;
} delivery;

static kf_code note_taken(kf_database *database, const delivery *done, kf_error *error)
{
    return kf_database_execute(database, "UPDATE issuing_call SET state = 'taken' WHERE seq = $1",
                               KF_VALUES(kf_value_integer(done->call->seq)), NULL, error);
}

static kf_code note_refused(kf_database *database, const delivery *done, kf_error *error)
{
    KF_TRY(kf_database_execute(
        database, "UPDATE issuing_call SET state = 'refused', error_text = $2 WHERE seq = $1",
        KF_VALUES(kf_value_integer(done->call->seq), kf_value_text(kf_error_text(done->failure))), NULL,
        error));
    char action[40];
    (void)snprintf(action, sizeof action, "issuing-server.%s", done->call->action);
    const kf_audit_event event = {.actor = "host",
                                  .action = action,
                                  .subject = done->call->number[0] != '\0' ? done->call->number
                                                                           : done->call->request,
                                  .outcome = kf_code_name(done->failure->code),
                                  .detail = kf_error_text(done->failure)};
    return kf_host_audit(done->host, &event, error);
}

static kf_code note_outcome(kf_database *database, void *context, kf_error *error)
{
    const delivery *done = context;
    if (done->failure->code == KF_OK) return note_taken(database, done, error);
    if (!kf_link_failure_is_passing(done->failure->code)) return note_refused(database, done, error);
    return kf_database_execute(
        database,
        "UPDATE issuing_call SET tries = tries + 1, next_try_ms = $2, error_text = $3 WHERE seq = $1",
        KF_VALUES(kf_value_integer(done->call->seq), kf_value_integer(done->next_try_ms),
                  kf_value_text(kf_error_text(done->failure))),
        NULL, error);
}

static int64_t wait_after(int64_t tries)
{
    int64_t wait = KF_ISSUING_FIRST_WAIT_MS;
    for (int64_t i = 0; i < tries && wait < KF_ISSUING_LONGEST_WAIT_MS; i++)
        wait *= 2;
    return wait < KF_ISSUING_LONGEST_WAIT_MS ? wait : KF_ISSUING_LONGEST_WAIT_MS;
}

kf_code kf_issuing_server_deliver(kf_host *host, int64_t *ret_next_ms, kf_error *error)
{
    for (;;) {
        waiting_call waiting;
        KF_TRY(first_waiting(host->database, &waiting, error));
        if (!waiting.found || host->issuing_server.call == NULL) {
            *ret_next_ms = INT64_MAX;
            return KF_OK;
        }
        if (waiting.next_try_ms > kf_host_now(host)) {
            *ret_next_ms = waiting.next_try_ms;
            return KF_OK;
        }
        KF_CLEANUP(kf_json_free) json_t *answer = NULL;
        const hook_call call = {waiting.action, waiting.request, waiting.number, waiting.category,
                                waiting.iccid};
        kf_error failure = {KF_OK, ""};
        failure.code = call_hook(host, &call, &answer, &failure);
        delivery done = {host, &waiting, &failure, kf_host_now(host) + wait_after(waiting.tries)};
        KF_TRY(kf_database_write(host->database, note_outcome, &done, error));
    }
}
