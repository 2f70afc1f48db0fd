/* Tokens and load file signatures under public keys, and how hosts put those keys: each with its own
 * encoding. The private keys were made for these tests. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/signature.h>

#include "softcard/registry.h"
#include "softcard/state.h"

static const char rsa_1024[] =
    "3082025B02010002818100D8E39458560E6DF1147D615111686D26787556D567509D78A7CE682FF559A14041916D440F"
    "FF02B8BDD7698BA34A244D016F04A42335B073F9590EA107151763EFEA472FFF1C1423892A8B14EA8C21DB896329376A"
    "E52720BEFF77A1EB520EA7DE08802D0B43B6B29157946F3419FADA8AA4D0AD6294E8E37F5FBD970DB5BDB70203010001"
    "0281800E780029747439F95F388E096E73DCF4380CFBE1F8A6741ADC76F4945E75C0401D1FAA7E63E2CB37AFD2730411"
    "BC9C7756A525561DD3331649881B65BAA7398C1DB7B487A1DFCCA9BB998997168FAE9952B921D10A4F7052ED4593DA25"
    "661806F19C603E5A6681D02374960AB8B7D5AB09EFC63257C4C1A4B1B7E5864565FA81024100F71A8DBD66FCBBA8C657"
    "A6B9E7FC78DF5C3D78BED75534BA04962F8C25CE1ECA7B1DB69D05A29324155658266A82E36B38D4DB630D7BF4F148FD"
    "00002E87BEE7024100E0B28CC036B89C1428845C010FBFD74D2366893ABC49C2F3664C2C3AB4674766C6BBD5D0FACE18"
    "A0ADD9CC9A5E2B362EEECEC77E72A961F18C1326A04DB740B102407D43F9CCA553C3B2287230B417B576750CA6A0FA65"
    "E0ECECCBFC72B822461E77D8F7D4263FC00DC5820796824B0675515AAB15585E7293566A00CFAA47EC4ACB02407FC3E7"
    "16B0C6DE30F42CF6E7BF9DD4FDCEC0520DACDCC05688778DBABFB3EE3CB98A3AF53E778C3769436BFCE6C8E9615C7705"
    "A697EA4A7FFFA730127CBE53B1024015EC0978680053914E0CC636107F3193F99687C1270DF5FEDE8EAEA1D833984F8F"
    "8DDE75EA6CF464E1348891C3379DFCC0C35BD20B780A2F13ABAF40C8943FEF";
static const char rsa_2048[] =
    "308204A40201000282010100A5B3058764FE261409D24142C5C1899595918A68D77C5B2C856BB61EE8AEB7E2ACBF42E5"
    "589DC59FA0295526FB0BE97CA4F60FCED27938AC83FC90E20902698B7996667FE3E8A25FA98C95CA08F3D9519002A64A"
    "C733A9D083C9293B1559A4B1A0D4201F023EEE99EB71160CCD0C01FFD02AB669A82A6E5D31F65DF50ACC39667A25F803"
    "2321DEDD73B551EC7FBB03CBF3D852D73D39C2BB758E815781F527F602086FC928FCBB6219698176AF3AD88FBE4BC64F"
    "F4181EB11D7030C5382AA71C4CACB66DB5DF8CB4B32C3B95A5D46D99C45296BD94F8516F95A9EFE045E6D02FBA755100"
    "3B96FE47B17BD97DED1C3CA3247322740C8FBA1EE72F76A17CB1C8A302030100010282010019356FB1660D7E588D17F6"
    "42C4D84968BEFD09EC226072748705D88AC24696863F56C7C421A3BB25AA55AF75433B5035DCD8EC95C0129E2B2CD757"
    "69740A70693E41C1ED520C99EB68DD910A502B5D141A0F35226A44F3605C3455F7FDAB0A31D5F07FC487F070176DA8E2"
    "3C67539CD840E0C6A8B363652FFB826A4FF5E9151041C99046B449A4A23C21D2EA0BBE551A842548B88C940861960998"
    "1BF57A0525031E8FF6254FF383A4F46298C41E37E7FA786F8EE3A36A62E85DDCBE5B6490FE3FF15129D3A59BC9DF0B90"
    "77016AE630D0DE668CFB3C03AEF56D55E5F17F1CD37D400F08D5F40878B90D87B2D867DAB0C4CCDCEBCD7CA7C046BFF9"
    "385E4BE92D02818100DE6BFE22951FEF7735A28450C4B3CFA2F8832A97685B82288573E088E551CE56B6404774278FF2"
    "4311B9D00BEF67C769BEEDA546EC0C586B0ED62390A575208D51DDC7CA77DCE4840A919832E93E1D444E73B2860735B4"
    "A935688E1732C7D7618BAA07EC0C668AA207862752E8B61B60C7A115225600A2FA0FA304E2DC2150F502818100BEB6DA"
    "D755E261B5FF52074ACF365FBFA0B719CC559766AC797A3A5F51727C6CC5B039C5FC11AE0152F0EF0C37F2E77F505354"
    "E79F4B41D472BE39D2FD29A5A814540B9BEAAB27DCFC524BEB62D07ABB571B06B091AD056E0FBA8CE0017E3F0D36FBC1"
    "0350D0A50720DED68DC36F27087A131BD25D21A4354CD438BC5775543702818100C6E5516BC168BE6E1EB34699275D18"
    "07472D9C2FAAED71B624A89B982F60F9204777B1ADE816EBF017F0CE5F6DE5A2C82829410BEBD79A5599FDD9EDE65798"
    "1567A8E8996098526CD53A9F1C9FC0A0D14D4A5ED145AF3BEFB847D8105CA3A231A38017F7789B55CB50E9214F1DB483"
    "45071F3FD3E58E4A2F4D3E5D07350C41E502818022B5F52EAC1AFFDDB8129DF127B5A5C7A2E0B079583AAE1D461ED0F0"
    "F849F60B760F94F44BE48BDF01D18830991E44B40F529B696CBCADC694FBBA5A84694815475DE49F041F12AA4DE24C9F"
    "12E50EF179F1194E99B4FC00042CD7E70D5E84EB4ACE975A9B22DE6665BD291FB42A4ED8641F8638CB6A8C10876338D0"
    "4EBAB41102818100CCD4854AE36D0A255541927E3C580AA0C12AEB080BADA0E69631ACFCE3B08AC8A872F15783D26A70"
    "84615CB9F2D73BB28F6FEB9C952C11A6369D0D518B7261310BA187D4406404CB63A0C6120A09B88E4F6CCB8FA2C8330C"
    "9F0C9AEDD0FF3DB18EEBB7C9AC68BF94FBA9EF5BE37C9679C77B5FEED6A91A69BD82F81CEE2462EB";
static const char p256[] =
    "30770201010420BEC5BD9EF873087B76118677C98C331D0FC45CB06AD0321DC2BA6A6E3915DD75A00A06082A8648CE3D"
    "030107A1440342000498AA82495D3BAA9F4063FFBCD7844C4D958CD6A8F97450EC17672FCAFBBE9A610D10F70D97FA3D"
    "D1A818BA17CAC9B23617D77BFEA6778AFA57E7772A2849A0B5";

#define PARTNER_AID "A00000015153504B4602"
#define PARTNER_KEY "202122232425262728292A2B2C2D2E2F"
#define PACKAGE "F0000000010203"

/* A load file of that package without applets. */
#define LOAD_DATA                                                                                            \
    "010014"                                                                                                 \
    "DECAFFED"                                                                                               \
    "010204"                                                                                                 \
    "0001"                                                                                                   \
    "07" PACKAGE "000000"

