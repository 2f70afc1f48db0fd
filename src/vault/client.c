#include "vault/client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

#define READ_PART ((size_t)64 * 1024)

/* One request in flight, on the stack of the thread that waits for it. */
typedef struct pending_call {
    struct pending_call *next;
    uint64_t id;
    uint16_t kind;
    kf_vault_answer *answer;
    kf_error *error;
    kf_code code;
    bool done;
    pthread_cond_t woken; /* the answer is there, or it is this thread's turn to read */
} pending_call;

struct kf_vault_client {
    int descriptor;
    pthread_mutex_t lock;
    uint64_t last_id;
    bool dead;
    bool writing;       /* some thread writes, and takes along what is queued meanwhile */
    bool reading;       /* some thread reads, for all */
    kf_buffer queued;   /* frames to be written */
    kf_buffer received; /* the reader's alone */
    pending_call *calls;
};

void kf_vault_answer_clear(kf_vault_answer *answer)
{
    kf_buffer_clear(&answer->payload);
    kf_buffer_clear(&answer->receipts);
}

kf_code kf_vault_client_new(int descriptor, kf_vault_client **ret_client, kf_error *error)
{
    kf_vault_client *client = calloc(1, sizeof *client);
    if (client == NULL || pthread_mutex_init(&client->lock, NULL) != 0) {
        free(client);
        kf_descriptor_close(&descriptor);
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    client->descriptor = descriptor;
    *ret_client = client;
    return KF_OK;
}

void kf_vault_client_free(kf_vault_client **client)
{
    if (*client == NULL) return;
    kf_descriptor_close(&(*client)->descriptor);
    kf_buffer_clear(&(*client)->queued);
    kf_buffer_clear(&(*client)->received);
    pthread_mutex_destroy(&(*client)->lock);
    free(*client);
    *client = NULL;
}

static void finish(pending_call *call, kf_code code)
{
    call->code = code;
    call->done = true;
    pthread_cond_signal(&call->woken);
}

/* With the lock held: nobody gets an answer any more. */
static void give_up(kf_vault_client *client, const char *why)
{
    client->dead = true;
    for (pending_call *call = client->calls; call != NULL; call = call->next) {
        if (call->done) continue;
        finish(call, kf_fail(call->error, KF_ERR_VAULT, "the vault does not answer: %s", why));
    }
}

/* Without a signal where the vault has ended. */
static kf_code send_all(int descriptor, kf_view content)
{
    size_t sent = 0;
    while (sent < content.size) {
        ssize_t put = send(descriptor, content.data + sent, content.size - sent, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return KF_ERR_SYSTEM;
        sent += (size_t)put;
    }
    return KF_OK;
}

/* Writes what is queued until nothing is, unless another thread does so already. Lock held on entry and exit.
 */
static void write_queued(kf_vault_client *client)
{
    if (client->writing) return;
    client->writing = true;
    while (client->queued.size > 0 && !client->dead) {
        kf_buffer batch = client->queued;
        client->queued = (kf_buffer)KF_BUFFER_INIT;
        pthread_mutex_unlock(&client->lock);
        kf_code code = send_all(client->descriptor, kf_buffer_view(&batch));
        int reason = errno;
        kf_buffer_clear(&batch);
        pthread_mutex_lock(&client->lock);
        if (code != KF_OK) give_up(client, strerror(reason));
    }
    client->writing = false;
}

static void deliver(kf_vault_client *client, const kf_vault_frame *frame)
{
    pending_call *call = client->calls;
    while (call != NULL && (call->id != frame->id || call->done))
        call = call->next;
    kf_vault_answer_parts parts;
    if (call == NULL || call->kind != frame->kind || kf_vault_answer_take(frame->payload, &parts) != KF_OK) {
        give_up(client, "it sent an answer that fits no request");
        return;
    }
    kf_buffer_append(&call->answer->receipts, parts.receipts);
    kf_buffer_append(&call->answer->payload, parts.payload);
    kf_code code = parts.code;
    if (code != KF_OK)
        (void)kf_fail(call->error, code, "%.*s", (int)parts.message.size, (const char *)parts.message.data);
    if (code == KF_OK) code = kf_buffer_status(&call->answer->receipts);
    if (code == KF_OK) code = kf_buffer_status(&call->answer->payload);
    finish(call, code);
}

static void deliver_received(kf_vault_client *client)
{
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&client->received));
    kf_vault_frame frame;
    kf_code code = KF_OK;
    while (!client->dead && (code = kf_vault_frame_take(&cursor, &frame)) == KF_OK)
        deliver(client, &frame);
    if (!client->dead && code != KF_ERR_TRUNCATED) give_up(client, "it sent a malformed frame");
    size_t rest = cursor.rest.size;
    if (rest > 0) memmove(client->received.data, cursor.rest.data, rest);
    kf_buffer_truncate(&client->received, rest);
}

