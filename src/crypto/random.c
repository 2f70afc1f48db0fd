#include "crypto/random.h"

#include <sodium.h>

kf_code kf_random_bytes(void *ret_bytes, size_t size)
{
    if (sodium_init() < 0) return KF_ERR_CRYPTO;
    randombytes_buf(ret_bytes, size);
    return KF_OK;
}

kf_code kf_random_secret(size_t size, kf_secret **ret_secret)
{
    kf_secret *secret = NULL;
    KF_TRY(kf_secret_new_zero(size, &secret));
    kf_code code = kf_random_bytes(kf_secret_expose_writable(secret), size);
    if (code != KF_OK) {
        kf_secret_free(&secret);
        return code;
    }
    *ret_secret = secret;
    return KF_OK;
}
