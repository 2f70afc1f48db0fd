/* The profiles and categories that come with keyfill are read as vault and key management unit read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>
#include <unistd.h>

#include "base/file.h"
#include "kmu/categories.h"
#include "kmu/records.h"
#include "vault/profile.h"

#define PATH_SIZE 512

static kf_profile read_profile(const char *name)
{
    char path[PATH_SIZE];
    kf_error error = {KF_OK, ""};
    kf_profile profile;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    (void)snprintf(path, sizeof path, "%s/%s.yaml", KEYFILL_PROFILES, name);
    assert_int_equal(kf_file_read(path, KF_PROFILE_TEXT_MAX, &text, NULL), KF_OK);
    if (kf_profile_parse(kf_buffer_view(&text), &profile, &error) != KF_OK)
        fail_msg("%s: %s", path, kf_error_text(&error));
    assert_string_equal(profile.name, name);
    return profile;
}

static void each_profile_is_read_and_named_like_its_file(void **unused)
{
    (void)unused;
    glob_t found;
    assert_int_equal(glob(KEYFILL_PROFILES "/*.yaml", 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 4);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char name[KF_NAME_SIZE];
        const char *file = strrchr(found.gl_pathv[i], '/') + 1;
        (void)snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - strlen(".yaml")), file);
        kf_profile profile = read_profile(name);
        assert_int_equal(profile.security_level, 0x33);
        assert_int_equal(profile.key_size, 16);
    }
    globfree(&found);
}

static void the_default_profile_is_what_the_documentation_says(void **unused)
{
    (void)unused;
    static const uint8_t domain[] = {0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x4B, 0x46, 0x01};
    static const uint8_t second_module[] = {0xA0, 0x00, 0x00, 0x00, 0x03, 0x53, 0x50, 0x41};
    static const uint8_t parameters[] = {0x81, 0x02, 0x03, 0x70};
    kf_profile profile = read_profile("security-domain");
    assert_true(kf_view_equal(kf_aid_view(&profile.domain), KF_VIEW(domain)));
    assert_int_equal(profile.module_count, 2);
    assert_true(kf_view_equal(kf_aid_view(&profile.modules[1].module), KF_VIEW(second_module)));
    assert_true(kf_view_equal(kf_view_of(profile.parameters, profile.parameters_size), KF_VIEW(parameters)));
    assert_int_equal(profile.privileges_size, 1);
    assert_int_equal(profile.privileges[0], 0x80);
    assert_int_equal(profile.key_version, 0x30);
    assert_int_equal(profile.key_injection, KF_INJECT_PUT_KEY);
    assert_int_equal(profile.order, KF_KEY_FIRST);
    assert_int_equal(profile.field_count, 2);
    assert_string_equal(profile.fields[0].name, "plan");
    assert_int_equal(profile.fields[0].tag, 0x45);
    assert_string_equal(profile.fields[1].name, "application_data");
    assert_int_equal(profile.fields[1].tag, 0x5F50);
}

static void the_variants_differ_where_their_names_say(void **unused)
{
    (void)unused;
    assert_int_equal(read_profile("security-domain-store-data").key_injection, KF_INJECT_STORE_DATA);
    kf_profile preloaded = read_profile("security-domain-preloaded");
    assert_int_equal(preloaded.key_injection, KF_INJECT_PRELOADED);
    assert_string_equal(preloaded.preloaded_base_key, "preloaded-domain");
    kf_profile application = read_profile("security-domain-application");
    assert_true(kf_profile_has_place(&application, KF_PLACE_APPLICATION));
    assert_true(application.fields[1].secret);
    assert_int_equal(application.fields[1].derived_size, 16);
}

/* ---- categories ---- */

typedef struct records {
    char path[64];
    kf_database *database;
    kf_categories *categories;
} records;

