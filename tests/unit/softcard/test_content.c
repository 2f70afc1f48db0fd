#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Load file, module and instance AIDs of a small package. */
#define PACKAGE_AID "F0000000010203"
#define PACKAGE_MODULE "F000000001020301"
#define INSTANCE_AID "F00000000102030405"
#define DOMAIN_FILE "A0000001515350"
#define DOMAIN_MODULE "A000000151535041"

/* Components Header (magic, CAP 2.1, flags, package 1.3 with its AID) and Applet (one module). */
#define PACKAGE "010011DECAFFED010204030107" PACKAGE_AID "03000C0108" PACKAGE_MODULE "0011"

/* Each field after its length byte, end to end; the last argument is NULL. The text lives until the next
 * call. */
static const char *fields(const char *first, ...)
{
    static char text[600];
    size_t used = 0;
    va_list arguments;
    va_start(arguments, first);
    for (const char *field = first; field != NULL; field = va_arg(arguments, const char *))
        used += (size_t)snprintf(text + used, sizeof text - used, "%02zX%s", strlen(field) / 2, field);
    va_end(arguments);
    return text;
}

/* `head` is class, instruction, P1 and P2. */
static uint16_t send(test_card *test, test_host *host, const char *head, const char *data)
{
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer_format(&command, "%s%02zX%s", head, strlen(data) / 2, data);
    uint16_t status = test_host_send(test, host, kf_buffer_text(&command), NULL);
    kf_buffer_clear(&command);
    return status;
}

/* Sends and wants 9000 with this plain answer. */
static void expect(test_card *test, test_host *host, const char *head, const char *data, const char *answer)
{
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer response = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_format(&command, "%s%02zX%s", head, strlen(data) / 2, data);
    assert_int_equal(test_host_send(test, host, kf_buffer_text(&command), &response), 0x9000);
    kf_buffer_append_hex(&text, kf_buffer_view(&response));
    assert_string_equal(kf_buffer_text(&text), answer);
    kf_buffer_clear(&command);
    kf_buffer_clear(&response);
    kf_buffer_clear(&text);
}

static void open_issuer(test_card *test, test_host *host)
{
    assert_int_equal(test_send_hex(test, "00A4040008" ISSUER_AID), 0x9000);
    assert_int_equal(test_host_open(test, host, 0, TEST_KEY, 0x33), 0x9000);
}

static uint16_t install_domain(test_card *test, test_host *host)
{
    return send(test, host, "80E60C00",
                fields(DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "80", "C90481020370", "", NULL));
}

static uint16_t personalise(test_card *test, test_host *host, const char *aid)
{
    return send(test, host, "80E62000", fields("", "", aid, "", "", "", NULL));
}

static void a_domain_is_opened_with_its_parents_keys_until_it_has_its_own(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    expect(&test, &host, "80E60C00",
           fields(DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "80", "C90481020310", "", NULL), "00");
    assert_int_equal(install_domain(&test, &host), 0x6985);
    expect(&test, &host, "80F24002", "4F0A" DOMAIN_AID,
           "E3284F0A" DOMAIN_AID "9F700107C503800000C407" DOMAIN_FILE "CC08" ISSUER_AID);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    test_exchange(&test, "8050300008010203040506070800", "6A88");
    test_exchange(&test, "80CA00E000", "E0009000");
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    test_key_data(TEST_KEY, 0x30, OTHER_KEY, true, &data);
    assert_int_equal(send(&test, &host, "80D80081", kf_buffer_text(&data)), 0x9000);
    test_card_revive(&test);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0x01, TEST_KEY, 0x33), 0x6A88);
    assert_int_equal(test_host_open(&test, &host, 0x30, OTHER_KEY, 0x13), 0x6A86);
    assert_int_equal(test_host_open(&test, &host, 0x30, OTHER_KEY, 0x03), 0x9000);
    assert_int_equal(host.header[12], 0x10);
    expect(&test, &host, "80F24002", "4F0A" DOMAIN_AID "5C039F70CC",
           "E31A4F0A" DOMAIN_AID "9F70010FCC08" ISSUER_AID);
    kf_buffer_clear(&data);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_domain_without_management_installs_and_deletes_nothing(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(install_domain(&test, &host), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(send(&test, &host, "80E60200", fields(PACKAGE_AID, ISSUER_AID, "", "", "", NULL)),
                     0x6985);
    assert_int_equal(send(&test, &host, "80E40000", "4F0A" DOMAIN_AID), 0x6985);
    assert_int_equal(send(&test, &host, "80F28002", "4F00"), 0x6A88);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void install_refuses_what_does_not_fit_and_changes_nothing(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    static const struct {
        const char *items[6];
        uint16_t status;
    } wrong[] = {
        {{"A0000001515351", DOMAIN_MODULE, DOMAIN_AID, "80", "C900", ""}, 0x6A88},
        {{DOMAIN_FILE, "A000000151535042", DOMAIN_AID, "80", "C900", ""}, 0x6A88},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "00", "C900", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "81", "C900", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "A04000", "C900", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "8000", "C900", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "80", "C90481020355", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "80", "C90481020270", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "80", "C905810203", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_AID, "80", "EF00", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, "A0000001", "80", "C900", ""}, 0x6A80},
        {{DOMAIN_FILE, DOMAIN_MODULE, ISSUER_AID, "80", "C900", ""}, 0x6985},
        {{DOMAIN_FILE, DOMAIN_MODULE, DOMAIN_FILE, "80", "C900", ""}, 0x6985},
    };
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    unsigned saves = test.saves;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *const *items = wrong[i].items;
        const char *data = fields(items[0], items[1], items[2], items[3], items[4], items[5], NULL);
        assert_int_equal(send(&test, &host, "80E60C00", data), wrong[i].status);
    }
    assert_int_equal(send(&test, &host, "80E60C00", "07"), 0x6A80);
    assert_int_equal(send(&test, &host, "80E60300", "00"), 0x6A86);
    assert_int_equal(send(&test, &host, "80E60C01", "00"), 0x6A86);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x6A88);
    assert_int_equal(test.saves, saves);
    test_host_clear(&host);
    test_card_clear(&test);
}

