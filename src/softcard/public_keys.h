/* Public keys of a security domain: they verify tokens and load file signatures (GlobalPlatform 11.1.8, B.3,
 * B.4). */
#ifndef KEYFILL_SOFTCARD_PUBLIC_KEYS_H
#define KEYFILL_SOFTCARD_PUBLIC_KEYS_H

#include "softcard/apdu.h"
#include "softcard/state.h"

/* Types of key components (table 11-16). */
enum {
    SOFTCARD_KEY_TYPE_RSA_EXPONENT = 0xA0,
    SOFTCARD_KEY_TYPE_RSA_MODULUS = 0xA1, /* of a whole RSA key here: softcard_key.value is both */
    SOFTCARD_KEY_TYPE_EC_POINT = 0xB0,
    SOFTCARD_KEY_TYPE_EC_PARAMETERS = 0xF0,
};

bool softcard_key_type_is_public(uint8_t type);
/* `ret_key` gets type and value; the identifier is the caller's. SW_OK or SW_WRONG_DATA: RSA of 1024 to 4096
 * bits, points of P-256. */
softcard_status softcard_public_key_rsa(kf_view modulus, kf_view exponent, softcard_key *ret_key);
softcard_status softcard_public_key_ec(kf_view point, softcard_key *ret_key);
/* One key data field of PUT KEY, from behind the type byte on. */
softcard_status softcard_public_key_read(kf_cursor *cursor, uint8_t type, softcard_key *ret_key);
/* Whether the value, read from a state, has the form that the functions below rely on. */
bool softcard_public_key_is_sound(const softcard_key *key);
/* Appends its components as key information lists them (11.3.3.1): types and lengths, in the extended form
 * where a length takes two bytes. */
void softcard_public_key_information(const softcard_key *key, kf_buffer *structure);
/* KF_ERR_AUTHENTICATION where no scheme that is due to the key's kind and size (B.3, B.4) verifies. */
kf_code softcard_public_key_verify(const softcard_key *key, kf_view message, kf_view signature) KF_MUST_USE;

#endif
