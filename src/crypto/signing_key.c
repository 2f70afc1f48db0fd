#include "crypto/signing_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "crypto/random.h"
#include "crypto/signature_keys.h"

/* RFC 7914: 16 MiB, which OpenSSL's own limit of 32 MiB lets pass at reading. */
#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SALT_SIZE 16
#define PASSPHRASE_MAX 1024

static const char encrypted_label[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

static void free_bio(BIO **bio)
{
    BIO_free_all(*bio);
}

static void free_pkcs8(PKCS8_PRIV_KEY_INFO **info)
{
    PKCS8_PRIV_KEY_INFO_free(*info);
}

static void free_encrypted(X509_SIG **encrypted)
{
    X509_SIG_free(*encrypted);
}

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[32] = "";
    size_t size = 0;
    return EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &size) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

/* Takes `*key` over, also on failure. */
static kf_code own_private(EVP_PKEY **key, kf_private_key **ret_key)
{
    kf_private_key *own = calloc(1, sizeof *own);
    if (own == NULL) return KF_ERR_MEMORY;
    own->key = *key;
    *key = NULL; /* `own` has it */
    *ret_key = own;
    return KF_OK;
}

kf_code kf_signing_key_new(kf_private_key **ret_key)
{
    KF_CLEANUP(free_key) EVP_PKEY *key = EVP_EC_gen("P-256");
    if (key == NULL) return KF_ERR_CRYPTO;
    return own_private(&key, ret_key);
}

static kf_code encrypt(const kf_private_key *key, const kf_secret *passphrase, X509_SIG **ret_encrypted)
{
    KF_CLEANUP(free_pkcs8) PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->key);
    if (info == NULL) return KF_ERR_CRYPTO;
    uint8_t salt[SALT_SIZE];
    KF_TRY(kf_random_bytes(salt, sizeof salt));
    X509_ALGOR *scheme =
        PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, (int)sizeof salt, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    if (scheme == NULL) return KF_ERR_CRYPTO;
    kf_view text = kf_secret_expose(passphrase);
    X509_SIG *encrypted = PKCS8_set0_pbe((const char *)text.data, (int)text.size, info, scheme);
    if (encrypted == NULL) {
        X509_ALGOR_free(scheme);
        return KF_ERR_CRYPTO;
    }
    *ret_encrypted = encrypted;
    return KF_OK;
}

kf_code kf_signing_key_write(const kf_private_key *key, const kf_secret *passphrase, kf_buffer *pem)
{
    KF_CLEANUP(free_encrypted) X509_SIG *encrypted = NULL;
    KF_CLEANUP(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL) return KF_ERR_MEMORY;
    KF_TRY(encrypt(key, passphrase, &encrypted));
    if (PEM_write_bio_PKCS8(bio, encrypted) != 1) return KF_ERR_CRYPTO;
    const char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    if (size <= 0) return KF_ERR_CRYPTO;
    kf_buffer_append_bytes(pem, text, (size_t)size);
    return kf_buffer_status(pem);
}

bool kf_signing_key_is_encrypted(kf_view pem)
{
    for (size_t i = 0; i + sizeof encrypted_label - 1 <= pem.size; i++)
        if (memcmp(pem.data + i, encrypted_label, sizeof encrypted_label - 1) == 0) return true;
    return false;
}

typedef struct passphrase_asked {
    const kf_secret *passphrase;
    bool asked;
} passphrase_asked;

/* OpenSSL's callback: instead of asking on the terminal. */
static int give_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)writing;
    passphrase_asked *asked = context;
    asked->asked = true;
    if (asked->passphrase == NULL) return -1;
    kf_view text = kf_secret_expose(asked->passphrase);
    if (size < 0 || text.size > (size_t)size) return -1;
    memcpy(buffer, text.data, text.size);
    return (int)text.size;
}

kf_code kf_signing_key_read(kf_view pem, const kf_secret *passphrase, kf_private_key **ret_key)
{
    if (pem.size == 0 || pem.size > KF_SIGNING_KEY_PEM_MAX) return KF_ERR_MALFORMED;
    if (passphrase != NULL && kf_secret_size(passphrase) > PASSPHRASE_MAX) return KF_ERR_AUTHENTICATION;
    KF_CLEANUP(free_bio) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    if (bio == NULL) return KF_ERR_MEMORY;
    passphrase_asked asked = {passphrase, false};
    KF_CLEANUP(free_key) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &asked);
    ERR_clear_error();
    if (key == NULL) return asked.asked ? KF_ERR_AUTHENTICATION : KF_ERR_MALFORMED;
    if (!is_p256(key)) return KF_ERR_MALFORMED;
    return own_private(&key, ret_key);
}

kf_code kf_signing_public_write(const kf_public_key *key, kf_buffer *spki)
{
    if (!is_p256(key->key)) return KF_ERR_UNSUPPORTED;
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key->key, &der);
    if (size <= 0) return KF_ERR_CRYPTO;
    kf_buffer_append_bytes(spki, der, (size_t)size);
    OPENSSL_free(der);
    return kf_buffer_status(spki);
}

kf_code kf_signing_public_read(kf_view spki, kf_public_key **ret_key)
{
    const unsigned char *data = spki.data;
    if (spki.size == 0 || spki.size > KF_SIGNING_KEY_PEM_MAX) return KF_ERR_MALFORMED;
    kf_public_key *key = calloc(1, sizeof *key);
    if (key == NULL) return KF_ERR_MEMORY;
    key->key = d2i_PUBKEY(NULL, &data, (long)spki.size);
    ERR_clear_error();
    kf_code code = key->key != NULL && is_p256(key->key) ? KF_OK : KF_ERR_MALFORMED;
    KF_CLEANUP(kf_buffer_clear) kf_buffer canonical = KF_BUFFER_INIT;
    if (code == KF_OK) code = kf_signing_public_write(key, &canonical);
    if (code == KF_OK && !kf_view_equal(kf_buffer_view(&canonical), spki)) code = KF_ERR_MALFORMED;
    if (code != KF_OK) {
        kf_public_key_free(&key);
        return code;
    }
    *ret_key = key;
    return KF_OK;
}
