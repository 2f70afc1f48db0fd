/* A SoftHSM2 token of a test's own, initialised from empty, with the helper's threads in this process. */
#ifndef KEYFILL_TESTS_TOKEN_FIXTURE_H
#define KEYFILL_TESTS_TOKEN_FIXTURE_H

#include <pthread.h>

#include "vault/hsm_serve.h"
#include "vault/key_custody_token.h"

#define TEST_TOKEN_CONNECTIONS 2
#define TEST_TOKEN_MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define TEST_TOKEN_PIN "a test's PIN"
#define TEST_TOKEN_OFFICER_PIN "an officer's PIN"

typedef struct test_token {
    char folder[64]; /* softhsm2.conf, tokens/ */
    bool with_officer;
    kf_hsm_token *token;
    kf_hsm_client *client;
    pthread_t helper;
    int first; /* of the helper's descriptors */
    kf_key_custody custody;
} test_token;

/* Sets SOFTHSM2_CONF. */
void test_token_make(test_token *token, bool with_officer);
void test_token_remove(test_token *token);
/* The helper ends, as if killed, and another one comes. */
void test_token_stop_helper(test_token *token);
void test_token_start_helper(test_token *token);
/* The token's files are away, or there again. */
void test_token_move(const test_token *token, bool away);

#endif
