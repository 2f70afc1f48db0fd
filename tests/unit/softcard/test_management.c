/* Who may do what on a card with several owners: delegated management, DAP blocks, extradition, registry
 * update, life cycles, memory. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/mac.h>

#include "crypto/digest.h"

#define DOMAIN_FILE "A0000001515350"
#define DOMAIN_MODULE "A000000151535041"
#define APPLET_FILE "F04B46504159"
#define APPLET_MODULE "F04B4650415901"
#define INSTANCE_AID "F04B4650415955"
#define PARTNER_AID "A00000015153504B4602"
#define OWNER_AID "A00000015153504B4603"
#define PACKAGE_AID "F0000000010203"
#define PACKAGE "010011DECAFFED010204030107" PACKAGE_AID "03000C0108F0000000010203010011"
#define PARTNER_KEY "101112131415161718191A1B1C1D1E1F"
#define TOKEN_KEY "707172737475767778797A7B7C7D7E7F"
#define RECEIPT_KEY "717273747576777879707A7B7C7D7E7F"
#define DAP_KEY "73737373737373730101010101010101"

static void add_key(softcard_domain_blueprint *domain, const char *version, const char *type,
                    const char *value)
{
    softcard_key_blueprint *keys =
        realloc(domain->more_keys, (domain->more_keys_count + 1) * sizeof *domain->more_keys);
    assert_non_null(keys);
    domain->more_keys = keys;
    softcard_key_blueprint *key = &keys[domain->more_keys_count++];
    memset(key, 0, sizeof *key);
    assert_int_equal(softcard_blueprint_set(&key->version, version), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->identifier, "01"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->type, type), KF_OK);
    assert_int_equal(softcard_blueprint_set(&key->key, value), KF_OK);
}

/* A partner's domain with `privileges`, and another owner's with none; token key AES, receipt key AES, the
 * partner's DAP key 3DES. */
static void make_card(test_card *test, const char *privileges, uint32_t memory)
{
    softcard_blueprint *blueprint = test_blueprint();
    blueprint->memory = memory;
    blueprint->domains = calloc(2, sizeof *blueprint->domains);
    assert_non_null(blueprint->domains);
    blueprint->domains_count = 2;
    softcard_domain_blueprint *partner = &blueprint->domains[0];
    assert_int_equal(softcard_blueprint_set(&partner->aid, PARTNER_AID), KF_OK);
    assert_int_equal(softcard_blueprint_set(&partner->keys, PARTNER_KEY), KF_OK);
    assert_int_equal(softcard_blueprint_set(&partner->key_version, "30"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&partner->privileges, privileges), KF_OK);
    add_key(partner, "73", "80", DAP_KEY);
    assert_int_equal(softcard_blueprint_set(&blueprint->domains[1].aid, OWNER_AID), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->domains[1].keys, OTHER_KEY), KF_OK);
    add_key(blueprint->issuer, "70", "88", TOKEN_KEY);
    add_key(blueprint->issuer, "71", "88", RECEIPT_KEY);
    test_card_make(test, blueprint);
}

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

static uint16_t send_for(test_card *test, test_host *host, const char *head, const char *data,
                         kf_buffer *answer)
{
    kf_buffer command = KF_BUFFER_INIT;
    kf_buffer_format(&command, "%s%02zX%s", head, strlen(data) / 2, data);
    uint16_t status = test_host_send(test, host, kf_buffer_text(&command), answer);
    kf_buffer_clear(&command);
    return status;
}

static uint16_t send(test_card *test, test_host *host, const char *head, const char *data)
{
    return send_for(test, host, head, data, NULL);
}

static void open_domain(test_card *test, test_host *host, const char *aid, const char *key)
{
    char select[64];
    snprintf(select, sizeof select, "00A40400%02zX%s", strlen(aid) / 2, aid);
    assert_int_equal(test_send_hex(test, select), 0x9000);
    assert_int_equal(test_host_open(test, host, 0, key, 0x33), 0x9000);
}

static void sign(const char *key, const char *message, kf_buffer *text)
{
    uint8_t bytes[16];
    uint8_t mac[16];
    kf_cipher *cipher = NULL;
    kf_buffer input = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode(key, bytes, 16), KF_OK);
    assert_int_equal(kf_cipher_new(KF_AES, KF_VIEW(bytes), &cipher), KF_OK);
    assert_int_equal(kf_hex_decode_append(message, &input), KF_OK);
    assert_int_equal(kf_cmac(cipher, kf_buffer_view(&input), mac), KF_OK);
    kf_buffer_append_hex(text, KF_VIEW(mac));
    kf_cipher_free(&cipher);
    kf_buffer_clear(&input);
}

