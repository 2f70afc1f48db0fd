#include "kmu/kmu.h"

#include <stdio.h>

#include "kmu/rollback.h"

kf_caller_text kf_caller_show(const kf_peer *caller)
{
    kf_caller_text shown;
    (void)snprintf(shown.text, sizeof shown.text, "%s:%s", kf_peer_role_name(caller->role), caller->name);
    return shown;
}

int64_t kf_kmu_now(const kf_kmu *kmu)
{
    return (int64_t)kmu->front.clock();
}

kf_code kf_kmu_init(kf_kmu *kmu, kf_error *error)
{
    KF_TRY(kf_owed_receipts_new(&kmu->front.owed, error));
    if (pthread_mutex_init(&kmu->mirror, NULL) == 0) return KF_OK;
    kf_owed_receipts_free(&kmu->front.owed);
    return kf_fail_plain(error, KF_ERR_MEMORY);
}

void kf_kmu_end(kf_kmu *kmu)
{
    kf_owed_receipts_free(&kmu->front.owed);
    kf_front_log_free(&kmu->front.log);
    kf_rollback_free(&kmu->rollback);
    (void)pthread_mutex_destroy(&kmu->mirror);
}

kf_code kf_kmu_append_audit(kf_kmu *kmu, kf_database *database, const kf_audit_event *event, kf_error *error)
{
    kf_audit_event timed = *event;
    timed.time_ms = kf_kmu_now(kmu);
    return kf_audit_append(database, &timed, NULL, error);
}

typedef struct audit_work {
    kf_kmu *kmu;
    const kf_audit_event *event;
} audit_work;

static kf_code append_event(kf_database *database, void *context, kf_error *error)
{
    const audit_work *work = context;
    return kf_kmu_append_audit(work->kmu, database, work->event, error);
}

kf_code kf_kmu_audit(kf_kmu *kmu, const kf_audit_event *event, kf_error *error)
{
    audit_work work = {kmu, event};
    return kf_database_write(kmu->front.database, append_event, &work, error);
}

static kf_code insert_key(kf_database *database, const kf_key_entry *entry, kf_error *error)
{
    return kf_database_execute(
        database,
        "INSERT INTO base_keys (purpose, category, version, algorithm, size, kcv, state, revision, origin, "
        "diversification) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        KF_VALUES(kf_value_text(kf_key_purpose_name(entry->purpose)), kf_value_text(entry->category),
                  kf_value_integer(entry->version), kf_value_text(kf_key_algorithm_name(entry->algorithm)),
                  kf_value_integer((int64_t)entry->size), kf_value_text(kf_kcv_show(entry->kcv).text),
                  kf_value_text(kf_key_state_name(entry->state)), kf_value_integer((int64_t)entry->revision),
                  kf_value_text(entry->origin), kf_value_text(entry->policy.diversification)),
        NULL, error);
}

static kf_code replace_keys(kf_database *database, void *context, kf_error *error)
{
    const kf_key_list *list = context;
    KF_TRY(kf_database_execute(database, "DELETE FROM base_keys", KF_NO_VALUES, NULL, error));
    for (size_t i = 0; i < list->count; i++)
        KF_TRY(insert_key(database, &list->entries[i], error));
    return KF_OK;
}

static kf_code mirror(kf_kmu *kmu, kf_error *error)
{
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {0};
    KF_TRY(kf_key_exchange_list(&kmu->front, &list, error));
    return kf_database_write(kmu->front.database, replace_keys, &list, error);
}

/* One at a time, so that an older list never comes after a newer one. */
kf_code kf_kmu_mirror_keys(kf_kmu *kmu, kf_error *error)
{
    (void)pthread_mutex_lock(&kmu->mirror);
    kf_code code = mirror(kmu, error);
    (void)pthread_mutex_unlock(&kmu->mirror);
    return code;
}

kf_code kf_kmu_pull(kf_kmu *kmu, const char *who, size_t *ret_count, kf_error *error)
{
    if (kmu->bkmu.client == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "this key management unit runs alone: no bkmu is configured to pull keys from");
    kf_vault_actor actor = {.request = ""};
    (void)snprintf(actor.who, sizeof actor.who, "%s", who);
    kf_audit_verdict verdict = {.given = false};
    kf_key_source source = kmu->bkmu;
    source.verdict = &verdict;
    KF_TRY(kf_key_exchange_pull(&kmu->front, &source, &actor, ret_count, error));
    if (verdict.given && kmu->rollback != NULL) KF_TRY(kf_rollback_hear(kmu, &verdict, error));
    return kf_kmu_mirror_keys(kmu, error);
}