static kf_private_key *read_key(const char *text)
{
    kf_buffer bytes = KF_BUFFER_INIT;
    kf_private_key *key = NULL;
    assert_int_equal(kf_hex_decode_append(text, &bytes), KF_OK);
    assert_int_equal(kf_private_key_read(kf_buffer_view(&bytes), &key), KF_OK);
    kf_buffer_clear(&bytes);
    return key;
}

static void components(const char *text, kf_buffer *modulus, kf_buffer *exponent)
{
    kf_private_key *key = read_key(text);
    kf_public_key *public_key = NULL;
    assert_int_equal(kf_public_key_of(key, &public_key), KF_OK);
    assert_int_equal(kf_public_key_rsa(public_key, modulus, exponent), KF_OK);
    kf_public_key_free(&public_key);
    kf_private_key_free(&key);
}

static void append_signature(const char *text, kf_signature_scheme scheme, const char *message,
                             kf_buffer *signature)
{
    kf_private_key *key = read_key(text);
    kf_buffer bytes = KF_BUFFER_INIT;
    kf_buffer made = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(message, &bytes), KF_OK);
    assert_int_equal(kf_sign(key, scheme, kf_buffer_view(&bytes), &made), KF_OK);
    kf_buffer_append_hex(signature, kf_buffer_view(&made));
    kf_buffer_clear(&bytes);
    kf_buffer_clear(&made);
    kf_private_key_free(&key);
}

