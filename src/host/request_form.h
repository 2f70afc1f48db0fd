/* A request as a terminal sends it (docs/messages.md, A request), checked member by member. */
#ifndef KEYFILL_HOST_REQUEST_FORM_H
#define KEYFILL_HOST_REQUEST_FORM_H

#include "host/host.h"
#include "wire/operation.h"

typedef enum kf_number_source {
    KF_NUMBER_NONE, /* not a fill */
    KF_NUMBER_OF_CARD,
    KF_NUMBER_ALLOCATE,
    KF_NUMBER_TYPED,
} kf_number_source;

/* Texts point into the JSON; NULL where absent. */
typedef struct kf_request_form {
    const char *id;
    kf_operation operation;
    kf_number_source number_source;
    const char *number; /* typed, or the card's */
    const char *card_number;
    const char *iccid;
    const char *category;
    const char *order;
    const char *personalise;
    const json_t *personalisation;
    const json_t *card;
    char card_reference[KF_CARD_REFERENCE_SIZE]; /* "iccid:…", "kdd:…", "cplc:…", else "" */
} kf_request_form;

/* Where a fill names no number_source, it is `typed` if a number is given, `card` if the card has one, else
 * `allocate`. KF_ERR_OPERATION for an unknown operation, KF_ERR_FIELD for the rest. */
kf_code kf_request_form_read(const json_t *json, kf_request_form *ret_form, kf_error *error) KF_MUST_USE;
/* The body of …/messages. */
kf_code kf_request_message_check(const json_t *json, kf_error *error) KF_MUST_USE;

#endif
