/* SCP03, card side: Amendment D 1.2 chapters 4 and 6. */
#ifndef KEYFILL_SOFTCARD_SCP03_CARD_H
#define KEYFILL_SOFTCARD_SCP03_CARD_H

#include "softcard/secure_channel.h"

size_t softcard_scp03_mac_size(const softcard_secure_channel *secure); /* 8, or 16 in S16 mode */

/* The challenge from the static ENC key, the key set's counter and the AID (6.2.2.1). */
kf_code softcard_scp03_challenge(softcard_secure_channel *secure, const kf_secret *key_enc, uint32_t counter,
                                 kf_view aid) KF_MUST_USE;
/* Session keys from both challenges, which stand in `secure` (6.2.1). */
kf_code softcard_scp03_derive(softcard_secure_channel *secure, const softcard_key_set *keys) KF_MUST_USE;
/* Appends the card cryptogram (6.2.2.2). */
kf_code softcard_scp03_card_cryptogram(softcard_secure_channel *secure, kf_buffer *output) KF_MUST_USE;
/* KF_ERR_AUTHENTICATION (6.2.2.3). */
kf_code softcard_scp03_check_host(softcard_secure_channel *secure, kf_view cryptogram) KF_MUST_USE;
/* Checks the C-MAC at the end of the data and chains it; `command->data` is shortened by it (6.2.4).
 * KF_ERR_AUTHENTICATION. */
kf_code softcard_scp03_check_mac(softcard_secure_channel *secure, softcard_command *command) KF_MUST_USE;
/* Counts the command and, where there are data, decrypts them into `plain` (6.2.6). */
kf_code softcard_scp03_decrypt(softcard_secure_channel *secure, softcard_command *command,
                               kf_buffer *plain) KF_MUST_USE;
/* Encrypts the data in `response` (6.2.7). */
kf_code softcard_scp03_encrypt_response(softcard_secure_channel *secure, kf_buffer *response) KF_MUST_USE;
/* Appends the R-MAC over the data in `response` and the status word (6.2.5). */
kf_code softcard_scp03_mac_response(softcard_secure_channel *secure, softcard_status status,
                                    kf_buffer *response) KF_MUST_USE;

#endif
