#include "host/host.h"

#include <stdio.h>
#include <string.h>

#include "host/records.h"
#include "wire/json.h"

kf_code kf_host_start(kf_host *host, kf_error *error)
{
    KF_TRY(kf_database_migrate(host->database, &kf_audit_migrations, error));
    KF_TRY(kf_database_migrate(host->database, &kf_host_migrations, error));
    if (pthread_mutex_init(&host->active_mutex, NULL) != 0) return kf_fail_plain(error, KF_ERR_SYSTEM);
    if (pthread_cond_init(&host->active_changed, NULL) != 0) {
        pthread_mutex_destroy(&host->active_mutex);
        return kf_fail_plain(error, KF_ERR_SYSTEM);
    }
    host->active = NULL;
    return KF_OK;
}

void kf_host_end(kf_host *host)
{
    pthread_cond_destroy(&host->active_changed);
    pthread_mutex_destroy(&host->active_mutex);
    kf_pki_pair_clear(&host->terminal_authority);
}

int64_t kf_host_now(const kf_host *host)
{
    return host->now_ms(host->clock_context);
}

kf_code kf_host_audit(kf_host *host, const kf_audit_event *event, kf_error *error)
{
    kf_audit_event timed = *event;
    timed.time_ms = kf_host_now(host);
    return kf_audit_append(host->database, &timed, NULL, error);
}

typedef struct audit_alone {
    kf_host *host;
    const kf_audit_event *event;
} audit_alone;

static kf_code audit_work(kf_database *database, void *context, kf_error *error)
{
    (void)database;
    const audit_alone *alone = context;
    return kf_host_audit(alone->host, alone->event, error);
}

kf_code kf_host_audit_alone(kf_host *host, const kf_audit_event *event, kf_error *error)
{
    audit_alone alone = {host, event};
    return kf_database_write(host->database, audit_work, &alone, error);
}

kf_code kf_number_check(const char *number, kf_error *error)
{
    size_t size = strlen(number);
    if (size < KF_NUMBER_MIN || size > KF_NUMBER_MAX || strspn(number, "0123456789") != size)
        return kf_fail(error, KF_ERR_NUMBER,
                       "number '%.40s': %d to %d digits are needed, without spaces or signs", number,
                       KF_NUMBER_MIN, KF_NUMBER_MAX);
    return KF_OK;
}

static kf_code check_personalise(const json_t *object, kf_error *error)
{
    const char *personalise = NULL;
    KF_TRY(kf_json_text_optional(object, "personalise", sizeof "if-absent", &personalise, error));
    if (personalise == NULL || strcmp(personalise, "if-absent") == 0 || strcmp(personalise, "always") == 0 ||
        strcmp(personalise, "never") == 0)
        return KF_OK;
    return kf_fail(error, KF_ERR_FIELD, "personalise '%s': if-absent, always or never", personalise);
}

kf_code kf_personalisation_check(const json_t *object, kf_error *error)
{
    KF_TRY(check_personalise(object, error));
    json_t *fields = NULL;
    KF_TRY(kf_json_object_optional(object, "personalisation", &fields, error));
    if (fields == NULL) return KF_OK;
    if (json_object_size(fields) > KF_PERSONALISATION_MAX)
        return kf_fail(error, KF_ERR_FIELD, "personalisation has %zu fields, at most %d are taken",
                       json_object_size(fields), KF_PERSONALISATION_MAX);
    const char *name;
    json_t *value;
    json_object_foreach(fields, name, value)
    {
        KF_TRY(kf_name_check("personalisation field", name, error));
        if (strlen(name) > KF_PERSONALISATION_NAME_MAX)
            return kf_fail(error, KF_ERR_FIELD, "personalisation field '%s': at most %d characters", name,
                           KF_PERSONALISATION_NAME_MAX);
        const char *text = NULL;
        KF_TRY(kf_json_text(fields, name, KF_PERSONALISATION_VALUE_MAX, &text, error));
    }
    return KF_OK;
}
