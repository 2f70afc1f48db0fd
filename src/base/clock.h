/* The time of day, for records and rows. What decides takes the time as an argument instead. */
#ifndef KEYFILL_BASE_CLOCK_H
#define KEYFILL_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970, UTC. */
uint64_t kf_clock_now_ms(void);

#endif
