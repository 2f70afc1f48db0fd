#include "vault/key_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/key_block.h>

#include "wire/json.h"

kf_code kf_key_message_to_json(const kf_key_message *message, json_t **ret_json)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    KF_CLEANUP(kf_free_pointer) char *block = kf_text_of_view(message->block);
    if (json == NULL || block == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_json_set_text(json, "pair", message->pair));
    KF_TRY(kf_json_set_text(json, "category", message->category));
    KF_TRY(kf_json_set_text(json, "purpose", kf_key_purpose_name(message->purpose)));
    KF_TRY(kf_json_set_integer(json, "version", message->version));
    KF_TRY(kf_json_set_integer(json, "revision", (int64_t)message->revision));
    KF_TRY(kf_json_set_integer(json, "after", (int64_t)message->after));
    KF_TRY(kf_json_set_text(json, "block", block));
    *ret_json = json;
    json = NULL;
    return KF_OK;
}

static kf_code read_name(const json_t *json, const char *member, char ret_name[KF_CATEGORY_SIZE],
                         kf_error *error)
{
    const char *text = NULL;
    KF_TRY(kf_json_text(json, member, KF_CATEGORY_SIZE - 1, &text, error));
    if (kf_category_check(text, error) != KF_OK) return kf_error_prefix(error, "%s", member);
    memcpy(ret_name, text, strlen(text) + 1);
    return KF_OK;
}

kf_code kf_key_message_from_json(const json_t *json, kf_key_message *ret_message, kf_error *error)
{
    static const char *const members[] = {"pair",     "category", "purpose", "version",
                                          "revision", "after",    "block",   NULL};
    static const kf_json_range revisions = {0, INT64_MAX};
    kf_key_message message;
    memset(&message, 0, sizeof message);
    const char *purpose = NULL;
    const char *block = NULL;
    int64_t version = 0;
    int64_t revision = 0;
    int64_t after = 0;
    if (!json_is_object(json)) return kf_fail(error, KF_ERR_FIELD, "a key message is an object");
    KF_TRY(kf_json_only(json, members, error));
    KF_TRY(read_name(json, "pair", message.pair, error));
    KF_TRY(read_name(json, "category", message.category, error));
    KF_TRY(kf_json_text(json, "purpose", 16, &purpose, error));
    if (kf_key_purpose_from_name(purpose, &message.purpose) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD, "purpose: there is none called %s", purpose);
    KF_TRY(kf_json_integer(json, "version", (kf_json_range){1, UINT32_MAX}, &version, error));
    KF_TRY(kf_json_integer(json, "revision", revisions, &revision, error));
    KF_TRY(kf_json_integer(json, "after", revisions, &after, error));
    KF_TRY(kf_json_text(json, "block", KF_KEY_BLOCK_TEXT_MAX, &block, error));
    message.version = (uint32_t)version;
    message.revision = (uint64_t)revision;
    message.after = (uint64_t)after;
    message.block = kf_view_of_text(block);
    *ret_message = message;
    return KF_OK;
}

kf_code kf_key_exchange_list(const kf_front *front, kf_key_list *ret_list, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_key_list_request_put(&request);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&request)));
    KF_TRY(kf_front_ask(front, KF_VAULT_KEY_LIST, kf_buffer_view(&request), &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    return kf_fail_plain(error, kf_key_list_take(&cursor, ret_list));
}

static uint64_t revision_over(const kf_key_list *list, const char *pair)
{
    for (size_t i = 0; i < list->peer_count; i++)
        if (strcmp(list->peers[i].name, pair) == 0) return list->peers[i].revision;
    return 0;
}

kf_code kf_key_exchange_state(const kf_front *front, const char *pair, json_t **ret_state, kf_error *error)
{
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {.entries = NULL};
    KF_TRY(kf_key_exchange_list(front, &list, error));
    KF_CLEANUP(kf_json_free) json_t *state = json_object();
    json_t *holds = NULL;
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(state, "revision", (int64_t)revision_over(&list, pair))));
    KF_TRY(kf_fail_plain(error, kf_key_holds_make(&list, &holds)));
    KF_TRY(kf_fail_plain(error, kf_json_set(state, "holds", holds)));
    if (front->count_cards != NULL) KF_TRY(front->count_cards(front->database, holds, error));
    KF_TRY(kf_audit_exchange_show(front, state, error));
    *ret_state = state;
    state = NULL;
    return KF_OK;
}

static kf_code import_message(const kf_front *front, const kf_vault_actor *actor,
                              const kf_key_message *message, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_key_import_request wanted = {*actor, *message};
    kf_key_import_request_put(&request, &wanted);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&request)));
    return kf_front_ask(front, KF_VAULT_KEY_BLOCK_IMPORT, kf_buffer_view(&request), &answer, error);
}

static kf_code record_holds(const kf_front *front, const char *peer, const json_t *json, kf_error *error)
{
    json_t *holds = NULL;
    KF_TRY(kf_json_array_optional(json, "holds", KF_KEY_HOLDS_MAX, &holds, error));
    return holds != NULL ? kf_key_peers_record(front->database, peer, holds, front->clock(), error) : KF_OK;
}

