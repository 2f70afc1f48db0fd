/* The HTTP edge of a unit: a table of routes, each with the roles that may call it, behind mutual TLS 1.3 or
 * on a local socket. Polling threads (libmicrohttpd) read and write; worker threads run the handlers, so a
 * handler may block.
 *
 * Every failure is answered with a problem document (RFC 9457) as docs/messages.md has it.
 */
#ifndef KEYFILL_WIRE_HTTP_SERVER_H
#define KEYFILL_WIRE_HTTP_SERVER_H

#include <jansson.h>
#include <sys/types.h>

#include "wire/tls_identity.h"

#define KF_HTTP_ROUTES_MAX 64
#define KF_HTTP_PATH_MAX 512          /* bytes of a request's path */
#define KF_HTTP_PATH_PARAMETERS_MAX 4 /* placeholders of a route */
#define KF_HTTP_PARAMETER_MAX 128     /* bytes of one path parameter */
#define KF_HTTP_QUERY_MAX 16          /* query parameters */
#define KF_HTTP_QUERY_VALUE_MAX 256   /* bytes of one query value */
#define KF_HTTP_REQUEST_ID_SIZE 65    /* bytes with the zero */

typedef struct kf_http_server kf_http_server;

typedef struct kf_http_parameter {
    const char *name;
    const char *value;
} kf_http_parameter;

/* Valid while the handler runs. */
typedef struct kf_http_request {
    const kf_peer *caller; /* never NULL; its role is KF_PEER_NONE, KF_PEER_LOCAL, or the certificate's. A
                              local caller's name is "uid-" and its user id */
    const char *method;
    const char *path;
    kf_http_parameter path_parameters[KF_HTTP_PATH_PARAMETERS_MAX];
    size_t path_parameter_count;
    kf_http_parameter query[KF_HTTP_QUERY_MAX];
    size_t query_count;
    json_t *json;    /* the body, an object; NULL where there is none */
    kf_view body;    /* the same, as it came: for digests */
    char remote[64]; /* the caller's address, for audit rows */
} kf_http_request;

/* The value of {name} in the route's path: never NULL for a name that stands there. */
const char *kf_http_path_parameter(const kf_http_request *request, const char *name);
/* NULL where the query has none. */
const char *kf_http_query_parameter(const kf_http_request *request, const char *name);

/* Made zero for the handler, which fills it. */
typedef struct kf_http_response {
    int status;   /* 0: 200 */
    json_t *json; /* the server takes it over; NULL: `body`, or nothing */
    kf_buffer body;
    const char *content_type;                 /* of `body`; static */
    char request_id[KF_HTTP_REQUEST_ID_SIZE]; /* goes into a problem as "request"; "" for none */
    unsigned retry_after_seconds;             /* header Retry-After; 0: none */
} kf_http_response;

/* Runs in a worker thread, several at a time. Anything but KF_OK is answered with the problem in `error` (the
 * code's meaning, where `error` says nothing); `response->request_id` holds then, too. */
typedef kf_code (*kf_http_handler)(void *context, const kf_http_request *request, kf_http_response *response,
                                   kf_error *error);

typedef struct kf_http_route {
    const char *method; /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *path;   /* "/v1/requests/{id}/messages": a placeholder is a whole segment */
    unsigned roles;     /* KF_PEER_BIT(...) | ..., or KF_PEER_ANYONE */
    size_t body_limit;  /* bytes; 0: the route takes no body */
    kf_http_handler handler;
} kf_http_route;

typedef struct kf_http_server_options {
    /* Where: exactly one of port with address, unix_path, or listen_descriptor. */
    const char *address;   /* IPv4 or IPv6; NULL: 127.0.0.1 */
    uint16_t port;         /* 0: one that is free; kf_http_server_port tells */
    const char *unix_path; /* a local socket without TLS: callers are KF_PEER_LOCAL */
    mode_t unix_mode;      /* of the socket file; 0: 0600 */
    bool inherited;        /* `listen_descriptor` is a bound and listening TCP socket; the server takes it */
    int listen_descriptor; /* over and closes it */

    /* TLS; all three are needed but for unix_path. Read at start only, but crl_file. */
    const char *ca_file;
    const char *certificate_file; /* with the chain below the root, if there is one */
    const char *key_file;
    const char *crl_file; /* revocation lists (kf_tls_trust_revoke_by); NULL: none */

    /* Limits; 0: the default. */
    unsigned polling_threads;       /* 1 */
    unsigned worker_threads;        /* 4 */
    unsigned queue_limit;           /* requests that wait for a worker: 1024; above it 503 KF_ERR_BUSY */
    unsigned connection_limit;      /* 1000 */
    unsigned idle_timeout_seconds;  /* of a connection without traffic: 60 */
    size_t header_limit;            /* bytes of request line and headers: 16 KiB */
    unsigned drain_timeout_seconds; /* at stop, for requests that wait or are being answered: 10 */

    const kf_http_route *routes; /* kept, not copied */
    size_t route_count;
    void *context; /* given to handlers and to the calls below */

    /* Asked at every request of a caller with a certificate, but for routes that anyone may call, in a worker
     * thread; NULL: nobody is refused. KF_ERR_DISABLED, KF_ERR_FORBIDDEN: 403 with its sentence. */
    kf_code (*check_caller)(void *context, const kf_peer *caller, kf_error *error);
    /* Asked before each handler, in a worker thread; NULL: all are admitted. What it gives other than KF_OK
     * is the answer. */
    kf_code (*admit)(void *context, const kf_http_request *request, kf_error *error);
    /* A request was refused for who called (403): so that the unit can write an audit row. In a worker
     * thread. */
    void (*refused)(void *context, const kf_http_request *request, const kf_error *error);
    /* A request was answered; NULL: none. For request logs and counters. In a worker thread. */
    void (*answered)(void *context, const kf_http_request *request, int status, unsigned microseconds);
    time_t (*now)(void *context); /* NULL: time(2) */
} kf_http_server_options;

/* Binds, starts the threads, serves. KF_ERR_CONFIGURATION, KF_ERR_CERTIFICATE, KF_ERR_SYSTEM. */
kf_code kf_http_server_start(const kf_http_server_options *options, kf_http_server **ret_server,
                             kf_error *error) KF_MUST_USE;
/* The TCP port that is listened on; 0 for a local socket. */
uint16_t kf_http_server_port(const kf_http_server *server);
/* Reads crl_file again now, rather than at the next request; in failure all stays as it was. */
kf_code kf_http_server_reload(kf_http_server *server, kf_error *error) KF_MUST_USE;
/* Takes no new connections, answers new requests with 503, lets those under way end (a handler that runs is
 * always waited for), then frees and sets NULL. Fits KF_CLEANUP. */
void kf_http_server_stop(kf_http_server **server);

/* Binds and listens on TCP, for a process that opens its port before it gives up its rights. */
kf_code kf_http_listen(const char *address, uint16_t port, int *ret_descriptor, kf_error *error) KF_MUST_USE;

#endif
