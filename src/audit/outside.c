#include "audit/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "audit/heads.h"
#include "audit/row_json.h"
#include "audit/verifier.h"
#include "base/file.h"
#include "wire/json.h"

#define HEADS_AT_ONCE 64
#define PLACE_SIZE 300     /* bytes of "https:URL" */
#define SYSLOG_PRIORITY 85 /* RFC 5424, 6.2.1: facility 10 (security), severity 5 (notice) */

struct kf_outside {
    kf_outside_options options;
    int file;
    kf_http_client *client;
    const char *path; /* of the HTTPS address; points into its text */
};

static kf_code open_https(kf_outside *outside, kf_error *error)
{
    const char *url = outside->options.https;
    static const char scheme[] = "https://";
    KF_CLEANUP(kf_free_pointer) char *base = NULL;
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return kf_fail(error, KF_ERR_CONFIGURATION, "audit: https: %s does not begin with https://", url);
    const char *slash = strchr(url + sizeof scheme - 1, '/');
    base = slash != NULL ? strndup(url, (size_t)(slash - url)) : strdup(url);
    if (base == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    outside->path = slash != NULL ? slash : "/";
    kf_http_client_options options = outside->options.https_unit;
    options.base_url = base;
    return kf_http_client_new(&options, &outside->client, error);
}

static kf_code open_places(kf_outside *outside, kf_error *error)
{
    const char *file = outside->options.file;
    outside->file = -1;
    if (file != NULL) {
        outside->file = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (outside->file < 0)
            return kf_fail(error, KF_ERR_FILE, "audit: file: %s: %s", file, strerror(errno));
    }
    return outside->options.https != NULL ? open_https(outside, error) : KF_OK;
}

kf_code kf_outside_new(const kf_outside_options *options, kf_outside **ret_outside, kf_error *error)
{
    kf_outside *outside = calloc(1, sizeof *outside);
    if (outside == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    outside->options = *options;
    kf_code code = open_places(outside, error);
    if (code != KF_OK) {
        kf_outside_free(&outside);
        return code;
    }
    *ret_outside = outside;
    return KF_OK;
}

void kf_outside_free(kf_outside **outside)
{
    if (outside == NULL || *outside == NULL) return;
    kf_descriptor_close(&(*outside)->file);
    kf_http_client_free(&(*outside)->client);
    free(*outside);
    *outside = NULL;
}

static kf_code send_to_file(kf_outside *outside, const json_t *json, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer line = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_json_write(json, &line)));
    kf_buffer_append_u8(&line, '\n');
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&line)));
    if (kf_descriptor_write(outside->file, kf_buffer_view(&line)) == KF_OK && fdatasync(outside->file) == 0)
        return KF_OK;
    return kf_fail(error, KF_ERR_FILE, "audit: file: %s: %s", outside->options.file, strerror(errno));
}

/* As local programs write to a syslog daemon: RFC 3164, 4.1, without the host. */
static kf_code send_to_syslog(kf_outside *outside, const json_t *json, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer line = KF_BUFFER_INIT;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char when[32];
    struct tm parts;
    time_t now = time(NULL);
    if (localtime_r(&now, &parts) == NULL || strftime(when, sizeof when, "%b %e %H:%M:%S", &parts) == 0)
        when[0] = '\0';
    kf_buffer_format(&line, "<%d>%s %s: ", SYSLOG_PRIORITY, when, outside->options.program);
    KF_TRY(kf_fail_plain(error, kf_json_write(json, &line)));
    if (strlen(outside->options.syslog) >= sizeof address.sun_path)
        return kf_fail(error, KF_ERR_CONFIGURATION, "audit: syslog: %s is too long", outside->options.syslog);
    memcpy(address.sun_path, outside->options.syslog, strlen(outside->options.syslog) + 1);
    KF_CLEANUP(kf_descriptor_close) int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (const struct sockaddr *)&address, sizeof address) != 0 ||
        send(descriptor, line.data, line.size, MSG_NOSIGNAL) != (ssize_t)line.size)
        return kf_fail(error, KF_ERR_UNREACHABLE, "audit: syslog: %s: %s", outside->options.syslog,
                       strerror(errno));
    return KF_OK;
}

static kf_code send_to_https(kf_outside *outside, const json_t *json, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    kf_http_call call = {.method = "POST", .path = outside->path, .body = json};
    if (kf_http_client_call(outside->client, &call, &answer, error) != KF_OK)
        return kf_error_prefix(error, "audit: https: %s", outside->options.https);
    return KF_OK;
}

typedef struct place {
    const char *kind;
    const char *name;
    kf_code (*send)(kf_outside *outside, const json_t *json, kf_error *error);
} place;

static kf_code read_progress(kf_database *database, const char *name, int64_t *ret_number, bool *ret_found,
                             kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT number FROM audit_copies WHERE place = $1",
                             KF_VALUES(kf_value_text(name)), &rows, error));
    KF_TRY(kf_rows_next(rows, ret_found, error));
    *ret_number = *ret_found ? kf_rows_integer(rows, 0) : 0;
    return kf_rows_status(rows, error);
}

typedef struct progress {
    const char *name;
    int64_t number;
} progress;

static kf_code write_progress(kf_database *database, void *context, kf_error *error)
{
    const progress *made = context;
    uint64_t changed = 0;
    const kf_value values[] = {kf_value_text(made->name), kf_value_integer(made->number)};
    KF_TRY(kf_database_execute(database, "UPDATE audit_copies SET number = $2 WHERE place = $1",
                               (kf_values){values, 2}, &changed, error));
    if (changed > 0) return KF_OK;
    return kf_database_execute(database, "INSERT INTO audit_copies (place, number) VALUES ($1, $2)",
                               (kf_values){values, 2}, NULL, error);
}

static kf_code send_one(kf_outside *outside, const place *to, const kf_signed_head *head, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_TRY(kf_fail_plain(error, kf_export_head_to_json(head, &json)));
    return to->send(outside, json, error);
}

static kf_code send_all(kf_outside *outside, kf_database *database, const place *to, kf_error *error)
{
    char name[PLACE_SIZE];
    bool found = false;
    size_t count;
    (void)snprintf(name, sizeof name, "%s:%s", to->kind, to->name);
    progress made = {name, 0};
    KF_TRY(read_progress(database, name, &made.number, &found, error));
    do {
        kf_kept_head heads[HEADS_AT_ONCE];
        const kf_heads_range range = {KF_AUDIT_OWN, made.number, HEADS_AT_ONCE};
        KF_TRY(kf_audit_heads_list(database, &range, heads, &count, error));
        kf_code code = KF_OK;
        size_t sent = 0;
        while (sent < count && (code = send_one(outside, to, &heads[sent].head, error)) == KF_OK)
            sent++;
        if (sent > 0) {
            made.number = heads[sent - 1].number;
            KF_TRY(kf_database_write(database, write_progress, &made, code == KF_OK ? error : NULL));
        }
        KF_TRY(code);
    } while (count == HEADS_AT_ONCE);
    return KF_OK;
}

kf_code kf_outside_send(kf_outside *outside, kf_database *database, kf_error *error)
{
    const place places[] = {{"file", outside->options.file, send_to_file},
                            {"syslog", outside->options.syslog, send_to_syslog},
                            {"https", outside->options.https, send_to_https}};
    kf_code first = KF_OK;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (places[i].name == NULL) continue;
        kf_error failure = {KF_OK, ""};
        kf_code code = send_all(outside, database, &places[i], &failure);
        if (code != KF_OK && first == KF_OK) first = kf_fail(error, code, "%s", kf_error_text(&failure));
    }
    return first;
}
