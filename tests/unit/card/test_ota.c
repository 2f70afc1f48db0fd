#include "hex_bytes.h"

#include <keyfill/mac.h>
#include <keyfill/ota.h>

#include "card/ota_crc.h"

#define KIC "200102030405060708090A0B0C0D0E0F"
#define KID "201102030405060708090A0B0C0D0E0F"
#define SELECT_MF "00A40004023F00"

static kf_ota_header header_of(const char *spi, uint8_t key_byte)
{
    BYTES(bytes, spi);
    kf_ota_header header = {.kic = key_byte, .kid = key_byte, .tar = {0xB0, 0x00, 0x11}};
    assert_int_equal(kf_ota_security_decode(bytes.data, &header.security), KF_OK);
    return header;
}

/* osmocom/pysim, tests/unittests/test_ota.py, AES128-SJA5-CIPHERED-CC. */
static void aes_packets_are_those_of_another_implementation(void **state)
{
    (void)state;
    SECRET(kic, KIC);
    SECRET(kid, KID);
    BYTES(apdu, SELECT_MF);
    const kf_ota_keys keys = {kic, kid, KF_OTA_IMPLICIT, 0};
    const kf_ota_command command = {header_of("1619", 0x22), {NULL, 0}, kf_buffer_view(&apdu)};
    const kf_ota_command published = {header_of("0619", 0x22), {NULL, 0}, kf_buffer_view(&apdu)};
    EMPTY(packet);
    EMPTY(other);
    assert_int_equal(kf_ota_command_encode(&published, &keys, &packet), KF_OK);
    assert_bytes(kf_buffer_view(&packet),
                 "00281506192222B00011E87CCEEBB2D93083011CE294F93FC4D8DE80DA1ABAE8C37CA3E72EC4432E5058");
    assert_int_equal(kf_ota_command_encode(&command, &keys, &other), KF_OK);
    assert_false(kf_view_equal(kf_buffer_view(&packet), kf_buffer_view(&other)));
    BYTES(answer, "027100002412B00011EBC6B497E2CAD7AEDF36ACE0E3A29B38853F0FE9CCDE81913BE5702B73ABCE1F");
    EMPTY(data);
    kf_ota_response response;
    assert_int_equal(
        kf_ota_response_decode(kf_buffer_view(&answer), &published.header, &keys, &response, &data), KF_OK);
    assert_true(response.authenticated);
    assert_int_equal(response.status, KF_OTA_DONE);
    assert_bytes(kf_buffer_view(&data), "016132");
}

static void every_protection_goes_both_ways_and_every_flip_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *kic;
        const char *kid;
        uint8_t key_byte;
        size_t check_size;
        const char *spi;
    } cases[] = {
        {KIC, KID, 0x35, 0, "1600"},
        {KIC "0001020304050607", KID "0001020304050607", 0x19, 0, "1600"},
        {KIC, KID, 0x12, 0, "1600"},
        {KIC, KID, 0x12, 4, "0600"},
        {KIC KIC, KID KID, 0x12, 8, "0E00"},
        {KIC "0001020304050607", KID "0001020304050607", 0x12, 8, "0200"},
        {"0102030405060708", "1102030405060708", 0x11, 0, "0600"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t size = 0; size < 20; size++) {
            SECRET(kic, cases[i].kic);
            SECRET(kid, cases[i].kid);
            static const uint8_t data[20] = {0xA0, 0xA4};
            const kf_ota_keys keys = {kic, kid, KF_OTA_IMPLICIT, cases[i].check_size};
            kf_ota_command command = {header_of(cases[i].spi, cases[i].key_byte), {NULL, 0}, {data, size}};
            command.header.counter = 0x0102030405;
            EMPTY(packet);
            EMPTY(back);
            kf_ota_header header;
            assert_int_equal(kf_ota_command_encode(&command, &keys, &packet), KF_OK);
            assert_int_equal(kf_ota_command_decode(kf_buffer_view(&packet), &keys, &header, &back), KF_OK);
            assert_true(kf_view_equal(kf_buffer_view(&back), command.data));
            assert_true(header.counter == 0x0102030405);
            assert_memory_equal(header.tar, command.header.tar, 3);
            for (size_t bit = 0; bit < 8 * packet.size; bit++) {
                EMPTY(out);
                packet.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
                kf_code code = kf_ota_command_decode(kf_buffer_view(&packet), &keys, &header, &out);
                packet.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
                /* SPI and the key bytes may name another protection: the packet is unchecked then, or another
                 * algorithm's. */
                if (bit / 8 >= 3 && bit / 8 < 7) continue;
                assert_true(code == KF_ERR_AUTHENTICATION || code == KF_ERR_CARD_DATA);
                assert_int_equal(out.size, 0);
            }
            for (size_t cut = 0; cut < packet.size; cut++) {
                EMPTY(out);
                assert_int_equal(kf_ota_command_decode(kf_view_of(packet.data, cut), &keys, &header, &out),
                                 KF_ERR_CARD_DATA);
            }
        }
}

