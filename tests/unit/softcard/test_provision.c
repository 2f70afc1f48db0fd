#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/keyfill-softcard-XXXXXX";

static void write_file(const char *content, char path[64])
{
    snprintf(path, 64, "%s/card.yaml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect_refusal(const char *content, const char *word)
{
    char path[64];
    kf_error error = {0};
    softcard_blueprint *blueprint = NULL;
    softcard_state *state = NULL;
    write_file(content, path);
    kf_code code = softcard_blueprint_read(path, &blueprint, &error);
    if (code == KF_OK) code = softcard_provision(blueprint, &state, &error);
    assert_int_equal(code, KF_ERR_CONFIGURATION);
    if (strstr(error.message, word) == NULL) fail_msg("\"%s\" does not name \"%s\"", error.message, word);
    assert_null(state);
    softcard_blueprint_free(&blueprint);
    unlink(path);
}

static void a_file_makes_a_card_with_domains(void **unused)
{
    (void)unused;
    char path[64];
    kf_error error = {0};
    softcard_blueprint *blueprint = NULL;
    test_card test;
    test_host host = {0};
    write_file("iccid: \"89860012345678901234\"\n"
               "i: \"60\"\n"
               "failure_limit: 5\n"
               "counts_unfinished: true\n"
               "issuer:\n"
               "  key_version: \"20\"\n"
               "  published-test-keys: true\n"
               "domains:\n"
               "  - aid: " DOMAIN_AID "\n"
               "    key_version: \"30\"\n"
               "    i: \"70\"\n"
               "    keys: \"" OTHER_KEY ":" OTHER_KEY ":" OTHER_KEY "\"\n"
               "  - aid: F00000000102\n",
               path);
    if (softcard_blueprint_read(path, &blueprint, &error) != KF_OK) fail_msg("%s", error.message);
    test_card_make(&test, blueprint);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0x30, OTHER_KEY, 0x33), 0x9000);
    assert_int_equal(host.header[12], 0x70);
    assert_int_equal(test_send_hex(&test, "00A4040006F00000000102"), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(host.header[10], 0x20);
    assert_int_equal(host.header[12], 0x60);
    assert_memory_equal(host.header, "\x89\x86\x00\x12\x34\x56\x78\x90\x12\x34", 10);
    test_host_clear(&host);
    test_card_clear(&test);
    unlink(path);
}

/* The keys of a delivered card come from its maker's master key and its diversification data. */
static void diversified_keys_differ_by_role_and_by_card(void **unused)
{
    (void)unused;
    kf_buffer shown[2] = {KF_BUFFER_INIT, KF_BUFFER_INIT};
    for (int card = 0; card < 2; card++) {
        test_card test;
        softcard_blueprint *blueprint = test_blueprint();
        blueprint->issuer->published_test_keys = false;
        assert_int_equal(softcard_blueprint_set(&blueprint->kdd,
                                                card == 0 ? "00000000000000000001" : "00000000000000000002"),
                         KF_OK);
        assert_int_equal(softcard_blueprint_set(&blueprint->issuer->master_key, OTHER_KEY), KF_OK);
        assert_int_equal(softcard_blueprint_set(&blueprint->issuer->diversification,
                                                "sp800-108-aes(role,kdd/hex/10,iccid/ascii)"),
                         KF_OK);
        test_card_make(&test, blueprint);
        assert_int_equal(softcard_show(test.card, &shown[card]), KF_OK);
        test_card_clear(&test);
    }
    const char *first = strstr(kf_buffer_text(&shown[0]), "KCV 1:");
    const char *second = strstr(kf_buffer_text(&shown[1]), "KCV 1:");
    assert_non_null(first);
    assert_non_null(second);
    assert_int_not_equal(strncmp(first, second, 12), 0);
    assert_int_not_equal(strncmp(first + 6, first + 15, 6), 0);
    assert_int_not_equal(strncmp(first + 15, first + 24, 6), 0);
    kf_buffer_clear(&shown[0]);
    kf_buffer_clear(&shown[1]);
}

/* Method none: the code is the first eight bytes of the master key itself. */
static void the_administrative_code_comes_from_a_master_key(void **unused)
{
    (void)unused;
    test_card test;
    softcard_blueprint *blueprint = test_blueprint();
    assert_int_equal(softcard_blueprint_set(&blueprint->adm1_master_key, "00112233445566778899AABBCCDDEEFF"),
                     KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->adm1_diversification, "none()"), KF_OK);
    test_card_make(&test, blueprint);
    assert_int_equal(test_send_hex(&test, "0020000A083838383838383838"), 0x63C9);
    assert_int_equal(test_send_hex(&test, "0020000A080011223344556677"), 0x9000);
    test_card_clear(&test);
}

static void what_is_wrong_in_a_file_is_named(void **unused)
{
    (void)unused;
    static const char issuer[] = "issuer: {published-test-keys: true}\n";
    char content[512];
    static const struct {
        const char *line;
        const char *word;
    } wrong[] = {
        {"iccid: \"1234567890123456789012\"\n", "iccid"},
        {"iccid: \"12x\"\n", "iccid"},
        {"iccid: \"1234\"\nimsi: \"1234567890123456\"\n", "imsi"},
        {"iccid: \"1234\"\nmsisdn: \"123456789012345678901\"\n", "msisdn"},
        {"iccid: \"1234\"\nkdd: \"00\"\n", "kdd"},
        {"iccid: \"1234\"\ncplc: \"00\"\n", "cplc"},
        {"iccid: \"1234\"\natr: \"3B\"\n", "atr"},
        {"iccid: \"1234\"\nscp: \"01\"\n", "scp"},
        {"iccid: \"1234\"\ni: \"55\"\n", "i:"},
        {"iccid: \"1234\"\npin1: \"123456789\"\n", "pin1"},
        {"iccid: \"1234\"\npin1_tries: 16\n", "pin1_tries"},
        {"iccid: \"1234\"\nadm1_master_key: \"" OTHER_KEY "\"\n", "diversification"},
        {"iccid: \"1234\"\nadm1_diversification: \"none()\"\n", "adm1_master_key"},
        {"iccid: \"1234\"\nspn: \"seventeen letters\"\n", "spn"},
        {"iccid: \"1234\"\ncolour: red\n", "colour"},
        {"iccid: \"1234\"\ndomains: [{aid: A000}]\n", "aid"},
        {"iccid: \"1234\"\ndomains: [{aid: A000000151000000}]\n", "twice"},
        {"iccid: \"1234\"\ndomains: [{aid: F000000001, keys: \"00\"}]\n", "keys"},
        {"iccid: \"1234\"\ndomains: [{aid: F000000001, keys: \"" OTHER_KEY
         "\", published-test-keys: true}]\n",
         "exactly one"},
        {"iccid: \"1234\"\ndomains: [{aid: F000000001, master_key: \"" OTHER_KEY "\"}]\n", "diversification"},
        {"iccid: \"1234\"\ndomains: [{aid: F000000001, key_version: \"80\", keys: \"" OTHER_KEY "\"}]\n",
         "key_version"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(content, sizeof content, "%s%s", issuer, wrong[i].line);
        expect_refusal(content, wrong[i].word);
    }
    expect_refusal("iccid: \"1234\"\n", "issuer");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_makes_a_card_with_domains),
        cmocka_unit_test(diversified_keys_differ_by_role_and_by_card),
        cmocka_unit_test(the_administrative_code_comes_from_a_master_key),
        cmocka_unit_test(what_is_wrong_in_a_file_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
