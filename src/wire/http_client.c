#include "wire/http_client.h"

#include <curl/curl.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "wire/certificate.h"
#include "wire/json.h"

#define PROBLEM_TYPE_PREFIX "urn:keyfill:error:"
#define URL_MAX ((size_t)2048) /* bytes */
#define CONNECTIONS_MAX 256
#define RESPONSE_LIMIT_DEFAULT ((size_t)4 * 1024 * 1024)

/* One connection, kept alive between calls, with what was found out about its server. */
typedef struct kf_http_link {
    kf_http_client *client;
    CURL *easy;
    bool verified; /* `peer` was verified for the certificate whose digest it holds */
    kf_peer peer;
    kf_buffer response; /* of the call under way */
    kf_error refusal;   /* of the server's certificate or response, during the call */
    char reason[CURL_ERROR_SIZE];
    struct kf_http_link *next; /* among the idle */
} kf_http_link;

struct kf_http_client {
    kf_http_client_options options; /* texts are ours */
    char *texts[7];
    size_t text_count;
    kf_tls_trust *trust; /* NULL on a local socket */
    struct curl_slist *headers;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    kf_http_link *idle; /* the last used first: its connection is the freshest */
    size_t links;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static CURLcode library_status = CURLE_FAILED_INIT;

static void start_library(void)
{
    library_status = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- the server's certificate ---- */

static bool is_verified_already(const kf_http_link *link, const gnutls_datum_t *certificate, time_t now)
{
    uint8_t fingerprint[KF_FINGERPRINT_SIZE];
    size_t size = sizeof fingerprint;
    if (!link->verified || kf_tls_check_again(link->client->trust, &link->peer, now, NULL) != KF_OK)
        return false;
    if (gnutls_fingerprint(GNUTLS_DIG_SHA256, certificate, fingerprint, &size) != 0) return false;
    return memcmp(fingerprint, link->peer.fingerprint, size) == 0;
}

static kf_code check_role(const kf_http_client_options *options, const kf_peer *peer, kf_error *error)
{
    if (options->expected_role == KF_PEER_NONE) return KF_OK;
    const char *name = options->expected_name;
    if (peer->role == options->expected_role && (name == NULL || strcmp(name, peer->name) == 0)) return KF_OK;
    return kf_fail(error, KF_ERR_TLS, "%s is %s:%s, and %s:%s is expected; check the address",
                   options->base_url, kf_peer_role_name(peer->role), peer->name,
                   kf_peer_role_name(options->expected_role), name != NULL ? name : "*");
}

static kf_code check_server(kf_http_link *link, gnutls_session_t session, kf_error *error)
{
    kf_http_client *client = link->client;
    kf_view certificates[KF_CHAIN_MAX + 1];
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    if (shown == NULL || count == 0)
        return kf_fail(error, KF_ERR_TLS, "%s shows no certificate", client->options.base_url);
    time_t now = time(NULL);
    if (is_verified_already(link, &shown[0], now)) return KF_OK;
    if (count > KF_CHAIN_MAX + 1) count = KF_CHAIN_MAX + 1;
    for (unsigned i = 0; i < count; i++)
        certificates[i] = kf_view_of(shown[i].data, shown[i].size);
    kf_peer peer;
    kf_error reason = {KF_OK, ""};
    if (kf_tls_verify_peer(client->trust, certificates, count, now, &peer, &reason) != KF_OK)
        return kf_fail(error, KF_ERR_TLS, "%s: %s", client->options.base_url, kf_error_text(&reason));
    KF_TRY(check_role(&client->options, &peer, error));
    link->peer = peer;
    link->verified = true;
    return KF_OK;
}

/* Between handshake and request: nothing is sent to a server that is not who we expect. libcurl has checked
 * signatures, times and host name by then. */
static int before_request(void *context, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    kf_http_link *link = context;
    struct curl_tlssessioninfo *info = NULL;
    if (curl_easy_getinfo(link->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || info == NULL ||
        info->backend != CURLSSLBACKEND_GNUTLS || info->internals == NULL) {
        (void)kf_fail(&link->refusal, KF_ERR_TLS, "%s: the server's certificate cannot be looked at",
                      link->client->options.base_url);
        return CURL_PREREQFUNC_ABORT;
    }
    return check_server(link, info->internals, &link->refusal) == KF_OK ? CURL_PREREQFUNC_OK
                                                                        : CURL_PREREQFUNC_ABORT;
}

/* ---- links ---- */

static size_t take_response(char *bytes, size_t one, size_t size, void *context)
{
    (void)one;
    kf_http_link *link = context;
    if (size > link->client->options.response_limit - link->response.size) {
        (void)kf_fail(&link->refusal, KF_ERR_PEER, "the answer is longer than the %zu bytes allowed",
                      link->client->options.response_limit);
        return 0;
    }
    kf_buffer_append_bytes(&link->response, bytes, size);
    if (kf_buffer_status(&link->response) == KF_OK) return size;
    (void)kf_fail_plain(&link->refusal, KF_ERR_MEMORY);
    return 0;
}

static void link_free(kf_http_link *link)
{
    if (link->easy != NULL) curl_easy_cleanup(link->easy);
    kf_buffer_clear(&link->response);
    free(link);
}

static CURLcode set_tls(CURL *easy, kf_http_link *link, const kf_http_client_options *options)
{
    CURLcode got = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_PREREQDATA, link);
    if (got != CURLE_OK || options->certificate_file == NULL) return got;
    got = curl_easy_setopt(easy, CURLOPT_SSLCERT, options->certificate_file);
    return got == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_SSLKEY, options->key_file) : got;
}

static CURLcode set_transfer(CURL *easy, kf_http_link *link, const kf_http_client_options *options)
{
    CURLcode got = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    if (got == CURLE_OK)
        got = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, options->unix_path != NULL ? "http" : "https");
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, link->client->headers);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, link->reason);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_response);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_WRITEDATA, link);
    if (got == CURLE_OK)
        got = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_milliseconds);
    if (got == CURLE_OK && options->unix_path != NULL)
        got = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_path);
    return got;
}

