#include "terminal/run_script.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define TRACE_FIRST_CAPACITY 32

void kf_trace_clear(kf_trace *trace)
{
    free(trace->lines);
    *trace = (kf_trace){NULL, 0, 0};
}

static kf_code trace_append(kf_trace *trace, const kf_trace_line *line)
{
    if (trace->count == KF_TRACE_LINES_MAX) return KF_ERR_TOO_LONG;
    if (trace->count == trace->capacity) {
        size_t capacity = trace->capacity == 0 ? TRACE_FIRST_CAPACITY : 2 * trace->capacity;
        kf_trace_line *lines = reallocarray(trace->lines, capacity, sizeof *lines);
        if (lines == NULL) return KF_ERR_MEMORY;
        trace->lines = lines;
        trace->capacity = capacity;
    }
    trace->lines[trace->count++] = *line;
    return KF_OK;
}

const char *kf_script_stop_word(const kf_script_stop *stop)
{
    switch (stop->code) {
    case KF_OK: return NULL;
    case KF_ERR_CARD_REMOVED: return "card-removed";
    case KF_ERR_NO_CARD: return "no-card";
    case KF_ERR_READER_TIMEOUT: return "timeout";
    default: return "reader";
    }
}

static uint64_t now_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static kf_code send_entry(const kf_script_run *run, const kf_script_entry *entry,
                          kf_card_response *ret_response, kf_script_stop *stop)
{
    kf_card_response response = {.size = 0};
    uint64_t start = now_microseconds();
    stop->code = kf_reader_transmit(run->reader, kf_view_of(entry->command, entry->command_size),
                                    run->timeout, &response, &stop->error);
    kf_trace_line line = {.round_trip = run->round_trip,
                          .status_word = kf_card_response_status_word(&response),
                          .microseconds = (unsigned)(now_microseconds() - start)};
    memcpy(line.label, entry->label, sizeof line.label);
    kf_log(KF_LOG_DEBUG, "%s: %04X, %u µs", line.label, line.status_word, line.microseconds);
    *ret_response = response;
    return trace_append(run->trace, &line);
}

kf_code kf_script_run_all(const kf_script_run *run, const kf_script *script, kf_script_answers *answers,
                          kf_script_stop *ret_stop)
{
    kf_script_stop stop = {.code = KF_OK};
    size_t index = 0;
    while (index < script->count) {
        kf_card_response response;
        KF_TRY(send_entry(run, &script->entries[index], &response, &stop));
        if (stop.code != KF_OK) break;
        KF_TRY(kf_script_answers_append(answers, (uint16_t)index, kf_view_of(response.bytes, response.size)));
        size_t next = KF_SCRIPT_END;
        if (kf_script_follow(script, index, kf_card_response_status_word(&response), &next) != KF_OK) break;
        /* Forward only, whatever the script says: it must end. */
        if (next == KF_SCRIPT_END || next <= index) break;
        index = next;
    }
    *ret_stop = stop;
    return KF_OK;
}
