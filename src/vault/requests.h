/* The table of what a front may ask of its vault. */
#ifndef KEYFILL_VAULT_REQUESTS_H
#define KEYFILL_VAULT_REQUESTS_H

#include "vault/vault.h"

typedef struct kf_vault_request_row {
    kf_vault_kind kind;
    const char *name; /* for the log */
    unsigned units;   /* bits of kf_vault_unit */
    size_t size_max;  /* bytes of payload */
    kf_vault_handler handler;
} kf_vault_request_row;

/* The row of `kind` if `unit` may send it, or NULL. */
const kf_vault_request_row *kf_vault_request_find(kf_vault_unit unit, uint16_t kind);
/* Procedures do: of what is shared they change the number of the last receipt alone. */
bool kf_vault_request_runs_beside_others(uint16_t kind);

#endif
