#include <stdio.h>
#include <string.h>

#include "kmu/bounds.h"
#include "vault/key_entry.h"
#include "wire/json.h"

#define NUMBER_MAX (KF_NUMBER_SIZE - 1)

/* One row of the table, as it is to be written. */
typedef struct bounds_change {
    kf_kmu *kmu;
    const char *caller; /* for the audit row */
    const char *host;
    const char *terminal; /* "": the host itself */
    bool enabled;
    const char *categories; /* as the table has them (bounds.c) */
    const char *numbers;
    int64_t daily;
} bounds_change;

/* "north" or "north/till-1". */
static kf_code audit(const bounds_change *change, kf_database *database, const char *action,
                     const char *detail, kf_error *error)
{
    char subject[2 * KF_NAME_SIZE + 2];
    (void)snprintf(subject, sizeof subject, "%s%s%s", change->host, change->terminal[0] != '\0' ? "/" : "",
                   change->terminal);
    const kf_audit_event event = {
        .actor = change->caller, .action = action, .subject = subject, .outcome = "ok", .detail = detail};
    return kf_kmu_append_audit(change->kmu, database, &event, error);
}

static kf_code start_change(void *context, const kf_http_request *request, kf_caller_text *caller,
                            bounds_change *ret_change, kf_error *error)
{
    *caller = kf_caller_show(request->caller);
    *ret_change = (bounds_change){.kmu = context,
                                  .caller = caller->text,
                                  .host = kf_http_path_parameter(request, "name"),
                                  .terminal = kf_http_path_parameter(request, "terminal")};
    KF_TRY(kf_category_check(ret_change->host, error));
    return ret_change->terminal[0] != '\0' ? kf_category_check(ret_change->terminal, error) : KF_OK;
}

/* -- put -- */

static kf_code read_categories(const json_t *body, kf_buffer *text, kf_error *error)
{
    json_t *list = NULL;
    KF_TRY(kf_json_array_optional(body, "categories", KF_BOUNDS_CATEGORIES_MAX, &list, error));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name == NULL)
            return kf_fail(error, KF_ERR_FIELD, "categories[%zu]: the name of a category is needed", i);
        KF_TRY(kf_category_check(name, error));
        if (text->size > 0) kf_buffer_append_u8(text, ',');
        kf_buffer_append_text(text, name);
    }
    return kf_fail_plain(error, kf_buffer_status(text));
}

static kf_code check_range(const char *from, const char *to, size_t index, kf_error *error)
{
    static const char digits[] = "0123456789";
    size_t length = strlen(from);
    if (length == 0 || length != strlen(to) || strspn(from, digits) != length || strspn(to, digits) != length)
        return kf_fail(error, KF_ERR_FIELD,
                       "numbers[%zu]: from \"%s\" to \"%s\": both are to be of digits, and as many in each",
                       index, from, to);
    if (strcmp(from, to) > 0)
        return kf_fail(error, KF_ERR_FIELD, "numbers[%zu]: from %s is behind to %s", index, from, to);
    return KF_OK;
}

static kf_code read_numbers(const json_t *body, kf_buffer *text, kf_error *error)
{
    static const char *const members[] = {"from", "to", NULL};
    json_t *list = NULL;
    KF_TRY(kf_json_array_optional(body, "numbers", KF_BOUNDS_RANGES_MAX, &list, error));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *range = json_array_get(list, i);
        const char *from = "";
        const char *to = "";
        if (!json_is_object(range))
            return kf_fail(error, KF_ERR_FIELD, "numbers[%zu]: an object with from and to is needed", i);
        KF_TRY(kf_json_only(range, members, error));
        KF_TRY(kf_json_text(range, "from", NUMBER_MAX, &from, error));
        KF_TRY(kf_json_text(range, "to", NUMBER_MAX, &to, error));
        KF_TRY(check_range(from, to, i, error));
        kf_buffer_format(text, "%s%s-%s", text->size > 0 ? "," : "", from, to);
    }
    return kf_fail_plain(error, kf_buffer_status(text));
}

/* A terminal is one of a host's: a row of its own for a host that is not there would bind nobody. */
static kf_code need_host(kf_database *database, const bounds_change *change, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    bool found = false;
    if (change->terminal[0] == '\0') return KF_OK;
    KF_TRY(kf_database_query(database, "SELECT 1 FROM hosts WHERE host = $1 AND terminal = ''",
                             KF_VALUES(kf_value_text(change->host)), &rows, error));
    KF_TRY(kf_rows_next(rows, &found, error));
    if (found) return KF_OK;
    return kf_fail(error, KF_ERR_NOT_FOUND, "host %s is not registered; register it before its terminals",
                   change->host);
}

