#include "host/terminals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/file.h"
#include "crypto/random.h"
#include "wire/json.h"

static kf_code hash_code(const char *code, uint8_t ret_hash[KF_DIGEST_SIZE], kf_error *error)
{
    /* 80 random bits need no slow hash. */
    const kf_view parts[] = {kf_view_of_text("keyfill-enrolment-code:"), kf_view_of_text(code)};
    kf_code result = kf_sha256_parts(parts, sizeof parts / sizeof parts[0], ret_hash);
    return result == KF_OK ? KF_OK : kf_fail_plain(error, result);
}

static kf_code make_code(char ret_text[KF_ENROLMENT_CODE_SIZE], kf_error *error)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t random[KF_ENROLMENT_CODE_SIZE - 1];
    kf_code code = kf_random_bytes(random, sizeof random);
    if (code != KF_OK) return kf_fail_plain(error, code);
    for (size_t i = 0; i < sizeof random; i++)
        ret_text[i] = i % 5 == 4 ? '-' : letters[random[i] % 32];
    ret_text[sizeof random] = '\0';
    return KF_OK;
}

typedef struct invitation {
    kf_host *host;
    const char *name;
    const char *actor;
    const kf_enrolment_code *code;
} invitation;

static kf_code invite_work(kf_database *database, void *context, kf_error *error)
{
    const invitation *invited = context;
    uint8_t hash[KF_DIGEST_SIZE];
    KF_TRY(hash_code(invited->code->text, hash, error));
    const kf_values values = KF_VALUES(kf_value_text(invited->name), kf_value_blob(KF_VIEW(hash)),
                                       kf_value_integer(invited->code->expires_ms));
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(database,
                               "UPDATE terminal SET code_hash = $2, code_expires_ms = $3 WHERE name = $1",
                               values, &changed, error));
    if (changed == 0)
        KF_TRY(kf_database_execute(
            database,
            "INSERT INTO terminal (name, enabled, code_hash, code_expires_ms) VALUES ($1, 1, $2, $3)", values,
            NULL, error));
    const kf_audit_event event = {
        .actor = invited->actor, .action = "terminal.code", .subject = invited->name, .outcome = "ok"};
    return kf_host_audit(invited->host, &event, error);
}

kf_code kf_terminals_invite(kf_host *host, const char *name, const char *actor, kf_enrolment_code *ret_code,
                            kf_error *error)
{
    KF_TRY(kf_name_check("terminal name", name, error));
    kf_enrolment_code code;
    KF_TRY(make_code(code.text, error));
    code.expires_ms = kf_host_now(host) + host->settings.enrolment_ms;
    invitation invited = {host, name, actor, &code};
    KF_TRY(kf_database_write(host->database, invite_work, &invited, error));
    *ret_code = code;
    return KF_OK;
}

typedef struct enrolling {
    kf_host *host;
    const kf_enrolment *enrolment;
    uint8_t code_hash[KF_DIGEST_SIZE];
    kf_buffer *certificate;
    char name[KF_PEER_NAME_MAX + 1];
} enrolling;

/* Writes the name that the code stands for. */
static kf_code find_code(kf_database *database, enrolling *work, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT name, code_expires_ms FROM terminal WHERE code_hash = $1",
                             KF_VALUES(kf_value_blob(KF_VIEW(work->code_hash))), &rows, error));
    bool found = false;
    KF_TRY(kf_rows_next(rows, &found, error));
    if (!found)
        return kf_fail(
            error, KF_ERR_CODE,
            "the one-time code is unknown or was used: ask the host's administrator for a new one");
    const char *name = kf_rows_text(rows, 0);
    if (strlen(name) > KF_PEER_NAME_MAX) return kf_fail_plain(error, KF_ERR_STORE);
    if (kf_rows_integer(rows, 1) <= kf_host_now(work->host))
        return kf_fail(
            error, KF_ERR_CODE,
            "the one-time code of terminal %s has expired: ask the host's administrator for a new one", name);
    memcpy(work->name, name, strlen(name) + 1);
    return kf_rows_status(rows, error);
}

/* kf_peer_of_file reads files only; this one has no name in any folder. */
static kf_code peer_of_pem(kf_view pem, kf_peer *ret_peer, kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close) int descriptor = memfd_create("certificate", MFD_CLOEXEC);
    if (descriptor < 0) return kf_fail(error, KF_ERR_SYSTEM, "memfd_create: %s", strerror(errno));
    kf_code code = kf_descriptor_write(descriptor, pem);
    if (code != KF_OK) return kf_fail_plain(error, code);
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return kf_peer_of_file(path, ret_peer, error);
}

