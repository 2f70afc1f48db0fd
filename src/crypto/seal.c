#include "crypto/seal.h"

#include <sodium.h>
#include <string.h>

#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(KF_SEAL_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");
_Static_assert(KF_SEAL_OVERHEAD == NONCE_SIZE + TAG_SIZE, "overhead");
_Static_assert(KF_BOX_PUBLIC_SIZE == crypto_box_PUBLICKEYBYTES, "public key size");
_Static_assert(KF_BOX_PRIVATE_SIZE == crypto_box_SECRETKEYBYTES, "private key size");
_Static_assert(KF_BOX_OVERHEAD == crypto_box_SEALBYTES, "overhead of a box");
_Static_assert(KF_PASSPHRASE_SALT_SIZE == crypto_pwhash_SALTBYTES, "salt size");

kf_code kf_seal(const kf_secret *key, kf_view context, kf_view plain, kf_buffer *sealed)
{
    if (sodium_init() < 0) return KF_ERR_CRYPTO;
    if (kf_secret_size(key) != KF_SEAL_KEY_SIZE) return KF_ERR_KEY_SIZE;
    if (plain.size > KF_BUFFER_LIMIT) return KF_ERR_TOO_LONG;
    uint8_t *place = kf_buffer_extend(sealed, KF_SEAL_OVERHEAD + plain.size);
    if (place == NULL) return kf_buffer_status(sealed);
    randombytes_buf(place, NONCE_SIZE);
    if (crypto_aead_xchacha20poly1305_ietf_encrypt(place + NONCE_SIZE, NULL, plain.data, plain.size,
                                                   context.data, context.size, NULL, place,
                                                   kf_secret_expose(key).data) != 0)
        return KF_ERR_CRYPTO;
    return KF_OK;
}

kf_code kf_unseal(const kf_secret *key, kf_view context, kf_view sealed, kf_buffer *plain)
{
    if (sodium_init() < 0) return KF_ERR_CRYPTO;
    if (kf_secret_size(key) != KF_SEAL_KEY_SIZE) return KF_ERR_KEY_SIZE;
    if (sealed.size < KF_SEAL_OVERHEAD) return KF_ERR_AUTHENTICATION;
    size_t before = plain->size;
    size_t size = sealed.size - KF_SEAL_OVERHEAD;
    uint8_t *place = kf_buffer_extend(plain, size);
    if (place == NULL) return kf_buffer_status(plain);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(place, NULL, NULL, sealed.data + NONCE_SIZE,
                                                   sealed.size - NONCE_SIZE, context.data, context.size,
                                                   sealed.data, kf_secret_expose(key).data) == 0)
        return KF_OK;
    kf_buffer_truncate(plain, before);
    return KF_ERR_AUTHENTICATION;
}

kf_code kf_passphrase_key(const kf_secret *passphrase, const uint8_t salt[KF_PASSPHRASE_SALT_SIZE],
                          kf_passphrase_cost cost, kf_secret **ret_key)
{
    if (sodium_init() < 0) return KF_ERR_CRYPTO;
    if (cost.operations < crypto_pwhash_argon2id_OPSLIMIT_MIN ||
        cost.operations > KF_PASSPHRASE_COST_MAX_OPERATIONS ||
        cost.memory < crypto_pwhash_argon2id_MEMLIMIT_MIN || cost.memory > KF_PASSPHRASE_COST_MAX_MEMORY)
        return KF_ERR_ARGUMENT;
    kf_secret *key = NULL;
    KF_TRY(kf_secret_new_zero(KF_SEAL_KEY_SIZE, &key));
    kf_view words = kf_secret_expose(passphrase);
    if (crypto_pwhash(kf_secret_expose_writable(key), KF_SEAL_KEY_SIZE, (const char *)words.data, words.size,
                      salt, cost.operations, (size_t)cost.memory, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        kf_secret_free(&key);
        return KF_ERR_MEMORY; /* the only way in which it fails with arguments in range */
    }
    *ret_key = key;
    return KF_OK;
}

kf_code kf_box_new(uint8_t ret_public[KF_BOX_PUBLIC_SIZE], kf_secret **ret_private)
{
    if (sodium_init() < 0) return KF_ERR_CRYPTO;
    kf_secret *private_key = NULL;
    KF_TRY(kf_secret_new_zero(KF_BOX_PRIVATE_SIZE, &private_key));
    if (crypto_box_keypair(ret_public, kf_secret_expose_writable(private_key)) != 0) {
        kf_secret_free(&private_key);
        return KF_ERR_CRYPTO;
    }
    *ret_private = private_key;
    return KF_OK;
}

kf_code kf_box_public(const kf_secret *private_key, uint8_t ret_public[KF_BOX_PUBLIC_SIZE])
{
    if (kf_secret_size(private_key) != KF_BOX_PRIVATE_SIZE) return KF_ERR_KEY_SIZE;
    return crypto_scalarmult_base(ret_public, kf_secret_expose(private_key).data) == 0 ? KF_OK
                                                                                       : KF_ERR_CRYPTO;
}

kf_code kf_box_seal(const uint8_t public_key[KF_BOX_PUBLIC_SIZE], kf_view plain, kf_buffer *sealed)
{
    if (sodium_init() < 0) return KF_ERR_CRYPTO;
    if (plain.size > KF_BUFFER_LIMIT) return KF_ERR_TOO_LONG;
    size_t before = sealed->size;
    uint8_t *place = kf_buffer_extend(sealed, KF_BOX_OVERHEAD + plain.size);
    if (place == NULL) return kf_buffer_status(sealed);
    if (crypto_box_seal(place, plain.data, plain.size, public_key) == 0) return KF_OK;
    kf_buffer_truncate(sealed, before); /* a public key of small order */
    return KF_ERR_ARGUMENT;
}

kf_code kf_box_open(const kf_secret *private_key, kf_view sealed, kf_secret **ret_plain)
{
    if (sealed.size <= KF_BOX_OVERHEAD) return KF_ERR_AUTHENTICATION;
    if (sealed.size - KF_BOX_OVERHEAD > KF_SECRET_MAX_SIZE) return KF_ERR_TOO_LONG;
    uint8_t public_key[KF_BOX_PUBLIC_SIZE];
    KF_TRY(kf_box_public(private_key, public_key));
    kf_secret *plain = NULL;
    KF_TRY(kf_secret_new_zero(sealed.size - KF_BOX_OVERHEAD, &plain));
    if (crypto_box_seal_open(kf_secret_expose_writable(plain), sealed.data, sealed.size, public_key,
                             kf_secret_expose(private_key).data) != 0) {
        kf_secret_free(&plain);
        return KF_ERR_AUTHENTICATION;
    }
    *ret_plain = plain;
    return KF_OK;
}
