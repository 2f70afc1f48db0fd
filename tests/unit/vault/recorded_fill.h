/* A fill as the vault's requests, recorded once with a card in memory: the vault keeps nothing between
 * messages, so that the same requests can be sent again and again. */
#ifndef KEYFILL_TESTS_RECORDED_FILL_H
#define KEYFILL_TESTS_RECORDED_FILL_H

#include "procedure_card.h"
#include "vault/procedure_messages.h"

#define RECORDED_MAX 8

typedef struct recorded_fill {
    test_vault vault;
    test_bench bench;
    kf_key_store *bench_keys; /* the bench's own, while it has the vault's */
    size_t count;
    kf_vault_kind kinds[RECORDED_MAX];
    kf_buffer requests[RECORDED_MAX];
} recorded_fill;

void recorded_fill_make(recorded_fill *fill);
void recorded_fill_remove(recorded_fill *fill);

#endif
