/* Remote management over the air, card side: ENVELOPE (SMS-PP download) with a command packet of ETSI
 * TS 102 225, commands of TS 102 226, response packet. */
#ifndef KEYFILL_SOFTCARD_REMOTE_H
#define KEYFILL_SOFTCARD_REMOTE_H

#include <keyfill/cipher.h>

#include "softcard/apdu.h"
#include "softcard/state.h"

struct softcard;
struct softcard_request;

enum { SOFTCARD_REMOTE_PACKET_MAX = 4096, SOFTCARD_REMOTE_MAC = 8 };

/* A message in several parts (3GPP TS 23.040 9.2.3.24.1), which arrive in order. */
typedef struct softcard_remote_parts {
    uint8_t reference;
    uint8_t total;
    uint8_t next;
    kf_buffer bytes;
} softcard_remote_parts;

/* Response status codes (TS 102 225 table 5). */
typedef enum softcard_remote_status {
    SOFTCARD_REMOTE_OK = 0x00,
    SOFTCARD_REMOTE_MAC_FAILED = 0x01,
    SOFTCARD_REMOTE_COUNTER_LOW = 0x02,
    SOFTCARD_REMOTE_COUNTER_HIGH = 0x03,
    SOFTCARD_REMOTE_CIPHERING = 0x05,
    SOFTCARD_REMOTE_SECURITY = 0x06,
    SOFTCARD_REMOTE_UNKNOWN_TARGET = 0x09,
    SOFTCARD_REMOTE_LEVEL = 0x0A,
} softcard_remote_status;

/* CC or RC. */
typedef struct softcard_remote_check {
    size_t size;
    uint8_t bytes[SOFTCARD_REMOTE_MAC];
} softcard_remote_check;

/* A command packet with its security taken off; its keys stay for the response. */
typedef struct softcard_remote_packet {
    uint8_t security[2]; /* SPI */
    uint8_t target[3];   /* TAR */
    uint8_t counter[SOFTCARD_REMOTE_COUNTER_SIZE];
    uint8_t key_version;         /* of KID, or of KIc where there is no MAC */
    uint8_t integrity_reference; /* KID */
    kf_cipher *encryption;
    kf_cipher *mac;
    kf_cipher *key_encryption; /* KIK */
    kf_buffer commands;
} softcard_remote_packet;

softcard_status softcard_envelope(struct softcard_request *request);

/* Reads a command packet and checks its MAC. KF_ERR_MALFORMED where it is none: no answer then. `ret_status`
 * is what a response has to say. The caller clears the packet. */
kf_code softcard_remote_open(softcard_state *state, kf_view bytes, softcard_remote_packet *packet,
                             softcard_remote_status *ret_status) KF_MUST_USE;
void softcard_remote_packet_clear(softcard_remote_packet *packet);
/* Appends the response packet, as far as SPI asks for one. */
kf_code softcard_remote_respond(softcard_remote_packet *packet, softcard_remote_status status, kf_view data,
                                kf_buffer *response) KF_MUST_USE;
/* Runs the commands up to the first that fails; appends count, last status word and last answer. */
softcard_status softcard_remote_execute(struct softcard *card, softcard_remote_packet *packet,
                                        kf_buffer *result);
/* Whether TAR names files or the issuer security domain. */
bool softcard_remote_target_is_known(const uint8_t target[3]);

#endif
