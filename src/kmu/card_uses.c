#include "kmu/card_uses.h"

#include <stdlib.h>
#include <string.h>

#include "audit/route.h"
#include "vault/card_record.h"
#include "vault/key_entry.h"
#include "wire/json.h"

#define COMPLETED_AT_ONCE 500

/* -- rows of before -- */

typedef struct card_use {
    char identity[KF_IDENTITY_SIZE];
    char base_key[KF_NAME_SIZE];
    char pending_base_key[KF_NAME_SIZE];
    int64_t pending_version;
} card_use;

typedef struct completion {
    card_use uses[COMPLETED_AT_ONCE];
    size_t count;
} completion;

/* A record that cannot be read names no key; whoever presents its card is told. */
static kf_code read_use(kf_rows *rows, card_use *use, kf_error *error)
{
    kf_card_record record;
    memset(use, 0, sizeof *use);
    KF_TRY(kf_fail_plain(error, kf_text_copy(use->identity, sizeof use->identity, kf_rows_text(rows, 0))));
    if (kf_card_record_read_unverified(kf_rows_blob(rows, 1), &record) == KF_OK) {
        memcpy(use->base_key, record.present.base_key, sizeof use->base_key);
        memcpy(use->pending_base_key, record.pending.base_key, sizeof use->pending_base_key);
        use->pending_version = record.pending.base_key_version;
    }
    return kf_rows_status(rows, error);
}

static kf_code read_uses(kf_database *database, completion *work, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT identity, record FROM cards WHERE base_key IS NULL LIMIT $1",
                             KF_VALUES(kf_value_integer(COMPLETED_AT_ONCE)), &rows, error));
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    while (row && work->count < COMPLETED_AT_ONCE) {
        KF_TRY(read_use(rows, &work->uses[work->count], error));
        work->count++;
        KF_TRY(kf_rows_next(rows, &row, error));
    }
    return KF_OK;
}

static kf_code complete_batch(kf_database *database, void *context, kf_error *error)
{
    completion *work = context;
    work->count = 0;
    KF_TRY(read_uses(database, work, error));
    for (size_t i = 0; i < work->count; i++) {
        const card_use *use = &work->uses[i];
        KF_TRY(kf_database_execute(
            database,
            "UPDATE cards SET base_key = $1, pending_base_key = $2, pending_version = $3 WHERE identity = $4",
            KF_VALUES(kf_value_text(use->base_key), kf_value_text(use->pending_base_key),
                      kf_value_integer(use->pending_version), kf_value_text(use->identity)),
            NULL, error));
    }
    return KF_OK;
}

kf_code kf_card_uses_complete(kf_database *database, kf_error *error)
{
    KF_CLEANUP(kf_free_pointer) completion *work = calloc(1, sizeof *work);
    if (work == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    do {
        KF_TRY(kf_database_write(database, complete_batch, work, error));
    } while (work->count == COMPLETED_AT_ONCE);
    return KF_OK;
}

/* -- counts -- */

kf_code kf_card_uses_wanted(const kf_http_request *request, bool *ret_wanted, kf_error *error)
{
    const char *text = kf_http_query_parameter(request, "cards");
    bool wanted = text != NULL && strcmp(text, "true") == 0;
    if (text != NULL && !wanted && strcmp(text, "false") != 0)
        return kf_fail(error, KF_ERR_FIELD, "cards: \"%.40s\" is neither true nor false", text);
    *ret_wanted = wanted;
    return KF_OK;
}

static kf_code count(kf_database *database, const char *sql, const json_t *key, int64_t *ret_count,
                     kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, sql,
                             KF_VALUES(kf_value_text(json_string_value(json_object_get(key, "category"))),
                                       kf_value_integer(json_integer_value(json_object_get(key, "version")))),
                             &rows, error));
    KF_TRY(kf_rows_need(rows, "number of cards", error));
    *ret_count = kf_rows_integer(rows, 0);
    return kf_rows_status(rows, error);
}

static kf_code annotate_key(kf_database *database, json_t *key, kf_error *error)
{
    int64_t present = 0;
    int64_t pending = 0;
    const char *purpose = json_string_value(json_object_get(key, "purpose"));
    if (purpose == NULL || strcmp(purpose, kf_key_purpose_name(KF_PURPOSE_PAYMENT)) != 0) return KF_OK;
    KF_TRY(count(database, "SELECT COUNT(*) FROM cards WHERE base_key = $1 AND base_key_version = $2", key,
                 &present, error));
    KF_TRY(count(database, "SELECT COUNT(*) FROM cards WHERE pending_base_key = $1 AND pending_version = $2",
                 key, &pending, error));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(key, "cards", present)));
    return kf_fail_plain(error, kf_json_set_integer(key, "cards_pending", pending));
}

