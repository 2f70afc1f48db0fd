/* A card in memory, and a small SCP03 host written from Amendment D for these tests alone. */
#ifndef KEYFILL_TESTS_SOFTCARD_FIXTURE_H
#define KEYFILL_TESTS_SOFTCARD_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <keyfill/cipher.h>
#include <keyfill/hex.h>

#include "softcard/blueprint.h"
#include "softcard/softcard.h"

#define TEST_KEY "404142434445464748494A4B4C4D4E4F"
#define OTHER_KEY "000102030405060708090A0B0C0D0E0F"
#define ISSUER_AID "A000000151000000"
#define DOMAIN_AID "A00000015153504B4601"

typedef struct test_card {
    softcard *card;
    kf_buffer saved; /* what a power loss leaves */
    unsigned saves;
    bool refuses_to_save;
    uint8_t next_random;
} test_card;

/* A blueprint with an ICCID, an IMSI, a number and the published test keys at version 01. */
softcard_blueprint *test_blueprint(void);
/* Makes the card of `blueprint` (which it frees) and powers it. */
void test_card_make(test_card *test, softcard_blueprint *blueprint);
/* A new card object from what was saved last, powered: what a killed process finds. */
void test_card_revive(test_card *test);
void test_card_clear(test_card *test);

/* Sends `command` (hex) and wants exactly `response` (hex, with the status word). */
void test_exchange(test_card *test, const char *command, const char *response);
/* Sends and gives the status word; data in `response` unless NULL. */
uint16_t test_send(test_card *test, kf_view command, kf_buffer *response);
uint16_t test_send_hex(test_card *test, const char *command);

typedef struct test_host {
    kf_cipher *encryption;
    kf_cipher *mac;
    kf_cipher *response_mac;
    uint8_t level;
    size_t mac_size; /* 8 or 16 */
    uint8_t chaining[16];
    uint8_t counter[16];
    uint8_t channel;    /* logical */
    uint8_t header[32]; /* KDD, version, protocol, i of the last INITIALIZE UPDATE */
    uint32_t sequence_counter;
    const char *dek;
} test_host;

/* INITIALIZE UPDATE with P1 = `version`, checks the card cryptogram under `key` (one for all three), EXTERNAL
 * AUTHENTICATE. Returns the first status word that is not 9000, 9000 otherwise. `mac_size` is set before. */
uint16_t test_host_open(test_card *test, test_host *host, uint8_t version, const char *key, uint8_t level);
/* `plain` is a command without secure messaging in hex, without Le. Checks and removes what the level puts on
 * the answer; its data go to `response` unless NULL. */
uint16_t test_host_send(test_card *test, test_host *host, const char *plain, kf_buffer *response);
/* The wrapped form of `plain`. */
void test_host_wrap(test_host *host, const char *plain, kf_buffer *wrapped);
void test_host_clear(test_host *host);

/* PUT KEY data for three equal keys, each encrypted under `dek` with its KCV; `with_length`: the form 88
 * 11 10. */
void test_key_data(const char *dek, uint8_t version, const char *key, bool with_length, kf_buffer *text);
/* Appends the AES-CBC cryptogram (zero vector) of `plain` under `key`, both hex, as hex. */
void test_encrypt(const char *key, const char *plain, kf_buffer *text);

#endif