static void append_length(kf_buffer *text, size_t size)
{
    if (size > 0xFF)
        kf_buffer_format(text, "82%04zX", size);
    else if (size > 0x7F)
        kf_buffer_format(text, "81%02zX", size);
    else
        kf_buffer_format(text, "%02zX", size);
}

/* Version, modulus, exponent. `plain`: lengths of one byte alone, and an empty check value behind each
 * component; else BER, and one behind both. */
static void rsa_key_data(const char *key, const char *version, bool plain, kf_buffer *text)
{
    kf_buffer modulus = KF_BUFFER_INIT;
    kf_buffer exponent = KF_BUFFER_INIT;
    components(key, &modulus, &exponent);
    kf_buffer_format(text, "%sA1", version);
    if (plain)
        kf_buffer_format(text, "%02zX", modulus.size);
    else
        append_length(text, modulus.size);
    kf_buffer_append_hex(text, kf_buffer_view(&modulus));
    kf_buffer_format(text, "%sA0%02zX", plain ? "00" : "", exponent.size);
    kf_buffer_append_hex(text, kf_buffer_view(&exponent));
    kf_buffer_append_text(text, "00");
    kf_buffer_clear(&modulus);
    kf_buffer_clear(&exponent);
}

static uint16_t send_data(test_card *test, test_host *host, const char *head, const char *data,
                          kf_buffer *answer)
{
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer_format(&command, "%s%02zX%s", head, strlen(data) / 2, data);
    uint16_t status = test_host_send(test, host, kf_buffer_text(&command), answer);
    kf_buffer_clear(&command);
    return status;
}

/* Data of any length under one C-MAC, sent in parts of 255 bytes, b8 of P1 in all but the last. */
static uint16_t send_in_parts(test_card *test, test_host *host, const char *head, const char *data,
                              kf_buffer *answer)
{
    kf_buffer whole = KF_BUFFER_INIT;
    kf_buffer message = KF_BUFFER_INIT;
    uint8_t header[4];
    assert_int_equal(kf_hex_decode(head, header, 4), KF_OK);
    header[0] |= 4;
    assert_int_equal(kf_hex_decode_append(data, &whole), KF_OK);
    size_t length = whole.size + host->mac_size;
    assert_true(length > 255);
    kf_buffer_append_bytes(&message, host->chaining, 16);
    kf_buffer_append(&message, KF_VIEW(header));
    kf_buffer_append_u8(&message, 0);
    kf_buffer_append_u16(&message, (uint16_t)length);
    kf_buffer_append(&message, kf_buffer_view(&whole));
    assert_int_equal(kf_cmac(host->mac, kf_buffer_view(&message), host->chaining), KF_OK);
    kf_buffer_append_bytes(&whole, host->chaining, host->mac_size);
    uint16_t status = 0x9000;
    for (size_t place = 0; place < whole.size && status == 0x9000; place += 255) {
        kf_buffer part = KF_BUFFER_INIT;
        size_t left = whole.size - place;
        bool last = left <= 255;
        const uint8_t part_header[] = {header[0], header[1], (uint8_t)(header[2] | (last ? 0 : 0x80)),
                                       header[3], (uint8_t)(last ? left : 255)};
        kf_buffer_append(&part, KF_VIEW(part_header));
        kf_buffer_append_bytes(&part, whole.data + place, last ? left : 255);
        kf_buffer_append_u8(&part, 0);
        status = test_send(test, kf_buffer_view(&part), last ? answer : NULL);
        kf_buffer_clear(&part);
    }
    kf_buffer_clear(&whole);
    kf_buffer_clear(&message);
    return status;
}