static void add_category(kf_database *database, const char *path)
{
    char name[KF_NAME_SIZE];
    const char *file = strrchr(path, '/') + 1;
    (void)snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - strlen(".yaml")), file);
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_file_read(path, KF_CATEGORY_TEXT_MAX, &text, NULL), KF_OK);
    assert_int_equal(
        kf_database_execute(
            database, "INSERT INTO categories (name, text, updated) VALUES ($1, $2, $3)",
            KF_VALUES(kf_value_text(name), kf_value_text_view(kf_buffer_view(&text)), kf_value_integer(0)),
            NULL, NULL),
        KF_OK);
}

static int open_records(void **state)
{
    static records opened;
    char url[80];
    kf_error error = {KF_OK, ""};
    (void)snprintf(opened.path, sizeof opened.path, "/tmp/keyfill-unit-cli-XXXXXX");
    int descriptor = mkstemp(opened.path);
    assert_true(descriptor >= 0);
    close(descriptor);
    (void)snprintf(url, sizeof url, "sqlite:%s", opened.path);
    assert_int_equal(kf_database_open(url, &opened.database, NULL), KF_OK);
    assert_int_equal(kf_database_migrate(opened.database, &kf_kmu_migrations, NULL), KF_OK);
    glob_t found;
    assert_int_equal(glob(KEYFILL_PROFILES "/categories/*.yaml", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_category(opened.database, found.gl_pathv[i]);
    globfree(&found);
    if (kf_categories_load(opened.database, &opened.categories, &error) != KF_OK)
        fail_msg("%s", kf_error_text(&error));
    *state = &opened;
    return 0;
}

static int close_records(void **state)
{
    records *opened = *state;
    char path[80];
    kf_categories_free(&opened->categories);
    kf_database_free(&opened->database);
    (void)snprintf(path, sizeof path, "%s-wal", opened->path);
    unlink(path);
    (void)snprintf(path, sizeof path, "%s-shm", opened->path);
    unlink(path);
    return unlink(opened->path);
}

static void expect_category(const records *opened, const char *number, const char *iccid, const char *name)
{
    kf_category category;
    kf_error error = {KF_OK, ""};
    if (kf_categories_by_prefix(opened->categories, number, iccid, &category, &error) != KF_OK)
        fail_msg("%s", kf_error_text(&error));
    assert_string_equal(category.name, name);
    (void)read_profile(category.profile);
}

static void the_longest_prefix_finds_the_category_and_its_profile(void **state)
{
    const records *opened = *state;
    expect_category(opened, "8613800000001", "", "cn-north-basic");
    expect_category(opened, "8613820000001", "", "cn-south-basic");
    expect_category(opened, "8613890000001", "", "cn-general");
    expect_category(opened, "", "8986000212345678ABCD", "cn-south-basic");
    expect_category(opened, "", "898600FF12345678ABC", "cn-general");
}

static void iccids_take_letters_and_no_check_digit(void **state)
{
    const records *opened = *state;
    kf_category category;
    assert_int_equal(kf_categories_by_name(opened->categories, "cn-north-basic", &category, NULL), KF_OK);
    assert_int_equal(kf_number_check(&category.iccid, "ICCID", "8986000012345678ABCD", NULL), KF_OK);
    assert_int_equal(kf_number_check(&category.iccid, "ICCID", "8986000012345678ABCG", NULL), KF_ERR_NUMBER);
    assert_int_equal(kf_number_check(&category.number, "number", "8613800000001", NULL), KF_OK);
    assert_int_equal(kf_number_check(&category.number, "number", "861380000001", NULL), KF_ERR_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_profile_is_read_and_named_like_its_file),
        cmocka_unit_test(the_default_profile_is_what_the_documentation_says),
        cmocka_unit_test(the_variants_differ_where_their_names_say),
        cmocka_unit_test_setup_teardown(the_longest_prefix_finds_the_category_and_its_profile, open_records,
                                        close_records),
        cmocka_unit_test_setup_teardown(iccids_take_letters_and_no_check_digit, open_records, close_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
