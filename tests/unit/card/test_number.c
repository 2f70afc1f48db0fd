#include "hex_bytes.h"

#include <keyfill/number.h>

static void a_number_that_breaks_its_rule_is_named(void **state)
{
    (void)state;
    kf_error error = {0};
    assert_int_equal(kf_number_check(&kf_number_rule_msisdn, "number", "8613800000001", &error), KF_OK);
    assert_int_equal(kf_number_check(&kf_number_rule_msisdn, "number", "1234", &error), KF_ERR_NUMBER);
    assert_non_null(strstr(kf_error_text(&error), "number 1234: 4 characters long; 5 to 15"));
    assert_int_equal(kf_number_check(&kf_number_rule_msisdn, "number", "1234567890123456", NULL),
                     KF_ERR_NUMBER);
    assert_int_equal(kf_number_check(&kf_number_rule_msisdn, "number", "12345A", &error), KF_ERR_NUMBER);
    assert_non_null(strstr(kf_error_text(&error), "character 6"));
    assert_int_equal(kf_number_check(&kf_number_rule_iccid, "ICCID", "898600A1234567890123", NULL), KF_OK);
    assert_int_equal(kf_number_check(&kf_number_rule_iccid, "ICCID", "898600G1234567890123", NULL),
                     KF_ERR_NUMBER);
    kf_number_rule checked = kf_number_rule_iccid;
    checked.check_digit = true;
    assert_int_equal(kf_number_check(&checked, "ICCID", "8988211000000530082", NULL), KF_OK);
    assert_int_equal(kf_number_check(&checked, "ICCID", "8988211000000530083", &error), KF_ERR_NUMBER);
    assert_non_null(strstr(kf_error_text(&error), "check digit"));
}

static void every_single_digit_error_breaks_the_check_digit(void **state)
{
    (void)state;
    char digits[] = "8988211000000530082";
    for (size_t i = 0; i + 1 < sizeof(digits); i++) {
        char right = digits[i];
        for (char wrong = '0'; wrong <= '9'; wrong++) {
            digits[i] = wrong;
            assert_int_equal(kf_luhn_valid(digits), wrong == right);
        }
        digits[i] = right;
    }
    assert_int_equal(kf_luhn_check_digit(""), -1);
    assert_int_equal(kf_luhn_check_digit("12A"), -1);
    assert_false(kf_luhn_valid("0"));
    assert_false(kf_luhn_valid("A0"));
}

static void only_an_iccid_that_lacks_its_check_digit_gets_one(void **state)
{
    (void)state;
    char iccid[21];
    assert_int_equal(kf_iccid_with_check_digit("898821100000053008", iccid), KF_OK);
    assert_string_equal(iccid, "8988211000000530082");
    assert_int_equal(kf_iccid_with_check_digit("89882110000005300812", iccid), KF_ERR_NUMBER);
    assert_int_equal(kf_iccid_with_check_digit("89882110000005300", iccid), KF_ERR_NUMBER);
    assert_int_equal(kf_iccid_with_check_digit("898600A1234567890123", iccid), KF_ERR_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_that_breaks_its_rule_is_named),
        cmocka_unit_test(every_single_digit_error_breaks_the_check_digit),
        cmocka_unit_test(only_an_iccid_that_lacks_its_check_digit_gets_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
