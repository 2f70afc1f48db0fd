/* Deadlines on the monotonic clock, inside the reader layer. */
#ifndef KEYFILL_READER_DEADLINE_H
#define KEYFILL_READER_DEADLINE_H

#include <stdint.h>
#include <time.h>

typedef struct kf_deadline {
    uint64_t milliseconds; /* of CLOCK_MONOTONIC */
} kf_deadline;

kf_deadline kf_deadline_in(unsigned timeout);
/* Milliseconds left; 0 once it is over. */
unsigned kf_deadline_left(kf_deadline deadline);
struct timespec kf_deadline_time(kf_deadline deadline);

#endif