static uint16_t load_bytes(test_card *test, test_host *host, const char *bytes)
{
    char half[512];
    kf_buffer framed = KF_BUFFER_INIT;
    kf_buffer_format(&framed, "C4%02zX%s", strlen(bytes) / 2, bytes);
    snprintf(half, sizeof half, "%.16s", kf_buffer_text(&framed));
    uint16_t status = send(test, host, "80E80000", half);
    if (status == 0x9000) status = send(test, host, "80E88001", kf_buffer_text(&framed) + 16);
    kf_buffer_clear(&framed);
    return status;
}

static uint16_t install_for_load(test_card *test, test_host *host, const char *hash)
{
    return send(test, host, "80E60200", fields(PACKAGE_AID, ISSUER_AID, hash, "", "", NULL));
}

static void a_package_is_loaded_instantiated_listed_and_deleted(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(install_for_load(&test, &host, ""), 0x9000);
    assert_int_equal(load_bytes(&test, &host, PACKAGE), 0x9000);
    expect(&test, &host, "80F21002", "4F07" PACKAGE_AID,
           "E3254F07" PACKAGE_AID "9F700101CE0201038408" PACKAGE_MODULE "CC08" ISSUER_AID);
    expect(&test, &host, "80F22002", "4F07" PACKAGE_AID,
           "E31B4F07" PACKAGE_AID "9F700101CE020103CC08" ISSUER_AID);
    assert_int_equal(install_for_load(&test, &host, ""), 0x6985);
    expect(&test, &host, "80E60C00",
           fields(PACKAGE_AID, PACKAGE_MODULE, INSTANCE_AID, "00", "C900", "", NULL), "00");
    test_card_revive(&test);
    test_exchange(&test, "00A4040009" INSTANCE_AID, "6F0D8409" INSTANCE_AID "A5009000");
    open_issuer(&test, &host);
    assert_int_equal(send(&test, &host, "80E40000", "4F07" PACKAGE_AID), 0x6985);
    expect(&test, &host, "80E40080", "4F07" PACKAGE_AID, "00");
    assert_int_equal(send(&test, &host, "80E40000", "4F07" PACKAGE_AID), 0x6A88);
    assert_int_equal(send(&test, &host, "80F24002", "4F09" INSTANCE_AID), 0x6A88);
    assert_int_equal(send(&test, &host, "80E40000", "4F07" DOMAIN_FILE), 0x6985);
    assert_int_equal(send(&test, &host, "80E40000", "4F08" ISSUER_AID), 0x6985);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_load_file_that_is_not_what_was_announced_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "010011DECAFFEE010204030107" PACKAGE_AID,   /* another magic */
        "010011DECAFFED010204030107F0000000010204", /* another package */
        "03000C0108" PACKAGE_MODULE "0011",         /* no header */
        "010012DECAFFED010204030107" PACKAGE_AID,   /* header cut short */
        "010011DECAFFED010204030107" PACKAGE_AID "03000C0208" PACKAGE_MODULE "0011",
        PACKAGE "0300",
    };
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    unsigned saves = test.saves;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(install_for_load(&test, &host, ""), 0x9000);
        assert_int_equal(load_bytes(&test, &host, broken[i]), 0x6A80);
        assert_int_equal(send(&test, &host, "80E88000", "C400"), 0x6985);
    }
    assert_int_equal(
        install_for_load(&test, &host, "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"),
        0x9000);
    assert_int_equal(load_bytes(&test, &host, PACKAGE), 0x6A80);
    assert_int_equal(install_for_load(&test, &host, "001122"), 0x6A80);
    assert_int_equal(install_for_load(&test, &host, ""), 0x9000);
    assert_int_equal(send(&test, &host, "80E80001", "C400"), 0x6A86);
    assert_int_equal(send(&test, &host, "80E60200", fields(PACKAGE_AID, PACKAGE_AID, "", "", "", NULL)),
                     0x6A88);
    assert_int_equal(test.saves, saves);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_load_file_has_a_largest_size(void **state)
{
    (void)state;
    static char block[2 * 200 + 1];
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    memset(block, '0', sizeof block - 1);
    assert_int_equal(install_for_load(&test, &host, ""), 0x9000);
    uint16_t status = 0x9000;
    unsigned number = 0;
    while (status == 0x9000 && number < 4000) {
        char head[9];
        snprintf(head, sizeof head, "80E800%02X", number++ & 0xFF);
        status = send(&test, &host, head, block);
    }
    assert_int_equal(status, 0x6A84);
    assert_int_equal(number, 512 * 1024 / 200 + 1);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_long_list_comes_in_parts(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer first = KF_BUFFER_INIT;
    kf_buffer rest = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    for (unsigned i = 0; i < 12; i++) {
        char aid[11];
        snprintf(aid, sizeof aid, "F0000001%02X", i);
        assert_int_equal(send(&test, &host, "80E60C00",
                              fields("F04B46504159", "F04B4650415901", aid, "00", "C900", "", NULL)),
                         0x9000);
    }
    assert_int_equal(send(&test, &host, "80F24003", "4F00"), 0x6985);
    assert_int_equal(test_host_send(&test, &host, "80F24002024F00", &first), 0x6310);
    uint16_t status = test_host_send(&test, &host, "80F24003024F00", &rest);
    while (status == 0x6310)
        status = test_host_send(&test, &host, "80F24003024F00", &rest);
    assert_int_equal(status, 0x9000);
    assert_int_equal((first.size + rest.size) % 12, 0);
    assert_int_equal(send(&test, &host, "80F24003", "4F00"), 0x6985);
    expect(&test, &host, "80F28000", "4F00", "08" ISSUER_AID "0F9E");
    expect(&test, &host, "80F21000", "4F07" DOMAIN_FILE,
           "07" DOMAIN_FILE "0100"
           "01"
           "08" DOMAIN_MODULE);
    assert_int_equal(send(&test, &host, "80F24004", "4F00"), 0x6A86);
    assert_int_equal(send(&test, &host, "80F27002", "4F00"), 0x6A86);
    assert_int_equal(send(&test, &host, "80F24002", "5C00"), 0x6A80);
    kf_buffer_clear(&first);
    kf_buffer_clear(&rest);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_stock_domain_takes_three_tags_and_nothing_else(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(install_domain(&test, &host), 0x9000);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800",
                          "00700A"
                          "42020102"
                          "5F5003616263"),
                     0x9000);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800",
                          "00700A"
                          "42020909"
                          "5F5003999999"
                          "9101"
                          "00"),
                     0x6A80);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800", "910102ABCD"), 0x6A80);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800",
                          "007004"
                          "4F020102"),
                     0x6A80);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E20000", "45020304"), 0x9000);
    assert_int_equal(send(&test, &host, "80E28002", "45020304"), 0x6A86);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    test_exchange(&test, "80CA004200", "420201029000");
    test_exchange(&test, "80CA5F5000", "5F50036162639000");
    test_exchange(&test, "80CA004500", "450203049000");
    test_exchange(&test, "80CA123400", "6A88");
    test_host_clear(&host);
    test_card_clear(&test);
}

