/* An operator's issuing server, for tests: it keeps numbers in memory and answers the host's hook over mutual
 * TLS.
 *
 *     POST /hook/reserve, /hook/bind, /hook/release    as src/host/issuing_server.h has it
 *     GET  /hook/numbers                               {"numbers": [{"number", "state", "request"?,
 * "iccid"?}]} POST /hook/mode {"mode": "good"|"unavailable"|"refusing"}
 */
#ifndef TEST_ISSUING_SERVER_H
#define TEST_ISSUING_SERVER_H

#include "wire/http_server.h"

typedef enum issuing_mode {
    ISSUING_GOOD,
    ISSUING_UNAVAILABLE, /* 503 to everything of the hook */
    ISSUING_REFUSING,    /* 409 to everything of the hook */
} issuing_mode;

typedef struct issuing_server_options {
    uint16_t port; /* 0: a free one */
    const char *ca_file;
    const char *certificate_file;
    const char *key_file;
    const char *const *numbers;
    size_t number_count;
} issuing_server_options;

typedef struct issuing_server issuing_server;

kf_code issuing_server_start(const issuing_server_options *options, issuing_server **ret_server,
                             kf_error *error) KF_MUST_USE;
uint16_t issuing_server_port(const issuing_server *server);
void issuing_server_set_mode(issuing_server *server, issuing_mode mode);
/* "free", "reserved", "bound", "released", or "unknown". A static string. */
const char *issuing_server_state_of(issuing_server *server, const char *number);
/* Waits until the number has the state; false after `milliseconds`. */
bool issuing_server_wait_for(issuing_server *server, const char *number, const char *state,
                             unsigned milliseconds);
void issuing_server_stop(issuing_server **server);

#endif
