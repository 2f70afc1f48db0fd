/* The core of the key management unit's front: requests from hosts, step by step (S2 to S11). What a step
 * decides is the vault's; here it becomes durable, and only then leaves. The same message again gives the
 * same answer. */
#ifndef KEYFILL_KMU_REQUESTS_H
#define KEYFILL_KMU_REQUESTS_H

#include "kmu/cards.h"
#include "kmu/kmu.h"
#include "vault/procedure_messages.h"

/* POST /v1/requests */
kf_code kf_handle_request_begin(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error);
/* POST /v1/requests/{id}/messages */
kf_code kf_handle_request_message(void *context, const kf_http_request *request, kf_http_response *response,
                                  kf_error *error);
/* GET /v1/requests/{id} */
kf_code kf_handle_request_show(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error);

/* -- shared by the two (request_rows.c, request_answer.c) -- */

typedef struct kf_request_row {
    bool found;
    char caller[KF_ACTOR_SIZE];
    char id[KF_REQUEST_ID_SIZE];
    char terminal[KF_NAME_SIZE];
    char profile[KF_NAME_SIZE];
    char module[KF_NAME_SIZE];
    char iccid[KF_NUMBER_SIZE];
    char card[KF_IDENTITY_SIZE]; /* once it is proven, else "" */
    char state[16];              /* "open", "done", "failed" */
    char code[48];               /* of a failed one: KF_ERR_… */
    char operation[16];
    uint16_t step;
    uint16_t attempt;
    uint16_t stored_step; /* as they stand in the database: an update that finds others gives way */
    uint16_t stored_attempt;
    uint8_t body_digest[KF_DIGEST_SIZE];
    kf_buffer body;
    kf_buffer first_answer; /* JSON */
    kf_buffer message;      /* the sentence of a failed one */
} kf_request_row;

void kf_request_row_clear(kf_request_row *row);
kf_code kf_request_row_find(kf_database *database, const char *caller, const char *id,
                            kf_request_row *ret_row, kf_error *error) KF_MUST_USE;
/* Inside a transaction. KF_ERR_BUSY where the same request came twice at once. */
kf_code kf_request_row_insert(kf_database *database, const kf_request_row *row, int64_t now,
                              kf_error *error) KF_MUST_USE;
/* KF_ERR_BUSY where another message of the same request moved it on meanwhile: the same message again is
 * answered from the row. */
kf_code kf_request_row_update(kf_database *database, const kf_request_row *row, int64_t now,
                              kf_error *error) KF_MUST_USE;

/* What the message of that digest was answered, appended as JSON text; the failure that it ended the request
 * with is returned as it was told. */
kf_code kf_request_answer_find(kf_database *database, const kf_request_row *row, const uint8_t *digest,
                               bool *ret_found, kf_buffer *text, kf_error *error) KF_MUST_USE;
/* Inside a transaction. */
kf_code kf_request_answer_insert(kf_database *database, const kf_request_row *row, const uint8_t *digest,
                                 kf_view text, kf_error *error) KF_MUST_USE;

/* Whether a fault is the machine's, or that of a message that is not this request's: the request stays open
 * and the right message may come again. */
bool kf_request_fault_passes(kf_code code);

typedef struct kf_request_failure {
    const uint8_t *digest;     /* of the message that led to it */
    const kf_buffer *receipts; /* of the vault's acts for it */
    bool told_by_vault;        /* the receipts say that it failed, and why */
    kf_error reason;           /* as it is answered */
    kf_code cause;             /* as the front's own audit row has it; KF_OK: the reason's */
} kf_request_failure;

/* The request is over: row, card and audit rows in one transaction. Returns the reason, or a fault of the
 * database. Receipts are kept in both cases. */
kf_code kf_request_fail(kf_kmu *kmu, kf_request_row *row, const kf_request_failure *failure,
                        kf_error *error) KF_MUST_USE;

/* The answer's JSON, appended as text: the next script, or the result. */
kf_code kf_request_answer_write(const kf_request_row *row, const kf_procedure_message *message,
                                kf_buffer *text, kf_error *error) KF_MUST_USE;
/* Sends stored JSON text. */
kf_code kf_request_answer_send(const kf_buffer *text, kf_http_response *response,
                               kf_error *error) KF_MUST_USE;

/* Begins (again, for a new attempt) the request whose row holds the body: the vault's first script. Fills
 * profile and module of the row. KF_ERR_IN_PROGRESS where another request works on the card that is reported.
 * The caller clears `begun`. */
typedef struct kf_begun {
    kf_vault_answer vault_answer;
    kf_procedure_message message;
} kf_begun;
kf_code kf_request_begin(kf_kmu *kmu, kf_request_row *row, const json_t *body, kf_begun *begun,
                         kf_error *error) KF_MUST_USE;
void kf_begun_clear(kf_begun *begun);

#endif
