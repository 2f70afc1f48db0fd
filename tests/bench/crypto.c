/* ./dev bench crypto: MACs, sessions and diversification beside what the processor and OpenSSL do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "raw_aes.h"
#include "usual_evp.h"

#include <keyfill/diversify.h>
#include <keyfill/secure_channel.h>

#define ROUNDS 201
#define BESIDE_RAW "beside the AES instructions alone"
#define BESIDE_USUAL "beside EVP as usual"
#define SESSIONS 64       /* different ones, taken in turn */
#define NUMBERS 1000000   /* cards of one bulk run */
#define ONE_BY_ONE 100000 /* of them for the slower way */
#define GROWTH_MAX 1024.0 /* KiB */

/* Every message begins with the MAC before it: nothing can be done ahead, as within a session. */
typedef struct mac_bench {
    uint8_t key[16];
    uint8_t message[32];
    raw_key raw;
    kf_cipher *cipher;
} mac_bench;

static void run_library_cmac(void *context, size_t count)
{
    mac_bench *bench = context;
    for (size_t i = 0; i < count; i++)
        bench_need(kf_cmac(bench->cipher, KF_VIEW(bench->message), bench->message) == KF_OK, "kf_cmac");
}

static void run_raw_cmac(void *context, size_t count)
{
    mac_bench *bench = context;
    for (size_t i = 0; i < count; i++)
        raw_cmac(&bench->raw, bench->message, bench->message);
}

static void run_cached_cmac(void *context, size_t count)
{
    mac_bench *bench = context;
    cached_cmac_chain(bench->key, bench->message, count);
}

static void run_usual_cmac(void *context, size_t count)
{
    mac_bench *bench = context;
    usual_cmac_chain(bench->key, bench->message, count);
}

static void run_library_new_keys(void *context, size_t count)
{
    mac_bench *bench = context;
    for (size_t i = 0; i < count; i++) {
        bench_need(kf_cipher_rekey(bench->cipher, KF_VIEW(bench->key)) == KF_OK &&
                       kf_cmac(bench->cipher, KF_VIEW(bench->message), bench->message) == KF_OK,
                   "kf_cipher_rekey");
        memcpy(bench->key, bench->message, sizeof bench->key);
    }
}

static void run_raw_new_keys(void *context, size_t count)
{
    mac_bench *bench = context;
    for (size_t i = 0; i < count; i++) {
        raw_key_set(bench->key, &bench->raw);
        raw_cmac(&bench->raw, bench->message, bench->message);
        memcpy(bench->key, bench->message, sizeof bench->key);
    }
}

static mac_bench new_mac_bench(void)
{
    mac_bench bench = {.key = {1, 2, 3, 4}, .message = {5, 6, 7, 8}};
    raw_key_set(bench.key, &bench.raw);
    bench_need(kf_cipher_new(KF_AES, KF_VIEW(bench.key), &bench.cipher) == KF_OK, "kf_cipher_new");
    return bench;
}

/* Both ways give the same after 1,000 steps. */
static void check_same(void (*left)(void *, size_t), void (*right)(void *, size_t))
{
    mac_bench one = new_mac_bench();
    mac_bench two = new_mac_bench();
    left(&one, 1000);
    right(&two, 1000);
    bench_same("MACs of both ways", one.message, two.message, sizeof one.message);
    kf_cipher_free(&one.cipher);
    kf_cipher_free(&two.cipher);
}

static void bench_macs(void)
{
    static const bench_candidate cached[] = {
        {"kf_cmac", run_library_cmac, 10000},
        {"AES instructions alone", run_raw_cmac, 10000},
        {"EVP_MAC, context kept", run_cached_cmac, 2000},
        {"EVP_MAC as usual", run_usual_cmac, 300},
    };
    static const bench_candidate new_keys[] = {
        {"kf_cipher_rekey, kf_cmac", run_library_new_keys, 4000},
        {"AES instructions alone", run_raw_new_keys, 4000},
        {"EVP_MAC as usual", run_usual_cmac, 300},
    };
    check_same(run_library_cmac, run_raw_cmac);
    check_same(run_library_cmac, run_usual_cmac);
    check_same(run_library_cmac, run_cached_cmac);
    check_same(run_library_new_keys, run_raw_new_keys);
    mac_bench bench = new_mac_bench();
    static const bench_plan cached_plan = {ROUNDS, 1, {{BESIDE_RAW, 1, 0.75}}};
    bench_result result = bench_compare(cached, 4, &bench, &cached_plan);
    bench_show("AES-128-CMAC of 32 bytes, key at hand", cached, 4, &result);
    bench_judge(&cached_plan);
    static const bench_plan new_keys_plan = {ROUNDS, 1, {{BESIDE_RAW, 1, 0.45}}};
    result = bench_compare(new_keys, 3, &bench, &new_keys_plan);
    bench_show("AES-128-CMAC of 32 bytes, a new key each", new_keys, 3, &result);
    bench_judge(&new_keys_plan);
    kf_cipher_free(&bench.cipher);
}

