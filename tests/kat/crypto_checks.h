/* Checkers of the cryptographic families, by file. */
#ifndef KEYFILL_TESTS_KAT_CRYPTO_CHECKS_H
#define KEYFILL_TESTS_KAT_CRYPTO_CHECKS_H

#include "kat.h"

#include <keyfill/cipher.h>

/* A cipher with the key in `member`, or NULL after a fault. The caller frees it. */
kf_cipher *kat_need_cipher(kat_report *report, const json_t *entry, const char *member,
                           kf_algorithm algorithm);

/* crypto_checks_derivation.c */
void kat_check_counter_mode(const json_t *entry, kat_report *report);
void kat_check_an10922(const json_t *entry, kat_report *report);
void kat_check_gp_des(const json_t *entry, kat_report *report);
void kat_check_gp_kdf3(const json_t *entry, kat_report *report);
void kat_check_pboc_des(const json_t *entry, kat_report *report);
void kat_check_pboc_sm4(const json_t *entry, kat_report *report);

/* crypto_checks_emv.c */
void kat_check_emv_cryptogram(const json_t *entry, kat_report *report);
void kat_check_emv_script(const json_t *entry, kat_report *report);

/* crypto_checks_key_block.c */
void kat_check_key_block(const json_t *entry, kat_report *report);
void kat_check_key_block_keys(const json_t *entry, kat_report *report);

#endif
