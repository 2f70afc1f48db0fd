/* What other people's programs send, in their own encodings, and what they need in the answers: a Java host
 * over javax.smartcardio, a C library with T=0 of its own making, and a Python program for SIM cards. */
#include "scp02_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softcard/state.h"

#define PACKAGE "F0000000010203"
#define APPLET "F000000001020301"
#define SECOND_APPLET "F000000001020302"
#define DOMAIN_FILE "A0000001515350"
#define DOMAIN_MODULE "A000000151535041"

static void make_named(test_card *test, const char *name)
{
    softcard_blueprint *blueprint = NULL;
    assert_int_equal(softcard_blueprint_new(&blueprint), KF_OK);
    blueprint->issuer = calloc(1, sizeof *blueprint->issuer);
    assert_non_null(blueprint->issuer);
    blueprint->issuer->published_test_keys = true;
    assert_int_equal(softcard_blueprint_set(&blueprint->personality, name), KF_OK);
    test_card_make(test, blueprint);
}

static void expect(test_card *test, test_host *host, const char *command, const char *wanted)
{
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    uint16_t status = test_host_send(test, host, command, &answer);
    kf_buffer_append_hex(&text, kf_buffer_view(&answer));
    kf_buffer_format(&text, "%04X", status);
    assert_string_equal(kf_buffer_text(&text), wanted);
    kf_buffer_clear(&answer);
    kf_buffer_clear(&text);
}

/* INSTALL with fields behind their lengths. */
static uint16_t install(test_card *test, test_host *host, const char *p1, const char *const *items,
                        size_t count)
{
    kf_buffer data = KF_BUFFER_INIT;
    kf_buffer command = KF_BUFFER_INIT;
    for (size_t i = 0; i < count; i++)
        kf_buffer_format(&data, "%02zX%s", strlen(items[i]) / 2, items[i]);
    kf_buffer_format(&command, "80E6%s00%02zX%s", p1, data.size / 2, kf_buffer_text(&data));
    uint16_t status = test_host_send(test, host, kf_buffer_text(&command), NULL);
    kf_buffer_clear(&data);
    kf_buffer_clear(&command);
    return status;
}