/* INSTALL with a token over P1, P2, length and `before`, the fields in front of it. */
static uint16_t install_with_token(test_card *test, test_host *host, const char *p1, const char *before,
                                   kf_buffer *answer)
{
    kf_buffer signed_data = KF_BUFFER_INIT;
    kf_buffer data = KF_BUFFER_INIT;
    char head[9];
    kf_buffer_format(&signed_data, "%s00%02zX%s", p1, strlen(before) / 2, before);
    kf_buffer_format(&data, "%s10", before);
    sign(TOKEN_KEY, kf_buffer_text(&signed_data), &data);
    snprintf(head, sizeof head, "80E6%s00", p1);
    uint16_t status = send_for(test, host, head, kf_buffer_text(&data), answer);
    kf_buffer_clear(&signed_data);
    kf_buffer_clear(&data);
    return status;
}

static uint16_t load_bytes(test_card *test, test_host *host, const char *bytes, kf_buffer *answer)
{
    return send_for(test, host, "80E88000", bytes, answer);
}

static void check_receipt(kf_buffer *answer, unsigned counter, const char *names)
{
    kf_buffer message = KF_BUFFER_INIT;
    kf_buffer expected = KF_BUFFER_INIT;
    kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_format(&message, "02%04X0A00000000000000000000", counter);
    kf_buffer_append_text(&expected, "10");
    char *confirmation = strdup(kf_buffer_text(&message));
    kf_buffer_append_text(&message, names);
    sign(RECEIPT_KEY, kf_buffer_text(&message), &expected);
    kf_buffer_append_text(&expected, confirmation);
    kf_buffer_append_hex(&text, kf_buffer_view(answer));
    /* 11.5.3.1: behind the length of the whole. */
    kf_buffer whole = KF_BUFFER_INIT;
    kf_buffer_format(&whole, "%02zX%s", expected.size / 2, kf_buffer_text(&expected));
    assert_string_equal(kf_buffer_text(&text), kf_buffer_text(&whole));
    kf_buffer_clear(&whole);
    free(confirmation);
    kf_buffer_truncate(answer, 0);
    kf_buffer_clear(&message);
    kf_buffer_clear(&expected);
    kf_buffer_clear(&text);
}

