/* Receipts: what the vault says it did, in its own words, numbered without gaps and MACed (AES-CMAC under a
 * key that only the vault has). The audit chain of a front is made of them.
 *
 * Bytes: version 01, u64 number, u64 time (milliseconds since 1970), texts who, act, subject, KCV, request,
 * i32 outcome, 16 bytes MAC over all before. */
#ifndef KEYFILL_VAULT_RECEIPT_H
#define KEYFILL_VAULT_RECEIPT_H

#include <keyfill/cipher.h>

#include "vault/protocol.h"

#define KF_RECEIPT_ACT_SIZE 32      /* "key.generate", "card.fill", with its zero */
#define KF_RECEIPT_SUBJECT_SIZE 192 /* "payment/cn-north/1", "kdd:0000…", with its zero */
#define KF_RECEIPT_KCV_SIZE 16      /* hex digits, with their zero */
#define KF_RECEIPT_MAC_SIZE 16      /* bytes */

typedef struct kf_receipt {
    uint64_t number; /* from 1 */
    uint64_t time;   /* milliseconds since 1970, the vault's clock */
    kf_vault_actor actor;
    char act[KF_RECEIPT_ACT_SIZE];
    char subject[KF_RECEIPT_SUBJECT_SIZE];
    char kcv[KF_RECEIPT_KCV_SIZE]; /* empty where no key is concerned */
    kf_code outcome;
} kf_receipt;

/* Appends the receipt's bytes with their MAC. Texts are cut to their sizes by whoever fills the struct. */
kf_code kf_receipt_encode(kf_cipher *key, const kf_receipt *receipt, kf_buffer *bytes) KF_MUST_USE;
/* Reads a receipt without checking the MAC, which a front cannot: KF_ERR_MALFORMED, KF_ERR_TRUNCATED. */
kf_code kf_receipt_decode(kf_view bytes, kf_receipt *ret_receipt) KF_MUST_USE;
/* In the vault: KF_ERR_AUTHENTICATION where the MAC is not ours. */
kf_code kf_receipt_verify(kf_cipher *key, kf_view bytes, kf_receipt *ret_receipt) KF_MUST_USE;

#endif
