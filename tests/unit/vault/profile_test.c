#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/digest.h"
#include "vault/profile.h"

#define HEAD "name: usual\nissuer_domain: A000000151000000\nsecurity_level: 0x33\n"
#define MODULES                                                                                              \
    "  modules: [{load_file: A0000001515350, module: A000000151535041},"                                     \
    " {load_file: A0000000035350, module: A000000003535041}]\n"
#define DOMAIN                                                                                               \
    "domain:\n  aid: A00000015153504B4601\n  parameters: \"81020370\"\n  key_version: 0x30\n"                \
    "  key_injection: put-key\n"
#define USUAL HEAD DOMAIN MODULES

static kf_code parse(const char *text, kf_profile *profile, kf_error *error)
{
    return kf_profile_parse(kf_view_of_text(text), profile, error);
}

static void assert_refused(const char *text, const char *because)
{
    kf_profile profile = {.name = "untouched"};
    kf_error error = {0};
    assert_int_equal(parse(text, &profile, &error), KF_ERR_PROFILE);
    assert_int_equal(error.code, KF_ERR_PROFILE);
    if (strstr(error.message, because) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, because);
    assert_string_equal(profile.name, "untouched");
}

/* The usual profile with one part replaced. */
static void assert_refused_with(const char *part, const char *replacement, const char *because)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    const char *place = strstr(USUAL, part);
    assert_non_null(place);
    kf_buffer_append_bytes(&text, USUAL, (size_t)(place - USUAL));
    kf_buffer_append_text(&text, replacement);
    kf_buffer_append_text(&text, place + strlen(part));
    assert_refused(kf_buffer_text(&text), because);
}

static void assert_field_refused(const char *field, const char *because)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_format(&text, USUAL "personalisation: [%s]\n", field);
    assert_refused(kf_buffer_text(&text), because);
}

static void a_profile_says_where_everything_goes(void **state)
{
    (void)state;
    kf_profile profile;
    kf_error error = {0};
    const char *text = USUAL "order: personalisation-first\npersonalisation:\n"
                             "  - {field: plan, place: domain-tag, tag: 0x5F50}\n"
                             "  - {field: note, place: sim-file, path: 7F106FE1}\n"
                             "  - {field: pin, place: application, application: F04B46504159, dgi: 0x8001,"
                             " derived_size: 16, secret: true}\n";
    if (parse(text, &profile, &error) != KF_OK) fail_msg("%s", error.message);
    assert_string_equal(profile.name, "usual");
    assert_int_equal(profile.issuer_domain.size, 8);
    assert_int_equal(profile.domain.size, 10);
    assert_int_equal(profile.security_level, 0x33);
    assert_int_equal(profile.module_count, 2);
    assert_int_equal(profile.modules[1].module.bytes[4], 0x03);
    assert_int_equal(profile.privileges_size, 1);
    assert_int_equal(profile.privileges[0], 0x80);
    assert_int_equal(profile.parameters_size, 4);
    assert_int_equal(profile.key_version, 0x30);
    assert_int_equal(profile.key_size, 16);
    assert_int_equal(profile.key_injection, KF_INJECT_PUT_KEY);
    assert_int_equal(profile.order, KF_PERSONALISATION_FIRST);
    assert_int_equal(profile.field_count, 3);
    assert_int_equal(profile.fields[0].tag, 0x5F50);
    assert_int_equal(profile.fields[1].path_size, 4);
    assert_int_equal(profile.fields[2].derived_size, 16);
    assert_true(profile.fields[2].secret);
    assert_true(kf_profile_has_place(&profile, KF_PLACE_SIM_FILE));
    uint8_t digest[32];
    assert_int_equal(kf_sha256(kf_view_of_text(text), digest), KF_OK);
    assert_memory_equal(profile.digest, digest, sizeof digest);

    assert_int_equal(parse(USUAL, &profile, &error), KF_OK);
    assert_int_equal(profile.order, KF_KEY_FIRST);
    assert_int_equal(profile.field_count, 0);
    assert_false(kf_profile_has_place(&profile, KF_PLACE_SIM_FILE));
}

