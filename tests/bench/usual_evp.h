/* The same with OpenSSL as it is usually called: the algorithm fetched by name and a new context for every
 * operation. */
#ifndef KEYFILL_TESTS_BENCH_USUAL_EVP_H
#define KEYFILL_TESTS_BENCH_USUAL_EVP_H

#include <stddef.h>
#include <stdint.h>

#include "session.h"

/* CMAC of 32 bytes, `count` times, each message beginning with the MAC before it. */
void usual_cmac_chain(const uint8_t key[16], uint8_t message[32], size_t count);
/* The same with one context, initialised again for each message. */
void cached_cmac_chain(const uint8_t key[16], uint8_t message[32], size_t count);
void usual_session(const bench_session *session, bench_wrapped *ret_wrapped);

#endif
