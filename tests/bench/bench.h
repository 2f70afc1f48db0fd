/* The frame of all benches: each measurement beside its limit, taken in turn in the same run; medians. */
#ifndef KEYFILL_TESTS_BENCH_H
#define KEYFILL_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#define BENCH_CANDIDATES_MAX 4

/* One way of doing the work: `count` times, within `context`. */
typedef struct bench_candidate {
    const char *name;
    void (*run)(void *context, size_t count);
    size_t count; /* a round: some tenths of a millisecond of work */
} bench_candidate;

typedef struct bench_result {
    double nanoseconds[BENCH_CANDIDATES_MAX]; /* for one time, the median of the rounds */
} bench_result;

/* How fast candidate 0 has to be beside candidate `than`. */
typedef struct bench_goal {
    const char *what;
    size_t than;
    double least;
} bench_goal;

typedef struct bench_plan {
    size_t rounds;
    size_t goal_count;
    bench_goal goals[2];
} bench_plan;

/* First of all: takes `--json`, for one JSON object at the end instead of lines; ends the program on any
 * other argument. */
void bench_start(const char *name, int argument_count, char **arguments);
/* What follows is about something else. */
void bench_section(const char *title);

/* Runs all candidates in turn, round after round, after one round that does not count. Time is that of the
 * processor. What falls short of a goal is measured again, a few times: a neighbour on the machine slows long
 * code more than short. Rounds are many and short, so that a neighbour meets all candidates of one. */
bench_result bench_compare(const bench_candidate *candidates, size_t count, void *context,
                           const bench_plan *plan);
/* How many times as fast candidate `which` of the last comparison was as candidate `than`: the median of the
 * ratios in the quieter half of the rounds, those in which both were nearest to their best. */
double bench_ratio(size_t which, size_t than);
/* Prints each goal and whether it is reached; counts it. */
void bench_judge(const bench_plan *plan);

/* Prints the ratio, and whether `least` is reached; counts it. */
void bench_at_least(const char *what, double ratio, double least_ratio);
/* Prints a ratio that has no limit. */
void bench_tell(const char *what, double ratio);
/* The same as bench_at_least for what must not exceed a limit. */
void bench_at_most(const char *what, double value, double most, const char *unit);
/* Prints the rates of one comparison, as a section of its own. */
void bench_show(const char *title, const bench_candidate *candidates, size_t count,
                const bench_result *result);

/* Bytes of memory that the process holds now. */
size_t bench_resident_bytes(void);

/* Ends the program where the two differ: a bench that computes something else measures nothing. */
void bench_same(const char *what, const void *left, const void *right, size_t size);
/* Ends the program unless `good`. */
void bench_need(bool good, const char *what);

/* Prints `bench: N met, N missed`; the exit status of the program. */
int bench_end(void);

#endif
