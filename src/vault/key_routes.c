#include "vault/key_routes.h"

#include <string.h>

#include "vault/audit_head_front.h"
#include "vault/key_act_form.h"
#include "wire/json.h"

static kf_code set_status(const kf_vault_status *status, json_t *json)
{
    KF_TRY(kf_json_set_text(json, "unit", status->unit == KF_VAULT_KMU ? "kmu" : "bkmu"));
    KF_TRY(kf_json_set_hex(json, "public_key", kf_view_of(status->box_public, sizeof status->box_public)));
    KF_TRY(kf_json_set_integer(json, "revision", (int64_t)status->revision));
    KF_TRY(kf_json_set_integer(json, "keys", status->key_count));
    KF_TRY(kf_json_set_boolean(json, "development", status->development));
    return kf_json_set_integer(json, "last_receipt", (int64_t)status->last_receipt);
}

static kf_code answer_status(const kf_vault_answer *answer, kf_http_response *response, kf_error *error)
{
    kf_vault_status status;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer->payload));
    KF_TRY(kf_fail_plain(error, kf_vault_status_take(&cursor, &status)));
    response->json = json_object();
    return kf_fail_plain(error, set_status(&status, response->json));
}

kf_code kf_key_route_vault(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                           kf_error *error)
{
    (void)request;
    static const uint8_t version = KF_MESSAGE_VERSION;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_TRY(kf_front_ask(front, KF_VAULT_STATUS, kf_view_of(&version, 1), &answer, error));
    KF_TRY(answer_status(&answer, response, error));
    kf_audit_state state;
    KF_TRY(kf_front_audit_state(front, &state, error));
    return kf_fail_plain(error,
                         kf_json_set_hex(response->json, "audit_public_key", KF_VIEW(state.public_key)));
}

static kf_code append_pairs(const kf_key_list *list, json_t *json)
{
    json_t *pairs = json_array();
    KF_TRY(kf_json_set(json, "pairs", pairs));
    for (size_t i = 0; i < list->peer_count; i++) {
        json_t *pair = json_object();
        KF_TRY(kf_json_append(pairs, pair));
        KF_TRY(kf_json_set_text(pair, "pair", list->peers[i].name));
        KF_TRY(kf_json_set_integer(pair, "revision", (int64_t)list->peers[i].revision));
    }
    return KF_OK;
}

static kf_code list_to_json(const kf_key_list *list, json_t *json)
{
    json_t *keys = json_array();
    KF_TRY(kf_json_set_integer(json, "revision", (int64_t)list->revision));
    KF_TRY(kf_json_set(json, "keys", keys));
    for (size_t i = 0; i < list->count; i++) {
        json_t *key = NULL;
        KF_TRY(kf_key_entry_to_json(&list->entries[i], &key));
        KF_TRY(kf_json_append(keys, key));
    }
    return append_pairs(list, json);
}

kf_code kf_key_route_list(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                          kf_error *error)
{
    (void)request;
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {.entries = NULL};
    KF_TRY(kf_key_exchange_list(front, &list, error));
    response->json = json_object();
    KF_TRY(kf_fail_plain(error, list_to_json(&list, response->json)));
    return kf_key_peers_annotate(front->database, json_object_get(response->json, "keys"), error);
}

static kf_code back_up_or_restore(const kf_front *front, const kf_http_request *request, kf_vault_kind kind,
                                  kf_vault_answer *answer, kf_error *error)
{
    static const char *const backup_members[] = {"act", "passphrase", NULL};
    static const char *const restore_members[] = {"act", "passphrase", "backup", NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer passphrase = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer backup = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_key_backup_request wanted;
    kf_front_actor(request->caller, NULL, &wanted.actor);
    KF_TRY(kf_json_only(request->json, kind == KF_VAULT_RESTORE ? restore_members : backup_members, error));
    KF_TRY(kf_json_hex(request->json, "passphrase", KF_SEALED_PASSPHRASE_MAX, &passphrase, error));
    if (kind == KF_VAULT_RESTORE)
        KF_TRY(kf_json_base64url(request->json, "backup", KF_VAULT_PAYLOAD_MAX - 4096, &backup, error));
    wanted.sealed_passphrase = kf_buffer_view(&passphrase);
    wanted.backup = kf_buffer_view(&backup);
    kf_key_backup_request_put(&payload, &wanted);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&payload)));
    return kf_front_ask(front, kind, kf_buffer_view(&payload), answer, error);
}

static kf_code route_backup(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                            kf_error *error)
{
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_TRY(back_up_or_restore(front, request, KF_VAULT_BACKUP, &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    kf_view backup;
    KF_TRY(kf_fail_plain(error, kf_message_take_version(&cursor)));
    KF_TRY(kf_fail_plain(error, kf_message_take_blob(&cursor, KF_VAULT_PAYLOAD_MAX, &backup)));
    response->json = json_object();
    return kf_fail_plain(error, kf_json_set_base64url(response->json, "backup", backup));
}

static kf_code route_restore(const kf_front *front, const kf_http_request *request,
                             kf_http_response *response, kf_error *error)
{
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_TRY(back_up_or_restore(front, request, KF_VAULT_RESTORE, &answer, error));
    return answer_status(&answer, response, error);
}

static kf_code route_change(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                            bool *ret_changed, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_key_act_request wanted;
    KF_TRY(kf_key_act_form_read(request->json, &sealed, &wanted, error));
    kf_front_actor(request->caller, NULL, &wanted.actor);
    kf_key_act_request_put(&payload, &wanted);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&payload)));
    KF_TRY(kf_front_ask(front, KF_VAULT_KEY_ACT, kf_buffer_view(&payload), &answer, error));
    kf_key_act_answer done;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    KF_TRY(kf_fail_plain(error, kf_key_act_answer_take(&cursor, &done)));
    *ret_changed = done.complete;
    response->json = json_object();
    return kf_fail_plain(error, kf_key_act_answer_to_json(&wanted, &done, response->json));
}

kf_code kf_key_route_act(const kf_front *front, const kf_http_request *request, kf_http_response *response,
                         bool *ret_changed, kf_error *error)
{
    const char *act = NULL;
    *ret_changed = false;
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    KF_TRY(kf_json_text(request->json, "act", 16, &act, error));
    if (strcmp(act, "backup") == 0) return route_backup(front, request, response, error);
    if (strcmp(act, "restore") == 0) {
        KF_TRY(route_restore(front, request, response, error));
        *ret_changed = true;
        return KF_OK;
    }
    return route_change(front, request, response, ret_changed, error);
}
