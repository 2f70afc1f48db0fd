#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "bkmu/bkmu.h"
#include "wire/json.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MOST_MS 60000
#define PUSH_BATCH 16 /* messages fetched from the vault at a time */

typedef struct push_link {
    struct push_link *next;
    kf_pusher *pusher;
    char name[KF_CATEGORY_SIZE];
    pthread_t thread;
    uint64_t seen; /* the change that this thread has dealt with */
} push_link;

struct kf_pusher {
    kf_bkmu *bkmu;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t changes;
    bool ending;
    push_link *links;
};

/* One conversation with a key management unit. */
typedef struct push_call {
    const kf_bkmu *bkmu;
    const kf_kmu_row *row;
    kf_http_client *client;
    uint64_t acknowledged;
} push_call;

/* Other pairs' transport keys are no concern of a pair's. */
static bool concerns(const kf_key_entry *entry, const char *pair)
{
    bool transport = entry->purpose == KF_PURPOSE_TRANSPORT && strcmp(entry->category, pair) != 0;
    return entry->policy.exportable && entry->origin[0] == '\0' && !transport;
}

uint64_t kf_bkmu_head(const kf_key_list *list, const char *pair)
{
    uint64_t head = 0;
    for (size_t i = 0; i < list->count; i++) {
        const kf_key_entry *entry = &list->entries[i];
        if (concerns(entry, pair) && entry->revision > head) head = entry->revision;
    }
    return head;
}

kf_code kf_bkmu_export(const kf_bkmu *bkmu, const kf_key_export_request *wanted, kf_vault_answer *answer,
                       kf_key_export_answer *ret_export, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_key_export_request_put(&payload, wanted);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&payload)));
    KF_TRY(kf_front_ask(&bkmu->front, KF_VAULT_KEY_BLOCK_EXPORT, kf_buffer_view(&payload), answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer->payload));
    return kf_fail_plain(error, kf_key_export_answer_take(&cursor, ret_export));
}

/* What was acknowledged, and what the unit holds. */
static kf_code take_answer(push_call *call, const json_t *answer, kf_error *error)
{
    int64_t revision = 0;
    json_t *holds = NULL;
    char peer[KF_ACTOR_SIZE];
    if (answer == NULL) return kf_fail(error, KF_ERR_PEER, "an empty answer");
    KF_TRY(kf_json_integer(answer, "revision", (kf_json_range){0, INT64_MAX}, &revision, error));
    KF_TRY(kf_json_array(answer, "holds", KF_KEY_HOLDS_MAX, &holds, error));
    call->acknowledged = (uint64_t)revision;
    (void)snprintf(peer, sizeof peer, "kmu:%s", call->row->name);
    KF_TRY(kf_key_peers_record(call->bkmu->front.database, peer, holds, call->bkmu->front.clock(), error));
    KF_TRY(kf_audit_exchange_take(&call->bkmu->front, peer, answer, NULL, error));
    return kf_kmus_note(&call->bkmu->front, call->row->name, call->acknowledged, NULL, error);
}

/* Sends one message, or with NULL asks what is there. */
static kf_code send_message(push_call *call, const kf_key_message *message, const json_t *holds,
                            kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "pair", call->row->pair)));
    KF_TRY(kf_fail_plain(error, kf_json_set(body, "holds", json_deep_copy(holds))));
    if (message == NULL) {
        KF_TRY(kf_audit_exchange_show(&call->bkmu->front, body, error));
    } else {
        json_t *json = NULL;
        KF_TRY(kf_fail_plain(error, kf_key_message_to_json(message, &json)));
        KF_TRY(kf_fail_plain(error, kf_json_set(body, "message", json)));
    }
    kf_http_call http = {.method = "POST", .path = "/v1/key-blocks", .body = body};
    KF_TRY(kf_http_client_call(call->client, &http, &answer, error));
    return take_answer(call, answer, error);
}

static kf_code send_batch(push_call *call, const json_t *holds, kf_key_export_answer *batch, kf_error *error)
{
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_key_export_request wanted = {.after = call->acknowledged, .limit = PUSH_BATCH};
    (void)snprintf(wanted.actor.who, sizeof wanted.actor.who, "push:%s", call->row->name);
    memcpy(wanted.pair, call->row->pair, sizeof wanted.pair);
    KF_TRY(kf_bkmu_export(call->bkmu, &wanted, &answer, batch, error));
    if (call->acknowledged > batch->head)
        return kf_fail(error, KF_ERR_REVISION,
                       "it has revision %" PRIu64 ", this unit's newest is %" PRIu64
                       ": this key store is older than what was sent; was an old backup restored?",
                       call->acknowledged, batch->head);
    for (size_t i = 0; i < batch->count; i++) {
        KF_TRY(send_message(call, &batch->messages[i], holds, error));
        kf_log(KF_LOG_INFO, "key management unit %s has revision %" PRIu64, call->row->name,
               call->acknowledged);
    }
    return KF_OK;
}

