/* SCP02, card side: GlobalPlatform Card Specification 2.3.1 appendix E. */
#ifndef KEYFILL_SOFTCARD_SCP02_CARD_H
#define KEYFILL_SOFTCARD_SCP02_CARD_H

#include "softcard/secure_channel.h"

enum {
    SOFTCARD_SCP02_HOST_CHALLENGE = 8,
    SOFTCARD_SCP02_CARD_CHALLENGE = 6, /* behind two bytes of the sequence counter */
    SOFTCARD_SCP02_CRYPTOGRAM = 8,
    SOFTCARD_SCP02_MAC = 8,
};

/* Session keys from the static ones and the sequence counter (E.4.1). */
kf_code softcard_scp02_derive(softcard_secure_channel *secure, const softcard_key_set *keys) KF_MUST_USE;
/* The card challenge that a host can compute from the AID (E.4.2.3), after softcard_scp02_derive. */
kf_code softcard_scp02_challenge(softcard_secure_channel *secure, kf_view aid) KF_MUST_USE;
/* Appends the card cryptogram (E.4.2.1). */
kf_code softcard_scp02_card_cryptogram(softcard_secure_channel *secure, kf_buffer *output) KF_MUST_USE;
/* KF_ERR_AUTHENTICATION (E.4.2.2). */
kf_code softcard_scp02_check_host(softcard_secure_channel *secure, kf_view cryptogram) KF_MUST_USE;
/* Takes the C-MAC (E.4.4) and, where the level has it, the encryption (E.4.6) off a command; what was
 * encrypted goes to `plain`. KF_ERR_AUTHENTICATION. */
kf_code softcard_scp02_unwrap(softcard_secure_channel *secure, softcard_command *command,
                              kf_buffer *plain) KF_MUST_USE;
/* Appends the R-MAC (E.4.5) over the command, as it was before secure messaging, and the answer. */
kf_code softcard_scp02_mac_response(softcard_secure_channel *secure, const softcard_command *command,
                                    softcard_status status, kf_buffer *response) KF_MUST_USE;

#endif
