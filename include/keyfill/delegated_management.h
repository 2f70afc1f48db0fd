/* Delegated management (GlobalPlatform Card Specification 2.3.1 §9.2, appendix C): tokens that permit a
 * command, receipts that confirm one, and the signatures of load file data blocks (DAP). */
#ifndef KEYFILL_DELEGATED_MANAGEMENT_H
#define KEYFILL_DELEGATED_MANAGEMENT_H

#include <keyfill/globalplatform.h>
#include <keyfill/signature.h>

/* Appends what a token signs (C.4.1 to C.4.7): P1, P2, the length of what follows, and the command's data
 * without the token. `apdu`: INSTALL with an empty token, or DELETE without 9E; short or extended.
 * KF_ERR_ARGUMENT for another command, and for an INSTALL that ends in a token. */
kf_code kf_gp_token_input(kf_view apdu, kf_buffer *input) KF_MUST_USE;

/* A MAC of appendix B over a token's input, a load file hash (DAP) or a receipt's: KF_TDES with 16 bytes the
 * retail MAC, single DES plus final triple DES (B.1.2.2), 8 bytes; KF_AES the CMAC (B.2.2), 16 bytes.
 * Appended. Asymmetric keys: kf_sign. */
kf_code kf_gp_symmetric_signature(kf_algorithm algorithm, const kf_secret *key, kf_view input,
                                  kf_buffer *mac) KF_MUST_USE;

/* What a card answers to a command of delegated management (§11.1.6, C.5). Views point into the answer. */
typedef struct kf_gp_confirmation {
    kf_view receipt;          /* empty: none was made */
    kf_view data;             /* the confirmation data as the receipt covers them */
    uint32_t counter;         /* confirmation counter */
    kf_view unique_data;      /* of the security domain that made the receipt: 42 and 45 */
    kf_view token_identifier; /* empty where not told */
    kf_view token_digest;     /* empty where not told */
} kf_gp_confirmation;
/* `data`: the answer's data; 00 alone, or nothing, is a confirmation without receipt. KF_ERR_CARD_DATA for
 * another form. */
kf_code kf_gp_confirmation_parse(kf_view data, kf_gp_confirmation *ret_confirmation) KF_MUST_USE;

#define KF_GP_RECEIPT_AIDS_MAX 3
/* Checks the receipt: MAC over the confirmation data and the AIDs, each behind its length. The AIDs are, for
 * LOAD: load file, security domain (C.5.1); INSTALL: load file, application (C.5.2); DELETE: what was deleted
 * (C.5.3); extradition: former domain, what was moved, new domain (C.5.4). KF_ERR_AUTHENTICATION where it
 * does not verify or there is none. */
kf_code kf_gp_receipt_verify(kf_algorithm algorithm, const kf_secret *key,
                             const kf_gp_confirmation *confirmation, const kf_view *aids,
                             size_t aid_count) KF_MUST_USE;

/* The load file data block hash (C.2): over the load file data, without C4 and its length. Appended. */
kf_code kf_gp_load_file_hash(kf_hash_algorithm algorithm, kf_view load_file_data,
                             kf_buffer *hash) KF_MUST_USE;

#endif
