#include "vault/hsm_keys.h"

#include <string.h>

#define ATTRIBUTES_MAX 20

/* A template that grows; the values stay where they are. */
typedef struct key_template {
    CK_ATTRIBUTE items[ATTRIBUTES_MAX];
    CK_ULONG count;
    CK_OBJECT_CLASS class;
    CK_KEY_TYPE type;
    CK_ULONG size;
} key_template;

static CK_BBOOL yes = CK_TRUE;
static CK_BBOOL no = CK_FALSE;

static void add(key_template *template, CK_ATTRIBUTE_TYPE type, const void *value, size_t size)
{
    template->items[template->count++] = (CK_ATTRIBUTE){type, kf_hsm_input(value), size};
}

static void add_flag(key_template *template, CK_ATTRIBUTE_TYPE type, bool value)
{
    add(template, type, value ? &yes : &no, sizeof(CK_BBOOL));
}

static CK_KEY_TYPE type_of(kf_algorithm algorithm, size_t size)
{
    if (algorithm == KF_AES) return CKK_AES;
    return size == 16 ? CKK_DES2 : CKK_DES3;
}

/* Nothing that is not named here is allowed; a base key neither decrypts nor wraps, so that nothing that the
 * token made under it can be undone outside, and leaves under a trusted key at most. */
static void start_template(key_template *template, const kf_hsm_description *description)
{
    bool base = description->use == KF_HSM_BASE;
    bool wrapping = description->use == KF_HSM_WRAPPING;
    template->count = 0;
    template->class = CKO_SECRET_KEY;
    template->type = type_of(description->algorithm, description->size);
    add(template, CKA_CLASS, &template->class, sizeof template->class);
    add(template, CKA_KEY_TYPE, &template->type, sizeof template->type);
    add_flag(template, CKA_TOKEN, true);
    add_flag(template, CKA_PRIVATE, true);
    add_flag(template, CKA_SENSITIVE, true);
    add_flag(template, CKA_EXTRACTABLE, base && description->extractable);
    if (base && description->extractable) add_flag(template, CKA_WRAP_WITH_TRUSTED, true);
    add_flag(template, CKA_SIGN, !wrapping);
    add_flag(template, CKA_VERIFY, false);
    add_flag(template, CKA_ENCRYPT, base);
    add_flag(template, CKA_DECRYPT, false);
    add_flag(template, CKA_WRAP, wrapping);
    add_flag(template, CKA_UNWRAP, wrapping);
    add_flag(template, CKA_DERIVE, base && description->derives);
    add(template, CKA_ID, description->id.bytes, sizeof description->id.bytes);
    add(template, CKA_LABEL, description->label, strlen(description->label));
}

static kf_code check_algorithm(const kf_hsm_session *session, const kf_hsm_description *description,
                               kf_error *error)
{
    kf_hsm_status status;
    kf_hsm_describe(session, &status);
    uint32_t needed = description->algorithm == KF_AES    ? KF_HSM_CAN_AES
                      : description->algorithm == KF_TDES ? KF_HSM_CAN_TDES
                                                          : KF_HSM_CAN_SM4;
    if ((status.abilities & needed) != 0) return KF_OK;
    return kf_fail(error, KF_ERR_UNSUPPORTED, "token \"%s\" lacks the mechanisms for this algorithm",
                   status.label);
}

static kf_code generate(kf_hsm_session *session, void *context, kf_error *error)
{
    const kf_hsm_description *description = context;
    key_template template;
    start_template(&template, description);
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    if (description->algorithm == KF_TDES)
        mechanism.mechanism = description->size == 16 ? CKM_DES2_KEY_GEN : CKM_DES3_KEY_GEN;
    template.size = description->size;
    if (description->algorithm == KF_AES) add(&template, CKA_VALUE_LEN, &template.size, sizeof template.size);
    CK_OBJECT_HANDLE handle;
    KF_TRY(check_algorithm(session, description, error));
    CK_RV result =
        session->module->C_GenerateKey(session->handle, &mechanism, template.items, template.count, &handle);
    return kf_hsm_result(session, result, "generating a key", error);
}

kf_code kf_hsm_generate(kf_hsm_session *session, const kf_hsm_description *description, kf_error *error)
{
    kf_hsm_description own = *description;
    return kf_hsm_alone(session, generate, &own, error);
}

typedef struct import_work {
    const kf_hsm_description *description;
    kf_view bytes;
} import_work;

static kf_code create(kf_hsm_session *session, key_template *template, kf_error *error)
{
    CK_OBJECT_HANDLE handle;
    CK_RV result =
        session->module->C_CreateObject(session->handle, template->items, template->count, &handle);
    return kf_hsm_result(session, result, "storing a key", error);
}

