#include <keyfill/signature.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "crypto/signature_keys.h"

#define RSA_BITS_MIN 1024
#define RSA_BITS_MAX 4096
#define ENCODED_MAX 16384 /* bytes: an RSA-4096 key in PEM has 3,300 */

static const EVP_MD *hash_of(kf_hash_algorithm algorithm)
{
    switch (algorithm) {
    case KF_HASH_SHA1: return EVP_sha1();
    case KF_HASH_SHA256: return EVP_sha256();
    case KF_HASH_SHA384: return EVP_sha384();
    case KF_HASH_SHA512: return EVP_sha512();
    case KF_HASH_SM3: return EVP_sm3();
    }
    return NULL;
}

size_t kf_hash_size(kf_hash_algorithm algorithm)
{
    const EVP_MD *hash = hash_of(algorithm);
    return hash == NULL ? 0 : (size_t)EVP_MD_get_size(hash);
}

kf_code kf_hash(kf_hash_algorithm algorithm, kf_view message, kf_buffer *digest)
{
    const EVP_MD *hash = hash_of(algorithm);
    if (hash == NULL) return KF_ERR_ARGUMENT;
    uint8_t value[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const void *data = message.size == 0 ? "" : (const void *)message.data;
    if (EVP_Digest(data, message.size, value, &size, hash, NULL) != 1) return KF_ERR_CRYPTO;
    kf_buffer_append_bytes(digest, value, size);
    return kf_buffer_status(digest);
}

static void free_decoder(OSSL_DECODER_CTX **context)
{
    OSSL_DECODER_CTX_free(*context);
}

static kf_code decode_key(kf_view encoded, int selection, EVP_PKEY **ret_key)
{
    if (encoded.size == 0 || encoded.size > ENCODED_MAX) return KF_ERR_MALFORMED;
    EVP_PKEY *key = NULL;
    KF_CLEANUP(free_decoder)
    OSSL_DECODER_CTX *context = OSSL_DECODER_CTX_new_for_pkey(&key, NULL, NULL, NULL, selection, NULL, NULL);
    if (context == NULL) return KF_ERR_CRYPTO;
    /* An empty passphrase instead of asking on the terminal: encrypted keys are refused. */
    if (OSSL_DECODER_CTX_set_passphrase(context, (const unsigned char *)"", 0) != 1) return KF_ERR_CRYPTO;
    const unsigned char *data = encoded.data;
    size_t size = encoded.size;
    if (OSSL_DECODER_from_data(context, &data, &size) != 1 || key == NULL) {
        EVP_PKEY_free(key);
        return KF_ERR_MALFORMED;
    }
    bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
    int bits = EVP_PKEY_get_bits(key);
    kf_code code = rsa || EVP_PKEY_is_a(key, "EC") == 1 ? KF_OK : KF_ERR_MALFORMED;
    if (rsa && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)) code = KF_ERR_KEY_SIZE;
    if (code != KF_OK) {
        EVP_PKEY_free(key);
        return code;
    }
    *ret_key = key;
    return KF_OK;
}

kf_code kf_private_key_read(kf_view encoded, kf_private_key **ret_key)
{
    kf_private_key *key = calloc(1, sizeof(*key));
    if (key == NULL) return KF_ERR_MEMORY;
    kf_code code = decode_key(encoded, EVP_PKEY_KEYPAIR, &key->key);
    if (code != KF_OK) {
        free(key);
        return code;
    }
    *ret_key = key;
    return KF_OK;
}

void kf_private_key_free(kf_private_key **key)
{
    if (key == NULL || *key == NULL) return;
    EVP_PKEY_free((*key)->key);
    free(*key);
    *key = NULL;
}

kf_code kf_public_key_read(kf_view encoded, kf_public_key **ret_key)
{
    kf_public_key *key = calloc(1, sizeof(*key));
    if (key == NULL) return KF_ERR_MEMORY;
    kf_code code = decode_key(encoded, EVP_PKEY_PUBLIC_KEY, &key->key);
    if (code != KF_OK) {
        free(key);
        return code;
    }
    *ret_key = key;
    return KF_OK;
}

kf_code kf_public_key_of(const kf_private_key *key, kf_public_key **ret_key)
{
    kf_public_key *public_key = calloc(1, sizeof(*public_key));
    if (public_key == NULL) return KF_ERR_MEMORY;
    if (EVP_PKEY_up_ref(key->key) != 1) {
        free(public_key);
        return KF_ERR_CRYPTO;
    }
    public_key->key = key->key;
    *ret_key = public_key;
    return KF_OK;
}

void kf_public_key_free(kf_public_key **key)
{
    if (key == NULL || *key == NULL) return;
    EVP_PKEY_free((*key)->key);
    free(*key);
    *key = NULL;
}

static kf_code append_number(const EVP_PKEY *key, const char *name, kf_buffer *number)
{
    BIGNUM *value = NULL;
    if (EVP_PKEY_get_bn_param(key, name, &value) != 1) return KF_ERR_CRYPTO;
    uint8_t *bytes = kf_buffer_extend(number, (size_t)BN_num_bytes(value));
    if (bytes != NULL) (void)BN_bn2bin(value, bytes);
    BN_free(value);
    return kf_buffer_status(number);
}

