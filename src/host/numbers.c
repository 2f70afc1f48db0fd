#include "host/numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

/* Truth about texts of our own tables: longer ones would be a fault of the database. */
static kf_code copy_text(const char *text, char *ret_text, size_t size, kf_error *error)
{
    size_t length = strlen(text);
    if (length >= size)
        return kf_fail(error, KF_ERR_STORE, "the database holds '%.60s…', which is longer than it can be",
                       text);
    memcpy(ret_text, text, length + 1);
    return KF_OK;
}

kf_code kf_numbers_add(kf_database *database, const char *number, const char *category, kf_error *error)
{
    KF_TRY(kf_number_check(number, error));
    if (category[0] != '\0') KF_TRY(kf_name_check("category", category, error));
    kf_code code =
        kf_database_execute(database,
                            "INSERT INTO number (number, category, source, state, returns_to)"
                            " VALUES ($1, $2, 'pool', 'free', 'free')",
                            KF_VALUES(kf_value_text(number), kf_value_text(category)), NULL, error);
    if (code == KF_ERR_CONFLICT)
        return kf_fail(error, code, "number %s: it is listed already; nothing was added", number);
    return code;
}

kf_code kf_numbers_add_range(kf_database *database, const kf_number_range *range, int64_t *ret_added,
                             kf_error *error)
{
    enum { COUNTABLE_DIGITS = 18 }; /* fit an int64_t */
    KF_TRY(kf_number_check(range->first, error));
    KF_TRY(kf_number_check(range->last, error));
    size_t size = strlen(range->first);
    if (strlen(range->last) != size || size > COUNTABLE_DIGITS)
        return kf_fail(error, KF_ERR_FIELD,
                       "range %s to %s: both ends need the same number of digits, at most %d", range->first,
                       range->last, COUNTABLE_DIGITS);
    int64_t first = strtoll(range->first, NULL, 10);
    int64_t last = strtoll(range->last, NULL, 10);
    if (first > last || last - first >= KF_NUMBERS_IMPORT_MAX)
        return kf_fail(error, KF_ERR_FIELD, "range %s to %s: give 1 to %d numbers, the lower end first",
                       range->first, range->last, KF_NUMBERS_IMPORT_MAX);
    for (int64_t value = first; value <= last; value++) {
        char number[KF_NUMBER_MAX + 1];
        (void)snprintf(number, sizeof number, "%0*lld", (int)size, (long long)value);
        KF_TRY(kf_numbers_add(database, number, range->category, error));
    }
    *ret_added = last - first + 1;
    return KF_OK;
}

/* Runs a query of number and category; KF_ERR_NOT_FOUND without a row. */
static kf_code read_one(kf_database *database, const char *sql, kf_values values,
                        kf_reserved_number *ret_number, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, sql, values, &rows, error));
    kf_reserved_number number;
    KF_TRY(kf_rows_need(rows, "number", error));
    KF_TRY(copy_text(kf_rows_text(rows, 0), number.number, sizeof number.number, error));
    KF_TRY(copy_text(kf_rows_text(rows, 1), number.category, sizeof number.category, error));
    KF_TRY(kf_rows_status(rows, error));
    *ret_number = number;
    return KF_OK;
}

static kf_code find_free(kf_database *database, const char *category, kf_reserved_number *ret_number,
                         kf_error *error)
{
    return read_one(database,
                    "SELECT number, category FROM number WHERE state = 'free' AND category = $1"
                    " ORDER BY number LIMIT 1",
                    KF_VALUES(kf_value_text(category)), ret_number, error);
}

/* The one category that free numbers have; KF_ERR_NO_NUMBER where there are none or several. */
static kf_code only_category(kf_database *database, char ret_category[KF_CATEGORY_MAX + 1], kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT min(category), max(category) FROM number WHERE state = 'free'",
                             KF_NO_VALUES, &rows, error));
    KF_TRY(kf_rows_need(rows, "numbers", error));
    if (kf_rows_is_null(rows, 0))
        return kf_fail(error, KF_ERR_NO_NUMBER, "no number is free: add numbers to the pool");
    if (strcmp(kf_rows_text(rows, 0), kf_rows_text(rows, 1)) != 0)
        return kf_fail(error, KF_ERR_NO_NUMBER,
                       "free numbers are kept for the categories %.80s to %.80s: name the card's category",
                       kf_rows_text(rows, 0), kf_rows_text(rows, 1));
    return copy_text(kf_rows_text(rows, 0), ret_category, KF_CATEGORY_MAX + 1, error);
}