typedef struct session_bench {
    bench_session sessions[SESSIONS];
    kf_secret *keys[SESSIONS][3];
    bench_wrapped wrapped;
    kf_buffer apdu;
} session_bench;

/* What a caller does with the library; the bytes are kept in `wrapped`. */
static void library_session(session_bench *bench, size_t number)
{
    const bench_session *session = &bench->sessions[number];
    kf_key_set keys = {bench->keys[number][0], bench->keys[number][1], bench->keys[number][2]};
    kf_secure_channel *channel = NULL;
    kf_code code = kf_secure_channel_open(&keys, KF_VIEW(session->host_challenge), KF_VIEW(session->answer),
                                          &channel, NULL);
    bench_need(code == KF_OK, "kf_secure_channel_open");
    kf_buffer_truncate(&bench->apdu, 0);
    code = kf_secure_channel_external_authenticate(channel, 0x33, &bench->apdu, NULL);
    bench_need(code == KF_OK && bench->apdu.size == SESSION_AUTHENTICATE, "EXTERNAL AUTHENTICATE");
    memcpy(bench->wrapped.authenticate, bench->apdu.data, SESSION_AUTHENTICATE);
    for (size_t i = 0; i < SESSION_COMMANDS; i++) {
        kf_exchange exchange;
        kf_buffer_truncate(&bench->apdu, 0);
        code =
            kf_secure_channel_wrap(channel, kf_view_of(session->commands[i].bytes, session->commands[i].size),
                                   &bench->apdu, &exchange);
        bench_need(code == KF_OK && bench->apdu.size <= SESSION_WRAPPED_MAX, "kf_secure_channel_wrap");
        bench->wrapped.sizes[i] = bench->apdu.size;
        memcpy(bench->wrapped.commands[i], bench->apdu.data, bench->apdu.size);
    }
    kf_secure_channel_free(&channel);
}

static void run_library_sessions(void *context, size_t count)
{
    for (size_t i = 0; i < count; i++)
        library_session(context, i % SESSIONS);
}

static void run_raw_sessions(void *context, size_t count)
{
    session_bench *bench = context;
    for (size_t i = 0; i < count; i++)
        raw_session(&bench->sessions[i % SESSIONS], &bench->wrapped);
}

static void run_usual_sessions(void *context, size_t count)
{
    session_bench *bench = context;
    for (size_t i = 0; i < count; i++)
        usual_session(&bench->sessions[i % SESSIONS], &bench->wrapped);
}

/* The card's side: the cryptogram that its answer carries. */
static void sign_answer(bench_session *session)
{
    uint8_t message[32] = {[11] = 0x06, [14] = 0x80, [15] = 1};
    uint8_t session_mac[16];
    kf_cipher *cipher = NULL;
    memcpy(message + 16, session->host_challenge, 8);
    memcpy(message + 24, session->answer + 13, 8);
    bench_need(kf_cipher_new(KF_AES, KF_VIEW(session->mac), &cipher) == KF_OK &&
                   kf_cmac(cipher, KF_VIEW(message), session_mac) == KF_OK &&
                   kf_cipher_rekey(cipher, KF_VIEW(session_mac)) == KF_OK,
               "S-MAC");
    message[11] = 0x00;
    message[14] = 0x40;
    bench_need(kf_cmac(cipher, KF_VIEW(message), session_mac) == KF_OK, "card cryptogram");
    memcpy(session->answer + 21, session_mac, 8);
    kf_cipher_free(&cipher);
}

static void make_session(bench_session *session, size_t number, const size_t sizes[SESSION_COMMANDS])
{
    memset(session, (int)number, sizeof *session);
    session->enc[0] = 1;
    session->mac[0] = 2;
    session->dek[0] = 3;
    session->answer[10] = 0x30;
    session->answer[11] = 0x03;
    session->answer[12] = 0x70;
    session->answer[32] = 0x90;
    session->answer[33] = 0x00;
    for (size_t i = 0; i < SESSION_COMMANDS; i++) {
        const uint8_t header[5] = {0x80, 0xE2, 0x00, (uint8_t)i, (uint8_t)sizes[i]};
        session->commands[i].size = sizeof header + sizes[i];
        memcpy(session->commands[i].bytes, header, sizeof header);
    }
    sign_answer(session);
}

