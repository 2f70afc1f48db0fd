#include "vault/hsm_client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

typedef struct hsm_connection {
    int descriptor; /* -1: broken or not there */
    int next;       /* takes its place once it is no longer busy; -1: none */
    bool busy;
} hsm_connection;

struct kf_hsm_client {
    int link;
    bool has_thread;
    bool follows; /* the thread is past its start */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    uint64_t last_number;
    hsm_connection connections[KF_HSM_CONNECTIONS_MAX];
};

/* -- connections -- */

void kf_hsm_client_connect(kf_hsm_client *client, const int *descriptors, size_t count)
{
    pthread_mutex_lock(&client->lock);
    for (size_t i = 0; i < KF_HSM_CONNECTIONS_MAX; i++) {
        hsm_connection *connection = &client->connections[i];
        int descriptor = i < count ? descriptors[i] : -1;
        kf_descriptor_close(&connection->next);
        if (connection->busy) {
            connection->next = descriptor;
        } else {
            kf_descriptor_close(&connection->descriptor);
            connection->descriptor = descriptor;
        }
    }
    pthread_cond_broadcast(&client->freed);
    pthread_mutex_unlock(&client->lock);
}

/* With the lock held. */
static hsm_connection *find_free(kf_hsm_client *client, bool *ret_others_busy)
{
    *ret_others_busy = false;
    for (size_t i = 0; i < KF_HSM_CONNECTIONS_MAX; i++) {
        hsm_connection *connection = &client->connections[i];
        if (connection->busy)
            *ret_others_busy = true;
        else if (connection->descriptor >= 0)
            return connection;
    }
    return NULL;
}

static hsm_connection *take_connection(kf_hsm_client *client, uint64_t *ret_number)
{
    struct timespec deadline;
    bool others_busy = true;
    hsm_connection *connection = NULL;
    if (clock_gettime(CLOCK_MONOTONIC, &deadline) != 0) return NULL;
    deadline.tv_sec += KF_HSM_PATIENCE_SECONDS;
    pthread_mutex_lock(&client->lock);
    while ((connection = find_free(client, &others_busy)) == NULL && others_busy)
        if (pthread_cond_timedwait(&client->freed, &client->lock, &deadline) != 0) break;
    if (connection != NULL) {
        connection->busy = true;
        *ret_number = ++client->last_number;
    }
    pthread_mutex_unlock(&client->lock);
    return connection;
}

static void give_back(kf_hsm_client *client, hsm_connection *connection, bool broken)
{
    pthread_mutex_lock(&client->lock);
    connection->busy = false;
    if (broken || connection->next >= 0) kf_descriptor_close(&connection->descriptor);
    if (connection->next >= 0) {
        connection->descriptor = connection->next;
        connection->next = -1;
    }
    pthread_cond_signal(&client->freed);
    pthread_mutex_unlock(&client->lock);
}

/* -- calls -- */

