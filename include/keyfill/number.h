/* Rules for the numbers that name a card: length, alphabet, check digit. */
#ifndef KEYFILL_NUMBER_H
#define KEYFILL_NUMBER_H

#include <stddef.h>

#include <keyfill/error.h>

/* The digit that makes `digits` valid under the Luhn rule (ISO/IEC 7812-1 annex B), 0 to 9; -1 where `digits`
 * holds anything but decimal digits or nothing. */
int kf_luhn_check_digit(const char *digits);
/* Whether the last of `digits` is its check digit. */
bool kf_luhn_valid(const char *digits);

typedef struct kf_number_rule {
    size_t length_min;
    size_t length_max;
    bool hexadecimal; /* 0-9 A-F instead of 0-9 */
    bool check_digit; /* the last digit is a Luhn digit */
} kf_number_rule;

/* What category settings start from: 5 to 15 decimal digits (E.164) for a number without +; 18 to 20 of
 * 0-9A-F for an ICCID, without check digit, since Chinese ones (8986…) often have none and may contain
 * letters. */
extern const kf_number_rule kf_number_rule_msisdn;
extern const kf_number_rule kf_number_rule_iccid;

/* KF_ERR_NUMBER with a sentence that names `what` ("number", "ICCID"), the value and the rule it breaks. */
kf_code kf_number_check(const kf_number_rule *rule, const char *what, const char *value,
                        kf_error *error) KF_MUST_USE;
/* An ICCID read without its check digit gets one: 18 or 19 digits that are not Luhn-valid are extended by the
 * check digit; 19 or 20 valid ones stay. KF_ERR_NUMBER for others. `ret_iccid`: 21 characters. */
kf_code kf_iccid_with_check_digit(const char *iccid, char ret_iccid[21]) KF_MUST_USE;

#endif
