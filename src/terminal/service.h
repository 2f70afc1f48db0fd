/* The terminal as a service: its local socket's routes, around one reader and one host. It is a relay and
 * holds no key. */
#ifndef KEYFILL_TERMINAL_SERVICE_H
#define KEYFILL_TERMINAL_SERVICE_H

#include <sys/types.h>

#include "terminal/operation.h"
#include "wire/http_server.h"

typedef struct kf_terminal_service kf_terminal_service;

typedef struct kf_terminal_service_options {
    const char *reader_uri;
    const char *socket_path;
    mode_t socket_mode;
    const char *name;         /* the terminal's, from its certificate */
    const char *host_url;     /* shown by /v1/status */
    const kf_host_link *host; /* calls come from several threads; outlives the service */
    unsigned card_wait;       /* milliseconds */
    unsigned command_timeout; /* milliseconds */
} kf_terminal_service_options;

/* Listens and serves in threads of its own. Texts are copied. */
kf_code kf_terminal_service_start(const kf_terminal_service_options *options,
                                  kf_terminal_service **ret_service, kf_error *error) KF_MUST_USE;
/* Lets the operation under way end; frees, sets NULL. */
void kf_terminal_service_stop(kf_terminal_service **service);

/* The routes of docs/messages.md. */
extern const kf_http_route kf_terminal_routes[];
extern const size_t kf_terminal_route_count;

#endif