static void a_preloaded_domain_needs_no_module(void **state)
{
    (void)state;
    kf_profile profile;
    kf_error error = {0};
    const char *text = HEAD "domain: {aid: A00000015153504B4601, key_version: 0x20, key_injection: preloaded,"
                            " preloaded_base_key: factory, privileges: \"800000\", key_size: 32}\n";
    if (parse(text, &profile, &error) != KF_OK) fail_msg("%s", error.message);
    assert_string_equal(profile.preloaded_base_key, "factory");
    assert_int_equal(profile.privileges_size, 3);
    assert_int_equal(profile.key_size, 32);
    assert_refused(HEAD DOMAIN, "at least one entry in domain.modules");
}

static void what_is_no_profile_is_refused(void **state)
{
    (void)state;
    assert_refused("", "0 bytes");
    assert_refused("- a\n- b\n", "");
    assert_refused("name: [", "");
    assert_refused("name: usual\n", "");
    char *large = malloc(KF_PROFILE_TEXT_MAX + 2);
    assert_non_null(large);
    memset(large, '#', KF_PROFILE_TEXT_MAX + 1);
    large[KF_PROFILE_TEXT_MAX + 1] = '\0';
    assert_refused(large, "16385 bytes");
    free(large);
    assert_refused(USUAL "surprise: 1\n", "surprise");
    assert_refused(USUAL "order: backwards\n", "");
}

static void every_value_is_checked(void **state)
{
    (void)state;
    assert_refused_with("usual", "\"a name\"", "\"a name\"");
    assert_refused_with("usual", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "");
    assert_refused_with("A000000151000000", "A00000015100000", "issuer_domain");
    assert_refused_with("A000000151000000", "\"AABBCCDD\"", "");
    assert_refused_with("A000000151000000", "\"AABBCCDDEG\"", "issuer_domain");
    assert_refused_with("A000000151000000", "A0000001510000001122334455667788AA", "");
    assert_refused_with("A00000015153504B4601", "nothing-here", "domain aid");
    assert_refused_with("load_file: A0000001515350", "load_file: A000000151535X", "load_file");
    assert_refused_with("module: A000000151535041", "module: A00000015153504", "module");
    static const char *const levels[] = {"0x00", "0x01", "0x02", "0x10", "0x11", "0x12", "0x23",
                                         "0x30", "0x31", "0x32", "0x43", "0x83", "0xFF"};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        assert_refused_with("0x33", levels[i], "C-MAC and C-DECRYPTION");
    assert_refused_with("0x33", "0x100", "");
    assert_refused_with("key_version: 0x30", "key_version: 0x1F", "0x1F");
    assert_refused_with("key_version: 0x30", "key_version: 0x40", "0x40");
    assert_refused_with("key_version: 0x30", "key_version: 300", "");
    assert_refused_with("key_injection: put-key", "key_injection: magic", "");
    assert_refused_with("key_injection: put-key", "key_injection: put-key\n  key_size: 20", "key_size 20");
    assert_refused_with("81020370", "8102037", "parameters");
    assert_refused_with("key_injection: put-key", "key_injection: put-key\n  privileges: \"8000\"", "1 or 3");
    assert_refused_with("key_injection: put-key", "key_injection: put-key\n  privileges: \"00\"",
                        "no security domain");
    assert_refused_with("key_injection: put-key", "key_injection: put-key\n  privileges: \"8X\"",
                        "privileges");
    assert_refused_with(MODULES, "  modules: [{load_file: A0000001515350}]\n", "");
}