static void make_card(test_card *test, const char *privileges)
{
    softcard_blueprint *blueprint = test_blueprint();
    blueprint->domains = calloc(1, sizeof *blueprint->domains);
    assert_non_null(blueprint->domains);
    blueprint->domains_count = 1;
    assert_int_equal(softcard_blueprint_set(&blueprint->domains[0].aid, PARTNER_AID), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->domains[0].privileges, privileges), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->domains[0].keys, PARTNER_KEY), KF_OK);
    test_card_make(test, blueprint);
}

static void open_issuer(test_card *test, test_host *host)
{
    assert_int_equal(test_send_hex(test, "00A4040000"), 0x9000);
    assert_int_equal(test_host_open(test, host, 0, TEST_KEY, 0x01), 0x9000);
}

static void open_partner(test_card *test, test_host *host)
{
    assert_int_equal(test_send_hex(test, "00A404000A" PARTNER_AID), 0x9000);
    assert_int_equal(test_host_open(test, host, 0, PARTNER_KEY, 0x01), 0x9000);
}

static void expect_key_information(test_card *test, const char *expected)
{
    kf_buffer answer = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    kf_buffer command = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append("80CA00E000", &command), KF_OK);
    assert_int_equal(test_send_hex(test, "00A4040000"), 0x9000);
    assert_int_equal(test_send(test, kf_buffer_view(&command), &answer), 0x9000);
    kf_buffer_append_hex(&text, kf_buffer_view(&answer));
    if (strstr(kf_buffer_text(&text), expected) == NULL)
        fail_msg("%s does not hold %s", kf_buffer_text(&text), expected);
    kf_buffer_clear(&answer);
    kf_buffer_clear(&text);
    kf_buffer_clear(&command);
}

static void rsa_keys_are_put_in_every_hosts_encoding(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        test_card test;
        test_host host = {0};
        kf_buffer data = KF_BUFFER_INIT;
        make_card(&test, "80");
        open_issuer(&test, &host);
        rsa_key_data(rsa_1024, "70", plain, &data);
        kf_buffer answer = KF_BUFFER_INIT;
        assert_int_equal(send_data(&test, &host, "80D80001", kf_buffer_text(&data), &answer), 0x9000);
        assert_int_equal(answer.size, 1); /* the version; a public key has no check value */
        assert_int_equal(answer.data[0], 0x70);
        expect_key_information(&test, "C0060170A180A003");
        test_card_revive(&test);
        expect_key_information(&test, "C0060170A180A003");
        kf_buffer_clear(&answer);
        kf_buffer_clear(&data);
        test_host_clear(&host);
        test_card_clear(&test);
    }
}

