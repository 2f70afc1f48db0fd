/* Checkers of the card families, by file. */
#ifndef KEYFILL_TESTS_KAT_CARD_CHECKS_H
#define KEYFILL_TESTS_KAT_CARD_CHECKS_H

#include "kat.h"

#include <keyfill/secure_channel.h>

/* card_checks_channel.c */
void kat_check_session(const json_t *entry, kat_report *report);
void kat_check_refused_session(const json_t *entry, kat_report *report);
void kat_check_scp02_keys(const json_t *entry, kat_report *report);
void kat_check_scp02_response_mac(const json_t *entry, kat_report *report);
void kat_check_scp03_derivation(const json_t *entry, kat_report *report);
void kat_check_card_challenge(const json_t *entry, kat_report *report);
/* A session key shows itself by what it encrypts: the library does not give it out. `text` is the key wanted.
 */
void kat_compare_session_key(kat_report *report, const char *member, const char *text, kf_cipher *cipher);
/* A session that only the keys, the sequence counter and perhaps the challenges of the vector enter. */
void kat_start_scp02(kat_report *report, const json_t *entry, const kf_key_set *keys,
                     kf_secure_channel *channel);

/* card_checks_put_key.c */
void kat_check_put_key(const json_t *entry, kat_report *report);

/* card_checks_ota.c */
void kat_check_ota(const json_t *entry, kat_report *report);

/* card_checks_data.c */
void kat_check_recognition(const json_t *entry, kat_report *report);
void kat_check_capability(const json_t *entry, kat_report *report);
void kat_check_key_information(const json_t *entry, kat_report *report);
void kat_check_cplc(const json_t *entry, kat_report *report);
void kat_check_get_status(const json_t *entry, kat_report *report);
void kat_check_atr(const json_t *entry, kat_report *report);
void kat_check_ber_tlv(const json_t *entry, kat_report *report);
/* Compares a published tree of [tag, value or tree] with the data objects of `data`. */
void kat_compare_tree(kat_report *report, const json_t *tree, kf_view data);

#endif