static session_bench *new_session_bench(const size_t sizes[SESSION_COMMANDS])
{
    session_bench *bench = calloc(1, sizeof *bench);
    bench_need(bench != NULL, "calloc");
    for (size_t i = 0; i < SESSIONS; i++) {
        bench_session *session = &bench->sessions[i];
        make_session(session, i, sizes);
        bench_need(kf_secret_new(KF_VIEW(session->enc), &bench->keys[i][0]) == KF_OK &&
                       kf_secret_new(KF_VIEW(session->mac), &bench->keys[i][1]) == KF_OK &&
                       kf_secret_new(KF_VIEW(session->dek), &bench->keys[i][2]) == KF_OK,
                   "kf_secret_new");
    }
    return bench;
}

static void free_session_bench(session_bench *bench)
{
    for (size_t i = 0; i < SESSIONS; i++)
        for (size_t j = 0; j < 3; j++)
            kf_secret_free(&bench->keys[i][j]);
    kf_buffer_clear(&bench->apdu);
    free(bench);
}

static void check_sessions(session_bench *bench)
{
    bench_wrapped raw;
    bench_wrapped usual;
    for (size_t i = 0; i < SESSIONS; i++) {
        memset(&raw, 0, sizeof raw);
        memset(&usual, 0, sizeof usual);
        memset(&bench->wrapped, 0, sizeof bench->wrapped);
        raw_session(&bench->sessions[i], &raw);
        usual_session(&bench->sessions[i], &usual);
        library_session(bench, i);
        bench_same("sessions by instructions and by library", &raw, &bench->wrapped, sizeof raw);
        bench_same("sessions by EVP and by library", &usual, &bench->wrapped, sizeof usual);
    }
}

static const size_t full_sizes[SESSION_COMMANDS] = {48, 67, 223, 223, 223, 223};
static const size_t bare_sizes[SESSION_COMMANDS] = {40, 40, 40, 40, 40, 40};

static const bench_candidate session_candidates[] = {
    {"kf_secure_channel_…", run_library_sessions, 2 * SESSIONS},
    {"AES instructions alone", run_raw_sessions, 2 * SESSIONS},
    {"EVP as usual", run_usual_sessions, SESSIONS},
};

static void bench_sessions(void)
{
    session_bench *bench = new_session_bench(full_sizes);
    check_sessions(bench);
    static const bench_plan full_plan = {ROUNDS, 2, {{BESIDE_RAW, 1, 0.5}, {BESIDE_USUAL, 2, 5.0}}};
    bench_result result = bench_compare(session_candidates, 3, bench, &full_plan);
    bench_show("SCP03 session, AES-128, six wrapped commands of a fill", session_candidates, 3, &result);
    bench_judge(&full_plan);
    free_session_bench(bench);
    bench = new_session_bench(bare_sizes);
    check_sessions(bench);
    static const bench_plan bare_plan = {ROUNDS, 1, {{BESIDE_USUAL, 2, 5.0}}};
    result = bench_compare(session_candidates, 3, bench, &bare_plan);
    bench_show("The same with commands of 40 bytes", session_candidates, 3, &result);
    bench_judge(&bare_plan);
    bench_tell(BESIDE_RAW, bench_ratio(0, 1));
    free_session_bench(bench);
}

typedef struct bulk_bench {
    kf_diversification *plan;
    kf_diversifier *diversifier;
    kf_secret *base_key;
    kf_secret *keys;
    char numbers[KF_DIVERSIFY_MANY_MAX][16];
    kf_field fields[KF_DIVERSIFY_MANY_MAX];
    kf_fields cards[KF_DIVERSIFY_MANY_MAX];
} bulk_bench;

static void set_number(bulk_bench *bench, size_t place, size_t number)
{
    memcpy(bench->numbers[place], "861380000000000", 16);
    for (size_t i = 15; number > 0; number /= 10)
        bench->numbers[place][--i] = (char)('0' + number % 10);
}

static void run_one_by_one(void *context, size_t count)
{
    bulk_bench *bench = context;
    for (size_t i = 0; i < count; i++) {
        kf_secret *key = NULL;
        set_number(bench, 0, i);
        kf_code code =
            kf_diversify(bench->plan, KF_AES, bench->base_key, bench->cards[0], KF_ROLE_SINGLE, &key, NULL);
        bench_need(code == KF_OK, "kf_diversify");
        kf_secret_free(&key);
    }
}