static void a_partner_manages_with_tokens_and_gets_receipts(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer answer = KF_BUFFER_INIT;
    make_card(&test, "A0", 0);
    open_domain(&test, &host, PARTNER_AID, PARTNER_KEY);
    char *load = strdup(fields(PACKAGE_AID, PARTNER_AID, "", "", NULL));
    char *install = strdup(fields(PACKAGE_AID, "F000000001020301", INSTANCE_AID, "00", "C900", NULL));
    kf_buffer no_token = KF_BUFFER_INIT;
    kf_buffer_format(&no_token, "%s00", load);
    assert_int_equal(send(&test, &host, "80E60200", kf_buffer_text(&no_token)), 0x6982);
    assert_int_equal(install_with_token(&test, &host, "02", load, &answer), 0x9000);
    assert_int_equal(answer.size, 1);
    kf_buffer_truncate(&answer, 0);
    assert_int_equal(load_bytes(&test, &host, "C423" PACKAGE, &answer), 0x9000);
    check_receipt(&answer, 1, "07" PACKAGE_AID "0A" PARTNER_AID);
    assert_int_equal(install_with_token(&test, &host, "0C", install, &answer), 0x9000);
    check_receipt(&answer, 2, "07" PACKAGE_AID "07" INSTANCE_AID);
    /* Not from the issuer's load files, and nothing of others is deleted. */
    char *foreign = strdup(fields(APPLET_FILE, APPLET_MODULE, "F04B4650415956", "00", "C900", NULL));
    assert_int_equal(install_with_token(&test, &host, "0C", foreign, NULL), 0x6985);
    assert_int_equal(send(&test, &host, "80E40000", "4F0A" OWNER_AID), 0x6985);
    assert_int_equal(send_for(&test, &host, "80E40000", "4F07" INSTANCE_AID, &answer), 0x9000);
    check_receipt(&answer, 3, "07" INSTANCE_AID);
    test_card_revive(&test);
    open_domain(&test, &host, PARTNER_AID, PARTNER_KEY);
    assert_int_equal(send_for(&test, &host, "80E40000", "4F07" PACKAGE_AID, &answer), 0x9000);
    check_receipt(&answer, 4, "07" PACKAGE_AID);
    free(load);
    free(install);
    free(foreign);
    kf_buffer_clear(&no_token);
    kf_buffer_clear(&answer);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void authorised_management_needs_no_token_and_none_gets_nothing(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    static const char *const privileges[] = {"804000", "80"};
    for (int i = 0; i < 2; i++) {
        make_card(&test, privileges[i], 0);
        open_domain(&test, &host, PARTNER_AID, PARTNER_KEY);
        uint16_t expected = i == 0 ? 0x9000 : 0x6985;
        assert_int_equal(send(&test, &host, "80E60C00",
                              fields(APPLET_FILE, APPLET_MODULE, INSTANCE_AID, "00", "C900", "", NULL)),
                         expected);
        assert_int_equal(send(&test, &host, "80E60200", fields(PACKAGE_AID, PARTNER_AID, "", "", "", NULL)),
                         expected);
        assert_int_equal(send(&test, &host, "80F08F7F", ""), 0x6A86);
        assert_int_equal(send(&test, &host, "80F0807F", ""), 0x6985);
        test_host_clear(&host);
        test_card_clear(&test);
    }
}

/* SHA-1 and SHA-256 of the load file data block, in hex. */
static void hashes(char sha1[41], char sha256[65])
{
    uint8_t digest[32];
    kf_buffer package = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(PACKAGE, &package), KF_OK);
    assert_int_equal(kf_sha1_of_emv_option_b(kf_buffer_view(&package), digest), KF_OK);
    assert_int_equal(kf_hex_encode(kf_view_of(digest, 20), sha1, 41), KF_OK);
    assert_int_equal(kf_sha256(kf_buffer_view(&package), digest), KF_OK);
    assert_int_equal(kf_hex_encode(kf_view_of(digest, 32), sha256, 65), KF_OK);
    kf_buffer_clear(&package);
}

static void dap_block(const char *hash, kf_buffer *text)
{
    uint8_t key[16];
    uint8_t mac[8];
    kf_mac_pair pair = {NULL, NULL};
    kf_buffer bytes = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode(DAP_KEY, key, 16), KF_OK);
    assert_int_equal(kf_hex_decode_append(hash, &bytes), KF_OK);
    assert_int_equal(kf_mac_retail_pair(KF_VIEW(key), &pair), KF_OK);
    assert_int_equal(kf_mac_retail(pair, KF_PADDING_2, NULL, kf_buffer_view(&bytes), mac), KF_OK);
    kf_buffer_append_text(text, "E2164F0A" PARTNER_AID "C308");
    kf_buffer_append_hex(text, KF_VIEW(mac));
    kf_buffer_append_text(text, "C423" PACKAGE);
    kf_mac_pair_free(&pair);
    kf_buffer_clear(&bytes);
}

static uint16_t load_with(test_card *test, test_host *host, const char *hash, const char *bytes)
{
    assert_int_equal(send(test, host, "80E60200", fields(PACKAGE_AID, "", hash, "", "", NULL)), 0x9000);
    uint16_t status = load_bytes(test, host, bytes, NULL);
    if (status == 0x9000) assert_int_equal(send(test, host, "80E40000", "4F07" PACKAGE_AID), 0x9000);
    return status;
}

static void mandated_dap_wants_a_signature_over_the_hash(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    char sha1[41];
    char sha256[65];
    hashes(sha1, sha256);
    make_card(&test, "C1", 0);
    open_domain(&test, &host, ISSUER_AID, TEST_KEY);
    const char *const good[] = {sha1, sha256};
    for (int i = 0; i < 2; i++) {
        kf_buffer signed_file = KF_BUFFER_INIT;
        dap_block(good[i], &signed_file);
        assert_int_equal(load_with(&test, &host, good[i], kf_buffer_text(&signed_file)), 0x9000);
        assert_int_equal(load_with(&test, &host, good[1 - i], kf_buffer_text(&signed_file)), 0x6982);
        assert_int_equal(load_with(&test, &host, "", kf_buffer_text(&signed_file)), 0x6985);
        kf_buffer_clear(&signed_file);
    }
    assert_int_equal(load_with(&test, &host, sha256, "C423" PACKAGE), 0x6985);
    sha1[0] = sha1[0] == '0' ? '1' : '0';
    assert_int_equal(load_with(&test, &host, sha1, "C423" PACKAGE), 0x6A80);
    test_host_clear(&host);
    test_card_clear(&test);
    /* Without such a domain a hash is enough, and none is too. */
    make_card(&test, "C0", 0);
    open_domain(&test, &host, ISSUER_AID, TEST_KEY);
    assert_int_equal(load_with(&test, &host, sha256, "C423" PACKAGE), 0x9000);
    assert_int_equal(load_with(&test, &host, "", "C423" PACKAGE), 0x9000);
    assert_int_equal(load_with(&test, &host, "", "E2074F05F000000009C423" PACKAGE), 0x6A80);
    test_host_clear(&host);
    test_card_clear(&test);
}

