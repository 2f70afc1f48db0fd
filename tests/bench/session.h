/* The SCP03 sessions that are measured: AES-128, S8, i = 70: S-MAC, S-ENC, S-RMAC and the static DEK set up,
 * both cryptograms made and the card's checked, EXTERNAL AUTHENTICATE at level 33, six commands wrapped. In a
 * session with personalisation they carry what a fill sends: INSTALL, PUT KEY with three keys, four full
 * STORE DATA; in a bare one 40 bytes each. */
#ifndef KEYFILL_TESTS_BENCH_SESSION_H
#define KEYFILL_TESTS_BENCH_SESSION_H

#include <stddef.h>
#include <stdint.h>

#define SESSION_COMMANDS 6
#define SESSION_DATA_MAX 239              /* bytes of plain data in one short command */
#define SESSION_AUTHENTICATE (5 + 8 + 8)  /* header, cryptogram, MAC */
#define SESSION_WRAPPED_MAX (5 + 240 + 8) /* header, encrypted data, MAC */

typedef struct bench_command {
    size_t size; /* with the header */
    uint8_t bytes[5 + SESSION_DATA_MAX];
} bench_command;

typedef struct bench_session {
    uint8_t enc[16];
    uint8_t mac[16];
    uint8_t dek[16];
    uint8_t host_challenge[8];
    uint8_t answer[34]; /* to INITIALIZE UPDATE, with the status word */
    bench_command commands[SESSION_COMMANDS];
} bench_session;

typedef struct bench_wrapped {
    uint8_t authenticate[SESSION_AUTHENTICATE];
    size_t sizes[SESSION_COMMANDS];
    uint8_t commands[SESSION_COMMANDS][SESSION_WRAPPED_MAX];
} bench_wrapped;

#endif