/* DGI 00B9 announces keys, 8113 brings their values under the DEK; together they take effect. */
static void a_domain_gets_its_keys_by_store_data(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer values = KF_BUFFER_INIT;
    kf_buffer templates = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(install_domain(&test, &host), 0x9000);
    kf_buffer_append_text(&templates, "00B92D");
    kf_buffer_append_text(&values, "811330");
    for (int i = 1; i <= 3; i++) {
        kf_buffer_format(&templates, "B90F95011880018881011082010%d8301", i);
        kf_buffer_append_text(&templates, "30");
        test_encrypt(TEST_KEY, OTHER_KEY, &values);
    }
    templates.data[4] = '3';
    templates.data[5] = '3';
    kf_buffer fixed = KF_BUFFER_INIT;
    kf_buffer_append_text(&fixed, kf_buffer_text(&templates));
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E20800", kf_buffer_text(&values)), 0x6985);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800", kf_buffer_text(&fixed)), 0x6A80);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E20800", kf_buffer_text(&fixed)), 0x9000);
    assert_int_equal(send(&test, &host, "80E28801", kf_buffer_text(&values)), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    test_exchange(&test, "80CA00E000", "E012C00401308810C00402308810C004033088109000");
    assert_int_equal(test_host_open(&test, &host, 0x30, OTHER_KEY, 0x33), 0x9000);
    kf_buffer_clear(&values);
    kf_buffer_clear(&templates);
    kf_buffer_clear(&fixed);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void one_template_may_announce_three_keys(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(install_domain(&test, &host), 0x9000);
    kf_buffer_append_text(&data, "00B90EB90C800188810110820101830130811330");
    for (int i = 0; i < 3; i++)
        test_encrypt(TEST_KEY, OTHER_KEY, &data);
    assert_int_equal(personalise(&test, &host, DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800", kf_buffer_text(&data)), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0x30, OTHER_KEY, 0x33), 0x9000);
    kf_buffer_clear(&data);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void an_application_keeps_its_groupings_and_hides_its_keys(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer secret = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(send(&test, &host, "80E60C00",
                          fields("F04B46504159", "F04B4650415901", INSTANCE_AID, "00", "C900", "", NULL)),
                     0x9000);
    kf_buffer_append_text(&secret, "800010");
    test_encrypt(TEST_KEY, OTHER_KEY, &secret);
    assert_int_equal(personalise(&test, &host, INSTANCE_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E20800", "010106AABBCC"), 0x9000);
    assert_int_equal(send(&test, &host, "80E20801", "DDEEFF010201"), 0x9000);
    assert_int_equal(send(&test, &host, "80E20802", "77"), 0x9000);
    assert_int_equal(send(&test, &host, "80E2E803", kf_buffer_text(&secret)), 0x9000);
    test_exchange(&test, "00A4040C09" INSTANCE_AID, "9000");
    test_exchange(&test, "80CA010100", "010106AABBCCDDEEFF9000");
    test_exchange(&test, "80CA010200", "010201779000");
    test_exchange(&test, "80CA800000", "6982");
    test_exchange(&test, "80CA010300", "6A88");
    test_exchange(&test, "80E60C0000", "6982");
    open_issuer(&test, &host);
    assert_int_equal(personalise(&test, &host, INSTANCE_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800", "010105AABB"), 0x6A80);
    assert_int_equal(personalise(&test, &host, INSTANCE_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800", "0101FF0801AABB"), 0x6A80);
    assert_int_equal(personalise(&test, &host, INSTANCE_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80E2E800", "800002AABB"), 0x6A80);
    kf_buffer_clear(&secret);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_domain_goes_with_what_belongs_to_it_or_not_at_all(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(install_domain(&test, &host), 0x9000);
    test_exchange(&test, "0070000001", "019000");
    test_exchange(&test, "01A4040C0A" DOMAIN_AID, "9000");
    assert_int_equal(send(&test, &host, "80E40000", "4F0A" DOMAIN_AID), 0x6985);
    test_exchange(&test, "00708001", "9000");
    assert_int_equal(send(&test, &host, "80E40001", "4F0A" DOMAIN_AID), 0x6A86);
    assert_int_equal(send(&test, &host, "80E40000", "4F02A000"), 0x6A80);
    expect(&test, &host, "80E40080", "4F0A" DOMAIN_AID, "00");
    test_exchange(&test, "00A404000A" DOMAIN_AID, "6A82");
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_locked_application_cannot_be_selected(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(install_domain(&test, &host), 0x9000);
    assert_int_equal(send(&test, &host, "80F04080", DOMAIN_AID), 0x9000);
    test_exchange(&test, "00A404000A" DOMAIN_AID, "6A82");
    open_issuer(&test, &host);
    assert_int_equal(send(&test, &host, "80F04007", DOMAIN_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80F04007", PACKAGE_AID), 0x6A88);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A4040005A000000151"), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A4040205A000000151"), 0x9000);
    test_exchange(&test, "00A4040205A000000151", "6A82");
    test_host_clear(&host);
    test_card_clear(&test);
}

/* An application may be opened and personalised by itself, with its domain's keys. */
static void an_application_takes_data_in_a_channel_of_its_own(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    assert_int_equal(send(&test, &host, "80E60C00",
                          fields("F04B46504159", "F04B4650415901", INSTANCE_AID, "00", "C900", "", NULL)),
                     0x9000);
    test_exchange(&test, "00A4040C09" INSTANCE_AID, "9000");
    test_exchange(&test,
                  "80E288000501010200"
                  "11",
                  "6982");
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(send(&test, &host, "80E28800", "0101021234"), 0x9000);
    assert_int_equal(send(&test, &host, "80F24002", "4F00"), 0x6D00);
    expect(&test, &host, "80CA0101", "", "0101021234");
    test_host_clear(&host);
    test_card_clear(&test);
}

static uint32_t next_number(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Random commands with right MACs: whatever they do, answers are answers and the state can be read again. */
static void hostile_commands_inside_a_channel_do_no_harm(void **state)
{
    (void)state;
    static const uint8_t instructions[] = {0xCA, 0xD8, 0xE2, 0xE4, 0xE6, 0xE8, 0xF2};
    static const uint8_t likely[] = {0x00, 0x02, 0x04, 0x08, 0x0C, 0x10, 0x20, 0x40, 0x4F, 0x70, 0x80, 0x81,
                                     0x82, 0x83, 0x88, 0xB9, 0xC4, 0xC9, 0xD0, 0xD2, 0xE2, 0xF0, 0xFF, 0x01};
    test_card test;
    test_host host = {0};
    uint32_t seed = 7;
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host);
    for (unsigned round = 0; round < 20000; round++) {
        char command[2 * 240 + 1];
        size_t size = next_number(&seed) % 60;
        size_t used = (size_t)snprintf(
            command, sizeof command, "80%02X%02X%02X%02zX",
            instructions[next_number(&seed) % sizeof instructions],
            likely[next_number(&seed) % sizeof likely],
            next_number(&seed) % 3 == 0 ? likely[next_number(&seed) % sizeof likely] : 0U, size);
        for (size_t i = 0; i < size; i++)
            used +=
                (size_t)snprintf(command + used, sizeof command - used, "%02X",
                                 next_number(&seed) % 2 == 0 ? next_number(&seed) % 20
                                                             : likely[next_number(&seed) % sizeof likely]);
        uint16_t status = test_host_send(&test, &host, command, NULL);
        assert_int_not_equal(status, 0x6F00);
        assert_int_not_equal(status, 0x6581);
        if (round % 500 == 0) {
            test_card_revive(&test);
            open_issuer(&test, &host);
        }
    }
    test_host_clear(&host);
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_is_opened_with_its_parents_keys_until_it_has_its_own),
        cmocka_unit_test(a_domain_without_management_installs_and_deletes_nothing),
        cmocka_unit_test(install_refuses_what_does_not_fit_and_changes_nothing),
        cmocka_unit_test(a_package_is_loaded_instantiated_listed_and_deleted),
        cmocka_unit_test(a_load_file_that_is_not_what_was_announced_is_refused),
        cmocka_unit_test(a_load_file_has_a_largest_size),
        cmocka_unit_test(a_long_list_comes_in_parts),
        cmocka_unit_test(a_stock_domain_takes_three_tags_and_nothing_else),
        cmocka_unit_test(a_domain_gets_its_keys_by_store_data),
        cmocka_unit_test(one_template_may_announce_three_keys),
        cmocka_unit_test(an_application_keeps_its_groupings_and_hides_its_keys),
        cmocka_unit_test(an_application_takes_data_in_a_channel_of_its_own),
        cmocka_unit_test(hostile_commands_inside_a_channel_do_no_harm),
        cmocka_unit_test(a_domain_goes_with_what_belongs_to_it_or_not_at_all),
        cmocka_unit_test(a_locked_application_cannot_be_selected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
