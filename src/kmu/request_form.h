/* A request as a host sends it: docs/messages.md, "A request". */
#ifndef KEYFILL_KMU_REQUEST_FORM_H
#define KEYFILL_KMU_REQUEST_FORM_H

#include <jansson.h>

#include "vault/procedure_state.h"

#define KF_REQUEST_BODY_MAX ((size_t)64 * 1024) /* bytes */

typedef struct kf_request_form {
    kf_procedure_request request;    /* category and number as given; no actor, no module hash yet */
    char identity[KF_IDENTITY_SIZE]; /* "kdd:…" from the diversification data that the card shows; "" without.
                                        A hint */
} kf_request_form;

/* KF_ERR_FIELD names the member, KF_ERR_OPERATION the operation. */
kf_code kf_request_form_read(const json_t *body, kf_request_form *ret_form, kf_error *error) KF_MUST_USE;
/* The members of "card" alone. */
kf_code kf_request_form_read_card(const json_t *body, kf_request_form *form, kf_error *error) KF_MUST_USE;

#endif
