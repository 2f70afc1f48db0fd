/* What the units between terminal and vault check alike in requests and messages (docs/messages.md, A
 * request). All give KF_ERR_FIELD. */
#ifndef KEYFILL_WIRE_REQUEST_JSON_H
#define KEYFILL_WIRE_REQUEST_JSON_H

#include <jansson.h>

#include <keyfill/error.h>

#define KF_REQUEST_ID_DIGITS 32

/* 32 lower-case hexadecimal digits. */
kf_code kf_request_id_check(const char *id, kf_error *error) KF_MUST_USE;
/* The member `card` of a request or a lookup: its members, their kinds and sizes. */
kf_code kf_card_report_check(const json_t *card, kf_error *error) KF_MUST_USE;
/* The member `stopped` of a message; `ret_word` is untouched where it is absent. Owned by `message`. */
kf_code kf_stop_word_read(const json_t *message, const char **ret_word, kf_error *error) KF_MUST_USE;

#endif
