/* One operation: report the card, ask the host, carry scripts to the card and answers back until it is over.
 */
#ifndef KEYFILL_TERMINAL_OPERATION_H
#define KEYFILL_TERMINAL_OPERATION_H

#include <jansson.h>

#include "terminal/card_report.h"
#include "terminal/run_script.h"

#define KF_REQUEST_ID_SIZE 33 /* 32 lower-case hex digits and the zero */

/* The host as the terminal sees it. */
typedef struct kf_host_link {
    void *context;
    /* POST `body` to `path`. KF_OK with the answer (the caller frees), or the problem as the host gave it, or
     * KF_ERR_UNREACHABLE and the like. */
    kf_code (*post)(void *context, const char *path, const json_t *body, json_t **ret_answer,
                    kf_error *error);
    /* Waits so many milliseconds before a message is sent again. */
    void (*pause)(void *context, unsigned milliseconds);
} kf_host_link;

typedef struct kf_operation_means {
    kf_reader *reader;
    const kf_host_link *host;
    const char *id;           /* of the request: 32 lower-case hex digits */
    unsigned card_wait;       /* milliseconds to wait for a card */
    unsigned command_timeout; /* milliseconds a command */
} kf_operation_means;

/* A new id from the operating system's randomness. */
kf_code kf_request_id_new(char ret_id[KF_REQUEST_ID_SIZE]) KF_MUST_USE;

/* Connects to the card and reads its report; disconnecting stays with the caller. */
kf_code kf_operation_read_card(const kf_operation_means *operation, const kf_secret *pin1,
                               kf_card_report *ret_report, kf_error *error) KF_MUST_USE;

/* Carries out `request`: the object of POST /v1/operations (docs/messages.md); it stays the caller's, its
 * "pin1" is used here and not sent on. `*ret_result` is the result with "milliseconds" and "trace"; the
 * caller frees. A message whose answer was lost is sent again, the same, a bounded number of times.
 * KF_ERR_PEER where the host's answer is not understood, else the reader's or the host's failure. */
kf_code kf_operation_run(const kf_operation_means *operation, const json_t *request, json_t **ret_result,
                         kf_error *error) KF_MUST_USE;

#endif