static void a_field_goes_where_such_a_field_can_be(void **state)
{
    (void)state;
    assert_field_refused("{field: plan, place: nowhere}", "");
    assert_field_refused("{place: domain-tag, tag: 0x42}", "");
    assert_field_refused("{field: plan, place: domain-tag}", "tags 0x42, 0x45 and 0x5F50");
    assert_field_refused("{field: plan, place: domain-tag, tag: 0x43}", "0x43");
    assert_field_refused("{field: \"a,b\", place: domain-tag, tag: 0x42}", "\"a,b\"");
    assert_field_refused("{field: Plan, place: domain-tag, tag: 0x42}", "\"Plan\"");
    assert_field_refused("{field: a23456789012345678901234567890123, place: domain-tag, tag: 0x42}", "");
    assert_field_refused("{field: a, place: domain-tag, tag: 0x42}, {field: a, place: domain-tag, tag: 0x45}",
                         "stands twice");
    assert_field_refused("{field: a, place: domain-tag, tag: 0x42}, {field: b, place: domain-tag, tag: 0x42}",
                         "a and b go to the same place");
    assert_field_refused("{field: plan, place: sim-file}", "needs a path");
    assert_field_refused("{field: plan, place: sim-file, path: 7F10F}", "path");
    assert_field_refused("{field: plan, place: sim-file, path: 7F106F}", "file identifiers");
    assert_field_refused("{field: plan, place: sim-file, path: 7F107F107F107F106FE1}", "");
    assert_field_refused("{field: plan, place: application, dgi: 0x0101}", "needs its AID");
    assert_field_refused("{field: plan, place: application, application: F04B46504159}", "dgi");
    assert_field_refused("{field: plan, place: application, application: \"F04B46504X\", dgi: 1}",
                         "application");
}

static void a_secret_goes_into_an_application_and_comes_from_the_vault(void **state)
{
    (void)state;
    assert_field_refused("{field: pin, place: application, application: F04B46504159, dgi: 1, secret: true}",
                         "cannot come from an order");
    assert_field_refused("{field: pin, place: sim-file, path: 7F106FE1, derived_size: 8, secret: true}",
                         "in clear at the reader");
    assert_field_refused("{field: pin, place: domain-tag, tag: 0x42, derived_size: 8, secret: true}",
                         "read by anyone");
    assert_field_refused("{field: pin, place: application, application: F04B46504159, dgi: 1,"
                         " derived_size: 65, secret: true}",
                         "above 64");
    assert_field_refused("{field: pin, place: application, application: F04B46504159, dgi: 1,"
                         " derived_size: 256}",
                         "");
}

static void lists_have_caps(void **state)
{
    (void)state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer fields = KF_BUFFER_INIT;
    for (unsigned i = 0; i < KF_PROFILE_FIELDS_MAX; i++)
        kf_buffer_format(&fields, "%s{field: f%u, place: sim-file, path: 7F10%04X}", i > 0 ? ", " : "", i,
                         0x6F00 + i);
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_format(&text, USUAL "personalisation: [%s]\n", kf_buffer_text(&fields));
    kf_profile profile;
    kf_error error = {0};
    if (parse(kf_buffer_text(&text), &profile, &error) != KF_OK) fail_msg("%s", error.message);
    assert_int_equal(profile.field_count, KF_PROFILE_FIELDS_MAX);
    kf_buffer_append_text(&fields, ", {field: more, place: sim-file, path: 7F106FFF}");
    assert_field_refused(kf_buffer_text(&fields), "");

    kf_buffer_truncate(&fields, 0);
    for (unsigned i = 0; i < 9; i++)
        kf_buffer_format(&fields,
                         "%s{field: a_name_of_thirty_characters_%02u, place: sim-file, path: 7F10%04X}",
                         i > 0 ? ", " : "", i, 0x6F00 + i);
    assert_field_refused(kf_buffer_text(&fields), "at most 256");

    assert_refused_with(MODULES,
                        "  modules: [{load_file: A0000001515350, module: A000000151535041},"
                        " {load_file: A0000001515350, module: A000000151535041},"
                        " {load_file: A0000001515350, module: A000000151535041},"
                        " {load_file: A0000001515350, module: A000000151535041},"
                        " {load_file: A0000001515350, module: A000000151535041}]\n",
                        "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_says_where_everything_goes),
        cmocka_unit_test(a_preloaded_domain_needs_no_module),
        cmocka_unit_test(what_is_no_profile_is_refused),
        cmocka_unit_test(every_value_is_checked),
        cmocka_unit_test(a_field_goes_where_such_a_field_can_be),
        cmocka_unit_test(a_secret_goes_into_an_application_and_comes_from_the_vault),
        cmocka_unit_test(lists_have_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
