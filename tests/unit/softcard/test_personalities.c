/* Every kind of card that has a name, and how commands and answers travel with each. */
#include "scp02_host.h"

#include <stdio.h>
#include <string.h>

#include "softcard/personalities.h"

static void make_named(test_card *test, const char *name)
{
    softcard_blueprint *blueprint = test_blueprint();
    assert_int_equal(softcard_blueprint_set(&blueprint->personality, name), KF_OK);
    test_card_make(test, blueprint);
}

static void every_named_card_opens_its_channel(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint8_t scp02_parameter; /* 0: SCP03 */
        uint8_t parameter;
        uint8_t version;
        uint8_t level;
    } kinds[] = {
        {"usual", 0, 0x70, 0x01, 0x33},
        {"jcop", 0, 0x70, 0xFF, 0x33},
        {"scp02-i15", 0x15, 0, 0xFF, 0x03},
        {"scp02-i55", 0x55, 0, 0xFF, 0x03},
        {"scp02-to-scp03", 0x55, 0, 0xFF, 0x03},
        {"scp03-i00", 0, 0x00, 0x01, 0x03},
        {"scp03-s16", 0, 0x71, 0x30, 0x33},
        {"counts-unfinished", 0, 0x70, 0x01, 0x33},
        {"sim", 0x55, 0, 0x20, 0x03},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        test_card test;
        make_named(&test, kinds[i].name);
        if (kinds[i].scp02_parameter != 0) {
            scp02_host host = {.parameter = kinds[i].scp02_parameter};
            assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, kinds[i].level), 0x9000);
            assert_int_equal(host.version, kinds[i].version);
        } else {
            test_host host = {.mac_size = (kinds[i].parameter & 1) != 0 ? 16 : 8};
            assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, kinds[i].level), 0x9000);
            assert_int_equal(host.header[10], kinds[i].version);
            assert_int_equal(host.header[12], kinds[i].parameter);
            assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
            test_host_clear(&host);
        }
        test_card_clear(&test);
    }
    const softcard_kind_of_card *kind = NULL;
    kf_error error = {0};
    assert_int_equal(softcard_kind_of_card_find("visa", &kind, &error), KF_ERR_CONFIGURATION);
    assert_non_null(strstr(error.message, "jcop"));
}

/* ISO/IEC 7816-3 8.2.5: everything behind TS, with TCK, comes to zero; the historical bytes are as many as T0
 * says. */
static void every_answer_to_reset_is_well_formed(void **state)
{
    (void)state;
    static const char *const names[] = {"usual", "jcop", "scp02-i15", "scp02-i55", "scp02-to-scp03", "sim"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        test_card test;
        make_named(&test, names[i]);
        kf_view atr = softcard_atr(test.card);
        uint8_t sum = 0;
        for (size_t byte = 1; byte < atr.size; byte++)
            sum ^= atr.data[byte];
        assert_int_equal(sum, 0);
        size_t place = 1;
        uint8_t format = atr.data[place++];
        size_t historical = format & 0x0FU;
        while (format != 0) {
            uint8_t next = 0;
            for (uint8_t bit = 0x10; bit != 0; bit = (uint8_t)(bit << 1)) {
                if ((format & bit) == 0) continue;
                assert_true(place < atr.size);
                if (bit == 0x80) next = atr.data[place];
                place++;
            }
            format = next & 0xF0U;
        }
        if (place + historical + 1 != atr.size) fail_msg("%s: %zu bytes", names[i], atr.size);
        test_card_clear(&test);
    }
}

