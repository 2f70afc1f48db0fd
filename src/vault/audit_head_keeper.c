#include "vault/audit_head_keeper.h"

#include <stdlib.h>

#include "audit/outside.h"
#include "base/log.h"
#include "vault/audit_head_front.h"
#include "wire/housekeeper.h"

#define INTERVAL_STANDARD 60
#define INTERVAL_MAX 86400
#define ROWS_STANDARD 1000
#define ROWS_MAX 1000000
#define LOOK_SECONDS 1       /* how often the log's length is looked at */
#define RETRY_FIRST_MS 5000U /* after a place refused */
#define RETRY_MOST_MS 300000U

const cyaml_schema_field_t kf_audit_config_fields[] = {
    KF_CONFIG_OPTIONAL_NUMBER("interval_seconds", kf_audit_config, interval_seconds),
    KF_CONFIG_OPTIONAL_NUMBER("rows", kf_audit_config, rows),
    KF_CONFIG_OPTIONAL_TEXT("file", kf_audit_config, file),
    KF_CONFIG_OPTIONAL_TEXT("syslog", kf_audit_config, syslog),
    KF_CONFIG_OPTIONAL_TEXT("https", kf_audit_config, https),
    CYAML_FIELD_END,
};

kf_code kf_audit_config_fill_in(const char *path, kf_audit_config *config, kf_error *error)
{
    if (config == NULL) return KF_OK;
    const kf_config_number interval = {"interval_seconds", &config->interval_seconds, INTERVAL_STANDARD,
                                       INTERVAL_MAX};
    const kf_config_number rows = {"rows", &config->rows, ROWS_STANDARD, ROWS_MAX};
    KF_TRY(kf_config_default_number(path, &interval, error));
    return kf_config_default_number(path, &rows, error);
}

kf_code kf_audit_config_limit(const kf_audit_config *config, kf_sandbox *sandbox, kf_error *error)
{
    if (config == NULL) return KF_OK;
    KF_TRY(kf_sandbox_allow_file(sandbox, config->file, KF_LANDLOCK_WRITE, error));
    return kf_sandbox_allow_connect(sandbox, config->https, error);
}

struct kf_audit_keeper {
    const kf_front *front;
    uint64_t interval_ms;
    int64_t rows;
    kf_outside *outside; /* NULL: no places */
    kf_housekeeper *housekeeper;
    uint64_t signed_ms; /* when a head was signed last */
    uint64_t retry_at_ms;
    uint64_t retry_ms; /* 0: the places took everything */
};

static void sign_if_due(kf_audit_keeper *keeper, bool at_once)
{
    kf_error error = {KF_OK, ""};
    kf_signed_head head;
    int64_t rows = 0;
    int64_t signed_rows = 0;
    uint64_t now = keeper->front->clock();
    kf_code code = kf_front_log_length(keeper->front, &rows, &signed_rows, &error);
    bool due = rows > signed_rows && (at_once || rows - signed_rows >= keeper->rows ||
                                      now - keeper->signed_ms >= keeper->interval_ms);
    if (code == KF_OK && !due) return;
    if (code == KF_OK) code = kf_front_sign_head(keeper->front, &head, &error);
    keeper->signed_ms = now;
    if (code != KF_OK)
        kf_log(KF_LOG_ERROR, "the audit log's head is not signed, tried again: %s", kf_error_text(&error));
}

static void send_copies(kf_audit_keeper *keeper)
{
    kf_error error = {KF_OK, ""};
    uint64_t now = keeper->front->clock();
    if (keeper->outside == NULL || now < keeper->retry_at_ms) return;
    if (kf_outside_send(keeper->outside, keeper->front->database, &error) == KF_OK) {
        keeper->retry_ms = 0;
        keeper->retry_at_ms = 0;
        return;
    }
    keeper->retry_ms = keeper->retry_ms == 0                  ? RETRY_FIRST_MS
                       : keeper->retry_ms * 2 < RETRY_MOST_MS ? keeper->retry_ms * 2
                                                              : RETRY_MOST_MS;
    keeper->retry_at_ms = now + keeper->retry_ms;
    kf_log(KF_LOG_WARNING, "a head of the audit log has no copy outside yet, tried again in %u s: %s",
           (unsigned)(keeper->retry_ms / 1000), kf_error_text(&error));
}

static unsigned keep_round(void *context)
{
    kf_audit_keeper *keeper = context;
    sign_if_due(keeper, false);
    send_copies(keeper);
    return LOOK_SECONDS;
}

static kf_code open_places(const kf_audit_keeper_options *options, kf_audit_keeper *keeper, kf_error *error)
{
    const kf_audit_config *config = options->config;
    if (config == NULL || (config->file == NULL && config->syslog == NULL && config->https == NULL))
        return KF_OK;
    const kf_outside_options places = {
        .file = config->file,
        .syslog = config->syslog,
        .https = config->https,
        .program = options->program,
        .https_unit = kf_unit_client(options->unit, NULL, KF_PEER_NONE, NULL),
    };
    return kf_outside_new(&places, &keeper->outside, error);
}

kf_code kf_audit_keeper_start(const kf_audit_keeper_options *options, kf_audit_keeper **ret_keeper,
                              kf_error *error)
{
    kf_audit_keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    const kf_audit_config *config = options->config;
    keeper->front = options->front;
    keeper->interval_ms = (config != NULL ? config->interval_seconds : INTERVAL_STANDARD) * (uint64_t)1000;
    keeper->rows = config != NULL ? config->rows : ROWS_STANDARD;
    keeper->signed_ms = options->front->clock();
    kf_code code = open_places(options, keeper, error);
    if (code == KF_OK) code = kf_housekeeper_start(keep_round, keeper, &keeper->housekeeper, error);
    if (code != KF_OK) {
        kf_outside_free(&keeper->outside);
        free(keeper);
        return code;
    }
    *ret_keeper = keeper;
    return KF_OK;
}

void kf_audit_keeper_end(kf_audit_keeper **keeper)
{
    if (keeper == NULL || *keeper == NULL) return;
    kf_housekeeper_stop(&(*keeper)->housekeeper);
    sign_if_due(*keeper, true);
    (*keeper)->retry_at_ms = 0;
    send_copies(*keeper);
    kf_outside_free(&(*keeper)->outside);
    free(*keeper);
    *keeper = NULL;
}
