/* The messages between a vault and its helper keyfill-hsm, which holds the PKCS#11 module.
 *
 * Each connection is a SOCK_SEQPACKET socketpair: one packet is one message; there is one request at a time,
 * then its answer. A request: u64 number, u8 kind, fields. An answer: u64 number, i32 code, text message,
 * payload. Keys are named by their identifier (CKA_ID); no handle of the module leaves the helper. */
#ifndef KEYFILL_VAULT_HSM_PROTOCOL_H
#define KEYFILL_VAULT_HSM_PROTOCOL_H

#include "crypto/diversify_steps.h"
#include "vault/hsm_link.h"
#include "vault/protocol.h"

#define KF_HSM_MESSAGE_MAX ((size_t)16 * 1024) /* bytes of a packet */
#define KF_HSM_ID_SIZE 16                      /* CKA_ID, random */
#define KF_HSM_LABEL_SIZE 112                  /* with its zero */
#define KF_HSM_KEY_MAX 32                      /* bytes */
#define KF_HSM_WRAPPED_MAX 64                  /* bytes */
#define KF_HSM_GROUPS_MAX 3

typedef enum kf_hsm_kind {
    KF_HSM_STATUS = 1,   /* the payload: kf_hsm_status */
    KF_HSM_GENERATE = 2, /* a description */
    KF_HSM_IMPORT = 3,   /* a description, the key's bytes */
    KF_HSM_COMPUTE = 4,  /* kf_hsm_computation; the payload: the outputs, end to end */
    KF_HSM_DESTROY = 5,  /* an identifier */
    KF_HSM_WRAP = 6,     /* identifiers of wrapping key and key; the payload: RFC 5649 bytes */
    KF_HSM_UNWRAP = 7,   /* identifier of the wrapping key, a description, the bytes */
} kf_hsm_kind;

typedef struct kf_hsm_id {
    uint8_t bytes[KF_HSM_ID_SIZE];
} kf_hsm_id;

/* What a key is for; its attributes follow from that. */
typedef enum kf_hsm_use {
    KF_HSM_BASE = 1,         /* CMAC and ECB encryption */
    KF_HSM_AUTHENTICATE = 2, /* CMAC */
    KF_HSM_WRAPPING = 3,     /* wraps and unwraps; trusted, where the security officer's PIN is there */
} kf_hsm_use;

typedef struct kf_hsm_description {
    kf_hsm_id id;
    kf_hsm_use use;
    kf_algorithm algorithm;
    size_t size;
    bool extractable; /* under trusted wrapping keys alone */
    bool derives;     /* intermediate keys are made from it */
    char label[KF_HSM_LABEL_SIZE];
} kf_hsm_description;

/* What the token can do, as bits. */
enum {
    KF_HSM_CAN_AES = 1,        /* CMAC, ECB, generation */
    KF_HSM_CAN_TDES = 2,       /* the same */
    KF_HSM_CAN_AES_CHAIN = 4,  /* CKM_AES_ECB_ENCRYPT_DATA */
    KF_HSM_CAN_TDES_CHAIN = 8, /* CKM_DES3_ECB_ENCRYPT_DATA */
    KF_HSM_CAN_WRAP = 16,      /* CKM_AES_KEY_WRAP_PAD */
    KF_HSM_CAN_TRUST = 32,     /* wrapping keys are made trusted */
    KF_HSM_CAN_SM4 = 64,       /* no mechanism of PKCS#11 2.40 or 3.0 */
};

typedef struct kf_hsm_status {
    char label[40]; /* the token's */
    uint32_t abilities;
} kf_hsm_status;

/* Steps under one key; the chain may differ from group to group. */
typedef struct kf_hsm_computation {
    kf_hsm_id id;
    kf_algorithm algorithm;
    size_t count;
    kf_derivation_steps groups[KF_HSM_GROUPS_MAX];
} kf_hsm_computation;

void kf_hsm_request_start(kf_buffer *bytes, uint64_t number, kf_hsm_kind kind);
kf_code kf_hsm_request_take(kf_cursor *bytes, uint64_t *ret_number, kf_hsm_kind *ret_kind) KF_MUST_USE;
void kf_hsm_id_put(kf_buffer *bytes, const kf_hsm_id *id);
kf_code kf_hsm_id_take(kf_cursor *bytes, kf_hsm_id *ret_id) KF_MUST_USE;
void kf_hsm_description_put(kf_buffer *bytes, const kf_hsm_description *description);
kf_code kf_hsm_description_take(kf_cursor *bytes, kf_hsm_description *ret_description) KF_MUST_USE;
void kf_hsm_status_put(kf_buffer *bytes, const kf_hsm_status *status);
kf_code kf_hsm_status_take(kf_cursor *bytes, kf_hsm_status *ret_status) KF_MUST_USE;
/* The groups' steps must be complete (kf_derivation_steps_complete). */
void kf_hsm_computation_put(kf_buffer *bytes, const kf_hsm_computation *computation);
/* Sizes of keys, chains, steps are checked against the algorithm. */
kf_code kf_hsm_computation_take(kf_cursor *bytes, kf_hsm_computation *ret_computation) KF_MUST_USE;
/* Bytes that the whole computation gives. */
size_t kf_hsm_computation_output(const kf_hsm_computation *computation);

typedef struct kf_hsm_answer {
    uint64_t number;
    kf_code code;
    kf_view message; /* text without zero */
    kf_view payload;
} kf_hsm_answer;

void kf_hsm_answer_put(kf_buffer *bytes, const kf_hsm_answer *answer);
/* The views point into `bytes`. */
kf_code kf_hsm_answer_take(kf_view bytes, kf_hsm_answer *ret_answer) KF_MUST_USE;

#endif
