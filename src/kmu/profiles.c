#include "kmu/profiles.h"

#include <stdio.h>
#include <string.h>

#include <keyfill/cap_file.h>
#include <keyfill/hex.h>

#include "kmu/listing.h"
#include "vault/key_entry.h"
#include "vault/profile.h"
#include "wire/json.h"

static kf_code audit_of(kf_kmu *kmu, kf_database *database, const char *caller, const char *action,
                        const char *subject, kf_error *error)
{
    const kf_audit_event event = {.actor = caller, .action = action, .subject = subject, .outcome = "ok"};
    return kf_kmu_append_audit(kmu, database, &event, error);
}

kf_code kf_profile_text(kf_database *database, const char *name, kf_buffer *text, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT text FROM profiles WHERE name = $1",
                             KF_VALUES(kf_value_text(name)), &rows, error));
    bool row;
    KF_TRY(kf_rows_next(rows, &row, error));
    if (!row)
        return kf_fail(error, KF_ERR_PROFILE,
                       "there is no profile \"%s\"; register it with keyfill profile put", name);
    kf_buffer_append_text(text, kf_rows_text(rows, 0));
    return kf_fail_plain(error, kf_buffer_status(text));
}

kf_code kf_module_content(kf_database *database, const char *name, kf_buffer *content,
                          uint8_t ret_digest[KF_DIGEST_SIZE], kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT content, digest FROM modules WHERE name = $1",
                             KF_VALUES(kf_value_text(name)), &rows, error));
    bool row;
    KF_TRY(kf_rows_next(rows, &row, error));
    if (!row)
        return kf_fail(error, KF_ERR_MODULE,
                       "there is no module \"%s\"; an administrator registers it with keyfill module put",
                       name);
    kf_buffer_append(content, kf_rows_blob(rows, 0));
    kf_view digest = kf_rows_blob(rows, 1);
    if (digest.size != KF_DIGEST_SIZE)
        return kf_fail(error, KF_ERR_STORE, "module %s has no hash on record", name);
    memcpy(ret_digest, digest.data, KF_DIGEST_SIZE);
    return kf_fail_plain(error, kf_buffer_status(content));
}

kf_code kf_handle_profile_list(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    (void)request;
    static const kf_listed_column columns[] = {
        {"name", false}, {"digest", true}, {"text", false}, {NULL, false}};
    return kf_listing_answer(context, "profiles", "SELECT name, digest, text FROM profiles ORDER BY name",
                             columns, &response->json, error);
}

typedef struct profile_row {
    kf_kmu *kmu;
    const char *caller;
    const kf_profile *profile;
    const char *text;
} profile_row;

static kf_code write_profile(kf_database *database, void *context, kf_error *error)
{
    const profile_row *row = context;
    const char *name = row->profile->name;
    KF_TRY(kf_database_execute(database, "DELETE FROM profiles WHERE name = $1",
                               KF_VALUES(kf_value_text(name)), NULL, error));
    KF_TRY(kf_database_execute(
        database, "INSERT INTO profiles (name, text, digest, updated) VALUES ($1, $2, $3, $4)",
        KF_VALUES(kf_value_text(name), kf_value_text(row->text), kf_value_blob(KF_VIEW(row->profile->digest)),
                  kf_value_integer(kf_kmu_now(row->kmu))),
        NULL, error));
    return audit_of(row->kmu, database, row->caller, "profile.put", name, error);
}

kf_code kf_handle_profile_put(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    static const char *const members[] = {"text", NULL};
    KF_TRY(kf_json_only(request->json, members, error));
    json_t *member = json_object_get(request->json, "text");
    if (!json_is_string(member))
        return kf_fail(error, KF_ERR_FIELD, "text: the profile's YAML text is needed");
    kf_profile profile;
    const char *text = json_string_value(member);
    KF_TRY(kf_profile_parse(kf_view_of_text(text), &profile, error));
    const char *name = kf_http_path_parameter(request, "name");
    if (strcmp(profile.name, name) != 0)
        return kf_fail(error, KF_ERR_FIELD, "profile: the text names \"%s\", the request \"%s\"",
                       profile.name, name);
    kf_caller_text caller = kf_caller_show(request->caller);
    kf_kmu *kmu = context;
    profile_row row = {kmu, caller.text, &profile, text};
    KF_TRY(kf_database_write(kmu->front.database, write_profile, &row, error));
    response->json = json_object();
    KF_TRY(kf_json_set_text(response->json, "name", profile.name));
    return kf_json_set_hex(response->json, "digest", KF_VIEW(profile.digest));
}

