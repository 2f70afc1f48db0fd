#include "host/request_outcome.h"

#include <stdio.h>
#include <string.h>

#include "host/issuing_server.h"
#include "host/numbers.h"
#include "wire/json.h"

typedef enum number_fate {
    NUMBER_STAYS,  /* nothing is done with it now */
    NUMBER_BOUND,  /* to `card` */
    NUMBER_BACK,   /* to where it came from */
    NUMBER_KEPT,   /* for its card */
    NUMBER_OUT,    /* of the pool */
    CARD_RELEASED, /* whatever was bound to `card` */
} number_fate;

/* A transition, in one transaction: the record as it shall be, the number, the audit row. */
typedef struct transition {
    kf_host *host;
    kf_request_record *record; /* with its new state */
    number_fate fate;
    const char *number;
    const char *card;
    const char *iccid;
    kf_audit_event event;
} transition;

static kf_code tell_issuing_server(const transition *step, const char *action, const kf_number_change *change,
                                   kf_error *error)
{
    if (!change->found || !change->of_issuing_server) return KF_OK;
    return kf_issuing_server_note(step->host, action, change, error);
}

/* A reservation that was asked for and never came to be known here. */
static kf_code give_up_asked(const transition *step, kf_error *error)
{
    if (!step->record->asked_issuing_server || step->record->number[0] != '\0') return KF_OK;
    kf_number_change unknown = {.found = true, .of_issuing_server = true};
    memcpy(unknown.request, step->record->key, sizeof step->record->key);
    return kf_issuing_server_note(step->host, "release", &unknown, error);
}

static kf_code give_back(kf_database *database, const transition *step, kf_error *error)
{
    kf_number_change change;
    KF_TRY(kf_numbers_return(database, step->record->key, &change, error));
    KF_TRY(tell_issuing_server(step, "release", &change, error));
    return give_up_asked(step, error);
}

static kf_code bind_number(kf_database *database, const transition *step, kf_error *error)
{
    const kf_number_card card = {.number = step->number, .proven_card = step->card, .iccid = step->iccid};
    kf_number_change change;
    KF_TRY(kf_numbers_bind(database, &card, &change, error));
    KF_TRY(tell_issuing_server(step, "bind", &change, error));
    /* Where the key management unit chose another number than the one reserved. */
    return give_back(database, step, error);
}

static kf_code move_number(kf_database *database, const transition *step, kf_error *error)
{
    kf_number_change change = {0};
    switch (step->fate) {
    case NUMBER_STAYS: return KF_OK;
    case NUMBER_BOUND: return bind_number(database, step, error);
    case NUMBER_BACK: return give_back(database, step, error);
    case NUMBER_KEPT: return kf_numbers_keep(database, step->record->key, &change, error);
    case NUMBER_OUT: return kf_numbers_withdraw(database, step->record->key, &change, error);
    case CARD_RELEASED:
        KF_TRY(kf_numbers_release_card(database, step->card, &change, error));
        return tell_issuing_server(step, "release", &change, error);
    }
    return kf_fail_plain(error, KF_ERR_INTERNAL);
}

static kf_code transition_work(kf_database *database, void *context, kf_error *error)
{
    const transition *step = context;
    KF_TRY(move_number(database, step, error));
    KF_TRY(kf_request_record_update(database, step->record, error));
    return kf_host_audit(step->host, &step->event, error);
}

/* Fills in the audit row and writes everything; `record` keeps its old state on failure. */
static kf_code make_transition(transition *step, kf_request_state state, const char *detail, kf_error *error)
{
    kf_request_record *record = step->record;
    const kf_request_state before = record->state;
    char actor[KF_PEER_NAME_MAX + 16];
    char action[32];
    (void)snprintf(actor, sizeof actor, "terminal:%.*s", (int)strcspn(record->key, "/"), record->key);
    (void)snprintf(action, sizeof action, "request.%s", record->operation);
    const bool good = state == KF_REQUEST_DONE;
    step->event = (kf_audit_event){.actor = actor,
                                   .action = action,
                                   .subject = step->card != NULL ? step->card : record->card_reference,
                                   .outcome = good ? "ok" : kf_code_name(record->error.code),
                                   .detail = detail};
    record->state = state;
    kf_code code = kf_database_write(step->host->database, transition_work, step, error);
    if (code != KF_OK) record->state = before;
    return code;
}

