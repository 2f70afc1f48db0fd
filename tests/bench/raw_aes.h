/* What the processor itself does: AES-128 by its own instructions, nothing around it. The limit beside which
 * the library is measured; no part of keyfill. */
#ifndef KEYFILL_TESTS_BENCH_RAW_AES_H
#define KEYFILL_TESTS_BENCH_RAW_AES_H

#include <stddef.h>
#include <stdint.h>

#include "session.h"

typedef struct raw_key {
    _Alignas(16) uint8_t schedule[11][16];
    _Alignas(16) uint8_t k1[16];
    _Alignas(16) uint8_t k2[16];
} raw_key;

/* Key schedule and CMAC subkeys. */
void raw_key_set(const uint8_t key[16], raw_key *ret_key);
/* CMAC of 32 bytes. */
void raw_cmac(const raw_key *key, const uint8_t message[32], uint8_t ret_mac[16]);

/* A whole session as bench_session describes it; the same bytes as the library's. */
void raw_session(const bench_session *session, bench_wrapped *ret_wrapped);

#endif