static kf_code find_kept(kf_database *database, const kf_number_claim *claim, kf_reserved_number *ret_number,
                         kf_error *error)
{
    if (claim->card_reference[0] == '\0') return kf_fail_plain(error, KF_ERR_NOT_FOUND);
    return read_one(database,
                    "SELECT number, category FROM number WHERE state IN ('kept', 'reserved')"
                    " AND card_reference = $1 ORDER BY number LIMIT 1",
                    KF_VALUES(kf_value_text(claim->card_reference)), ret_number, error);
}

static kf_code find_number(kf_database *database, const kf_number_claim *claim,
                           kf_reserved_number *ret_number, kf_error *error)
{
    kf_code code = find_kept(database, claim, ret_number, error);
    if (code == KF_ERR_NOT_FOUND && claim->category[0] != '\0')
        code = find_free(database, claim->category, ret_number, error);
    if (code == KF_ERR_NOT_FOUND) code = find_free(database, "", ret_number, error);
    if (code != KF_ERR_NOT_FOUND) return code;
    if (claim->category[0] != '\0')
        return kf_fail(error, KF_ERR_NO_NUMBER,
                       "category %s: no number is free for it: add numbers to the pool", claim->category);
    char category[KF_CATEGORY_MAX + 1];
    KF_TRY(only_category(database, category, error));
    return find_free(database, category, ret_number, error);
}

/* A number taken over from an earlier request of the same card is on that card, perhaps: it never goes back
 * to the pool from here. */
static kf_code mark_reserved(kf_database *database, const char *number, const kf_number_claim *claim,
                             kf_error *error)
{
    return kf_database_execute(
        database,
        "UPDATE number SET state = 'reserved', request = $2, card_reference = $3,"
        " returns_to = CASE WHEN state <> 'reserved' THEN state"
        " WHEN request = $2 THEN returns_to ELSE 'kept' END"
        " WHERE number = $1",
        KF_VALUES(kf_value_text(number), kf_value_text(claim->request), kf_value_text(claim->card_reference)),
        NULL, error);
}

kf_code kf_numbers_reserve_free(kf_database *database, const kf_number_claim *claim,
                                kf_reserved_number *ret_number, kf_error *error)
{
    kf_reserved_number number;
    KF_TRY(find_number(database, claim, &number, error));
    KF_TRY(mark_reserved(database, number.number, claim, error));
    *ret_number = number;
    return KF_OK;
}

kf_code kf_numbers_reserve_kept(kf_database *database, const kf_number_claim *claim,
                                kf_reserved_number *ret_number, kf_error *error)
{
    kf_reserved_number number;
    KF_TRY(find_kept(database, claim, &number, error));
    KF_TRY(mark_reserved(database, number.number, claim, error));
    *ret_number = number;
    return KF_OK;
}

typedef struct number_owner {
    char state[16];
    char request[KF_REQUEST_KEY_SIZE];
    char card_reference[KF_CARD_REFERENCE_SIZE];
} number_owner;

static kf_code read_owner(kf_database *database, const char *number, number_owner *ret_owner, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT state, request, card_reference FROM number WHERE number = $1",
                             KF_VALUES(kf_value_text(number)), &rows, error));
    number_owner owner;
    KF_TRY(kf_rows_need(rows, number, error));
    KF_TRY(copy_text(kf_rows_text(rows, 0), owner.state, sizeof owner.state, error));
    KF_TRY(copy_text(kf_rows_text(rows, 1), owner.request, sizeof owner.request, error));
    KF_TRY(copy_text(kf_rows_text(rows, 2), owner.card_reference, sizeof owner.card_reference, error));
    KF_TRY(kf_rows_status(rows, error));
    *ret_owner = owner;
    return KF_OK;
}

static bool is_of_this_card(const number_owner *owner, const kf_number_claim *claim)
{
    return claim->card_reference[0] != '\0' && strcmp(owner->card_reference, claim->card_reference) == 0;
}