kf_code kf_request_finish(kf_host *host, kf_request_record *record, const json_t *answer, kf_error *error)
{
    json_t *result = NULL;
    transition step = {.host = host, .record = record, .fate = NUMBER_BACK};
    kf_error reason = {KF_OK, ""};
    kf_code code = kf_json_object(answer, "result", &result, &reason);
    if (code == KF_OK)
        code = kf_json_text_optional(result, "card", KF_CARD_REFERENCE_SIZE, &step.card, &reason);
    if (code == KF_OK) code = kf_json_text_optional(result, "number", KF_NUMBER_MAX, &step.number, &reason);
    if (code == KF_OK) code = kf_json_text_optional(result, "iccid", 20, &step.iccid, &reason);
    const bool fill = strcmp(record->operation, "fill") == 0;
    if (code == KF_OK && fill && (step.card == NULL || step.number == NULL))
        code = kf_fail(&reason, KF_ERR_PEER, "card or number is missing");
    if (code != KF_OK)
        return kf_fail(error, KF_ERR_PEER, "the key management unit's result is not understood: %s",
                       kf_error_text(&reason));
    if (fill) step.fate = NUMBER_BOUND;
    if (strcmp(record->operation, "clear") == 0 && step.card != NULL) step.fate = CARD_RELEASED;
    record->error.code = KF_OK;
    return make_transition(&step, KF_REQUEST_DONE, json_string_value(json_object_get(result, "text")), error);
}

kf_code kf_request_refuse(kf_host *host, kf_request_record *record, const kf_error *reason, kf_error *error)
{
    transition step = {.host = host, .record = record, .fate = NUMBER_BACK};
    if (reason->code == KF_ERR_NUMBER_TAKEN) step.fate = NUMBER_OUT;
    record->error = *reason;
    return make_transition(&step, KF_REQUEST_FAILED, kf_error_text(reason), error);
}

kf_code kf_request_break_off(kf_host *host, kf_request_record *record, const kf_error *reason,
                             kf_error *error)
{
    transition step = {.host = host, .record = record, .fate = NUMBER_STAYS};
    record->error = *reason;
    return make_transition(&step, KF_REQUEST_FAILING, kf_error_text(reason), error);
}

/* What the key management unit has on record of a card. Texts point into the answer. */
typedef struct card_on_record {
    bool known;
    const char *number;
    const char *state;
    const char *card;
} card_on_record;

static kf_code read_lookup(const json_t *answer, card_on_record *ret_card, kf_error *error)
{
    card_on_record card = {0};
    KF_TRY(kf_json_boolean(answer, "known", &card.known, error));
    KF_TRY(kf_json_text_optional(answer, "number", KF_NUMBER_MAX, &card.number, error));
    KF_TRY(kf_json_text_optional(answer, "state", 32, &card.state, error));
    KF_TRY(kf_json_text_optional(answer, "card", KF_CARD_REFERENCE_SIZE, &card.card, error));
    *ret_card = card;
    return KF_OK;
}

static kf_code look_up(kf_host *host, const kf_request_record *record, json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    if (kf_json_set(body, "card", json_incref(record->card)) != KF_OK)
        return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_link_call(&host->kmu,
                        &(kf_http_call){.method = "POST", .path = "/v1/cards/lookup", .body = body},
                        ret_answer, error));
    if (*ret_answer == NULL) return kf_fail(error, KF_ERR_PEER, "the record of a card came back empty");
    return KF_OK;
}

static kf_code settle_number(kf_host *host, kf_request_record *record, kf_request_state state,
                             kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(look_up(host, record, &answer, error));
    card_on_record card;
    KF_TRY(read_lookup(answer, &card, error));
    transition step = {.host = host, .record = record, .fate = NUMBER_BACK};
    char detail[KF_ERROR_MESSAGE_SIZE + 64];
    const char *where = "went back";
    if (card.known && card.number != NULL && strcmp(card.number, record->number) == 0) {
        step.fate = NUMBER_KEPT;
        where = "is kept for the card";
        if (card.state != NULL && strcmp(card.state, "filled") == 0 && card.card != NULL) {
            step.fate = NUMBER_BOUND;
            where = "is bound to the card, which was filled";
            step.number = record->number;
            step.card = card.card;
            step.iccid = json_string_value(json_object_get(record->card, "iccid"));
            state = KF_REQUEST_DONE;
        }
    }
    (void)snprintf(detail, sizeof detail, "number %s %s; %s", record->number, where,
                   kf_error_text(&record->error));
    return make_transition(&step, state, detail, error);
}

kf_code kf_request_settle(kf_host *host, kf_request_record *record, kf_error *error)
{
    kf_request_state state = KF_REQUEST_FAILED;
    if (record->state != KF_REQUEST_FAILING) {
        state = KF_REQUEST_EXPIRED;
        (void)kf_fail(
            &record->error, KF_ERR_STATE,
            "request %s: nothing was heard of it for too long and its number was given up; begin a new "
            "request",
            record->key);
    }
    if (strcmp(record->operation, "fill") == 0 && record->number[0] != '\0')
        return settle_number(host, record, state, error);
    transition step = {.host = host, .record = record, .fate = NUMBER_BACK};
    return make_transition(&step, state, kf_error_text(&record->error), error);
}
