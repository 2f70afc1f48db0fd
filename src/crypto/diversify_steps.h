/* Diversification by a token that keeps the base key: what it is asked, and what is made of its answers. It
 * gives the same keys as kf_diversify. The last level is composed of CMACs and ECB encryptions under the
 * base key; the levels before it of keys that the token makes by encrypting data (PKCS#11 2.40 2.14,
 * CKM_AES_ECB_ENCRYPT_DATA, CKM_DES3_ECB_ENCRYPT_DATA) and does not give out. */
#ifndef KEYFILL_CRYPTO_DIVERSIFY_STEPS_H
#define KEYFILL_CRYPTO_DIVERSIFY_STEPS_H

#include <keyfill/diversify.h>

#define KF_STEPS_MAX 3         /* the longest key has 32 bytes; a CMAC under 3DES gives 8 of 24 */
#define KF_STEP_INPUT_MAX 1040 /* bytes: SP 800-108 around the longest input of a level */
#define KF_STEP_CHAIN_SIZE 32  /* bytes that make one intermediate key, at most */
#define KF_STEP_OUTPUT_MAX 32  /* bytes of one step's answer */

typedef enum kf_step_kind { KF_STEP_CMAC = 1, KF_STEP_ENCRYPT = 2 } kf_step_kind;

typedef struct kf_derivation_step {
    kf_step_kind kind; /* CMAC: a block comes out; ECB encryption: as much as goes in */
    size_t size;
    uint8_t input[KF_STEP_INPUT_MAX];
} kf_derivation_step;

/* For one key. */
typedef struct kf_derivation_steps {
    size_t key_size;
    size_t block_size;
    size_t chain_count; /* intermediate keys, each made under the one before: the leading key_size bytes of
                           the encrypted data */
    struct {
        size_t size;
        uint8_t data[KF_STEP_CHAIN_SIZE];
    } chain[KF_DIVERSIFICATION_LEVELS_MAX - 1];
    size_t count;
    kf_derivation_step steps[KF_STEPS_MAX];
    bool needs_zero_block; /* the steps are not complete before kf_derivation_steps_complete */
    bool overlaps;         /* AN10922 2, AES-192 */
    bool odd_parity;
} kf_derivation_steps;

/* Whether a token can do it at all: KF_ERR_UNSUPPORTED names the level and the reason,
 * KF_ERR_DIVERSIFICATION as kf_diversify. */
kf_code kf_derivation_steps_check(const kf_diversification *diversification, kf_algorithm algorithm,
                                  size_t key_size, kf_error *error) KF_MUST_USE;

typedef struct kf_derivation_subject {
    kf_algorithm algorithm; /* of the base key and of the card's key */
    size_t key_size;
    kf_fields fields;
    kf_key_role role;
} kf_derivation_subject;

/* Errors as the check and kf_diversify. */
kf_code kf_derivation_steps_make(const kf_diversification *diversification,
                                 const kf_derivation_subject *subject, kf_derivation_steps *ret_steps,
                                 kf_error *error) KF_MUST_USE;
/* AN10922 of a short input pads as no CMAC does: what a block of zeros is encrypted to, under the key of the
 * last level, makes CMACs of its steps (SP 800-38B 6.1). block_size bytes; secret: the caller wipes them. */
void kf_derivation_steps_complete(kf_derivation_steps *steps, const uint8_t *encrypted_zeros);
/* How many bytes the token gives for the step. */
size_t kf_derivation_step_output(const kf_derivation_steps *steps, size_t index);
/* The key, from the outputs of all steps end to end. */
kf_code kf_derivation_steps_finish(const kf_derivation_steps *steps, kf_view outputs,
                                   kf_secret **ret_key) KF_MUST_USE;

#endif