static void run_bulk(void *context, size_t count)
{
    bulk_bench *bench = context;
    size_t group = 0;
    for (size_t done = 0; done < count; done += group) {
        group = count - done < KF_DIVERSIFY_MANY_MAX ? count - done : KF_DIVERSIFY_MANY_MAX;
        for (size_t i = 0; i < group; i++)
            set_number(bench, i, done + i);
        const kf_card_batch batch = {bench->cards, group, KF_ROLE_SINGLE};
        bench_need(kf_diversify_many(bench->diversifier, &batch, bench->keys, NULL) == KF_OK,
                   "kf_diversify_many");
    }
}

static bulk_bench *new_bulk_bench(void)
{
    bulk_bench *bench = calloc(1, sizeof *bench);
    bench_need(bench != NULL, "calloc");
    const uint8_t key[16] = {9, 8, 7};
    bench_need(kf_diversification_parse("an10922-aes128(number/bcd/8/left-0)", &bench->plan, NULL) == KF_OK &&
                   kf_secret_new(KF_VIEW(key), &bench->base_key) == KF_OK &&
                   kf_secret_new_zero(KF_DIVERSIFY_MANY_MAX * sizeof key, &bench->keys) == KF_OK &&
                   kf_diversifier_new(bench->plan, KF_AES, bench->base_key, &bench->diversifier, NULL) ==
                       KF_OK,
               "kf_diversifier_new");
    for (size_t i = 0; i < KF_DIVERSIFY_MANY_MAX; i++) {
        bench->fields[i] = (kf_field){"number", bench->numbers[i]};
        bench->cards[i] = (kf_fields){&bench->fields[i], 1};
    }
    return bench;
}

static void check_bulk(bulk_bench *bench)
{
    run_bulk(bench, KF_DIVERSIFY_MANY_MAX);
    for (size_t i = 0; i < KF_DIVERSIFY_MANY_MAX; i++) {
        kf_secret *key = NULL;
        bench_need(kf_diversify(bench->plan, KF_AES, bench->base_key, bench->cards[i], KF_ROLE_SINGLE, &key,
                                NULL) == KF_OK,
                   "kf_diversify");
        bench_same("keys one by one and in bulk", kf_secret_expose(key).data,
                   kf_secret_expose(bench->keys).data + i * 16, 16);
        kf_secret_free(&key);
    }
}

static void bench_bulk(void)
{
    static const bench_candidate candidates[] = {
        {"kf_diversify_many, a million numbers", run_bulk, NUMBERS},
        {"kf_diversify, one by one", run_one_by_one, ONE_BY_ONE},
    };
    bulk_bench *bench = new_bulk_bench();
    check_bulk(bench);
    static const bench_plan plan = {9, 1, {{"in bulk beside one by one", 1, 3.0}}};
    bench_result result = bench_compare(candidates, 2, bench, &plan);
    bench_show("AN10922 AES-128 keys", candidates, 2, &result);
    bench_judge(&plan);
    kf_diversifier_free(&bench->diversifier);
    kf_diversification_free(&bench->plan);
    kf_secret_free(&bench->base_key);
    kf_secret_free(&bench->keys);
    free(bench);
}

/* What everything above leaves behind when it is done once more. */
static void bench_memory(void)
{
    bulk_bench *bulk = new_bulk_bench();
    session_bench *sessions = new_session_bench(full_sizes);
    size_t before = bench_resident_bytes();
    run_bulk(bulk, NUMBERS);
    run_one_by_one(bulk, ONE_BY_ONE);
    run_library_sessions(sessions, 50000);
    size_t after = bench_resident_bytes();
    double growth = after > before ? (double)(after - before) / 1024 : 0;
    bench_section("Memory over a million keys and 50000 sessions");
    bench_at_most("growth", growth, GROWTH_MAX, "KiB");
    free_session_bench(sessions);
    kf_diversifier_free(&bulk->diversifier);
    kf_diversification_free(&bulk->plan);
    kf_secret_free(&bulk->base_key);
    kf_secret_free(&bulk->keys);
    free(bulk);
}

int main(int argument_count, char **arguments)
{
    bench_start("crypto", argument_count, arguments);
    bench_macs();
    bench_sessions();
    bench_bulk();
    bench_memory();
    return bench_end();
}
