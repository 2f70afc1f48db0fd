/* Remote management over the air: published packets are taken, and what this test builds from TS 102 225. */
#include "fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/mac.h>

#define KIC "300102030405060708090A0B0C0D0E0F"
#define KID "301102030405060708090A0B0C0D0E0F"
#define KIK "302102030405060708090A0B0C0D0E0F"
#define RAM "000000"
#define RFM "B00011"

typedef struct ota_host {
    bool aes;
    const char *security; /* SPI */
    const char *target;
    uint64_t counter;
    bool spoil; /* one bit of the packet */
    bool no_length;
    size_t redundancy; /* bytes of a CRC in place of a MAC; 0: none */
} ota_host;

static void add_key(softcard_key_blueprint *key, const char *identifier, const char *type, const char *value)
{
    assert_int_equal(softcard_blueprint_set(&key->version, "03"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->identifier, identifier), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->type, type), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->key, value), KF_OK);
}

static void make_card(test_card *test, const char *type, const char *minimum)
{
    softcard_blueprint *blueprint = test_blueprint();
    softcard_domain_blueprint *issuer = blueprint->issuer;
    issuer->more_keys = calloc(3, sizeof *issuer->more_keys);
    assert_non_null(issuer->more_keys);
    issuer->more_keys_count = 3;
    add_key(&issuer->more_keys[0], "01", type, KIC);
    add_key(&issuer->more_keys[1], "02", type, KID);
    add_key(&issuer->more_keys[2], "03", type, KIK);
    assert_int_equal(softcard_blueprint_set(&blueprint->remote_minimum_security, minimum), KF_OK);
    test_card_make(test, blueprint);
}

static kf_cipher *cipher_of(const ota_host *host, const char *key)
{
    uint8_t bytes[16];
    kf_cipher *cipher = NULL;
    assert_int_equal(kf_hex_decode(key, bytes, 16), KF_OK);
    assert_int_equal(kf_cipher_new(host->aes ? KF_AES : KF_TDES, KF_VIEW(bytes), &cipher), KF_OK);
    return cipher;
}

static void mac_of(const ota_host *host, kf_view message, uint8_t ret_mac[16])
{
    kf_cipher *cipher = cipher_of(host, KID);
    if (host->aes)
        assert_int_equal(kf_cmac(cipher, message, ret_mac), KF_OK);
    else
        assert_int_equal(kf_mac_cbc(cipher, KF_PADDING_1, NULL, message, ret_mac), KF_OK);
    kf_cipher_free(&cipher);
}

/* CPL CHL SPI KIc KID TAR | CNTR PCNTR CC data. */
/* ISO/IEC 13239: least significant bit first, ones before, inverted behind; a table of sixteen. */
static void redundancy_of(const ota_host *host, kf_view message, uint8_t *ret_check)
{
    bool is_long = host->redundancy == 4;
    uint32_t table[16];
    uint32_t value = is_long ? 0xFFFFFFFFU : 0xFFFFU;
    for (uint32_t i = 0; i < 16; i++) {
        table[i] = i;
        for (int bit = 0; bit < 4; bit++)
            table[i] =
                (table[i] & 1U) != 0 ? table[i] >> 1 ^ (is_long ? 0xEDB88320U : 0x8408U) : table[i] >> 1;
    }
    for (size_t i = 0; i < message.size; i++) {
        value = value >> 4 ^ table[(value ^ message.data[i]) & 0x0FU];
        value = value >> 4 ^ table[(value ^ (uint32_t)message.data[i] >> 4) & 0x0FU];
    }
    value = ~value;
    for (size_t i = 0; i < host->redundancy; i++)
        ret_check[i] = (uint8_t)(value >> 8 * (host->redundancy - 1 - i));
}

