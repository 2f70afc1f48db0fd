/* Scripts of remote management in both forms (ETSI TS 102 226 5.1 compact, 5.2 expanded). */
#ifndef KEYFILL_SOFTCARD_REMOTE_SCRIPT_H
#define KEYFILL_SOFTCARD_REMOTE_SCRIPT_H

#include "softcard/card.h"

/* What a packet has done so far. `waiting` is for GET RESPONSE. */
typedef struct softcard_remote_run {
    unsigned count;
    softcard_status last;
    kf_buffer waiting;
    kf_buffer answer;
} softcard_remote_run;

bool softcard_remote_is_good(softcard_status status);
/* Runs one command; its data go to `run->answer`, or wait where the command `holds` them back. */
softcard_status softcard_remote_run_one(softcard_request *request, softcard_remote_run *run, bool holds);

/* No command begins as a scripting template does. */
bool softcard_remote_is_expanded(kf_view commands);
/* Up to the first command that fails; appends a response scripting template in the form of the command's. */
kf_code softcard_remote_execute_expanded(softcard *card, kf_view commands, softcard_remote_run *run,
                                         kf_buffer *result) KF_MUST_USE;

#endif
