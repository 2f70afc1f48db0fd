/* Ready-made kinds of cards: what a blueprint leaves open comes from the one that it names. */
#ifndef KEYFILL_SOFTCARD_PERSONALITIES_H
#define KEYFILL_SOFTCARD_PERSONALITIES_H

#include <keyfill/bytes.h>

typedef struct softcard_kind_of_card {
    const char *name;
    const char *issuer_aid;
    const char *atr; /* without its check byte; NULL: the usual one */
    const char *protocols;
    const char *parameter; /* i of SCP03 */
    const char *scp02_parameter;
    const char *key_version;
    const char *remote_minimum_security;
    uint32_t memory;
    uint8_t logical_channels;
    uint8_t failure_limit;
    bool counts_unfinished;
    bool extended_length;
    const char *platform_version; /* of GlobalPlatform */
    const char *life_cycle;       /* of the card, as delivered */
    bool tells_management_data;   /* in the answer to SELECT */
    bool has_published_sets;      /* with the published test keys: more of them (provision_domains.c) */
} softcard_kind_of_card;

/* `name` NULL or empty: the usual card. KF_ERR_CONFIGURATION names those that there are. */
kf_code softcard_kind_of_card_find(const char *name, const softcard_kind_of_card **ret_kind,
                                   kf_error *error) KF_MUST_USE;

#endif
