#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

#include <keyfill/bytes.h>

/* What a level lets through of one line a level, as written to standard error. */
static void logged_at(kf_log_level level, char *ret_text, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    kf_log_start("tester", level);
    kf_log(KF_LOG_ERROR, "an %s", "error");
    kf_log(KF_LOG_WARNING, "a warning");
    kf_log(KF_LOG_INFO, "an\nin\tjection");
    kf_log(KF_LOG_DEBUG, "a detail");
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    size_t got = fread(ret_text, 1, size - 1, file);
    ret_text[got] = '\0';
    fclose(file);
}

static unsigned lines_in(const char *text)
{
    unsigned lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void the_level_decides_what_is_written(void **state)
{
    (void)state;
    static const kf_log_level levels[] = {KF_LOG_ERROR, KF_LOG_WARNING, KF_LOG_INFO, KF_LOG_DEBUG};
    for (unsigned i = 0; i < 4; i++) {
        char text[4096];
        logged_at(levels[i], text, sizeof text);
        assert_int_equal(lines_in(text), i + 1);
        assert_non_null(strstr(text, "error: an error"));
        assert_int_equal(strstr(text, "a detail") != NULL, levels[i] == KF_LOG_DEBUG);
    }
}

static void a_line_names_the_program_and_stays_one_line(void **state)
{
    (void)state;
    char text[4096];
    logged_at(KF_LOG_INFO, text, sizeof text);
    assert_non_null(strstr(text, "Z tester["));
    assert_non_null(strstr(text, "info: an in jection\n"));
}

static void levels_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (unsigned i = 0; i < 4; i++) {
        kf_log_level level = KF_LOG_ERROR;
        assert_int_equal(kf_log_level_from_name(names[i], &level), KF_OK);
        assert_int_equal(level, i);
    }
    kf_log_level level = KF_LOG_INFO;
    assert_int_equal(kf_log_level_from_name("loud", &level), KF_ERR_CONFIGURATION);
    assert_int_equal(level, KF_LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_level_decides_what_is_written),
        cmocka_unit_test(a_line_names_the_program_and_stays_one_line),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