static void build_packet(const ota_host *host, const char *commands, kf_buffer *packet)
{
    uint8_t security[2];
    kf_buffer data = KF_BUFFER_INIT;
    kf_buffer message = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode(host->security, security, 2), KF_OK);
    assert_int_equal(kf_hex_decode_append(commands, &data), KF_OK);
    bool macs = (security[0] & 3) == 2;
    bool has_redundancy = (security[0] & 3) == 1;
    bool ciphers = (security[0] & 4) != 0;
    size_t mac_size = macs ? 8 : has_redundancy ? host->redundancy : 0;
    size_t block = host->aes ? 16 : 8;
    size_t padding = ciphers ? (block - (6 + mac_size + data.size) % block) % block : 0;
    kf_buffer_append_fill(&data, 0, padding);
    kf_buffer_append_u16(&message, (uint16_t)(1 + 7 + 6 + mac_size + data.size));
    kf_buffer_append_u8(&message, (uint8_t)(13 + mac_size));
    kf_buffer_append(&message, KF_VIEW(security));
    /* With a redundancy check KID says which. */
    uint8_t key = host->aes ? 0x32 : 0x35;
    kf_buffer_append_u8(&message, key);
    kf_buffer_append_u8(&message, host->redundancy == 0 ? key : host->redundancy == 2 ? 0x31 : 0x35);
    assert_int_equal(kf_hex_decode_append(host->target, &message), KF_OK);
    kf_buffer_append_u8(&message, (uint8_t)(host->counter >> 32));
    kf_buffer_append_u32(&message, (uint32_t)host->counter);
    kf_buffer_append_u8(&message, (uint8_t)padding);
    size_t head = message.size;
    kf_buffer_append(&message, kf_buffer_view(&data));
    uint8_t mac[16];
    if (macs) mac_of(host, kf_buffer_view(&message), mac);
    if (has_redundancy) redundancy_of(host, kf_buffer_view(&message), mac);
    size_t start = packet->size;
    kf_buffer_append_bytes(packet, message.data, head);
    kf_buffer_append_bytes(packet, mac, mac_size);
    kf_buffer_append(packet, kf_buffer_view(&data));
    if (ciphers) {
        kf_cipher *cipher = cipher_of(host, KIC);
        uint8_t *place = packet->data + start + 10;
        assert_int_equal(
            kf_cipher_cbc_encrypt(cipher, NULL, kf_view_of(place, packet->size - start - 10), place), KF_OK);
        kf_cipher_free(&cipher);
    }
    if (host->spoil) packet->data[packet->size - 1] ^= 1;
    kf_buffer_clear(&data);
    kf_buffer_clear(&message);
}

/* ENVELOPE (SMS-PP DOWNLOAD { device identities, address, SMS-DELIVER }). */
static uint16_t send_message(test_card *test, kf_view header, kf_view packet, kf_buffer *answer)
{
    kf_buffer tpdu = KF_BUFFER_INIT;
    kf_buffer inner = KF_BUFFER_INIT;
    kf_buffer command = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append("400881214365877FF622705200000000", &tpdu), KF_OK);
    kf_buffer_append_u8(&tpdu, (uint8_t)(1 + header.size + packet.size));
    kf_buffer_append_u8(&tpdu, (uint8_t)header.size);
    kf_buffer_append(&tpdu, header);
    kf_buffer_append(&tpdu, packet);
    assert_int_equal(kf_hex_decode_append("820283818606912143658709", &inner), KF_OK);
    kf_buffer_append_u8(&inner, 0x8B);
    if (tpdu.size > 0x7F) kf_buffer_append_u8(&inner, 0x81);
    kf_buffer_append_u8(&inner, (uint8_t)tpdu.size);
    kf_buffer_append(&inner, kf_buffer_view(&tpdu));
    assert_in_range(inner.size, 1, 250);
    assert_int_equal(kf_hex_decode_append("80C20000", &command), KF_OK);
    kf_buffer_append_u8(&command, (uint8_t)(inner.size + (inner.size > 0x7F ? 3 : 2)));
    kf_buffer_append_u8(&command, 0xD1);
    if (inner.size > 0x7F) kf_buffer_append_u8(&command, 0x81);
    kf_buffer_append_u8(&command, (uint8_t)inner.size);
    kf_buffer_append(&command, kf_buffer_view(&inner));
    uint16_t status = test_send(test, kf_buffer_view(&command), answer);
    kf_buffer_clear(&tpdu);
    kf_buffer_clear(&inner);
    kf_buffer_clear(&command);
    return status;
}

