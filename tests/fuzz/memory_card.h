/* A simulated card in memory, as one of several kinds, the same for every input. */
#ifndef KEYFILL_TESTS_FUZZ_MEMORY_CARD_H
#define KEYFILL_TESTS_FUZZ_MEMORY_CARD_H

#include "fuzz.h"
#include "softcard/softcard.h"

typedef struct memory_card {
    softcard *card;
    kf_buffer saved; /* what a power loss leaves */
    uint8_t next_random;
} memory_card;

/* Key version 01 holds the published test keys; over the air KIc, KID, KIK are version 03. */
typedef struct memory_card_kind {
    const char *protocols;
    const char *parameter;
    const char *scp02_parameter;
    const char *remote_key_type; /* NULL: no remote management */
    uint8_t host_challenge_size;
} memory_card_kind;

extern const memory_card_kind memory_card_kinds[];
extern const size_t memory_card_kind_count;

#define MEMORY_CARD_KIC 0x30 /* first byte of the key (fuzz_key) */
#define MEMORY_CARD_KID 0x50
#define MEMORY_CARD_KEY 0x40

/* Powered. */
void memory_card_open(memory_card *card, size_t kind);
/* Want the state to read and write again as the same bytes. */
void memory_card_close(memory_card *card);
/* From what was saved last, powered anew. */
void memory_card_revive(memory_card *card);
/* One command; `response` gets the whole answer, which is wanted to be one. Gives the status word. */
uint16_t memory_card_send(memory_card *card, kf_view command, kf_buffer *response);

#endif
