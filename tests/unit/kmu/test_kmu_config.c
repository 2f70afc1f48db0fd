#include "kmu/kmu_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define NEEDED "port: 8442\nca: a\ncertificate: b\nprivate_key: c\ndatabase: sqlite:d\n"

static kf_code load(const char *text, kf_kmu_config **ret_config, kf_error *error)
{
    char path[] = "/tmp/keyfill-kmu-config.XXXXXX";
    KF_CLEANUP(kf_descriptor_close) int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(kf_descriptor_write(descriptor, kf_view_of_text(text)), KF_OK);
    kf_code code = kf_kmu_config_load(path, ret_config, error);
    assert_int_equal(unlink(path), 0);
    return code;
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    KF_CLEANUP(kf_kmu_config_free) kf_kmu_config *config = NULL;
    kf_error error;
    assert_int_equal(load(NEEDED, &config, &error), KF_OK);
    assert_string_equal(config->unit.address, "127.0.0.1");
    assert_int_equal(config->unit.port, 8442);
    assert_int_equal(config->unit.worker_threads, 8);
    assert_string_equal(config->unit.log_level, "info");
    assert_null(config->bkmu);
    assert_null(config->bkmu_name);
    assert_string_equal(config->hosts, "registered");
    assert_int_equal(config->request_retention_days, 30);
}

static void everything_can_be_set(void **state)
{
    (void)state;
    KF_CLEANUP(kf_kmu_config_free) kf_kmu_config *config = NULL;
    kf_error error;
    assert_int_equal(load(NEEDED "address: \"::1\"\nbkmu: https://b:1\nbkmu_name: central\npair: north\n"
                                 "worker_threads: 256\nlog_level: debug\nhosts: open\n",
                          &config, &error),
                     KF_OK);
    assert_string_equal(config->unit.address, "::1");
    assert_string_equal(config->bkmu, "https://b:1");
    assert_string_equal(config->bkmu_name, "central");
    assert_string_equal(config->pair, "north");
    assert_string_equal(config->hosts, "open");
    assert_int_equal(config->unit.worker_threads, 256);
    assert_string_equal(config->unit.log_level, "debug");
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *because;
    } cases[] = {
        {"port: 8442\nca: a\ncertificate: b\nprivate_key: c\n", "database"},
        {"ca: a\ncertificate: b\nprivate_key: c\ndatabase: d\n", "port"},
        {NEEDED "wroker_threads: 3\n", "worker_threads"},
        {NEEDED "worker_threads: 257\n", "worker_threads is 257; at most 256"},
        {NEEDED "worker_threads: -1\n", "worker_threads"},
        {NEEDED "log_level: loud\n", "log_level 'loud'"},
        {NEEDED "request_retention_days: 36501\n", "request_retention_days is 36501; at most 36500"},
        {NEEDED "bkmu: https://b:1\n", "'pair' is needed"},
        {"port: 65536\nca: a\ncertificate: b\nprivate_key: c\ndatabase: d\n", "port"},
        {"port: 1\nca: \"\"\ncertificate: b\nprivate_key: c\ndatabase: d\n", "ca"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kf_kmu_config *config = NULL;
        kf_error error;
        assert_int_equal(load(cases[i].text, &config, &error), KF_ERR_CONFIGURATION);
        assert_null(config);
        if (strstr(error.message, cases[i].because) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].because);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(everything_can_be_set),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests_name("kmu/kmu_config", tests, NULL, NULL);
}
