#include "crypto/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MD *sha1;
static EVP_MD *sm3;

static void fetch_all(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    sm3 = EVP_MD_fetch(NULL, "SM3", NULL);
}

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static kf_code digest_parts(EVP_MD *const *algorithm, const kf_view *parts, size_t part_count,
                            uint8_t *ret_digest)
{
    pthread_once(&fetch_once, fetch_all);
    if (*algorithm == NULL) return KF_ERR_CRYPTO;
    KF_CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL) return KF_ERR_MEMORY;
    if (EVP_DigestInit_ex2(context, *algorithm, NULL) != 1) return KF_ERR_CRYPTO;
    for (size_t i = 0; i < part_count; i++)
        if (parts[i].size > 0 && EVP_DigestUpdate(context, parts[i].data, parts[i].size) != 1)
            return KF_ERR_CRYPTO;
    return EVP_DigestFinal_ex(context, ret_digest, NULL) == 1 ? KF_OK : KF_ERR_CRYPTO;
}

kf_code kf_sha256_parts(const kf_view *parts, size_t part_count, uint8_t ret_digest[KF_DIGEST_SIZE])
{
    return digest_parts(&sha256, parts, part_count, ret_digest);
}

kf_code kf_sha256(kf_view message, uint8_t ret_digest[KF_DIGEST_SIZE])
{
    return digest_parts(&sha256, &message, 1, ret_digest);
}

kf_code kf_sm3(kf_view message, uint8_t ret_digest[KF_DIGEST_SIZE])
{
    return digest_parts(&sm3, &message, 1, ret_digest);
}

kf_code kf_sha1_of_emv_option_b(kf_view message, uint8_t ret_digest[KF_SHA1_SIZE])
{
    return digest_parts(&sha1, &message, 1, ret_digest);
}