static kf_code link_new(kf_http_client *client, kf_http_link **ret_link, kf_error *error)
{
    kf_http_link *link = calloc(1, sizeof *link);
    if (link == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    link->client = client;
    link->response = KF_BUFFER_INIT;
    link->easy = curl_easy_init();
    CURLcode got =
        link->easy != NULL ? set_transfer(link->easy, link, &client->options) : CURLE_OUT_OF_MEMORY;
    if (got == CURLE_OK && client->trust != NULL) got = set_tls(link->easy, link, &client->options);
    if (got != CURLE_OK) {
        link_free(link);
        return kf_fail(error, KF_ERR_INTERNAL, "the HTTP client cannot be set up: %s",
                       curl_easy_strerror(got));
    }
    *ret_link = link;
    return KF_OK;
}

/* Waits while all are in use. */
static kf_code link_take(kf_http_client *client, kf_http_link **ret_link, kf_error *error)
{
    (void)pthread_mutex_lock(&client->lock);
    while (client->idle == NULL && client->links >= client->options.connection_limit)
        (void)pthread_cond_wait(&client->returned, &client->lock);
    kf_http_link *link = client->idle;
    if (link != NULL)
        client->idle = link->next;
    else
        client->links++;
    (void)pthread_mutex_unlock(&client->lock);
    if (link == NULL) {
        kf_code code = link_new(client, &link, error);
        if (code != KF_OK) {
            (void)pthread_mutex_lock(&client->lock);
            client->links--;
            (void)pthread_cond_signal(&client->returned);
            (void)pthread_mutex_unlock(&client->lock);
            return code;
        }
    }
    *ret_link = link;
    return KF_OK;
}

static void link_return(kf_http_link *link)
{
    kf_http_client *client = link->client;
    (void)pthread_mutex_lock(&client->lock);
    link->next = client->idle;
    client->idle = link;
    (void)pthread_cond_signal(&client->returned);
    (void)pthread_mutex_unlock(&client->lock);
}

/* ---- calls ---- */

static const char *server_name(const kf_http_client *client)
{
    return client->options.unix_path != NULL ? client->options.unix_path : client->options.base_url;
}

static kf_code explain_certificate(const kf_http_link *link, kf_error *error)
{
    const char *name = server_name(link->client);
    const char *ca = link->client->options.ca_file;
    long verified = 0;
    (void)curl_easy_getinfo(link->easy, CURLINFO_SSL_VERIFYRESULT, &verified);
    unsigned status = (unsigned)verified;
    if ((status & (unsigned)GNUTLS_CERT_EXPIRED) != 0)
        return kf_fail(error, KF_ERR_TLS,
                       "%s: the server's certificate, or its CA's, has expired; issue a new one", name);
    if ((status & (unsigned)GNUTLS_CERT_NOT_ACTIVATED) != 0)
        return kf_fail(error, KF_ERR_TLS,
                       "%s: the server's certificate is not valid yet; check the clocks of both machines",
                       name);
    if ((status & (unsigned)GNUTLS_CERT_SIGNER_NOT_FOUND) != 0)
        return kf_fail(error, KF_ERR_TLS, "%s: the server's certificate was not issued by the CA in %s", name,
                       ca);
    return kf_fail(error, KF_ERR_TLS, "%s: the server's certificate is refused: %s", name, link->reason);
}

/* A unit that ends, or is killed, breaks handshakes off without a word; one that refuses sends an alert. */
static bool is_broken_off(const kf_http_link *link, const char *reason)
{
    long number = 0;
    if (curl_easy_getinfo(link->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number != 0) return true;
    return strstr(reason, gnutls_strerror(GNUTLS_E_PREMATURE_TERMINATION)) != NULL;
}

static kf_code explain_unreachable(const kf_http_link *link, const char *reason, kf_error *error)
{
    const char *socket = link->client->options.unix_path;
    if (socket != NULL) /* curl speaks of localhost and a port then */
        return kf_fail(error, KF_ERR_UNREACHABLE,
                       "nobody answers on the socket %s; is the program running, and may this user open it?",
                       socket);
    return kf_fail(error, KF_ERR_UNREACHABLE,
                   "%s cannot be reached: %s; is it running, and is the address right?",
                   server_name(link->client), reason);
}

static kf_code explain_failure(const kf_http_link *link, CURLcode got, kf_error *error)
{
    const char *name = server_name(link->client);
    const char *reason = link->reason[0] != '\0' ? link->reason : curl_easy_strerror(got);
    if (link->refusal.code == KF_ERR_PEER)
        return kf_fail(error, KF_ERR_PEER, "%s: %s", name, kf_error_text(&link->refusal));
    if (link->refusal.code != KF_OK)
        return kf_fail(error, link->refusal.code, "%s", kf_error_text(&link->refusal));
    switch (got) {
    case CURLE_PEER_FAILED_VERIFICATION: return explain_certificate(link, error);
    case CURLE_OPERATION_TIMEDOUT:
        return kf_fail(error, KF_ERR_TIMEOUT, "%s did not answer in time: %s", name, reason);
    case CURLE_SSL_CONNECT_ERROR:
        if (is_broken_off(link, reason)) return explain_unreachable(link, reason, error);
        return kf_fail(error, KF_ERR_TLS, "%s: no TLS connection: %s", name, reason);
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return kf_fail(error, KF_ERR_TLS, "%s: no TLS connection: %s", name, reason);
    case CURLE_OUT_OF_MEMORY: return kf_fail_plain(error, KF_ERR_MEMORY);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return kf_fail(error, KF_ERR_UNREACHABLE,
                       "%s ended the connection before its answer was there: %s; is it still running?", name,
                       reason);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return kf_fail(error, KF_ERR_PEER, "%s gave no answer that is understood: %s", name, reason);
    default: return explain_unreachable(link, reason, error);
    }
}

/* The problem's code and sentence, as the other unit gave them. */
static kf_code take_problem(const kf_http_link *link, long status, kf_error *error)
{
    const char *name = server_name(link->client);
    json_t *problem = NULL;
    const char *type = NULL;
    const char *detail = NULL;
    kf_code code = KF_ERR_PEER;
    if (kf_json_parse(kf_buffer_view(&link->response), &problem, NULL) == KF_OK) {
        type = json_string_value(json_object_get(problem, "type"));
        detail = json_string_value(json_object_get(problem, "detail"));
    }
    size_t prefix = strlen(PROBLEM_TYPE_PREFIX);
    if (type != NULL && strncmp(type, PROBLEM_TYPE_PREFIX, prefix) == 0) {
        code = kf_code_from_name(type + prefix);
        /* A name that the table does not have gives KF_ERR_INTERNAL. */
        if (code == KF_OK || strcmp(kf_code_name(code), type + prefix) != 0) code = KF_ERR_PEER;
    }
    if (code != KF_ERR_PEER && detail != NULL)
        (void)kf_fail(error, code, "%s", detail);
    else if (detail != NULL)
        (void)kf_fail(error, code, "%s answers HTTP %ld (%.80s): %.300s", name, status,
                      type != NULL ? type : "no type", detail);
    else if (status == 503)
        code = kf_fail(error, KF_ERR_BUSY, "%s answers HTTP 503; try again", name);
    else
        (void)kf_fail(error, code, "%s answers HTTP %ld without a problem document", name, status);
    kf_json_free(&problem);
    return code;
}

static kf_code take_answer(const kf_http_link *link, json_t **ret_json, kf_error *error)
{
    long status = 0;
    (void)curl_easy_getinfo(link->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299) return take_problem(link, status, error);
    json_t *json = NULL;
    kf_error reason = {KF_OK, ""};
    if (link->response.size > 0 && kf_json_parse(kf_buffer_view(&link->response), &json, &reason) != KF_OK)
        return kf_fail(error, KF_ERR_PEER, "%s: the answer: %s", server_name(link->client),
                       kf_error_text(&reason));
    *ret_json = json;
    return KF_OK;
}

static CURLcode set_call(kf_http_link *link, const kf_http_call *call, const char *url, const kf_buffer *body)
{
    CURL *easy = link->easy;
    unsigned timeout = call->timeout_milliseconds != 0 ? call->timeout_milliseconds
                                                       : link->client->options.total_timeout_milliseconds;
    CURLcode got = curl_easy_setopt(easy, CURLOPT_URL, url);
    if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout);
    if (got == CURLE_OK && call->body == NULL) got = curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (got == CURLE_OK && call->body != NULL) {
        got = curl_easy_setopt(easy, CURLOPT_POST, 1L);
        if (got == CURLE_OK)
            got = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
        if (got == CURLE_OK) got = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)body->data);
    }
    return got == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method) : got;
}

