/* Shares of a backup's passphrase as people write them down and type them again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/key_shares.h"

static kf_secret *typed(const char *text)
{
    kf_secret *secret = NULL;
    assert_int_equal(kf_secret_new(kf_view_of_text(text), &secret), KF_OK);
    return secret;
}

static kf_code read_text(const char *text, kf_share *ret_share, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *line = typed(text);
    return kf_share_read(line, ret_share, error);
}

static void shares_that_were_written_down_give_the_passphrase_again(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *again = NULL;
    kf_share shares[KF_SHAMIR_SHARES_MAX];
    kf_share read[3];
    char text[KF_SHARE_TEXT_SIZE];
    assert_int_equal(kf_shares_make((kf_shamir_plan){5, 3}, &passphrase, shares, &error), KF_OK);
    assert_int_equal(kf_secret_size(passphrase), 64);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(kf_share_write(&shares[4 - i], text), KF_OK);
        assert_int_equal(strlen(text), KF_SHARE_TEXT_SIZE - 1);
        if (i == 1)
            for (char *place = text; *place != '\0'; place++)
                if (*place >= 'A' && *place <= 'F') *place = (char)(*place + 'a' - 'A');
        assert_int_equal(read_text(text, &read[i], &error), KF_OK);
        assert_int_equal(read[i].number, 5 - i);
        assert_int_equal(read[i].threshold, 3);
    }
    assert_int_equal(kf_shares_combine(read, 2, &again, &error), KF_ERR_FIELD);
    assert_int_equal(kf_shares_combine((kf_share[]){read[0], read[1], read[0]}, 3, &again, &error),
                     KF_ERR_FIELD);
    assert_int_equal(kf_shares_combine(read, 0, &again, &error), KF_ERR_FIELD);
    assert_int_equal(kf_shares_combine(read, 3, &again, &error), KF_OK);
    assert_true(kf_secret_equal(passphrase, again));
    read[2].threshold = 4;
    kf_secret *none = NULL;
    assert_int_equal(kf_shares_combine(read, 3, &none, &error), KF_ERR_FIELD);
    assert_null(none);
    for (size_t i = 0; i < 5; i++)
        kf_share_clear(&shares[i]);
    for (size_t i = 0; i < 3; i++)
        kf_share_clear(&read[i]);
}

static void every_wrong_digit_is_found(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    kf_share shares[KF_SHAMIR_SHARES_MAX];
    kf_share read = {0, 0, NULL};
    char text[KF_SHARE_TEXT_SIZE];
    assert_int_equal(kf_shares_make((kf_shamir_plan){2, 2}, &passphrase, shares, &error), KF_OK);
    assert_int_equal(kf_share_write(&shares[0], text), KF_OK);
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] == ' ') continue;
        char right = text[i];
        text[i] = right == '7' ? '8' : '7';
        assert_int_equal(read_text(text, &read, &error), KF_ERR_CHECK_VALUE);
        text[i] = right;
    }
    text[strlen(text) - 1] = '\0';
    assert_int_equal(read_text(text, &read, &error), KF_ERR_FIELD);
    assert_int_equal(read_text("12 GH", &read, &error), KF_ERR_HEX);
    assert_null(read.value);
    kf_share_clear(&shares[0]);
    kf_share_clear(&shares[1]);
}

static void a_plan_out_of_range_is_refused_with_the_range(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    kf_secret *passphrase = NULL;
    kf_share shares[KF_SHAMIR_SHARES_MAX];
    assert_int_equal(kf_shares_make((kf_shamir_plan){3, 4}, &passphrase, shares, &error), KF_ERR_USAGE);
    assert_non_null(strstr(error.message, "2 to 16 shares"));
    assert_int_equal(kf_shares_make((kf_shamir_plan){3, 0}, &passphrase, shares, &error), KF_ERR_USAGE);
    assert_null(passphrase);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_that_were_written_down_give_the_passphrase_again),
        cmocka_unit_test(every_wrong_digit_is_found),
        cmocka_unit_test(a_plan_out_of_range_is_refused_with_the_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
