#include "vault/hsm_serve.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "vault/hsm_keys.h"

/* -- one request -- */

/* 10 KiB: kept out of the threads' stacks. */
typedef struct hsm_scratch {
    kf_hsm_computation computation;
} hsm_scratch;

static _Thread_local hsm_scratch scratch;

static kf_code handle_status(kf_hsm_session *session, kf_cursor *request, kf_buffer *payload, kf_error *error)
{
    KF_TRY(kf_message_end(request));
    KF_TRY(kf_hsm_enter(session, error));
    kf_hsm_status status;
    kf_hsm_describe(session, &status);
    kf_hsm_leave(session);
    kf_hsm_status_put(payload, &status);
    return kf_fail_plain(error, kf_buffer_status(payload));
}

static kf_code handle_generate(kf_hsm_session *session, kf_cursor *request, kf_buffer *payload,
                               kf_error *error)
{
    (void)payload;
    kf_hsm_description description;
    KF_TRY(kf_hsm_description_take(request, &description));
    KF_TRY(kf_message_end(request));
    return kf_hsm_generate(session, &description, error);
}

static kf_code handle_import(kf_hsm_session *session, kf_cursor *request, kf_buffer *payload, kf_error *error)
{
    (void)payload;
    kf_hsm_description description;
    kf_view bytes;
    KF_TRY(kf_hsm_description_take(request, &description));
    KF_TRY(kf_message_take_blob(request, KF_HSM_KEY_MAX, &bytes));
    KF_TRY(kf_message_end(request));
    return kf_hsm_import(session, &description, bytes, error);
}

static kf_code handle_compute(kf_hsm_session *session, kf_cursor *request, kf_buffer *payload,
                              kf_error *error)
{
    KF_TRY(kf_hsm_computation_take(request, &scratch.computation));
    kf_code code = kf_hsm_compute(session, &scratch.computation, payload, error);
    /* A session that the token had closed, a failure that passes: the answer is the same another time. */
    for (unsigned again = 0; code == KF_ERR_UNAVAILABLE && again < 2; again++) {
        kf_buffer_truncate(payload, 0);
        if (kf_hsm_compute(session, &scratch.computation, payload, NULL) == KF_OK) code = KF_OK;
    }
    if (code == KF_OK) session->failed = false;
    return code;
}

static kf_code handle_destroy(kf_hsm_session *session, kf_cursor *request, kf_buffer *payload,
                              kf_error *error)
{
    (void)payload;
    kf_hsm_id id;
    KF_TRY(kf_hsm_id_take(request, &id));
    KF_TRY(kf_message_end(request));
    return kf_hsm_destroy(session, &id, error);
}

static kf_code handle_wrap(kf_hsm_session *session, kf_cursor *request, kf_buffer *payload, kf_error *error)
{
    kf_hsm_id wrapping;
    kf_hsm_id id;
    KF_TRY(kf_hsm_id_take(request, &wrapping));
    KF_TRY(kf_hsm_id_take(request, &id));
    KF_TRY(kf_message_end(request));
    return kf_hsm_wrap(session, &wrapping, &id, payload, error);
}

static kf_code handle_unwrap(kf_hsm_session *session, kf_cursor *request, kf_buffer *payload, kf_error *error)
{
    (void)payload;
    kf_hsm_id wrapping;
    kf_hsm_description description;
    kf_view wrapped;
    KF_TRY(kf_hsm_id_take(request, &wrapping));
    KF_TRY(kf_hsm_description_take(request, &description));
    KF_TRY(kf_message_take_blob(request, KF_HSM_WRAPPED_MAX, &wrapped));
    KF_TRY(kf_message_end(request));
    return kf_hsm_unwrap(session, &wrapping, &description, wrapped, error);
}

typedef kf_code (*hsm_handler)(kf_hsm_session *session, kf_cursor *request, kf_buffer *payload,
                               kf_error *error);

static hsm_handler handler_of(kf_hsm_kind kind)
{
    switch (kind) {
    case KF_HSM_STATUS: return handle_status;
    case KF_HSM_GENERATE: return handle_generate;
    case KF_HSM_IMPORT: return handle_import;
    case KF_HSM_COMPUTE: return handle_compute;
    case KF_HSM_DESTROY: return handle_destroy;
    case KF_HSM_WRAP: return handle_wrap;
    case KF_HSM_UNWRAP: return handle_unwrap;
    }
    return NULL;
}

kf_code kf_hsm_answer_request(kf_hsm_session *session, kf_view request, kf_buffer *answer, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(request);
    uint64_t number;
    kf_hsm_kind kind;
    kf_error refusal = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_code code = kf_hsm_request_take(&cursor, &number, &kind);
    if (code == KF_OK) code = handler_of(kind)(session, &cursor, &payload, &refusal);
    if (code == KF_ERR_MALFORMED || code == KF_ERR_TRUNCATED || code == KF_ERR_TOO_LONG)
        return kf_fail(error, KF_ERR_MALFORMED, "the vault sent a request that is none");
    (void)kf_fail_plain(&refusal, code);
    const kf_hsm_answer parts = {
        .number = number,
        .code = code,
        .message = kf_view_of_text(code != KF_OK ? kf_error_text(&refusal) : ""),
        .payload = code == KF_OK ? kf_buffer_view(&payload) : kf_view_of(NULL, 0),
    };
    kf_hsm_answer_put(answer, &parts);
    return kf_fail_plain(error, kf_buffer_status(answer));
}

