#include "crypto/ed25519.h"

#include <sodium.h>
#include <string.h>

_Static_assert(KF_ED25519_SEED_SIZE == crypto_sign_SEEDBYTES, "seed size");
_Static_assert(KF_ED25519_PUBLIC_SIZE == crypto_sign_PUBLICKEYBYTES, "public key size");
_Static_assert(KF_ED25519_SIGNATURE_SIZE == crypto_sign_BYTES, "signature size");

/* libsodium's secret key is the seed with the public key behind it. */
typedef struct expanded_key {
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
} expanded_key;

static void expanded_key_wipe(expanded_key *key)
{
    kf_wipe(key, sizeof *key);
}

static kf_code expand(const kf_secret *seed, expanded_key *ret_key)
{
    if (sodium_init() < 0) return KF_ERR_CRYPTO;
    if (kf_secret_size(seed) != KF_ED25519_SEED_SIZE) return KF_ERR_KEY_SIZE;
    if (crypto_sign_seed_keypair(ret_key->public_key, ret_key->secret_key, kf_secret_expose(seed).data) != 0)
        return KF_ERR_CRYPTO;
    return KF_OK;
}

kf_code kf_ed25519_public(const kf_secret *seed, uint8_t ret_public[KF_ED25519_PUBLIC_SIZE])
{
    KF_CLEANUP(expanded_key_wipe) expanded_key key = {{0}, {0}};
    KF_TRY(expand(seed, &key));
    memcpy(ret_public, key.public_key, KF_ED25519_PUBLIC_SIZE);
    return KF_OK;
}

kf_code kf_ed25519_sign(const kf_secret *seed, kf_view message,
                        uint8_t ret_signature[KF_ED25519_SIGNATURE_SIZE])
{
    KF_CLEANUP(expanded_key_wipe) expanded_key key = {{0}, {0}};
    KF_TRY(expand(seed, &key));
    if (crypto_sign_detached(ret_signature, NULL, message.data, message.size, key.secret_key) != 0)
        return KF_ERR_CRYPTO;
    return KF_OK;
}

kf_code kf_ed25519_verify(const uint8_t public_key[KF_ED25519_PUBLIC_SIZE], kf_view message,
                          const uint8_t signature[KF_ED25519_SIGNATURE_SIZE])
{
    if (sodium_init() < 0) return KF_ERR_CRYPTO;
    if (crypto_sign_verify_detached(signature, message.data, message.size, public_key) != 0)
        return KF_ERR_AUTHENTICATION;
    return KF_OK;
}
