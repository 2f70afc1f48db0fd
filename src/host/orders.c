#include "host/orders.h"

#include <string.h>

#include "host/numbers.h"
#include "wire/json.h"

static kf_code check_order(const json_t *body, kf_error *error)
{
    static const char *const members[] = {
        "category", "number", "number_source", "write_number", "personalisation", "personalise", NULL};
    KF_TRY(kf_json_only(body, members, error));
    const char *category = NULL;
    const char *number = NULL;
    const char *source = NULL;
    bool write_number = false;
    KF_TRY(kf_json_text_optional(body, "category", KF_CATEGORY_MAX, &category, error));
    if (category != NULL) KF_TRY(kf_name_check("category", category, error));
    KF_TRY(kf_json_text_optional(body, "number", 64, &number, error));
    if (number != NULL) KF_TRY(kf_number_check(number, error));
    KF_TRY(kf_json_text_optional(body, "number_source", 32, &source, error));
    if (source != NULL && strcmp(source, KF_NUMBER_SOURCE_POOL) != 0 &&
        strcmp(source, KF_NUMBER_SOURCE_ISSUING_SERVER) != 0)
        return kf_fail(error, KF_ERR_FIELD, "number_source '%s': pool or issuing-server", source);
    if (source != NULL && number != NULL)
        return kf_fail(error, KF_ERR_FIELD, "an order has a number or a number_source, not both");
    KF_TRY(kf_json_boolean_optional(body, "write_number", &write_number, error));
    return kf_personalisation_check(body, error);
}

typedef struct put_order {
    kf_host *host;
    const char *name;
    const char *text;
    const char *actor;
} put_order;

static kf_code put_work(kf_database *database, void *context, kf_error *error)
{
    const put_order *put = context;
    const kf_values values = KF_VALUES(kf_value_text(put->name), kf_value_text(put->text));
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(database, "UPDATE card_order SET body = $2 WHERE name = $1", values, &changed,
                               error));
    if (changed == 0)
        KF_TRY(kf_database_execute(database, "INSERT INTO card_order (name, body) VALUES ($1, $2)", values,
                                   NULL, error));
    const kf_audit_event event = {
        .actor = put->actor, .action = "order.put", .subject = put->name, .outcome = "ok"};
    return kf_host_audit(put->host, &event, error);
}

kf_code kf_orders_put(kf_host *host, const char *name, const json_t *body, const char *actor, kf_error *error)
{
    KF_TRY(kf_name_check("order", name, error));
    KF_TRY(check_order(body, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_code code = kf_json_write(body, &text);
    if (code == KF_OK && kf_buffer_text(&text) == NULL) code = kf_buffer_status(&text);
    if (code != KF_OK) return kf_fail_plain(error, code);
    put_order put = {host, name, kf_buffer_text(&text), actor};
    return kf_database_write(host->database, put_work, &put, error);
}

kf_code kf_orders_get(kf_host *host, const char *name, json_t **ret_body, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(host->database, "SELECT body FROM card_order WHERE name = $1",
                             KF_VALUES(kf_value_text(name)), &rows, error));
    bool found = false;
    KF_TRY(kf_rows_next(rows, &found, error));
    if (!found)
        return kf_fail(
            error, KF_ERR_NOT_FOUND,
            "order %.80s: there is none of this name; an administrator adds it with keyfill order put", name);
    return kf_json_parse(kf_view_of_text(kf_rows_text(rows, 0)), ret_body, error);
}

static kf_code append_order(json_t *list, const char *name, const char *text, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = NULL;
    KF_TRY(kf_json_parse(kf_view_of_text(text), &body, error));
    json_t *item = json_object();
    kf_code code = kf_json_append(list, item);
    if (code == KF_OK) code = kf_json_set_text(item, "name", name);
    if (code == KF_OK && json_object_update(item, body) != 0) code = KF_ERR_MEMORY;
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

kf_code kf_orders_list(kf_host *host, json_t **ret_json, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    json_t *list = json_array();
    if (kf_json_set(json, "orders", list) != KF_OK) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(host->database, "SELECT name, body FROM card_order ORDER BY name LIMIT $1",
                             KF_VALUES(kf_value_integer(KF_ORDERS_LIST_MAX)), &rows, error));
    for (;;) {
        bool more = false;
        KF_TRY(kf_rows_next(rows, &more, error));
        if (!more) break;
        KF_TRY(append_order(list, kf_rows_text(rows, 0), kf_rows_text(rows, 1), error));
    }
    *ret_json = json;
    json = NULL; /* the caller owns it now */
    return KF_OK;
}
