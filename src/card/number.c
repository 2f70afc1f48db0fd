#include <keyfill/number.h>

#include <stdio.h>
#include <string.h>

const kf_number_rule kf_number_rule_msisdn = {.length_min = 5, .length_max = 15};
const kf_number_rule kf_number_rule_iccid = {.length_min = 18, .length_max = 20, .hexadecimal = true};

static bool all_decimal(const char *digits, size_t size)
{
    return strspn(digits, "0123456789") >= size;
}

/* The digit that is to follow the first `size` digits. */
static int check_digit(const char *digits, size_t size)
{
    int sum = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = digits[size - 1 - i] - '0';
        if (i % 2 == 0) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
        sum = (sum + digit) % 10;
    }
    return (10 - sum) % 10;
}

int kf_luhn_check_digit(const char *digits)
{
    size_t size = strlen(digits);
    if (size == 0 || !all_decimal(digits, size)) return -1;
    return check_digit(digits, size);
}

bool kf_luhn_valid(const char *digits)
{
    size_t size = strlen(digits);
    if (size < 2 || !all_decimal(digits, size)) return false;
    return check_digit(digits, size - 1) == digits[size - 1] - '0';
}

kf_code kf_number_check(const kf_number_rule *rule, const char *what, const char *value, kf_error *error)
{
    size_t size = strlen(value);
    const char *alphabet = rule->hexadecimal ? "0123456789ABCDEF" : "0123456789";
    if (size < rule->length_min || size > rule->length_max)
        return kf_fail(error, KF_ERR_NUMBER,
                       "%s %.40s: %zu characters long; %zu to %zu are allowed: check it, or the "
                       "category's rule",
                       what, value, size, rule->length_min, rule->length_max);
    if (strspn(value, alphabet) != size)
        return kf_fail(error, KF_ERR_NUMBER,
                       "%s %.40s: character %zu is none of %s: check it, or the category's rule", what, value,
                       strspn(value, alphabet) + 1, rule->hexadecimal ? "0-9 A-F" : "0-9");
    if (rule->check_digit && !kf_luhn_valid(value))
        return kf_fail(error, KF_ERR_NUMBER,
                       "%s %.40s: its check digit is wrong: check it, or the category's rule", what, value);
    return KF_OK;
}

kf_code kf_iccid_with_check_digit(const char *iccid, char ret_iccid[21])
{
    size_t size = strlen(iccid);
    if (size < 18 || size > 20 || !all_decimal(iccid, size)) return KF_ERR_NUMBER;
    if (size >= 19 && kf_luhn_valid(iccid)) {
        memcpy(ret_iccid, iccid, size + 1);
        return KF_OK;
    }
    if (size == 20) return KF_ERR_NUMBER;
    memcpy(ret_iccid, iccid, size);
    ret_iccid[size] = (char)('0' + check_digit(iccid, size));
    ret_iccid[size + 1] = 0;
    return KF_OK;
}
