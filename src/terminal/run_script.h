/* Runs a script against the card: sends, compares status words, follows, collects. Nothing is interpreted. */
#ifndef KEYFILL_TERMINAL_RUN_SCRIPT_H
#define KEYFILL_TERMINAL_RUN_SCRIPT_H

#include "card/script.h"
#include "reader/reader.h"

/* What happened, for people: labels and status words, never a command's or response's data. */
typedef struct kf_trace_line {
    unsigned round_trip; /* the message whose script this was, from 1 */
    char label[KF_SCRIPT_LABEL_SIZE];
    uint16_t status_word; /* 0: there was no response */
    unsigned microseconds;
} kf_trace_line;

typedef struct kf_trace {
    kf_trace_line *lines;
    size_t count;
    size_t capacity;
} kf_trace;

#define KF_TRACE_LINES_MAX 16384

void kf_trace_clear(kf_trace *trace);

typedef struct kf_script_run {
    kf_reader *reader;
    unsigned timeout; /* milliseconds a command */
    unsigned round_trip;
    kf_trace *trace;
} kf_script_run;

/* Why there was no response to the next command; the words are those of docs/messages.md. */
typedef struct kf_script_stop {
    kf_code code; /* KF_OK: there was a response to every command that was sent */
    kf_error error;
} kf_script_stop;

/* "card-removed", "no-card", "reader", "timeout"; NULL for KF_OK. Static. */
const char *kf_script_stop_word(const kf_script_stop *stop);

/* Appends an answer for each command that was sent and answered, the one that stopped the script included. A
 * status word that is not acceptable, or a failing reader, is no failure of this function: the caller gets
 * the answers so far. KF_ERR_MEMORY. */
kf_code kf_script_run_all(const kf_script_run *run, const kf_script *script, kf_script_answers *answers,
                          kf_script_stop *ret_stop) KF_MUST_USE;

#endif
