#include "host/request_retention.h"

#include "base/log.h"

typedef struct prune_work {
    const char *sql;
    int64_t before_ms;
    uint64_t count;
} prune_work;

static kf_code prune_batch(kf_database *database, void *context, kf_error *error)
{
    prune_work *work = context;
    return kf_database_execute(
        database, work->sql,
        KF_VALUES(kf_value_integer(work->before_ms), kf_value_integer(KF_REQUEST_PRUNE_BATCH)), &work->count,
        error);
}

static kf_code prune(kf_database *database, const char *sql, int64_t before_ms, uint64_t *ret_count,
                     kf_error *error)
{
    prune_work work = {.sql = sql, .before_ms = before_ms};
    uint64_t count = 0;
    do {
        KF_TRY(kf_database_write(database, prune_batch, &work, error));
        count += work.count;
    } while (work.count == KF_REQUEST_PRUNE_BATCH);
    *ret_count = count;
    return KF_OK;
}

kf_code kf_request_retention_keep(kf_host *host, kf_error *error)
{
    const int64_t before_ms = kf_host_now(host) - host->settings.retention_ms;
    uint64_t requests = 0;
    uint64_t calls = 0;
    /* A request that ended did so before it would have expired. */
    KF_TRY(prune(host->database,
                 "DELETE FROM request WHERE key IN (SELECT key FROM request"
                 " WHERE state IN ('done', 'failed', 'expired') AND expires_ms < $1 LIMIT $2)",
                 before_ms, &requests, error));
    KF_TRY(prune(host->database,
                 "DELETE FROM issuing_call WHERE seq IN (SELECT seq FROM issuing_call"
                 " WHERE state IN ('taken', 'refused') AND next_try_ms < $1 LIMIT $2)",
                 before_ms, &calls, error));
    if (requests + calls > 0)
        kf_log(KF_LOG_INFO, "%llu old requests and %llu calls to the issuing server were removed",
               (unsigned long long)requests, (unsigned long long)calls);
    return KF_OK;
}
