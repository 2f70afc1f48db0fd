/* A key act as it stands in the body of POST /v1/keys, and a key as JSON. */
#ifndef KEYFILL_VAULT_KEY_ACT_FORM_H
#define KEYFILL_VAULT_KEY_ACT_FORM_H

#include <jansson.h>

#include "vault/key_messages.h"

/* What is wanted where the request says nothing else. */
#define KF_KEY_TEMPLATE_PAYMENT "sp800-108-aes(role,number/bcd/10/right-F,generation/binary/2)"
#define KF_KEY_TEMPLATE_CARD_MANAGER "sp800-108-aes(role,kdd/hex)"
#define KF_KEY_TEMPLATE_ADM "sp800-108-aes(role,iccid/ascii/20/right-00)"

/* Generate, rotate, import, and changes of state; the actor is set by the caller. `sealed` holds the bytes
 * that `ret_request->sealed` views. KF_ERR_FIELD names the member. */
kf_code kf_key_act_form_read(const json_t *body, kf_buffer *sealed, kf_key_act_request *ret_request,
                             kf_error *error) KF_MUST_USE;

/* Sets the members of an act's answer in `json`. */
kf_code kf_key_act_answer_to_json(const kf_key_act_request *request, const kf_key_act_answer *answer,
                                  json_t *json) KF_MUST_USE;
kf_code kf_key_entry_to_json(const kf_key_entry *entry, json_t **ret_json) KF_MUST_USE;

#endif