static kf_code perform(kf_http_link *link, const kf_http_call *call, json_t **ret_json, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer url = kf_buffer_with_limit(URL_MAX);
    KF_CLEANUP(kf_buffer_clear) kf_buffer body = KF_BUFFER_INIT;
    const kf_http_client_options *options = &link->client->options;
    kf_buffer_append_text(&url, options->unix_path != NULL ? "http://localhost" : options->base_url);
    kf_buffer_append_text(&url, call->path);
    const char *address = kf_buffer_text(&url);
    if (address == NULL) return kf_fail(error, KF_ERR_ARGUMENT, "an address longer than %zu bytes", URL_MAX);
    if (call->body != NULL) KF_TRY(kf_fail_plain(error, kf_json_write(call->body, &body)));
    link->refusal = (kf_error){KF_OK, ""};
    link->reason[0] = '\0';
    kf_buffer_clear(&link->response);
    CURLcode got = set_call(link, call, address, &body);
    if (got == CURLE_OK) got = curl_easy_perform(link->easy);
    kf_code code = got == CURLE_OK ? take_answer(link, ret_json, error) : explain_failure(link, got, error);
    kf_buffer_clear(&link->response);
    return code;
}

kf_code kf_http_client_call(kf_http_client *client, const kf_http_call *call, json_t **ret_json,
                            kf_error *error)
{
    kf_http_link *link = NULL;
    json_t *json = NULL;
    KF_TRY(link_take(client, &link, error));
    kf_code code = perform(link, call, &json, error);
    link_return(link);
    if (code == KF_OK) *ret_json = json;
    return code;
}