static void a_long_key_comes_in_two_commands(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    make_card(&test, "80");
    open_issuer(&test, &host);
    rsa_key_data(rsa_2048, "70", false, &data);
    assert_int_equal(send_in_parts(&test, &host, "80D80001", kf_buffer_text(&data), NULL), 0x9000);
    expect_key_information(&test, "C00E0170FFA10100FFA00003");
    /* The channel goes on behind it, and a single part of anything ends what was begun. */
    open_issuer(&test, &host);
    assert_int_equal(send_in_parts(&test, &host, "80D87001", kf_buffer_text(&data), NULL), 0x9000);
    assert_int_equal(test_host_send(&test, &host, "80F28002024F00", NULL), 0x9000);
    kf_buffer_clear(&data);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void parts_without_a_channel_are_refused(void **state)
{
    (void)state;
    test_card test;
    kf_buffer command = KF_BUFFER_INIT;
    make_card(&test, "80");
    assert_int_equal(kf_hex_decode_append("84D88001FF", &command), KF_OK);
    kf_buffer_append_fill(&command, 0x5A, 255);
    assert_int_equal(test_send_hex(&test, "00A4040000"), 0x9000);
    assert_int_equal(test_send(&test, kf_buffer_view(&command), NULL), 0x6982);
    kf_buffer_clear(&command);
    test_card_clear(&test);
}

static void a_point_is_put_and_its_parameters_are_checked(void **state)
{
    (void)state;
    static const char point[] = "0498AA82495D3BAA9F4063FFBCD7844C4D958CD6A8F97450EC17672FCAFBBE9A610D10F70D97"
                                "FA3DD1A818BA17CAC9B23617D77BF"
                                "EA6778AFA57E7772A2849A0B5";
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    make_card(&test, "80");
    open_issuer(&test, &host);
    kf_buffer_format(&data, "73B041%sF0010000", point);
    assert_int_equal(send_data(&test, &host, "80D80001", kf_buffer_text(&data), NULL), 0x9000);
    expect_key_information(&test, "C0060173B041F001");
    open_issuer(&test, &host);
    kf_buffer_truncate(&data, 0);
    kf_buffer_format(&data, "74B041%sF0010300", point);
    assert_int_equal(send_data(&test, &host, "80D80001", kf_buffer_text(&data), NULL), 0x9484);
    assert_int_equal(send_data(&test, &host, "80D80001", "74B04004F0010000", NULL), 0x6A80);
    assert_int_equal(send_data(&test, &host, "80D80001", "74A102FFFFA0010300", NULL), 0x6A80);
    kf_buffer_clear(&data);
    test_host_clear(&host);
    test_card_clear(&test);
}

/* The keys of delegated management in one command that says nothing of a second key: an RSA key for tokens, a
 * secret one for receipts behind it. */
static void keys_of_delegated_management_come_together(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    kf_buffer secret = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    make_card(&test, "A0");
    open_issuer(&test, &host);
    rsa_key_data(rsa_1024, "0A", true, &data);
    test_key_data(TEST_KEY, 0x0A, OTHER_KEY, false, &secret);
    /* One of the three keys behind the version. */
    kf_buffer_format(&data, "%.*s", 2 * (2 + 16 + 4), kf_buffer_text(&secret) + 2);
    assert_int_equal(send_data(&test, &host, "80D80001", kf_buffer_text(&data), &answer), 0x9000);
    assert_int_equal(answer.size, 1 + 3);
    expect_key_information(&test, "C006010AA180A003C004020A8810");
    kf_buffer_clear(&data);
    kf_buffer_clear(&secret);
    kf_buffer_clear(&answer);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void tokens_of_either_rsa_scheme_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        kf_signature_scheme scheme;
        size_t size;
        uint16_t status;
    } rows[] = {
        {rsa_1024, KF_SIGNATURE_RSA_PKCS1_SHA1, 128, 0x9000},
        {rsa_1024, KF_SIGNATURE_RSA_PKCS1_SHA256, 128, 0x9000},
        {rsa_2048, KF_SIGNATURE_RSA_PSS_SHA256, 256, 0x9000},
        {rsa_2048, KF_SIGNATURE_RSA_PKCS1_SHA1, 256, 0x6982},
    };
    static const char before[] = "07" PACKAGE "0A" PARTNER_AID "0000";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_card test;
        test_host host = {0};
        kf_buffer data = KF_BUFFER_INIT;
        kf_buffer message = KF_BUFFER_INIT;
        make_card(&test, "A0");
        open_issuer(&test, &host);
        rsa_key_data(rows[i].key, "70", false, &data);
        bool is_long = rows[i].size > 128;
        uint16_t put = is_long ? send_in_parts(&test, &host, "80D80001", kf_buffer_text(&data), NULL)
                               : send_data(&test, &host, "80D80001", kf_buffer_text(&data), NULL);
        assert_int_equal(put, 0x9000);
        open_partner(&test, &host);
        kf_buffer_format(&message, "0200%02zX%s", strlen(before) / 2, before);
        kf_buffer_truncate(&data, 0);
        kf_buffer_append_text(&data, before);
        append_length(&data, rows[i].size);
        append_signature(rows[i].key, rows[i].scheme, kf_buffer_text(&message), &data);
        uint16_t status = is_long ? send_in_parts(&test, &host, "80E60200", kf_buffer_text(&data), NULL)
                                  : send_data(&test, &host, "80E60200", kf_buffer_text(&data), NULL);
        assert_int_equal(status, rows[i].status);
        kf_buffer_clear(&data);
        kf_buffer_clear(&message);
        test_host_clear(&host);
        test_card_clear(&test);
    }
}

