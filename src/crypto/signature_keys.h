/* Inside of the keys of signature.h, shared by the files that make and read them. */
#ifndef KEYFILL_CRYPTO_SIGNATURE_KEYS_H
#define KEYFILL_CRYPTO_SIGNATURE_KEYS_H

#include <openssl/evp.h>

#include <keyfill/signature.h>

struct kf_private_key {
    EVP_PKEY *key;
};

struct kf_public_key {
    EVP_PKEY *key;
};

#endif