static void redundancy_checks_are_those_of_the_standard(void **state)
{
    (void)state;
    /* TS 102 225 annex B. */
    BYTES(bytes, "0102030405");
    assert_int_equal(kf_crc16(kf_buffer_view(&bytes)), 0x22EC);
    assert_true(kf_crc32(kf_buffer_view(&bytes)) == 0x470B99F4);
    BYTES(apdu, SELECT_MF);
    const kf_ota_keys keys = {NULL, NULL, KF_OTA_IMPLICIT, 0};
    static const uint8_t key_bytes[] = {KF_OTA_CRC16, KF_OTA_CRC32};
    static const size_t sizes[] = {2, 4};
    for (size_t i = 0; i < 2; i++) {
        const kf_ota_command command = {header_of("0100", key_bytes[i]), {NULL, 0}, kf_buffer_view(&apdu)};
        EMPTY(packet);
        EMPTY(back);
        kf_ota_header header;
        assert_int_equal(kf_ota_command_encode(&command, &keys, &packet), KF_OK);
        assert_int_equal(packet.size, 2 + 1 + 13 + sizes[i] + 7);
        assert_int_equal(kf_ota_command_decode(kf_buffer_view(&packet), &keys, &header, &back), KF_OK);
        packet.data[packet.size - 1] ^= 1;
        assert_int_equal(kf_ota_command_decode(kf_buffer_view(&packet), &keys, &header, &back),
                         KF_ERR_AUTHENTICATION);
    }
}

