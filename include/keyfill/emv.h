/* EMV at the issuer's side: session keys, application cryptograms, their answers, issuer scripts (EMV 4.4
 * Book 2; Visa Integrated Circuit Card Specification for cryptogram versions 10 and 18). The card's master
 * keys come from the issuer's by kf_diversify with the methods emv-option-a, -b and -c.
 *
 * Everywhere `algorithm` is KF_TDES with keys of 16 bytes or KF_AES with keys of 16, 24 or 32;
 * KF_ERR_KEY_SIZE where key and algorithm do not fit, KF_ERR_UNSUPPORTED for other algorithms. MACs are
 * retail MACs with 3DES (A1.2.1, algorithm 3) and CMACs with AES (A1.2.2).
 */
#ifndef KEYFILL_EMV_H
#define KEYFILL_EMV_H

#include <keyfill/cipher.h>

#define KF_EMV_CRYPTOGRAM_SIZE 8       /* bytes of ARQC, TC, AAC, and of an ARPC by method 1 */
#define KF_EMV_ARPC_2_SIZE 4           /* bytes of an ARPC by method 2 */
#define KF_EMV_PROPRIETARY_MAX 8       /* bytes of proprietary authentication data, 8.2.2 */
#define KF_EMV_APPLICATION_DATA_MAX 32 /* bytes of issuer application data (9F10), Book 3 annex A */

/* The session key of A1.3.1, as long as the card's key; 3DES keys get odd parity. `diversifier`: 2 bytes to a
 * whole block, zeros follow: the ATC for cryptograms, the first application cryptogram for scripts.
 * KF_ERR_ARGUMENT for another size. The caller frees the key. */
kf_code kf_emv_session_key(kf_algorithm algorithm, const kf_secret *card_key, kf_view diversifier,
                           kf_secret **ret_key) KF_MUST_USE;
/* Visa's session key for scripts of cryptogram version 10: the ATC is XORed to the end of the left half, its
 * inverse to that of the right one; 3DES of 16 bytes, odd parity. The caller frees the key. */
kf_code kf_emv_visa_script_key(const kf_secret *card_key, const uint8_t transaction_counter[2],
                               kf_secret **ret_key) KF_MUST_USE;

typedef enum kf_emv_padding {
    KF_EMV_PADDING_80,    /* A1.2.1: 80, then zeros; CVN 18. With AES what CMAC does by itself */
    KF_EMV_PADDING_ZEROS, /* zeros up to a whole block, none where it is whole; CVN 10; 3DES only */
} kf_emv_padding;

/* The application cryptogram over what the issuer's cryptogram version names (8.1.2). Compare with
 * kf_equal_constant_time. KF_ERR_UNSUPPORTED for zeros with AES. */
kf_code kf_emv_cryptogram(kf_algorithm algorithm, const kf_secret *key, kf_emv_padding padding, kf_view data,
                          uint8_t ret_cryptogram[KF_EMV_CRYPTOGRAM_SIZE]) KF_MUST_USE;

/* What a cryptogram is made over, each as it stands in its data object. */
typedef struct kf_emv_transaction {
    uint8_t amount_authorised[6];    /* 9F02 */
    uint8_t amount_other[6];         /* 9F03 */
    uint8_t terminal_country[2];     /* 9F1A */
    uint8_t verification_results[5]; /* 95 */
    uint8_t currency[2];             /* 5F2A */
    uint8_t date[3];                 /* 9A */
    uint8_t type;                    /* 9C */
    uint8_t unpredictable_number[4]; /* 9F37 */
    uint8_t interchange_profile[2];  /* 82 */
    uint8_t transaction_counter[2];  /* 9F36 */
    kf_view issuer_application_data; /* 9F10: length, derivation key index, version, 4 bytes of CVR, … */
} kf_emv_transaction;

typedef enum kf_emv_cryptogram_version {
    KF_EMV_CVN_10 = 10, /* the fields above and the card verification results out of 9F10 */
    KF_EMV_CVN_18 = 18, /* the fields above and the whole of 9F10 */
} kf_emv_cryptogram_version;

/* Appends the data of the transaction in the order of EMV Book 2 table 28. KF_ERR_MALFORMED where 9F10 has
 * fewer than 7 bytes or more than KF_EMV_APPLICATION_DATA_MAX, KF_ERR_UNSUPPORTED for other versions. */
kf_code kf_emv_transaction_data(kf_emv_cryptogram_version version, const kf_emv_transaction *transaction,
                                kf_buffer *data) KF_MUST_USE;

/* The issuer's answer to a cryptogram. */
typedef struct kf_emv_answer {
    uint8_t cryptogram[KF_EMV_CRYPTOGRAM_SIZE]; /* the ARQC as the issuer computed it */
    uint8_t response_code[2];                   /* ARC, tag 8A; method 1 */
    uint8_t card_status_update[4];              /* CSU; method 2 */
    kf_view proprietary_data;                   /* up to KF_EMV_PROPRIETARY_MAX bytes; method 2 */
} kf_emv_answer;

/* ARPC by method 1 (8.2.1). */
kf_code kf_emv_arpc_1(kf_algorithm algorithm, const kf_secret *key, const kf_emv_answer *answer,
                      uint8_t ret_arpc[KF_EMV_CRYPTOGRAM_SIZE]) KF_MUST_USE;
/* ARPC by method 2 (8.2.2). KF_ERR_TOO_LONG for too much proprietary data. */
kf_code kf_emv_arpc_2(kf_algorithm algorithm, const kf_secret *key, const kf_emv_answer *answer,
                      uint8_t ret_arpc[KF_EMV_ARPC_2_SIZE]) KF_MUST_USE;

/* The MAC of an issuer script command in format 2 (9.2.3): header and data as the payment system arranges
 * them. The card takes the leftmost 4 to 8 bytes. */
kf_code kf_emv_script_mac(kf_algorithm algorithm, const kf_secret *key, kf_view message,
                          uint8_t ret_mac[KF_EMV_CRYPTOGRAM_SIZE]) KF_MUST_USE;

typedef enum kf_emv_encipherment {
    KF_EMV_CBC_PAD_ALWAYS,   /* A1.1, CBC with a zero vector; 80 and zeros behind every message */
    KF_EMV_CBC_PAD_UNEVEN,   /* the same, but nothing behind a message of whole blocks */
    KF_EMV_ECB_LENGTH_FIRST, /* Visa: a byte of length in front, 80 and zeros behind, ECB */
} kf_emv_encipherment;

/* Appends the data of a script command, enciphered (9.3.3). KF_ERR_ARGUMENT for an empty message,
 * KF_ERR_TOO_LONG for more than 239 bytes. */
kf_code kf_emv_script_encipher(kf_algorithm algorithm, const kf_secret *key, kf_emv_encipherment form,
                               kf_view plain, kf_buffer *enciphered) KF_MUST_USE;

#endif
