#include <string.h>

#include "scp02_host.h"

#define DES_KEY "11111111111111112222222222222222"
#define AES_192 "000102030405060708090A0B0C0D0E0F1011121314151617"

static void make_card(test_card *test, const char *protocols, const char *parameter)
{
    softcard_blueprint *blueprint = test_blueprint();
    assert_int_equal(softcard_blueprint_set(&blueprint->protocol, protocols), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->scp02_parameter, parameter), KF_OK);
    test_card_make(test, blueprint);
    assert_int_equal(test_send_hex(test, "00A4040008" ISSUER_AID), 0x9000);
}

static uint8_t parameter_of(const char *text)
{
    uint8_t parameter;
    assert_int_equal(kf_hex_decode(text, &parameter, 1), KF_OK);
    return parameter;
}

static void every_option_opens_every_level_that_it_has(void **state)
{
    (void)state;
    static const char *const parameters[] = {"05", "15", "45", "55", "35", "75"};
    static const uint8_t levels[] = {0x00, 0x01, 0x03, 0x10, 0x11, 0x13, 0x33, 0x02};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        test_card test;
        make_card(&test, "02", parameters[i]);
        uint8_t parameter = parameter_of(parameters[i]);
        for (size_t level = 0; level < sizeof levels; level++) {
            scp02_host host = {.parameter = parameter};
            bool offered = levels[level] <= 0x03 ? levels[level] != 0x02
                                                 : levels[level] != 0x33 && (parameter & 0x20) != 0;
            assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, levels[level]), offered ? 0x9000 : 0x6A86);
            if (!offered) continue;
            kf_buffer answer = KF_BUFFER_INIT;
            assert_int_equal(scp02_send(&test, &host, "80CA00CF00", &answer), 0x9000);
            assert_int_equal(answer.size, 12);
            /* Listing needs a C-MAC; the chain goes on after an error. */
            bool manages = (levels[level] & 0x01) != 0;
            for (int round = 0; manages && round < 3; round++) {
                assert_int_equal(scp02_send(&test, &host, "80F24002024F00", NULL), 0x6A88);
                assert_int_equal(scp02_send(&test, &host, "80F28002024F00", NULL), 0x9000);
            }
            if (!manages) assert_int_equal(scp02_send(&test, &host, "80F28002024F00", NULL), 0x6982);
            kf_buffer_clear(&answer);
        }
        test_card_clear(&test);
    }
}

/* E.1.2: the counter rises with every session that begins, and only then. */
static void the_sequence_counter_counts_sessions(void **state)
{
    (void)state;
    test_card test;
    scp02_host host = {.parameter = 0x55};
    make_card(&test, "02", "55");
    test_exchange(&test, "80CA00C100", "C10200009000");
    assert_int_equal(test_send_hex(&test, "8050000008000102030405060700"), 0x9000);
    assert_int_equal(test_send_hex(&test, "8050000008000102030405060700"), 0x9000);
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(host.sequence_counter, 0);
    test_exchange(&test, "00A4040C08" ISSUER_AID, "9000");
    test_card_revive(&test);
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(host.sequence_counter, 1);
    test_card_clear(&test);
}

/* scp02.json, scll-jcop-p71-hardware: the challenge of a real card with i=55 comes out of its MAC key,
 * counter 001C and the AID A000000151000000. */
static void the_known_challenge_is_that_of_a_real_card(void **state)
{
    (void)state;
    static const char real[] = "473F36161A7F7F60CC3A766EA4BE5247";
    test_card test;
    scp02_host host = {.parameter = 0x55};
    softcard_blueprint *blueprint = test_blueprint();
    blueprint->issuer->published_test_keys = false;
    assert_int_equal(softcard_blueprint_set(&blueprint->protocol, "02"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->issuer->keys, real), KF_OK);
    test_card_make(&test, blueprint);
    for (int session = 0; session <= 0x1C; session++)
        assert_int_equal(scp02_open(&test, &host, 0, real, 0x00), 0x9000);
    assert_int_equal(host.sequence_counter, 0x1C);
    assert_memory_equal(host.card_challenge, "\x3A\x58\xBF\x12\x53\xD5", 6);
    test_card_clear(&test);
}

static void a_wrong_mac_ends_the_session(void **state)
{
    (void)state;
    test_card test;
    scp02_host host = {.parameter = 0x15};
    make_card(&test, "02", "15");
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x03), 0x9000);
    kf_buffer wrapped = KF_BUFFER_INIT;
    scp02_wrap(&host, "80F28002024F00", &wrapped);
    wrapped.data[6] ^= 1;
    assert_int_equal(test_send(&test, kf_buffer_view(&wrapped), NULL), 0x6982);
    assert_int_equal(scp02_send(&test, &host, "80F28002024F00", NULL), 0x6982);
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(test_send_hex(&test, "80F28002024F00"), 0x6982);
    assert_int_equal(scp02_send(&test, &host, "80F28002024F00", NULL), 0x6982);
    kf_buffer_clear(&wrapped);
    test_card_clear(&test);
}

