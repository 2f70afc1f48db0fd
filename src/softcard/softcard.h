/* A smart card in software: what stands behind its contacts. Commands in, responses out; it keeps its state
 * through `save` and takes randomness from `random`, and does no other input or output.
 *
 * GlobalPlatform Card Specification 2.3.1 with Amendment D (SCP03), ETSI TS 102 221 files. It shares the
 * ciphers with the rest of keyfill and nothing else: two equal mistakes would agree. */
#ifndef KEYFILL_SOFTCARD_SOFTCARD_H
#define KEYFILL_SOFTCARD_SOFTCARD_H

#include <keyfill/bytes.h>

#define SOFTCARD_COMMAND_MAX 4105  /* bytes: header, 3 of Lc, 4096 of data, 2 of Le; longer ones get 6700 */
#define SOFTCARD_RESPONSE_MAX 4098 /* bytes with the status word */
#define SOFTCARD_ATR_MAX 33        /* ISO/IEC 7816-3 8.1 */
#define SOFTCARD_STATE_MAX ((size_t)4 * 1024 * 1024)

typedef struct softcard softcard;

/* What a card needs from outside. `save` makes `state` durable before it returns: the answer of a command
 * leaves only then. */
typedef struct softcard_environment {
    kf_code (*save)(void *context, kf_view state);
    kf_code (*random)(void *context, uint8_t *ret_bytes, size_t size);
    void *context;
} softcard_environment;

/* A card from the state that `save` got last. It starts without power. KF_ERR_CARD_DATA where the state
 * cannot be understood. */
kf_code softcard_open(kf_view state, softcard_environment environment, softcard **ret_card,
                      kf_error *error) KF_MUST_USE;
/* Wipes, frees, sets NULL. */
void softcard_free(softcard **card);

/* Power and reset: selections, channels, verified PINs and half-loaded files are forgotten. */
void softcard_power_on(softcard *card);
void softcard_power_off(softcard *card);
bool softcard_is_powered(const softcard *card);
/* Owned by the card. */
kf_view softcard_atr(const softcard *card);

/* One command; appends data and status word to `response`. KF_ERR_CARD_REMOVED where power was lost, by
 * softcard_tear or because the card has none: no response then. */
kf_code softcard_transmit(softcard *card, kf_view command, kf_buffer *response) KF_MUST_USE;

/* Power is lost at the `number`th command (1 is the next after power-on) of this power session, or of the
 * next one if it is already past, before or after the command takes effect. Once. */
void softcard_tear(softcard *card, uint64_t number, bool after);
/* Commands received since power-on. */
uint64_t softcard_command_count(const softcard *card);

/* What the card holds, for people: keys as check values only. */
kf_code softcard_show(const softcard *card, kf_buffer *text) KF_MUST_USE;

#endif
