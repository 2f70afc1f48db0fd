#include "wire/http_server.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "wire/certificate.h"
#include "wire/http_exchange.h"

/* Not const: libmicrohttpd takes options as void pointers. */
static char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";
#define THREADS_MAX 256

/* The PEM texts, needed until the daemon runs. */
typedef struct tls_files {
    kf_buffer ca;
    kf_buffer certificate;
    kf_buffer key;
} tls_files;

static void clear_files(tls_files *files)
{
    kf_buffer_clear(&files->ca);
    kf_buffer_clear(&files->certificate);
    kf_buffer_clear(&files->key);
}

time_t kf_http_now(const kf_http_server *server)
{
    return server->options.now != NULL ? server->options.now(server->options.context) : time(NULL);
}

static void log_library(void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void log_library(void *context, const char *format, va_list arguments)
{
    (void)context;
    char text[256];
    if (vsnprintf(text, sizeof text, format, arguments) < 0) return;
    text[strcspn(text, "\n")] = '\0';
    kf_log(KF_LOG_DEBUG, "HTTP server: %s", text);
}

static unsigned default_of(unsigned value, unsigned otherwise)
{
    return value != 0 ? value : otherwise;
}

static void fill_defaults(kf_http_server_options *options)
{
    options->polling_threads = default_of(options->polling_threads, 1);
    options->worker_threads = default_of(options->worker_threads, 4);
    options->queue_limit = default_of(options->queue_limit, 1024);
    options->connection_limit = default_of(options->connection_limit, 1000);
    options->idle_timeout_seconds = default_of(options->idle_timeout_seconds, 60);
    options->drain_timeout_seconds = default_of(options->drain_timeout_seconds, 10);
    if (options->header_limit == 0) options->header_limit = (size_t)16 * 1024;
    if (options->unix_mode == 0) options->unix_mode = 0600;
}

static kf_code check_options(const kf_http_server_options *options, kf_error *error)
{
    KF_TRY(kf_http_routes_check(options->routes, options->route_count, error));
    if (options->polling_threads > THREADS_MAX || options->worker_threads > THREADS_MAX)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%u polling and %u worker threads; %d of each are the most", options->polling_threads,
                       options->worker_threads, THREADS_MAX);
    bool has_tls = options->ca_file != NULL && options->certificate_file != NULL && options->key_file != NULL;
    if (options->unix_path == NULL && !has_tls)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "CA, certificate and key files are needed to listen on a port");
    return KF_OK;
}

static kf_code read_files(kf_http_server *server, tls_files *files, kf_error *error)
{
    const kf_http_server_options *options = &server->options;
    KF_TRY(kf_file_read(options->ca_file, KF_TLS_FILE_MAX, &files->ca, error));
    KF_TRY(kf_file_read(options->certificate_file, KF_TLS_FILE_MAX, &files->certificate, error));
    KF_TRY(kf_file_read(options->key_file, KF_TLS_FILE_MAX, &files->key, error));
    KF_TRY(kf_tls_trust_new(kf_buffer_view(&files->ca), options->ca_file, &server->trust, error));
    if (options->crl_file != NULL) KF_TRY(kf_tls_trust_revoke_by(server->trust, options->crl_file, error));
    KF_TRY(kf_certificate_check_pair(kf_buffer_view(&files->certificate), kf_buffer_view(&files->key),
                                     options->certificate_file, error));
    if (kf_buffer_text(&files->ca) == NULL || kf_buffer_text(&files->certificate) == NULL ||
        kf_buffer_text(&files->key) == NULL)
        return kf_fail_plain(error, KF_ERR_MEMORY);
    return KF_OK;
}

static uint16_t port_of(int descriptor)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address;
    socklen_t size = sizeof address;
    if (getsockname(descriptor, &address.any, &size) != 0) return 0;
    if (address.any.sa_family == AF_INET) return ntohs(address.four.sin_port);
    return address.any.sa_family == AF_INET6 ? ntohs(address.six.sin6_port) : 0;
}

static kf_code open_listener(kf_http_server *server, int *ret_descriptor, kf_error *error)
{
    const kf_http_server_options *options = &server->options;
    if (options->unix_path != NULL) {
        server->unix_path = strdup(options->unix_path);
        if (server->unix_path == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
        kf_code code = kf_http_listen_local(options->unix_path, options->unix_mode, ret_descriptor, error);
        if (code != KF_OK) {
            free(server->unix_path);
            server->unix_path = NULL; /* not ours to remove */
        }
        return code;
    }
    if (options->inherited)
        *ret_descriptor = options->listen_descriptor;
    else
        KF_TRY(kf_http_listen(options->address, options->port, ret_descriptor, error));
    server->port = port_of(*ret_descriptor);
    if (server->port != 0) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "descriptor %d is no listening TCP socket", *ret_descriptor);
}

