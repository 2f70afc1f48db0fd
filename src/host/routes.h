/* The host's routes (docs/messages.md, Routes). The server's context is a kf_route_context. */
#ifndef KEYFILL_HOST_ROUTES_H
#define KEYFILL_HOST_ROUTES_H

#include "host/host.h"
#include "wire/http_server.h"

typedef struct kf_route_context {
    kf_host *host;
    /* There may be something to deliver to the issuing server now. */
    void (*wake)(void *wake_context);
    void *wake_context;
} kf_route_context;

extern const kf_http_route kf_host_routes[];
extern const size_t kf_host_route_count;

/* kf_http_server_options.refused: an audit row for every call by a wrong role. */
void kf_host_refused(void *context, const kf_http_request *request, const kf_error *error);

/* kf_http_server_options.answered: a line of the log. */
void kf_host_answered(void *context, const kf_http_request *request, int status, unsigned microseconds);

typedef struct kf_actor {
    char text[KF_PEER_NAME_MAX + 24]; /* "administrator:anna" */
} kf_actor;
kf_actor kf_actor_of(const kf_http_request *request);

/* Handlers: terminal_routes.c */
kf_code kf_host_post_request(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_post_message(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_post_lookup(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_get_modules(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_post_enrolment(void *, const kf_http_request *, kf_http_response *, kf_error *);
/* administration_routes.c */
kf_code kf_host_get_terminals(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_post_terminal(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_patch_terminal(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_get_numbers(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_post_numbers(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_get_orders(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_put_order(void *, const kf_http_request *, kf_http_response *, kf_error *);
kf_code kf_host_get_audit(void *, const kf_http_request *, kf_http_response *, kf_error *);

#endif