static kf_code push_everything(push_call *call, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *holds = NULL;
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {.entries = NULL};
    KF_TRY(kf_key_exchange_list(&call->bkmu->front, &list, error));
    KF_TRY(kf_fail_plain(error, kf_key_holds_make(&list, &holds)));
    KF_TRY(send_message(call, NULL, holds, error));
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    if (batch == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    do {
        KF_TRY(send_batch(call, holds, batch, error));
    } while (batch->count > 0 && call->acknowledged < batch->head);
    return KF_OK;
}

static kf_code push_to(const kf_bkmu *bkmu, const char *name, kf_error *error)
{
    kf_kmu_row row;
    KF_TRY(kf_kmus_find(bkmu->front.database, name, &row, error));
    if (!row.enabled) return KF_OK;
    kf_http_client_options options = {.base_url = row.url,
                                      .ca_file = bkmu->identity.ca,
                                      .certificate_file = bkmu->identity.certificate,
                                      .key_file = bkmu->identity.private_key,
                                      .expected_role = KF_PEER_KMU,
                                      .expected_name = row.name};
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = NULL;
    kf_code code = kf_http_client_new(&options, &client, error);
    push_call call = {bkmu, &row, client, row.acknowledged};
    if (code == KF_OK) code = push_everything(&call, error);
    if (code == KF_OK) return KF_OK;
    kf_error note_error = {KF_OK, ""};
    if (kf_kmus_note(&bkmu->front, name, 0, kf_error_text(error), &note_error) != KF_OK)
        kf_log(KF_LOG_ERROR, "key management unit %s: %s", name, kf_error_text(&note_error));
    return code;
}

static void add_milliseconds(struct timespec *time, uint64_t milliseconds)
{
    time->tv_sec += (time_t)(milliseconds / 1000);
    time->tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (time->tv_nsec < 1000000000) return;
    time->tv_sec++;
    time->tv_nsec -= 1000000000;
}

/* Until something changed, or `retry_ms` (0: without end) have passed; false at the end. */
static bool wait_for_change(push_link *link, uint64_t retry_ms)
{
    kf_pusher *pusher = link->pusher;
    struct timespec until;
    if (clock_gettime(CLOCK_MONOTONIC, &until) != 0) retry_ms = 0;
    add_milliseconds(&until, retry_ms);
    pthread_mutex_lock(&pusher->lock);
    int waited = 0;
    while (!pusher->ending && pusher->changes == link->seen && waited != ETIMEDOUT)
        waited = retry_ms != 0 ? pthread_cond_timedwait(&pusher->changed, &pusher->lock, &until)
                               : pthread_cond_wait(&pusher->changed, &pusher->lock);
    link->seen = pusher->changes;
    bool go_on = !pusher->ending;
    pthread_mutex_unlock(&pusher->lock);
    return go_on;
}

static void *run_link(void *context)
{
    push_link *link = context;
    uint64_t retry_ms = 0;
    do {
        kf_error error = {KF_OK, ""};
        kf_code code = push_to(link->pusher->bkmu, link->name, &error);
        if (code == KF_OK) {
            retry_ms = 0;
            continue;
        }
        retry_ms = retry_ms == 0                  ? RETRY_FIRST_MS
                   : retry_ms * 2 < RETRY_MOST_MS ? retry_ms * 2
                                                  : RETRY_MOST_MS;
        kf_log(KF_LOG_WARNING, "key management unit %s, tried again in %" PRIu64 " ms: %s", link->name,
               retry_ms, kf_error_text(&error));
    } while (wait_for_change(link, retry_ms));
    return NULL;
}

static kf_code make_waiting(kf_pusher *pusher)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return KF_ERR_MEMORY;
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&pusher->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!made) return KF_ERR_SYSTEM;
    return pthread_mutex_init(&pusher->lock, NULL) == 0 ? KF_OK : KF_ERR_SYSTEM;
}

kf_code kf_pusher_new(kf_bkmu *bkmu, kf_pusher **ret_pusher, kf_error *error)
{
    kf_pusher *pusher = calloc(1, sizeof *pusher);
    if (pusher == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_code code = make_waiting(pusher);
    if (code != KF_OK) {
        free(pusher);
        return kf_fail_plain(error, code);
    }
    pusher->bkmu = bkmu;
    code = kf_pusher_wake(pusher, error);
    if (code != KF_OK) {
        kf_pusher_free(&pusher);
        return code;
    }
    *ret_pusher = pusher;
    return KF_OK;
}

void kf_pusher_free(kf_pusher **pusher)
{
    kf_pusher *ended = *pusher;
    if (ended == NULL) return;
    pthread_mutex_lock(&ended->lock);
    ended->ending = true;
    pthread_cond_broadcast(&ended->changed);
    pthread_mutex_unlock(&ended->lock);
    while (ended->links != NULL) {
        push_link *link = ended->links;
        pthread_join(link->thread, NULL);
        ended->links = link->next;
        free(link);
    }
    pthread_cond_destroy(&ended->changed);
    pthread_mutex_destroy(&ended->lock);
    free(ended);
    *pusher = NULL;
}

static bool has_link(const kf_pusher *pusher, const char *name)
{
    for (const push_link *link = pusher->links; link != NULL; link = link->next)
        if (strcmp(link->name, name) == 0) return true;
    return false;
}

static kf_code add_link(kf_pusher *pusher, const char *name, kf_error *error)
{
    push_link *link = calloc(1, sizeof *link);
    if (link == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    link->pusher = pusher;
    link->seen = pusher->changes;
    (void)snprintf(link->name, sizeof link->name, "%s", name);
    if (pthread_create(&link->thread, NULL, run_link, link) != 0) {
        free(link);
        return kf_fail(error, KF_ERR_SYSTEM, "a thread cannot be started");
    }
    link->next = pusher->links;
    pusher->links = link;
    return KF_OK;
}

kf_code kf_pusher_wake(kf_pusher *pusher, kf_error *error)
{
    KF_CLEANUP(kf_free_pointer) kf_kmu_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_kmus_list(pusher->bkmu->front.database, rows, error));
    kf_code code = KF_OK;
    pthread_mutex_lock(&pusher->lock);
    pusher->changes++;
    for (size_t i = 0; code == KF_OK && i < rows->count; i++)
        if (!has_link(pusher, rows->items[i].name)) code = add_link(pusher, rows->items[i].name, error);
    pthread_cond_broadcast(&pusher->changed);
    pthread_mutex_unlock(&pusher->lock);
    return code;
}