/* ---- the client ---- */

static kf_code keep(kf_http_client *client, const char **text, kf_error *error)
{
    if (*text == NULL) return KF_OK;
    char *copy = strdup(*text);
    if (copy == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    client->texts[client->text_count++] = copy;
    *text = copy;
    return KF_OK;
}

static kf_code keep_options(kf_http_client *client, kf_error *error)
{
    kf_http_client_options *options = &client->options;
    const char **texts[] = {&options->base_url,         &options->unix_path, &options->ca_file,
                            &options->certificate_file, &options->key_file,  &options->expected_name,
                            &options->crl_file};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        KF_TRY(keep(client, texts[i], error));
    if (options->connect_timeout_milliseconds == 0) options->connect_timeout_milliseconds = 5000;
    if (options->total_timeout_milliseconds == 0) options->total_timeout_milliseconds = 30000;
    if (options->response_limit == 0) options->response_limit = RESPONSE_LIMIT_DEFAULT;
    if (options->connection_limit == 0) options->connection_limit = 16;
    if (options->connection_limit > CONNECTIONS_MAX) options->connection_limit = CONNECTIONS_MAX;
    return KF_OK;
}

static kf_code check_files(kf_http_client *client, kf_error *error)
{
    const kf_http_client_options *options = &client->options;
    if (options->base_url == NULL || strncmp(options->base_url, "https://", 8) != 0)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "\"%.200s\" is no address of a unit; give https://HOST:PORT",
                       options->base_url != NULL ? options->base_url : "");
    size_t length = strlen(options->base_url);
    if (options->base_url[length - 1] == '/')
        return kf_fail(error, KF_ERR_CONFIGURATION, "address %.200s ends in a slash; leave it out",
                       options->base_url);
    if (options->ca_file == NULL || (options->certificate_file == NULL) != (options->key_file == NULL))
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "a CA file, and a certificate file with its key file, are needed for %.200s",
                       options->base_url);
    KF_TRY(kf_tls_trust_of_file(options->ca_file, &client->trust, error));
    if (options->crl_file != NULL) KF_TRY(kf_tls_trust_revoke_by(client->trust, options->crl_file, error));
    if (options->certificate_file == NULL) return KF_OK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer certificate = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer key = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(options->certificate_file, KF_TLS_FILE_MAX, &certificate, error));
    KF_TRY(kf_file_read(options->key_file, KF_TLS_FILE_MAX, &key, error));
    return kf_certificate_check_pair(kf_buffer_view(&certificate), kf_buffer_view(&key),
                                     options->certificate_file, error);
}

