/* The calling edge: one client a peer, over mutual TLS 1.3 with connections kept alive, or over a local
 * socket. JSON goes out, JSON comes in, and a problem document comes back as the kf_error that the other unit
 * gave. */
#ifndef KEYFILL_WIRE_HTTP_CLIENT_H
#define KEYFILL_WIRE_HTTP_CLIENT_H

#include <jansson.h>

#include "wire/tls_identity.h"

typedef struct kf_http_client kf_http_client;

/* Texts are copied. */
typedef struct kf_http_client_options {
    const char *base_url;  /* "https://kmu.example:8443"; NULL with unix_path */
    const char *unix_path; /* a local socket, without TLS */
    const char *ca_file;
    const char *certificate_file; /* with its chain; NULL: none is shown (enrolment) */
    const char *key_file;
    const char *crl_file; /* revocation lists (kf_tls_trust_revoke_by); NULL: none */
    kf_peer_role
        expected_role; /* the server's; KF_PEER_NONE: any certificate of the CA whose host name fits */
    const char *expected_name; /* NULL: any */
    /* 0: the default */
    unsigned connect_timeout_milliseconds; /* 5 000 */
    unsigned total_timeout_milliseconds;   /* 30 000 */
    size_t response_limit;                 /* bytes: 4 MiB */
    size_t connection_limit;               /* calls at a time: 16; a further one waits for its turn */
} kf_http_client_options;

/* Makes no connection yet, but reads the certificate files once: KF_ERR_CERTIFICATE, KF_ERR_FILE,
 * KF_ERR_CONFIGURATION. Shared between threads. */
kf_code kf_http_client_new(const kf_http_client_options *options, kf_http_client **ret_client,
                           kf_error *error) KF_MUST_USE;
/* No call may be under way. Frees, sets NULL. Fits KF_CLEANUP. */
void kf_http_client_free(kf_http_client **client);

typedef struct kf_http_call {
    const char *method;
    const char *path;              /* with its query, percent-encoded: kf_http_escape */
    const json_t *body;            /* NULL: none */
    unsigned timeout_milliseconds; /* 0: the client's */
} kf_http_call;

/* Waits for the answer. KF_OK: any 2xx; `*ret_json` is the body (the caller's), NULL where it was empty.
 * Where the other unit gave a problem: its code and its sentence, as they are; its "request", if it has one,
 * is part of neither and is lost. Otherwise KF_ERR_UNREACHABLE, KF_ERR_TIMEOUT, KF_ERR_TLS (its certificate,
 * or its role, is not what is expected; or it refuses ours), KF_ERR_PEER (not understood, or too long). */
kf_code kf_http_client_call(kf_http_client *client, const kf_http_call *call, json_t **ret_json,
                            kf_error *error) KF_MUST_USE;

/* Appends `text` percent-encoded as one path segment or query value. */
void kf_http_escape(kf_buffer *buffer, const char *text);

#endif
