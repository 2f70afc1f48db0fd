/* A small SCP02 host written from GlobalPlatform appendix E for these tests alone. */
#ifndef KEYFILL_TESTS_SOFTCARD_SCP02_HOST_H
#define KEYFILL_TESTS_SOFTCARD_SCP02_HOST_H

#include "fixture.h"

typedef struct scp02_host {
    uint8_t level;
    uint8_t parameter; /* i: set before */
    uint8_t channel;   /* logical: set before */
    uint8_t s_enc[16];
    uint8_t s_mac[16];
    uint8_t s_rmac[16];
    uint8_t s_dek[16];
    uint8_t chaining[8];
    uint8_t response_chaining[8];
    uint8_t version;
    uint16_t sequence_counter;
    uint8_t card_challenge[6];
} scp02_host;

/* INITIALIZE UPDATE, card cryptogram checked under `key` (one for all three), EXTERNAL AUTHENTICATE. The
 * first status word that is not 9000, 9000 otherwise. */
uint16_t scp02_open(test_card *test, scp02_host *host, uint8_t version, const char *key, uint8_t level);
/* `plain` as in test_host_send. */
uint16_t scp02_send(test_card *test, scp02_host *host, const char *plain, kf_buffer *response);
/* Moves the chain of response MACs on by one answer. */
void scp02_response_mac(scp02_host *host, const char *plain, kf_view data, uint16_t status);
void scp02_wrap(scp02_host *host, const char *plain, kf_buffer *wrapped);
/* Appends the cryptogram of `plain` (hex, whole blocks) under the session DEK as hex. */
void scp02_encrypt_key(const scp02_host *host, const char *plain, kf_buffer *text);

#endif
