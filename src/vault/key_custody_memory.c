#include "crypto/random.h"
#include "vault/key_custody.h"

static kf_code memory_check(void *context, const kf_key_entry *entry,
                            const kf_diversification *diversification, kf_error *error)
{
    (void)context;
    (void)entry;
    (void)diversification;
    (void)error;
    return KF_OK;
}

static kf_code memory_generate(void *context, const kf_key_entry *entry, void **ret_material, kf_error *error)
{
    (void)context;
    kf_secret *key = NULL;
    KF_TRY(kf_fail_plain(error, kf_random_secret(entry->size, &key)));
    *ret_material = key;
    return KF_OK;
}

static kf_code memory_import(void *context, const kf_key_entry *entry, const kf_secret *key,
                             void **ret_material, kf_error *error)
{
    (void)context;
    (void)entry;
    kf_secret *copy = NULL;
    KF_TRY(kf_fail_plain(error, kf_secret_copy(key, &copy)));
    *ret_material = copy;
    return KF_OK;
}

static kf_code memory_check_value(void *context, const void *material, const kf_key_entry *entry,
                                  kf_kcv *ret_kcv, kf_error *error)
{
    (void)context;
    return kf_fail_plain(error, kf_key_entry_kcv(entry->algorithm, material, ret_kcv));
}

static kf_code memory_derive(void *context, const void *material, const kf_key_derivation *derivation,
                             kf_secret *ret_keys[KF_KEY_ROLES_MAX], kf_error *error)
{
    (void)context;
    kf_secret *keys[KF_KEY_ROLES_MAX] = {NULL};
    kf_code code = KF_OK;
    for (size_t i = 0; code == KF_OK && i < derivation->role_count; i++)
        code = kf_diversify(derivation->diversification, derivation->algorithm, material, derivation->fields,
                            derivation->roles[i], &keys[i], error);
    for (size_t i = 0; i < derivation->role_count; i++) {
        if (code == KF_OK)
            ret_keys[i] = keys[i];
        else
            kf_secret_free(&keys[i]);
    }
    return code;
}

static kf_code memory_expose(void *context, const void *material, kf_secret **ret_key, kf_error *error)
{
    (void)context;
    return kf_fail_plain(error, kf_secret_copy(material, ret_key));
}

static kf_code memory_translate(void *context, const void *transport, const void *material,
                                kf_secret **ret_key, kf_error *error)
{
    (void)transport;
    return memory_expose(context, material, ret_key, error);
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
    .check = memory_check,
    .generate = memory_generate,
    .import = memory_import,
    .check_value = memory_check_value,
    .derive = memory_derive,
    .expose = memory_expose,
    .borrow = memory_borrow,
    .translate = memory_translate,
    .encode = memory_encode,
    .decode = memory_decode,
    .release = memory_release,
    .destroy = memory_release,
};
