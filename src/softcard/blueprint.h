/* What a card is made from: a YAML file, and flags that go before it. */
#ifndef KEYFILL_SOFTCARD_BLUEPRINT_H
#define KEYFILL_SOFTCARD_BLUEPRINT_H

#include <keyfill/bytes.h>

#include "softcard/state.h"

enum {
    SOFTCARD_BLUEPRINT_DOMAINS_MAX = 8,
    SOFTCARD_BLUEPRINT_KEYS_MAX = 24, /* a domain, beside those of its channel */
    SOFTCARD_DEFAULT_PIN1_TRIES = 3,
    SOFTCARD_DEFAULT_ADM1_TRIES = 10,
    SOFTCARD_PUK1_TRIES = 10,
};

/* A key beside those of the secure channel: of remote management (versions 01 to 0F; 1 KIc, 2 KID, 3 KIK: TS
 * 102 225), tokens (70), receipts (71), DAP blocks (73) (GlobalPlatform 11.1.9). */
typedef struct softcard_key_blueprint {
    char *version;
    char *identifier;
    char *type; /* GlobalPlatform table 11-16 */
    char *key;  /* A1 (RSA): modulus:exponent; B0 (P-256): the point */
} softcard_key_blueprint;

/* A security domain as it comes from the card maker. Texts are hexadecimal; a NULL one is absent. Exactly one
 * of the three ways gives its keys; for a supplementary domain none may (it uses the issuer's). */
typedef struct softcard_domain_blueprint {
    char *aid;
    char *key_version;
    char *protocols;       /* "02", "03" or "02+03" */
    char *parameter;       /* i of SCP03, or of the one protocol */
    char *scp02_parameter; /* i of SCP02 beside SCP03 */
    char *privileges;      /* one or three bytes; of a supplementary domain */
    char *life_cycle;      /* of the card; of the issuer's domain */
    char *keys;            /* ENC:MAC:DEK, or one for all three */
    char *master_key;      /* with a diversification line over kdd, iccid and role */
    char *diversification; /* include/keyfill/diversify.h */
    bool published_test_keys;
    softcard_key_blueprint *more_keys;
    unsigned more_keys_count;
} softcard_domain_blueprint;

typedef struct softcard_blueprint {
    char *personality; /* personalities.h */
    char *iccid;
    char *imsi;
    char *msisdn;
    char *spn;
    char *pin1;
    char *puk1;
    char *adm1;
    char *adm1_master_key;      /* in place of adm1: the first eight bytes of the key that */
    char *adm1_diversification; /* this line makes of it, over iccid and kdd */
    char *kdd;
    char *cplc;
    char *atr;
    char *protocol;                /* "02", "03" or "02+03", of every domain that names none */
    char *parameter;               /* i, of every domain that names none */
    char *scp02_parameter;         /* i of SCP02 beside SCP03 */
    char *remote_minimum_security; /* first byte of SPI that remote management asks for; "FF": none */
    uint32_t memory;               /* bytes; 0: the personality's */
    uint8_t logical_channels;
    bool extended_length;
    uint8_t pin1_tries;
    uint8_t adm1_tries;
    uint8_t failure_limit;
    bool counts_unfinished;
    bool imsi_needs_pin;
    bool msisdn_needs_pin;
    softcard_domain_blueprint *issuer; /* NULL: the published test keys must have been asked for by flag */
    softcard_domain_blueprint *domains;
    unsigned domains_count;
} softcard_blueprint;

/* Reads a file. KF_ERR_CONFIGURATION names the line. */
kf_code softcard_blueprint_read(const char *path, softcard_blueprint **ret_blueprint,
                                kf_error *error) KF_MUST_USE;
/* An empty one, for flags alone. */
kf_code softcard_blueprint_new(softcard_blueprint **ret_blueprint) KF_MUST_USE;
/* Puts a copy of `text` in place of what stands there. */
kf_code softcard_blueprint_set(char **place, const char *text) KF_MUST_USE;
/* Wipes keys and PINs, frees, sets NULL. */
void softcard_blueprint_free(softcard_blueprint **blueprint);

/* The card as its maker delivers it. */
kf_code softcard_provision(const softcard_blueprint *blueprint, softcard_state **ret_state,
                           kf_error *error) KF_MUST_USE;

#endif
