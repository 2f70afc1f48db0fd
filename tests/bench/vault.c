/* ./dev bench vault: the vault's part of a fill, replayed from a recording, with base keys in memory and in a
 * SoftHSM2 token; and what the socketpair between front and vault costs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "bench.h"
#include "recorded_fill.h"
#include "token_fixture.h"
#include "vault/serve_threads.h"

#define IN_FLIGHT 64
#define FILLS 400       /* of one measurement over the socketpair */
#define TOKEN_SECONDS 1 /* of one measurement with the token */
#define TRIES 5
#define TOKEN_LEAST 0.7
#define SOCKET_MOST 15.0 /* percent */

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    bench_need(clock_gettime(clock, &now) == 0, "clock_gettime");
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* -- fills in this process -- */

static void answer_fill(recorded_fill *fill, kf_vault *vault, kf_buffer *answers)
{
    for (size_t i = 0; i < fill->count; i++) {
        kf_error error = {KF_OK, ""};
        const kf_vault_frame frame = {(uint16_t)fill->kinds[i], i, kf_buffer_view(&fill->requests[i])};
        kf_buffer_truncate(answers, 0);
        bench_need(kf_vault_answer_frame(vault, &frame, answers, &error) == KF_OK, "kf_vault_answer_frame");
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(answers));
        kf_vault_frame answer;
        kf_vault_answer_parts parts;
        bench_need(kf_vault_frame_take(&cursor, &answer) == KF_OK &&
                       kf_vault_answer_take(answer.payload, &parts) == KF_OK && parts.code == KF_OK,
                   "a recorded request");
    }
}

typedef struct direct_bench {
    recorded_fill fill;
    kf_buffer answers;
} direct_bench;

static void run_direct(void *context, size_t count)
{
    direct_bench *bench = context;
    for (size_t i = 0; i < count; i++)
        answer_fill(&bench->fill, bench->fill.vault.vault, &bench->answers);
}

/* -- the same through the socketpair -- */

typedef struct front_pump {
    int descriptor;
    const recorded_fill *fill;
    double seconds; /* of the processor */
} front_pump;

static void send_frames(const front_pump *pump, size_t first, size_t count, kf_buffer *bytes)
{
    kf_buffer_truncate(bytes, 0);
    for (size_t i = first; i < first + count; i++) {
        size_t which = i % pump->fill->count;
        kf_vault_frame_put(bytes, (uint16_t)pump->fill->kinds[which], i,
                           kf_buffer_view(&pump->fill->requests[which]));
    }
    if (count > 0)
        bench_need(kf_descriptor_write(pump->descriptor, kf_buffer_view(bytes)) == KF_OK, "writing requests");
}

/* How many whole answers came with one read. */
static size_t take_answers(int descriptor, kf_buffer *received)
{
    uint8_t *place = kf_buffer_extend(received, (size_t)256 * 1024);
    bench_need(place != NULL, "memory");
    ssize_t got = read(descriptor, place, (size_t)256 * 1024);
    bench_need(got > 0, "reading answers");
    kf_buffer_truncate(received, received->size - (size_t)256 * 1024 + (size_t)got);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(received));
    kf_vault_frame frame;
    size_t count = 0;
    for (; kf_vault_frame_take(&cursor, &frame) == KF_OK; count++) {
        kf_vault_answer_parts parts;
        bench_need(kf_vault_answer_take(frame.payload, &parts) == KF_OK && parts.code == KF_OK, "an answer");
    }
    size_t rest = cursor.rest.size;
    if (rest > 0) memmove(received->data, cursor.rest.data, rest);
    kf_buffer_truncate(received, rest);
    return count;
}

/* A front that always has 64 requests under way: as many answers as came are asked for anew in one write. */
static void *run_pump(void *context)
{
    front_pump *pump = context;
    size_t total = FILLS * pump->fill->count;
    size_t sent = IN_FLIGHT;
    size_t done = 0;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer received = KF_BUFFER_INIT;
    double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    send_frames(pump, 0, IN_FLIGHT, &bytes);
    while (done < total) {
        size_t count = take_answers(pump->descriptor, &received);
        done += count;
        size_t more = total - sent < count ? total - sent : count;
        send_frames(pump, sent, more, &bytes);
        sent += more;
    }
    pump->seconds = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
    (void)shutdown(pump->descriptor, SHUT_WR);
    return NULL;
}

/* Seconds of the processor that the vault's threads need for a fill. */
static double measure_served(recorded_fill *fill, size_t threads)
{
    int ends[2];
    pthread_t thread;
    kf_vault_threads *serving = NULL;
    kf_error error = {KF_OK, ""};
    bench_need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    front_pump pump = {ends[1], fill, 0};
    bench_need(kf_vault_threads_new(fill->vault.vault, threads, &serving, &error) == KF_OK, "threads");
    double start = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    bench_need(pthread_create(&thread, NULL, run_pump, &pump) == 0, "pthread_create");
    bench_need(kf_vault_threads_serve(serving, ends[0], &error) == KF_OK, "serving");
    pthread_join(thread, NULL);
    double all = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start;
    kf_vault_threads_free(&serving);
    close(ends[0]);
    close(ends[1]);
    return (all - pump.seconds) / FILLS;
}

static double measure_direct(direct_bench *bench)
{
    double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    run_direct(bench, FILLS);
    return (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start) / FILLS;
}

