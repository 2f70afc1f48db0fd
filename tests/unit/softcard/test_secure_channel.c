#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static softcard_blueprint *blueprint_with(const char *parameter)
{
    softcard_blueprint *blueprint = test_blueprint();
    assert_int_equal(softcard_blueprint_set(&blueprint->parameter, parameter), KF_OK);
    return blueprint;
}

static void every_parameter_offers_its_levels_and_no_more(void **state)
{
    (void)state;
    static const char *const parameters[] = {"00", "10", "20", "30", "60", "70", "71"};
    static const uint8_t levels[] = {0x00, 0x01, 0x03, 0x11, 0x13, 0x33};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        unsigned parameter = (unsigned)strtoul(parameters[i], NULL, 16);
        for (size_t level = 0; level < sizeof levels; level++) {
            test_card test;
            test_host host = {.mac_size = (parameter & 1) != 0 ? 16 : 8};
            test_card_make(&test, blueprint_with(parameters[i]));
            bool offered = ((levels[level] & 0x10) == 0 || (parameter & 0x20) != 0) &&
                           ((levels[level] & 0x20) == 0 || (parameter & 0x40) != 0);
            uint16_t status = test_host_open(&test, &host, 0, TEST_KEY, levels[level]);
            assert_int_equal(status, offered ? 0x9000 : 0x6A86);
            if (offered && levels[level] != 0) {
                kf_buffer answer = KF_BUFFER_INIT;
                assert_int_equal(test_host_send(&test, &host, "80CA00E000", &answer), 0x9000);
                assert_int_equal(answer.size, 20);
                assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
                assert_int_equal(test_host_send(&test, &host, "80CA123400", NULL), 0x6A88);
                assert_int_equal(test_host_send(&test, &host, "80F24002024F00", NULL), 0x6A88);
                assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
                kf_buffer_clear(&answer);
            }
            test_host_clear(&host);
            test_card_clear(&test);
        }
    }
}

