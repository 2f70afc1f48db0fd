#include "reader/deadline.h"

static uint64_t now_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

kf_deadline kf_deadline_in(unsigned timeout)
{
    return (kf_deadline){now_milliseconds() + timeout};
}

unsigned kf_deadline_left(kf_deadline deadline)
{
    uint64_t now = now_milliseconds();
    return now >= deadline.milliseconds ? 0 : (unsigned)(deadline.milliseconds - now);
}

struct timespec kf_deadline_time(kf_deadline deadline)
{
    return (struct timespec){.tv_sec = (time_t)(deadline.milliseconds / 1000),
                             .tv_nsec = (long)(deadline.milliseconds % 1000) * 1000000};
}