static kf_code start_daemon(kf_http_server *server, tls_files *files, int *listener, kf_error *error)
{
    const kf_http_server_options *options = &server->options;
    bool tls = server->trust != NULL;
    struct MHD_OptionItem items[8];
    size_t count = 0;
    if (tls) {
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities};
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, files->ca.data};
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, files->certificate.data};
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, files->key.data};
    }
    if (options->polling_threads > 1)
        items[count++] =
            (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)options->polling_threads, NULL};
    items[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (tls ? MHD_USE_TLS : 0U);
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, kf_http_receive, server, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
        MHD_OPTION_LISTEN_SOCKET, *listener, MHD_OPTION_CONNECTION_LIMIT, options->connection_limit,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        options->header_limit, MHD_OPTION_NOTIFY_COMPLETED, kf_http_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, kf_http_connection_changed, server, MHD_OPTION_ARRAY, items,
        MHD_OPTION_END);
    if (server->daemon == NULL)
        return kf_fail(error, KF_ERR_SYSTEM,
                       "the HTTP server cannot be started (its reason stands in the log at level debug)");
    *listener = -1; /* the daemon's */
    return KF_OK;
}

static void *work(void *context)
{
    kf_http_server *server = context;
    kf_http_exchange *exchange = NULL;
    while ((exchange = kf_http_queue_take(&server->queue)) != NULL) {
        struct MHD_Connection *connection = exchange->connection;
        kf_http_answer(exchange);
        exchange->stage = KF_HTTP_ANSWERED;
        /* From here on the exchange is the polling thread's. */
        MHD_resume_connection(connection);
    }
    return NULL;
}

static kf_code start_workers(kf_http_server *server, kf_error *error)
{
    server->workers = calloc(server->options.worker_threads, sizeof *server->workers);
    if (server->workers == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    while (server->worker_count < server->options.worker_threads) {
        if (pthread_create(&server->workers[server->worker_count], NULL, work, server) != 0)
            return kf_fail(error, KF_ERR_SYSTEM, "worker thread %u cannot be started",
                           server->worker_count + 1);
        server->worker_count++;
    }
    return KF_OK;
}

static kf_code start(kf_http_server *server, kf_error *error)
{
    KF_CLEANUP(clear_files) tls_files files = {KF_BUFFER_INIT, KF_BUFFER_INIT, KF_BUFFER_INIT};
    KF_CLEANUP(kf_descriptor_close) int listener = -1;
    KF_TRY(check_options(&server->options, error));
    if (server->options.unix_path == NULL) KF_TRY(read_files(server, &files, error));
    KF_TRY(open_listener(server, &listener, error));
    KF_TRY(start_workers(server, error));
    return start_daemon(server, &files, &listener, error);
}

kf_code kf_http_server_start(const kf_http_server_options *options, kf_http_server **ret_server,
                             kf_error *error)
{
    kf_http_server *server = calloc(1, sizeof *server);
    if (server == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    server->options = *options;
    fill_defaults(&server->options);
    atomic_init(&server->draining, false);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->idle, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&server->lock, NULL);
    kf_http_queue_init(&server->queue, server->options.queue_limit);
    kf_code code = start(server, error);
    if (code != KF_OK) {
        kf_http_server_stop(&server);
        return code;
    }
    *ret_server = server;
    return KF_OK;
}

uint16_t kf_http_server_port(const kf_http_server *server)
{
    return server->port;
}

kf_code kf_http_server_reload(kf_http_server *server, kf_error *error)
{
    return server->trust != NULL ? kf_tls_trust_reload(server->trust, error) : KF_OK;
}

static void wait_until_idle(kf_http_server *server)
{
    struct timespec deadline;
    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += (time_t)server->options.drain_timeout_seconds;
    (void)pthread_mutex_lock(&server->lock);
    while (server->active > 0)
        if (pthread_cond_timedwait(&server->idle, &server->lock, &deadline) != 0) break;
    (void)pthread_mutex_unlock(&server->lock);
}

void kf_http_server_stop(kf_http_server **ret_server)
{
    kf_http_server *server = *ret_server;
    if (server == NULL) return;
    *ret_server = NULL;
    atomic_store(&server->draining, true);
    if (server->daemon != NULL) {
        int listener = MHD_quiesce_daemon(server->daemon);
        kf_descriptor_close(&listener);
        if (server->unix_path != NULL) (void)unlink(server->unix_path);
        wait_until_idle(server);
    }
    /* The workers empty the queue, so that no connection stays suspended. */
    kf_http_queue_close(&server->queue);
    for (unsigned i = 0; i < server->worker_count; i++)
        (void)pthread_join(server->workers[i], NULL);
    if (server->daemon != NULL) MHD_stop_daemon(server->daemon);
    kf_http_queue_destroy(&server->queue);
    (void)pthread_cond_destroy(&server->idle);
    (void)pthread_mutex_destroy(&server->lock);
    kf_tls_trust_free(&server->trust);
    free(server->unix_path);
    free(server->workers);
    free(server);
}