static void the_counter_rises_at_every_initialize_update(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(host.sequence_counter, 1);
    assert_int_equal(test_send_hex(&test, "8050000008010203040506070800"), 0x9000);
    test_card_revive(&test);
    test_exchange(&test, "80CA00C100", "C1030000029000");
    assert_int_equal(test_host_open(&test, &host, 1, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(host.sequence_counter, 3);
    assert_int_equal(host.header[10], 0x01);
    assert_int_equal(host.header[12], 0x70);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void an_unknown_version_a_wrong_length_and_a_key_number_are_refused(void **state)
{
    (void)state;
    test_card test;
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "8050300008010203040506070800", "6A88");
    test_exchange(&test, "80500000070102030405060700", "6700");
    test_exchange(&test, "8050000108010203040506070800", "6A86");
    test_exchange(&test, "84820000100102030405060708010203040506070800", "6985");
    test_exchange(&test, "80CA00C100", "C1030000009000");
    test_card_clear(&test);
}

static void a_channel_ends_with_select_reset_and_a_wrong_mac(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A4040008" ISSUER_AID), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x6982);

    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    softcard_power_on(test.card);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x6982);

    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    host.chaining[0] ^= 1;
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x6982);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x6982);

    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    test_exchange(&test, "80F28002024F0000", "6982");
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x6982);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void management_needs_more_than_level_00(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "80F28002024F0000", "6982");
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x00), 0x9000);
    test_exchange(&test, "80F28002024F0000", "6982");
    assert_int_equal(test_send_hex(&test, "80CA00E000"), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_channel_belongs_to_its_logical_channel(void **state)
{
    (void)state;
    test_card test;
    test_host basic = {0};
    test_host other = {.channel = 1};
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "0070000001", "019000");
    assert_int_equal(test_host_open(&test, &basic, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(test_host_open(&test, &other, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(test_host_send(&test, &basic, "80F28002024F00", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &other, "80F28002024F00", NULL), 0x9000);
    test_exchange(&test, "01A4000C023F00", "9000");
    assert_int_equal(test_host_send(&test, &other, "80F28002024F00", NULL), 0x6982);
    assert_int_equal(test_host_send(&test, &basic, "80F28002024F00", NULL), 0x9000);
    test_host_clear(&basic);
    test_host_clear(&other);
    test_card_clear(&test);
}

/* The host has the right challenges and a wrong key: its MAC does not verify. */
static uint16_t fail_once(test_card *test)
{
    assert_int_equal(test_send_hex(test, "8050000008010203040506070800"), 0x9000);
    return test_send_hex(test, "84820100100102030405060708010203040506070800");
}

static void failures_are_counted_block_and_end_with_a_success(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    softcard_blueprint *blueprint = test_blueprint();
    blueprint->failure_limit = 3;
    test_card_make(&test, blueprint);
    assert_int_equal(fail_once(&test), 0x6982);
    assert_int_equal(fail_once(&test), 0x6982);
    test_card_revive(&test);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    for (int i = 0; i < 3; i++) {
        test_card_revive(&test);
        assert_int_equal(fail_once(&test), 0x6982);
    }
    test_exchange(&test, "8050000008010203040506070800", "6983");
    test_host_clear(&host);
    test_card_clear(&test);
}

static void unfinished_channels_count_where_the_personality_says_so(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    softcard_blueprint *blueprint = test_blueprint();
    blueprint->failure_limit = 3;
    blueprint->counts_unfinished = true;
    test_card_make(&test, blueprint);
    assert_int_equal(fail_once(&test), 0x6982);
    assert_int_equal(test_send_hex(&test, "8050000008010203040506070800"), 0x9000);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(test_send_hex(&test, "8050000008010203040506070800"), 0x9000);
    test_exchange(&test, "8050000008010203040506070800", "6983");
    test_host_clear(&host);
    test_card_clear(&test);

    blueprint = test_blueprint();
    blueprint->failure_limit = 3;
    test_card_make(&test, blueprint);
    for (int i = 0; i < 5; i++)
        assert_int_equal(test_send_hex(&test, "8050000008010203040506070800"), 0x9000);
    test_card_clear(&test);
}

static void a_random_challenge_differs_and_shows_no_counter(void **state)
{
    (void)state;
    test_card test;
    kf_buffer first = KF_BUFFER_INIT;
    kf_buffer second = KF_BUFFER_INIT;
    static const uint8_t command[] = {0x80, 0x50, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0};
    test_card_make(&test, blueprint_with("60"));
    assert_int_equal(test_send(&test, KF_VIEW(command), &first), 0x9000);
    assert_int_equal(test_send(&test, KF_VIEW(command), &second), 0x9000);
    assert_int_equal(first.size, 29);
    assert_memory_not_equal(first.data + 13, second.data + 13, 8);
    test_exchange(&test, "80CA00C100", "6A88");
    kf_buffer_clear(&first);
    kf_buffer_clear(&second);
    test_card_clear(&test);
}

/* Amendment D 7.1.3: with R-MAC, and with R-ENCRYPTION where commands are encrypted too. */
static void response_macs_begin_and_end_inside_a_session(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    for (uint8_t encrypted = 0; encrypted < 2; encrypted++) {
        uint8_t level = encrypted ? 0x03 : 0x01;
        assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, level), 0x9000);
        assert_int_equal(test_host_send(&test, &host, "807A000100", NULL), 0x6A86);
        assert_int_equal(test_host_send(&test, &host, "807A300100", NULL), encrypted ? 0x9000 : 0x6985);
        if (!encrypted) assert_int_equal(test_host_send(&test, &host, "807A100100", NULL), 0x9000);
        host.level |= encrypted ? 0x30 : 0x10;
        assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
        assert_int_equal(test_host_send(&test, &host, "80F24002024F00", NULL), 0x6A88);
        assert_int_equal(test_host_send(&test, &host, "8078000300", NULL), 0x9000);
        host.level = level;
        assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
        assert_int_equal(test_host_send(&test, &host, "8078000300", NULL), 0x6985);
    }
    /* What EXTERNAL AUTHENTICATE began lasts as long as the session. */
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "807A100100", NULL), 0x6985);
    assert_int_equal(test_host_send(&test, &host, "8078000300", NULL), 0x6985);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_locked_card_answers_its_issuer_alone(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    test_card_make(&test, test_blueprint());
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F0800700", NULL), 0x6985);
    assert_int_equal(test_host_send(&test, &host, "80F0807F00", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x6985);
    assert_int_equal(test_send_hex(&test, "00A4040008" ISSUER_AID), 0x6283);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F0800F00", NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_offers_its_levels_and_no_more),
        cmocka_unit_test(the_counter_rises_at_every_initialize_update),
        cmocka_unit_test(an_unknown_version_a_wrong_length_and_a_key_number_are_refused),
        cmocka_unit_test(a_channel_ends_with_select_reset_and_a_wrong_mac),
        cmocka_unit_test(management_needs_more_than_level_00),
        cmocka_unit_test(a_channel_belongs_to_its_logical_channel),
        cmocka_unit_test(failures_are_counted_block_and_end_with_a_success),
        cmocka_unit_test(unfinished_channels_count_where_the_personality_says_so),
        cmocka_unit_test(a_random_challenge_differs_and_shows_no_counter),
        cmocka_unit_test(response_macs_begin_and_end_inside_a_session),
        cmocka_unit_test(a_locked_card_answers_its_issuer_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
