/* What the terminal can read from a card without changing it (S1): a report for the key management unit,
 * which takes none of it as proof. */
#ifndef KEYFILL_TERMINAL_CARD_REPORT_H
#define KEYFILL_TERMINAL_CARD_REPORT_H

#include <jansson.h>

#include <keyfill/secret.h>
#include <keyfill/sim.h>

#include "reader/reader.h"

#define KF_UNREADABLE_SIZE 160 /* bytes of the reason, with its zero */

/* A text from a SIM file: its value, or why it could not be read. One of the two is "". */
typedef struct kf_reported_text {
    char value[KF_MSISDN_TEXT_SIZE];
    char unreadable[KF_UNREADABLE_SIZE];
} kf_reported_text;

typedef struct kf_card_report {
    kf_answer_to_reset atr;
    kf_reported_text iccid;
    kf_reported_text imsi;
    kf_reported_text number; /* digits without + */
    /* GET DATA to the issuer security domain, with tag and length; empty where the card has none. */
    kf_card_response cplc;                 /* 9F7F */
    kf_card_response recognition_data;     /* 66 */
    kf_card_response key_information;      /* E0 */
    kf_card_response diversification_data; /* CF */
    int pin1_tries; /* left, asked where a file needs PIN1; -1: not asked, or the card does not tell */
} kf_card_report;

typedef struct kf_card_report_options {
    const kf_secret *pin1; /* NULL: none; used only where a file needs it */
    unsigned timeout;      /* milliseconds a command */
} kf_card_report_options;

/* Reads a connected card whose `atr` is known. SIM files come first: SELECT of a security domain would leave
 * the SIM application. PIN1 is sent only if the card says that more than one try is left:
 * KF_ERR_CARD_UNSUITABLE otherwise; KF_ERR_STATUS_WORD where it is wrong, with the tries left. Else only the
 * reader's failures are failures: what a card does not have or does not give is reported as such. */
kf_code kf_card_report_read(kf_reader *reader, const kf_answer_to_reset *atr,
                            const kf_card_report_options *options, kf_card_report *ret_report,
                            kf_error *error) KF_MUST_USE;

/* The members "card" and "readable" of docs/messages.md; the caller frees. */
kf_code kf_card_report_to_json(const kf_card_report *report, json_t **ret_card) KF_MUST_USE;
kf_code kf_card_report_reasons_to_json(const kf_card_report *report, json_t **ret_readable) KF_MUST_USE;

#endif
