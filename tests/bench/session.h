/* The SCP03 session that is measured: AES-128, S8, i = 70: S-MAC, S-ENC, S-RMAC and the static DEK set up,
 * both cryptograms made and the card's checked, EXTERNAL AUTHENTICATE at level 33, six commands wrapped. */
#ifndef KEYFILL_TESTS_BENCH_SESSION_H
#define KEYFILL_TESTS_BENCH_SESSION_H

#include <stddef.h>
#include <stdint.h>

#define SESSION_COMMANDS 6
#define SESSION_PLAIN_DATA 40                  /* bytes: 48 when padded */
#define SESSION_PLAIN (5 + SESSION_PLAIN_DATA) /* with header */
#define SESSION_AUTHENTICATE (5 + 8 + 8)       /* header, cryptogram, MAC */
#define SESSION_WRAPPED (5 + 48 + 8)           /* header, encrypted data, MAC */

typedef struct bench_session {
    uint8_t enc[16];
    uint8_t mac[16];
    uint8_t dek[16];
    uint8_t host_challenge[8];
    uint8_t answer[34]; /* to INITIALIZE UPDATE, with the status word */
    uint8_t commands[SESSION_COMMANDS][SESSION_PLAIN];
} bench_session;

typedef struct bench_wrapped {
    uint8_t authenticate[SESSION_AUTHENTICATE];
    uint8_t commands[SESSION_COMMANDS][SESSION_WRAPPED];
} bench_wrapped;

#endif
