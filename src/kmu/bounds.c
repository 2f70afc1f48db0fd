#include "kmu/bounds.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS ((int64_t)24 * 3600 * 1000)

/* A row as it is needed for one question. */
typedef struct bounds_row {
    bool found;
    bool enabled;
    bool category_fits;
    bool number_fits;
    int64_t daily; /* 0: as many as it likes */
} bounds_row;

static const char *host_name(const kf_bounds_caller *caller)
{
    const char *colon = strchr(caller->host, ':');
    return colon != NULL ? colon + 1 : caller->host;
}

/* "north,south"; empty: any. */
static bool category_is_among(const char *list, const char *category)
{
    size_t length = strlen(category);
    if (*list == '\0' || length == 0) return true;
    for (const char *item = list;;) {
        size_t size = strcspn(item, ",");
        if (size == length && memcmp(item, category, length) == 0) return true;
        if (item[size] == '\0') return false;
        item += size + 1;
    }
}

/* "86138000000-86138999999,…"; empty: any. Both ends have as many digits as the numbers between them. */
static bool number_is_among(const char *list, const char *number)
{
    size_t length = strlen(number);
    if (*list == '\0' || length == 0) return true;
    for (const char *item = list;;) {
        size_t size = strcspn(item, ",");
        if (size == 2 * length + 1 && memcmp(item, number, length) <= 0 &&
            memcmp(number, item + length + 1, length) <= 0)
            return true;
        if (item[size] == '\0') return false;
        item += size + 1;
    }
}

typedef struct bounds_question {
    const char *host;
    const char *terminal;
    const char *category;
    const char *number;
} bounds_question;

static kf_code find(kf_database *database, const bounds_question *question, bounds_row *ret_row,
                    kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    bounds_row row = {.found = false};
    KF_TRY(kf_database_query(
        database, "SELECT enabled, categories, numbers, daily FROM hosts WHERE host = $1 AND terminal = $2",
        KF_VALUES(kf_value_text(question->host), kf_value_text(question->terminal)), &rows, error));
    KF_TRY(kf_rows_next(rows, &row.found, error));
    if (row.found) {
        row.enabled = kf_rows_integer(rows, 0) == 1;
        row.category_fits = category_is_among(kf_rows_text(rows, 1), question->category);
        row.number_fits = number_is_among(kf_rows_text(rows, 2), question->number);
        row.daily = kf_rows_integer(rows, 3);
    }
    KF_TRY(kf_rows_status(rows, error));
    *ret_row = row;
    return KF_OK;
}

static kf_code check_host(const kf_kmu *kmu, const char *name, const bounds_row *row, kf_error *error)
{
    if (!row->found && !kmu->hosts_open)
        return kf_fail(error, KF_ERR_FORBIDDEN,
                       "host %s is not registered at this key management unit; register it with keyfill "
                       "kmu-host put",
                       name);
    if (row->found && !row->enabled)
        return kf_fail(error, KF_ERR_DISABLED,
                       "host %s is disabled at this key management unit; its administrator enables it with "
                       "keyfill kmu-host enable",
                       name);
    return KF_OK;
}

kf_code kf_bounds_check_caller(void *context, const kf_peer *caller, kf_error *error)
{
    const kf_kmu *kmu = context;
    if (caller->role != KF_PEER_HOST) return KF_OK;
    bounds_row row;
    const bounds_question question = {caller->name, "", "", ""};
    KF_TRY(find(kmu->front.database, &question, &row, error));
    return check_host(kmu, caller->name, &row, error);
}

/* `who`: "host north" or "terminal till-1 of host north". */
static kf_code check_fit(const bounds_row *row, const bounds_question *question, const char *who,
                         kf_error *error)
{
    if (!row->found) return KF_OK;
    if (!row->category_fits)
        return kf_fail(error, KF_ERR_FORBIDDEN, "%s is not registered for cards of category %s", who,
                       question->category);
    if (!row->number_fits)
        return kf_fail(error, KF_ERR_FORBIDDEN,
                       "%s is not registered for number %s; it lies in none of its ranges", who,
                       question->number);
    return KF_OK;
}