/* What a response packet says: its status code; data in `result`. 0xFF: there was none. */
static uint8_t read_response(const ota_host *host, kf_buffer *answer, kf_buffer *result)
{
    uint8_t security[2];
    assert_int_equal(kf_hex_decode(host->security, security, 2), KF_OK);
    if (answer->size == 0) return 0xFF;
    assert_true(answer->size > 9);
    assert_memory_equal(answer->data, "\x02\x71\x00", 3);
    assert_int_equal(answer->data[3] << 8 | answer->data[4], answer->size - 5);
    bool macs = (security[1] & 0x0C) == 8;
    if ((security[1] & 0x10) != 0) {
        kf_cipher *cipher = cipher_of(host, KIC);
        uint8_t *place = answer->data + 9;
        assert_int_equal(kf_cipher_cbc_decrypt(cipher, NULL, kf_view_of(place, answer->size - 9), place),
                         KF_OK);
        kf_cipher_free(&cipher);
    }
    bool has_redundancy = (security[1] & 0x0C) == 4;
    size_t mac_size = macs ? 8 : has_redundancy ? host->redundancy : 0;
    assert_int_equal(answer->data[5], 10 + mac_size);
    if (has_redundancy) {
        uint8_t check[4];
        kf_buffer message = KF_BUFFER_INIT;
        kf_buffer_append_bytes(&message, answer->data, 16);
        kf_buffer_append_bytes(&message, answer->data + 16 + mac_size, answer->size - 16 - mac_size);
        redundancy_of(host, kf_buffer_view(&message), check);
        assert_memory_equal(answer->data + 16, check, mac_size);
        kf_buffer_clear(&message);
    }
    if (macs) {
        uint8_t mac[16];
        kf_buffer message = KF_BUFFER_INIT;
        kf_buffer_append_bytes(&message, answer->data, 16);
        kf_buffer_append_bytes(&message, answer->data + 24, answer->size - 24);
        mac_of(host, kf_buffer_view(&message), mac);
        assert_memory_equal(answer->data + 16, mac, 8);
        kf_buffer_clear(&message);
    }
    size_t start = 16 + mac_size;
    kf_buffer_append_bytes(result, answer->data + start, answer->size - start - answer->data[14]);
    return answer->data[15];
}

/* The response's status code; its data, as hex, must begin with `expected`. */
static uint8_t run(test_card *test, const ota_host *host, const char *commands, const char *expected)
{
    kf_buffer packet = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer result = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    build_packet(host, commands, &packet);
    kf_view bytes = kf_buffer_view(&packet);
    if (host->no_length) bytes = kf_view_part(bytes, 2, bytes.size);
    assert_int_equal(send_message(test, kf_view_of("\x70\x00", 2), bytes, &answer), 0x9000);
    uint8_t status = read_response(host, &answer, &result);
    kf_buffer_append_hex(&text, kf_buffer_view(&result));
    if (expected != NULL && strncmp(kf_buffer_text(&text), expected, strlen(expected)) != 0)
        fail_msg("%s does not begin with %s", kf_buffer_text(&text), expected);
    kf_buffer_clear(&packet);
    kf_buffer_clear(&answer);
    kf_buffer_clear(&result);
    kf_buffer_clear(&text);
    return status;
}