static kf_code sign(enrolling *work, kf_peer *ret_peer, kf_error *error)
{
    const time_t now = (time_t)(kf_host_now(work->host) / 1000);
    const kf_pki_subject subject = {
        .role = KF_PEER_TERMINAL,
        .name = work->name,
        .validity = kf_pki_validity_of_days(now, work->host->settings.certificate_days),
    };
    kf_buffer_truncate(work->certificate, 0);
    KF_TRY(kf_pki_sign_request(&work->host->terminal_authority, work->enrolment->request, &subject,
                               work->certificate, error));
    return peer_of_pem(kf_buffer_view(work->certificate), ret_peer, error);
}

static kf_code enrol_work(kf_database *database, void *context, kf_error *error)
{
    enrolling *work = context;
    KF_TRY(find_code(database, work, error));
    kf_peer peer;
    KF_TRY(sign(work, &peer, error));
    KF_TRY(
        kf_database_execute(database,
                            "UPDATE terminal SET code_hash = NULL, code_expires_ms = NULL, fingerprint = $2,"
                            " certificate_expires_ms = $3 WHERE name = $1",
                            KF_VALUES(kf_value_text(work->name), kf_value_blob(KF_VIEW(peer.fingerprint)),
                                      kf_value_integer((int64_t)peer.not_after * 1000)),
                            NULL, error));
    const kf_audit_event event = {.actor = "none",
                                  .action = "terminal.enrol",
                                  .subject = work->name,
                                  .outcome = "ok",
                                  .detail = work->enrolment->address};
    return kf_host_audit(work->host, &event, error);
}

kf_code kf_terminals_enrol(kf_host *host, const kf_enrolment *enrolment, kf_buffer *certificate,
                           char ret_name[KF_PEER_NAME_MAX + 1], kf_error *error)
{
    enrolling work = {.host = host, .enrolment = enrolment, .certificate = certificate};
    KF_TRY(hash_code(enrolment->code, work.code_hash, error));
    kf_error failure = {KF_OK, ""};
    kf_code code = kf_database_write(host->database, enrol_work, &work, &failure);
    if (code == KF_OK) {
        memcpy(ret_name, work.name, sizeof work.name);
        return KF_OK;
    }
    const kf_audit_event event = {.actor = "none",
                                  .action = "terminal.enrol",
                                  .subject = enrolment->address,
                                  .outcome = kf_code_name(code),
                                  .detail = kf_error_text(&failure)};
    KF_TRY(kf_host_audit_alone(host, &event, error));
    return kf_fail(error, code, "%s", kf_error_text(&failure));
}

typedef struct enabling {
    kf_host *host;
    const char *name;
    const char *actor;
    bool enabled;
} enabling;

static kf_code enable_work(kf_database *database, void *context, kf_error *error)
{
    const enabling *work = context;
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(database, "UPDATE terminal SET enabled = $2 WHERE name = $1",
                               KF_VALUES(kf_value_text(work->name), kf_value_integer(work->enabled ? 1 : 0)),
                               &changed, error));
    if (changed == 0)
        return kf_fail(error, KF_ERR_NOT_FOUND, "terminal %.80s: there is none of this name", work->name);
    const kf_audit_event event = {.actor = work->actor,
                                  .action = work->enabled ? "terminal.enable" : "terminal.disable",
                                  .subject = work->name,
                                  .outcome = "ok"};
    return kf_host_audit(work->host, &event, error);
}

kf_code kf_terminals_set_enabled(kf_host *host, const char *name, bool enabled, const char *actor,
                                 kf_error *error)
{
    enabling work = {host, name, actor, enabled};
    return kf_database_write(host->database, enable_work, &work, error);
}