kf_code kf_card_uses_annotate(kf_database *database, json_t *keys, kf_error *error)
{
    for (size_t i = 0; i < json_array_size(keys); i++)
        KF_TRY(annotate_key(database, json_array_get(keys, i), error));
    return KF_OK;
}

/* -- lists -- */

typedef struct list_form {
    const char *category; /* of the cards; NULL: any */
    const char *base_key; /* category of the base key; NULL: any */
    int64_t key_version;
    const char *after;
    int64_t limit;
} list_form;

static kf_code read_list_form(const kf_http_request *request, list_form *ret_form, kf_error *error)
{
    list_form form = {.category = kf_http_query_parameter(request, "category"),
                      .base_key = kf_http_query_parameter(request, "base_key"),
                      .after = kf_http_query_parameter(request, "after")};
    if (form.after == NULL) form.after = "";
    if (form.category == NULL && form.base_key == NULL)
        return kf_fail(error, KF_ERR_FIELD, "category or base_key is needed");
    KF_TRY(kf_audit_query_number(request, "key_version", 0, &form.key_version, error));
    KF_TRY(kf_audit_query_number(request, "limit", KF_CARD_LIST_MAX, &form.limit, error));
    if (form.key_version < 1 || form.key_version > UINT32_MAX)
        return kf_fail(error, KF_ERR_FIELD, "key_version: the base key's version is needed, from 1");
    if (form.limit < 1 || form.limit > KF_CARD_LIST_MAX)
        return kf_fail(error, KF_ERR_FIELD, "limit: 1 to %d cards are given at a time", KF_CARD_LIST_MAX);
    *ret_form = form;
    return KF_OK;
}

#define LISTED                                                                                               \
    "SELECT identity, number, iccid, category, base_key, base_key_version, generation, state FROM cards "    \
    "WHERE "
#define IN_ORDER " AND base_key_version = $2 AND identity > $3 ORDER BY identity LIMIT $4"

/* Both filters go by the index of the one, which has the versions in the order of identities. */
static kf_code query_list(kf_database *database, const list_form *form, kf_rows **ret_rows, kf_error *error)
{
    const kf_value version = kf_value_integer(form->key_version);
    const kf_value after = kf_value_text(form->after);
    const kf_value limit = kf_value_integer(form->limit);
    if (form->category == NULL)
        return kf_database_query(database, LISTED "base_key = $1" IN_ORDER,
                                 KF_VALUES(kf_value_text(form->base_key), version, after, limit), ret_rows,
                                 error);
    if (form->base_key == NULL)
        return kf_database_query(database, LISTED "category = $1 AND base_key <> ''" IN_ORDER,
                                 KF_VALUES(kf_value_text(form->category), version, after, limit), ret_rows,
                                 error);
    return kf_database_query(
        database, LISTED "category = $1 AND base_key = $5" IN_ORDER,
        KF_VALUES(kf_value_text(form->category), version, after, limit, kf_value_text(form->base_key)),
        ret_rows, error);
}

static kf_code append_card(kf_rows *rows, json_t *cards)
{
    static const char *const texts[] = {"card", "number", "iccid", "category", "base_key"};
    json_t *card = json_object();
    KF_TRY(kf_json_append(cards, card));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        KF_TRY(kf_json_set_text(card, texts[i], kf_rows_text(rows, i)));
    KF_TRY(kf_json_set_integer(card, "key_version", kf_rows_integer(rows, 5)));
    KF_TRY(kf_json_set_integer(card, "generation", kf_rows_integer(rows, 6)));
    return kf_json_set_text(card, "state", kf_rows_text(rows, 7));
}

/* A full page may be the last one: then the next is empty. */
static kf_code answer_list(kf_rows *rows, const list_form *form, json_t *answer, kf_error *error)
{
    json_t *cards = json_array();
    KF_TRY(kf_fail_plain(error, kf_json_set(answer, "cards", cards)));
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    while (row) {
        KF_TRY(kf_fail_plain(error, append_card(rows, cards)));
        KF_TRY(kf_rows_next(rows, &row, error));
    }
    size_t size = json_array_size(cards);
    if (size == 0 || size < (size_t)form->limit) return KF_OK;
    const json_t *last = json_object_get(json_array_get(cards, size - 1), "card");
    return kf_fail_plain(error, kf_json_set_text(answer, "next", json_string_value(last)));
}

kf_code kf_handle_card_list(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    kf_kmu *kmu = context;
    list_form form;
    KF_TRY(read_list_form(request, &form, error));
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(query_list(kmu->front.database, &form, &rows, error));
    response->json = json_object();
    return answer_list(rows, &form, response->json, error);
}