static void wrong_keys_are_counted_and_block_the_set(void **state)
{
    (void)state;
    test_card test;
    softcard_blueprint *blueprint = test_blueprint();
    blueprint->failure_limit = 3;
    assert_int_equal(softcard_blueprint_set(&blueprint->protocol, "02"), KF_OK);
    test_card_make(&test, blueprint);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(test_send_hex(&test, "8050000008000102030405060700"), 0x9000);
        assert_int_equal(test_send_hex(&test, "848201001000112233445566770011223344556677"), 0x6982);
    }
    assert_int_equal(test_send_hex(&test, "8050000008000102030405060700"), 0x6983);
    assert_int_equal(test_send_hex(&test, "8482010010"
                                          "00112233445566770011223344556677"),
                     0x6985);
    assert_int_equal(test_send_hex(&test, "8050550008000102030405060700"), 0x6A88);
    test_card_clear(&test);
}

static void append_key(const char *type, const char *cryptogram, const char *check_value, bool with_length,
                       kf_buffer *text)
{
    size_t size = strlen(cryptogram) / 2;
    if (with_length)
        kf_buffer_format(text, "%s%02zX%02zX%s%s", type, size + 1, size, cryptogram, check_value);
    else
        kf_buffer_format(text, "%s%02zX%s%s", type, size, cryptogram, check_value);
}

static void key_data(const scp02_host *host, const char *version_and_type, const char *key,
                     const char *check_value, kf_buffer *text)
{
    kf_buffer cryptogram = KF_BUFFER_INIT;
    scp02_encrypt_key(host, key, &cryptogram);
    const char version[] = {version_and_type[0], version_and_type[1], '\0'};
    bool with_length = version_and_type[2] == '8' && version_and_type[3] == '8';
    kf_buffer_append_text(text, version);
    for (int i = 0; i < 3; i++)
        append_key(version_and_type + 2, kf_buffer_text(&cryptogram), check_value, with_length, text);
    kf_buffer_clear(&cryptogram);
}

static uint16_t put(test_card *test, scp02_host *host, const char *header, kf_buffer *data, kf_buffer *answer)
{
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer_format(&command, "%s%02zX%s", header, data->size / 2, kf_buffer_text(data));
    uint16_t status = scp02_send(test, host, kf_buffer_text(&command), answer);
    kf_buffer_clear(&command);
    kf_buffer_clear(data);
    return status;
}

static void keys_of_both_kinds_are_put_over_scp02(void **state)
{
    (void)state;
    test_card test;
    test_host aes_host = {0};
    scp02_host host = {.parameter = 0x55};
    kf_buffer data = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    make_card(&test, "02+03", "55");
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x03), 0x9000);
    key_data(&host, "2080", DES_KEY, "03D2B91C", &data);
    assert_int_equal(put(&test, &host, "80D80081", &data, &answer), 0x9000);
    assert_int_equal(answer.size, 10);
    assert_memory_equal(answer.data, "\x20\xD2\xB9\x1C\xD2\xB9\x1C", 7);
    key_data(&host, "2180", DES_KEY, "03D2B91D", &data);
    assert_int_equal(put(&test, &host, "80D80081", &data, NULL), 0x9485);
    key_data(&host, "2281", DES_KEY, "00", &data);
    assert_int_equal(put(&test, &host, "80D80081", &data, NULL), 0x9000);
    key_data(&host, "3088", AES_192, "00", &data);
    assert_int_equal(put(&test, &host, "80D80081", &data, NULL), 0x9000);
    /* Another kind in place of a key is refused, another version is not. */
    key_data(&host, "2088", DES_KEY, "00", &data);
    assert_int_equal(put(&test, &host, "80D82081", &data, NULL), 0x6A80);
    kf_buffer_truncate(&answer, 0);
    assert_int_equal(scp02_send(&test, &host, "80CA00E000", &answer), 0x9000);
    assert_int_equal(answer.size, 2 + 4 * 3 * 6);
    assert_memory_equal(answer.data, "\xE0\x48\xC0\x04\x01\x01\x80\x10", 8);
    assert_memory_equal(answer.data + 2 + 3 * 3 * 6, "\xC0\x04\x01\x30\x88\x18", 6);
    test_exchange(&test, "00A4040C08" ISSUER_AID, "9000");
    assert_int_equal(scp02_open(&test, &host, 0x20, DES_KEY, 0x01), 0x9000);
    assert_int_equal(scp02_open(&test, &host, 0x22, DES_KEY, 0x01), 0x9000);
    assert_int_equal(test_host_open(&test, &aes_host, 0x30, AES_192, 0x33), 0x9000);
    test_host_clear(&aes_host);
    kf_buffer_clear(&answer);
    test_card_clear(&test);
}

