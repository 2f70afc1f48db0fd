#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <keyfill/error.h>

static const kf_code all_codes[] = {
#define CODE(name, number, exit_status, http_status, meaning) name,
    KF_ERROR_TABLE(CODE)
#undef CODE
};
#define CODES (sizeof all_codes / sizeof all_codes[0])

static void every_code_has_a_name_that_leads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++) {
        assert_int_equal(kf_code_from_name(kf_code_name(all_codes[i])), all_codes[i]);
        assert_string_not_equal(kf_code_meaning(all_codes[i]), "");
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(all_codes[i], all_codes[j]);
            assert_string_not_equal(kf_code_name(all_codes[i]), kf_code_name(all_codes[j]));
        }
    }
}

static void every_failure_has_a_failing_status(void **state)
{
    (void)state;
    assert_int_equal(kf_code_exit_status(KF_OK), 0);
    assert_int_equal(kf_code_http_status(KF_OK), 200);
    for (size_t i = 1; i < CODES; i++) {
        assert_int_not_equal(kf_code_exit_status(all_codes[i]), 0);
        assert_in_range(kf_code_http_status(all_codes[i]), 400, 599);
    }
}

static void an_unknown_code_is_an_internal_error(void **state)
{
    (void)state;
    assert_string_equal(kf_code_name((kf_code)12345), "KF_ERR_INTERNAL");
    assert_int_equal(kf_code_exit_status((kf_code)12345), KF_EXIT_INTERNAL);
    assert_int_equal(kf_code_http_status((kf_code)12345), 500);
    assert_int_equal(kf_code_from_name("KF_ERR_NONSENSE"), KF_ERR_INTERNAL);
}

static void a_failure_carries_code_and_sentence(void **state)
{
    (void)state;
    kf_error error = {0};
    assert_int_equal(kf_fail(&error, KF_ERR_NUMBER, "number %s: %d digits", "86", 2), KF_ERR_NUMBER);
    assert_int_equal(error.code, KF_ERR_NUMBER);
    assert_string_equal(kf_error_text(&error), "number 86: 2 digits");
    assert_int_equal(kf_fail(NULL, KF_ERR_NUMBER, "nobody listens"), KF_ERR_NUMBER);
}

static void a_message_may_quote_the_one_before(void **state)
{
    (void)state;
    kf_error error = {0};
    assert_int_equal(kf_fail(&error, KF_ERR_FILE, "inner"), KF_ERR_FILE);
    assert_int_equal(kf_fail(&error, KF_ERR_STORE, "outer (%s)", error.message), KF_ERR_STORE);
    assert_string_equal(error.message, "outer (inner)");
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    kf_error error = {0};
    char word[2000];
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_int_equal(kf_fail(&error, KF_ERR_FILE, "%s", word), KF_ERR_FILE);
    assert_int_equal(strlen(error.message), KF_ERROR_MESSAGE_SIZE - 1);
    assert_int_equal(kf_error_prefix(&error, "%s", word), KF_ERR_FILE);
    assert_true(strlen(error.message) < KF_ERROR_MESSAGE_SIZE);
}

static void a_plain_failure_keeps_what_was_said_of_the_same_code(void **state)
{
    (void)state;
    kf_error error = {0};
    assert_int_equal(kf_fail_plain(&error, KF_ERR_MEMORY), KF_ERR_MEMORY);
    assert_string_equal(error.message, "out of memory");
    assert_int_equal(kf_fail(&error, KF_ERR_FILE, "the file"), KF_ERR_FILE);
    assert_int_equal(kf_fail_plain(&error, KF_ERR_FILE), KF_ERR_FILE);
    assert_string_equal(error.message, "the file");
    assert_int_equal(kf_fail_plain(&error, KF_ERR_MEMORY), KF_ERR_MEMORY);
    assert_string_equal(error.message, "out of memory");
    assert_int_equal(kf_fail_plain(NULL, KF_ERR_MEMORY), KF_ERR_MEMORY);
}

static void success_leaves_the_message_alone(void **state)
{
    (void)state;
    kf_error error = {0};
    assert_int_equal(kf_fail(&error, KF_ERR_FILE, "the file"), KF_ERR_FILE);
    assert_int_equal(kf_fail_plain(&error, KF_OK), KF_OK);
    assert_int_equal(error.code, KF_ERR_FILE);
    assert_string_equal(error.message, "the file");
}

static void a_prefix_goes_before_the_message(void **state)
{
    (void)state;
    kf_error error = {0};
    assert_int_equal(kf_fail(&error, KF_ERR_FILE, "not found"), KF_ERR_FILE);
    assert_int_equal(kf_error_prefix(&error, "category %s", "north"), KF_ERR_FILE);
    assert_string_equal(error.message, "category north: not found");
    assert_int_equal(kf_error_prefix(NULL, "x"), KF_ERR_INTERNAL);
    char before[KF_ERROR_MESSAGE_SIZE];
    (void)snprintf(before, sizeof before, "%s", kf_error_text(&error));
    assert_int_equal(kf_error_prefix(&error, "category %s", "north"), KF_ERR_FILE);
    assert_string_equal(kf_error_text(&error), before);
    assert_int_equal(kf_error_prefix(&error, "category %s", "nor"), KF_ERR_FILE);
    assert_int_equal(strncmp(kf_error_text(&error), "category nor: category north: ", 30), 0);
}

static void a_silent_error_speaks_its_meaning(void **state)
{
    (void)state;
    const kf_error error = {.code = KF_ERR_TRUNCATED};
    assert_string_equal(kf_error_text(&error), "data ends too early");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_that_leads_back),
        cmocka_unit_test(every_failure_has_a_failing_status),
        cmocka_unit_test(an_unknown_code_is_an_internal_error),
        cmocka_unit_test(a_failure_carries_code_and_sentence),
        cmocka_unit_test(a_message_may_quote_the_one_before),
        cmocka_unit_test(a_long_message_is_cut),
        cmocka_unit_test(a_plain_failure_keeps_what_was_said_of_the_same_code),
        cmocka_unit_test(success_leaves_the_message_alone),
        cmocka_unit_test(a_prefix_goes_before_the_message),
        cmocka_unit_test(a_silent_error_speaks_its_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
