#include "vault/audit_head_exchange.h"

#include <stdio.h>
#include <string.h>

#include "audit/row_json.h"
#include "base/log.h"
#include "wire/json.h"

kf_code kf_audit_exchange_show(const kf_front *front, json_t *body, kf_error *error)
{
    kf_signed_head head;
    kf_audit_state state;
    json_t *inner = NULL;
    json_t *audit = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_set(body, "audit", audit)));
    KF_TRY(kf_front_audit_state(front, &state, error));
    KF_TRY(kf_front_sign_head(front, &head, error));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(audit, "public_key", KF_VIEW(state.public_key))));
    KF_TRY(kf_fail_plain(error, kf_signed_head_to_json(&head, &inner)));
    return kf_fail_plain(error, kf_json_set(audit, "head", inner));
}

typedef struct showing {
    kf_shown_head shown;
    kf_audit_peer before;
    bool is_new;
} showing;

static kf_code write_showing(kf_database *database, void *context, kf_error *error)
{
    showing *work = context;
    KF_TRY(kf_audit_peer_show(database, &work->shown, &work->before, &work->is_new, error));
    if (!work->is_new) return KF_OK;
    bool wrong = work->before.finding[0] != '\0';
    const kf_audit_event event = {
        .time_ms = work->shown.now_ms,
        .actor = work->shown.unit,
        .action = wrong ? "audit.put-back" : "audit.caught-up",
        .subject = work->shown.unit,
        .outcome = wrong ? kf_code_name(KF_ERR_AUDIT) : "ok",
        .detail = wrong ? work->before.finding : "key store and log are not older than known any more",
    };
    return kf_audit_append(database, &event, NULL, error);
}

kf_code kf_audit_exchange_take(const kf_front *front, const char *unit, const json_t *body,
                               kf_audit_peer *ret_before, kf_error *error)
{
    json_t *audit = NULL;
    kf_signed_head head;
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
    showing work;
    memset(&work, 0, sizeof work);
    KF_TRY(kf_json_object_optional(body, "audit", &audit, error));
    if (audit != NULL) {
        KF_TRY(kf_json_hex_exactly(audit, "public_key", sizeof public_key, public_key, error));
        KF_TRY(kf_signed_head_from_json(json_object_get(audit, "head"), &head, error));
        work.shown = (kf_shown_head){unit, &head, public_key, (int64_t)front->clock()};
        KF_TRY(kf_database_write(front->database, write_showing, &work, error));
        if (work.is_new && work.before.finding[0] != '\0')
            kf_log(KF_LOG_ERROR, "%s: %s", unit, work.before.finding);
    }
    if (ret_before != NULL) *ret_before = work.before;
    return KF_OK;
}

kf_code kf_audit_exchange_tell(const kf_audit_peer *before, json_t *body)
{
    json_t *audit = json_object_get(body, "audit");
    KF_TRY(kf_json_set_text(audit, "finding", before->finding));
    if (!before->found) return KF_OK;
    json_t *known = json_object();
    KF_TRY(kf_json_set(audit, "known", known));
    KF_TRY(kf_json_set_integer(known, "seq", before->newest.seq));
    return kf_json_set_hex(known, "hash", KF_VIEW(before->newest.hash));
}

/* The row that the other unit knows must be the one that is here. */
static kf_code compare_known(const kf_front *front, const json_t *known, kf_audit_verdict *verdict,
                             kf_error *error)
{
    uint8_t there[KF_DIGEST_SIZE];
    uint8_t here[KF_DIGEST_SIZE];
    int64_t seq = 0;
    KF_TRY(kf_json_integer(known, "seq", (kf_json_range){0, INT64_MAX}, &seq, error));
    KF_TRY(kf_json_hex_exactly(known, "hash", sizeof there, there, error));
    if (seq == 0 || verdict->finding[0] != '\0') return KF_OK;
    kf_code code = kf_audit_hash_at(front->database, seq, here, NULL);
    if (code == KF_OK && memcmp(here, there, sizeof here) == 0) return KF_OK;
    if (code != KF_OK && code != KF_ERR_NOT_FOUND && code != KF_ERR_AUDIT) return kf_fail_plain(error, code);
    (void)snprintf(verdict->finding, sizeof verdict->finding,
                   "row %lld of the audit log is another than was seen before: the log was replaced",
                   (long long)seq);
    return KF_OK;
}

kf_code kf_audit_exchange_hear(const kf_front *front, const json_t *body, kf_audit_verdict *ret_verdict,
                               kf_error *error)
{
    json_t *audit = NULL;
    json_t *known = NULL;
    kf_audit_verdict verdict = {.given = false};
    KF_TRY(kf_json_object_optional(body, "audit", &audit, error));
    const json_t *finding = json_object_get(audit, "finding");
    if (audit != NULL && json_is_string(finding)) {
        verdict.given = true;
        (void)snprintf(verdict.finding, sizeof verdict.finding, "%s", json_string_value(finding));
        KF_TRY(kf_json_object_optional(audit, "known", &known, error));
        if (known != NULL) KF_TRY(compare_known(front, known, &verdict, error));
    }
    *ret_verdict = verdict;
    return KF_OK;
}
