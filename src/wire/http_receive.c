#include <gnutls/gnutls.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <keyfill/secret.h>

#include "wire/certificate.h"
#include "wire/http_exchange.h"

static const kf_peer nobody = {.role = KF_PEER_NONE};

/* ---- connections ---- */

static void note_remote(struct MHD_Connection *connection, kf_http_connection *ret_connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[48] = "";
    char service[8] = "";
    socklen_t size = sizeof(struct sockaddr_in);
    if (info == NULL || info->client_addr == NULL) return;
    if (info->client_addr->sa_family == AF_INET6) size = sizeof(struct sockaddr_in6);
    if (getnameinfo(info->client_addr, size, host, sizeof host, service, sizeof service,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        (void)snprintf(ret_connection->remote, sizeof ret_connection->remote, "%s %s", host, service);
}

static void identify_local(struct MHD_Connection *connection, kf_http_connection *ret_connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (info == NULL || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        (void)kf_fail(&ret_connection->certificate_error, KF_ERR_FORBIDDEN,
                      "the local caller cannot be identified");
        return;
    }
    ret_connection->peer.role = KF_PEER_LOCAL;
    (void)snprintf(ret_connection->peer.name, sizeof ret_connection->peer.name, "uid-%u",
                   (unsigned)credentials.uid);
    (void)snprintf(ret_connection->remote, sizeof ret_connection->remote, "local process %ld",
                   (long)credentials.pid);
}

/* After the handshake, which asks for a certificate but lets everyone through: so that a caller is told, in a
 * problem document, what is wrong with its certificate. */
static void identify_by_certificate(const kf_http_server *server, struct MHD_Connection *connection,
                                    kf_http_connection *ret_connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    kf_view certificates[KF_CHAIN_MAX + 1];
    unsigned count = 0;
    const gnutls_datum_t *shown =
        info != NULL ? gnutls_certificate_get_peers((gnutls_session_t)info->tls_session, &count) : NULL;
    note_remote(connection, ret_connection);
    if (shown == NULL || count == 0) {
        (void)kf_fail(&ret_connection->certificate_error, KF_ERR_FORBIDDEN,
                      "no client certificate was shown; this route needs one with a role");
        return;
    }
    /* One more than allowed is passed on, for kf_tls_verify_peer to refuse. */
    if (count > KF_CHAIN_MAX + 1) count = KF_CHAIN_MAX + 1;
    for (unsigned i = 0; i < count; i++)
        certificates[i] = kf_view_of(shown[i].data, shown[i].size);
    kf_peer peer;
    if (kf_tls_verify_peer(server->trust, certificates, count, kf_http_now(server), &peer,
                           &ret_connection->certificate_error) == KF_OK)
        ret_connection->peer = peer;
}

void kf_http_connection_changed(void *context, struct MHD_Connection *connection, void **state,
                                enum MHD_ConnectionNotificationCode change)
{
    (void)context;
    (void)connection;
    if (change == MHD_CONNECTION_NOTIFY_STARTED) {
        *state = calloc(1, sizeof(kf_http_connection));
    } else {
        free(*state);
        *state = NULL;
    }
}

static kf_http_connection *connection_of(const kf_http_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    kf_http_connection *known = info != NULL ? info->socket_context : NULL;
    if (known == NULL || known->identified) return known;
    if (server->trust != NULL)
        identify_by_certificate(server, connection, known);
    else
        identify_local(connection, known);
    known->identified = true;
    return known;
}

/* ---- the beginning of a request ---- */

static enum MHD_Result note_query(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    kf_http_exchange *exchange = context;
    kf_http_request *request = &exchange->request;
    if (request->query_count == KF_HTTP_QUERY_MAX) {
        (void)kf_fail(&exchange->refusal, KF_ERR_FIELD, "more than %d query parameters", KF_HTTP_QUERY_MAX);
        return MHD_NO;
    }
    if (value != NULL && strlen(value) > KF_HTTP_QUERY_VALUE_MAX) {
        (void)kf_fail(&exchange->refusal, KF_ERR_FIELD, "query parameter \"%.60s\" is longer than %d bytes",
                      name, KF_HTTP_QUERY_VALUE_MAX);
        return MHD_NO;
    }
    request->query[request->query_count++] = (kf_http_parameter){name, value != NULL ? value : ""};
    return MHD_YES;
}

/* A certificate that stopped counting on a connection that stays open. */
static kf_code check_still_counts(kf_http_exchange *exchange, const kf_peer *peer, kf_error *error)
{
    kf_http_server *server = exchange->server;
    if (peer->role == KF_PEER_NONE || server->trust == NULL) return KF_OK;
    return kf_tls_check_again(server->trust, peer, kf_http_now(server), error);
}

static void check_caller(kf_http_exchange *exchange)
{
    const kf_peer *peer = &exchange->caller_connection->peer;
    kf_error ended = {KF_OK, ""};
    if (check_still_counts(exchange, peer, &ended) != KF_OK) exchange->request.caller = &nobody;
    if (exchange->route == NULL || (exchange->route->roles & KF_PEER_ANYONE) != 0) return;
    if (ended.code != KF_OK) {
        exchange->refusal = ended;
        return;
    }
    if (peer->role == KF_PEER_NONE) {
        exchange->refusal = exchange->caller_connection->certificate_error;
        return;
    }
    if ((exchange->route->roles & KF_PEER_BIT(peer->role)) != 0) return;
    (void)kf_fail(&exchange->refusal, KF_ERR_FORBIDDEN,
                  "%s:%s may not %s %s: the role %s is not among those of this route",
                  kf_peer_role_name(peer->role), peer->name, exchange->route->method, exchange->route->path,
                  kf_peer_role_name(peer->role));
}

static void refuse_size(kf_http_exchange *exchange)
{
    const kf_http_route *route = exchange->route;
    if (route->body_limit == 0)
        (void)kf_fail(&exchange->refusal, KF_ERR_BODY_TOO_LARGE, "%s %s takes no body", route->method,
                      route->path);
    else
        (void)kf_fail(&exchange->refusal, KF_ERR_BODY_TOO_LARGE,
                      "the body is larger than the %zu bytes that %s %s takes", route->body_limit,
                      route->method, route->path);
}

static size_t announced_length(struct MHD_Connection *connection)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text != NULL ? (size_t)strtoull(text, NULL, 10) : 0;
}

/* The caller sends its body only once it is told to go on (RFC 9110 §10.1.1). */
static bool waits_to_send(struct MHD_Connection *connection)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    return text != NULL && strcasecmp(text, "100-continue") == 0;
}