kf_code kf_numbers_reserve_this(kf_database *database, const char *number, const kf_number_claim *claim,
                                kf_error *error)
{
    number_owner owner;
    kf_code code = read_owner(database, number, &owner, error);
    if (code == KF_ERR_NOT_FOUND) return KF_OK; /* not one of ours: the key management unit knows better */
    KF_TRY(code);
    if (strcmp(owner.state, "bound") == 0) {
        /* Whose it is, is decided where a cryptogram proves the card. */
        if (is_of_this_card(&owner, claim)) return KF_OK;
        return kf_fail(
            error, KF_ERR_NUMBER_TAKEN, "number %s: it is bound to another card (%s); choose another number",
            number, owner.card_reference[0] != '\0' ? owner.card_reference : "no identifiers were readable");
    }
    bool is_held = strcmp(owner.state, "reserved") == 0 || strcmp(owner.state, "kept") == 0;
    if (is_held && strcmp(owner.request, claim->request) != 0 && !is_of_this_card(&owner, claim))
        return kf_fail(error, KF_ERR_NUMBER_TAKEN,
                       "number %s: it is %s for another card (request %s); choose another number", number,
                       owner.state, owner.request);
    return mark_reserved(database, number, claim, error);
}

kf_code kf_numbers_reserve_issued(kf_database *database, const char *number, const kf_number_claim *claim,
                                  kf_error *error)
{
    number_owner owner;
    kf_code code = read_owner(database, number, &owner, error);
    if (code == KF_ERR_NOT_FOUND)
        return kf_database_execute(
            database,
            "INSERT INTO number (number, category, source, state, returns_to, request, card_reference)"
            " VALUES ($1, $2, 'issuing-server', 'reserved', 'released', $3, $4)",
            KF_VALUES(kf_value_text(number), kf_value_text(claim->category), kf_value_text(claim->request),
                      kf_value_text(claim->card_reference)),
            NULL, error);
    KF_TRY(code);
    if (strcmp(owner.state, "bound") == 0)
        return kf_fail(error, KF_ERR_NUMBER_TAKEN,
                       "number %s: the issuing server gave it, but it is bound to another card", number);
    KF_TRY(kf_numbers_reserve_this(database, number, claim, error));
    return kf_database_execute(database, "UPDATE number SET source = 'issuing-server' WHERE number = $1",
                               KF_VALUES(kf_value_text(number)), NULL, error);
}

/* Reads into `ret_change` the number for which `condition` holds with $1. */
static kf_code read_change(kf_database *database, const char *condition, const char *value,
                           kf_number_change *ret_change, kf_error *error)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT number, category, source, request, iccid FROM number WHERE %s",
                   condition);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, sql, KF_VALUES(kf_value_text(value)), &rows, error));
    kf_number_change change = {0};
    KF_TRY(kf_rows_next(rows, &change.found, error));
    if (change.found) {
        KF_TRY(copy_text(kf_rows_text(rows, 0), change.number, sizeof change.number, error));
        KF_TRY(copy_text(kf_rows_text(rows, 1), change.category, sizeof change.category, error));
        change.of_issuing_server = strcmp(kf_rows_text(rows, 2), KF_NUMBER_SOURCE_ISSUING_SERVER) == 0;
        KF_TRY(copy_text(kf_rows_text(rows, 3), change.request, sizeof change.request, error));
        KF_TRY(copy_text(kf_rows_text(rows, 4), change.iccid, sizeof change.iccid, error));
        KF_TRY(kf_rows_status(rows, error));
    }
    *ret_change = change;
    return KF_OK;
}

static const char reserved_for_request[] = "state = 'reserved' AND request = $1";

kf_code kf_numbers_bind(kf_database *database, const kf_number_card *card, kf_number_change *ret_change,
                        kf_error *error)
{
    kf_number_change change;
    KF_TRY(read_change(database, "number = $1", card->number, &change, error));
    if (change.found) {
        KF_TRY(kf_database_execute(
            database, "UPDATE number SET state = 'bound', proven_card = $2, iccid = $3 WHERE number = $1",
            KF_VALUES(kf_value_text(change.number), kf_value_text(card->proven_card),
                      kf_value_text(card->iccid)),
            NULL, error));
        if (card->iccid != NULL) KF_TRY(copy_text(card->iccid, change.iccid, sizeof change.iccid, error));
    }
    *ret_change = change;
    return KF_OK;
}

