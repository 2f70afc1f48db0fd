/* Inside the server: one exchange is a request and its answer. A polling thread receives it, a worker answers
 * it, the polling thread sends the answer; at each moment exactly one of them owns it. */
#ifndef KEYFILL_WIRE_HTTP_EXCHANGE_H
#define KEYFILL_WIRE_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "wire/http_server.h"

/* What is read and thrown away of a body that is refused anyway, so that the caller gets the answer and can
 * keep the connection. */
#define KF_HTTP_DISCARD_MAX ((size_t)16 * 1024 * 1024)

typedef struct kf_http_connection {
    bool identified;
    kf_peer peer;               /* role KF_PEER_NONE where there is none that counts */
    kf_error certificate_error; /* then: why */
    char remote[64];
} kf_http_connection;

typedef enum kf_http_stage {
    KF_HTTP_RECEIVING, /* polling thread */
    KF_HTTP_ANSWERING, /* queue or worker; the connection is suspended */
    KF_HTTP_ANSWERED,  /* polling thread again */
} kf_http_stage;

typedef struct kf_http_exchange {
    kf_http_server *server;
    struct MHD_Connection *connection;
    kf_http_connection *caller_connection;
    const kf_http_route *route; /* NULL where none fits */
    kf_http_request request;
    char path[KF_HTTP_PATH_MAX + 1];            /* cut into segments at zeros */
    char parameter_names[KF_HTTP_PATH_MAX + 1]; /* the pattern, cut the same way */
    kf_buffer body;
    size_t received;  /* bytes of body, kept or not */
    kf_error refusal; /* code KF_OK: not refused so far */
    char allow[64];   /* of a 405 */
    kf_http_stage stage;
    struct MHD_Response *response;
    unsigned status;
    struct timespec began;
    struct kf_http_exchange *next; /* in the queue */
} kf_http_exchange;

/* Requests that wait for a worker. */
typedef struct kf_http_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    kf_http_exchange *first;
    kf_http_exchange *last;
    size_t count;
    size_t limit;
    bool closed; /* takes no more; workers end when it is empty */
} kf_http_queue;

struct kf_http_server {
    kf_http_server_options options; /* with the defaults filled in */
    kf_tls_trust *trust;            /* NULL on a local socket */
    char *unix_path;
    struct MHD_Daemon *daemon;
    uint16_t port;
    kf_http_queue queue;
    pthread_t *workers;
    unsigned worker_count;
    atomic_bool draining;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    size_t active; /* exchanges, under `lock` */
};

time_t kf_http_now(const kf_http_server *server);

/* http_route.c. KF_ERR_CONFIGURATION for a table that cannot be served. */
kf_code kf_http_routes_check(const kf_http_route *routes, size_t count, kf_error *error) KF_MUST_USE;
/* Sets route and path parameters, or refusal (and allow). */
void kf_http_route_find(kf_http_exchange *exchange, const char *method, const char *path);

/* http_receive.c: libmicrohttpd's callbacks; `context` is the server. */
enum MHD_Result kf_http_receive(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **state);
void kf_http_completed(void *context, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode reason);
void kf_http_connection_changed(void *context, struct MHD_Connection *connection, void **state,
                                enum MHD_ConnectionNotificationCode change);

/* http_answer.c: calls the handler and makes the response; in a worker. */
void kf_http_answer(kf_http_exchange *exchange);
/* Makes the response of a problem; in either thread. */
void kf_http_answer_problem(kf_http_exchange *exchange, const kf_error *error, const char *request_id,
                            unsigned retry_after_seconds);

/* http_queue.c */
void kf_http_queue_init(kf_http_queue *queue, size_t limit);
/* Suspends the connection and queues; false where the queue is full or closed: then nothing happened. */
bool kf_http_queue_put(kf_http_queue *queue, kf_http_exchange *exchange) KF_MUST_USE;
/* Waits for one; NULL when closed and empty. */
kf_http_exchange *kf_http_queue_take(kf_http_queue *queue);
void kf_http_queue_close(kf_http_queue *queue);
void kf_http_queue_destroy(kf_http_queue *queue);

/* http_listen.c: a listening local socket; a file that nobody listens on any more is replaced. */
kf_code kf_http_listen_local(const char *path, mode_t mode, int *ret_descriptor, kf_error *error) KF_MUST_USE;

#endif