static void files_are_read_and_written_with_either_cipher(void **state)
{
    (void)state;
    static const char *const securities[] = {"0619", "0609", "0601", "0209", "0219"};
    for (int aes = 0; aes < 2; aes++) {
        test_card test;
        make_card(&test, aes ? "88" : "80", "02");
        for (size_t i = 0; i < sizeof securities / sizeof securities[0]; i++) {
            ota_host host = {.aes = aes, .security = securities[i], .target = RFM};
            assert_int_equal(run(&test, &host,
                                 "00A40000023F00"
                                 "00A40000022FE2"
                                 "00B000000A",
                                 "039000988812"),
                             0);
            assert_int_equal(run(&test, &host,
                                 "00A40000027F10"
                                 "00A40000026FE1"
                                 "00D600000401020304",
                                 "039000"),
                             0);
            assert_int_equal(run(&test, &host,
                                 "00A40000027F10"
                                 "00A40000026FE1"
                                 "00B0000004",
                                 "03900001020304"),
                             0);
            /* The first failure ends the script. */
            assert_int_equal(run(&test, &host,
                                 "00A40000021234"
                                 "00A40000022FE2",
                                 "016A82"),
                             0);
            assert_int_equal(run(&test, &host,
                                 "00A40000022FE2"
                                 "00D6000001AA",
                                 "026982"),
                             0);
            assert_int_equal(run(&test, &host,
                                 "00A40000022FE2"
                                 "00A4",
                                 "026700"),
                             0);
        }
        test_card_clear(&test);
    }
}

static void the_security_of_a_packet_is_checked(void **state)
{
    (void)state;
    test_card test;
    make_card(&test, "80", "06");
    static const char read_iccid[] = "00A40000022FE200B000000A";
    assert_int_equal(
        run(&test, &(ota_host){.security = "0619", .target = RFM, .spoil = true}, read_iccid, NULL), 1);
    assert_int_equal(run(&test, &(ota_host){.security = "0219", .target = RFM}, read_iccid, NULL), 0x0A);
    assert_int_equal(run(&test, &(ota_host){.security = "0019", .target = RFM}, read_iccid, NULL), 0x0A);
    assert_int_equal(run(&test, &(ota_host){.security = "0619", .target = "ABCDEF"}, read_iccid, NULL), 0x09);
    assert_int_equal(run(&test, &(ota_host){.security = "0600", .target = RFM}, read_iccid, NULL), 0xFF);
    assert_int_equal(run(&test, &(ota_host){.security = "0602", .target = RFM}, read_iccid, NULL), 0xFF);
    assert_int_equal(
        run(&test, &(ota_host){.security = "061A", .target = RFM, .spoil = true}, read_iccid, NULL), 1);
    test_card_clear(&test);
    make_card(&test, "80", "00");
    assert_int_equal(
        run(&test, &(ota_host){.security = "0001", .target = RFM, .no_length = true}, read_iccid, "029000"),
        0);
    test_card_clear(&test);
    make_card(&test, "80", "FF");
    assert_int_equal(test_send_hex(&test, "80C2000004D1028B0000"), 0x6D00);
    test_card_clear(&test);
}

static void redundancy_checks_of_both_lengths_are_made_and_checked(void **state)
{
    (void)state;
    static const uint8_t digits[] = "123456789";
    uint8_t check[4];
    /* The published check values of both polynomials. */
    redundancy_of(&(ota_host){.redundancy = 2}, kf_view_of(digits, 9), check);
    assert_memory_equal(check, "\x90\x6E", 2);
    redundancy_of(&(ota_host){.redundancy = 4}, kf_view_of(digits, 9), check);
    assert_memory_equal(check, "\xCB\xF4\x39\x26", 4);
    for (size_t size = 2; size <= 4; size += 2) {
        test_card test;
        make_card(&test, "80", "01");
        ota_host host = {.security = "0105", .target = RFM, .counter = 1, .redundancy = size};
        assert_int_equal(run(&test, &host, "00A40000022FE200B000000A", "029000"), 0x00);
        host.security = "0515"; /* ciphered, the answer too */
        assert_int_equal(run(&test, &host, "00A40000022FE200B000000A", "029000"), 0x00);
        host.security = "0105";
        host.spoil = true;
        assert_int_equal(run(&test, &host, "00A40000022FE200B000000A", NULL), 0x01);
        test_card_clear(&test);
        /* A card that wants a MAC does not take it. */
        make_card(&test, "80", "02");
        host.spoil = false;
        assert_int_equal(run(&test, &host, "00A40000022FE200B000000A", NULL), 0x0A);
        test_card_clear(&test);
    }
}