/* A refusal waits until the body is read off to its end: a connection that is closed with bytes on the way is
 * reset, and the caller may never see the answer. What is too long for that, or not on its way yet, is
 * answered at once; the connection ends then. */
static bool is_answered_before_body(kf_http_exchange *exchange)
{
    size_t length = announced_length(exchange->connection);
    bool taken = exchange->refusal.code == KF_OK;
    if (taken && length > exchange->route->body_limit) {
        refuse_size(exchange);
        taken = false;
    }
    return !taken && (length > KF_HTTP_DISCARD_MAX || (length > 0 && waits_to_send(exchange->connection)));
}

static kf_http_exchange *exchange_new(kf_http_server *server, struct MHD_Connection *connection,
                                      const char *url, const char *method)
{
    kf_http_connection *caller = connection_of(server, connection);
    kf_http_exchange *exchange = caller != NULL ? calloc(1, sizeof *exchange) : NULL;
    if (exchange == NULL) return NULL;
    exchange->server = server;
    exchange->connection = connection;
    exchange->caller_connection = caller;
    exchange->request = (kf_http_request){.caller = &caller->peer, .method = method, .path = url};
    memcpy(exchange->request.remote, caller->remote, sizeof caller->remote);
    (void)clock_gettime(CLOCK_MONOTONIC, &exchange->began);
    (void)pthread_mutex_lock(&server->lock);
    server->active++;
    (void)pthread_mutex_unlock(&server->lock);
    return exchange;
}

