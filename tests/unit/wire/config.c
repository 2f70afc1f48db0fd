#include "wire/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

typedef struct listen_settings {
    char *address;
    unsigned port;
} listen_settings;

typedef struct settings {
    char *name;
    listen_settings listen;
    listen_settings *peers;
    unsigned peers_count;
    char *database;
} settings;

static const cyaml_schema_field_t listen_fields[] = {
    CYAML_FIELD_STRING_PTR("address", CYAML_FLAG_POINTER, listen_settings, address, 1, 60),
    CYAML_FIELD_UINT("port", CYAML_FLAG_DEFAULT, listen_settings, port),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t peer_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, listen_settings, listen_fields),
};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, settings, name, 1, 10),
    CYAML_FIELD_MAPPING("listen", CYAML_FLAG_DEFAULT, settings, listen, listen_fields),
    CYAML_FIELD_SEQUENCE("peers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, settings, peers, &peer_schema, 0,
                         2),
    CYAML_FIELD_STRING_PTR("database", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, settings, database, 0, 60),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, settings, fields)};

static void a_good_text_fills_the_struct(void **state)
{
    (void)state;
    kf_error error;
    void *config = NULL;
    const char *text =
        "name: kmu-1\nlisten: {address: 127.0.0.1, port: 8443}\npeers:\n  - address: a\n    port: 1\n";
    assert_int_equal(kf_config_parse("t.yaml", kf_view_of_text(text), &schema, &config, &error), KF_OK);
    settings *read = config;
    assert_string_equal(read->name, "kmu-1");
    assert_int_equal(read->listen.port, 8443);
    assert_int_equal(read->peers_count, 1);
    assert_null(read->database);
    kf_config_free(&schema, &config);
    assert_null(config);
}

static void what_is_wrong_is_said_with_its_line_and_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"name: a\nlisten:\n  address: x\n  prot: 3\n",
         "t.yaml, line 4: listen: unknown key \"prot\"; the nearest known one is \"port\""},
        {"colour: red\n", "t.yaml, line 1: unknown key \"colour\"; known are name, listen, peers, database"},
        {"nmae: a\n", "t.yaml, line 1: unknown key \"nmae\"; the nearest known one is \"name\""},
        {"name: a\nlisten: {address: x, port: 1}\npeers:\n  - address: q\n    port: 1\n  - adress: q\n",
         "t.yaml, line 6: peers: unknown key \"adress\"; the nearest known one is \"address\""},
        {"name: a\nlisten:\n  address: x\n  port: abc\n", "t.yaml, line 4: listen.port: 'abc' is no number"},
        {"name: a\nlisten:\n  address: x\n", "t.yaml, line 3: listen: key \"port\" is missing"},
        {"name: a\nlisten: hello\n",
         "t.yaml, line 2: listen: a group of keys is expected here, not one value"},
        {"name: a\nname: b\n", "t.yaml, line 1: name: key \"name\" stands there twice"},
        {"name: 12345678901\n", "t.yaml, line 1: name: STRING length > 10: 12345678901"},
        {"name: &n a\ndatabase: *n\n", "t.yaml, line 2: database: YAML alias unsupported"},
        {"name: a\n\tb: c\n",
         "t.yaml, line 1: name: this is no YAML: found a tab character that violates indentation"},
        {"- a\n", "t.yaml, line 1: a group of keys is expected here, not a list"},
        {"", "t.yaml is empty"},
        {"# nothing\n", "t.yaml holds no document"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *config = NULL;
        kf_error error = {KF_OK, ""};
        assert_int_equal(kf_config_parse("t.yaml", kf_view_of_text(cases[i].text), &schema, &config, &error),
                         KF_ERR_CONFIGURATION);
        assert_string_equal(error.message, cases[i].message);
        assert_null(config);
    }
}

static void too_many_items_and_too_long_texts_are_refused(void **state)
{
    (void)state;
    void *config = NULL;
    kf_error error;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append_text(&text, "name: a\nlisten: {address: x, port: 1}\npeers:\n");
    for (size_t i = 0; i < 3; i++)
        kf_buffer_append_text(&text, "  - {address: x, port: 1}\n");
    assert_int_equal(kf_config_parse("t.yaml", kf_buffer_view(&text), &schema, &config, &error),
                     KF_ERR_CONFIGURATION);
    assert_non_null(strstr(error.message, "Excessive entries (2 max)"));
    kf_buffer_append_fill(&text, '\n', KF_CONFIG_SIZE_MAX);
    assert_int_equal(kf_config_parse("t.yaml", kf_buffer_view(&text), &schema, &config, &error),
                     KF_ERR_TOO_LONG);
    assert_null(config);
}

static void a_file_is_read_by_its_path(void **state)
{
    (void)state;
    void *config = NULL;
    kf_error error;
    char folder[] = "/tmp/keyfill-unit-config-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/t.yaml", folder);
    assert_int_equal(kf_config_load(path, &schema, &config, &error), KF_ERR_FILE);
    assert_non_null(strstr(error.message, path));
    const char *text = "name: a\nlisten: {address: x, port: 1}\n";
    assert_int_equal(kf_file_replace(path, kf_view_of_text(text), 0600, &error), KF_OK);
    assert_int_equal(kf_config_load(path, &schema, &config, &error), KF_OK);
    kf_config_free(&schema, &config);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void what_is_left_out_gets_its_standard(void **state)
{
    (void)state;
    kf_error error;
    char *text = NULL;
    uint32_t value = 0;
    const kf_config_number number = {"worker_threads", &value, 8, 256};
    assert_int_equal(kf_config_default_text(&text, "127.0.0.1", &error), KF_OK);
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(kf_config_default_text(&text, "other", &error), KF_OK);
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(kf_config_default_log_level("f.yaml", &text, &error), KF_ERR_CONFIGURATION);
    assert_non_null(strstr(error.message, "f.yaml: log_level '127.0.0.1'"));
    free(text);
    text = NULL;
    assert_int_equal(kf_config_default_log_level("f.yaml", &text, &error), KF_OK);
    assert_string_equal(text, "info");
    free(text);
    assert_int_equal(kf_config_default_number("f.yaml", &number, &error), KF_OK);
    assert_int_equal(value, 8);
    value = 256;
    assert_int_equal(kf_config_default_number("f.yaml", &number, &error), KF_OK);
    value = 257;
    assert_int_equal(kf_config_default_number("f.yaml", &number, &error), KF_ERR_CONFIGURATION);
    assert_string_equal(error.message, "f.yaml: worker_threads is 257; at most 256");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_text_fills_the_struct),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line_and_place),
        cmocka_unit_test(too_many_items_and_too_long_texts_are_refused),
        cmocka_unit_test(a_file_is_read_by_its_path),
        cmocka_unit_test(what_is_left_out_gets_its_standard),
    };
    return cmocka_run_group_tests_name("wire/config", tests, NULL, NULL);
}