static void scripts_in_expanded_form_answer_command_by_command(void **state)
{
    (void)state;
    static const char commands[] = "220700A40000022FE2"
                                   "220500B0000004"
                                   "220580CA9F7F00";
    test_card test;
    make_card(&test, "88", "02");
    ota_host host = {.aes = true, .security = "1219", .target = "B00120", .counter = 1};
    char script[128];
    snprintf(script, sizeof script, "AA%02zX%s", strlen(commands) / 2, commands);
    /* SELECT without Le, READ BINARY, and a command that no file takes: the script ends there. */
    assert_int_equal(run(&test, &host, script,
                         "AB13"
                         "800103"
                         "23026119"
                         "230698881201"
                         "9000"
                         "23026E00"),
                     0x00);
    host.counter++;
    snprintf(script, sizeof script, "AE80%s0000", commands);
    assert_int_equal(run(&test, &host, script,
                         "AF80"
                         "23026119"
                         "230698881201"
                         "9000"
                         "23026E00"
                         "0000"),
                     0x00);
    /* Data come at once where the command has its Le. */
    host.counter++;
    assert_int_equal(run(&test, &host, "AA0A220800A40004022FE200", "AB20800101231B6217"), 0x00);
    test_card_clear(&test);
}

static void malformed_expanded_scripts_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        const char *answer;
    } rows[] = {
        {"AA", "AB06800100900103"},
        {"AA05220300A400", "AB06800100900102"},
        {"AA03220500", "AB06800100900102"},
        {"AA03810100", "AB06800100900101"},
        {"AE80220700A40000023F00", "AF8090010300"},
        {"AA0C220700A40000022FE2810100", "AB0A80010123026119900101"},
        {"AA00", "AB03800100"},
    };
    test_card test;
    make_card(&test, "88", "02");
    ota_host host = {.aes = true, .security = "1219", .target = RFM, .counter = 0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        host.counter++;
        assert_int_equal(run(&test, &host, rows[i].script, rows[i].answer), 0x00);
    }
    test_card_clear(&test);
}

static void a_long_answer_is_cut_and_ends_the_script(void **state)
{
    (void)state;
    char script[200] = "";
    kf_buffer packet = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer result = KF_BUFFER_INIT;
    test_card test;
    make_card(&test, "88", "02");
    ota_host host = {.aes = true, .security = "1219", .target = RAM, .counter = 1};
    strcat(script, "AA2A");
    for (int i = 0; i < 6; i++)
        strcat(script, "220580CA9F7F00"); /* 45 bytes each */
    build_packet(&host, script, &packet);
    assert_int_equal(send_message(&test, kf_view_of("\x70\x00", 2), kf_buffer_view(&packet), &answer),
                     0x9000);
    assert_int_equal(read_response(&host, &answer, &result), 0x00);
    assert_in_range(result.size, 180, 211);
    assert_int_equal(result.data[result.size - 2], 0x62);
    assert_int_equal(result.data[result.size - 1], 0xF1);
    kf_buffer_clear(&packet);
    kf_buffer_clear(&answer);
    kf_buffer_clear(&result);
    test_card_clear(&test);
}

