#include <string.h>

#include "vault/hsm_keys.h"

typedef struct running {
    kf_hsm_session *session;
    kf_algorithm algorithm;
    CK_OBJECT_HANDLE key;
    bool intermediate; /* `key` is one that was derived here */
    kf_buffer *outputs;
} running;

static void drop_intermediate(running *run)
{
    if (run->intermediate) (void)run->session->module->C_DestroyObject(run->session->handle, run->key);
    run->intermediate = false;
}

/* An intermediate key: it lives as long as the computation, in the session, and is not to be had. */
static kf_code make_intermediate(running *run, const kf_derivation_steps *group, size_t level,
                                 kf_error *error)
{
    kf_hsm_session *session = run->session;
    kf_algorithm algorithm = run->algorithm;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = algorithm == KF_AES ? CKK_AES : group->key_size == 16 ? CKK_DES2 : CKK_DES3;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_ULONG size = group->key_size;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class},  {CKA_KEY_TYPE, &type, sizeof type},
                               {CKA_TOKEN, &no, sizeof no},        {CKA_SENSITIVE, &yes, sizeof yes},
                               {CKA_EXTRACTABLE, &no, sizeof no},  {CKA_SIGN, &yes, sizeof yes},
                               {CKA_ENCRYPT, &yes, sizeof yes},    {CKA_DERIVE, &yes, sizeof yes},
                               {CKA_VALUE_LEN, &size, sizeof size}};
    CK_ULONG count = sizeof template / sizeof template[0];
    CK_KEY_DERIVATION_STRING_DATA data = {kf_hsm_input(group->chain[level].data), group->chain[level].size};
    CK_MECHANISM mechanism = {algorithm == KF_AES ? CKM_AES_ECB_ENCRYPT_DATA : CKM_DES3_ECB_ENCRYPT_DATA,
                              &data, sizeof data};
    CK_OBJECT_HANDLE made;
    /* The length of a DES key is its type's. */
    if (algorithm == KF_TDES) count--;
    CK_RV result =
        session->module->C_DeriveKey(session->handle, &mechanism, run->key, template, count, &made);
    KF_TRY(kf_hsm_result(session, result, "deriving a key", error));
    drop_intermediate(run);
    run->key = made;
    run->intermediate = true;
    return KF_OK;
}

static kf_code run_step(const running *run, const kf_derivation_step *step, size_t output_size,
                        kf_error *error)
{
    const CK_FUNCTION_LIST *module = run->session->module;
    CK_SESSION_HANDLE handle = run->session->handle;
    bool aes = run->algorithm == KF_AES;
    bool mac = step->kind == KF_STEP_CMAC;
    CK_MECHANISM mechanism = {mac ? (aes ? CKM_AES_CMAC : CKM_DES3_CMAC) : (aes ? CKM_AES_ECB : CKM_DES3_ECB),
                              NULL, 0};
    CK_BYTE *input = kf_hsm_input(step->input);
    CK_ULONG size = output_size;
    uint8_t *place = kf_buffer_extend(run->outputs, output_size);
    if (place == NULL) return kf_fail_plain(error, kf_buffer_status(run->outputs));
    CK_RV result = mac ? module->C_SignInit(handle, &mechanism, run->key)
                       : module->C_EncryptInit(handle, &mechanism, run->key);
    KF_TRY(kf_hsm_result(run->session, result, "using a key", error));
    result = mac ? module->C_Sign(handle, input, step->size, place, &size)
                 : module->C_Encrypt(handle, input, step->size, place, &size);
    KF_TRY(kf_hsm_result(run->session, result, "using a key", error));
    if (size == output_size) return KF_OK;
    return kf_fail(error, KF_ERR_UNSUPPORTED, "the token answers with %lu bytes where %zu are due", size,
                   output_size);
}

static kf_code run_group(running *run, const kf_derivation_steps *group, kf_error *error)
{
    for (size_t i = 0; i < group->chain_count; i++)
        KF_TRY(make_intermediate(run, group, i, error));
    for (size_t i = 0; i < group->count; i++)
        KF_TRY(run_step(run, &group->steps[i], kf_derivation_step_output(group, i), error));
    return KF_OK;
}

static kf_code compute(kf_hsm_session *session, const kf_hsm_computation *computation, kf_buffer *outputs,
                       kf_error *error)
{
    CK_OBJECT_HANDLE key;
    if (computation->algorithm != KF_AES && computation->algorithm != KF_TDES)
        return kf_fail(error, KF_ERR_UNSUPPORTED, "PKCS#11 has no mechanism for SM4");
    KF_TRY(kf_hsm_find(session, &computation->id, &key, error));
    kf_code code = KF_OK;
    for (size_t i = 0; code == KF_OK && i < computation->count; i++) {
        running run = {session, computation->algorithm, key, false, outputs};
        code = run_group(&run, &computation->groups[i], error);
        drop_intermediate(&run);
    }
    return code;
}

kf_code kf_hsm_compute(kf_hsm_session *session, const kf_hsm_computation *computation, kf_buffer *outputs,
                       kf_error *error)
{
    KF_TRY(kf_hsm_enter(session, error));
    kf_code code = compute(session, computation, outputs, error);
    kf_hsm_leave(session);
    return code;
}