static kf_code write_put(kf_database *database, void *context, kf_error *error)
{
    const bounds_change *change = context;
    const kf_values values =
        KF_VALUES(kf_value_text(change->host), kf_value_text(change->terminal),
                  kf_value_integer(change->enabled ? 1 : 0), kf_value_text(change->categories),
                  kf_value_text(change->numbers), kf_value_integer(change->daily),
                  kf_value_integer(kf_kmu_now(change->kmu)));
    uint64_t changed = 0;
    KF_TRY(need_host(database, change, error));
    KF_TRY(kf_database_execute(database,
                               "UPDATE hosts SET enabled = $3, categories = $4, numbers = $5, daily = $6,"
                               " updated = $7 WHERE host = $1 AND terminal = $2",
                               values, &changed, error));
    if (changed == 0)
        KF_TRY(kf_database_execute(
            database,
            "INSERT INTO hosts (host, terminal, enabled, categories, numbers, daily, updated) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)",
            values, NULL, error));
    char detail[KF_ERROR_MESSAGE_SIZE];
    (void)snprintf(detail, sizeof detail, "%s; categories %.200s; numbers %.200s; %lld a day",
                   change->enabled ? "enabled" : "disabled",
                   change->categories[0] != '\0' ? change->categories : "any",
                   change->numbers[0] != '\0' ? change->numbers : "any", (long long)change->daily);
    return audit(change, database, "host.put", detail, error);
}

kf_code kf_handle_host_put(void *context, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    static const char *const members[] = {"enabled", "categories", "numbers", "daily", NULL};
    kf_caller_text caller;
    bounds_change change;
    KF_CLEANUP(kf_buffer_clear) kf_buffer categories = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer numbers = KF_BUFFER_INIT;
    KF_TRY(start_change(context, request, &caller, &change, error));
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    KF_TRY(kf_json_only(request->json, members, error));
    change.enabled = true;
    KF_TRY(kf_json_boolean_optional(request->json, "enabled", &change.enabled, error));
    KF_TRY(kf_json_integer_optional(request->json, "daily", (kf_json_range){0, KF_BOUNDS_DAILY_MAX},
                                    &change.daily, error));
    KF_TRY(read_categories(request->json, &categories, error));
    KF_TRY(read_numbers(request->json, &numbers, error));
    change.categories = kf_buffer_text(&categories);
    change.numbers = kf_buffer_text(&numbers);
    if (change.categories == NULL || change.numbers == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_database_write(change.kmu->front.database, write_put, &change, error));
    response->json = json_deep_copy(request->json);
    kf_code code = kf_json_set_text(response->json, "name", change.host);
    if (code == KF_OK && change.terminal[0] != '\0')
        code = kf_json_set_text(response->json, "terminal", change.terminal);
    return kf_fail_plain(error, code);
}

/* -- enable, disable, delete -- */

static kf_code need_change(const bounds_change *change, uint64_t changed, kf_error *error)
{
    if (changed > 0) return KF_OK;
    return kf_fail(error, KF_ERR_NOT_FOUND, "%s%s%s is not registered here",
                   change->terminal[0] != '\0' ? change->terminal : "host ",
                   change->terminal[0] != '\0' ? " of host " : "", change->host);
}

static kf_code write_patch(kf_database *database, void *context, kf_error *error)
{
    const bounds_change *change = context;
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(
        database, "UPDATE hosts SET enabled = $3, updated = $4 WHERE host = $1 AND terminal = $2",
        KF_VALUES(kf_value_text(change->host), kf_value_text(change->terminal),
                  kf_value_integer(change->enabled ? 1 : 0), kf_value_integer(kf_kmu_now(change->kmu))),
        &changed, error));
    KF_TRY(need_change(change, changed, error));
    return audit(change, database, change->enabled ? "host.enable" : "host.disable", "", error);
}

kf_code kf_handle_host_patch(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    static const char *const members[] = {"enabled", NULL};
    kf_caller_text caller;
    bounds_change change;
    KF_TRY(start_change(context, request, &caller, &change, error));
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(kf_json_boolean(request->json, "enabled", &change.enabled, error));
    KF_TRY(kf_database_write(change.kmu->front.database, write_patch, &change, error));
    response->json = json_object();
    kf_code code = kf_json_set_text(response->json, "name", change.host);
    if (code == KF_OK) code = kf_json_set_boolean(response->json, "enabled", change.enabled);
    return kf_fail_plain(error, code);
}