static void what_cannot_be_protected_is_refused(void **state)
{
    (void)state;
    SECRET(key, KIC);
    BYTES(apdu, SELECT_MF);
    EMPTY(packet);
    kf_ota_keys keys = {key, key, KF_OTA_IMPLICIT, 0};
    static const struct {
        const char *spi;
        uint8_t key_byte;
        kf_code code;
    } cases[] = {{"0300", 0x25, KF_ERR_UNSUPPORTED}, {"0600", 0x20, KF_ERR_UNSUPPORTED},
                 {"0600", 0x23, KF_ERR_UNSUPPORTED}, {"0600", 0x29, KF_ERR_KEY_SIZE},
                 {"0600", 0x21, KF_ERR_KEY_SIZE},    {"0100", 0x22, KF_ERR_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const kf_ota_command command = {
            header_of(cases[i].spi, cases[i].key_byte), {NULL, 0}, kf_buffer_view(&apdu)};
        assert_int_equal(kf_ota_command_encode(&command, &keys, &packet), cases[i].code);
    }
    kf_ota_command command = {header_of("0600", 0x22), {NULL, 0}, kf_buffer_view(&apdu)};
    keys.check_size = 5;
    assert_int_equal(kf_ota_command_encode(&command, &keys, &packet), KF_ERR_ARGUMENT);
    keys = (kf_ota_keys){NULL, key, KF_OTA_IMPLICIT, 0};
    assert_int_equal(kf_ota_command_encode(&command, &keys, &packet), KF_ERR_ARGUMENT);
    keys = (kf_ota_keys){key, key, KF_OTA_IMPLICIT, 0};
    command.header.counter = KF_OTA_COUNTER_MAX + 1;
    assert_int_equal(kf_ota_command_encode(&command, &keys, &packet), KF_ERR_ARGUMENT);
    assert_int_equal(packet.size, 0);
}

static void security_bytes_go_both_ways(void **state)
{
    (void)state;
    for (unsigned value = 0; value <= 0xFFFF; value++) {
        const uint8_t spi[2] = {(uint8_t)(value >> 8), (uint8_t)value};
        uint8_t back[2];
        kf_ota_security security;
        bool reserved = (spi[0] & 0xE0) != 0 || (spi[1] & 0xC0) != 0 || (spi[1] & 3) == 3;
        assert_int_equal(kf_ota_security_decode(spi, &security), reserved ? KF_ERR_CARD_DATA : KF_OK);
        if (reserved) continue;
        kf_ota_security_encode(&security, back);
        assert_memory_equal(spi, back, 2);
    }
}

static void counters_follow_their_mode(void **state)
{
    (void)state;
    assert_true(kf_ota_counter_accepts(KF_OTA_NO_COUNTER, 9, 0));
    assert_true(kf_ota_counter_accepts(KF_OTA_COUNTER_UNCHECKED, 9, 3));
    assert_true(kf_ota_counter_accepts(KF_OTA_COUNTER_HIGHER, 9, 11));
    assert_false(kf_ota_counter_accepts(KF_OTA_COUNTER_HIGHER, 9, 9));
    assert_true(kf_ota_counter_accepts(KF_OTA_COUNTER_NEXT, 9, 10));
    assert_false(kf_ota_counter_accepts(KF_OTA_COUNTER_NEXT, 9, 11));
    assert_false(kf_ota_counter_accepts(KF_OTA_COUNTER_NEXT, KF_OTA_COUNTER_MAX, KF_OTA_COUNTER_MAX + 1));
    assert_false(kf_ota_counter_accepts(KF_OTA_COUNTER_HIGHER, KF_OTA_COUNTER_MAX, KF_OTA_COUNTER_MAX));
}

/* RPL, RHL, TAR, CNTR, PCNTR, status, CC, data; AES, not ciphered; behind 02 71 00. */
static void make_response(const kf_secret *kid, uint8_t status, bool checked, kf_buffer *packet)
{
    static const uint8_t user_data_header[] = {0x02, 0x71, 0x00};
    BYTES(data, "026A82CAFE");
    kf_buffer_append(packet, KF_VIEW(user_data_header));
    size_t header_size = checked ? 18 : 10;
    kf_buffer_append_u16(packet, (uint16_t)(1 + header_size + data.size));
    kf_buffer_append_u8(packet, (uint8_t)header_size);
    kf_buffer_append_bytes(packet, "\xB0\x00\x11\x00\x00\x00\x00\x07\x00", 9);
    kf_buffer_append_u8(packet, status);
    if (checked) {
        EMPTY(input);
        kf_buffer_append(&input, kf_buffer_view(packet));
        kf_buffer_append(&input, kf_buffer_view(&data));
        KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
        uint8_t mac[16];
        assert_int_equal(kf_cipher_new_secret(KF_AES, kid, &cipher), KF_OK);
        assert_int_equal(kf_cmac(cipher, kf_buffer_view(&input), mac), KF_OK);
        kf_buffer_append_bytes(packet, mac, 8);
    }
    kf_buffer_append(packet, kf_buffer_view(&data));
}

static void receipts_are_checked_and_only_security_errors_may_come_without(void **state)
{
    (void)state;
    SECRET(kid, KID);
    const kf_ota_keys keys = {NULL, kid, KF_OTA_IMPLICIT, 0};
    const kf_ota_header header = header_of("0609", 0x22);
    EMPTY(good);
    make_response(kid, KF_OTA_DONE, true, &good);
    kf_ota_response response;
    EMPTY(data);
    assert_int_equal(kf_ota_response_decode(kf_buffer_view(&good), &header, &keys, &response, &data), KF_OK);
    assert_true(response.authenticated);
    assert_true(response.counter == 7);
    kf_ota_compact_response compact;
    assert_int_equal(kf_ota_compact_response_parse(kf_buffer_view(&data), &compact), KF_OK);
    assert_int_equal(compact.command_count, 2);
    assert_int_equal(compact.status_word, 0x6A82);
    assert_bytes(compact.data, "CAFE");
    for (size_t bit = 0; bit < 8 * good.size; bit++) {
        EMPTY(out);
        good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        kf_code code = kf_ota_response_decode(kf_buffer_view(&good), &header, &keys, &response, &out);
        good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(code == KF_ERR_AUTHENTICATION || code == KF_ERR_CARD_DATA);
        assert_int_equal(out.size, 0);
    }
    for (size_t cut = 0; cut < good.size; cut++) {
        EMPTY(out);
        assert_int_equal(kf_ota_response_decode(kf_view_of(good.data, cut), &header, &keys, &response, &out),
                         KF_ERR_CARD_DATA);
    }
    for (unsigned status = 0; status <= 0x0D; status++) {
        EMPTY(bare);
        EMPTY(out);
        make_response(kid, (uint8_t)status, false, &bare);
        kf_code code = kf_ota_response_decode(kf_buffer_view(&bare), &header, &keys, &response, &out);
        bool security = status >= KF_OTA_CHECK_FAILED && status <= KF_OTA_SECURITY_ERROR;
        assert_int_equal(code, security ? KF_OK : KF_ERR_AUTHENTICATION);
        if (security) assert_false(response.authenticated);
        assert_non_null(kf_ota_status_text(status));
    }
}

/* Published values: osmocom/pysim, tests/unittests/test_ota.py. */
static void expanded_scripts_are_those_of_another_implementation(void **state)
{
    (void)state;
    BYTES(get_status, "80F24002024F0000");
    BYTES(select, "00A40004023F0000");
    EMPTY(script);
    size_t mark = kf_ota_expanded_begin(&script);
    assert_int_equal(kf_ota_expanded_append(kf_buffer_view(&get_status), &script), KF_OK);
    assert_int_equal(kf_ota_expanded_append(kf_buffer_view(&select), &script), KF_OK);
    kf_ota_expanded_end(&script, mark);
    assert_bytes(kf_buffer_view(&script), "AA14220880F24002024F0000220800A40004023F0000");
    BYTES(get_data, "80CA00E000");
    EMPTY(indefinite);
    kf_ota_expanded_begin_indefinite(&indefinite);
    assert_int_equal(kf_ota_expanded_append(kf_buffer_view(&get_data), &indefinite), KF_OK);
    kf_ota_expanded_end_indefinite(&indefinite);
    assert_bytes(kf_buffer_view(&indefinite), "AE80220580CA00E0000000");
    EMPTY(compact);
    BYTES(bare, "80F20000");
    assert_int_equal(kf_ota_compact_append(kf_buffer_view(&bare), &compact), KF_OK);
    assert_int_equal(kf_ota_compact_append(kf_buffer_view(&select), &compact), KF_OK);
    assert_bytes(kf_buffer_view(&compact), "80F200000000A40004023F0000");
    assert_int_equal(kf_ota_compact_append(kf_view_of(bare.data, 3), &compact), KF_ERR_APDU);
}

static void expanded_responses_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        unsigned commands;
        size_t responses;
        bool truncated;
        bool bad_format;
    } cases[] = {{"AB0780010123026132", 1, 1, false, false},
                 {"AB0D80010223046F21900023026A82", 2, 2, false, false},
                 {"AB06800101900101", 1, 0, false, true},
                 {"AB06800101810101", 1, 0, false, false},
                 {"AB06800101830102", 1, 0, false, false},
                 {"AB098001012304AABB62F1", 1, 1, true, false},
                 {"AF802302900023029000230C9888120100004086081490000000", 3, 3, false, false},
                 {"AF809001010000", 0, 0, false, true}};
    kf_ota_expanded_response response;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        BYTES(data, cases[i].data);
        assert_int_equal(kf_ota_expanded_response_parse(kf_buffer_view(&data), &response), KF_OK);
        assert_int_equal(response.command_count, cases[i].commands);
        assert_int_equal(response.response_count, cases[i].responses);
        assert_int_equal(response.truncated, cases[i].truncated);
        assert_int_equal(response.bad_format, cases[i].bad_format);
        for (size_t cut = 0; cut < data.size; cut++)
            assert_int_equal(kf_ota_expanded_response_parse(kf_view_of(data.data, cut), &response),
                             KF_ERR_CARD_DATA);
    }
    EMPTY(many);
    kf_buffer_append_u8(&many, 0xAF);
    kf_buffer_append_u8(&many, 0x80);
    for (size_t i = 0; i <= KF_OTA_RESPONSES_MAX; i++)
        kf_buffer_append_u32(&many, 0x23029000);
    kf_buffer_append_u16(&many, 0);
    assert_int_equal(kf_ota_expanded_response_parse(kf_buffer_view(&many), &response), KF_ERR_CARD_DATA);
}

