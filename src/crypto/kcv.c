#include <keyfill/kcv.h>

#include <string.h>

#include <keyfill/hex.h>

static const char *const form_names[] = {
    [KF_KCV_GLOBALPLATFORM] = "globalplatform",
    [KF_KCV_ZEROS] = "zeros",
    [KF_KCV_CMAC] = "cmac",
};
#define FORM_COUNT (sizeof form_names / sizeof form_names[0])

kf_code kf_kcv_form_parse(const char *name, kf_kcv_form *ret_form)
{
    for (size_t i = 0; i < FORM_COUNT; i++) {
        if (strcmp(form_names[i], name) != 0) continue;
        *ret_form = (kf_kcv_form)i;
        return KF_OK;
    }
    return KF_ERR_ARGUMENT;
}

const char *kf_kcv_form_name(kf_kcv_form form)
{
    return (size_t)form < FORM_COUNT ? form_names[form] : "?";
}

kf_code kf_kcv_compute(kf_algorithm algorithm, const kf_secret *key, kf_kcv_form form, kf_kcv *ret_kcv)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new_secret(algorithm, key, &cipher));
    KF_CLEANUP(kf_wipe_block16) uint8_t block[KF_BLOCK_MAX];
    memset(block, form == KF_KCV_GLOBALPLATFORM && algorithm == KF_AES ? 0x01 : 0x00, sizeof block);
    kf_view input = kf_view_of(block, kf_cipher_block_size(cipher));
    if (form == KF_KCV_CMAC)
        KF_TRY(kf_cmac(cipher, input, block));
    else
        KF_TRY(kf_cipher_encrypt_blocks(cipher, input, block));
    memcpy(ret_kcv->bytes, block, KF_KCV_SIZE);
    return KF_OK;
}

kf_kcv_text kf_kcv_show(kf_kcv kcv)
{
    kf_kcv_text shown = {""};
    if (kf_hex_encode(KF_VIEW(kcv.bytes), shown.text, sizeof shown.text) != KF_OK) shown.text[0] = '\0';
    return shown;
}
