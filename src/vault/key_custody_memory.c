#include "crypto/random.h"
#include "vault/key_custody.h"

static kf_code memory_generate(void *context, kf_algorithm algorithm, size_t size, void **ret_material)
{
    (void)context;
    (void)algorithm;
    kf_secret *key = NULL;
    KF_TRY(kf_random_secret(size, &key));
    *ret_material = key;
    return KF_OK;
}

static kf_code memory_import(void *context, const kf_secret *key, void **ret_material)
{
    (void)context;
    kf_secret *copy = NULL;
    KF_TRY(kf_secret_copy(key, &copy));
    *ret_material = copy;
    return KF_OK;
}

static kf_code memory_derive(void *context, void *material, const kf_key_derivation *derivation,
                             kf_secret **ret_key, kf_error *error)
{
    (void)context;
    return kf_diversify(derivation->diversification, derivation->algorithm, material, derivation->fields,
                        derivation->role, ret_key, error);
}

static kf_code memory_expose(void *context, const void *material, kf_secret **ret_key)
{
    (void)context;
    return kf_secret_copy(material, ret_key);
}

static const kf_secret *memory_borrow(void *context, const void *material)
{
    (void)context;
    return material;
}

static void memory_encode(void *context, const void *material, kf_buffer *bytes)
{
    (void)context;
    kf_buffer_append(bytes, kf_secret_expose(material));
}

static kf_code memory_decode(void *context, kf_view bytes, void **ret_material)
{
    (void)context;
    kf_secret *key = NULL;
    KF_TRY(kf_secret_new(bytes, &key));
    *ret_material = key;
    return KF_OK;
}

static void memory_release(void *context, void *material)
{
    (void)context;
    kf_secret *key = material;
    kf_secret_free(&key);
}

const kf_key_custody kf_key_custody_memory = {
    .name = "memory",
    .context = NULL,
    .generate = memory_generate,
    .import = memory_import,
    .derive = memory_derive,
    .expose = memory_expose,
    .borrow = memory_borrow,
    .encode = memory_encode,
    .decode = memory_decode,
    .release = memory_release,
    .destroy = memory_release,
};