static kf_code check_admission(kf_host *host, const kf_peer *terminal, int64_t *ret_last_contact,
                               kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(host->database,
                             "SELECT enabled, fingerprint, last_contact_ms FROM terminal WHERE name = $1",
                             KF_VALUES(kf_value_text(terminal->name)), &rows, error));
    bool found = false;
    KF_TRY(kf_rows_next(rows, &found, error));
    if (!found)
        return kf_fail(error, KF_ERR_FORBIDDEN,
                       "terminal %s: it is not listed here; enrol it with a one-time code", terminal->name);
    if (kf_rows_integer(rows, 0) != 1)
        return kf_fail(error, KF_ERR_DISABLED, "terminal %s: it is disabled; ask the host's administrator",
                       terminal->name);
    if (!kf_view_equal(kf_rows_blob(rows, 1), KF_VIEW(terminal->fingerprint)))
        return kf_fail(error, KF_ERR_FORBIDDEN,
                       "terminal %s: a newer certificate was made for it; use that one or enrol again",
                       terminal->name);
    *ret_last_contact = kf_rows_integer(rows, 2);
    return kf_rows_status(rows, error);
}

static kf_code note_refusal(kf_host *host, const kf_peer *terminal, const char *address,
                            const kf_error *refusal, kf_error *error)
{
    char actor[KF_PEER_NAME_MAX + 16];
    (void)snprintf(actor, sizeof actor, "terminal:%s", terminal->name);
    const kf_audit_event event = {.actor = actor,
                                  .action = "terminal.refused",
                                  .subject = address,
                                  .outcome = kf_code_name(refusal->code),
                                  .detail = kf_error_text(refusal)};
    return kf_host_audit_alone(host, &event, error);
}

kf_code kf_terminals_admit(kf_host *host, const kf_peer *terminal, const char *address, kf_error *error)
{
    int64_t last_contact = 0;
    kf_error refusal = {KF_OK, ""};
    kf_code code = check_admission(host, terminal, &last_contact, &refusal);
    if (code == KF_ERR_FORBIDDEN || code == KF_ERR_DISABLED)
        KF_TRY(note_refusal(host, terminal, address, &refusal, error));
    if (code != KF_OK) return kf_fail(error, code, "%s", kf_error_text(&refusal));
    const int64_t now = kf_host_now(host);
    if (last_contact != 0 && now >= last_contact && now - last_contact < KF_TERMINAL_CONTACT_STEP_MS)
        return KF_OK;
    return kf_database_execute(
        host->database, "UPDATE terminal SET last_contact_ms = $2, address = $3 WHERE name = $1",
        KF_VALUES(kf_value_text(terminal->name), kf_value_integer(now), kf_value_text(address)), NULL, error);
}

static kf_code set_integer_if_there(json_t *item, const char *member, kf_rows *rows, size_t column)
{
    return kf_rows_is_null(rows, column) ? KF_OK
                                         : kf_json_set_integer(item, member, kf_rows_integer(rows, column));
}

static kf_code append_terminal(json_t *list, kf_rows *rows)
{
    json_t *item = json_object();
    KF_TRY(kf_json_append(list, item));
    KF_TRY(kf_json_set_text(item, "name", kf_rows_text(rows, 0)));
    const char *state = kf_rows_is_null(rows, 2) ? "invited" : "enrolled";
    if (kf_rows_integer(rows, 1) != 1) state = "disabled";
    KF_TRY(kf_json_set_text(item, "state", state));
    if (!kf_rows_is_null(rows, 2)) KF_TRY(kf_json_set_hex(item, "fingerprint", kf_rows_blob(rows, 2)));
    KF_TRY(set_integer_if_there(item, "certificate_expires_ms", rows, 3));
    KF_TRY(set_integer_if_there(item, "code_expires_ms", rows, 4));
    KF_TRY(set_integer_if_there(item, "last_contact_ms", rows, 5));
    if (!kf_rows_is_null(rows, 6)) KF_TRY(kf_json_set_text(item, "address", kf_rows_text(rows, 6)));
    return KF_OK;
}

kf_code kf_terminals_list(kf_host *host, json_t **ret_json, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    json_t *list = json_array();
    if (kf_json_set(json, "terminals", list) != KF_OK) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(host->database,
                             "SELECT name, enabled, fingerprint, certificate_expires_ms, code_expires_ms,"
                             " last_contact_ms, address FROM terminal ORDER BY name",
                             KF_NO_VALUES, &rows, error));
    for (;;) {
        bool more = false;
        KF_TRY(kf_rows_next(rows, &more, error));
        if (!more) break;
        kf_code code = append_terminal(list, rows);
        if (code != KF_OK) return kf_fail_plain(error, code);
    }
    KF_TRY(kf_rows_status(rows, error));
    *ret_json = json;
    json = NULL; /* the caller owns it now */
    return KF_OK;
}
