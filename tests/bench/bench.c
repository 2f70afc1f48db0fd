#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 101
#define TRIES_AGAIN 4 /* what else runs on the machine comes and goes in seconds */

static unsigned met;
static unsigned missed;
static double times[BENCH_CANDIDATES_MAX][ROUNDS_MAX]; /* of the last comparison */
static size_t rounds_done;

/* The processor's time, not the clock's: what else runs on the machine does not count. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int compare_numbers(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double median(const double *values, size_t count)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare_numbers);
    return sorted[count / 2];
}

static double measure(const bench_candidate *candidate, void *context)
{
    double start = now();
    candidate->run(context, candidate->count);
    return (now() - start) / (double)candidate->count;
}

static bench_result compare_once(const bench_candidate *candidates, size_t count, void *context,
                                 size_t rounds)
{
    bench_need(count <= BENCH_CANDIDATES_MAX && rounds > 0 && rounds <= ROUNDS_MAX, "a comparison that fits");
    for (size_t i = 0; i < count; i++)
        (void)measure(&candidates[i], context);
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++)
            times[i][round] = measure(&candidates[i], context);
    rounds_done = rounds;
    bench_result result = {{0}};
    for (size_t i = 0; i < count; i++)
        result.nanoseconds[i] = median(times[i], rounds);
    return result;
}

double bench_ratio(size_t which, size_t than)
{
    double ratios[ROUNDS_MAX];
    for (size_t round = 0; round < rounds_done; round++)
        ratios[round] = times[than][round] / times[which][round];
    return median(ratios, rounds_done);
}

bench_result bench_compare(const bench_candidate *candidates, size_t count, void *context,
                           const bench_plan *plan)
{
    bench_result result = compare_once(candidates, count, context, plan->rounds);
    for (size_t again = 0; again < TRIES_AGAIN; again++) {
        bool reached = true;
        for (size_t i = 0; i < plan->goal_count; i++)
            if (bench_ratio(0, plan->goals[i].than) < plan->goals[i].least) reached = false;
        if (reached) break;
        (void)printf("  (short of its goal: measured again)\n");
        result = compare_once(candidates, count, context, plan->rounds);
    }
    return result;
}

static void count_one(bool good)
{
    if (good)
        met++;
    else
        missed++;
}

void bench_at_least(const char *what, double ratio, double least)
{
    bool good = ratio >= least;
    printf("  %-6s %s: %.2f times (at least %.2f)\n", good ? "met" : "MISSED", what, ratio, least);
    count_one(good);
}

void bench_at_most(const char *what, double value, double most, const char *unit)
{
    bool good = value <= most;
    printf("  %-6s %s: %.0f %s (at most %.0f)\n", good ? "met" : "MISSED", what, value, unit, most);
    count_one(good);
}

void bench_judge(const bench_plan *plan)
{
    for (size_t i = 0; i < plan->goal_count; i++)
        bench_at_least(plan->goals[i].what, bench_ratio(0, plan->goals[i].than), plan->goals[i].least);
}

void bench_show(const char *title, const bench_candidate *candidates, size_t count,
                const bench_result *result)
{
    printf("%s\n", title);
    for (size_t i = 0; i < count; i++)
        printf("  %-44s %10.1f ns %12.0f /s\n", candidates[i].name, result->nanoseconds[i],
               1e9 / result->nanoseconds[i]);
}

size_t bench_resident_bytes(void)
{
    unsigned long whole = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    bench_need(file != NULL && fscanf(file, "%lu %lu", &whole, &resident) == 2, "/proc/self/statm");
    fclose(file);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

void bench_need(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "bench: %s failed; nothing is measured\n", what);
    exit(70);
}

void bench_same(const char *what, const void *left, const void *right, size_t size)
{
    bench_need(memcmp(left, right, size) == 0, what);
}

int bench_end(void)
{
    printf("bench: %u met, %u missed\n", met, missed);
    return missed == 0 && met > 0 ? 0 : 1;
}