/* A revision whose acknowledgement was lost is sent again: acknowledged again, if it is not newer than what
 * is here. */
static bool is_here_already(const kf_front *front, const kf_key_message *message)
{
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {.entries = NULL};
    if (kf_key_exchange_list(front, &list, NULL) != KF_OK) return false;
    for (size_t i = 0; i < list.count; i++) {
        const kf_key_entry *entry = &list.entries[i];
        if (entry->revision == message->revision && strcmp(entry->origin, message->pair) == 0 &&
            entry->purpose == message->purpose &&
            (entry->version == message->version || entry->purpose == KF_PURPOSE_TRANSPORT) &&
            strcmp(entry->category, message->category) == 0)
            return true;
    }
    return false;
}

static kf_code receive_message(const kf_front *front, const kf_vault_actor *actor, const char *pair,
                               const json_t *json, kf_error *error)
{
    kf_key_message message;
    KF_TRY(kf_key_message_from_json(json, &message, error));
    if (strcmp(message.pair, pair) != 0)
        return kf_fail(error, KF_ERR_FIELD, "pair: it is %s, the message inside says %s", pair, message.pair);
    kf_code code = import_message(front, actor, &message, error);
    return code == KF_ERR_REVISION && is_here_already(front, &message) ? KF_OK : code;
}

kf_code kf_key_exchange_receive(const kf_front *front, const kf_http_request *request,
                                kf_http_response *response, kf_error *error)
{
    static const char *const members[] = {"pair", "message", "holds", "audit", NULL};
    json_t *message = NULL;
    char pair[KF_CATEGORY_SIZE];
    kf_vault_actor actor;
    if (request->json == NULL) return kf_fail(error, KF_ERR_JSON, "a body is needed");
    kf_front_actor(request->caller, NULL, &actor);
    KF_TRY(kf_json_only(request->json, members, error));
    KF_TRY(read_name(request->json, "pair", pair, error));
    KF_TRY(kf_json_object_optional(request->json, "message", &message, error));
    if (message != NULL) KF_TRY(receive_message(front, &actor, pair, message, error));
    KF_TRY(record_holds(front, actor.who, request->json, error));
    KF_TRY(kf_audit_exchange_take(front, actor.who, request->json, NULL, error));
    return kf_key_exchange_state(front, pair, &response->json, error);
}

/* One round of a pull: what it brought, and whether more is to come. */
typedef struct pull_round {
    size_t count;
    bool more;
} pull_round;

static kf_code import_all(const kf_front *front, const kf_vault_actor *actor, const json_t *answer,
                          pull_round *ret_round, kf_error *error)
{
    json_t *messages = NULL;
    int64_t head = 0;
    uint64_t last = 0;
    KF_TRY(kf_json_integer(answer, "head", (kf_json_range){0, INT64_MAX}, &head, error));
    KF_TRY(kf_json_array(answer, "messages", KF_KEY_BLOCK_BATCH_MAX, &messages, error));
    for (size_t i = 0; i < json_array_size(messages); i++) {
        kf_key_message message;
        KF_TRY(kf_key_message_from_json(json_array_get(messages, i), &message, error));
        KF_TRY(import_message(front, actor, &message, error));
        last = message.revision;
        ret_round->count++;
    }
    ret_round->more = ret_round->count > 0 && last < (uint64_t)head;
    return KF_OK;
}

static kf_code pull_once(const kf_front *front, const kf_key_source *source, const kf_vault_actor *actor,
                         pull_round *ret_round, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = NULL;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_key_exchange_state(front, source->pair, &body, error));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "pair", source->pair)));
    kf_http_call call = {.method = "POST", .path = "/v1/key-blocks/missing", .body = body};
    if (kf_http_client_call(source->client, &call, &answer, error) != KF_OK)
        return kf_error_prefix(error, "pulling keys from %s", source->name);
    if (answer == NULL) return kf_fail(error, KF_ERR_PEER, "%s gave an empty answer", source->name);
    KF_TRY(import_all(front, actor, answer, ret_round, error));
    KF_TRY(record_holds(front, source->name, answer, error));
    char unit[KF_AUDIT_UNIT_MAX];
    (void)snprintf(unit, sizeof unit, "bkmu:%s", source->name);
    KF_TRY(kf_audit_exchange_take(front, unit, answer, NULL, error));
    if (source->verdict == NULL) return KF_OK;
    return kf_audit_exchange_hear(front, answer, source->verdict, error);
}

kf_code kf_key_exchange_pull(const kf_front *front, const kf_key_source *source, const kf_vault_actor *actor,
                             size_t *ret_count, kf_error *error)
{
    size_t count = 0;
    pull_round round = {.count = 0, .more = true};
    while (round.more) {
        round = (pull_round){.count = 0, .more = false};
        KF_TRY(pull_once(front, source, actor, &round, error));
        count += round.count;
    }
    *ret_count = count;
    return KF_OK;
}
