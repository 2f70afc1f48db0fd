/* Key sets of a security domain: PUT KEY (GlobalPlatform 11.8, Amendment D 7.2), their use and their list. */
#ifndef KEYFILL_SOFTCARD_KEY_SETS_H
#define KEYFILL_SOFTCARD_KEY_SETS_H

#include <keyfill/cipher.h>

#include "softcard/apdu.h"
#include "softcard/state.h"

struct softcard_request;

enum {
    SOFTCARD_KEY_ENC = 1,
    SOFTCARD_KEY_MAC = 2,
    SOFTCARD_KEY_DEK = 3,
    SOFTCARD_KEY_TYPE_DES = 0x80,     /* mode of operation implied; 81 to 84: named */
    SOFTCARD_KEY_TYPE_DES_MAX = 0x84, /* DES in CBC mode */
    SOFTCARD_KEY_TYPE_PSK = 0x85,     /* of TLS; the card only keeps it */
    SOFTCARD_KEY_TYPE_AES = 0x88,
    SOFTCARD_KEY_VERSION_INITIAL =
        0xFF, /* of keys that a card maker leaves; the first of the issuer's end them */
};

/* Keys on their way into a set; `count` of them own a value. */
typedef struct softcard_new_keys {
    uint8_t version;
    uint8_t replaced_version; /* 0: none */
    size_t count;
    softcard_key keys[SOFTCARD_KEYS_MAX];
} softcard_new_keys;

const softcard_key *softcard_key_find(const softcard_key_set *set, uint8_t identifier);
softcard_key_set *softcard_key_set_find(softcard_application *domain, uint8_t version);
/* A set that can open a channel of a protocol that the domain has: ENC, MAC and DEK of one kind and size.
 * Version 0: the first there is. */
softcard_key_set *softcard_key_set_for_channel(softcard_application *domain, uint8_t version);
/* SOFTCARD_SCP02 for DES keys, SOFTCARD_SCP03 for AES keys, 0 where it can open none. */
uint8_t softcard_key_set_protocol(const softcard_key_set *set);
bool softcard_key_type_is_des(uint8_t type);
/* Whether a key of `type` can have `size` bytes. SW_OK, SW_ALGORITHM or SW_WRONG_DATA. */
softcard_status softcard_key_type_check(uint8_t type, size_t size);
kf_algorithm softcard_key_algorithm(uint8_t type);

/* A key as it arrives. */
typedef struct softcard_key_cryptogram {
    uint8_t identifier;
    uint8_t type;
    size_t size;  /* bytes of the key */
    kf_view data; /* encrypted, padded to whole blocks */
} softcard_key_cryptogram;

/* Decrypts under the DEK (AES: CBC, Amendment D 7.2; DES: ECB, GlobalPlatform E.4.7), appends to `keys`. */
softcard_status softcard_new_key_add(softcard_new_keys *keys, kf_cipher *key_encryption,
                                     const softcard_key_cryptogram *arrived);
void softcard_new_keys_clear(softcard_new_keys *keys);
/* Adds or replaces all of them, or changes nothing. On success the values belong to the domain. */
softcard_status softcard_new_keys_commit(softcard_new_keys *keys, softcard_application *domain);
/* Version or identifier 0: any. The caller takes the domain back where it does not succeed. */
softcard_status softcard_key_sets_delete(softcard_application *domain, uint8_t version, uint8_t identifier);

softcard_status softcard_put_key(struct softcard_request *request);
/* Appends key information data structures C0 (GlobalPlatform 11.3.3.1). */
void softcard_key_information(const softcard_application *domain, kf_buffer *output);
/* Appends the three bytes of the key check value; a public key has none. */
kf_code softcard_key_check_value(const softcard_key *key, kf_buffer *output) KF_MUST_USE;

#endif