static kf_code settle(kf_database *database, const char *request, const char *update,
                      kf_number_change *ret_change, kf_error *error)
{
    kf_number_change change;
    KF_TRY(read_change(database, reserved_for_request, request, &change, error));
    if (change.found)
        KF_TRY(kf_database_execute(database, update, KF_VALUES(kf_value_text(change.number)), NULL, error));
    *ret_change = change;
    return KF_OK;
}

kf_code kf_numbers_return(kf_database *database, const char *request, kf_number_change *ret_change,
                          kf_error *error)
{
    return settle(database, request,
                  "UPDATE number SET state = returns_to, request = NULL,"
                  " card_reference = CASE WHEN returns_to = 'kept' THEN card_reference ELSE NULL END"
                  " WHERE number = $1",
                  ret_change, error);
}

kf_code kf_numbers_keep(kf_database *database, const char *request, kf_number_change *ret_change,
                        kf_error *error)
{
    return settle(database, request, "UPDATE number SET state = 'kept' WHERE number = $1", ret_change, error);
}

kf_code kf_numbers_withdraw(kf_database *database, const char *request, kf_number_change *ret_change,
                            kf_error *error)
{
    return settle(
        database, request,
        "UPDATE number SET state = 'released', request = NULL, card_reference = NULL WHERE number = $1",
        ret_change, error);
}

kf_code kf_numbers_release_card(kf_database *database, const char *proven_card, kf_number_change *ret_change,
                                kf_error *error)
{
    kf_number_change change;
    KF_TRY(read_change(database, "state = 'bound' AND proven_card = $1", proven_card, &change, error));
    if (change.found)
        KF_TRY(kf_database_execute(
            database,
            "UPDATE number SET state = 'released', proven_card = NULL, card_reference = NULL,"
            " iccid = NULL WHERE number = $1",
            KF_VALUES(kf_value_text(change.number)), NULL, error));
    *ret_change = change;
    return KF_OK;
}

static kf_code append_number(json_t *list, kf_rows *rows)
{
    static const char *const members[] = {"number",  "category", "source", "state",
                                          "request", "card",     "iccid"};
    json_t *item = json_object();
    KF_TRY(kf_json_append(list, item));
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *text = kf_rows_text(rows, i);
        if (text[0] != '\0') KF_TRY(kf_json_set_text(item, members[i], text));
    }
    return KF_OK;
}

static kf_code list_numbers(kf_database *database, const kf_number_query *query, json_t *list,
                            kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database,
                             "SELECT number, category, source, state, request, proven_card, iccid FROM number"
                             " WHERE number > $1 AND ($2 = '' OR state = $2) ORDER BY number LIMIT $3",
                             KF_VALUES(kf_value_text(query->after),
                                       kf_value_text(query->state != NULL ? query->state : ""),
                                       kf_value_integer(query->limit)),
                             &rows, error));
    for (;;) {
        bool more = false;
        KF_TRY(kf_rows_next(rows, &more, error));
        if (!more) return KF_OK;
        kf_code code = append_number(list, rows);
        if (code != KF_OK) return kf_fail_plain(error, code);
    }
}

static kf_code count_numbers(kf_database *database, json_t *counts, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT state, count(*) FROM number GROUP BY state ORDER BY state",
                             KF_NO_VALUES, &rows, error));
    for (;;) {
        bool more = false;
        KF_TRY(kf_rows_next(rows, &more, error));
        if (!more) return KF_OK;
        kf_code code = kf_json_set_integer(counts, kf_rows_text(rows, 0), kf_rows_integer(rows, 1));
        if (code != KF_OK) return kf_fail_plain(error, code);
    }
}

kf_code kf_numbers_list(kf_database *database, const kf_number_query *query, json_t **ret_json,
                        kf_error *error)
{
    if (query->limit < 1 || query->limit > KF_NUMBERS_LIST_MAX)
        return kf_fail(error, KF_ERR_FIELD, "limit %lld: 1 to %d numbers can be listed at once",
                       (long long)query->limit, KF_NUMBERS_LIST_MAX);
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    json_t *list = json_array();
    json_t *counts = json_object();
    kf_code list_code = kf_json_set(json, "numbers", list);
    kf_code counts_code = kf_json_set(json, "counts", counts);
    if (list_code != KF_OK || counts_code != KF_OK) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(list_numbers(database, query, list, error));
    KF_TRY(count_numbers(database, counts, error));
    *ret_json = json;
    json = NULL; /* the caller owns it now */
    return KF_OK;
}
