/* Scripts and their answers as JSON: the members "script" and "answers" of docs/messages.md. */
#ifndef KEYFILL_WIRE_SCRIPT_JSON_H
#define KEYFILL_WIRE_SCRIPT_JSON_H

#include "card/script.h"
#include "wire/json.h"

/* Characters of a sealed token in base64url: the state of a request, and of a list of applications what the
 * card has told so far. */
#define KF_TOKEN_TEXT_MAX ((size_t)88 * 1024)

/* Sets `object`'s member "script". */
kf_code kf_script_to_json(const kf_script *script, json_t *object) KF_MUST_USE;
/* From `object`'s member "script"; checked as by kf_script_check. KF_ERR_FIELD names entry and member. The
 * caller clears the script. */
kf_code kf_script_from_json(const json_t *object, kf_script *ret_script, kf_error *error) KF_MUST_USE;

/* Sets `object`'s member "answers". */
kf_code kf_script_answers_to_json(const kf_script_answers *answers, json_t *object) KF_MUST_USE;
/* From `object`'s member "answers"; entries rise, responses have 2 to KF_SCRIPT_RESPONSE_MAX bytes. The
 * caller clears. */
kf_code kf_script_answers_from_json(const json_t *object, kf_script_answers *ret_answers,
                                    kf_error *error) KF_MUST_USE;

#endif