static void a_counter_is_taken_once(void **state)
{
    (void)state;
    test_card test;
    make_card(&test, "88", "16");
    ota_host host = {.aes = true, .security = "1619", .target = RFM, .counter = 5};
    static const char read_iccid[] = "00A40000022FE200B000000A";
    assert_int_equal(run(&test, &host, read_iccid, "029000"), 0);
    assert_int_equal(run(&test, &host, read_iccid, NULL), 2);
    test_card_revive(&test);
    assert_int_equal(run(&test, &host, read_iccid, NULL), 2);
    host.counter = 9;
    host.spoil = true;
    assert_int_equal(run(&test, &host, read_iccid, NULL), 1);
    host.spoil = false;
    host.security = "1E19";
    assert_int_equal(run(&test, &host, read_iccid, NULL), 3);
    host.counter = 6;
    assert_int_equal(run(&test, &host, "00A40000021234", "016A82"), 0);
    assert_int_equal(run(&test, &host, read_iccid, NULL), 2);
    host.security = "0619";
    assert_int_equal(run(&test, &host, read_iccid, NULL), 0x0A);
    test_card_clear(&test);
}

static void applications_are_managed_over_the_air(void **state)
{
    (void)state;
    test_card test;
    make_card(&test, "80", "06");
    ota_host host = {.security = "0619", .target = RAM};
    kf_buffer put = KF_BUFFER_INIT;
    uint8_t key[16];
    assert_int_equal(kf_hex_decode(KIC, key, 16), KF_OK);
    kf_cipher *kik = cipher_of(&host, KIK);
    assert_int_equal(kf_cipher_encrypt_blocks(kik, KF_VIEW(key), key), KF_OK);
    kf_cipher_free(&kik);
    assert_int_equal(run(&test, &host,
                         "80E60C001D06F04B465041590"
                         "7F04B4650415901"
                         "07F04B4650415955"
                         "0100"
                         "02C900"
                         "00",
                         "016101"),
                     0);
    assert_int_equal(run(&test, &host,
                         "80F24002094F07F04B4650415955"
                         "00C0000000",
                         "029000E3"),
                     0);
    assert_int_equal(run(&test, &host, "80E40000094F07F04B4650415955", "016101"), 0);
    assert_int_equal(run(&test, &host, "80E40000094F07F04B4650415955", "016A88"), 0);
    kf_buffer_append_text(&put, "80D8000114"
                                "05"
                                "8010");
    kf_buffer_append_hex(&put, KF_VIEW(key));
    kf_buffer_append_text(&put, "00"
                                "00C0000000");
    assert_int_equal(run(&test, &host, kf_buffer_text(&put), "02900005"), 0);
    assert_int_equal(run(&test, &host, "00A40000023F00", "016E00"), 0);
    kf_buffer_clear(&put);
    test_card_clear(&test);
}

