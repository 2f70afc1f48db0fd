/* Keys by STORE DATA (GP 2.3.1 11.11.4) with a common template B7 and one 8113 for each key. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

/* AES check value of OTHER_KEY: the first bytes of 01…01 encrypted. */
static void check_value(char ret_text[7])
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    test_encrypt(OTHER_KEY, "01010101010101010101010101010101", &text);
    (void)snprintf(ret_text, 7, "%.6s", kf_buffer_text(&text));
}

/* DGI 00B9 of `attributes` and one 8113 for each of `count` keys. */
static void append_groupings(const char *attributes, int count, kf_buffer *data)
{
    kf_buffer_format(data, "00B9%02zX%s", strlen(attributes) / 2, attributes);
    for (int i = 0; i < count; i++) {
        kf_buffer_append_text(data, "811310");
        test_encrypt(TEST_KEY, OTHER_KEY, data);
    }
}

/* What the card answers to a domain's keys in one block. */
static uint16_t store(const char *attributes, int count, bool *ret_opens)
{
    test_card test;
    test_host host = {0};
    char command[1024];
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    append_groupings(attributes, count, &data);
    test_card_make(&test, test_blueprint());
    assert_int_equal(test_send_hex(&test, "00A4040008" ISSUER_AID), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(test_host_send(&test, &host,
                                    "80E60C002C07A000000151535008A0000001515350410A" DOMAIN_AID
                                    "018006C9048102037000",
                                    NULL),
                     0x9000);
    assert_int_equal(test_host_send(&test, &host,
                                    "80E62000100000"
                                    "0A" DOMAIN_AID "000000",
                                    NULL),
                     0x9000);
    (void)snprintf(command, sizeof command, "80E28800%02zX%s", strlen(kf_buffer_text(&data)) / 2,
                   kf_buffer_text(&data));
    uint16_t status = test_host_send(&test, &host, command, NULL);
    assert_int_equal(test_send_hex(&test, "00A404000A" DOMAIN_AID), 0x9000);
    *ret_opens = test_host_open(&test, &host, 0x30, OTHER_KEY, 0x33) == 0x9000;
    test_host_clear(&host);
    test_card_clear(&test);
    return status;
}

#define COMMON                                                                                               \
    "B7108001888101108301309601009702"                                                                       \
    "0003"

static void keys_come_with_a_common_template_and_one_grouping_each(void **state)
{
    (void)state;
    char kcv[7];
    char attributes[256];
    bool opens;
    check_value(kcv);
    (void)snprintf(attributes, sizeof attributes,
                   COMMON "B9088201018403%sB9088201028403%sB908820103"
                          "8403%s",
                   kcv, kcv, kcv);
    assert_int_equal(store(attributes, 3, &opens), 0x9000);
    assert_true(opens);
    /* Without check values, too. */
    assert_int_equal(store(COMMON "B903820101B903820102B903820103", 3, &opens), 0x9000);
    assert_true(opens);
}

static void a_check_value_that_differs_is_refused(void **state)
{
    (void)state;
    bool opens;
    assert_int_equal(store(COMMON "B9088201018403000000B903820102B903820103", 3, &opens), 0x6A80);
    assert_false(opens);
    assert_int_equal(store(COMMON "B90782010184020000B903820102B903820103", 3, &opens), 0x6A80);
    assert_false(opens);
}

static void what_announces_no_keys_is_refused(void **state)
{
    (void)state;
    bool opens;
    static const char *const wrong[] = {
        COMMON,                                         /* nothing behind it */
        "B903820101B903820102B903820103",               /* no type, size, version */
        "B903820101" COMMON "B903820102B903820103",     /* the common template is not first */
        COMMON COMMON "B903820101B903820102B903820103", /* twice */
        COMMON "B9038301"
               "30B903820102B903820103",               /* a key without an identifier */
        COMMON "B903820101B906820102830131B903820103", /* of two versions */
        COMMON "B903820101B903820102B9038201",         /* cut off */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(store(wrong[i], 3, &opens), 0x6A80);
        assert_false(opens);
    }
}

static void as_many_keys_come_as_were_announced(void **state)
{
    (void)state;
    bool opens;
    assert_int_equal(store(COMMON "B903820101B903820102B903820103", 2, &opens), 0x6A80);
    assert_false(opens);
    assert_int_equal(store(COMMON "B903820101B903820102B903820103", 4, &opens), 0x6985);
    assert_false(opens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_with_a_common_template_and_one_grouping_each),
        cmocka_unit_test(a_check_value_that_differs_is_refused),
        cmocka_unit_test(what_announces_no_keys_is_refused),
        cmocka_unit_test(as_many_keys_come_as_were_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