static void unfinished_channels_count_where_the_card_says_so(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    make_named(&test, "counts-unfinished");
    for (int i = 0; i < 9; i++)
        assert_int_equal(test_send_hex(&test, "8050000008000102030405060700"), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(test_send_hex(&test, "8050000008000102030405060700"), 0x9000);
    assert_int_equal(test_send_hex(&test, "8050000008000102030405060700"), 0x6983);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void with_t0_answers_wait_for_get_response(void **state)
{
    (void)state;
    test_card test;
    make_named(&test, "sim");
    test_exchange(&test,
                  "00A4000002"
                  "2FE2",
                  "6119");
    test_exchange(&test, "00C0000001", "6C19");
    assert_int_equal(test_send_hex(&test, "00C0000019"), 0x9000);
    test_exchange(&test, "00C0000019", "6D00");
    test_exchange(&test, "80CA9F7F10", "6C2D");
    assert_int_equal(test_send_hex(&test, "80CA9F7F2D"), 0x9000);
    test_exchange(&test, "80500000080001020304050607", "611C");
    assert_int_equal(test_send_hex(&test, "00C000001C"), 0x9000);
    test_exchange(&test, "A0A40000023F00", "6E00");
    test_card_clear(&test);
}

static void extended_lengths_where_the_card_has_them(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "80CA9F7F000000", "6700");
    test_card_clear(&test);
    make_named(&test, "jcop");
    assert_int_equal(test_send_hex(&test, "80CA9F7F000000"), 0x9000);
    test_exchange(&test, "80CA9F7F000010", "6C2D");
    assert_int_equal(test_send_hex(&test, "00A40400000009" ISSUER_AID), 0x6700);
    assert_int_equal(test_send_hex(&test, "00A40400000008" ISSUER_AID), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A40400000008" ISSUER_AID "0000"), 0x9000);
    /* A LOAD block of more than 255 bytes under a C-MAC with extended length. */
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(test_host_send(&test, &host,
                                    "80E602000C"
                                    "07F0000000010203"
                                    "00000000",
                                    NULL),
                     0x9000);
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer message = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append("84E80000000138", &command), KF_OK);
    kf_buffer_append_fill(&command, 0xC4, 0x130);
    kf_buffer_append_bytes(&message, host.chaining, 16);
    kf_buffer_append(&message, kf_buffer_view(&command));
    assert_int_equal(kf_cmac(host.mac, kf_buffer_view(&message), host.chaining), KF_OK);
    kf_buffer_append_bytes(&command, host.chaining, 8);
    assert_int_equal(test_send(&test, kf_buffer_view(&command), NULL), 0x9000);
    kf_buffer_clear(&command);
    kf_buffer_clear(&message);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void twenty_channels_are_opened_and_used(void **state)
{
    (void)state;
    test_card test;
    test_card_make(&test, test_blueprint());
    for (unsigned number = 1; number < 20; number++) {
        char expected[8];
        snprintf(expected, sizeof expected, "%02X9000", number);
        test_exchange(&test, "0070000001", expected);
    }
    test_exchange(&test, "0070000001", "6A81");
    assert_int_equal(test_send_hex(&test, "4FA4040008" ISSUER_AID), 0x9000);
    assert_int_equal(test_send_hex(&test, "CFCA9F7F00"), 0x9000);
    test_exchange(&test, "0070801300", "9000");
    test_exchange(&test, "4FA4040008" ISSUER_AID, "6881");
    test_card_clear(&test);
}

static void a_session_runs_on_a_further_channel(void **state)
{
    (void)state;
    test_card test;
    scp02_host host = {.parameter = 0x55, .channel = 3};
    make_named(&test, "scp02-to-scp03");
    for (int i = 0; i < 3; i++)
        assert_int_equal(test_send_hex(&test, "0070000001"), 0x9000);
    test_exchange(&test, "0070000001", "6A81");
    assert_int_equal(test_send_hex(&test, "03A4040008" ISSUER_AID), 0x9000);
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x03), 0x9000);
    assert_int_equal(scp02_send(&test, &host, "80F28002024F00", NULL), 0x9000);
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_named_card_opens_its_channel),
        cmocka_unit_test(every_answer_to_reset_is_well_formed),
        cmocka_unit_test(unfinished_channels_count_where_the_card_says_so),
        cmocka_unit_test(with_t0_answers_wait_for_get_response),
        cmocka_unit_test(extended_lengths_where_the_card_has_them),
        cmocka_unit_test(twenty_channels_are_opened_and_used),
        cmocka_unit_test(a_session_runs_on_a_further_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
