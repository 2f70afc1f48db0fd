#include "kmu/request_retention.h"

#include "base/log.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define OLDEST                                                                                               \
    "(SELECT caller, id FROM requests WHERE state <> 'open' AND updated < $1"                                \
    " ORDER BY updated, caller, id LIMIT $2)"

typedef struct prune_work {
    int64_t before_ms;
    uint64_t count;
} prune_work;

static kf_code prune_batch(kf_database *database, void *context, kf_error *error)
{
    prune_work *work = context;
    const kf_values values =
        KF_VALUES(kf_value_integer(work->before_ms), kf_value_integer(KF_REQUESTS_PRUNE_BATCH));
    KF_TRY(kf_database_execute(database, "DELETE FROM request_answers WHERE (caller, id) IN " OLDEST, values,
                               NULL, error));
    return kf_database_execute(database, "DELETE FROM requests WHERE (caller, id) IN " OLDEST, values,
                               &work->count, error);
}

kf_code kf_requests_prune(kf_database *database, int64_t before_ms, uint64_t *ret_count, kf_error *error)
{
    prune_work work = {.before_ms = before_ms};
    uint64_t count = 0;
    do {
        KF_TRY(kf_database_write(database, prune_batch, &work, error));
        count += work.count;
    } while (work.count == KF_REQUESTS_PRUNE_BATCH);
    *ret_count = count;
    return KF_OK;
}

void kf_requests_prune_and_log(kf_kmu *kmu, unsigned days)
{
    kf_error error = {KF_OK, ""};
    uint64_t count = 0;
    if (kf_requests_prune(kmu->front.database, kf_kmu_now(kmu) - days * DAY_MS, &count, &error) != KF_OK)
        kf_log(KF_LOG_WARNING, "old requests stay for now: %s", kf_error_text(&error));
    else if (count > 0)
        kf_log(KF_LOG_INFO, "%llu requests that ended more than %u days ago were removed",
               (unsigned long long)count, days);
}