static enum MHD_Result send_answer(kf_http_exchange *exchange)
{
    if (exchange->response == NULL) return MHD_NO; /* no memory: the connection is closed */
    if (atomic_load(&exchange->server->draining))
        (void)MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CONNECTION, "close");
    return MHD_queue_response(exchange->connection, exchange->status, exchange->response);
}

static enum MHD_Result answer_busy(kf_http_exchange *exchange)
{
    kf_error busy;
    bool draining = atomic_load(&exchange->server->draining);
    (void)kf_fail(&busy, KF_ERR_BUSY, "%s; try again in a second",
                  draining ? "the unit is stopping" : "too many requests wait for their turn");
    kf_http_answer_problem(exchange, &busy, "", 1);
    exchange->stage = KF_HTTP_ANSWERED;
    return send_answer(exchange);
}

static enum MHD_Result hand_over(kf_http_exchange *exchange)
{
    return kf_http_queue_put(&exchange->server->queue, exchange) ? MHD_YES : answer_busy(exchange);
}

static enum MHD_Result begin(kf_http_exchange *exchange, const char *url, const char *method)
{
    kf_http_route_find(exchange, method, url);
    check_caller(exchange);
    if (exchange->refusal.code == KF_OK)
        (void)MHD_get_connection_values(exchange->connection, MHD_GET_ARGUMENT_KIND, note_query, exchange);
    if (is_answered_before_body(exchange)) return hand_over(exchange);
    return MHD_YES;
}

/* ---- its body and its end ---- */

static void take_body(kf_http_exchange *exchange, const char *upload, size_t size)
{
    if (exchange->refusal.code != KF_OK) return;
    if (exchange->received > exchange->route->body_limit) {
        refuse_size(exchange);
        kf_buffer_clear(&exchange->body);
        return;
    }
    kf_buffer_append_bytes(&exchange->body, upload, size);
    if (kf_buffer_status(&exchange->body) != KF_OK) (void)kf_fail_plain(&exchange->refusal, KF_ERR_MEMORY);
}

/* A part of a body may be a PIN. It lies in the connection's own buffer, which the library only lends, but
 * does not look at again once it is taken. */
static void wipe_received(const char *upload, size_t size)
{
    union {
        const char *lent;
        char *own;
    } bytes = {.lent = upload};
    kf_wipe(bytes.own, size);
}

enum MHD_Result kf_http_receive(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **state)
{
    (void)version;
    kf_http_server *server = context;
    kf_http_exchange *exchange = *state;
    if (exchange == NULL) {
        exchange = exchange_new(server, connection, url, method);
        if (exchange == NULL) return MHD_NO;
        *state = exchange;
        return begin(exchange, url, method);
    }
    if (exchange->stage == KF_HTTP_ANSWERED) return send_answer(exchange);
    if (*upload_size > 0) {
        exchange->received += *upload_size;
        if (exchange->received > KF_HTTP_DISCARD_MAX && exchange->refusal.code != KF_OK) return MHD_NO;
        take_body(exchange, upload, *upload_size);
        wipe_received(upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (atomic_load(&server->draining)) return answer_busy(exchange);
    return hand_over(exchange);
}

void kf_http_completed(void *context, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode reason)
{
    (void)connection;
    (void)reason;
    kf_http_server *server = context;
    kf_http_exchange *exchange = *state;
    if (exchange == NULL) return;
    *state = NULL;
    json_decref(exchange->request.json);
    kf_buffer_clear(&exchange->body);
    if (exchange->response != NULL) MHD_destroy_response(exchange->response);
    free(exchange);
    (void)pthread_mutex_lock(&server->lock);
    server->active--;
    if (server->active == 0) (void)pthread_cond_broadcast(&server->idle);
    (void)pthread_mutex_unlock(&server->lock);
}