#define INSTALL(test, host, p1, ...)                                                                         \
    install(test, host, p1, (const char *const[]){__VA_ARGS__},                                              \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static const char load_file[] = "C431"
                                "010014DECAFFED010204000107" PACKAGE "000000"
                                "030017"
                                "0208" APPLET "001008" SECOND_APPLET "0010";

static void load_and_install(test_card *test, test_host *host)
{
    kf_buffer command = KF_BUFFER_INIT;
    assert_int_equal(INSTALL(test, host, "02", PACKAGE, ISSUER_AID, "", "", ""), 0x9000);
    kf_buffer_format(&command, "80E88000%02zX%s", strlen(load_file) / 2, load_file);
    assert_int_equal(test_host_send(test, host, kf_buffer_text(&command), NULL), 0x9000);
    assert_int_equal(INSTALL(test, host, "0C", PACKAGE, APPLET, APPLET, "00", "C900", ""), 0x9000);
    assert_int_equal(INSTALL(test, host, "0C", PACKAGE, SECOND_APPLET, SECOND_APPLET, "00", "C9020102", ""),
                     0x9000);
    kf_buffer_clear(&command);
}

static void a_java_host_finds_the_issuers_domain_and_its_data(void **state)
{
    (void)state;
    test_card test;
    make_named(&test, "jcop");
    test_exchange(&test, "00A4040000", "6F108408A000000151000000A5049F6501FF9000");
    test_exchange(&test, "00A4040008" ISSUER_AID "00", "6F108408A000000151000000A5049F6501FF9000");
    test_exchange(&test, "80CA004200", "6A88");
    test_exchange(&test, "80CA004500", "6A88");
    test_exchange(&test, "80CA00CF00", "CF0A8988211000000000015F9000");
    test_exchange(&test, "80CA00C100", "C1030000009000");
    test_exchange(&test, "80CA00E000", "E012C00401FF8810C00402FF8810C00403FF88109000");
    test_exchange(&test, "80CA006600",
                  "663F733D06072A864886FC6B01600C060A2A864886FC6B02020301630906072A864886FC6B03"
                  "640B06092A864886FC6B040370660C060A2B060104012A026E01039000");
    assert_int_equal(test_send_hex(&test, "80CA006700"), 0x9000);
    assert_int_equal(test_send_hex(&test, "80CA9F7F00"), 0x9000);
    test_card_clear(&test);
}

/* A host that reads the version of GlobalPlatform where SELECT tells it knows 2.1.1, and stops at any that it
 * does not know: old cards tell that one, new cards tell none. */
static void only_old_cards_tell_management_data_in_select(void **state)
{
    (void)state;
    test_card test;
    make_named(&test, "scp02-i15");
    test_exchange(
        &test, "00A4040000",
        "6F4F8408A000000003000000A543733D06072A864886FC6B01600C060A2A864886FC6B02020101630906072A864886FC6B03"
        "640B06092A864886FC6B040215660C060A2B060104012A026E01039F6501FF9000");
    test_exchange(&test, "80CA006700", "6A88"); /* which came with 2.2.1 */
    test_card_clear(&test);
}

static void a_java_host_takes_a_card_from_delivery_to_use(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    kf_buffer command = KF_BUFFER_INIT;
    make_named(&test, "jcop");
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    expect(&test, &host, "80F28002024F00",
           "E31D4F08A0000001510000009F700101C5039EFE80CC08A0000001510000009000");
    assert_int_equal(test_host_send(&test, &host, "80F0800F00", NULL), 0x6985); /* INITIALIZED comes before */
    assert_int_equal(test_host_send(&test, &host, "80F0800700", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F0800F00", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F24002024F00", NULL), 0x6A88);
    assert_int_equal(test_host_send(&test, &host, "80F22002024F00", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F21002024F00", NULL), 0x9000);
    /* The maker's keys, of version FF, are replaced by adding version 01. */
    test_key_data(TEST_KEY, 0x01, OTHER_KEY, true, &data);
    kf_buffer_format(&command, "80D80081%02zX%s", data.size / 2, kf_buffer_text(&data));
    assert_int_equal(test_host_send(&test, &host, kf_buffer_text(&command), NULL), 0x9000);
    test_exchange(&test, "00A4040000", "6F108408A000000151000000A5049F6501FF9000");
    test_exchange(&test, "80CA00E000", "E012C00401018810C00402018810C004030188109000");
    assert_int_equal(test_host_open(&test, &host, 0, OTHER_KEY, 0x03), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F0807F00", NULL), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x6283);
    assert_int_equal(test_host_open(&test, &host, 0, OTHER_KEY, 0x01), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80E400000A4F08" APPLET, NULL), 0x6985);
    assert_int_equal(test_host_send(&test, &host, "80F0800F00", NULL), 0x9000);
    kf_buffer_clear(&data);
    kf_buffer_clear(&command);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_java_host_makes_domains_with_what_they_may_take(void **state)
{
    (void)state;
    static const char *const parameters[] = {"C90481020370",
                                             "C90881020370"
                                             "82022020",
                                             "C90C81020370"
                                             "82022020"
                                             "87022020",
                                             "C90145",
                                             "C900",
                                             "C90481020255"};
    test_card test;
    test_host host = {0};
    make_named(&test, "usual");
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        char aid[32];
        snprintf(aid, sizeof aid, "A00000015153504B46%02zX", i);
        assert_int_equal(
            INSTALL(&test, &host, "0C", DOMAIN_FILE, DOMAIN_MODULE, aid, "80", parameters[i], ""), 0x9000);
    }
    assert_int_equal(
        INSTALL(&test, &host, "0C", DOMAIN_FILE, DOMAIN_MODULE, "A00000015153504B4699", "80C000", "EF00", ""),
        0x6A80);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void one_application_is_selected_by_a_reset(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    make_named(&test, "usual");
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    load_and_install(&test, &host);
    assert_int_equal(INSTALL(&test, &host, "08", "", "", APPLET, "00", "", ""), 0x6985);
    assert_int_equal(INSTALL(&test, &host, "08", "", "", APPLET, "04", "", ""), 0x9000);
    assert_int_equal(INSTALL(&test, &host, "08", "", "", SECOND_APPLET, "04", "", ""), 0x9000);
    expect(&test, &host, "80F240020A4F08" APPLET,
           "E3264F08" APPLET "9F700107C503000000C407" PACKAGE "CC08A0000001510000009000");
    expect(&test, &host, "80F240020A4F08" SECOND_APPLET,
           "E3264F08" SECOND_APPLET "9F700107C503040000C407" PACKAGE "CC08A0000001510000009000");
    test_card_revive(&test);
    test_exchange(&test, "80CA9F7F00", "6A88"); /* the applet answers, not the issuer's domain */
    test_exchange(&test, "00A4000C023F00", "9000");
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    assert_int_equal(test_send_hex(&test, "80CA9F7F00"), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void the_issuers_domain_gets_another_name_and_production_data(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    make_named(&test, "usual");
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    load_and_install(&test, &host);
    assert_int_equal(test_host_send(&test, &host, "80E280000B9F67081122334455667788", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80E280000B9F660899AABBCCDDEEFF00", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80E280000A9F660799AABBCCDDEEFF", NULL), 0x6A80);
    expect(&test, &host, "80CA9F7F00",
           "9F7F2A4790D6004700"
           "000000000000"
           "0000015F"
           "0000"
           "0000000000000000"
           "1122334455667788"
           "99AABBCCDDEEFF00"
           "9000");
    assert_int_equal(test_host_send(&test, &host, "80E290000A4F08" APPLET, NULL), 0x6985);
    assert_int_equal(test_host_send(&test, &host, "80E29000094F07A0000000030000", NULL), 0x9000);
    expect(&test, &host, "80F28002024F00", "E31B4F07A00000000300009F70010FC5039EFE80CC07A00000000300009000");
    expect(&test, &host, "80F240020A4F08" APPLET,
           "E3254F08" APPLET "9F700107C503000000C407" PACKAGE "CC07A00000000300009000");
    test_exchange(&test, "00A4040007A0000000030000", "6F0F8407A0000000030000A5049F6501FF9000");
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void keys_of_other_kinds_leave_the_makers_keys(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer command = KF_BUFFER_INIT;
    make_named(&test, "jcop");
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    /* A key of TLS: the length before the cryptogram, the beginning of its SHA-1 as the check value. */
    kf_buffer_append_text(&command, "80D8000117408511"
                                    "10");
    test_encrypt(TEST_KEY, "303132333435363738393A3B3C3D3E3F", &command);
    kf_buffer_append_text(&command, "03A71D3E");
    uint16_t status = test_host_send(&test, &host, kf_buffer_text(&command), NULL);
    assert_int_equal(status, 0x9485);
    kf_buffer_truncate(&command, command.size - 6);
    kf_buffer_append_text(&command, "06125D");
    assert_int_equal(test_host_send(&test, &host, kf_buffer_text(&command), NULL), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0xFF, TEST_KEY, 0x01), 0x9000);
    test_exchange(&test, "80CA00E000", "6982");
    kf_buffer_clear(&command);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_c_host_asks_after_every_command_with_t0(void **state)
{
    (void)state;
    test_card test;
    make_named(&test, "sim");
    /* SELECT as T=0 has it, without Le. */
    test_exchange(&test, "00A4040008A000000003000000", "6112");
    test_exchange(&test, "00C0000012", "6F108408A000000003000000A5049F6501FF9000");
    /* After 9000 without data it asks too: 6D00 makes it keep what it has. */
    test_exchange(&test, "0070800100", "6881");
    test_exchange(&test, "00A4000C023F00", "9000");
    test_exchange(&test, "00C0000000", "6D00");
    test_exchange(&test, "80CA00E000",
                  "E048C00401208010C00402208010C00403208010C00401308810C00402308810C00403308810"
                  "C00401018010C00402018010C00403018010C00401028810C00402028810C00403028810"
                  "9000");
    test_card_clear(&test);
}

static void a_c_host_reads_lists_in_the_form_before_tags(void **state)
{
    (void)state;
    test_card test;
    scp02_host host = {.parameter = 0x15};
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    make_named(&test, "scp02-i15");
    assert_int_equal(test_send_hex(&test, "00A4040008A000000003000000"), 0x9000);
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(scp02_send(&test, &host, "80F28000024F00", &answer), 0x9000);
    kf_buffer_append_hex(&text, kf_buffer_view(&answer));
    assert_string_equal(kf_buffer_text(&text), "08A000000003000000019E");
    assert_int_equal(scp02_send(&test, &host, "80F0800700", NULL), 0x9000);
    /* It deletes with P2 = 80 whatever it deletes. */
    assert_int_equal(scp02_send(&test, &host, "80E400800A4F08" APPLET, NULL), 0x6A88);
    assert_int_equal(scp02_send(&test, &host, "80E4008003D201FF", NULL), 0x6985);
    assert_int_equal(scp02_send(&test, &host, "80CA006600", NULL), 0x9000);
    kf_buffer_clear(&answer);
    kf_buffer_clear(&text);
    test_card_clear(&test);
}

static void resources_and_counters_are_told(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    make_named(&test, "usual");
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    test_exchange(&test, "80CAFF2100", "FF210D810100820400100000830208009000");
    test_exchange(&test, "80CA00C200", "C20200009000");
    test_exchange(&test, "80CA00D300", "D301009000");
    test_exchange(&test, "80CA2F0000", "2F00009000");
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    expect(&test, &host, "80CA00D300", "D301339000");
    load_and_install(&test, &host);
    expect(&test, &host, "80CA2F0000", "2F0018610A4F08" APPLET "610A4F08" SECOND_APPLET "9000");
    test_host_clear(&host);
    test_card_clear(&test);
}

/* Every file that a program for SIM cards reads without asking whether it is there; P2 = 04, and no Le. */
static void a_sim_host_finds_the_files_it_reads(void **state)
{
    (void)state;
    static const char *const paths[][3] = {
        {"3F00", "2F00", ""},     {"3F00", "2FE2", ""},     {"3F00", "7F10", "6F40"},
        {"3F00", "7F10", "6F42"}, {"3F00", "7F20", "6F07"}, {"3F00", "7F20", "6F38"},
        {"3F00", "7F20", "6F3E"}, {"3F00", "7F20", "6F3F"}, {"3F00", "7F20", "6F46"},
        {"3F00", "7F20", "6F30"}, {"3F00", "7F20", "6F60"}, {"3F00", "7F20", "6F61"},
        {"3F00", "7F20", "6F62"}, {"3F00", "7F20", "6F78"}, {"3F00", "7F20", "6FAD"},
    };
    static const char *const of_usim[] = {"6F07", "6F38", "6F78", "6FAD", "6FD9",
                                          "6F46", "6F40", "6F42", "6F60"};
    static const char *const of_isim[] = {"6F02", "6F03", "6F04", "6F07", "6FAD"};
    test_card test;
    char command[64];
    make_named(&test, "usual");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (size_t step = 0; step < 3 && paths[i][step][0] != '\0'; step++) {
            snprintf(command, sizeof command, "00A4000402%s", paths[i][step]);
            assert_int_equal(test_send_hex(&test, command), 0x9000);
        }
    }
    assert_int_equal(test_send_hex(&test, "00A4040410A0000000871002FF86FFFF89FFFFFFFF"), 0x9000);
    for (size_t i = 0; i < sizeof of_usim / sizeof of_usim[0]; i++) {
        snprintf(command, sizeof command, "00A4000402%s", of_usim[i]);
        assert_int_equal(test_send_hex(&test, command), 0x9000);
    }
    assert_int_equal(test_send_hex(&test, "00A4040407A0000000871004"), 0x9000);
    for (size_t i = 0; i < sizeof of_isim / sizeof of_isim[0]; i++) {
        snprintf(command, sizeof command, "00A4000402%s", of_isim[i]);
        assert_int_equal(test_send_hex(&test, command), 0x9000);
    }
    test_exchange(&test,
                  "00A4000402"
                  "6F33",
                  "6A82");
    test_exchange(&test, "A0A40000023F00", "6E00"); /* no GSM class: it is a UICC */
    test_card_clear(&test);
}

static void a_sim_host_reads_what_belongs_to_the_subscriber(void **state)
{
    (void)state;
    test_card test;
    make_named(&test, "usual");
    test_exchange(&test, "00A4080C022FE2", "9000");
    test_exchange(&test, "00B000000A", "988812010000000010F59000");
    test_exchange(&test, "00A4080C047F206F07", "9000");
    test_exchange(&test, "00B0000009",
                  "080910100000000010"
                  "9000");
    test_exchange(&test, "00A4080C047F206F78", "9000");
    test_exchange(&test, "00B0000002", "00029000");
    test_exchange(&test, "00A4080C047F206FAD", "9000");
    test_exchange(&test, "00B0000004", "000000029000");
    test_exchange(&test, "00A4080C047F206F62", "9000");
    test_exchange(&test, "00B0000005", "00F110C0809000");
    test_exchange(&test, "00A4080C022F00", "9000");
    test_exchange(&test, "00B2020426",
                  "61184F10A0000000871004FF86FFFF89FFFFFFFF50044953494DFFFFFFFFFFFFFFFFFFFFFFFF9000");
    test_exchange(&test, "00B2030426", "6A83");
    test_exchange(&test, "00A4040C07A0000000871004", "9000");
    test_exchange(&test, "00A4000C026F02", "9000");
    test_exchange(&test, "00B0000004", "803130309000");
    test_card_clear(&test);
}

static void a_sim_host_manages_codes(void **state)
{
    (void)state;
    test_card test;
    make_named(&test, "usual");
    test_exchange(&test, "0020000A083838383838383838", "9000");
    test_exchange(&test, "002400011031323334FFFFFFFF35363738FFFFFFFF", "9000");
    test_exchange(&test, "002000010831323334FFFFFFFF", "63C2");
    test_exchange(&test, "002600010835363738FFFFFFFF", "9000");
    test_exchange(&test, "002000010835363738FFFFFFFF", "6984");
    test_exchange(&test, "00200001", "6984");
    test_exchange(&test, "002600010835363738FFFFFFFF", "6985");
    test_card_revive(&test);
    test_exchange(&test, "00A4080C047F206F20", "9000"); /* needs PIN1, which is disabled */
    assert_int_equal(test_send_hex(&test, "00B0000009"), 0x9000);
    test_exchange(&test, "002800010835363738FFFFFFFF", "9000");
    test_exchange(&test, "002800010835363738FFFFFFFF", "6985");
    for (int i = 2; i >= 0; i--) {
        char wanted[8];
        snprintf(wanted, sizeof wanted, "63C%d", i);
        test_exchange(&test, "002000010800000000FFFFFFFF", wanted);
    }
    test_exchange(&test, "002000010835363738FFFFFFFF", "6983");
    test_exchange(&test, "002C0001", "63CA");
    test_exchange(&test, "002C000110303030303030303031323334FFFFFFFF", "63C9");
    test_exchange(&test, "002C000110313233343536373831323334FFFFFFFF", "9000");
    test_card_revive(&test);
    test_exchange(&test, "00A4080C047F206F20", "9000");
    test_exchange(&test, "00B0000009", "6982");
    test_exchange(&test, "002000010831323334FFFFFFFF", "9000");
    test_exchange(&test, "002C00010831323334FFFFFFFF", "6700");
    test_exchange(&test, "0026000A083838383838383838", "6985");
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_java_host_finds_the_issuers_domain_and_its_data),
        cmocka_unit_test(only_old_cards_tell_management_data_in_select),
        cmocka_unit_test(a_java_host_takes_a_card_from_delivery_to_use),
        cmocka_unit_test(a_java_host_makes_domains_with_what_they_may_take),
        cmocka_unit_test(one_application_is_selected_by_a_reset),
        cmocka_unit_test(the_issuers_domain_gets_another_name_and_production_data),
        cmocka_unit_test(keys_of_other_kinds_leave_the_makers_keys),
        cmocka_unit_test(a_c_host_asks_after_every_command_with_t0),
        cmocka_unit_test(a_c_host_reads_lists_in_the_form_before_tags),
        cmocka_unit_test(resources_and_counters_are_told),
        cmocka_unit_test(a_sim_host_finds_the_files_it_reads),
        cmocka_unit_test(a_sim_host_reads_what_belongs_to_the_subscriber),
        cmocka_unit_test(a_sim_host_manages_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