static kf_code wait_for_packet(int descriptor)
{
    struct pollfd wait = {.fd = descriptor, .events = POLLIN};
    int ready;
    do {
        ready = poll(&wait, 1, KF_HSM_PATIENCE_SECONDS * 1000);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? KF_OK : KF_ERR_TIMEOUT;
}

/* The answer of that number; one that comes late, after its caller gave up, is passed over. */
static kf_code receive(int descriptor, uint64_t number, uint8_t *packet, kf_hsm_answer *ret_answer)
{
    for (;;) {
        KF_TRY(wait_for_packet(descriptor));
        ssize_t got = recv(descriptor, packet, KF_HSM_MESSAGE_MAX, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return KF_ERR_VAULT;
        if (kf_hsm_answer_take(kf_view_of(packet, (size_t)got), ret_answer) != KF_OK) return KF_ERR_VAULT;
        if (ret_answer->number == number) return KF_OK;
    }
}

static kf_code take_answer(const kf_hsm_answer *answer, kf_buffer *payload, kf_error *error)
{
    if (answer->code != KF_OK)
        return kf_fail(error, answer->code, "%.*s", (int)answer->message.size,
                       (const char *)answer->message.data);
    kf_buffer_append(payload, answer->payload);
    return kf_fail_plain(error, kf_buffer_status(payload));
}

static kf_code exchange(hsm_connection *connection, uint64_t number, const kf_buffer *request,
                        kf_buffer *payload, kf_error *error)
{
    uint8_t packet[KF_HSM_MESSAGE_MAX];
    kf_hsm_answer answer;
    ssize_t sent;
    do {
        sent = send(connection->descriptor, request->data, request->size, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    kf_code code = sent == (ssize_t)request->size ? KF_OK : KF_ERR_VAULT;
    if (code == KF_OK) code = receive(connection->descriptor, number, packet, &answer);
    if (code == KF_OK)
        code = take_answer(&answer, payload, error);
    else if (code == KF_ERR_TIMEOUT)
        code = kf_fail(error, KF_ERR_UNAVAILABLE, "the token did not answer within %d seconds",
                       KF_HSM_PATIENCE_SECONDS);
    /* Also where nothing fitting came: it may hold the late answer to an earlier request. */
    kf_wipe(packet, sizeof packet);
    return code;
}

static kf_code no_helper(kf_error *error)
{
    return kf_fail(error, KF_ERR_UNAVAILABLE,
                   "the helper with the token is not there; it is being started again");
}

static void set_number(kf_buffer *request, uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        request->data[i] = (uint8_t)(number >> (56 - 8 * i));
}

kf_code kf_hsm_call(kf_hsm_client *client, kf_buffer *request, kf_buffer *payload, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_buffer_status(request)));
    if (request->size < 9 || request->size > KF_HSM_MESSAGE_MAX) return kf_fail_plain(error, KF_ERR_TOO_LONG);
    uint64_t number = 0;
    hsm_connection *connection = take_connection(client, &number);
    if (connection == NULL) return no_helper(error);
    set_number(request, number);
    kf_code code = exchange(connection, number, request, payload, error);
    bool broken = code == KF_ERR_VAULT;
    give_back(client, connection, broken);
    return broken ? no_helper(error) : code;
}

/* -- link -- */

static void *follow_link(void *context)
{
    kf_hsm_client *client = context;
    int descriptors[KF_HSM_CONNECTIONS_MAX];
    size_t count = 0;
    pthread_mutex_lock(&client->lock);
    client->follows = true;
    pthread_cond_broadcast(&client->freed);
    pthread_mutex_unlock(&client->lock);
    while (kf_hsm_link_receive(client->link, descriptors, &count) == KF_OK && count > 0)
        kf_hsm_client_connect(client, descriptors, count);
    return NULL;
}

/* -- life -- */

static kf_code start(kf_hsm_client *client)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&client->lock, NULL) != 0 || pthread_condattr_init(&attributes) != 0)
        return KF_ERR_MEMORY;
    int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (result == 0) result = pthread_cond_init(&client->freed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (result != 0) return KF_ERR_MEMORY;
    if (client->link < 0) return KF_OK;
    if (pthread_create(&client->thread, NULL, follow_link, client) != 0) return KF_ERR_SYSTEM;
    client->has_thread = true;
    /* What a thread does at its start is not among the calls that a vault's closed doors leave. */
    pthread_mutex_lock(&client->lock);
    while (!client->follows)
        pthread_cond_wait(&client->freed, &client->lock);
    pthread_mutex_unlock(&client->lock);
    return KF_OK;
}

kf_code kf_hsm_client_new(int link, kf_hsm_client **ret_client, kf_error *error)
{
    kf_hsm_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        kf_descriptor_close(&link);
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    client->link = link;
    for (size_t i = 0; i < KF_HSM_CONNECTIONS_MAX; i++)
        client->connections[i] = (hsm_connection){-1, -1, false};
    kf_code code = start(client);
    if (code != KF_OK) {
        kf_descriptor_close(&client->link);
        free(client);
        return kf_fail_plain(error, code);
    }
    *ret_client = client;
    return KF_OK;
}

void kf_hsm_client_free(kf_hsm_client **client)
{
    if (*client == NULL) return;
    if ((*client)->has_thread) {
        (void)shutdown((*client)->link, SHUT_RDWR);
        pthread_join((*client)->thread, NULL);
    }
    const int none = -1;
    kf_hsm_client_connect(*client, &none, 0);
    kf_descriptor_close(&(*client)->link);
    pthread_cond_destroy(&(*client)->freed);
    pthread_mutex_destroy(&(*client)->lock);
    free(*client);
    *client = NULL;
}