/* What was counted today stays: to delete a host and put it again gives no second quota. */
static kf_code write_delete(kf_database *database, void *context, kf_error *error)
{
    const bounds_change *change = context;
    uint64_t changed = 0;
    bool host = change->terminal[0] == '\0';
    KF_TRY(kf_database_execute(database,
                               host ? "DELETE FROM hosts WHERE host = $1"
                                    : "DELETE FROM hosts WHERE host = $1 AND terminal = $2",
                               host ? KF_VALUES(kf_value_text(change->host))
                                    : KF_VALUES(kf_value_text(change->host), kf_value_text(change->terminal)),
                               &changed, error));
    KF_TRY(need_change(change, changed, error));
    return audit(change, database, "host.delete", "", error);
}

kf_code kf_handle_host_delete(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    kf_caller_text caller;
    bounds_change change;
    KF_TRY(start_change(context, request, &caller, &change, error));
    KF_TRY(kf_database_write(change.kmu->front.database, write_delete, &change, error));
    response->json = json_object();
    return kf_fail_plain(error, kf_json_set_text(response->json, "name", change.host));
}

/* -- list -- */

static kf_code append_words(json_t *object, const char *member, const char *list)
{
    json_t *words = json_array();
    KF_TRY(kf_json_set(object, member, words));
    for (const char *item = list; *item != '\0';) {
        size_t size = strcspn(item, ",");
        KF_TRY(kf_json_append(words, json_stringn(item, size)));
        item += item[size] == ',' ? size + 1 : size;
    }
    return KF_OK;
}

static kf_code append_ranges(json_t *object, const char *list)
{
    json_t *ranges = json_array();
    KF_TRY(kf_json_set(object, "numbers", ranges));
    for (const char *item = list; *item != '\0';) {
        size_t size = strcspn(item, ",");
        size_t half = size / 2; /* both ends have as many digits */
        json_t *range = json_object();
        KF_TRY(kf_json_append(ranges, range));
        KF_TRY(kf_json_set(range, "from", json_stringn(item, half)));
        KF_TRY(kf_json_set(range, "to", json_stringn(item + size - half, half)));
        item += item[size] == ',' ? size + 1 : size;
    }
    return KF_OK;
}

static kf_code describe(kf_rows *rows, int64_t today, const char *name_member, size_t name_column,
                        json_t *json)
{
    int64_t used = kf_rows_integer(rows, 6) >= today ? kf_rows_integer(rows, 7) : 0;
    KF_TRY(kf_json_set_text(json, name_member, kf_rows_text(rows, name_column)));
    KF_TRY(kf_json_set_boolean(json, "enabled", kf_rows_integer(rows, 2) == 1));
    KF_TRY(append_words(json, "categories", kf_rows_text(rows, 3)));
    KF_TRY(append_ranges(json, kf_rows_text(rows, 4)));
    KF_TRY(kf_json_set_integer(json, "daily", kf_rows_integer(rows, 5)));
    return kf_json_set_integer(json, "used", used);
}

/* Rows come host by host, the host's own first. */
static kf_code append_row(kf_rows *rows, int64_t today, json_t *hosts)
{
    json_t *item = json_object();
    const char *terminal = kf_rows_text(rows, 1);
    if (terminal[0] == '\0') {
        KF_TRY(kf_json_append(hosts, item));
        KF_TRY(describe(rows, today, "name", 0, item));
        return kf_json_set(item, "terminals", json_array());
    }
    json_t *host = json_array_get(hosts, json_array_size(hosts) - 1);
    KF_TRY(kf_json_append(json_object_get(host, "terminals"), item));
    return describe(rows, today, "name", 1, item);
}

kf_code kf_handle_host_list(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    (void)request;
    kf_kmu *kmu = context;
    json_t *hosts = json_array();
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    response->json = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_set_boolean(response->json, "open", kmu->hosts_open)));
    KF_TRY(kf_fail_plain(error, kf_json_set(response->json, "hosts", hosts)));
    KF_TRY(kf_database_query(kmu->front.database,
                             "SELECT h.host, h.terminal, h.enabled, h.categories, h.numbers, h.daily,"
                             " COALESCE(u.day, 0), COALESCE(u.used, 0) FROM hosts h LEFT JOIN host_use u"
                             " ON u.host = h.host AND u.terminal = h.terminal ORDER BY h.host, h.terminal",
                             KF_NO_VALUES, &rows, error));
    int64_t today = kf_kmu_now(kmu) / ((int64_t)24 * 3600 * 1000);
    for (;;) {
        bool more = false;
        KF_TRY(kf_rows_next(rows, &more, error));
        if (!more) return kf_rows_status(rows, error);
        KF_TRY(kf_fail_plain(error, append_row(rows, today, hosts)));
    }
}
