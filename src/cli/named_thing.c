#include "cli/named_thing.h"

#include <stdio.h>

#include "wire/http_client.h"
#include "wire/json.h"

#define PATH_SIZE 64

kf_code kf_cli_named_thing_call(const kf_cli *cli, const kf_cli_named_thing *thing, const char *done,
                                kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    kf_buffer_format(&path, "/v1/%s/", thing->kind);
    kf_http_escape(&path, thing->name);
    const char *path_text = kf_buffer_text(&path);
    if (path_text == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    const kf_cli_call call = {.method = thing->method, .path = path_text, .body = thing->body};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_call_unit(cli, &call, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    (void)printf("%s %s\n", thing->name, done);
    const char *digest = kf_cli_text(answer, "digest");
    if (digest[0] != '\0') (void)printf("SHA-256 %s\n", digest);
    return KF_OK;
}

kf_code kf_cli_named_thing_put_text(const kf_cli *cli, const char *kind, const char *name, kf_buffer *text,
                                    kf_error *error)
{
    const char *content = kf_buffer_text(text);
    if (content == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    if (kf_json_set_text(body, "text", content) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "the text of %s is not UTF-8", name);
    return kf_cli_named_thing_call(
        cli, &(kf_cli_named_thing){.method = "PUT", .kind = kind, .name = name, .body = body}, "is put",
        error);
}

kf_code kf_cli_named_thing_list(const kf_cli *cli, const char *kind, json_t **ret_list, kf_error *error)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/v1/%s", kind);
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "GET", .path = path}, &answer, error));
    *ret_list = NULL;
    if (cli->json) return kf_cli_print_json(answer, error);
    json_t *list = json_object_get(answer, kind);
    if (!json_is_array(list)) return kf_fail(error, KF_ERR_PEER, "the unit's answer has no list of %s", kind);
    *ret_list = json_incref(list);
    return KF_OK;
}
