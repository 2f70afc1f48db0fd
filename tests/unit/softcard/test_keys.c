#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static void open_issuer(test_card *test, test_host *host, uint8_t level)
{
    assert_int_equal(test_send_hex(test, "00A4040008" ISSUER_AID), 0x9000);
    assert_int_equal(test_host_open(test, host, 0, TEST_KEY, level), 0x9000);
}

/* PUT KEY with P1 and P2 and the given data field (hex). */
static uint16_t put_key(test_card *test, test_host *host, unsigned p1, unsigned p2, const char *data)
{
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer_format(&command, "80D8%02X%02X%02zX%s", p1, p2, strlen(data) / 2, data);
    uint16_t status = test_host_send(test, host, kf_buffer_text(&command), NULL);
    kf_buffer_clear(&command);
    return status;
}

static uint16_t put_three(test_card *test, test_host *host, unsigned p1, uint8_t version, const char *key)
{
    kf_buffer data = KF_BUFFER_INIT;
    test_key_data(host->dek, version, key, true, &data);
    uint16_t status = put_key(test, host, p1, 0x81, kf_buffer_text(&data));
    kf_buffer_clear(&data);
    return status;
}

static void keys_are_added_in_both_forms_and_open_channels(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    for (uint8_t form = 0; form < 2; form++) {
        kf_buffer data = KF_BUFFER_INIT;
        open_issuer(&test, &host, 0x33);
        test_key_data(TEST_KEY, (uint8_t)(0x30 + form), OTHER_KEY, form == 0, &data);
        assert_int_equal(put_key(&test, &host, 0, 0x81, kf_buffer_text(&data)), 0x9000);
        test_card_revive(&test);
        assert_int_equal(test_host_open(&test, &host, (uint8_t)(0x30 + form), OTHER_KEY, 0x33), 0x9000);
        assert_int_equal(host.sequence_counter, 1);
        kf_buffer_clear(&data);
    }
    assert_int_equal(test_host_open(&test, &host, 1, TEST_KEY, 0x33), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void the_answer_names_the_version_and_every_check_value(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host, 0x33);
    test_key_data(TEST_KEY, 0x30, TEST_KEY, true, &data);
    kf_buffer_format(&command, "80D80081%02zX%s", data.size / 2, kf_buffer_text(&data));
    assert_int_equal(test_host_send(&test, &host, kf_buffer_text(&command), &answer), 0x9000);
    kf_buffer_append_hex(&text, kf_buffer_view(&answer));
    assert_string_equal(kf_buffer_text(&text), "30504A77504A77504A77");
    kf_buffer_clear(&data);
    kf_buffer_clear(&command);
    kf_buffer_clear(&answer);
    kf_buffer_clear(&text);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_replaced_set_starts_anew_and_the_old_keys_are_gone(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    for (int i = 0; i < 4; i++)
        open_issuer(&test, &host, 0x33);
    assert_int_equal(put_three(&test, &host, 0x01, 0x01, OTHER_KEY), 0x9000);
    test_exchange(&test, "00A4040C08" ISSUER_AID, "9000");
    test_exchange(&test, "80CA00C100", "C1030000009000");
    assert_int_equal(test_host_open(&test, &host, 1, OTHER_KEY, 0x33), 0x9000);
    assert_int_equal(host.sequence_counter, 1);
    assert_int_equal(put_three(&test, &host, 0x01, 0x02, TEST_KEY), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A4040008" ISSUER_AID), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 1, OTHER_KEY, 0x33), 0x6A88);
    assert_int_equal(test_host_open(&test, &host, 2, TEST_KEY, 0x33), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void one_bad_key_leaves_all_of_them_as_they_were(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host, 0x33);
    test_key_data(TEST_KEY, 0x01, OTHER_KEY, true, &data);
    char *text = strdup(kf_buffer_text(&data));
    assert_non_null(text);
    char *last = text + strlen(text) - 1;
    *last = *last == '0' ? '1' : '0';
    assert_int_equal(put_key(&test, &host, 0x01, 0x81, text), 0x9485);
    assert_int_equal(put_key(&test, &host, 0x00, 0x81, text), 0x9485);
    text[2] = '8';
    text[3] = '6';
    assert_int_equal(put_key(&test, &host, 0x01, 0x81, text), 0x9484);
    assert_int_equal(put_key(&test, &host, 0x01, 0x81, "01"), 0x6A80);
    assert_int_equal(put_key(&test, &host, 0x01, 0x81, "0188111000"), 0x6A80);
    open_issuer(&test, &host, 0x33);
    test_exchange(&test, "00A4040C08" ISSUER_AID, "9000");
    test_exchange(&test, "80CA00E000", "E012C00401018810C00402018810C004030188109000");
    free(text);
    kf_buffer_clear(&data);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void versions_and_sizes_keep_their_rules(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host, 0x33);
    assert_int_equal(put_three(&test, &host, 0x00, 0x01, OTHER_KEY), 0x6A80);
    assert_int_equal(put_three(&test, &host, 0x05, 0x05, OTHER_KEY), 0x6A88);
    assert_int_equal(put_three(&test, &host, 0x00, 0x00, OTHER_KEY), 0x6A80);
    assert_int_equal(put_three(&test, &host, 0x00, 0x80, OTHER_KEY), 0x6A80);
    assert_int_equal(put_three(&test, &host, 0x81, 0x01, OTHER_KEY), 0x6A86);
    assert_int_equal(put_three(&test, &host, 0x01, 0x01, OTHER_KEY OTHER_KEY), 0x6A80);
    assert_int_equal(put_three(&test, &host, 0x01, 0x01, "000102030405060708090A0B0C0D0E0F0001020304050607"),
                     0x6A80);
    assert_int_equal(put_three(&test, &host, 0x00, 0x31, OTHER_KEY OTHER_KEY), 0x9000);
    assert_int_equal(put_three(&test, &host, 0x31, 0x01, OTHER_KEY OTHER_KEY), 0x6A80);
    assert_int_equal(put_three(&test, &host, 0x00, 0x32, "000102030405060708090A0B0C0D0E0F0001020304050607"),
                     0x9000);
    assert_int_equal(test_host_open(&test, &host, 0x31, OTHER_KEY OTHER_KEY, 0x33), 0x9000);
    assert_int_equal(
        test_host_open(&test, &host, 0x32, "000102030405060708090A0B0C0D0E0F0001020304050607", 0x13), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void the_first_set_ends_the_card_makers_initial_keys(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    softcard_blueprint *blueprint = test_blueprint();
    assert_int_equal(softcard_blueprint_set(&blueprint->issuer->key_version, "FF"), KF_OK);
    test_card_make(&test, blueprint);
    open_issuer(&test, &host, 0x33);
    assert_int_equal(host.header[10], 0xFF);
    assert_int_equal(put_three(&test, &host, 0x00, 0x01, OTHER_KEY), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80CA00E000", NULL), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, OTHER_KEY, 0x33), 0x9000);
    assert_int_equal(host.header[10], 0x01);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void keys_are_deleted_but_never_the_issuers_last(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host, 0x33);
    assert_int_equal(test_host_send(&test, &host, "80E4000003D20101", NULL), 0x6985);
    assert_int_equal(put_three(&test, &host, 0x00, 0x30, OTHER_KEY), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80E4000003D20155", NULL), 0x6A88);
    assert_int_equal(test_host_send(&test, &host, "80E4000003D00101", NULL), 0x6985);
    assert_int_equal(test_host_send(&test, &host, "80E400000101", NULL), 0x6A80);
    assert_int_equal(test_host_send(&test, &host, "80E4000003D00155", NULL), 0x6A88);
    assert_int_equal(test_host_send(&test, &host, "80E4000003D20101", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80E4000006D00102D20130", NULL), 0x6985);
    assert_int_equal(test_host_open(&test, &host, 0, OTHER_KEY, 0x33), 0x9000);
    assert_int_equal(host.header[10], 0x30);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_published_put_key_is_taken(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    open_issuer(&test, &host, 0x33);
    /* vectors/put_key.json, jcx-aes-over-scp03 */
    assert_int_equal(
        test_host_send(&test, &host,
                       "80D8018146038811103D0FA4B855D2A5AA4954B8B5DF582A3A03C35280881110790ACCDA858B9970"
                       "29FA9AE50C9CD028030138088811108CAA7F589AA0CEB6350A45E70A6E435B03840DE5",
                       NULL),
        0x9000);
    test_exchange(&test, "00A4040C08" ISSUER_AID, "9000");
    test_exchange(&test, "80CA00E000", "E012C00401038810C00402038810C004030388109000");
    test_host_clear(&host);
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_added_in_both_forms_and_open_channels),
        cmocka_unit_test(the_answer_names_the_version_and_every_check_value),
        cmocka_unit_test(a_replaced_set_starts_anew_and_the_old_keys_are_gone),
        cmocka_unit_test(one_bad_key_leaves_all_of_them_as_they_were),
        cmocka_unit_test(versions_and_sizes_keep_their_rules),
        cmocka_unit_test(the_first_set_ends_the_card_makers_initial_keys),
        cmocka_unit_test(keys_are_deleted_but_never_the_issuers_last),
        cmocka_unit_test(a_published_put_key_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