static void a_deletion_token_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char before[] = "4F07F0000000010299";
    test_card test;
    test_host host = {0};
    kf_buffer data = KF_BUFFER_INIT;
    kf_buffer message = KF_BUFFER_INIT;
    make_card(&test, "A0");
    open_issuer(&test, &host);
    rsa_key_data(rsa_1024, "70", false, &data);
    assert_int_equal(send_data(&test, &host, "80D80001", kf_buffer_text(&data), NULL), 0x9000);
    open_partner(&test, &host);
    kf_buffer_format(&message, "0000%02zX%s", strlen(before) / 2, before);
    for (int fits = 0; fits < 2; fits++) {
        kf_buffer_truncate(&data, 0);
        kf_buffer_format(&data, "%s9E8180", before);
        append_signature(rsa_1024, KF_SIGNATURE_RSA_PKCS1_SHA1, fits ? kf_buffer_text(&message) : "00",
                         &data);
        /* There is nothing to delete: only the token makes the difference. */
        assert_int_equal(send_data(&test, &host, "80E40000", kf_buffer_text(&data), NULL),
                         fits ? 0x6A88 : 0x6982);
    }
    kf_buffer_clear(&data);
    kf_buffer_clear(&message);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void hash_of_load_data(kf_hash_algorithm algorithm, kf_buffer *text)
{
    kf_buffer bytes = KF_BUFFER_INIT;
    kf_buffer hash = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(LOAD_DATA, &bytes), KF_OK);
    assert_int_equal(kf_hash(algorithm, kf_buffer_view(&bytes), &hash), KF_OK);
    kf_buffer_append_hex(text, kf_buffer_view(&hash));
    kf_buffer_clear(&bytes);
    kf_buffer_clear(&hash);
}

/* The partner's domain has DAP Verification, with the key that `key` is the private half of. */
static uint16_t load_signed(const char *key, const char *key_data, kf_signature_scheme scheme,
                            kf_hash_algorithm algorithm, bool spoil)
{
    test_card test;
    test_host host = {0};
    kf_buffer hash = KF_BUFFER_INIT;
    kf_buffer data = KF_BUFFER_INIT;
    kf_buffer block = KF_BUFFER_INIT;
    make_card(&test, "C10000"); /* DAP Verification, mandated */
    open_partner(&test, &host);
    uint16_t put = strlen(key_data) / 2 > 240 ? send_in_parts(&test, &host, "80D80001", key_data, NULL)
                                              : send_data(&test, &host, "80D80001", key_data, NULL);
    assert_int_equal(put, 0x9000);
    open_issuer(&test, &host);
    hash_of_load_data(algorithm, &hash);
    kf_buffer_format(&data, "07" PACKAGE "08" ISSUER_AID "%02zX%s0000", hash.size / 2, kf_buffer_text(&hash));
    assert_int_equal(send_data(&test, &host, "80E60200", kf_buffer_text(&data), NULL), 0x9000);
    kf_buffer_truncate(&data, 0);
    append_signature(key, scheme, spoil ? "00" : kf_buffer_text(&hash), &data);
    kf_buffer_format(&block, "4F0A" PARTNER_AID "C3");
    append_length(&block, data.size / 2);
    kf_buffer_append_text(&block, kf_buffer_text(&data));
    kf_buffer_truncate(&data, 0);
    kf_buffer_append_text(&data, "E2");
    append_length(&data, block.size / 2);
    kf_buffer_append_text(&data, kf_buffer_text(&block));
    kf_buffer_format(&data, "C4%02zX%s", strlen(LOAD_DATA) / 2, LOAD_DATA);
    const char *rest = kf_buffer_text(&data);
    uint16_t status = 0x9000;
    for (unsigned number = 0; *rest != '\0' && status == 0x9000; number++) {
        char head[9];
        char part[2 * 200 + 1] = "";
        strncat(part, rest, 2 * 200);
        rest += strlen(part);
        snprintf(head, sizeof head, "80E8%s%02X", *rest == '\0' ? "80" : "00", number);
        status = send_data(&test, &host, head, part, NULL);
    }
    kf_buffer_clear(&hash);
    kf_buffer_clear(&data);
    kf_buffer_clear(&block);
    test_host_clear(&host);
    test_card_clear(&test);
    return status;
}

