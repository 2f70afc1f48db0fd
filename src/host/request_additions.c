#include "host/request_additions.h"

#include <string.h>

#include "host/issuing_server.h"
#include "host/numbers.h"
#include "host/orders.h"
#include "wire/json.h"

typedef enum number_way { WAY_NONE, WAY_THIS, WAY_POOL, WAY_ISSUING_SERVER } number_way;

/* What is to be done for one request. */
typedef struct addition {
    kf_host *host;
    const kf_request_form *form;
    const json_t *order; /* NULL: none */
    const char *terminal;
    kf_request_record *record;
    const char *category; /* NULL: not known */
    number_way way;
    const char *number; /* WAY_THIS; and what the issuing server gave */
    char issued_number[KF_NUMBER_MAX + 1];
    kf_number_claim claim;
} addition;

static const char *order_text(const addition *adding, const char *member)
{
    return adding->order != NULL ? json_string_value(json_object_get(adding->order, member)) : NULL;
}

static kf_code fail_contradiction(const addition *adding, const char *what, const char *asked,
                                  const char *ordered, kf_error *error)
{
    return kf_fail(error, KF_ERR_CONFLICT, "%s: the request says '%.100s', order %s says '%.100s'", what,
                   asked, adding->form->order, ordered);
}

static kf_code check_same(const addition *adding, const char *what, const char *asked, const char *ordered,
                          kf_error *error)
{
    if (asked == NULL || ordered == NULL || strcmp(asked, ordered) == 0) return KF_OK;
    return fail_contradiction(adding, what, asked, ordered, error);
}

static kf_code check_order(const addition *adding, kf_error *error)
{
    const kf_request_form *form = adding->form;
    KF_TRY(check_same(adding, "category", form->category, order_text(adding, "category"), error));
    KF_TRY(check_same(adding, "personalise", form->personalise, order_text(adding, "personalise"), error));
    if (form->operation == KF_OPERATION_FILL)
        KF_TRY(check_same(adding, "number", form->number, order_text(adding, "number"), error));
    const char *name;
    json_t *value;
    /* jansson's iteration takes no pointer to const, but changes nothing. */
    json_t *ordered = json_object_get(adding->order, "personalisation");
    json_object_foreach(ordered, name, value)
    {
        const char *asked = json_string_value(json_object_get(form->personalisation, name));
        KF_TRY(check_same(adding, name, asked, json_string_value(value), error));
    }
    return KF_OK;
}

static void choose_way(addition *adding)
{
    const kf_request_form *form = adding->form;
    const char *source = order_text(adding, "number_source");
    adding->number = form->number;
    if (form->operation != KF_OPERATION_FILL) {
        adding->way = WAY_NONE;
    } else if (form->number_source != KF_NUMBER_ALLOCATE) {
        adding->way = WAY_THIS;
    } else if (order_text(adding, "number") != NULL) {
        adding->way = WAY_THIS;
        adding->number = order_text(adding, "number");
    } else if (source != NULL ? strcmp(source, KF_NUMBER_SOURCE_ISSUING_SERVER) == 0
                              : adding->host->settings.numbers_from_issuing_server) {
        adding->way = WAY_ISSUING_SERVER;
    } else {
        adding->way = WAY_POOL;
    }
}

static const char *source_name(kf_number_source source)
{
    switch (source) {
    case KF_NUMBER_OF_CARD: return "card";
    case KF_NUMBER_ALLOCATE: return "allocate";
    case KF_NUMBER_TYPED: return "typed";
    case KF_NUMBER_NONE: break;
    }
    return NULL;
}

/* An allocated number is written to the card, another where the order says so; never one that is there
 * already. */
static bool is_number_to_be_written(const addition *adding, const char *number)
{
    const kf_request_form *form = adding->form;
    if (form->card_number != NULL && strcmp(form->card_number, number) == 0) return false;
    const json_t *ordered = json_object_get(adding->order, "write_number");
    return ordered != NULL ? json_is_true(ordered) : form->number_source == KF_NUMBER_ALLOCATE;
}