kf_code kf_public_key_rsa(const kf_public_key *key, kf_buffer *modulus, kf_buffer *exponent)
{
    if (EVP_PKEY_is_a(key->key, "RSA") != 1) return KF_ERR_UNSUPPORTED;
    KF_TRY(append_number(key->key, OSSL_PKEY_PARAM_RSA_N, modulus));
    return append_number(key->key, OSSL_PKEY_PARAM_RSA_E, exponent);
}

static bool is_rsa_scheme(kf_signature_scheme scheme)
{
    return scheme == KF_SIGNATURE_RSA_PKCS1_SHA1 || scheme == KF_SIGNATURE_RSA_PKCS1_SHA256 ||
           scheme == KF_SIGNATURE_RSA_PSS_SHA256;
}

static kf_code check_scheme(EVP_PKEY *key, kf_signature_scheme scheme)
{
    if (!is_rsa_scheme(scheme) && scheme != KF_SIGNATURE_ECDSA_SHA256) return KF_ERR_ARGUMENT;
    return (EVP_PKEY_is_a(key, "RSA") == 1) == is_rsa_scheme(scheme) ? KF_OK : KF_ERR_UNSUPPORTED;
}

static const EVP_MD *hash_of_scheme(kf_signature_scheme scheme)
{
    return scheme == KF_SIGNATURE_RSA_PKCS1_SHA1 ? EVP_sha1() : EVP_sha256();
}

static bool set_padding(EVP_PKEY_CTX *context, kf_signature_scheme scheme)
{
    if (scheme == KF_SIGNATURE_ECDSA_SHA256) return true;
    if (scheme != KF_SIGNATURE_RSA_PSS_SHA256)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static void free_signature(ECDSA_SIG **signature)
{
    ECDSA_SIG_free(*signature);
}

static size_t order_size(const EVP_PKEY *key)
{
    return ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
}

/* From DER to r and s side by side. */
static kf_code append_plain_signature(const EVP_PKEY *key, kf_view der, kf_buffer *signature)
{
    const unsigned char *data = der.data;
    KF_CLEANUP(free_signature) ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &data, (long)der.size);
    if (parsed == NULL) return KF_ERR_CRYPTO;
    size_t size = order_size(key);
    uint8_t *plain = kf_buffer_extend(signature, 2 * size);
    if (plain == NULL) return kf_buffer_status(signature);
    if (BN_bn2binpad(ECDSA_SIG_get0_r(parsed), plain, (int)size) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(parsed), plain + size, (int)size) < 0)
        return KF_ERR_CRYPTO;
    return KF_OK;
}

kf_code kf_sign(const kf_private_key *key, kf_signature_scheme scheme, kf_view message, kf_buffer *signature)
{
    KF_TRY(check_scheme(key->key, scheme));
    KF_CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL) return KF_ERR_MEMORY;
    EVP_PKEY_CTX *key_context = NULL;
    if (EVP_DigestSignInit(context, &key_context, hash_of_scheme(scheme), NULL, key->key) != 1 ||
        !set_padding(key_context, scheme))
        return KF_ERR_CRYPTO;
    uint8_t bytes[KF_SIGNATURE_SIZE_MAX];
    size_t size = sizeof(bytes);
    if (EVP_DigestSign(context, bytes, &size, message.data, message.size) != 1) return KF_ERR_CRYPTO;
    if (!is_rsa_scheme(scheme)) return append_plain_signature(key->key, kf_view_of(bytes, size), signature);
    kf_buffer_append_bytes(signature, bytes, size);
    return kf_buffer_status(signature);
}

/* From r and s side by side to DER. */
static kf_code encode_signature(const EVP_PKEY *key, kf_view plain, kf_buffer *der)
{
    size_t size = order_size(key);
    if (plain.size != 2 * size) return KF_ERR_AUTHENTICATION;
    KF_CLEANUP(free_signature) ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(plain.data, (int)size, NULL);
    BIGNUM *s = BN_bin2bn(plain.data + size, (int)size, NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return KF_ERR_MEMORY;
    }
    /* r and s belong to the signature now. */
    int encoded = i2d_ECDSA_SIG(signature, NULL);
    if (encoded <= 0) return KF_ERR_CRYPTO;
    uint8_t *bytes = kf_buffer_extend(der, (size_t)encoded);
    if (bytes == NULL) return kf_buffer_status(der);
    return i2d_ECDSA_SIG(signature, &bytes) == encoded ? KF_OK : KF_ERR_CRYPTO;
}

kf_code kf_signature_verify(const kf_public_key *key, kf_signature_scheme scheme, kf_view message,
                            kf_view signature)
{
    KF_TRY(check_scheme(key->key, scheme));
    KF_CLEANUP(kf_buffer_clear) kf_buffer der = KF_BUFFER_INIT;
    kf_view encoded = signature;
    if (!is_rsa_scheme(scheme)) {
        KF_TRY(encode_signature(key->key, signature, &der));
        encoded = kf_buffer_view(&der);
    }
    KF_CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL) return KF_ERR_MEMORY;
    EVP_PKEY_CTX *key_context = NULL;
    if (EVP_DigestVerifyInit(context, &key_context, hash_of_scheme(scheme), NULL, key->key) != 1 ||
        !set_padding(key_context, scheme))
        return KF_ERR_CRYPTO;
    bool good = EVP_DigestVerify(context, encoded.data, encoded.size, message.data, message.size) == 1;
    return good ? KF_OK : KF_ERR_AUTHENTICATION;
}