static void bench_socketpair(direct_bench *bench)
{
    double best = 100;
    bench_section("Socketpair, 64 requests in flight, processor time of the vault");
    for (size_t i = 0; i < TRIES && best > SOCKET_MOST; i++) {
        double direct = measure_direct(bench);
        double served = measure_served(&bench->fill, kf_vault_threads_usual());
        double cost = served > direct ? 100 * (1 - direct / served) : 0;
        if (cost < best) best = cost;
    }
    bench_at_most("throughput that the socketpair costs", best, SOCKET_MOST, "%");
}

static void bench_memory_custody(void)
{
    static const bench_candidate candidates[] = {{"fills, keys in memory, in process", run_direct, 4}};
    static const bench_plan plan = {41, 0, {{NULL, 0, 0}}};
    static direct_bench bench;
    bench_need(setenv("KEYFILL_TEST_CUSTODY", "memory", 1) == 0, "setenv");
    recorded_fill_make(&bench.fill);
    bench_result result = bench_compare(candidates, 1, &bench, &plan);
    bench_show("The vault's part of a fill, four messages", candidates, 1, &result);
    bench_socketpair(&bench);
    recorded_fill_remove(&bench.fill);
    kf_buffer_clear(&bench.answers);
}

/* -- the token -- */

/* CMACs that the token is asked for. */
static kf_code (*derive_in_token)(void *context, const void *material, const kf_key_derivation *derivation,
                                  kf_secret *ret_keys[KF_KEY_ROLES_MAX], kf_error *error);
static size_t counted_cmacs;

static kf_code count_and_derive(void *context, const void *material, const kf_key_derivation *derivation,
                                kf_secret *ret_keys[KF_KEY_ROLES_MAX], kf_error *error)
{
    counted_cmacs += derivation->role_count * ((derivation->size + 15) / 16);
    return derive_in_token(context, material, derivation, ret_keys, error);
}

static size_t count_cmacs(direct_bench *bench, test_token *token)
{
    counted_cmacs = 0;
    derive_in_token = token->custody.derive;
    token->custody.derive = count_and_derive;
    run_direct(bench, 1);
    token->custody.derive = derive_in_token;
    return counted_cmacs;
}

static CK_OBJECT_HANDLE some_key(kf_hsm_session *session)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {CKA_SIGN, &yes, sizeof yes}};
    CK_OBJECT_HANDLE key;
    CK_ULONG count = 0;
    bench_need(session->module->C_FindObjectsInit(session->handle, template, 3) == CKR_OK &&
                   session->module->C_FindObjects(session->handle, &key, 1, &count) == CKR_OK &&
                   session->module->C_FindObjectsFinal(session->handle) == CKR_OK && count == 1,
               "a key in the token");
    return key;
}

/* CMACs of 32 bytes a second, from one thread, through the module alone. */
static double measure_token(test_token *token)
{
    kf_hsm_session session = {.token = token->token};
    kf_error error = {KF_OK, ""};
    CK_MECHANISM mechanism = {CKM_AES_CMAC, NULL, 0};
    uint8_t message[32] = {1};
    uint8_t mac[16];
    bench_need(kf_hsm_enter(&session, &error) == KF_OK, "the token");
    CK_OBJECT_HANDLE key = some_key(&session);
    size_t count = 0;
    double start = seconds_of(CLOCK_MONOTONIC);
    double now = start;
    for (; now - start < TOKEN_SECONDS; now = seconds_of(CLOCK_MONOTONIC)) {
        for (size_t i = 0; i < 500; i++, count++) {
            CK_ULONG size = sizeof mac;
            bench_need(session.module->C_SignInit(session.handle, &mechanism, key) == CKR_OK &&
                           session.module->C_Sign(session.handle, message, sizeof message, mac, &size) ==
                               CKR_OK,
                       "C_Sign");
        }
    }
    kf_hsm_leave(&session);
    return (double)count / (now - start);
}

/* Fills a second, the vault with several threads and its helper beside it. */
static double measure_fills(recorded_fill *fill)
{
    double start = seconds_of(CLOCK_MONOTONIC);
    (void)measure_served(fill, kf_vault_threads_usual());
    return FILLS / (seconds_of(CLOCK_MONOTONIC) - start);
}

static void bench_token(void)
{
    static direct_bench bench;
    bench_need(setenv("KEYFILL_TEST_CUSTODY", "token", 1) == 0, "setenv");
    recorded_fill_make(&bench.fill);
    test_token *token = test_shared_token();
    size_t cmacs = count_cmacs(&bench, token);
    char what[128];
    double best = 0;
    double rates[2] = {0, 0};
    for (size_t i = 0; i < TRIES && best < TOKEN_LEAST; i++) {
        double rate = measure_token(token);
        double fills = measure_fills(&bench.fill);
        double ratio = fills * (double)cmacs / rate;
        if (ratio <= best) continue;
        best = ratio;
        rates[0] = rate;
        rates[1] = fills;
    }
    (void)snprintf(what, sizeof what, "Keys in SoftHSM2: %.0f CMACs/s of its own, %zu a fill, %.0f fills/s",
                   rates[0], cmacs, rates[1]);
    bench_section(what);
    bench_at_least("fills beside what the token's own rate allows", best, TOKEN_LEAST);
    recorded_fill_remove(&bench.fill);
    kf_buffer_clear(&bench.answers);
}

int main(int argument_count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench_start("vault", argument_count, arguments);
    bench_memory_custody();
    bench_token();
    return bench_end();
}