static kf_code make_added(const addition *adding, const kf_reserved_number *number, json_t **ret_added)
{
    KF_CLEANUP(kf_json_free) json_t *added = json_object();
    if (added == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_json_set_text(added, "terminal", adding->terminal));
    const char *category = adding->category;
    if (category == NULL && number->category[0] != '\0') category = number->category;
    KF_TRY(kf_json_set_text(added, "category", category));
    if (adding->way != WAY_NONE) {
        KF_TRY(kf_json_set_text(added, "number", number->number));
        KF_TRY(kf_json_set_text(added, "number_source", source_name(adding->form->number_source)));
        if (is_number_to_be_written(adding, number->number))
            KF_TRY(kf_json_set_boolean(added, "write_number", true));
    }
    const json_t *personalisation = json_object_get(adding->order, "personalisation");
    if (personalisation != NULL)
        KF_TRY(kf_json_set(added, "personalisation", json_deep_copy(personalisation)));
    KF_TRY(kf_json_set_text(added, "personalise", order_text(adding, "personalise")));
    *ret_added = added;
    added = NULL; /* the caller owns it now */
    return KF_OK;
}

static kf_code reserve(kf_database *database, const addition *adding, kf_reserved_number *ret_number,
                       kf_error *error)
{
    kf_reserved_number number = {"", ""};
    if (adding->way == WAY_POOL) {
        KF_TRY(kf_numbers_reserve_free(database, &adding->claim, &number, error));
    } else if (adding->way != WAY_NONE) {
        memcpy(number.number, adding->number, strlen(adding->number) + 1);
        if (adding->way == WAY_THIS)
            KF_TRY(kf_numbers_reserve_this(database, adding->number, &adding->claim, error));
        else
            KF_TRY(kf_numbers_reserve_issued(database, adding->number, &adding->claim, error));
    }
    *ret_number = number;
    return KF_OK;
}

static kf_code add_work(kf_database *database, void *context, kf_error *error)
{
    addition *adding = context;
    kf_request_record *record = adding->record;
    kf_reserved_number number;
    KF_TRY(reserve(database, adding, &number, error));
    kf_json_free(&record->added);
    kf_code code = make_added(adding, &number, &record->added);
    if (code != KF_OK) return kf_fail_plain(error, code);
    memcpy(record->number, number.number, sizeof number.number);
    record->state = KF_REQUEST_OPEN;
    record->expires_ms = kf_host_now(adding->host) + adding->host->settings.reservation_ms;
    return kf_request_record_update(database, record, error);
}

/* Noted before the server is asked: a reservation that is never used can be given back then, even if its
 * answer was lost. */
static kf_code note_asking(kf_database *database, void *context, kf_error *error)
{
    addition *adding = context;
    kf_reserved_number kept;
    kf_code code = kf_numbers_reserve_kept(database, &adding->claim, &kept, error);
    if (code == KF_OK) {
        memcpy(adding->issued_number, kept.number, sizeof kept.number);
        return KF_OK;
    }
    if (code != KF_ERR_NOT_FOUND) return code;
    adding->record->asked_issuing_server = true;
    return kf_request_record_update(database, adding->record, error);
}

static kf_code ask_issuing_server(addition *adding, kf_error *error)
{
    KF_TRY(kf_database_write(adding->host->database, note_asking, adding, error));
    if (adding->issued_number[0] != '\0') {
        /* The number kept for this card, of whatever source. */
        adding->way = WAY_THIS;
    } else {
        const kf_issuing_request request = {
            .request = adding->record->key, .category = adding->category, .iccid = adding->form->iccid};
        KF_TRY(kf_issuing_server_reserve(adding->host, &request, adding->issued_number, error));
    }
    adding->number = adding->issued_number;
    return KF_OK;
}

kf_code kf_request_add(kf_host *host, const kf_request_form *form, const char *terminal,
                       kf_request_record *record, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *order = NULL;
    if (form->order != NULL) KF_TRY(kf_orders_get(host, form->order, &order, error));
    addition adding = {.host = host, .form = form, .order = order, .terminal = terminal, .record = record};
    KF_TRY(check_order(&adding, error));
    adding.category = form->category != NULL ? form->category : order_text(&adding, "category");
    choose_way(&adding);
    adding.claim = (kf_number_claim){.request = record->key,
                                     .category = adding.category != NULL ? adding.category : "",
                                     .card_reference = form->card_reference};
    if (adding.way == WAY_ISSUING_SERVER) KF_TRY(ask_issuing_server(&adding, error));
    return kf_database_write(host->database, add_work, &adding, error);
}