static void a_long_packet_comes_in_parts(void **state)
{
    (void)state;
    test_card test;
    kf_buffer packet = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer result = KF_BUFFER_INIT;
    make_card(&test, "80", "06");
    ota_host host = {.security = "0619", .target = RFM};
    build_packet(&host, "00A40000023F0000A40000027F1000A40000026FE100D600000401020304", &packet);
    kf_view whole = kf_buffer_view(&packet);
    kf_view first = kf_view_of("\x70\x00\x00\x03\x07\x02\x01", 7);
    kf_view second = kf_view_of("\x00\x03\x07\x02\x02", 5);
    assert_int_equal(send_message(&test, first, kf_view_part(whole, 0, 30), &answer), 0x9000);
    assert_int_equal(answer.size, 0);
    assert_int_equal(send_message(&test, second, kf_view_part(whole, 30, whole.size), &answer), 0x9000);
    assert_int_equal(read_response(&host, &answer, &result), 0);
    assert_int_equal(result.data[0], 4);
    /* Out of order: forgotten. */
    kf_buffer_truncate(&answer, 0);
    assert_int_equal(send_message(&test, second, kf_view_part(whole, 30, whole.size), &answer), 0x9000);
    assert_int_equal(answer.size, 0);
    kf_buffer_clear(&packet);
    kf_buffer_clear(&answer);
    kf_buffer_clear(&result);
    test_card_clear(&test);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

/* The card runs each published command packet that its keys fit, and answers with a packet that verifies. */
static void published_packets_are_taken(void **state)
{
    (void)state;
    const char *folder = getenv("KEYFILL_VECTORS");
    char path[512];
    if (folder == NULL) skip();
    snprintf(path, sizeof path, "%s/scp80.json", folder);
    json_t *entries = json_load_file(path, 0, NULL);
    assert_non_null(entries);
    size_t index;
    json_t *entry;
    unsigned packets = 0;
    json_array_foreach(entries, index, entry)
    {
        const char *published = text_of(json_object_get(entry, "expected"), "command_packet");
        if (published[0] == '\0' || strcmp(text_of(entry, "kic"), KIC) != 0) continue;
        test_card test;
        kf_buffer packet = KF_BUFFER_INIT;
        kf_buffer built = KF_BUFFER_INIT;
        kf_buffer answer = KF_BUFFER_INIT;
        kf_buffer result = KF_BUFFER_INIT;
        ota_host host = {.security = text_of(entry, "spi"), .target = text_of(entry, "tar")};
        make_card(&test, "80", "02");
        assert_int_equal(kf_hex_decode_append(published, &packet), KF_OK);
        build_packet(&host, text_of(entry, "apdu"), &built);
        assert_true(kf_view_equal(kf_buffer_view(&packet), kf_buffer_view(&built)));
        assert_int_equal(send_message(&test, kf_view_of("\x70\x00", 2), kf_buffer_view(&packet), &answer),
                         0x9000);
        assert_int_equal(read_response(&host, &answer, &result), 0);
        assert_int_equal(result.data[0], 1);
        assert_int_equal(result.data[1], 0x61);
        kf_buffer_clear(&packet);
        kf_buffer_clear(&built);
        kf_buffer_clear(&answer);
        kf_buffer_clear(&result);
        test_card_clear(&test);
        packets++;
    }
    json_decref(entries);
    assert_true(packets >= 2);
}

/* Every bit of a message turned, and every truncation: an answer, and nothing written. */
static void damaged_messages_change_nothing(void **state)
{
    (void)state;
    test_card test;
    kf_buffer packet = KF_BUFFER_INIT;
    make_card(&test, "80", "06");
    ota_host host = {.security = "0619", .target = RFM};
    build_packet(&host, "00A40000027F1000A40000026FE100D600000401020304", &packet);
    unsigned saves = test.saves;
    for (size_t bit = 0; bit < 8 * packet.size; bit++) {
        kf_buffer answer = KF_BUFFER_INIT;
        packet.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        (void)send_message(&test, kf_view_of("\x70\x00", 2), kf_buffer_view(&packet), &answer);
        packet.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        kf_buffer_clear(&answer);
    }
    for (size_t size = 0; size < packet.size; size++) {
        kf_buffer answer = KF_BUFFER_INIT;
        (void)send_message(&test, kf_view_of("\x70\x00", 2), kf_view_part(kf_buffer_view(&packet), 0, size),
                           &answer);
        kf_buffer_clear(&answer);
    }
    assert_int_equal(test.saves, saves);
    test_exchange(&test, "80C2000002D100", "6A80");
    test_exchange(&test, "80C2000004D1028B00", "9000");
    test_exchange(&test, "80C2000005D1038B0140", "9000");
    kf_buffer_clear(&packet);
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_and_written_with_either_cipher),
        cmocka_unit_test(the_security_of_a_packet_is_checked),
        cmocka_unit_test(redundancy_checks_of_both_lengths_are_made_and_checked),
        cmocka_unit_test(scripts_in_expanded_form_answer_command_by_command),
        cmocka_unit_test(malformed_expanded_scripts_are_told),
        cmocka_unit_test(a_long_answer_is_cut_and_ends_the_script),
        cmocka_unit_test(a_counter_is_taken_once),
        cmocka_unit_test(applications_are_managed_over_the_air),
        cmocka_unit_test(a_long_packet_comes_in_parts),
        cmocka_unit_test(published_packets_are_taken),
        cmocka_unit_test(damaged_messages_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