/* Waits for bytes; without the lock. How many, 0 at the end, -1 with errno. */
static ssize_t read_some(kf_vault_client *client, uint8_t *place)
{
    struct pollfd wait = {.fd = client->descriptor, .events = POLLIN};
    int ready;
    do {
        ready = poll(&wait, 1, KF_VAULT_PATIENCE_SECONDS * 1000);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) errno = ETIMEDOUT;
    if (ready <= 0) return -1;
    ssize_t got;
    do {
        got = read(client->descriptor, place, READ_PART);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Reads for all until this thread's own answer is there; then another waiting thread takes over. */
static void read_for_all(kf_vault_client *client, pending_call *own)
{
    client->reading = true;
    while (!own->done && !client->dead) {
        size_t before = client->received.size;
        uint8_t *place = kf_buffer_extend(&client->received, READ_PART);
        if (place == NULL) {
            give_up(client, "out of memory");
            break;
        }
        pthread_mutex_unlock(&client->lock);
        ssize_t got = read_some(client, place);
        int reason = errno;
        pthread_mutex_lock(&client->lock);
        kf_buffer_truncate(&client->received, before + (got > 0 ? (size_t)got : 0));
        if (got > 0)
            deliver_received(client);
        else
            give_up(client, got == 0 ? "it has ended" : strerror(reason));
    }
    client->reading = false;
    for (pending_call *call = client->calls; call != NULL; call = call->next) {
        if (call == own || call->done) continue;
        pthread_cond_signal(&call->woken);
        break;
    }
}

static void forget(kf_vault_client *client, const pending_call *own)
{
    pending_call **place = &client->calls;
    while (*place != own)
        place = &(*place)->next;
    *place = own->next;
}

static void run_call(kf_vault_client *client, pending_call *call, kf_view payload)
{
    call->id = ++client->last_id;
    call->next = client->calls;
    client->calls = call;
    kf_vault_frame_put(&client->queued, call->kind, call->id, payload);
    if (kf_buffer_status(&client->queued) != KF_OK) give_up(client, "out of memory for requests");
    write_queued(client);
    while (!call->done) {
        if (client->reading)
            pthread_cond_wait(&call->woken, &client->lock);
        else
            read_for_all(client, call);
    }
    forget(client, call);
}

kf_code kf_vault_call(kf_vault_client *client, kf_vault_kind kind, kf_view payload, kf_vault_answer *answer,
                      kf_error *error)
{
    kf_vault_answer_clear(answer);
    kf_error own_error = {KF_OK, ""};
    pending_call call = {
        .kind = (uint16_t)kind, .answer = answer, .error = &own_error, .code = KF_ERR_INTERNAL};
    if (payload.size > KF_VAULT_PAYLOAD_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "a request of %zu bytes is too long for the vault",
                       payload.size);
    if (pthread_cond_init(&call.woken, NULL) != 0) return kf_fail_plain(error, KF_ERR_MEMORY);
    pthread_mutex_lock(&client->lock);
    if (client->dead)
        call.code = kf_fail(&own_error, KF_ERR_VAULT, "the vault has ended; it is being started again");
    else
        run_call(client, &call, payload);
    pthread_mutex_unlock(&client->lock);
    pthread_cond_destroy(&call.woken);
    if (call.code != KF_OK) return kf_fail(error, call.code, "%s", kf_error_text(&own_error));
    return KF_OK;
}

bool kf_vault_client_alive(kf_vault_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool alive = !client->dead;
    pthread_mutex_unlock(&client->lock);
    return alive;
}

int kf_vault_client_descriptor(const kf_vault_client *client)
{
    return client->descriptor;
}

kf_code kf_vault_answer_next_receipt(kf_cursor *receipts, kf_view *ret_receipt)
{
    kf_cursor cursor = *receipts;
    uint16_t size;
    KF_TRY(kf_cursor_u16(&cursor, &size));
    KF_TRY(kf_cursor_take(&cursor, size, ret_receipt));
    *receipts = cursor;
    return KF_OK;
}
