/* Key check values. Which form stands where: GlobalPlatform AES = E(01 x 16), 3DES = E(00 x 8) (Card
 * Specification B.6, Amendment D 4.1.4); SM4 here = E(00 x 16); X9.24 and X9.143 AES = CMAC of zeros. */
#ifndef KEYFILL_KCV_H
#define KEYFILL_KCV_H

#include <keyfill/cipher.h>

typedef enum kf_kcv_form {
    KF_KCV_GLOBALPLATFORM, /* AES: E(01 x 16); 3DES: E(00 x 8); SM4: E(00 x 16) */
    KF_KCV_ZEROS,          /* E(zero block) with every algorithm: the old "encrypt zeros" */
    KF_KCV_CMAC, /* CMAC of one zero block: X9.24-1 annex A, X9.143 optional blocks KC and KP with method 01
                  */
} kf_kcv_form;

#define KF_KCV_SIZE 3 /* bytes shown */

typedef struct kf_kcv {
    uint8_t bytes[KF_KCV_SIZE];
} kf_kcv;

typedef struct kf_kcv_text {
    char text[2 * KF_KCV_SIZE + 1];
} kf_kcv_text;

/* The form of that name: "globalplatform", "zeros" or "cmac". KF_ERR_ARGUMENT for another. */
kf_code kf_kcv_form_parse(const char *name, kf_kcv_form *ret_form) KF_MUST_USE;
/* The name of a form. */
const char *kf_kcv_form_name(kf_kcv_form form);

/* The first three bytes of what the form makes of the key. KF_ERR_KEY_SIZE where key and algorithm do not
 * fit. */
kf_code kf_kcv_compute(kf_algorithm algorithm, const kf_secret *key, kf_kcv_form form,
                       kf_kcv *ret_kcv) KF_MUST_USE;
/* Upper-case hex digits. */
kf_kcv_text kf_kcv_show(kf_kcv kcv);

#endif
