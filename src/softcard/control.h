/* The control line protocol, by which tests and people handle a running card: one command a line, answered by
 * "ok" or "error: …". */
#ifndef KEYFILL_SOFTCARD_CONTROL_H
#define KEYFILL_SOFTCARD_CONTROL_H

#include "softcard/softcard.h"

typedef enum softcard_wish {
    SOFTCARD_WISH_NONE,
    SOFTCARD_WISH_REMOVE,
    SOFTCARD_WISH_INSERT,
    SOFTCARD_WISH_QUIT,
} softcard_wish;

enum { SOFTCARD_CONTROL_LINE_MAX = 128 };

/* "N before" or "N after", or with a colon. KF_ERR_USAGE. */
kf_code softcard_tear_parse(const char *text, uint64_t *ret_number, bool *ret_after,
                            kf_error *error) KF_MUST_USE;

/* Runs one line (without its end) and appends what it answers; what is to be done with the contacts is the
 * caller's. */
softcard_wish softcard_control_line(softcard *card, const char *line, kf_buffer *answer);

#endif