static void load_files_are_signed_with_rsa_and_elliptic_curves(void **state)
{
    (void)state;
    kf_buffer small = KF_BUFFER_INIT;
    kf_buffer large = KF_BUFFER_INIT;
    rsa_key_data(rsa_1024, "73", false, &small);
    rsa_key_data(rsa_2048, "73", false, &large);
    static const char point[] = "73B0410498AA82495D3BAA9F4063FFBCD7844C4D958CD6A8F97450EC17672FCAFBBE9A610D10"
                                "F70D97FA3DD1A818BA17CAC9B236"
                                "17D77BFEA6778AFA57E7772A2849A0B5F0010000";
    for (int spoil = 0; spoil < 2; spoil++) {
        uint16_t wanted = spoil ? 0x6982 : 0x9000;
        assert_int_equal(
            load_signed(rsa_1024, kf_buffer_text(&small), KF_SIGNATURE_RSA_PKCS1_SHA1, KF_HASH_SHA1, spoil),
            wanted);
        assert_int_equal(load_signed(rsa_1024, kf_buffer_text(&small), KF_SIGNATURE_RSA_PKCS1_SHA256,
                                     KF_HASH_SHA256, spoil),
                         wanted);
        assert_int_equal(
            load_signed(rsa_2048, kf_buffer_text(&large), KF_SIGNATURE_RSA_PSS_SHA256, KF_HASH_SHA256, spoil),
            wanted);
        assert_int_equal(load_signed(p256, point, KF_SIGNATURE_ECDSA_SHA256, KF_HASH_SHA512, spoil), wanted);
    }
    kf_buffer_clear(&small);
    kf_buffer_clear(&large);
}

static void further_keys_of_a_file_may_be_public(void **state)
{
    (void)state;
    test_card test;
    kf_buffer modulus = KF_BUFFER_INIT;
    kf_buffer exponent = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    softcard_blueprint *blueprint = test_blueprint();
    components(rsa_1024, &modulus, &exponent);
    kf_buffer_append_hex(&text, kf_buffer_view(&modulus));
    kf_buffer_append_text(&text, ":");
    kf_buffer_append_hex(&text, kf_buffer_view(&exponent));
    blueprint->issuer->more_keys = calloc(1, sizeof *blueprint->issuer->more_keys);
    assert_non_null(blueprint->issuer->more_keys);
    blueprint->issuer->more_keys_count = 1;
    softcard_key_blueprint *key = &blueprint->issuer->more_keys[0];
    assert_int_equal(softcard_blueprint_set(&key->version, "70"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->identifier, "01"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->type, "A1"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->key, kf_buffer_text(&text)), KF_OK);
    test_card_make(&test, blueprint);
    expect_key_information(&test, "C0060170A180A003");
    kf_buffer_clear(&modulus);
    kf_buffer_clear(&exponent);
    kf_buffer_clear(&text);
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_keys_are_put_in_every_hosts_encoding),
        cmocka_unit_test(a_long_key_comes_in_two_commands),
        cmocka_unit_test(parts_without_a_channel_are_refused),
        cmocka_unit_test(a_point_is_put_and_its_parameters_are_checked),
        cmocka_unit_test(keys_of_delegated_management_come_together),
        cmocka_unit_test(tokens_of_either_rsa_scheme_are_checked),
        cmocka_unit_test(a_deletion_token_that_does_not_fit_is_refused),
        cmocka_unit_test(load_files_are_signed_with_rsa_and_elliptic_curves),
        cmocka_unit_test(further_keys_of_a_file_may_be_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