/* -- connections -- */

typedef struct serving {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t running;
    kf_code code; /* why it ends, if before the connections do */
    kf_error error;
} serving;

typedef struct served_connection {
    serving *helper;
    kf_hsm_session session;
    int descriptor;
} served_connection;

static kf_code serve_connection(served_connection *connection, uint8_t *packet, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    for (;;) {
        ssize_t got = recv(connection->descriptor, packet, KF_HSM_MESSAGE_MAX + 1, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return KF_OK; /* the vault has ended */
        if ((size_t)got > KF_HSM_MESSAGE_MAX)
            return kf_fail(error, KF_ERR_MALFORMED, "a packet of %zd bytes", got);
        kf_buffer_truncate(&answer, 0);
        kf_code code =
            kf_hsm_answer_request(&connection->session, kf_view_of(packet, (size_t)got), &answer, error);
        kf_wipe(packet, (size_t)got);
        KF_TRY(code);
        if (send(connection->descriptor, answer.data, answer.size, MSG_NOSIGNAL) != (ssize_t)answer.size)
            return KF_OK;
    }
}

static void *run_connection(void *context)
{
    served_connection *connection = context;
    serving *helper = connection->helper;
    uint8_t packet[KF_HSM_MESSAGE_MAX + 1];
    kf_error error = {KF_OK, ""};
    kf_code code = serve_connection(connection, packet, &error);
    pthread_mutex_lock(&helper->lock);
    kf_descriptor_close(&connection->descriptor);
    if (code != KF_OK && helper->code == KF_OK) {
        helper->code = code;
        helper->error = error;
    }
    helper->running--;
    pthread_cond_signal(&helper->changed);
    pthread_mutex_unlock(&helper->lock);
    return NULL;
}

static kf_code start_thread(served_connection *connection, pthread_t *ret_thread, kf_error *error)
{
    pthread_mutex_lock(&connection->helper->lock);
    connection->helper->running++;
    pthread_mutex_unlock(&connection->helper->lock);
    if (pthread_create(ret_thread, NULL, run_connection, connection) == 0) return KF_OK;
    connection->helper->running--;
    return kf_fail(error, KF_ERR_SYSTEM, "no thread for a connection");
}

/* Asked for once at the start, so that what is set up wrongly shows at once; a token that is away may come.
 */
static kf_code look_at_token(kf_hsm_token *token, kf_error *error)
{
    kf_hsm_session session = {.token = token};
    kf_code code = kf_hsm_enter(&session, error);
    if (code == KF_OK) {
        kf_hsm_leave(&session);
        return KF_OK;
    }
    if (code != KF_ERR_UNAVAILABLE) return code;
    kf_log(KF_LOG_WARNING, "%s; it is asked for again with every request", kf_error_text(error));
    return KF_OK;
}

/* Waits until all have ended; one that ended badly ends the others. */
static void wait_for_all(serving *helper, served_connection *connections, size_t count)
{
    bool told = false;
    pthread_mutex_lock(&helper->lock);
    while (helper->running > 0) {
        for (size_t i = 0; helper->code != KF_OK && !told && i < count; i++)
            if (connections[i].descriptor >= 0) (void)shutdown(connections[i].descriptor, SHUT_RDWR);
        told = helper->code != KF_OK;
        pthread_cond_wait(&helper->changed, &helper->lock);
    }
    pthread_mutex_unlock(&helper->lock);
}

kf_code kf_hsm_serve(kf_hsm_token *token, int first, size_t count, kf_error *error)
{
    static served_connection connections[KF_HSM_CONNECTIONS_MAX];
    static pthread_t threads[KF_HSM_CONNECTIONS_MAX];
    serving helper = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, KF_OK, {KF_OK, ""}};
    if (count < 1 || count > KF_HSM_CONNECTIONS_MAX)
        return kf_fail(error, KF_ERR_USAGE, "%zu connections: take 1 to %d", count, KF_HSM_CONNECTIONS_MAX);
    for (size_t i = 0; i < count; i++)
        connections[i] = (served_connection){&helper, {.token = token}, first + (int)i};
    kf_code code = look_at_token(token, error);
    size_t started = 0;
    for (; code == KF_OK && started < count; started++)
        code = start_thread(&connections[started], &threads[started], error);
    if (code != KF_OK)
        for (size_t i = 0; i < count; i++) {
            (void)shutdown(connections[i].descriptor, SHUT_RDWR);
            if (i >= started) kf_descriptor_close(&connections[i].descriptor);
        }
    wait_for_all(&helper, connections, count);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (code != KF_OK) return code;
    return helper.code == KF_OK ? KF_OK : kf_fail(error, helper.code, "%s", kf_error_text(&helper.error));
}