/* BEGIN R-MAC SESSION has no response MAC itself; the chain starts with its C-MAC. */
static void response_macs_begin_and_end_inside_a_session(void **state)
{
    (void)state;
    test_card test;
    scp02_host host = {.parameter = 0x75};
    make_card(&test, "02", "75");
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(scp02_send(&test, &host, "8078000300", NULL), 0x6985);
    assert_int_equal(scp02_send(&test, &host, "807A100100", NULL), 0x9000);
    memcpy(host.response_chaining, host.chaining, 8);
    host.level |= 0x10;
    for (int round = 0; round < 3; round++)
        assert_int_equal(scp02_send(&test, &host, "80F28002024F00", NULL), 0x9000);
    assert_int_equal(scp02_send(&test, &host, "807A100100", NULL), 0x6985);
    assert_int_equal(scp02_send(&test, &host, "8078000300", NULL), 0x9000);
    host.level &= 0x0F;
    assert_int_equal(scp02_send(&test, &host, "80F28002024F00", NULL), 0x9000);
    assert_int_equal(scp02_send(&test, &host, "807A100103020102", NULL), 0x9000);
    test_card_clear(&test);
}

/* With P1 = 00 answers are counted and only END is answered with a MAC. */
static void one_response_mac_covers_a_whole_session(void **state)
{
    (void)state;
    test_card test;
    scp02_host host = {.parameter = 0x75};
    kf_buffer answer = KF_BUFFER_INIT;
    make_card(&test, "02", "75");
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x03), 0x9000);
    assert_int_equal(scp02_send(&test, &host, "807A000100", NULL), 0x9000);
    memcpy(host.response_chaining, host.chaining, 8);
    for (int round = 0; round < 3; round++) {
        static const char command[] = "80F28002024F00";
        kf_buffer_truncate(&answer, 0);
        assert_int_equal(scp02_send(&test, &host, command, &answer), 0x9000);
        scp02_response_mac(&host, command, kf_buffer_view(&answer), 0x9000);
    }
    for (int round = 0; round < 2; round++) {
        const char *end = round == 0 ? "8078000100" : "8078000300";
        kf_buffer_truncate(&answer, 0);
        assert_int_equal(scp02_send(&test, &host, end, &answer), 0x9000);
        scp02_response_mac(&host, end, kf_view_of(NULL, 0), 0x9000);
        assert_int_equal(answer.size, 8);
        assert_memory_equal(answer.data, host.response_chaining, 8);
    }
    assert_int_equal(scp02_send(&test, &host, "8078000300", NULL), 0x6985);
    kf_buffer_clear(&answer);
    test_card_clear(&test);
}

static void response_macs_need_the_option_and_its_parameters(void **state)
{
    (void)state;
    test_card test;
    scp02_host host = {.parameter = 0x55};
    make_card(&test, "02", "55");
    test_exchange(&test, "807A100100", "6985");
    assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x01), 0x9000);
    assert_int_equal(scp02_send(&test, &host, "807A100100", NULL), 0x6985);
    assert_int_equal(scp02_send(&test, &host, "807A300100", NULL), 0x6A86);
    assert_int_equal(scp02_send(&test, &host, "807A100200", NULL), 0x6A86);
    assert_int_equal(scp02_send(&test, &host, "8078010300", NULL), 0x6A86);
    assert_int_equal(scp02_send(&test, &host, "8078000301AA", NULL), 0x6700);
    assert_int_equal(scp02_send(&test, &host, "807A10010205AA", NULL), 0x6A80);
    test_card_clear(&test);
}

/* Every bit of a protected command turned, and every truncation: refused, and nothing written but what counts
 * sessions. */
static void damaged_commands_are_refused(void **state)
{
    (void)state;
    test_card test;
    scp02_host host = {.parameter = 0x15};
    make_card(&test, "02", "15");
    for (size_t position = 0; position < 2000; position++) {
        kf_buffer wrapped = KF_BUFFER_INIT;
        assert_int_equal(scp02_open(&test, &host, 0, TEST_KEY, 0x03), 0x9000);
        scp02_wrap(&host, "80E40000094F07F0000000010203", &wrapped);
        size_t bits = 8 * (wrapped.size - 1);
        bool turned = position < bits;
        size_t size = turned ? wrapped.size : position - bits;
        if (size > wrapped.size - 2 && !turned) {
            kf_buffer_clear(&wrapped);
            break;
        }
        if (turned) wrapped.data[position / 8] ^= (uint8_t)(0x80U >> position % 8);
        unsigned saves = test.saves;
        uint16_t status = test_send(&test, kf_view_of(wrapped.data, size), NULL);
        assert_true(status != 0x9000 && status != 0x6A88);
        assert_int_equal(test.saves, saves);
        kf_buffer_clear(&wrapped);
    }
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_opens_every_level_that_it_has),
        cmocka_unit_test(the_sequence_counter_counts_sessions),
        cmocka_unit_test(the_known_challenge_is_that_of_a_real_card),
        cmocka_unit_test(a_wrong_mac_ends_the_session),
        cmocka_unit_test(wrong_keys_are_counted_and_block_the_set),
        cmocka_unit_test(keys_of_both_kinds_are_put_over_scp02),
        cmocka_unit_test(response_macs_begin_and_end_inside_a_session),
        cmocka_unit_test(one_response_mac_covers_a_whole_session),
        cmocka_unit_test(response_macs_need_the_option_and_its_parameters),
        cmocka_unit_test(damaged_commands_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