kf_code kf_handle_module_list(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    (void)request;
    static const kf_listed_column columns[] = {
        {"name", false}, {"digest", true}, {"package", false}, {"version", false}, {NULL, false}};
    return kf_listing_answer(context, "modules",
                             "SELECT name, digest, package, version FROM modules ORDER BY name", columns,
                             &response->json, error);
}

typedef struct module_row {
    kf_kmu *kmu;
    const char *caller;
    const char *name;
    const char *package;
    char version[16];
    kf_view content;
    uint8_t digest[KF_DIGEST_SIZE];
} module_row;

static kf_code write_module(kf_database *database, void *context, kf_error *error)
{
    const module_row *row = context;
    KF_TRY(kf_database_execute(database, "DELETE FROM modules WHERE name = $1",
                               KF_VALUES(kf_value_text(row->name)), NULL, error));
    KF_TRY(kf_database_execute(database,
                               "INSERT INTO modules (name, digest, package, version, content, updated) "
                               "VALUES ($1, $2, $3, $4, $5, $6)",
                               KF_VALUES(kf_value_text(row->name), kf_value_blob(KF_VIEW(row->digest)),
                                         kf_value_text(row->package), kf_value_text(row->version),
                                         kf_value_blob(row->content), kf_value_integer(kf_kmu_now(row->kmu))),
                               NULL, error));
    return audit_of(row->kmu, database, row->caller, "module.put", row->name, error);
}

kf_code kf_handle_module_put(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error)
{
    static const char *const members[] = {"content", NULL};
    kf_kmu *kmu = context;
    kf_caller_text caller = kf_caller_show(request->caller);
    module_row row = {.kmu = kmu, .caller = caller.text, .name = kf_http_path_parameter(request, "name")};
    KF_TRY(kf_category_check(row.name, error));
    KF_TRY(kf_json_only(request->json, members, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    KF_TRY(kf_json_base64url(request->json, "content", KF_CAP_FILE_MAX, &content, error));
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap = NULL;
    KF_TRY(kf_cap_file_parse(kf_buffer_view(&content), &cap, error));
    row.content = kf_buffer_view(&content);
    KF_TRY(kf_sha256(row.content, row.digest));
    kf_hex_text package = kf_hex_show(kf_cap_file_package_aid(cap));
    row.package = package.text;
    (void)snprintf(row.version, sizeof row.version, "%u.%u", kf_cap_file_package_major(cap),
                   kf_cap_file_package_minor(cap));
    KF_TRY(kf_database_write(kmu->front.database, write_module, &row, error));
    response->json = json_object();
    KF_TRY(kf_json_set_text(response->json, "name", row.name));
    KF_TRY(kf_json_set_text(response->json, "package", row.package));
    return kf_json_set_hex(response->json, "digest", KF_VIEW(row.digest));
}

typedef struct module_name {
    kf_kmu *kmu;
    const char *caller;
    const char *name;
} module_name;

static kf_code remove_module(kf_database *database, void *context, kf_error *error)
{
    const module_name *row = context;
    uint64_t changed = 0;
    KF_TRY(kf_database_execute(database, "DELETE FROM modules WHERE name = $1",
                               KF_VALUES(kf_value_text(row->name)), &changed, error));
    if (changed == 0) return kf_fail(error, KF_ERR_NOT_FOUND, "there is no module \"%s\"", row->name);
    return audit_of(row->kmu, database, row->caller, "module.delete", row->name, error);
}

kf_code kf_handle_module_delete(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error)
{
    kf_kmu *kmu = context;
    kf_caller_text caller = kf_caller_show(request->caller);
    module_name row = {kmu, caller.text, kf_http_path_parameter(request, "name")};
    KF_TRY(kf_database_write(kmu->front.database, remove_module, &row, error));
    response->json = json_object();
    return kf_json_set_text(response->json, "name", row.name);
}