static uint16_t extradite(test_card *test, test_host *host, const char *target, const char *object)
{
    return send(test, host, "80E61000", fields(target, "", object, "", "", "", NULL));
}

static void what_is_extradited_has_another_owner(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer answer = KF_BUFFER_INIT;
    make_card(&test, "80", 0);
    open_domain(&test, &host, ISSUER_AID, TEST_KEY);
    assert_int_equal(send(&test, &host, "80E60C00",
                          fields(APPLET_FILE, APPLET_MODULE, INSTANCE_AID, "00", "C900", "", NULL)),
                     0x9000);
    assert_int_equal(extradite(&test, &host, OWNER_AID, INSTANCE_AID), 0x9000);
    assert_int_equal(send_for(&test, &host, "80F24002", "4F07" INSTANCE_AID "5C01CC", &answer), 0x9000);
    assert_memory_equal(answer.data + 2 + 9, "\xCC\x0A\xA0\x00\x00\x01\x51\x53\x50\x4B\x46\x03", 12);
    assert_int_equal(extradite(&test, &host, "F000000099", INSTANCE_AID), 0x6A88);
    assert_int_equal(extradite(&test, &host, OWNER_AID, "F000000099"), 0x6A88);
    assert_int_equal(extradite(&test, &host, INSTANCE_AID, OWNER_AID), 0x6985);
    assert_int_equal(extradite(&test, &host, OWNER_AID, APPLET_FILE), 0x6985);
    /* Not below itself. */
    assert_int_equal(extradite(&test, &host, OWNER_AID, PARTNER_AID), 0x9000);
    assert_int_equal(extradite(&test, &host, PARTNER_AID, OWNER_AID), 0x6985);
    /* The new owner personalises it; the old one does not. */
    assert_int_equal(send(&test, &host, "80E62000", fields("", "", INSTANCE_AID, "", "", "", NULL)), 0x6985);
    open_domain(&test, &host, OWNER_AID, OTHER_KEY);
    assert_int_equal(send(&test, &host, "80E62000", fields("", "", INSTANCE_AID, "", "", "", NULL)), 0x9000);
    kf_buffer_clear(&answer);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_registry_update_changes_privileges(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    kf_buffer answer = KF_BUFFER_INIT;
    make_card(&test, "80", 0);
    open_domain(&test, &host, ISSUER_AID, TEST_KEY);
    assert_int_equal(send(&test, &host, "80E64000", fields("", "", PARTNER_AID, "804000", "", "", NULL)),
                     0x9000);
    assert_int_equal(send_for(&test, &host, "80F24002", "4F0A" PARTNER_AID "5C01C5", &answer), 0x9000);
    assert_memory_equal(answer.data + 2 + 12, "\xC5\x03\x80\x40\x00", 5);
    assert_int_equal(send(&test, &host, "80E64000", fields("", "", PARTNER_AID, "00", "", "", NULL)), 0x6A80);
    assert_int_equal(send(&test, &host, "80E64000", fields("", "", ISSUER_AID, "80", "", "", NULL)), 0x6985);
    assert_int_equal(send(&test, &host, "80E64000", fields(OWNER_AID, "", PARTNER_AID, "", "", "", NULL)),
                     0x9000);
    open_domain(&test, &host, PARTNER_AID, PARTNER_KEY);
    assert_int_equal(send(&test, &host, "80E60C00",
                          fields(APPLET_FILE, APPLET_MODULE, INSTANCE_AID, "00", "C900", "", NULL)),
                     0x9000);
    kf_buffer_clear(&answer);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void life_cycles_go_forward_and_locks_come_off(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    make_card(&test, "80", 0);
    open_domain(&test, &host, ISSUER_AID, TEST_KEY);
    assert_int_equal(extradite(&test, &host, OWNER_AID, PARTNER_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80F06080", OWNER_AID), 0x9000);
    assert_int_equal(test_send_hex(&test, "00A404000A" OWNER_AID), 0x6A82);
    assert_int_equal(test_send_hex(&test, "00A404000A" PARTNER_AID), 0x6A82);
    open_domain(&test, &host, ISSUER_AID, TEST_KEY);
    assert_int_equal(send(&test, &host, "80F06000", OWNER_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80F04080", PARTNER_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80F0400F", PARTNER_AID), 0x9000);
    assert_int_equal(send(&test, &host, "80F04003", PARTNER_AID), 0x6985);
    assert_int_equal(send(&test, &host, "80F04080", "F000000099"), 0x6A88);
    assert_int_equal(send(&test, &host, "80F04080", ISSUER_AID), 0x6985);
    assert_int_equal(send(&test, &host, "80F08007", ""), 0x6985);
    assert_int_equal(send(&test, &host, "80F0807F", ""), 0x9000);
    /* Locked: only the issuer's domain answers, and only what unlocks. */
    assert_int_equal(send(&test, &host, "80F28002", "4F00"), 0x6985);
    assert_int_equal(test_send_hex(&test, "00A404000A" PARTNER_AID), 0x6A82);
    assert_int_equal(test_send_hex(&test, "00A4040008" ISSUER_AID), 0x6283);
    assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
    assert_int_equal(send(&test, &host, "80F0800F", ""), 0x9000);
    assert_int_equal(send(&test, &host, "80F28002", "4F00"), 0x9000);
    assert_int_equal(send(&test, &host, "80F080FF", ""), 0x9000);
    assert_int_equal(send(&test, &host, "80F0800F", ""), 0x6985);
    test_card_revive(&test);
    assert_int_equal(test_send_hex(&test, "80CA9F7F00"), 0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

static void a_full_card_says_so_and_stays_as_it_was(void **state)
{
    (void)state;
    test_card test;
    test_host host = {0};
    char aid[20];
    make_card(&test, "80", 2048);
    open_domain(&test, &host, ISSUER_AID, TEST_KEY);
    assert_int_equal(send(&test, &host, "80E60200", fields(PACKAGE_AID, "", "", "EF04C6024000", "", NULL)),
                     0x6A84);
    assert_int_equal(send(&test, &host, "80E60200", fields(PACKAGE_AID, "", "", "EF03C60140", "", NULL)),
                     0x6A80);
    uint16_t status = 0x9000;
    unsigned made = 0;
    for (; made < 20 && status == 0x9000; made++) {
        snprintf(aid, sizeof aid, "F04B46504159%02X", made + 1);
        status =
            send(&test, &host, "80E60C00", fields(APPLET_FILE, APPLET_MODULE, aid, "00", "C900", "", NULL));
    }
    assert_int_equal(status, 0x6A84);
    assert_in_range(made, 3, 8);
    assert_int_equal(send(&test, &host, "80F24002",
                          "4F07F04B46504159"
                          "02"),
                     0x9000);
    snprintf(aid, sizeof aid, "F04B46504159%02X", made);
    char list[40];
    snprintf(list, sizeof list, "4F07%s", aid);
    assert_int_equal(send(&test, &host, "80F24002", list), 0x6A88);
    assert_int_equal(send(&test, &host, "80E40000",
                          "4F07F04B46504159"
                          "02"),
                     0x9000);
    assert_int_equal(
        send(&test, &host, "80E60C00", fields(APPLET_FILE, APPLET_MODULE, aid, "00", "C900", "", NULL)),
        0x9000);
    test_host_clear(&host);
    test_card_clear(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partner_manages_with_tokens_and_gets_receipts),
        cmocka_unit_test(authorised_management_needs_no_token_and_none_gets_nothing),
        cmocka_unit_test(mandated_dap_wants_a_signature_over_the_hash),
        cmocka_unit_test(what_is_extradited_has_another_owner),
        cmocka_unit_test(a_registry_update_changes_privileges),
        cmocka_unit_test(life_cycles_go_forward_and_locks_come_off),
        cmocka_unit_test(a_full_card_says_so_and_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
