#include "bench.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 401
#define TRIES_AGAIN 4 /* what else runs on the machine comes and goes in seconds */

static unsigned met;
static unsigned missed;
static double times[BENCH_CANDIDATES_MAX][ROUNDS_MAX]; /* of the last comparison */
static size_t rounds_done;
static json_t *report; /* what is printed at the end instead of lines; NULL without --json */
static json_t *section;

void bench_start(const char *name, int argument_count, char **arguments)
{
    bool json = argument_count == 2 && strcmp(arguments[1], "--json") == 0;
    if (argument_count > 1 && !json) {
        fprintf(stderr, "usage: bench-%s [--json]\n", name);
        exit(2);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!json) return;
    report = json_pack("{s:s, s:[]}", "bench", name, "sections");
    bench_need(report != NULL, "the report");
}

void bench_section(const char *title)
{
    if (report == NULL) {
        printf("%s\n", title);
        return;
    }
    section = json_pack("{s:s, s:[], s:[]}", "title", title, "candidates", "limits");
    bench_need(section != NULL && json_array_append_new(json_object_get(report, "sections"), section) == 0,
               "the report");
}

static void append_to_section(const char *list, json_t *item)
{
    bench_need(item != NULL && json_array_append_new(json_object_get(section, list), item) == 0,
               "the report");
}

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

static double least(const double *values, size_t count)
{
    double result = values[0];
    for (size_t i = 1; i < count; i++)
        if (values[i] < result) result = values[i];
    return result;
}

typedef struct round_ratio {
    double disturbance; /* how much longer both took than in their best rounds */
    double ratio;
} round_ratio;

static int compare_disturbance(const void *left, const void *right)
{
    const round_ratio *a = left;
    const round_ratio *b = right;
    return compare_numbers(&a->disturbance, &b->disturbance);
}

double bench_ratio(size_t which, size_t than)
{
    round_ratio rounds[ROUNDS_MAX];
    double ratios[ROUNDS_MAX];
    double least_which = least(times[which], rounds_done);
    double least_than = least(times[than], rounds_done);
    for (size_t i = 0; i < rounds_done; i++)
        rounds[i] = (round_ratio){times[which][i] / least_which + times[than][i] / least_than,
                                  times[than][i] / times[which][i]};
    qsort(rounds, rounds_done, sizeof *rounds, compare_disturbance);
    size_t quiet = (rounds_done + 1) / 2;
    for (size_t i = 0; i < quiet; i++)
        ratios[i] = rounds[i].ratio;
    return median(ratios, quiet);
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
        if (report == NULL) (void)printf("  (short of its goal: measured again)\n");
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

/* One limit: `bound` is "least" or "most". */
typedef struct limit {
    const char *what;
    double value;
    const char *bound;
    double at;
    const char *unit;
    bool good;
} limit;

static void tell_limit(const limit *told, int digits)
{
    count_one(told->good);
    if (report != NULL)
        append_to_section("limits",
                          json_pack("{s:s, s:f, s:f, s:s, s:b}", "what", told->what, "value", told->value,
                                    told->bound, told->at, "unit", told->unit, "met", (int)told->good));
    else
        printf("  %-6s %s: %.*f %s (at %s %.*f)\n", told->good ? "met" : "MISSED", told->what, digits,
               told->value, told->unit, told->bound, digits, told->at);
}

void bench_at_least(const char *what, double ratio, double least_ratio)
{
    tell_limit(&(limit){what, ratio, "least", least_ratio, "times", ratio >= least_ratio}, 2);
}

void bench_at_most(const char *what, double value, double most, const char *unit)
{
    tell_limit(&(limit){what, value, "most", most, unit, value <= most}, 0);
}

void bench_tell(const char *what, double ratio)
{
    if (report != NULL)
        append_to_section("limits",
                          json_pack("{s:s, s:f, s:s}", "what", what, "value", ratio, "unit", "times"));
    else
        printf("         %s: %.2f times\n", what, ratio);
}

void bench_judge(const bench_plan *plan)
{
    for (size_t i = 0; i < plan->goal_count; i++)
        bench_at_least(plan->goals[i].what, bench_ratio(0, plan->goals[i].than), plan->goals[i].least);
}

void bench_show(const char *title, const bench_candidate *candidates, size_t count,
                const bench_result *result)
{
    bench_section(title);
    for (size_t i = 0; i < count; i++) {
        double nanoseconds = result->nanoseconds[i];
        if (report != NULL)
            append_to_section("candidates",
                              json_pack("{s:s, s:f, s:f}", "name", candidates[i].name, "nanoseconds",
                                        nanoseconds, "a_second", 1e9 / nanoseconds));
        else
            printf("  %-44s %10.1f ns %12.0f /s\n", candidates[i].name, nanoseconds, 1e9 / nanoseconds);
    }
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
    if (report == NULL) {
        printf("bench: %u met, %u missed\n", met, missed);
    } else {
        bench_need(json_object_set_new(report, "met", json_integer(met)) == 0 &&
                       json_object_set_new(report, "missed", json_integer(missed)) == 0 &&
                       json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4)) == 0,
                   "the report");
        printf("\n");
        json_decref(report);
    }
    return missed == 0 && met > 0 ? 0 : 1;
}