kf_code kf_bounds_check(const kf_kmu *kmu, const kf_bounds_caller *caller, const char *category,
                        const char *number, kf_error *error)
{
    bounds_question question = {host_name(caller), "", category, number};
    char who[2 * KF_PEER_NAME_MAX + 32];
    bounds_row row;
    KF_TRY(find(kmu->front.database, &question, &row, error));
    KF_TRY(check_host(kmu, question.host, &row, error));
    (void)snprintf(who, sizeof who, "host %s", question.host);
    KF_TRY(check_fit(&row, &question, who, error));
    if (caller->terminal[0] == '\0') return KF_OK;
    question.terminal = caller->terminal;
    KF_TRY(find(kmu->front.database, &question, &row, error));
    (void)snprintf(who, sizeof who, "terminal %s of host %s", question.terminal, question.host);
    if (row.found && !row.enabled)
        return kf_fail(error, KF_ERR_DISABLED,
                       "%s is disabled at the key management unit; its administrator enables it with "
                       "keyfill kmu-host enable",
                       who);
    return check_fit(&row, &question, who, error);
}

kf_code kf_bounds_check_card(const kf_kmu *kmu, const kf_bounds_caller *caller, const kf_card_record *record,
                             kf_error *error)
{
    bool blank = record->state == KF_CARD_BLANK;
    return kf_bounds_check(kmu, caller, blank ? "" : record->category, blank ? "" : record->number, error);
}

/* The day of a row never goes back with the clock: a count is not forgotten for it. */
static kf_code count_one(kf_database *database, const bounds_question *question, int64_t day,
                         int64_t *ret_used, kf_error *error)
{
    const kf_values values =
        KF_VALUES(kf_value_text(question->host), kf_value_text(question->terminal), kf_value_integer(day));
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(database,
                               "UPDATE host_use SET used = CASE WHEN day < $3 THEN 1 ELSE used + 1 END,"
                               " day = CASE WHEN day < $3 THEN $3 ELSE day END "
                               "WHERE host = $1 AND terminal = $2",
                               values, &changed, error));
    if (changed == 0)
        KF_TRY(kf_database_execute(database,
                                   "INSERT INTO host_use (host, terminal, day, used) VALUES ($1, $2, $3, 1)",
                                   values, NULL, error));
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT used FROM host_use WHERE host = $1 AND terminal = $2",
                             KF_VALUES(kf_value_text(question->host), kf_value_text(question->terminal)),
                             &rows, error));
    KF_TRY(kf_rows_need(rows, "host_use", error));
    *ret_used = kf_rows_integer(rows, 0);
    return kf_rows_status(rows, error);
}

static kf_code count_for(kf_database *database, const bounds_question *question, int64_t day, kf_error *error)
{
    bounds_row row;
    int64_t used = 0;
    KF_TRY(find(database, question, &row, error));
    if (!row.found) return KF_OK;
    KF_TRY(count_one(database, question, day, &used, error));
    if (row.daily == 0 || used <= row.daily) return KF_OK;
    return kf_fail(error, KF_ERR_QUOTA,
                   "%s %s has begun the %lld requests that it may in a day (UTC); an administrator sets the "
                   "number with keyfill kmu-host put",
                   question->terminal[0] != '\0' ? "terminal" : "host",
                   question->terminal[0] != '\0' ? question->terminal : question->host, (long long)row.daily);
}

kf_code kf_bounds_count(kf_database *database, const kf_bounds_caller *caller, int64_t now_ms,
                        kf_error *error)
{
    bounds_question question = {host_name(caller), "", "", ""};
    KF_TRY(count_for(database, &question, now_ms / DAY_MS, error));
    if (caller->terminal[0] == '\0') return KF_OK;
    question.terminal = caller->terminal;
    return count_for(database, &question, now_ms / DAY_MS, error);
}

unsigned kf_bounds_seconds_left(int64_t now_ms)
{
    return (unsigned)((DAY_MS - now_ms % DAY_MS + 999) / 1000);
}