static void a_long_packet_goes_in_several_messages(void **state)
{
    (void)state;
    static const uint8_t packet[300] = {0x01, 0x2A};
    const kf_ota_message message = {"1234567", {0x22}, 0x99};
    KF_CLEANUP(kf_command_list_clear) kf_command_list tpdus = {0};
    assert_int_equal(kf_ota_messages(&message, KF_VIEW(packet), &tpdus), KF_OK);
    assert_int_equal(tpdus.count, 3);
    assert_bytes(kf_view_of(tpdus.items[0].data, 7), "400781214365F7");
    assert_bytes(kf_view_of(tpdus.items[0].data + 16, 11), "8C070003990301"
                                                           "7000012A");
    assert_bytes(kf_view_of(tpdus.items[1].data + 16, 7), "8C050003990302");
    assert_bytes(kf_view_of(tpdus.items[2].data + 16, 7), "28050003990303");
    assert_int_equal(tpdus.items[2].size, 17 + 6 + 300 - 132 - 134);
    KF_CLEANUP(kf_command_list_clear) kf_command_list one = {0};
    assert_int_equal(kf_ota_messages(&message, kf_view_of(packet, 137), &one), KF_OK);
    assert_int_equal(one.count, 1);
    assert_bytes(kf_view_of(one.items[0].data + 16, 4), "8C027000");
    EMPTY(apdu);
    assert_int_equal(kf_ota_envelope("0012", kf_buffer_view(&one.items[0]), &apdu), KF_OK);
    assert_bytes(kf_view_of(apdu.data, 20), "80C20000ACD181A9820283818603810021"
                                            "8B819D");
    const kf_ota_message wrong = {"12A", {0}, 0};
    KF_CLEANUP(kf_command_list_clear) kf_command_list none = {0};
    assert_int_equal(kf_ota_messages(&wrong, KF_VIEW(packet), &none), KF_ERR_ARGUMENT);
    assert_int_equal(kf_ota_messages(&message, kf_view_of(NULL, 0), &none), KF_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes_packets_are_those_of_another_implementation),
        cmocka_unit_test(every_protection_goes_both_ways_and_every_flip_is_refused),
        cmocka_unit_test(redundancy_checks_are_those_of_the_standard),
        cmocka_unit_test(what_cannot_be_protected_is_refused),
        cmocka_unit_test(security_bytes_go_both_ways),
        cmocka_unit_test(counters_follow_their_mode),
        cmocka_unit_test(receipts_are_checked_and_only_security_errors_may_come_without),
        cmocka_unit_test(expanded_scripts_are_those_of_another_implementation),
        cmocka_unit_test(expanded_responses_are_read),
        cmocka_unit_test(a_long_packet_goes_in_several_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