/* The security officer sees public objects alone, and alone makes one trusted (PKCS#11 2.40, 4.10). */
static kf_code create_trusted(kf_hsm_session *session, void *context, kf_error *error)
{
    const import_work *work = context;
    key_template template;
    start_template(&template, work->description);
    for (CK_ULONG i = 0; i < template.count; i++)
        if (template.items[i].type == CKA_PRIVATE) template.items[i].pValue = &no;
    add_flag(&template, CKA_TRUSTED, true);
    add(&template, CKA_VALUE, work->bytes.data, work->bytes.size);
    return create(session, &template, error);
}

static kf_code import(kf_hsm_session *session, void *context, kf_error *error)
{
    const import_work *work = context;
    KF_TRY(check_algorithm(session, work->description, error));
    key_template template;
    start_template(&template, work->description);
    add(&template, CKA_VALUE, work->bytes.data, work->bytes.size);
    return create(session, &template, error);
}

kf_code kf_hsm_import(kf_hsm_session *session, const kf_hsm_description *description, kf_view bytes,
                      kf_error *error)
{
    import_work work = {description, bytes};
    kf_hsm_status status;
    if (bytes.size != description->size) return kf_fail_plain(error, KF_ERR_MALFORMED);
    KF_TRY(kf_hsm_enter(session, error));
    kf_hsm_describe(session, &status);
    kf_hsm_leave(session);
    bool officer = description->use == KF_HSM_WRAPPING && (status.abilities & KF_HSM_CAN_TRUST) != 0;
    return officer ? kf_hsm_as_officer(session, create_trusted, &work, error)
                   : kf_hsm_alone(session, import, &work, error);
}

static kf_code destroy(kf_hsm_session *session, void *context, kf_error *error)
{
    const kf_hsm_id *id = context;
    CK_OBJECT_HANDLE handle;
    KF_TRY(kf_hsm_find(session, id, &handle, error));
    CK_RV result = session->module->C_DestroyObject(session->handle, handle);
    kf_hsm_forget(session, id);
    return kf_hsm_result(session, result, "destroying a key", error);
}

kf_code kf_hsm_destroy(kf_hsm_session *session, const kf_hsm_id *id, kf_error *error)
{
    kf_hsm_id own = *id;
    return kf_hsm_alone(session, destroy, &own, error);
}

static kf_code wrap(kf_hsm_session *session, const kf_hsm_id *wrapping, const kf_hsm_id *id,
                    kf_buffer *wrapped, kf_error *error)
{
    CK_OBJECT_HANDLE wrapping_key;
    CK_OBJECT_HANDLE key;
    KF_TRY(kf_hsm_find(session, wrapping, &wrapping_key, error));
    KF_TRY(kf_hsm_find(session, id, &key, error));
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    uint8_t bytes[KF_HSM_WRAPPED_MAX];
    CK_ULONG size = sizeof bytes;
    CK_RV result = session->module->C_WrapKey(session->handle, &mechanism, wrapping_key, key, bytes, &size);
    KF_TRY(kf_hsm_result(session, result, "wrapping a key", error));
    kf_buffer_append_bytes(wrapped, bytes, size);
    return kf_fail_plain(error, kf_buffer_status(wrapped));
}

kf_code kf_hsm_wrap(kf_hsm_session *session, const kf_hsm_id *wrapping, const kf_hsm_id *id,
                    kf_buffer *wrapped, kf_error *error)
{
    KF_TRY(kf_hsm_enter(session, error));
    kf_code code = wrap(session, wrapping, id, wrapped, error);
    kf_hsm_leave(session);
    return code;
}

typedef struct unwrap_work {
    const kf_hsm_id *wrapping;
    const kf_hsm_description *description;
    kf_view wrapped;
} unwrap_work;

static kf_code unwrap(kf_hsm_session *session, void *context, kf_error *error)
{
    const unwrap_work *work = context;
    CK_OBJECT_HANDLE wrapping_key;
    CK_OBJECT_HANDLE key;
    KF_TRY(check_algorithm(session, work->description, error));
    KF_TRY(kf_hsm_find(session, work->wrapping, &wrapping_key, error));
    key_template template;
    start_template(&template, work->description);
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_RV result = session->module->C_UnwrapKey(session->handle, &mechanism, wrapping_key,
                                                kf_hsm_input(work->wrapped.data), work->wrapped.size,
                                                template.items, template.count, &key);
    return kf_hsm_result(session, result, "unwrapping a key", error);
}

kf_code kf_hsm_unwrap(kf_hsm_session *session, const kf_hsm_id *wrapping,
                      const kf_hsm_description *description, kf_view wrapped, kf_error *error)
{
    unwrap_work work = {wrapping, description, wrapped};
    return kf_hsm_alone(session, unwrap, &work, error);
}
