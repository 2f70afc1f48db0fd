#include "kmu/rollback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define CONFIRMED "confirmed by the bkmu" /* a place of audit_copies; its number is a time */

struct kf_rollback {
    pthread_mutex_t lock;
    int64_t grace_ms;
    char reason[KF_AUDIT_FINDING_MAX + 128]; /* "": the unit may work */
};

kf_code kf_rollback_new(uint32_t grace_seconds, kf_rollback **ret_rollback, kf_error *error)
{
    kf_rollback *rollback = calloc(1, sizeof *rollback);
    if (rollback == NULL || pthread_mutex_init(&rollback->lock, NULL) != 0) {
        free(rollback);
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    rollback->grace_ms = (int64_t)grace_seconds * 1000;
    *ret_rollback = rollback;
    return KF_OK;
}

void kf_rollback_free(kf_rollback **rollback)
{
    if (rollback == NULL || *rollback == NULL) return;
    (void)pthread_mutex_destroy(&(*rollback)->lock);
    free(*rollback);
    *rollback = NULL;
}

static void set_reason(kf_rollback *rollback, const char *reason)
{
    (void)pthread_mutex_lock(&rollback->lock);
    bool changed = strcmp(rollback->reason, reason) != 0;
    (void)snprintf(rollback->reason, sizeof rollback->reason, "%s", reason);
    (void)pthread_mutex_unlock(&rollback->lock);
    if (changed && reason[0] != '\0')
        kf_log(KF_LOG_ERROR, "%s; only keys are pulled and the audit log read", reason);
    if (changed && reason[0] == '\0')
        kf_log(KF_LOG_INFO, "key store and audit log are not older than is known");
}

static kf_code read_confirmed(kf_database *database, int64_t *ret_ms, bool *ret_found, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT number FROM audit_copies WHERE place = $1",
                             KF_VALUES(kf_value_text(CONFIRMED)), &rows, error));
    KF_TRY(kf_rows_next(rows, ret_found, error));
    *ret_ms = *ret_found ? kf_rows_integer(rows, 0) : 0;
    return kf_rows_status(rows, error);
}

static kf_code write_confirmed(kf_database *database, void *context, kf_error *error)
{
    const int64_t *now = context;
    KF_TRY(kf_database_execute(database, "DELETE FROM audit_copies WHERE place = $1",
                               KF_VALUES(kf_value_text(CONFIRMED)), NULL, error));
    return kf_database_execute(database, "INSERT INTO audit_copies (place, number) VALUES ($1, $2)",
                               KF_VALUES(kf_value_text(CONFIRMED), kf_value_integer(*now)), NULL, error);
}

kf_code kf_rollback_hear(kf_kmu *kmu, const kf_audit_verdict *verdict, kf_error *error)
{
    char reason[sizeof kmu->rollback->reason] = "";
    int64_t now = kf_kmu_now(kmu);
    if (verdict->finding[0] != '\0')
        (void)snprintf(reason, sizeof reason, "%s says of this unit: %s", kmu->bkmu.name, verdict->finding);
    set_reason(kmu->rollback, reason);
    if (reason[0] != '\0') return KF_OK;
    return kf_database_write(kmu->front.database, write_confirmed, &now, error);
}

kf_code kf_rollback_missed(kf_kmu *kmu, kf_error *error)
{
    kf_rollback *rollback = kmu->rollback;
    int64_t confirmed = 0;
    int64_t now = kf_kmu_now(kmu);
    bool found = false;
    KF_TRY(read_confirmed(kmu->front.database, &confirmed, &found, error));
    /* The first time ever: the grace begins now. */
    if (!found) return kf_database_write(kmu->front.database, write_confirmed, &now, error);
    if (now - confirmed <= rollback->grace_ms) return KF_OK;
    char reason[sizeof rollback->reason];
    (void)snprintf(
        reason, sizeof reason,
        "%s was not reached for %lld s, so that nobody can say whether key store and log are the newest",
        kmu->bkmu.name, (long long)((now - confirmed) / 1000));
    set_reason(rollback, reason);
    return KF_OK;
}

kf_code kf_rollback_check(const kf_kmu *kmu, kf_error *error)
{
    kf_rollback *rollback = kmu->rollback;
    if (rollback == NULL) return KF_OK;
    char reason[sizeof rollback->reason];
    (void)pthread_mutex_lock(&rollback->lock);
    (void)memcpy(reason, rollback->reason, sizeof reason);
    (void)pthread_mutex_unlock(&rollback->lock);
    if (reason[0] == '\0') return KF_OK;
    return kf_fail(error, KF_ERR_HELD, "%s; only keys are pulled and the audit log read", reason);
}

static bool is_served_in_any_case(const kf_http_request *request)
{
    static const char *const paths[] = {"/healthz",  "/readyz",        "/v1/vault",
                                        "/v1/keys",  "/v1/key-blocks", "/v1/key-pull",
                                        "/v1/audit", "/v1/proposals",  "/v1/roster"};
    bool reads = strcmp(request->method, "GET") == 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        size_t size = strlen(paths[i]);
        if (strncmp(request->path, paths[i], size) != 0) continue;
        if (request->path[size] != '\0' && request->path[size] != '/') continue;
        return reads || strcmp(paths[i], "/v1/keys") != 0;
    }
    return false;
}

kf_code kf_rollback_admit(void *context, const kf_http_request *request, kf_error *error)
{
    return is_served_in_any_case(request) ? KF_OK : kf_rollback_check(context, error);
}
