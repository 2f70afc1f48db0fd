#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "kmu/requests.h"
#include "wire/script_json.h"

static kf_code set_continue(const kf_procedure_message *message, json_t *answer)
{
    KF_TRY(kf_json_set_text(answer, "state", "continue"));
    KF_TRY(kf_json_set_integer(answer, "step", message->step));
    KF_TRY(kf_json_set_integer(answer, "attempt", message->attempt));
    KF_TRY(kf_json_set_base64url(answer, "token", message->token));
    return kf_script_to_json(&message->script, answer);
}

/* "a,b" as an array. */
static kf_code set_names(json_t *object, const char *member, const char *names)
{
    json_t *array = json_array();
    KF_TRY(kf_json_set(object, member, array));
    for (const char *at = names; *at != '\0';) {
        size_t size = strcspn(at, ",");
        KF_TRY(kf_json_append(array, json_stringn(at, size)));
        at += size;
        if (*at == ',') at++;
    }
    return KF_OK;
}

static const char *kind_of(uint8_t scope)
{
    if (scope == KF_GP_ISSUER_SECURITY_DOMAIN) return "issuer-security-domain";
    return scope == KF_GP_APPLICATIONS ? "application" : "load-file";
}

static kf_code append_entry(const kf_gp_status_entry *entry, uint8_t scope, json_t *array)
{
    json_t *item = json_object();
    KF_TRY(kf_json_append(array, item));
    KF_TRY(kf_json_set_hex(item, "aid", entry->aid));
    KF_TRY(kf_json_set_text(item, "kind", kind_of(scope)));
    if (entry->state.size > 0)
        KF_TRY(kf_json_set_text(item, "state", kf_gp_state_text((kf_gp_scope)scope, entry->state.data[0])));
    if (entry->privileges.size > 0) KF_TRY(kf_json_set_hex(item, "privileges", entry->privileges));
    if (entry->module_count == 0) return KF_OK;
    json_t *modules = json_array();
    KF_TRY(kf_json_set(item, "modules", modules));
    for (size_t i = 0; i < entry->module_count; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer hex = KF_BUFFER_INIT;
        kf_buffer_append_hex(&hex, entry->modules[i]);
        KF_TRY(kf_buffer_status(&hex));
        KF_TRY(kf_json_append(modules, json_stringn((const char *)hex.data, hex.size)));
    }
    return KF_OK;
}

/* The card's answers of one scope belong together: they may split an entry. */
static kf_code append_scope(kf_view collected, uint8_t scope, json_t *array)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer joined = kf_buffer_with_limit(KF_APPLICATION_LIST_MAX);
    kf_cursor parts = kf_cursor_of(collected);
    while (!kf_cursor_at_end(&parts)) {
        uint8_t part_scope;
        uint16_t size;
        kf_view part;
        KF_TRY(kf_cursor_u8(&parts, &part_scope));
        KF_TRY(kf_cursor_u16(&parts, &size));
        KF_TRY(kf_cursor_take(&parts, size, &part));
        if (part_scope == scope) kf_buffer_append(&joined, part);
    }
    KF_TRY(kf_buffer_status(&joined));
    kf_cursor entries = kf_cursor_of(kf_buffer_view(&joined));
    while (!kf_cursor_at_end(&entries)) {
        kf_gp_status_entry entry;
        KF_TRY(kf_gp_status_next(&entries, &entry));
        KF_TRY(append_entry(&entry, scope, array));
    }
    return KF_OK;
}

static kf_code set_applications(const kf_procedure_message *message, json_t *result)
{
    static const uint8_t scopes[] = {KF_GP_ISSUER_SECURITY_DOMAIN, KF_GP_LOAD_FILES_AND_MODULES,
                                     KF_GP_APPLICATIONS};
    json_t *array = json_array();
    KF_TRY(kf_json_set(result, "applications", array));
    for (size_t i = 0; i < sizeof scopes; i++)
        KF_TRY(append_scope(message->applications, scopes[i], array));
    return KF_OK;
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static kf_code set_result(const kf_request_row *row, const kf_procedure_message *message, json_t *answer)
{
    KF_TRY(kf_json_set_text(answer, "state", "done"));
    json_t *result = json_object();
    KF_TRY(kf_json_set(answer, "result", result));
    KF_TRY(kf_json_set_text(result, "operation", row->operation));
    KF_TRY(kf_json_set_text(result, "card", or_null(message->identity)));
    KF_TRY(kf_json_set_text(result, "iccid", or_null(row->iccid)));
    KF_TRY(kf_json_set_text(result, "number", or_null(message->number)));
    KF_TRY(kf_json_set_text(result, "category", message->category));
    if (message->generation != 0) {
        KF_TRY(kf_json_set_integer(result, "generation", message->generation));
        KF_TRY(kf_json_set_integer(result, "base_key_version", message->base_key_version));
    }
    KF_TRY(kf_json_set_text(result, "kcv", or_null(message->kcv)));
    KF_TRY(set_names(result, "personalised", message->personalised));
    KF_TRY(set_names(result, "kept", message->kept));
    KF_TRY(kf_json_set_integer(result, "round_trips", message->round_trips));
    KF_TRY(kf_json_set_integer(result, "apdus", message->apdus));
    if (strcmp(row->operation, "app-list") == 0) KF_TRY(set_applications(message, result));
    return kf_json_set_text(result, "text", message->text);
}

kf_code kf_request_answer_write(const kf_request_row *row, const kf_procedure_message *message,
                                kf_buffer *text, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = json_object();
    kf_code code = kf_json_set_text(answer, "id", row->id);
    if (code == KF_OK)
        code = message->outcome == KF_PROCEDURE_DONE ? set_result(row, message, answer)
                                                     : set_continue(message, answer);
    if (code == KF_OK) code = kf_json_write(answer, text);
    return kf_fail_plain(error, code);
}

kf_code kf_request_answer_send(const kf_buffer *text, kf_http_response *response, kf_error *error)
{
    kf_buffer_append(&response->body, kf_buffer_view(text));
    response->content_type = "application/json";
    return kf_fail_plain(error, kf_buffer_status(&response->body));
}
