/* Secure channels as the card sees them: which keys, how many tries, what level; the arithmetic is in
 * scp02_card.c and scp03_card.c. */
#ifndef KEYFILL_SOFTCARD_SECURE_CHANNEL_H
#define KEYFILL_SOFTCARD_SECURE_CHANNEL_H

#include <keyfill/mac.h>

#include "softcard/apdu.h"
#include "softcard/state.h"

struct softcard_request;

/* Amendment D 5.1, table 5-1. */
enum {
    SOFTCARD_I_S16 = 0x01,
    SOFTCARD_I_PSEUDO_RANDOM = 0x10,
    SOFTCARD_I_RESPONSE_MAC = 0x20,
    SOFTCARD_I_RESPONSE_ENCRYPTION = 0x40,
};

/* i of SCP02 (GlobalPlatform E.1.1): three keys, MAC over the command with secure messaging's class and
 * length, explicit start are in all that this card has. */
enum {
    SOFTCARD_I02_BASE = 0x05,
    SOFTCARD_I02_ENCRYPTED_ICV = 0x10,
    SOFTCARD_I02_RESPONSE_MAC = 0x20,
    SOFTCARD_I02_KNOWN_CHALLENGE = 0x40,
};

/* GlobalPlatform table 10-1. */
enum {
    SOFTCARD_LEVEL_MAC = 0x01,
    SOFTCARD_LEVEL_ENCRYPTION = 0x02,
    SOFTCARD_LEVEL_RESPONSE_MAC = 0x10,
    SOFTCARD_LEVEL_RESPONSE_ENCRYPTION = 0x20,
};

enum { SOFTCARD_CHALLENGE_MAX = 16 };

typedef enum softcard_phase {
    SOFTCARD_NO_SESSION,
    SOFTCARD_CHALLENGED, /* INITIALIZE UPDATE was answered */
    SOFTCARD_SESSION,
} softcard_phase;

typedef struct softcard_secure_channel {
    softcard_phase phase;
    uint8_t level;
    uint8_t protocol;  /* SOFTCARD_SCP02 or SOFTCARD_SCP03 */
    uint8_t parameter; /* i */
    softcard_aid key_domain;
    uint8_t key_version;
    kf_cipher *encryption;
    kf_cipher *mac;
    kf_cipher *response_mac;
    kf_cipher *key_encryption;     /* SCP03: the static DEK; SCP02: the session's */
    kf_mac_pair mac_pair;          /* SCP02 */
    kf_mac_pair response_mac_pair; /* SCP02 */
    uint16_t sequence_counter;     /* SCP02: that of this session */
    uint8_t chaining_value[16];
    uint8_t response_chaining_value[8]; /* SCP02 */
    uint8_t begun_level;                /* bits of `level` that BEGIN R-MAC SESSION gave; 0: none */
    bool holds_response_macs;           /* SCP02: only END R-MAC SESSION is answered with one */
    bool begins_response_macs;          /* with the next answer */
    bool returns_response_mac;          /* with this answer */
    bool ends_response_macs;            /* behind this answer */
    uint8_t counter[16];
    uint8_t host_challenge[SOFTCARD_CHALLENGE_MAX];
    uint8_t card_challenge[SOFTCARD_CHALLENGE_MAX];
} softcard_secure_channel;

void softcard_secure_channel_end(softcard_secure_channel *secure);
/* Whether i is one of SCP03 that this card can be. */
bool softcard_parameter_is_supported(uint8_t parameter);
bool softcard_scp02_parameter_is_supported(uint8_t parameter);
/* Whether the session lets management commands in: authenticated, with a C-MAC on each. */
bool softcard_is_authorised(const softcard_secure_channel *secure);

softcard_status softcard_initialize_update(struct softcard_request *request);
softcard_status softcard_external_authenticate(struct softcard_request *request);

/* BEGIN R-MAC SESSION and END R-MAC SESSION (GlobalPlatform E.5.3, E.5.4; Amendment D 7.1.3, 7.1.4). */
softcard_status softcard_begin_response_macs(struct softcard_request *request);
softcard_status softcard_end_response_macs(struct softcard_request *request);

/* Takes secure messaging off a command according to the level; its plain data go to `plain`. A command that
 * does not verify, or that is not protected as the level asks, ends the session. */
softcard_status softcard_unwrap(struct softcard_request *request, kf_buffer *plain);
/* Puts it on an answer; `request->command` is as softcard_unwrap left it, `request->response` holds data
 * alone. */
softcard_status softcard_wrap_answer(struct softcard_request *request, softcard_status status);

#endif
