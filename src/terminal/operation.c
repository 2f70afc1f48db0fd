#include "terminal/operation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <keyfill/hex.h>

#include "base/log.h"
#include "crypto/random.h"
#include "wire/json.h"
#include "wire/script_json.h"

#define REQUEST_ID_BYTES 16
#define ROUND_TRIPS_MAX 64  /* messages of one request: no procedure needs ten */
#define BEGIN_TRIES 4       /* nothing has happened yet: say soon that the host is away */
#define MESSAGE_TRIES 20    /* the card is being written: the host may restart meanwhile */
#define FIRST_PAUSE 200U    /* milliseconds; doubled up to LONGEST_PAUSE */
#define LONGEST_PAUSE 2000U /* milliseconds */
#define STATE_MAX 16        /* characters */
#define PATH_SIZE 128
#define PIN1_DIGITS_MAX 8   /* ETSI TS 102 221 §9.5.1: 4 to 8 digits */
#define NUMBERS_MAX 1000000 /* steps and attempts */

typedef struct operation_run {
    const kf_operation_means *operation;
    kf_trace trace;
    unsigned round_trips;
    struct timespec start;
} operation_run;

kf_code kf_request_id_new(char ret_id[KF_REQUEST_ID_SIZE])
{
    uint8_t bytes[REQUEST_ID_BYTES];
    KF_TRY(kf_random_bytes(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
    return KF_OK;
}

/* Failures after which the same message may simply be sent again. */
static bool is_worth_another_try(kf_code code)
{
    return code == KF_ERR_UNREACHABLE || code == KF_ERR_TIMEOUT || code == KF_ERR_BUSY ||
           code == KF_ERR_STORE || code == KF_ERR_STORE_BUSY || code == KF_ERR_VAULT ||
           code == KF_ERR_UNAVAILABLE || code == KF_ERR_RATE;
}

static kf_code post(operation_run *run, const char *path, const json_t *body, unsigned tries,
                    json_t **ret_answer, kf_error *error)
{
    const kf_host_link *host = run->operation->host;
    unsigned pause = FIRST_PAUSE;
    run->round_trips++;
    for (unsigned attempt = 1;; attempt++) {
        kf_code code = host->post(host->context, path, body, ret_answer, error);
        if (code == KF_OK && *ret_answer == NULL)
            return kf_fail(error, KF_ERR_PEER, "the host gave an empty answer to %s", path);
        if (code == KF_OK || !is_worth_another_try(code) || attempt >= tries) return code;
        kf_log(KF_LOG_WARNING, "%s, attempt %u of %u: %s", path, attempt, tries,
               error != NULL ? kf_error_text(error) : kf_code_meaning(code));
        host->pause(host->context, pause);
        pause = pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE;
    }
}

/* What the clerk may ask; id and card are the terminal's. Whether it makes sense is decided behind the host.
 */
static kf_code check_members(const json_t *request, kf_error *error)
{
    static const char *const members[] = {"operation",       "number_source", "number", "category", "order",
                                          "personalisation", "personalise",   "module", "pin1",     NULL};
    return kf_json_only(request, members, error);
}

static kf_code pin1_of(const json_t *request, kf_secret **ret_pin1, kf_error *error)
{
    const char *digits = NULL;
    KF_TRY(kf_json_text_optional(request, "pin1", PIN1_DIGITS_MAX, &digits, error));
    if (digits == NULL) return KF_OK;
    if (strspn(digits, "0123456789") != strlen(digits) || strlen(digits) < 4)
        return kf_fail(error, KF_ERR_FIELD, "pin1: 4 to %d digits are wanted", PIN1_DIGITS_MAX);
    return kf_fail_plain(error, kf_secret_new(kf_view_of_text(digits), ret_pin1));
}

kf_code kf_operation_read_card(const kf_operation_means *operation, const kf_secret *pin1,
                               kf_card_report *ret_report, kf_error *error)
{
    kf_answer_to_reset atr;
    KF_TRY(kf_reader_wait_present(operation->reader, operation->card_wait, error));
    KF_TRY(kf_reader_connect(operation->reader, operation->command_timeout, &atr, error));
    const kf_card_report_options options = {.pin1 = pin1, .timeout = operation->command_timeout};
    return kf_card_report_read(operation->reader, &atr, &options, ret_report, error);
}

/* The request for the host: what the clerk asked, without PIN1, with id and card. */
static kf_code make_request(const operation_run *run, const json_t *asked, const kf_card_report *report,
                            json_t **ret_request)
{
    KF_CLEANUP(kf_json_free) json_t *request = json_deep_copy(asked);
    if (request == NULL) return KF_ERR_MEMORY;
    (void)json_object_del(request, "pin1"); /* fails where there is none */
    KF_TRY(kf_json_set_text(request, "id", run->operation->id));
    json_t *card = NULL;
    KF_TRY(kf_card_report_to_json(report, &card));
    KF_TRY(kf_json_set(request, "card", card));
    *ret_request = json_incref(request);
    return KF_OK;
}

static kf_code make_message(const json_t *answer, const kf_script_answers *answers,
                            const kf_script_stop *stop, json_t **ret_message, kf_error *error)
{
    static const kf_json_range positive = {0, NUMBERS_MAX};
    int64_t step = 0;
    int64_t attempt = 0;
    const char *token = NULL;
    KF_TRY(kf_json_integer(answer, "step", positive, &step, error));
    KF_TRY(kf_json_integer(answer, "attempt", positive, &attempt, error));
    KF_TRY(kf_json_text(answer, "token", KF_TOKEN_TEXT_MAX, &token, error));
    KF_CLEANUP(kf_json_free) json_t *message = json_object();
    if (message == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_code code = kf_json_set_integer(message, "step", step);
    if (code == KF_OK) code = kf_json_set_integer(message, "attempt", attempt);
    if (code == KF_OK) code = kf_json_set_text(message, "token", token);
    if (code == KF_OK) code = kf_script_answers_to_json(answers, message);
    if (code == KF_OK) code = kf_json_set_text(message, "stopped", kf_script_stop_word(stop));
    if (code != KF_OK) return kf_fail_plain(error, code);
    *ret_message = json_incref(message);
    return KF_OK;
}

/* What is wrong with the host's answer is the host's fault, not the caller's. */
static kf_code blame_host(kf_error *error, kf_code code)
{
    if (code != KF_ERR_FIELD && code != KF_ERR_JSON && code != KF_ERR_MALFORMED && code != KF_ERR_TOO_LONG)
        return code;
    kf_error told = {code, ""};
    if (error != NULL) told = *error;
    return kf_fail(error, KF_ERR_PEER, "the host's answer is not understood: %.400s", kf_error_text(&told));
}

/* Runs the script in `answer` and makes the message that reports on it. */
static kf_code work_on_card(operation_run *run, const json_t *answer, json_t **ret_message,
                            kf_script_stop *ret_stop, kf_error *error)
{
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    KF_CLEANUP(kf_script_answers_clear) kf_script_answers answers = {0};
    KF_TRY(blame_host(error, kf_script_from_json(answer, &script, error)));
    const kf_script_run script_run = {.reader = run->operation->reader,
                                      .timeout = run->operation->command_timeout,
                                      .round_trip = run->round_trips,
                                      .trace = &run->trace};
    kf_code code = kf_script_run_all(&script_run, &script, &answers, ret_stop);
    if (code != KF_OK) return kf_fail_plain(error, code);
    return blame_host(error, make_message(answer, &answers, ret_stop, ret_message, error));
}

/* Replaces `*answer` by the next one. */
static kf_code take_step(operation_run *run, json_t **answer, kf_script_stop *ret_stop, kf_error *error)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/v1/requests/%s/messages", run->operation->id);
    KF_CLEANUP(kf_json_free) json_t *message = NULL;
    json_t *next = NULL;
    KF_TRY(work_on_card(run, *answer, &message, ret_stop, error));
    KF_TRY(post(run, path, message, MESSAGE_TRIES, &next, error));
    kf_json_free(answer);
    *answer = next;
    return KF_OK;
}

static kf_code is_done(const json_t *answer, bool *ret_done, kf_error *error)
{
    const char *state = NULL;
    KF_TRY(blame_host(error, kf_json_text(answer, "state", STATE_MAX, &state, error)));
    bool done = strcmp(state, "done") == 0;
    if (!done && strcmp(state, "continue") != 0)
        return kf_fail(error, KF_ERR_PEER, "the host's answer is not understood: state '%s'", state);
    *ret_done = done;
    return KF_OK;
}

/* The terminal knows better than those behind it why there was no answer. */
static kf_code tell_stop(const operation_run *run, const kf_script_stop *stop, kf_error *error)
{
    const char *label = run->trace.count > 0 ? run->trace.lines[run->trace.count - 1].label : "";
    return kf_fail(error, stop->code, "%s: %.300s; present the card again", label,
                   kf_error_text(&stop->error));
}

/* What the clerk can do about a card that answered, but not as it should. */
static kf_code advise(kf_code code, kf_error *error)
{
    if (code != KF_ERR_STATUS_WORD && code != KF_ERR_RESPONSE_MAC && code != KF_ERR_APDU &&
        code != KF_ERR_TLV && code != KF_ERR_CARD_DATA)
        return code;
    kf_error told = *error;
    return kf_fail(error, code, "%.400s; present the card again, and if that does not help take another card",
                   kf_error_text(&told));
}

static kf_code take_steps(operation_run *run, json_t **answer, kf_error *error)
{
    bool stopped_before = false;
    for (;;) {
        bool done = false;
        KF_TRY(is_done(*answer, &done, error));
        if (done) return KF_OK;
        if (run->round_trips >= ROUND_TRIPS_MAX)
            return kf_fail(error, KF_ERR_PEER,
                           "the host does not come to an end after %d messages; request %s", ROUND_TRIPS_MAX,
                           run->operation->id);
        kf_script_stop stop = {.code = KF_OK};
        kf_code code = take_step(run, answer, &stop, error);
        if (stop.code != KF_OK && code == KF_ERR_CARD_REMOVED) return tell_stop(run, &stop, error);
        if (code != KF_OK) return advise(code, error);
        /* Told once, the host knows; with a card that does not come back there is no more to do. */
        if (stop.code != KF_OK && stopped_before) return tell_stop(run, &stop, error);
        stopped_before = stop.code != KF_OK;
    }
}

static kf_code trace_to_json(const kf_trace *trace, json_t **ret_trace)
{
    KF_CLEANUP(kf_json_free) json_t *lines = json_array();
    if (lines == NULL) return KF_ERR_MEMORY;
    for (size_t i = 0; i < trace->count; i++) {
        const kf_trace_line *line = &trace->lines[i];
        char status_word[5] = "";
        if (line->status_word != 0)
            (void)snprintf(status_word, sizeof status_word, "%04X", line->status_word);
        json_t *item =
            json_pack("{s:i, s:s, s:s, s:f}", "round_trip", (int)line->round_trip, "label", line->label,
                      "status_word", status_word, "milliseconds", line->microseconds / 1000.0);
        KF_TRY(kf_json_append(lines, item));
    }
    *ret_trace = json_incref(lines);
    return KF_OK;
}

static int64_t milliseconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)(now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

/* The host's result with the terminal's own part. */
static kf_code finish(const operation_run *run, const json_t *answer, json_t **ret_result, kf_error *error)
{
    json_t *result = NULL;
    KF_TRY(blame_host(error, kf_json_object(answer, "result", &result, error)));
    KF_CLEANUP(kf_json_free) json_t *whole = json_copy(result);
    if (whole == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    json_t *trace = NULL;
    kf_code code = kf_json_set_text(whole, "id", run->operation->id);
    if (code == KF_OK) code = kf_json_set_integer(whole, "milliseconds", milliseconds_since(&run->start));
    if (code == KF_OK) code = trace_to_json(&run->trace, &trace);
    if (code == KF_OK) code = kf_json_set(whole, "trace", trace);
    if (code != KF_OK) return kf_fail_plain(error, code);
    *ret_result = json_incref(whole);
    return KF_OK;
}

static kf_code carry_out(operation_run *run, const json_t *asked, json_t **ret_result, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *pin1 = NULL;
    KF_CLEANUP(kf_json_free) json_t *request = NULL;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    kf_card_report report;
    KF_TRY(check_members(asked, error));
    KF_TRY(pin1_of(asked, &pin1, error));
    kf_code code = kf_operation_read_card(run->operation, pin1, &report, error);
    if (code != KF_OK) return code == KF_ERR_APDU ? advise(code, error) : code;
    code = make_request(run, asked, &report, &request);
    if (code != KF_OK) return kf_fail_plain(error, code);
    KF_TRY(post(run, "/v1/requests", request, BEGIN_TRIES, &answer, error));
    KF_TRY(take_steps(run, &answer, error));
    return finish(run, answer, ret_result, error);
}

kf_code kf_operation_run(const kf_operation_means *operation, const json_t *request, json_t **ret_result,
                         kf_error *error)
{
    operation_run run = {.operation = operation};
    clock_gettime(CLOCK_MONOTONIC, &run.start);
    kf_error own_error = {KF_OK, ""};
    kf_code code = carry_out(&run, request, ret_result, error != NULL ? error : &own_error);
    kf_trace_clear(&run.trace);
    return code;
}