static kf_code set_up(kf_http_client *client, kf_error *error)
{
    (void)pthread_once(&library_once, start_library);
    if (library_status != CURLE_OK)
        return kf_fail(error, KF_ERR_INTERNAL, "the HTTP client library cannot be started");
    KF_TRY(keep_options(client, error));
    client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (client->headers == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    return client->options.unix_path != NULL ? KF_OK : check_files(client, error);
}

kf_code kf_http_client_new(const kf_http_client_options *options, kf_http_client **ret_client,
                           kf_error *error)
{
    kf_http_client *client = calloc(1, sizeof *client);
    if (client == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    client->options = *options;
    (void)pthread_mutex_init(&client->lock, NULL);
    (void)pthread_cond_init(&client->returned, NULL);
    kf_code code = set_up(client, error);
    if (code != KF_OK) {
        kf_http_client_free(&client);
        return code;
    }
    *ret_client = client;
    return KF_OK;
}

void kf_http_client_free(kf_http_client **ret_client)
{
    kf_http_client *client = *ret_client;
    if (client == NULL) return;
    *ret_client = NULL;
    while (client->idle != NULL) {
        kf_http_link *link = client->idle;
        client->idle = link->next;
        link_free(link);
    }
    kf_tls_trust_free(&client->trust);
    curl_slist_free_all(client->headers);
    for (size_t i = 0; i < client->text_count; i++)
        free(client->texts[i]);
    (void)pthread_cond_destroy(&client->returned);
    (void)pthread_mutex_destroy(&client->lock);
    free(client);
}

void kf_http_escape(kf_buffer *buffer, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            kf_buffer_append_u8(buffer, (uint8_t)*text);
        else
            kf_buffer_format(buffer, "%%%02X", (unsigned)(uint8_t)*text);
    }
}
